"""Show how good a dataset is: what the other stages wrote → `<workspace>/report/`.

Reading order: `writer` runs the stage; `workspace_reader` and `tables` read what the
others wrote; `statistics`, `what_if` and `run_curves` compute, `assemble` and `advice`
put it together; `charts` and `drawing` draw, `pair_pictures` and `patch_pictures` write
pictures; `page` and `templates/` make HTML, `terminal_summary` prints; `side_by_side`
compares several workspaces.
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.report.terminal_summary import summary_text
    from dped_build.report.writer import ReportSummary, write_report

__all__ = ["ReportSummary", "summary_text", "write_report"]

__getattr__ = lazy_exports(
    __name__,
    {
        "ReportSummary": "writer",
        "summary_text": "terminal_summary",
        "write_report": "writer",
    },
)

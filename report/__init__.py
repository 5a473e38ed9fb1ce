"""Show how good a dataset is: what the other stages wrote → `<workspace>/report/`.

Reading order: `writer` runs the stage; `workspace_reader` and `tables` read what the
others wrote; `statistics`, `parallax`, `what_if`, `run_curves` and `advice` compute,
`drawing`, `pair_pictures` and `patch_pictures` make pictures, and `assemble` puts it
all into one `record`. From that alone come `charts`, `page` with `templates/`, and
`terminal_summary`. `side_by_side` compares the records of several workspaces.
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

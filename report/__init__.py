"""Show how good a dataset is: what the other stages wrote → `<workspace>/report/`.

Reading order: `writer` runs the stage; `inputs` and `tables` read the workspace;
`statistics`, `what_if`, `training` and `numbers` compute, `advice` and `summary` say it
in words; `figures` and `pictures` draw, `pair_pictures` and `gallery` write pictures,
`page` and `templates/` make HTML.
"""

from typing import TYPE_CHECKING

from dped_build.workspace.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from dped_build.report.summary import summary_text
    from dped_build.report.writer import ReportSummary, write_report

__all__ = ["ReportSummary", "summary_text", "write_report"]

__getattr__ = lazy_exports(
    __name__,
    {"ReportSummary": "writer", "summary_text": "summary", "write_report": "writer"},
)

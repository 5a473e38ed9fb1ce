"""Show how good a dataset is: what the other stages wrote → `<workspace>/report/`.

Reading order: `writer` runs the stage; `inputs` and `tables` read the workspace;
`statistics`, `training` and `numbers` compute, `wording` says it in words; `figures`
and `pictures` draw, `gallery` writes the pictures, `page` and `templates/` make HTML.
"""

from typing import TYPE_CHECKING

from dped_build.align.lazy import lazy_exports

if TYPE_CHECKING:
    from dped_build.report.wording import summary_text
    from dped_build.report.writer import ReportSummary, write_report

__all__ = ["ReportSummary", "summary_text", "write_report"]

__getattr__ = lazy_exports(
    __name__,
    {"ReportSummary": "writer", "summary_text": "wording", "write_report": "writer"},
)

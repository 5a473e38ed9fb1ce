"""The page that participants see: questions in, HTML out; no file is written.

It holds neither names of classes nor of scenes. As in the report, its policy (CSP) runs
no script but its own and knows no network.
"""

from pathlib import Path
from typing import Any

from dped_build.report.page import bare_environment, page_script, with_script

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("order.js", "state.js", "viewer.js", "study.js")  # in this order


def render_page(study: dict[str, Any]) -> bytes:
    """`index.html`.

    The page reads `study` (identity), `title`, `mode`, `ties`, `repeats`, `questions`
    (per participant), `couples` (of blocks of questions: [scene, picture, …]), `suffix`
    (of files), `created_with`.
    """
    script = page_script(TEMPLATES, SCRIPTS)
    return with_script(bare_environment(TEMPLATES), script, study, study=study)

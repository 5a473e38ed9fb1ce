"""The page that participants see: questions in, HTML out; no file is written.

It holds neither names of classes nor of scenes. As in the report, its policy (CSP) runs
no script but its own and knows no network.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dped_build.report.page import script_hash
from dped_build.report.script_data import script_json

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("order.js", "state.js", "viewer.js", "study.js")  # in this order


def render_page(study: dict[str, Any]) -> bytes:
    """`index.html`.

    Args:
        study: What the page reads: `study` (identity), `title`, `mode`, `ties`,
            `repeats`, `questions` (per participant), `couples` (of blocks of questions:
            [scene, picture, …]), `suffix` (of files), `created_with`.
    """
    script = page_script()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("index.html").render(
        study=study,
        data=Markup(script_json(study)),
        script=Markup(script),
        script_hash=script_hash(script),
    )
    return page.encode()


def page_script() -> str:
    """The page's script, one function around all of its parts."""
    parts = ((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"

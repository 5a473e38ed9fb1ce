"""Render the report's page: numbers and picture paths in, HTML out.

Names, reasons and messages come from files and are not trusted: Jinja2 escapes every
text, `link` percent-encodes every address, the script sets text as text only, and the
page's policy (CSP) runs no script but this one, and those that it loads itself.
"""

import base64
import hashlib
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dped_build.report.labels import MEASURES, OPTIONS, reason_text
from dped_build.report.record import PairRow, Report
from dped_build.report.run_curves import flat
from dped_build.report.script_data import page_data, script_json
from dped_build.workspace.text import counted, size_text

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("start.js", "exclusions.js", "table.js", "panel.js")  # in this order
NAMES_SHOWN = 6  # per warning
SHOWPIECES = 3
NO_VALUE = "\N{EN DASH}"


def render_page(report: Report, figures: Collection[str]) -> bytes:
    """`index.html`, with those charts that are among `figures`."""
    return with_script(
        environment(),
        page_script(TEMPLATES, SCRIPTS),
        page_data(report),
        report=report,
        figures=figures,
        names_shown=NAMES_SHOWN,
        numbers={row.pair: n for n, row in enumerate(report.table)},
        showpieces=showpieces(report.table),
    )


def with_script(
    made: Environment, script: str, data: object, **values: object
) -> bytes:
    """`index.html` of these templates: the script with its hash, and what it reads."""
    template = made.get_template("index.html")
    return template.render(
        data=Markup(script_json(data)),
        script=Markup(script),
        script_hash=script_hash(script),
        **values,
    ).encode()


def page_script(templates: Path, names: Sequence[str]) -> str:
    """A page's script, one function around all of its parts."""
    parts = ((templates / name).read_text(encoding="utf-8") for name in names)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def script_hash(script: str) -> str:
    """A script as a Content-Security-Policy names it (W3C, CSP Level 3)."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def showpieces(rows: Sequence[PairRow]) -> list[PairRow]:
    """The pairs with the most accepted windows, for the top of the page."""
    shown = [row for row in rows if row.on_one_grid]
    return sorted(shown, key=lambda row: -(row.accepted or 0))[:SHOWPIECES]


def bare_environment(templates: Path) -> Environment:
    """A folder's templates; every text is escaped, and none may be missing."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def environment() -> Environment:
    """The report's templates, and the filters that they use."""
    made = bare_environment(TEMPLATES)
    made.filters |= {
        "link": link,
        "count": count,
        "decimal": decimal,
        "percent": percent,
        "change": change,
        "size_text": size_text,
        "flat": flat,
        "reason_text": reason_text,
    }
    made.globals |= {
        "counted": counted,
        "measure_texts": MEASURES,
        "sample_text": sample_text,
        "option_texts": OPTIONS,
    }
    return made


def link(path: str) -> str:
    """A relative address as it stands in an attribute: percent-encoded."""
    return quote(path)


def count(value: float | None) -> str:
    """1234 → 1,234."""
    return NO_VALUE if value is None else f"{value:,.0f}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with `digits` decimals."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    return f"{value:,.{digits}f}"


def percent(part: float | None, whole: float = 1.0, digits: int = 0) -> str:
    """A share in per cent."""
    if part is None or not whole:
        return NO_VALUE
    return f"{100 * part / whole:.{digits}f} %"


def sample_text(name: str) -> str:
    """What a training sample's file name says: `003000` → iteration 3,000."""
    return f"iteration {int(name):,}" if name.isdecimal() else name


def change(difference: int, whole: int) -> str:
    """A change in per cent of what it was."""
    if not difference or not whole:
        return "\N{PLUS-MINUS SIGN}0 %" if not difference else NO_VALUE
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(100 * difference / whole):.1f} %"

"""Render the report's pages: numbers and picture paths in, HTML out.

Names, reasons and messages come from files and are not trusted: Jinja2 escapes every
text, `link` percent-encodes every address, and the pages run no script.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dped_build.report.pictures import REASON_RGB, reason_rgb
from dped_build.report.wording import counted, reason_text

TEMPLATES = Path(__file__).parent / "templates"
NAMES_SHOWN = 12  # per warning
SHOWPIECES = 3
NO_VALUE = "\N{EN DASH}"


def render_pages(
    report: dict[str, Any], figures: dict[str, Any], *, rows_per_page: int
) -> dict[str, bytes]:
    """File name → content of `index.html` and, for many pairs, `pairs-2.html` ….

    Args:
        report: The numbers, with picture paths in the table's rows.
        figures: Names of the chart files that exist, by what they show.
        rows_per_page: Pairs on each page.
    """
    environment = _environment()
    pages = paged(report["table"], rows_per_page)
    names = [page_name(number) for number in range(1, len(pages) + 1)]
    shared = {
        "report": report,
        "figures": figures,
        "pages": names,
        "anchors": anchors(pages, names),
        "legend": legend(report),
        "names_shown": NAMES_SHOWN,
        "showpieces": showpieces(report["table"]),
    }
    rendered = {}
    for number, (name, rows) in enumerate(zip(names, pages, strict=True), start=1):
        template = environment.get_template(
            "index.html" if number == 1 else "more.html"
        )
        html = template.render(**shared, rows=rows, number=number)
        rendered[name] = html.encode()
    return rendered


def page_name(number: int) -> str:
    """The file that holds the page with this number, from 1."""
    return "index.html" if number == 1 else f"pairs-{number}.html"


def paged(
    rows: Sequence[dict[str, Any]], rows_per_page: int
) -> list[list[dict[str, Any]]]:
    """Rows in pages, each with its number in the whole table; at least one page."""
    numbered = [{**row, "number": number} for number, row in enumerate(rows, start=1)]
    starts = range(0, max(1, len(numbered)), rows_per_page)
    return [numbered[start : start + rows_per_page] for start in starts]


def anchors(
    pages: Sequence[Sequence[dict[str, Any]]], names: Sequence[str]
) -> dict[str, str]:
    """Where each pair's row is: pair → address."""
    return {
        row["pair"]: f"{name}#pair-{row['number']}"
        for name, rows in zip(names, pages, strict=True)
        for row in rows
    }


def showpieces(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pairs with the most accepted windows, for the top of the page."""
    shown = [row for row in rows if row["picture"]]
    return sorted(shown, key=lambda row: -(row["accepted"] or 0))[:SHOWPIECES]


def legend(report: dict[str, Any]) -> list[dict[str, str]]:
    """Colour and meaning of each outcome that the overlays of this set show."""
    reasons = [] if report["windows"] is None else list(report["windows"]["reasons"])
    known = [reason for reason in REASON_RGB if reason in reasons]
    others = [reason for reason in reasons if reason not in REASON_RGB]
    return [
        {"name": reason, "color": "#{:02x}{:02x}{:02x}".format(*reason_rgb(reason))}
        for reason in ["accepted", *known, *others]
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "link": link,
        "count": count,
        "decimal": decimal,
        "percent": percent,
        "flat": flat,
        "reason_text": reason_text,
    }
    environment.globals |= {"counted": counted}
    return environment


def link(path: str) -> str:
    """A relative address as it stands in an attribute: percent-encoded."""
    name, hash_mark, anchor = path.partition("#")
    return quote(name) + hash_mark + quote(anchor)


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


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings in one level, under names joined by spaces."""
    settings: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            settings |= flat(value, f"{name} ")
        else:
            settings[name] = value
    return settings

"""What the page's script reads: the table of pairs, and each pair's windows.

Names and messages are untrusted text. In a script element `<`, `>` and `&` are written
as JSON's escapes of their code points, so that no text can end the element.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dped_build.align.records import Alignment
from dped_build.report.advice import POOR
from dped_build.report.drawing import reason_rgb
from dped_build.report.labels import reason_text
from dped_build.report.parallax import Parallax, parallax
from dped_build.report.record import PairRow, Report
from dped_build.report.tables import WindowTable

ESCAPES = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",  # ends a line in older JavaScript
        "\u2029": "\\u2029",
    }
)
CELLS = 16  # a side, in which the panel shows a mask; windows have 16 px or more
LEAST_REACH_PX = 1.0  # of the scale of parallax: flat scenes get no strong colours
NOT_SHOWN = ("phone", "dslr", "matches")
COLUMNS = tuple(n for n in PairRow.__struct_fields__ if n not in NOT_SHOWN)


def script_json(value: object) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def page_data(report: Report) -> dict[str, object]:
    """The table of pairs and all that the script needs to show and mark them."""
    reasons = {row.reason for row in report.table if row.reason}
    reasons |= {"accepted", "excluded"}
    reasons |= set() if report.windows is None else set(report.windows.reasons)
    return {
        "phone": report.phone_camera,
        "dslr": report.dslr_camera,
        "reasons": {
            reason: {"text": reason_text(reason), "color": color(reason)}
            for reason in sorted(reasons)
        },
        "poor": POOR,
        "columns": COLUMNS,
        "rows": [[getattr(row, name) for name in COLUMNS] for row in report.table],
        "excluded": [
            [line.pair, *(line.window_xy or ("", "")), line.note]
            for line in report.excluded
        ],
    }


def color(reason: str) -> str:
    """The colour of a window with this outcome, as CSS."""
    return "#{:02x}{:02x}{:02x}".format(*reason_rgb(reason))


def windows_script(
    number: int,
    record: Alignment,
    windows: WindowTable,
    rows: NDArray[np.intp],
    masks: Mapping[int, NDArray[np.bool_]],
    *,
    size: int,
) -> bytes:
    """A script that hands one pair's windows, `rows` of all, to the page.

    Pages opened from a disk may not read other files, but may run their scripts.
    `number` is the pair's place in the table, from 0.
    `masks`: row → mask (S, S), of those that are partly valid.
    """
    table, reasons = windows.table, [windows.outcome(row) for row in rows.tolist()]
    outcomes = sorted(set(reasons))
    data = {
        "box": record.phone_box,
        "size": size,
        "outcomes": outcomes,
        "outcome": [outcomes.index(reason) for reason in reasons],
        "x": table.window_xy[rows, 0].tolist(),
        "y": table.window_xy[rows, 1].tolist(),
        "ncc": _numbers(table.ncc[rows], 4),
        "shift": _numbers(np.linalg.norm(table.shift_px[rows], axis=1), 2),
        "rotation": _numbers(table.rotation_deg[rows], 2),
        "sigma": _numbers(table.sigma_px[rows], 3),
        "depth": _numbers(table.depth_px[rows], 3),
        "sharpness": _numbers(table.sharpness_ratio[rows], 2),
        "parallax": _parallax(parallax(table.shift_px[rows], windows.placed[rows])),
        "valid": _numbers(table.valid_share[rows], 4),
        "hidden": {
            index: path
            for index, row in enumerate(rows.tolist())
            if row in masks
            and (path := hidden_path(masks[row], *table.window_xy[row].tolist()))
        },
    }
    return f"dpedBuildWindows({number},{script_json(data)});\n".encode()


def hidden_path(valid: NDArray[np.bool_], left: int, top: int) -> str:
    """The pixels of a mask (S, S) that are not valid, as an SVG path of coarse cells.

    Coordinates are phone px, `left` and `top` those of the window.
    """
    edges = np.linspace(0, len(valid), CELLS + 1).astype(int)
    hidden = np.add.reduceat(~valid, edges[:-1], axis=0, dtype=int)
    hidden = np.add.reduceat(hidden, edges[:-1], axis=1)
    sides, parts = np.diff(edges), []
    cells = np.pad(2 * hidden > np.outer(sides, sides), ((0, 0), (1, 1)))
    changes = np.diff(cells.astype(np.int8), axis=1)  # (CELLS, CELLS + 1)
    for (y0, y1), row in zip(pairwise((top + edges).tolist()), changes, strict=True):
        starts, ends = (left + edges[row == step] for step in (1, -1))
        for x0, x1 in zip(starts.tolist(), ends.tolist(), strict=True):
            parts.append(f"M{x0} {y0}H{x1}V{y1}H{x0}z")
    return "".join(parts)


def _parallax(found: Parallax | None) -> dict[str, object] | None:
    """What the panel colours by parallax: px, the reach of the scale, the direction."""
    if found is None:
        return None
    reach = max(LEAST_REACH_PX, *np.abs(found.ends).tolist())
    return {
        "px": _numbers(found.along_px, 1),
        "reach": round(reach, 1),
        "direction": found.direction.round(3).tolist(),
    }


def _numbers(values: NDArray[np.floating], digits: int) -> Sequence[float | None]:
    """Rounded, what was not measured as None."""
    rounded = values.astype(np.float64).round(digits) + 0.0  # no -0
    found = rounded.astype(object)
    found[~np.isfinite(rounded)] = None
    return list(found)

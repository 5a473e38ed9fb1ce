"""The chart of a study: numbers in, bytes out; no file is touched.

It shows what Figure 10 of Ignatov et al. (ICCV 2017) shows.
"""

import io
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dped_build.report.charts import EMPTY, INK, SERIES, STYLE, plain

PNG_DPI = 200
MAX_HEIGHT = 100.0  # inches; PNG libraries take no more than 65,535 rows
BAR = 0.62  # of the distance between two bars
MAX_LABEL = 28  # characters of a class name
LIGHT = "#c3c9ce"  # answers without preference
LEGEND_COLUMNS = 4
ABOVE, BELOW = -0.08, 0.2  # where number and interval stand in a bar


def study_figure(numbers: dict[str, Any]) -> dict[str, bytes]:
    """`study.svg` and `study.png` of the numbers in `study.json`."""
    bars = len(numbers.get("pairs", [])) + len(numbers["classes"])
    if numbers["mode"] == "pairs":
        bars = len(numbers["pairs"]) + 2
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(7.2, min(1.4 + 0.46 * bars, MAX_HEIGHT)), layout="constrained"
        )
        axes = figure.subplots()
        if numbers["mode"] == "pairs":
            _draw_preferences(axes, numbers)
        else:
            _draw_opinions(axes, numbers)
        return {
            "study.svg": _encoded(figure, "svg", metadata={"Date": None}),
            "study.png": _encoded(
                figure, "png", dpi=PNG_DPI, metadata={"Software": None}
            ),
        }


def _draw_preferences(axes: Axes, numbers: dict[str, Any]) -> None:
    """A bar a pair, shared between its classes, and one shared between all."""
    names = sorted(row["class"] for row in numbers["classes"])
    colors = {n: SERIES[i % len(SERIES)] for i, n in enumerate(names)}
    pairs = numbers["pairs"]
    for place, row in enumerate(pairs):
        if not row["answers"]:
            continue
        tie = 100 * row["no_preference"] / row["answers"]
        middle = 100 * row["preference"]
        _bar(axes, place, 0, middle - tie / 2, colors[row["first"]])
        _bar(axes, place, middle - tie / 2, tie, LIGHT, text=False)
        right = 100 - middle - tie / 2
        _bar(axes, place, middle + tie / 2, right, colors[row["second"]])
        low, high = (100 * end for end in row["clustered95"])
        _whisker(axes, place, middle, low, high)
    last, start = len(pairs) + 0.4, 0.0
    for row in sorted(numbers["classes"], key=lambda row: names.index(row["class"])):
        share = 100 * row["chosen_of_all"]
        _bar(axes, last, start, share, colors[row["class"]])
        start += share
    axes.set_yticks(
        [*range(len(pairs)), last],
        [f"{_label(row['first'])}  |  {_label(row['second'])}" for row in pairs]
        + ["chosen in all"],
    )
    shown = {name: colors[name] for name in names}
    if any(row["no_preference"] for row in pairs):
        shown["no preference"] = LIGHT
    axes.legend(
        [Patch(color=color) for color in shown.values()],
        [_label(name) for name in shown],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=LEGEND_COLUMNS,
    )
    axes.axvline(50, color=INK, linewidth=0.7, linestyle=(0, (2, 3)))
    axes.set_xlim(0, 100)
    axes.set_xlabel("preferred, % of the answers, with 95 % intervals")
    _finish(axes)


def _draw_opinions(axes: Axes, numbers: dict[str, Any]) -> None:
    """A bar a class: its mean opinion score."""
    rows = numbers["classes"]
    names = sorted(row["class"] for row in rows)
    for place, row in enumerate(rows):
        if row["mos"] is None:
            continue
        color = SERIES[names.index(row["class"]) % len(SERIES)]
        axes.barh(place, row["mos"] - 1, BAR, left=1, color=color)
        axes.text(1.06, place + ABOVE, f"{row['mos']:.2f}", color="white", va="center")
        interval = row["clustered95"] or row["ci95"]
        if interval:
            _whisker(axes, place, row["mos"], *interval)
    axes.set_yticks(range(len(rows)), [_label(row["class"]) for row in rows])
    axes.set_xlim(1, 5)
    axes.set_xticks(
        range(1, 6), ["1\nbad", "2\npoor", "3\nfair", "4\ngood", "5\nexcellent"]
    )
    axes.set_xlabel("mean opinion score, with 95 % intervals")
    _finish(axes)


def _bar(
    axes: Axes,
    place: float,
    start: float,
    share: float,
    color: str,
    *,
    text: bool = True,
) -> None:
    axes.barh(place, share, BAR, left=start, color=color)
    if text and share >= 8:  # %, else the number would not fit
        left = start < 1
        x = start + 1.2 if left else start + share - 1.2
        axes.text(
            x,
            place + ABOVE,
            f"{share:.0f} %",
            color="white",
            ha="left" if left else "right",
            va="center",
            fontweight="bold",
        )


def _whisker(axes: Axes, place: float, middle: float, low: float, high: float) -> None:
    reach = [[max(0.0, middle - low)], [max(0.0, high - middle)]]
    axes.errorbar(
        middle,
        place + BELOW,
        xerr=reach,
        color=INK,
        capsize=3,
        linewidth=1.2,
        marker="o",
        markersize=3,
    )


def _label(name: str) -> str:
    short = name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…"
    return plain(short)


def _finish(axes: Axes) -> None:
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(EMPTY)


def _encoded(figure: Figure, form: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, facecolor="white", **options)
    return buffer.getvalue()

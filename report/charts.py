"""Charts as SVG: plain numbers in, bytes out; no file is touched.

An SVG shown by a page follows the reader's light or dark scheme by a style sheet of its
own, for which INK, the colour of all text and axes, is replaced. The same numbers give
the same bytes.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dped_build.report.drawing import reason_rgb
from dped_build.report.record import Curves, Frame, Histogram, Ncc
from dped_build.report.run_curves import is_baseline

INK = "#33393f"
INK_DARK = "#d5dade"
ACCEPTED = "#0f9d80"
REJECTED = "#d98032"
SERIES = ("#2a7fb8", ACCEPTED, REJECTED, "#a569bd", "#b8a12a", "#c9506b", "#6b7f8f")
PANELS_IN_A_ROW = 3
LOG_FROM = 20  # largest over smallest value
EMPTY = "#8a939b"  # a cell without windows; drawn faintly
STYLE: Any = {
    "svg.hashsalt": "dped-build",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
DARK_RULE = (
    "<style>@media (prefers-color-scheme: dark) {"
    f'[style*="fill: {INK}"] {{fill: {INK_DARK} !important}}'
    f'[style*="stroke: {INK}"] {{stroke: {INK_DARK} !important}}'
    "}</style>"
)


def ncc_figure(ncc: Ncc, *, min_corr: float | None) -> bytes:
    """NCC of all measured windows, stacked by outcome, with the threshold."""

    def draw(axes: Axes) -> None:
        edges, accepted = np.array(ncc.accepted.edges), ncc.accepted.counts
        width = edges[1] - edges[0]
        bars = {"width": width * 0.92, "align": "edge"}
        axes.bar(edges[:-1], accepted, color=ACCEPTED, label="accepted", **bars)
        axes.bar(
            edges[:-1],
            ncc.rejected.counts,
            bottom=accepted,
            color=REJECTED,
            label="rejected",
            **bars,
        )
        if min_corr is not None:
            axes.axvline(min_corr, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        axes.set_xlabel("NCC of the stored patches")
        _count_windows(axes)
        filled = np.flatnonzero(np.add(accepted, ncc.rejected.counts))
        lowest = edges[filled[0]] if len(filled) else 0.0
        axes.set_xlim(np.floor(lowest * 10) / 10, 1)
        axes.legend(loc="upper left")

    return _chart(draw, size=(5.2, 2.8))


def valid_figure(shares: Mapping[str, Histogram], *, min_valid: float | None) -> bytes:
    """Valid shares of the measured windows, stacked by outcome, with the threshold."""

    def draw(axes: Axes) -> None:
        edges = np.array(next(iter(shares.values())).edges)
        below = np.zeros(len(edges) - 1)
        for outcome, found in shares.items():
            axes.bar(
                edges[:-1],
                found.counts,
                (edges[1] - edges[0]) * 0.92,
                bottom=below,
                align="edge",
                color=np.array(reason_rgb(outcome)) / 255,
                label=outcome,
            )
            below += found.counts
        if min_valid is not None:
            axes.axvline(min_valid, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        axes.set_xlabel("share of valid pixels")
        _count_windows(axes)
        axes.set_xlim(0, 1)
        axes.legend(loc="upper left")

    return _chart(draw, size=(5.2, 2.8))


def histogram_figure(histogram: Histogram, *, label: str) -> bytes:
    """One histogram of accepted windows."""

    def draw(axes: Axes) -> None:
        edges = np.array(histogram.edges)
        width = (edges[1] - edges[0]) * 0.92
        axes.bar(edges[:-1], histogram.counts, width, align="edge", color=SERIES[0])
        axes.set_xlabel(label)
        _count_windows(axes)
        axes.set_xlim(edges[0], edges[-1])

    return _chart(draw, size=(3.8, 2.6))


def field_figure(frame: Frame) -> bytes:
    """Mean shift of each cell of the phone frame as an arrow, enlarged."""

    def draw(axes: Axes) -> None:
        shifts = [shift or (np.nan, np.nan) for shift in frame.mean_shift_px]
        field = np.array(shifts, float).reshape(frame.rows, frame.columns, 2)
        lengths = np.linalg.norm(field, axis=2)
        longest = np.nanmax(lengths) if np.isfinite(lengths).any() else 0.0
        unit = max(float(longest), 0.01)
        x, y = np.meshgrid(np.arange(frame.columns), np.arange(frame.rows))
        axes.scatter(x, y, s=3, color=EMPTY, linewidths=0)
        known = np.isfinite(lengths)
        axes.quiver(
            x[known],
            y[known],
            field[known, 0],
            field[known, 1],
            color=SERIES[0],
            angles="xy",
            scale_units="xy",
            scale=unit / 0.9,  # the longest arrow nearly spans a cell
            pivot="middle",
            width=0.006,
        )
        _frame(axes, frame)
        axes.set_xlabel(f"longest arrow: {longest:.2f} phone px")

    return _chart(draw, size=_frame_size(frame))


def acceptance_figure(frame: Frame) -> bytes:
    """Share of the candidates that were accepted, per cell of the phone frame."""

    def draw(axes: Axes) -> None:
        candidates = np.array(frame.candidates, float)
        rate = np.full(candidates.shape, np.nan)
        np.divide(frame.accepted, candidates, out=rate, where=candidates > 0)
        share = 100 * rate.reshape(frame.rows, frame.columns)
        faint = mpl.colormaps["viridis"].with_extremes(bad=(0.5, 0.55, 0.6, 0.25))
        x = np.arange(frame.columns + 1) - 0.5
        y = np.arange(frame.rows + 1) - 0.5
        masked = np.ma.masked_invalid(share)
        mesh = axes.pcolormesh(x, y, masked, cmap=faint, vmin=0, vmax=100)
        for (row, column), percent in np.ndenumerate(share):
            if np.isfinite(percent):
                ink = "#ffffff" if percent < 60 else "#10151a"
                text = f"{percent:.0f}"
                axes.text(
                    column, row, text, color=ink, ha="center", va="center", size=7
                )
        _frame(axes, frame)
        _colour_bar(axes, mesh, "accepted, %")

    return _chart(draw, size=_frame_size(frame))


def curves_figure(panels: dict[str, Curves]) -> bytes:
    """The learning curves of a run, a panel per kind; the phone unchanged is dashed."""
    columns = min(PANELS_IN_A_ROW, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        size = (3.6 * columns, 2.4 * rows)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes, (title, curves) in zip(grid, panels.items(), strict=False):
            _draw_curves(axes, curves)
            axes.set_title(plain(title), fontsize=9.5)
        for axes in grid[: len(panels)]:
            axes.set_xlabel("iteration")
            axes.tick_params(labelbottom=True)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        return _svg(figure)


def plain(name: str) -> str:
    """A name as matplotlib writes it unread: no formula, nothing that XML lacks."""
    shown = "".join(char if char.isprintable() else "?" for char in name)
    hidden = " " if shown.startswith("_") else ""  # a legend leaves such names out
    return hidden + shown.replace("$", r"\$")


def _draw_curves(axes: Axes, curves: Curves) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(
            *np.array(curve).T,
            color=EMPTY if is_baseline(name) else SERIES[number % len(SERIES)],
            linestyle="dashed" if is_baseline(name) else "solid",
            linewidth=1.4,
            label=plain(name),
        )
    values = np.array([value for curve in curves.values() for _, value in curve])
    if values.min() > 0 and values.max() > LOG_FROM * values.min():
        axes.set_yscale("log")
    axes.legend(loc="best", fontsize=7.5)


def _count_windows(axes: Axes) -> None:
    axes.set_ylabel("windows")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _frame(axes: Axes, frame: Frame) -> None:
    axes.set_xlim(-0.5, frame.columns - 0.5)
    axes.set_ylim(frame.rows - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)


def _frame_size(frame: Frame) -> tuple[float, float]:
    return 4.6, 3.6 * min(2.0, frame.rows / frame.columns) + 0.3


def _colour_bar(axes: Axes, mappable: Any, label: str) -> None:  # noqa: ANN401
    figure = axes.get_figure(root=True)
    if figure is not None:
        bar = figure.colorbar(mappable, ax=axes, shrink=0.85, pad=0.02, label=label)
        bar.outline.set_visible(False)


def _chart(draw: Callable[[Axes], None], *, size: tuple[float, float]) -> bytes:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return _svg(figure)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    start = buffer.getvalue().decode()
    return start.replace("<defs>", f"{DARK_RULE}<defs>", 1).encode()

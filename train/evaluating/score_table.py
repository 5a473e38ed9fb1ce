"""An evaluation as text: a column for the phone, our output and every other tool."""

from collections.abc import Mapping
from typing import Any

from dped_build.workspace.text_table import aligned

PHOTO_FIGURES = {"psnr_pirm": "PSNR", "ms_ssim_image": "MS-SSIM"}  # a photo's line


def overall_table(report: Mapping[str, Any]) -> str:
    """Every figure of all patches, a line each; `report` as `evaluate` returns it."""
    columns = _columns(report)
    lines = [["", *columns]]
    for figure in report["input"]:
        lines.append([figure, *(_told(c[figure], figure) for c in columns.values())])
    return aligned(lines)


def photo_table(report: Mapping[str, Any]) -> str:
    """Mean PSNR and MS-SSIM of every photo's patches, a line a photo."""
    names = list(_columns(report))
    heads = [
        f"{head} {name}" if place == 0 else name
        for head in PHOTO_FIGURES.values()
        for place, name in enumerate(names)
    ]
    lines = [["photo", "n", *heads]]
    for photo, of_it in report["photos"].items():
        columns = _columns(of_it).values()
        told = [_told(c[figure], figure) for figure in PHOTO_FIGURES for c in columns]
        lines.append([photo, str(of_it["n"]), *told])
    return aligned(lines)


def _columns(report: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    ours = {"phone": report["input"], "enhanced": report["output"]}
    return {**ours, **report.get("compare", {})}


def _told(value: float | None, figure: str) -> str:
    is_psnr = figure.startswith("psnr")
    if value is None:
        return "inf" if is_psnr else "-"
    return f"{value:.2f}" if is_psnr else f"{value:.4f}"

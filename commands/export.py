"""The command `dped-build export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dped_build.commands.console import (
    echo_json,
    jobs_option,
    json_option,
    new,
    no_blas_threads,
    settings_options,
)
from dped_build.commands.workspaces import (
    FOLDER,
    adopt,
    workspace_option,
)
from dped_build.exchange.export_settings import (
    FORMATS,
    FRAMES,
    MODEL_FORMATS,
    PICTURES,
    PRECISIONS,
    TABLE_FORMATS,
    ExportSettings,
    fits,
    require_option,
)
from dped_build.patches.settings import PatchSettings
from dped_build.photos.settings import PICTURE_BITS
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted, quote, size_text

if TYPE_CHECKING:
    from dped_build.exchange.export_frames import FramesSummary
    from dped_build.exchange.export_patches import ExportSummary

UNLICENSED = "  The dataset card lacks a licence or credits: add --license, --credits."
WINDOWS = Path("windows")  # the SOURCE that means those of --workspace


def _take_source(
    ctx: click.Context, argument: click.Parameter, source: Path | None
) -> Path | None:
    """A source that is a workspace stands for `--workspace` as well."""
    if source is not None:
        adopt(ctx, source)
    return source


@click.command()
@click.argument(
    "source", type=FOLDER, required=False, callback=_take_source, metavar="[SOURCE]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="Output format.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Output folder or file.  [default: export/FORMAT, windows.csv or NAME.onnx]",
)
@settings_options(
    ExportSettings,
    {
        "splits": "Splits to export, separated by commas.",
        "pictures": (
            click.Choice(PICTURES),
            "Picture format of dped-folders: jpg as in DPED, or lossless png.",
        ),
        "quality": (click.IntRange(1, 100), "JPEG quality of dped-folders."),
        "bits": (click.Choice(PICTURE_BITS), "Bits per colour of frames."),
        "license": "Licence for the dataset card, such as CC-BY-4.0.",
        "credits": "Photographers, for the dataset card.",
        "precision": (click.Choice(PRECISIONS), "Weight precision of the ONNX model."),
    },
)
@jobs_option("Encoding threads; of frames, processes.  [default: all cores]")
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@json_option
@workspace_option
@no_blas_threads
def export(
    source: Path | None,
    *,
    form: str,
    out: Path | None,
    jobs: int | None,
    force: bool,
    as_json: bool,
    workspace: Path,
    **options: Any,  # noqa: ANN401
) -> None:
    """Export patches, whole photos or models for other tools.

    \b
    SOURCE is one of
      a workspace (default: --workspace), or a folder of shards in or out of one:
        dped-folders  DPED's layout        png      one file per picture
        webdataset    tar files            lmdb     for BasicSR
        parquet       for Hugging Face's `datasets`
      a workspace:
        frames        whole photos on one grid, with masks of valid pixels
      a workspace, for every candidate window:
        csv           one line per window  → windows.csv in the workspace
      a run folder or generator.pt:
        onnx          any height and width → NAME.onnx, here

    exclude.csv applies. All folders but dped-folders keep the masks of valid pixels.
    Each has a dataset card (README.md), the columns of every patch, and SHA256SUMS.
    `dped-build import` reads dped-folders and png back, with photos, splits and
    geometry.

    \b
    Examples:
      dped-build export --format png
      dped-build export data --format parquet --license CC-BY-4.0 --credits "A. Lee"
      dped-build export data --format frames --bits 16
      dped-build export --format csv
      dped-build export data/runs/released-dped --format onnx
    """
    said = click.get_current_context().get_parameter_source
    for name in (*options, "jobs"):
        if said(name) == ParameterSource.COMMANDLINE:
            require_option(name, form)
    # What dped-build.toml says of other formats is passed over.
    settings = ExportSettings(**{k: v for k, v in options.items() if fits(k, form)})
    source = workspace if source in (None, WINDOWS) else source
    if form in MODEL_FORMATS:
        _export_model(source, out, settings, as_json=as_json)
        return
    if form in TABLE_FORMATS:
        _export_windows(source, out, force=force, as_json=as_json)
        return
    if form == FRAMES:
        from dped_build.exchange.export_frames import export_frames

        with Progress("pairs", quiet=as_json) as progress:
            frames = export_frames(
                source,
                out,
                settings=settings,
                jobs=jobs,
                force=force,
                progress=progress,
            )
        _show_frames(frames, settings, as_json=as_json)
        return
    from dped_build.exchange.export_patches import export_patches

    with Progress("patches", quiet=as_json) as progress:
        summary = export_patches(
            source,
            out,
            form=form,
            settings=settings,
            jobs=jobs,
            force=force,
            progress=progress,
        )
    if summary.masked_out:
        click.echo(
            f"{counted(summary.masked_out, 'patch', 'patches')} left out: under "
            f"{PatchSettings.min_valid:.0%} valid, and {form} has no masks (png, "
            "webdataset, lmdb and parquet have)",
            err=True,
        )
    if as_json:
        echo_json(summary)
        return
    for line in _told(summary, settings):
        click.echo(line)


def _told(summary: "ExportSummary", settings: ExportSettings) -> list[str]:
    """The summary for the terminal."""
    size, patches = summary.size, {k: v["patches"] for k, v in summary.splits.items()}
    count = counted(sum(patches.values()), "pair")
    lines = [
        f"{count} of {size}x{size} px, {' | '.join(summary.cameras)}"
        f"{new(summary.newly_done)}",
        f"  patches: {', '.join(f'{k} {n}' for k, n in patches.items())}",
    ]
    if summary.excluded:
        lines.append(f"  {summary.excluded:6d} excluded")
    if summary.psnr_db is not None:
        lines.append(
            f"  JPEG costs: {summary.psnr_db:.1f} dB against the patches; "
            "--pictures png is lossless"
        )
    if settings.license is None or settings.credits is None:
        lines.append(UNLICENSED)
    end = quote(summary.folder)
    lines.append(f"→ {end}  ({summary.format}, {size_text(summary.bytes)})")
    return [
        *lines,
        f"(next: {quote(summary.folder / 'README.md')} says how to read it)",
    ]


def _show_frames(
    summary: "FramesSummary", settings: ExportSettings, *, as_json: bool
) -> None:
    if as_json:
        echo_json(summary)
        return
    count, cameras = counted(summary.frames, "pair"), " | ".join(summary.cameras)
    click.echo(f"{count} of photos, {cameras}{new(summary.newly_done)}")
    if summary.splits:
        counts = ", ".join(f"{name} {n}" for name, n in summary.splits.items())
        click.echo(f"  pairs: {counts}")
    click.echo(f"  {summary.valid_share:.1%} of their pixels valid")
    if summary.excluded:
        click.echo(f"  {summary.excluded:6d} excluded")
    for failed in summary.failed:
        click.echo(f"  {failed['pair']}: {failed['message']}")
    if settings.license is None or settings.credits is None:
        click.echo(UNLICENSED)
    end, card = quote(summary.folder), quote(summary.folder / "README.md")
    click.echo(f"→ {end}  (frames, {size_text(summary.bytes)})")
    click.echo(f"(next: {card} says how to read it)")


def _export_windows(
    place: Path, out: Path | None, *, force: bool, as_json: bool
) -> None:
    from dped_build.exchange.windows_table import export_windows

    whole = place.resolve() if place.name in ("", "..") else place
    home = whole.parent if (place / "windows.h5").is_file() else place
    summary = export_windows(place, out or home / "windows.csv", force=force)
    if as_json:
        echo_json(summary)
    else:
        count = counted(summary.windows, "window")
        click.echo(f"{count}, {summary.accepted:,} accepted")
        click.echo(f"→ {quote(summary.path)}  (next: open it in a spreadsheet)")


def _export_model(
    model: Path, out: Path | None, settings: ExportSettings, *, as_json: bool
) -> None:
    from dped_build.exchange.onnx_model import LEVELS, export_onnx

    whole = model.resolve() if model.name in ("", "..") else model
    name = whole.name if whole.is_dir() else whole.stem
    out = out or Path(f"{name}.onnx")
    summary = export_onnx(model, out, precision=settings.precision)
    if as_json:
        echo_json(summary)
    else:
        levels = summary.largest_difference * LEVELS
        click.echo(
            f"→ {summary.path}: {summary.precision}, opset {summary.opset}, "
            f"{summary.bytes / 1e6:.2f} MB; differs from PyTorch by at most "
            f"{levels:.2g} of {LEVELS} levels\n(next: onnxruntime.InferenceSession"
            f"({str(summary.path)!r}))"
        )

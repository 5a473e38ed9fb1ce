"""The command `dped-build enhance`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dped_build.commands.console import (
    echo_json,
    echo_warning,
    json_option,
    settings_options,
)
from dped_build.commands.workspaces import FOLDER
from dped_build.train.enhancing.enhance_settings import FORMATS, EnhanceSettings
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import quote

if TYPE_CHECKING:
    from dped_build.train.enhancing.enhance import EnhancedFiles

LISTED_PICTURES = 10  # after which the summary only counts


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("photos", nargs=-1, required=True, type=FOLDER, metavar="PHOTO...")
@click.option("--out", type=FOLDER, help="Output folder.  [default: beside each photo]")
@settings_options(
    EnhanceSettings,
    {
        "recursive": "Search sub-folders, too.",
        "skip_existing": "Skip photos whose output file exists.",
        "format": (
            click.Choice(FORMATS),
            "Output format: png16 has 16 bits a channel.",
        ),
        "quality": (click.IntRange(1, 100), "JPEG quality (4:4:4)."),
        "keep_metadata": "Keep all EXIF data, even position and serials.",
        "tile": (
            click.IntRange(min=16),
            "Tile size, px, to bound memory.  [default: 1024 above 4 megapixels, on a "
            "CPU]",
        ),
        "device": "Device: auto, cpu or cuda.",
        "max_megapixels": "Largest photo to read, by its header.",
    },
)
@json_option
def enhance(
    model: Path,
    photos: tuple[Path, ...],
    *,
    out: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Enhance whole photos with a trained model.

    MODEL is a run folder or generator.pt; PHOTO is a photo of any size or a folder.
    Writes <stem>-enhanced.png (.jpg), replacing the output of an earlier run;
    --skip-existing resumes or adds new photos instead. *-enhanced files are never
    enhanced again.

    Results are upright sRGB and keep the EXIF data that viewers show: time, camera,
    lens, exposure. --tile bounds memory; the result equals that of the whole photo to
    one level of 255.

    \b
    Examples:
      dped-build enhance data/runs/released-dped IMG_0001.jpg
      dped-build enhance generator.pt holiday/ --out enhanced --format jpg
    """
    from dped_build.train.enhancing.enhance import enhance_files

    settings = EnhanceSettings(**options)
    with Progress("photos", quiet=as_json) as progress:
        result = enhance_files(
            model, photos, out=out, settings=settings, progress=progress
        )
    if as_json:
        echo_json(result)
    else:
        for message in result.notes.values():
            echo_warning(f"note: {message}")
        for message in result.failed.values():
            echo_warning(f"failed: {message}")
        click.echo("\n".join(summary_lines(result)))
        if result.written:
            before = photos[0] if photos[0].is_dir() else photos[0].parent
            when = "" if out else ", with --out FOLDER"
            told = f"phone={quote(before)} enhanced={quote(out or Path('FOLDER'))}"
            click.echo(f"(next{when}: dped-build study {told})")
    if not result.written and not result.skipped:
        why = "; rename *-enhanced files to enhance them again"
        raise DpedBuildError(
            f"no photo was enhanced{why if result.passed_over else ''}"
        )


def summary_lines(result: "EnhancedFiles") -> list[str]:
    """The outcome of all photos in a few lines, without failures."""
    lines = [f"→ {path}" for path in result.written[:LISTED_PICTURES]]
    more = len(result.written) - LISTED_PICTURES
    lines += [f"  … and {more} more"] if more > 0 else []
    earlier = len(result.passed_over)
    counts = {
        "enhanced": len(result.written),
        "kept as before": len(result.skipped),
        f"earlier result{'s' if earlier > 1 else ''} passed over": earlier,
        "failed": len(result.failed),
    }
    return [*lines, ", ".join(f"{n} {what}" for what, n in counts.items() if n)]

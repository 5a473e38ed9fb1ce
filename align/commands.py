"""The command `dped-build align`."""

import functools
import json
from pathlib import Path
from typing import Any

import click

from dped_build.align.console import (
    FOLDER,
    Progress,
    announce,
    echo_reasons,
    new,
    quote,
    settings_options,
    stage_options,
    start_no_blas_threads,
    where,
)
from dped_build.align.errors import DpedBuildError
from dped_build.align.settings import COLORS, CROP_FORMATS, AlignSettings
from dped_build.align.words import counted


@click.command()
@click.argument("phone_dir", type=FOLDER)
@click.argument("dslr_dir", type=FOLDER)
@settings_options(
    AlignSettings,
    {
        "crops": (click.Choice(CROP_FORMATS), "Format of the crops for people."),
        "color": (click.Choice(COLORS), "srgb converts embedded ICC profiles."),
        "max_megapixels": (float, "Larger photos are refused by their header."),
        "min_inliers": (click.IntRange(min=4), "Matches that one homography explains."),
        "min_overlap": (click.FloatRange(0, 1), "Share of the phone photo."),
    },
)
@click.option("--no-probe", is_flag=True, help="Go on although almost no pair aligns.")
@stage_options
def align(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workspace: Path,
    no_probe: bool,
    jobs: int | None,
    backend: str,
    max_memory_gb: float | None,
    force: bool,
    rehash: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Align photos of the same names: PHONE_DIR/0001.jpg with DSLR_DIR/0001.jpg.

    Each pair gets a homography from SIFT keypoints and is cropped to what both photos
    show. Photos that do not match are recorded with the reason. Run it again to add
    photos or to go on after an interruption.

    \b
    Example:
      dped-build align raw/iphone raw/canon
    """
    start_no_blas_threads()
    from dped_build.align import align_folders

    with Progress("pairs", quiet=as_json) as progress:
        summary = align_folders(
            phone_dir,
            dslr_dir,
            workspace=workspace,
            settings=AlignSettings(**options),
            jobs=jobs,
            backend=backend,
            max_memory_gb=max_memory_gb,
            force=force,
            rehash=rehash,
            probe=not no_probe,
            dry_run=dry_run,
            announce=functools.partial(announce, as_json=as_json, dry_run=dry_run),
            progress=progress,
        )
    if summary is None:
        return
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        click.echo(
            f"{summary.aligned:,} of {counted(summary.pairs, 'pair')} aligned"
            f"{'' if force else new(summary.newly_done)}"
        )
        echo_reasons(summary.reasons)
        if summary.swapped:
            click.echo(
                "Most pairs look swapped: the DSLR has fewer pixels than the phone. "
                f"Try: dped-build align {quote(dslr_dir)} {quote(phone_dir)} --force"
                f"{where(workspace)}"
            )
        following = f"  (next: dped-build patches{where(workspace)})"
        click.echo(f"→ {summary.folder}{following if summary.aligned else ''}")
    if not summary.aligned:
        raise DpedBuildError(_nothing_aligned(summary.pairs))


def _nothing_aligned(pairs: int) -> str:
    if not pairs:
        return (
            "no photo has a partner of the same name in the other folder; name both "
            "photos of a scene alike (0001.jpg and 0001.jpg)"
        )
    return f"none of {counted(pairs, 'pair')} aligned; dped-build report shows why"

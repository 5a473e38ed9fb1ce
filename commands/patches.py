"""The command `dped-build patches`."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dped_build.commands.console import (
    announce,
    echo_json,
    echo_reasons,
    echo_warning,
    new,
    no_blas_threads,
    settings_options,
    stage_options,
)
from dped_build.commands.workspaces import where
from dped_build.parallel.executor import Workers
from dped_build.patches.settings import COMPRESSIONS, RULES, PatchSettings
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted

if TYPE_CHECKING:
    from dped_build.patches.build import PatchSummary


cutting_options = settings_options(  # how windows are placed, chosen and stored
    PatchSettings,
    {
        "rule": (
            click.Choice(RULES),
            "How windows are placed and accepted. paper: the DPED paper's method, for "
            "comparison: it shifts and rotates the phone window; NCC alone decides.",
        ),
        "min_corr": "Smallest NCC of the stored patches.",
        "size": "Side length of the patches, px.",
        "max_sigma": "Largest position uncertainty, phone px; 0: neither it nor "
        "--max-depth.",
        "max_depth": "Largest shift within a window (depth, motion), px; 0: no test.",
        "min_valid": "Smallest share of valid pixels (neither hidden, moved nor at "
        "another depth); 0: no test.",
        "max_shift": "Largest shift in x or y, phone px; at most 5 with --rule paper.",
        "max_rotation": "Largest rotation, degrees.",
        "min_std": "Smallest contrast (standard deviation), grey levels.",
        "min_sharpness_ratio": "Smallest ratio of DSLR to phone detail; 0: no test.",
        "min_color_fit": "Smallest PSNR after a colour fit, dB; 0: no test.",
        "max_clipped": "Largest share of clipped pixels; 1: no test.",
        "max_per_photo": "Most patches per photo, spread over it; 0: all.",
        "test_photos": "Scenes in the test split.  [default: 10 %, at most 100]",
        "val_photos": "Scenes in the val split.  [default: 5 %, at most 100]",
        "split_seed": "Random seed of the split.",
        "compress": (click.Choice(COMPRESSIONS), "Compression of the pixel data."),
    },
)


@click.command()
@cutting_options
@no_blas_threads
@stage_options
def patches(
    *,
    workspace: Path,
    workers: Workers,
    force: bool,
    rehash: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Cut aligned pairs into sub-pixel-aligned patches.

    Each window of the phone photo, never resampled, is located in the DSLR photo by
    sub-pixel shift and rotation, and accepted if the two agree. Every rejected window
    is recorded with a reason. What exclude.csv in the workspace names (pair[,x,y]) is
    left out. --force with another threshold repeats the selection, not the measurement.

    \b
    Example:
      dped-build patches --min-corr 0.9
    """
    from dped_build.patches import build_shards

    with Progress("pairs", quiet=as_json) as progress:
        summary = build_shards(
            workspace,
            settings=PatchSettings(**options),
            workers=workers,
            force=force,
            rehash=rehash,
            dry_run=dry_run,
            announce=functools.partial(announce, as_json=as_json, dry_run=dry_run),
            progress=progress,
        )
    if summary is None:
        return
    if as_json:
        echo_json(summary.to_json())
    else:
        echo_patches(summary, "" if force else new(summary.newly_done))
        echo_following(summary, workspace)
    refuse_nothing_accepted(summary)


def echo_patches(summary: "PatchSummary", note: str) -> None:
    """How many windows are accepted, why the others are not, and the split."""
    total = sum(summary.windows.values())
    click.echo(
        f"{summary.accepted:,} of {counted(total, 'window')} accepted from "
        f"{counted(summary.photos, 'pair')}{note}"
    )
    echo_reasons({k: n for k, n in summary.windows.items() if k != "accepted"})
    for failed in summary.failed:
        click.echo(f"  {failed['pair']}: {failed['message']}")
    counts = ", ".join(f"{k} {v['patches']}" for k, v in summary.splits.items())
    click.echo(f"  patches: {counts}")
    if summary.note:
        echo_warning(f"  {summary.note}")
    if summary.accepted and not summary.splits["train"]["patches"]:
        told = "shorten exclude.csv, " if "excluded" in summary.windows else ""
        click.echo(
            "  The train split is empty: lower --test-photos and --val-photos "
            f"(with --force), {told}or add photos."
        )
    elif 2 * summary.splits["train"]["patches"] < summary.accepted:
        shares = ", ".join(
            f"{name} {split['patches'] / summary.accepted:.0%}"
            for name, split in summary.splits.items()
        )
        echo_warning(
            f"  Less than half of the patches are for training ({shares}), as there "
            "are few scenes: add some, or lower --test-photos and --val-photos (with "
            "--force; at --val-photos 0, train holds photos out)."
        )


def echo_following(summary: "PatchSummary", workspace: Path) -> None:
    """Where the patches lie, and what comes next."""
    here = where(workspace)
    following = f"next: dped-build report{here}, dped-build train{here}"
    click.echo(f"→ {summary.folder}  ({following})")


def refuse_nothing_accepted(summary: "PatchSummary") -> None:
    """Fail where no window was accepted (DpedBuildError)."""
    if not summary.accepted:
        report = f"dped-build report{where(summary.folder.parent)}"
        raise DpedBuildError(
            f"{summary.folder}: no window was accepted; {report} shows why"
        )

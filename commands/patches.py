"""The command `dped-build patches`."""

import functools
import json
from pathlib import Path
from typing import Any

import click

from dped_build.commands.console import (
    announce,
    echo_reasons,
    new,
    no_blas_threads,
    settings_options,
    stage_options,
    where,
)
from dped_build.parallel.executor import Workers
from dped_build.patches.settings import COMPRESSIONS, RULES, PatchSettings
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted


@click.command()
@settings_options(
    PatchSettings,
    {
        "rule": (
            click.Choice(RULES),
            "How windows are placed and kept. paper: as DPED's authors did, to compare "
            "with; the phone's window is shifted and turned, and NCC alone decides.",
        ),
        "min_corr": (float, "Smallest NCC of the stored patches."),
        "size": (int, "Side of a patch, px."),
        "max_sigma": (
            float,
            "Largest stated uncertainty, phone px; 0: no test, nor --max-depth.",
        ),
        "max_depth": (
            float,
            "How far a window's parts may lie apart (depth, motion), px; 0: any.",
        ),
        "max_shift": (
            float,
            "Largest shift along x or y, phone px; with --rule paper: at most 5.",
        ),
        "max_rotation": (float, "Largest rotation, degrees."),
        "min_std": (float, "Flatter windows have no NCC, grey levels."),
        "min_sharpness_ratio": (float, "DSLR detail over phone detail; 0: no test."),
        "min_color_fit": (float, "PSNR after a colour fit, dB; 0: no test."),
        "max_clipped": (float, "Share of clipped pixels; 1: no test."),
        "max_per_photo": (int, "Patches per photo, spread out; 0: all."),
        "test_photos": (int, "Scenes for test.  [default: 10 %, at most 100]"),
        "val_photos": (int, "Scenes for val.  [default: 5 %, at most 100]"),
        "split_seed": (int, "Draws another split."),
        "compress": (click.Choice(COMPRESSIONS), "Compression of the pixels."),
    },
)
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
    """Cut aligned pairs into patches that match to a fraction of a pixel.

    Windows of the phone photo are kept as they are; each is found in the DSLR photo by
    sub-pixel shift and rotation, and kept where the two agree. Every window that is
    refused carries its reason. With --force and another threshold only the selection is
    made again, and what it adds is sampled.

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
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        total = sum(summary.windows.values())
        click.echo(
            f"{summary.accepted:,} of {counted(total, 'window')} accepted from "
            f"{counted(summary.photos, 'pair')}"
            f"{'' if force else new(summary.newly_done)}"
        )
        echo_reasons({k: n for k, n in summary.windows.items() if k != "accepted"})
        for failed in summary.failed:
            click.echo(f"  {failed['pair']}: {failed['message']}")
        counts = ", ".join(f"{k} {v['patches']}" for k, v in summary.splits.items())
        click.echo(f"  patches: {counts}")
        if summary.accepted and not summary.splits["train"]["patches"]:
            click.echo(
                "  No patch is for training: lower --test-photos and --val-photos "
                "(with --force), or add photos."
            )
        click.echo(f"→ {summary.folder}  (next: dped-build report{where(workspace)})")
    if not summary.accepted:
        raise DpedBuildError(
            f"{summary.folder}: no window was accepted; dped-build report shows why"
        )

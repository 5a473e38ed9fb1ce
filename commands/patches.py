"""The commands `dped-build patches`, `merge`, `verify` and `diff`."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dped_build.commands.console import (
    FOLDER,
    Progress,
    announce,
    echo_reasons,
    json_option,
    new,
    settings_options,
    stage_options,
    start_no_blas_threads,
    where,
    workspace_option,
)
from dped_build.patches.settings import COMPRESSIONS, RULES, TOLERANCE_PX, PatchSettings
from dped_build.workspace.errors import DpedBuildError
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
@stage_options
def patches(
    *,
    workspace: Path,
    jobs: int | None,
    backend: str,
    max_memory_gb: float | None,
    scheduler: str | None,
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
    start_no_blas_threads()
    from dped_build.patches import build_shards

    with Progress("pairs", quiet=as_json) as progress:
        summary = build_shards(
            workspace,
            settings=PatchSettings(**options),
            jobs=jobs,
            backend=backend,
            max_memory_gb=max_memory_gb,
            scheduler=scheduler,
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


@click.command()
@click.argument("workspaces", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--new-split",
    is_flag=True,
    help="Draw the split anew, as for one set; else nobody changes sides.",
)
@click.option("--force", is_flag=True, help="Replace what others were merged into.")
@json_option
@workspace_option
def merge(
    workspaces: tuple[Path, ...],
    *,
    workspace: Path,
    new_split: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make one workspace of several: sessions of one phone with one DSLR.

    Alignments, crops, measured windows, patches, splits and exclude.csv go over;
    nothing is computed again, and the sources stay as they are. Where names of pairs
    come twice, every pair gets its workspace's name in front: day1-0001, day2-0001.

    \b
    Example:
      dped-build merge data/day1 data/day2 -w data/both-days
    """
    start_no_blas_threads()
    from dped_build.curate.merge import merge_workspaces

    found = merge_workspaces(workspaces, workspace, new_split=new_split, force=force)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for line in found.lines():
            click.echo(line)
        left = found.aligned - (found.cut or 0)
        following = "patches" if left else "report"
        click.echo(f"→ {workspace}  (next: dped-build {following}{where(workspace)})")
    if not found.aligned:
        raise DpedBuildError(f"{workspace}: no pair is aligned in these workspaces")


@click.command()
@click.argument("folder", type=FOLDER, required=False)
@json_option
@workspace_option
def verify(*, workspace: Path, folder: Path | None, as_json: bool) -> None:
    """Read everything again: checksums, counts, NCC of a sample, training runs.

    FOLDER is a workspace (default: --workspace), or a single folder of shards or of a
    training run, wherever it stands. What is unfinished is said, and is no damage.

    \b
    Examples:
      dped-build verify
      dped-build verify imported-patches
    """
    from dped_build.curate.verify import verify_workspace

    with Progress("MiB", quiet=as_json) as progress:
        found = verify_workspace(folder or workspace, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    for line in [] if as_json else [*found.notes, *found.damage]:
        click.echo(line)
    if found.damage:
        raise DpedBuildError(f"{len(found.damage)} damaged; see the list above")
    if not as_json:
        runs = f", {counted(found.runs, 'training run')}" if found.runs else ""
        told = f"{found.files} files, {found.patches} sampled patches{runs}"
        click.echo(f"{told}: as stated")


@click.command()
@click.argument("a", type=FOLDER)
@click.argument("b", type=FOLDER)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=TOLERANCE_PX,
    show_default=True,
    help="Corners that moved no further count as equal, DSLR px.",
)
@click.option("--exit-code", is_flag=True, help="Exit 1 where anything differs.")
@json_option
def diff(*, a: Path, b: Path, tolerance: float, exit_code: bool, as_json: bool) -> None:
    """List what workspace B gained, lost and moved against workspace A.

    Aligned pairs by the corners of their intersection, accepted windows by the corners
    of their patches, both in the DSLR photo.

    \b
    Example:
      dped-build diff data another-machines-data
    """
    from dped_build.curate.diff import compare_workspaces

    found = compare_workspaces(a, b, tolerance_px=tolerance)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for line in found.lines():
            click.echo(line)
    if found and exit_code:
        raise DpedBuildError(f"{a} and {b} differ")

"""The command `dped-build build`."""

import functools
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.commands.align import (
    announce_pairs,
    echo_aligned,
    echo_odd_pairs,
    matching_options,
    pairing_options,
    probe_option,
    refuse_nothing_aligned,
)
from dped_build.commands.console import echo_json, new, no_blas_threads, stage_options
from dped_build.commands.patches import (
    cutting_options,
    echo_following,
    echo_patches,
    refuse_nothing_accepted,
)
from dped_build.commands.workspaces import FOLDER
from dped_build.parallel.executor import Workers
from dped_build.patches.settings import PatchSettings
from dped_build.workspace.terminal import Progress


@click.command()
@click.argument("phone_dir", type=FOLDER)
@click.argument("dslr_dir", type=FOLDER)
@matching_options
@cutting_options
@no_blas_threads
@pairing_options
@probe_option
@stage_options
def build(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workspace: Path,
    pairing: PairingSettings,
    no_probe: bool,
    workers: Workers,
    force: bool,
    rehash: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Align photos and cut them into patches in one pass.

    Writes the very files of align and patches, but reads each photo once, which counts
    with HEIC and RAW. It takes the options of both, also from their tables in
    dped-build.toml; each of the two goes on where it stopped.

    \b
    Example:
      dped-build build raw/iphone raw/canon
    """
    from dped_build.patches.one_pass import align_and_cut

    own = {field.name for field in fields(AlignSettings)}
    with (
        Progress("photos looked at", quiet=as_json) as pairing_progress,
        Progress("pairs", quiet=as_json) as progress,
        Progress("pairs left to cut", quiet=as_json) as cutting_progress,
    ):
        done = align_and_cut(
            phone_dir,
            dslr_dir,
            workspace=workspace,
            align=AlignSettings(**{k: v for k, v in options.items() if k in own}),
            pairing=pairing,
            cut=PatchSettings(**{k: v for k, v in options.items() if k not in own}),
            workers=workers,
            force=force,
            rehash=rehash,
            probe=not no_probe,
            dry_run=dry_run,
            announce=functools.partial(
                announce_pairs, as_json=as_json, dry_run=dry_run
            ),
            progress=progress,
            pairing_progress=pairing_progress,
            cutting_progress=cutting_progress,
        )
    if done is None:
        return
    if as_json:
        shards = done.patches and done.patches.to_json()
        echo_json({"align": done.aligned, "patches": shards})
    else:
        note = "" if force else new(done.newly_done)
        echo_aligned(done.aligned, note)
        echo_odd_pairs(done.aligned, phone_dir, dslr_dir, workspace)
    refuse_nothing_aligned(done.aligned, pairing)
    if done.patches:
        if not as_json:
            echo_patches(done.patches, note)
            echo_following(done.patches, workspace)
        refuse_nothing_accepted(done.patches)

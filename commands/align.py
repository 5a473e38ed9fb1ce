"""The command `dped-build align`."""

import functools
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dped_build.align.settings import (
    CROP_FORMATS,
    MAX_REDUCTION,
    PAIRINGS,
    AlignSettings,
    PairingSettings,
)
from dped_build.commands.console import (
    announce,
    camera_options,
    echo_json,
    echo_reasons,
    echo_warning,
    new,
    no_blas_threads,
    one_record,
    settings_options,
    stage_options,
)
from dped_build.commands.workspaces import FOLDER, where
from dped_build.parallel.executor import Workers
from dped_build.photos.formats import PREFERENCES
from dped_build.photos.settings import COLORS
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import counted, quote

if TYPE_CHECKING:
    from dped_build.align.pairing.by_name import FoundPairs, Pair
    from dped_build.align.plan import AlignPlan
    from dped_build.align.summary import AlignSummary

BY_NAME = "by name"
SHOWN = 20  # pairs and leftovers of a dry run; of more, the first and the last


pairing_options = one_record(  # how photos find their partners
    "pairing",
    PairingSettings,
    settings_options(
        PairingSettings,
        {
            "pair_by": (
                click.Choice(PAIRINGS),
                "Pair by file name, position in the folder, EXIF time or content.",
            ),
            "pairs_csv": (
                click.Path(path_type=Path, exists=True, dir_okay=False),
                "CSV of pairs, with the columns phone,dslr.",
            ),
            "clock_offset_s": "DSLR clock minus phone clock, seconds.  "
            "[default: estimated]",
            "time_tolerance_s": (
                click.FloatRange(min=0),
                "Largest time between the photos of a pair, seconds.",
            ),
            "recursive": "Search sub-folders, too: day1/0001 pairs with day1/0001.",
        },
    ),
    click.option(
        "--prefer",
        type=click.Choice(PREFERENCES),
        help="File to read of a shot that is there as both.  [default: one for all]",
    ),
    click.option(
        "--part",
        metavar="K/N",
        help="Align only the Kth of N parts of the pairs; merge joins the parts.",
    ),
    *camera_options,
)


matching_options = settings_options(  # how photos are read, matched and cropped
    AlignSettings,
    {
        "crops": (click.Choice(CROP_FORMATS), "Format of the cropped previews."),
        "color": (
            click.Choice(COLORS),
            "srgb converts what a photo states; keep: as stored.",
        ),
        "max_megapixels": "Largest photo to read, by its header.",
        "reduce_phone": (
            click.IntRange(1, MAX_REDUCTION),
            "Read phone photos at one Nth of their size (48 MP and more, zoom).",
        ),
        "min_inliers": (click.IntRange(min=4), "Fewest inliers that accept a pair."),
        "min_overlap": (
            click.FloatRange(0, 1),
            "Smallest share of the phone photo in view.",
        ),
    },
)
probe_option = click.option(
    "--no-probe", is_flag=True, help="Continue even if hardly any pair aligns."
)


@click.command()
@click.argument("phone_dir", type=FOLDER)
@click.argument("dslr_dir", type=FOLDER)
@matching_options
@no_blas_threads
@pairing_options
@probe_option
@stage_options
def align(
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
    """Align the photos of two cameras.

    PHONE_DIR/0001.jpg pairs with DSLR_DIR/0001.jpg. If the cameras use other names,
    --pair-by order, time or sequence finds the pairs; --dry-run lists them. Each pair
    gets a homography from SIFT keypoints and is cropped to what both photos show. Pairs
    that do not match are recorded with a reason. Run the command again to add photos or
    to resume.

    \b
    Examples:
      dped-build align raw/iphone raw/canon
      dped-build align raw/iphone raw/canon --pair-by time --dry-run
    """
    from dped_build.align import align_folders

    with (
        Progress("photos looked at", quiet=as_json) as pairing_progress,
        Progress("pairs", quiet=as_json) as progress,
    ):
        summary = align_folders(
            phone_dir,
            dslr_dir,
            workspace=workspace,
            settings=AlignSettings(**options),
            pairing=pairing,
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
        )
    if summary is None:
        return
    if as_json:
        echo_json(summary)
    else:
        echo_aligned(summary, "" if force else new(summary.newly_done))
        echo_odd_pairs(summary, phone_dir, dslr_dir, workspace)
        following = f"  (next: dped-build patches{where(workspace)})"
        click.echo(f"→ {summary.folder}{following if summary.aligned else ''}")
    refuse_nothing_aligned(summary, pairing)


def echo_aligned(summary: "AlignSummary", note: str) -> None:
    """How many pairs are aligned, and why the others are not."""
    pairs = counted(summary.pairs, "pair")
    click.echo(f"{summary.aligned:,} of {pairs} aligned{note}")
    echo_reasons(summary.reasons)


def echo_odd_pairs(
    summary: "AlignSummary", phone_dir: Path, dslr_dir: Path, workspace: Path
) -> None:
    """What seems to be wrong with the pairs, and what to do about it."""
    if summary.swapped:
        click.echo(
            "Most pairs look swapped: the DSLR has fewer pixels than the phone. "
            f"Try: dped-build align {quote(dslr_dir)} {quote(phone_dir)} --force"
            f"{where(workspace)}. If they are not, the phone enlarges (48 MP and "
            "more, digital zoom): add --reduce-phone 2 --force"
        )
    elif summary.advice and summary.aligned:
        echo_warning(f"Hardly any pair aligns: {summary.advice} --force")
    for one, other in summary.exchanged:
        echo_warning(
            f"{one} and {other} look exchanged: the phone photo of each "
            "matches the DSLR photo of the other"
        )


def refuse_nothing_aligned(summary: "AlignSummary", pairing: PairingSettings) -> None:
    """Fail where no pair aligned, with what to do (DpedBuildError)."""
    if summary.aligned:
        return
    otherwise = f"; {summary.advice} (add --force)" if summary.advice else ""
    if summary.pairs:
        what = f"none of {counted(summary.pairs, 'pair')} aligned"
        what += f"; dped-build report{where(summary.folder.parent)} shows why"
    elif pairing.pair_by != PAIRINGS[0]:
        what = "no photo has a partner in the other folder"
    else:
        what = (
            "no photo has a partner of the same name in the other folder; name both "
            "photos of a scene alike (0001.jpg and 0001.jpg)"
        )
    raise DpedBuildError(f"{what}{otherwise}")


def announce_pairs(plan: "AlignPlan", *, as_json: bool, dry_run: bool) -> None:
    """Say what a run will take; of a dry run also its pairs."""
    found = plan.found
    if as_json:
        if dry_run:
            echo_json(_plan_json(plan))
        return
    for line in plan.seen:
        click.echo(line)
    if dry_run:
        _echo_pairs(found)
    elif found.how != BY_NAME:
        left = counted(len(found.left_over), "photo")
        click.echo(f"{_matched_text(found)}; {left} left over")
    for note in plan.notes:
        click.echo(f"left out, {note}")
    announce(plan, as_json=False, dry_run=dry_run)


def _plan_json(plan: "AlignPlan") -> dict[str, Any]:
    numbers = {
        each.name: getattr(plan, each.name)
        for each in fields(plan)
        if each.name != "found"
    }
    return {
        **numbers,
        "pairing": {"how": plan.found.how, **plan.found.stated},
        "matched": [
            {"pair": pair.name} | {c: p.as_posix() for c, p in pair.photos()}
            for pair in plan.found.matched
        ],
        "left_over": [
            {
                "camera": camera,
                "photo": photo.as_posix(),
                "reason": pair.reason,
                "message": pair.message,
            }
            for pair in plan.found.left_over
            for camera, photo in pair.photos()
        ],
    }


def _matched_text(found: "FoundPairs") -> str:
    return f"{counted(len(found.matched), 'pair')} {found.how}"


def _echo_pairs(found: "FoundPairs") -> None:
    click.echo(_matched_text(found))
    _echo_some([f"{p.name}: {p.phone} ↔ {p.dslr}" for p in found.matched])
    if found.left_over:
        click.echo(f"{counted(len(found.left_over), 'photo')} left over")
        _echo_some([_left_text(pair) for pair in found.left_over])


def _left_text(pair: "Pair") -> str:
    ((camera, photo),) = pair.photos()
    who = {"phone": "phone", "dslr": "DSLR"}[camera]
    return f"{who} {photo.as_posix()} ({pair.reason}): {pair.message}"


def _echo_some(lines: Sequence[str]) -> None:
    """All lines where few, else the first and the last."""
    if len(lines) > SHOWN:
        half = SHOWN // 2
        hidden = f"… {len(lines) - 2 * half:,} more (--json shows all)"
        lines = [*lines[:half], hidden, *lines[-half:]]
    for line in lines:
        click.echo(f"  {line}")

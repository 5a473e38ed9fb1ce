"""What folders of photos hold, before anything is aligned: for `doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dped_build.align.pairing.edits import find_edits
from dped_build.align.pairing.find import find_pairs, list_both
from dped_build.align.plan import AlignPlan, estimate, other_pairing
from dped_build.align.settings import AlignSettings, PairingSettings
from dped_build.align.survey import survey, survey_folder
from dped_build.align.worker import PairWork
from dped_build.parallel.executor import Workers
from dped_build.photos.listing import look_into
from dped_build.workspace.plan import OnProgress


@dataclass(frozen=True)
class FolderView:
    """One folder of photos.

    Attributes:
        seen: Kinds, sizes, colours and times, in a line.
        left_out: What of it no photo is, and edits and copies, for people.
    """

    seen: str
    left_out: Sequence[str]


def look_at_folder(
    folder: Path, *, progress: OnProgress = lambda done, total: None
) -> FolderView:
    """What one folder holds.

    Raises:
        UsageError: There is no such folder.
    """
    listing = look_into(folder, recursive=False, prefer=None)
    photos = [photo.relative_to(folder) for photo in listing.photos]
    edits = find_edits({"phone": folder, "dslr": folder}, {"phone": photos, "dslr": []})
    kept = [photo for photo in photos if ("phone", photo) not in edits]
    notes = [f"{photo}: {what}" for (_, photo), what in edits.items()]
    seen = survey_folder(folder, kept, progress=progress)
    return FolderView(seen, [*listing.notes(), *notes])


def look_at_both(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workers: Workers,
    progress: OnProgress = lambda done, total: None,
) -> tuple[AlignPlan, str]:
    """What the folders of two cameras hold, paired by name, and what `align` would do.

    Returns:
        The plan of a dry run, and which other pairing may fit where none is paired.

    Raises:
        UsageError, DpedBuildError: As of `align_folders`.
    """
    roots = {"phone": phone_dir, "dslr": dslr_dir}
    settings, pairing, workspace = AlignSettings(), PairingSettings(), Path()
    listed = list_both(roots, workspace=workspace, pairing=pairing)
    found = find_pairs(
        roots,
        listed,
        pairing=pairing,
        settings=settings,
        workers=workers,
        workspace=workspace,
    )
    plan = estimate(
        found, found.matched, roots, settings, workers.jobs, work=PairWork()
    )
    seen = survey(found.pairs, roots, progress=progress)
    advice = "" if found.matched else other_pairing(found, roots, pairing)
    return replace(plan, notes=listed.notes(), seen=seen), advice

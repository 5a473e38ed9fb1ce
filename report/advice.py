"""What deserves a look, in plain words: the numbers of the report in, advice out."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from dped_build.report.labels import reason_text
from dped_build.report.record import (
    Advice,
    Frame,
    NamedPair,
    PairCounts,
    PairRow,
    PatchCounts,
    Report,
    TrainingRun,
    WindowCounts,
)
from dped_build.report.statistics import MUCH_CLIPPED, NOT_JUDGED
from dped_build.report.what_if import MASKED
from dped_build.workspace.text import counted

FEW_NAMES = 5
FEW = 0.2  # share of the pairs below which the pairing itself is in doubt
STRANGERS = 0.2  # share of pairs without a common scene that deserves a word
POOR = 0.3  # share of accepted windows below which something is wrong with a set
WEAK = 0.6  # of the median share: a photo that gives less might be shot again
CLIPPED = 0.1  # share of patches with MUCH_CLIPPED pixels that deserves a word
ROUGH_PX = 3.0  # RMSE of a homography that is not one; good ones reach 1 px
STOPPED = 0.1  # share of the windows beyond which the search limit deserves a word
MASKABLE = 0.1  # share of the refused windows beyond which masks deserve a word
LOST_TO_DEPTH = ("low_valid", "depth_edge", "uncertain")
DEEP_LOSS = 0.1  # share of the windows lost to depth that deserves a word
DEEP_PX = 5.0  # parallax of the median photo; lenses alone reach some px
RINGS = (0.0, 0.4), (0.7, 1.0)
LENS_PX = 1.0  # shorter shifts in the corners need no word
DIFFERENT_SCENES = ("too_few_matches", "too_few_inliers", "implausible_homography")


def advice_on(report: Report) -> list[Advice]:
    """Everything that deserves a look, the set as a whole first."""
    texts = pairing_warnings(report.pairs, report.patches)
    texts += exclusion_warnings(report)
    if report.windows is not None:
        texts += window_warnings(report.windows)
    texts += split_warnings(report) + run_warnings(report.runs)
    whole = [Advice(text) for text in texts]
    if report.windows is not None:
        whole += depth_warnings(report.windows, report.table)
    return whole + photo_warnings(report.table) + lost_pairs(report.table)


def pairing_warnings(pairs: PairCounts, patches: PatchCounts | None) -> list[str]:
    """Whether the photos belong together at all."""
    texts = []
    strange = sum(pairs.lost_in_alignment.get(name, 0) for name in DIFFERENT_SCENES)
    if not pairs.records:
        pass  # imported patches
    elif pairs.paired == 0:
        texts.append("No photo has a partner: do the two folders show the same scenes?")
    elif pairs.aligned < FEW * pairs.paired:
        texts.append(
            f"Only {pairs.aligned:,} of {counted(pairs.paired, 'pair')} aligned: "
            "the names may pair photos of different scenes"
        )
    elif strange > STRANGERS * pairs.paired:
        texts.append(
            f"{strange:,} of {counted(pairs.paired, 'pair')} show different scenes: "
            "do their names pair the right photos?"
        )
    for camera, colors in (("phone", pairs.phone_colors), ("DSLR", pairs.dslr_colors)):
        if len({look(color) for color in colors}) > 1:
            told = ", ".join(f"{count:,} {name}" for name, count in colors.items())
            texts.append(
                f"The {camera} photos state several colour spaces: {told}; were all "
                "taken with the same settings?"
            )
    if patches is not None and patches.pairs_not_aligned_now:
        count = counted(patches.pairs_not_aligned_now, "pair")
        texts.append(
            f"{count} cut from an earlier alignment: run dped-build patches again"
        )
    if patches is not None and patches.pairs_not_cut_yet:
        count = counted(patches.pairs_not_cut_yet, "aligned pair")
        texts.append(f"{count} not cut yet: run dped-build patches again")
    return texts


def look(color: str) -> str:
    """What of a recorded colour space makes photos look alike: not what states it."""
    space, _, by = color.rpartition(" (")
    return by if by == "developed)" else space


def exclusion_warnings(report: Report) -> list[str]:
    """Whether `exclude.csv` names what is there, and the shards heed it."""
    texts = []
    strangers = [line.pair for line in report.excluded if not line.known]
    if strangers:
        names = ", ".join(strangers[:FEW_NAMES])
        texts.append(
            f"exclude.csv names {counted(len(strangers), 'photo')} not in this set: "
            f"{names}"
        )
    still = 0 if report.patches is None else report.patches.excluded_still
    made = report.made_with.patches
    if still and made is not None:
        texts.append(
            f"The shards still hold {counted(still, 'patch', 'patches')} that "
            "exclude.csv names (training skips them): run "
            f"{made.command} --force"
        )
    return texts


def window_warnings(windows: WindowCounts) -> list[str]:
    """How many windows are kept, where they lie, and what they show."""
    limits, frame = windows.limits, windows.frame
    if limits is None:
        return []  # imported: nobody knows
    texts = []
    share = windows.accepted_share
    if windows.judged > 0 and share < POOR:
        reason = next((r for r in windows.reasons if r not in NOT_JUDGED), None)
        most = f"; most failed as {reason}: {reason_text(reason)}" if reason else ""
        texts.append(f"Only {share:.1%} of the windows were accepted{most}")
    if limits.share > STOPPED and windows.rule != "paper":  # it ends at 5 px
        option = "shift" if limits.shift >= limits.rotation else "rotation"
        texts.append(
            f"{limits.share:.0%} of the windows stop at the search limit: run "
            f"dped-build patches with a larger --max-{option}"
        )
    if windows.clipped_share > CLIPPED:
        texts.append(
            f"{windows.clipped_share:.0%} of the accepted windows have more than "
            f"{MUCH_CLIPPED:.0%} of their pixels clipped: see --max-clipped"
        )
    inner, outer = (_shift_length(frame, ring) for ring in RINGS)
    if inner is not None and outer is not None and outer > max(2 * inner, LENS_PX):
        texts.append(
            f"Shifts grow toward the corners ({inner:.1f} to {outer:.1f} px): lens "
            "distortion"
        )
    return texts


def depth_warnings(windows: WindowCounts, table: Sequence[PairRow]) -> list[Advice]:
    """What depth in front of the cameras costs, and what masks would save."""
    if windows.limits is None or windows.judged == windows.accepted:
        return []  # imported: nobody knows
    refused = windows.judged - windows.accepted
    gain = _masked_gain(windows)
    masks = f"run dped-build patches --force --min-valid {MASKED:g}"
    lost = sum(windows.reasons.get(reason, 0) for reason in LOST_TO_DEPTH)
    spreads = [row.parallax_px for row in table if row.parallax_px is not None]
    middle = median(spreads) if spreads else 0.0
    if middle > DEEP_PX and lost > DEEP_LOSS * windows.judged:
        text = (
            f"{lost / refused:.0%} of the refused windows are lost to depth (median "
            f"parallax {middle:.0f} px): step back or bring the cameras together"
        )
        if gain > 0:
            text += f", or {masks} to keep {gain:,} more, then train --masks"
        return [Advice(text, sort="parallax_px")]
    if gain <= 0 or gain < MASKABLE * refused:
        return []
    text = (
        f"{gain / refused:.0%} of the refused windows show the same in at least "
        f"{MASKED:.0%} of their pixels, and pass otherwise: {masks}, then train --masks"
    )
    return [Advice(text)]


def _masked_gain(windows: WindowCounts) -> int:
    """How many windows more `--min-valid MASKED` would accept."""
    options = [] if windows.what_if is None else windows.what_if.options
    rows = (row for one in options if one.option == "--min-valid" for row in one.values)
    return next((row.change for row in rows if row.value == MASKED), 0)


def split_warnings(report: Report) -> list[str]:
    """Splits without patches, and why."""
    patches = report.patches
    if patches is None:
        return []
    if not patches.stored:
        return ["No patch was accepted: there is nothing to train on"]
    texts = []
    for name, split in patches.splits.items():
        if split.patches or (report.imported and name == "val"):
            continue  # training draws its own val from an imported set's train
        drawn = [row for row in report.table if row.split == name]
        if drawn and all(row.windows and row.excluded == row.windows for row in drawn):
            why = ": exclude.csv takes out all of its photos; keep some, or raise"
        elif drawn:
            named = ", ".join(row.pair for row in drawn[:FEW_NAMES])
            why = f": {named} gave none; try another --split-seed, or raise"
        else:
            why = ": too few scenes; photograph more (3 at least), or raise"
        texts.append(
            f"No {name} patches{why} --{name}-photos"
            if name != "train"
            else "No train patches: lower --test-photos and --val-photos"
        )
    return texts


def run_warnings(runs: Sequence[TrainingRun]) -> list[str]:
    """Runs whose output is further from the DSLR than the phone's photos were."""
    return [
        f"Run {run.name}: best {row.measure} {row.best:.4g}, below the "
        f"{row.phone_unchanged:.4g} of the unchanged phone photos: train longer, or "
        "with another --loss"
        for run in runs
        for row in run.quality
        if row.phone_unchanged is not None and row.best < row.phone_unchanged
    ]


def photo_warnings(table: Sequence[PairRow]) -> list[Advice]:
    """Aligned photos that give little or bad training data."""
    warnings = []
    aligned = [row for row in table if row.status == "aligned"]
    rough = [row for row in aligned if (row.inlier_rmse_px or 0) > ROUGH_PX]
    if rough:
        text = (
            f"{counted(len(rough), 'pair')} aligned only roughly: parallax or motion?"
        )
        said = [(row, f"RMSE {row.inlier_rmse_px:.1f} px") for row in rough]
        warnings.append(_advice(text, said, sort="inlier_rmse_px"))
    sharpness = [r.sharpness_ratio for r in aligned if r.sharpness_ratio is not None]
    soft = sum(ratio < 1 for ratio in sharpness)
    if soft > len(sharpness) / 2:
        middle = median(sharpness)
        text = (
            f"The DSLR shows less fine detail than the phone in {soft:,} of "
            f"{counted(len(sharpness), 'photo')} (median ratio {middle:.2f}): a "
            "network would learn to blur; run dped-build patches --force "
            "--min-sharpness-ratio 1 to keep sharper targets only"
        )
        warnings.append(Advice(text, sort="sharpness_ratio"))
    shares = [
        (r.accepted / r.judged, r)
        for r in aligned
        if r.judged and r.accepted is not None
    ]
    middle = median(share for share, _ in shares) if shares else 0.0
    weak = [(share, row) for share, row in shares if 0 < share < WEAK * middle]
    if weak:
        text = (
            f"{counted(len(weak), 'photo')} may be worth reshooting: far fewer windows "
            f"accepted than elsewhere (median {middle:.0%})"
        )
        weak.sort(key=lambda item: item[0])
        said = [(row, f"{share:.0%} accepted") for share, row in weak]
        warnings.append(_advice(text, said, sort="share"))
    empty = [row for share, row in shares if not share]
    if empty:
        text = f"{counted(len(empty), 'aligned pair')} gave no patches"
        warnings.append(_advice(text, [(row, None) for row in empty], sort="share"))
    return warnings


def lost_pairs(table: Sequence[PairRow]) -> list[Advice]:
    """Photos and pairs that are not used, by reason, most frequent first."""
    by_reason: dict[str, list[PairRow]] = defaultdict(list)
    for row in table:
        if row.status != "aligned":
            by_reason[row.reason or row.status].append(row)
    warnings = []
    for reason, rows in sorted(
        by_reason.items(), key=lambda item: (-len(item[1]), item[0])
    ):
        what = "photo" if rows[0].status == "failed" else "pair"
        text = f"{counted(len(rows), what)} not used: {reason_text(reason)}"
        said = [(row, row.message) for row in rows]
        warnings.append(_advice(text, said, reason=rows[0].reason))
    return warnings


def _advice(
    text: str,
    rows: Sequence[tuple[PairRow, str | None]],
    *,
    reason: str | None = None,
    sort: str | None = None,
) -> Advice:
    return Advice(text, reason, sort, [NamedPair(row.pair, why) for row, why in rows])


def _shift_length(frame: Frame | None, ring: tuple[float, float]) -> float | None:
    """Median length of the cells' mean shifts in a ring around the frame's middle.

    The ring is given as shares of the distance from the middle to the corners.
    """
    if frame is None:
        return None
    lengths = []
    for number, shift in enumerate(frame.mean_shift_px):
        x = (number % frame.columns + 0.5) / frame.columns - 0.5
        y = (number // frame.columns + 0.5) / frame.rows - 0.5
        distance = math.hypot(x, y) / math.hypot(0.5, 0.5)
        if shift is not None and ring[0] <= distance < ring[1]:
            lengths.append(math.hypot(*shift))
    return median(lengths) if lengths else None

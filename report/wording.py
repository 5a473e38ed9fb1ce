"""The report in words: reasons, warnings, and the summary for the terminal."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from textwrap import wrap
from typing import Any

PAIR_REASONS = {
    "unreadable": "the file cannot be read as a photo",
    "truncated": "the file ends too early",
    "too_large": "more pixels than the limit",
    "no_partner": "no photo of the other camera has the same name",
    "ambiguous_partner": "several photos of one camera share the name",
    "too_few_matches": "too little common detail",
    "too_few_inliers": "the common detail does not fit one view",
    "implausible_homography": "the fit is not one of two cameras side by side",
    "small_overlap": "too little of the scene is in both photos",
    "worker_lost": "the process that worked on it was killed, twice",
}
WINDOW_REASONS = {
    "low_ncc": "correlation below the threshold",
    "flat": "too little texture to correlate",
    "uncertain": "the texture does not determine the shift",
    "depth_edge": "parts of the window move differently",
    "shift_limit": "would have to move further than allowed",
    "outside": "partly outside the DSLR photo",
    "soft_target": "the DSLR shows less fine detail than asked for",
    "color_misfit": "the colours differ by more than allowed",
    "clipped": "more clipped pixels than allowed",
    "surplus": "the photo has its share of patches already",
    "excluded": "taken out by exclude.csv",
}
OPTIONS = {
    "--max-sigma": "uncertainty, px, at most",
    "--max-depth": "depth within the window, px, at most",
    "--min-sharpness-ratio": "DSLR detail over the phone's, at least",
    "--min-color-fit": "agreement in colour, dB, at least",
    "--max-clipped": "share of clipped pixels, at most",
    "--max-per-photo": "patches of one photo, at most",
}
FEW_NAMES = 5
FEW = 0.2  # share of the pairs below which the pairing itself is in doubt
BAR = 24  # characters
WIDTH = 80
STOPPED = 0.1  # share of the windows beyond which the search limit deserves a word
RINGS = (0.0, 0.4), (0.7, 1.0)
LENS_PX = 1.0  # shorter shifts in the corners need no word


def reason_text(reason: str) -> str:
    """What a reason code means; the code itself where it is not known."""
    known = PAIR_REASONS | WINDOW_REASONS
    return known.get(reason, reason.replace("_", " "))


def warnings_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What deserves a look, in plain words, each with the pairs it is about."""
    warnings = _set_warnings(report)
    by_reason: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in report["table"]:
        if row["status"] != "aligned":
            by_reason[row["reason"] or row["status"]].append(row)
    for reason, rows in sorted(
        by_reason.items(), key=lambda item: (-len(item[1]), item[0])
    ):
        what = "photo" if rows[0]["status"] == "failed" else "pair"
        text = f"{counted(len(rows), what)} not used: {reason_text(reason)}"
        warnings.append(_warning(text, rows, rows[0]["reason"]))
    empty = [row for row in report["table"] if row["accepted"] == 0]
    if empty:
        text = f"{counted(len(empty), 'aligned pair')} gave no patch at all"
        warnings.append(_warning(text, empty, None))
    return warnings


def _set_warnings(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Warnings about the set as a whole."""
    pairs, patches = report["pairs"], report["patches"]
    texts = []
    strangers = [line["pair"] for line in report["excluded"] if not line["known"]]
    if strangers:
        texts.append(
            f"exclude.csv names {counted(len(strangers), 'photo')} that this set does "
            f"not have: {', '.join(strangers[:FEW_NAMES])}"
        )
    if not pairs["records"]:
        pass  # imported patches
    elif pairs["paired"] == 0:
        texts.append(
            "No photo has a partner: are these two folders of the same scenes?"
        )
    elif pairs["aligned"] < FEW * pairs["paired"]:
        texts.append(
            f"Only {pairs['aligned']:,} of {counted(pairs['paired'], 'pair')} aligned: "
            "the names may pair photos of different scenes"
        )
    if patches is not None and patches["pairs_not_aligned_now"]:
        count = counted(patches["pairs_not_aligned_now"], "pair")
        texts.append(
            f"{count} cut from an earlier alignment: run dped-build patches again"
        )
    texts += window_warnings(report["windows"]) if report["windows"] else []
    if patches is not None and not patches["stored"]:
        texts.append("No patch was accepted: there is nothing to train on")
    elif patches is not None:
        empty = [
            name
            for name, split in patches["splits"].items()
            if not split["patches"] and not (report["imported"] and name == "val")
        ]  # training draws its own val from an imported set's train
        if empty:
            texts.append(f"No patches in the split {' and '.join(empty)}")
    return [{"text": text, "reason": None, "pairs": []} for text in texts]


def window_warnings(windows: dict[str, Any]) -> list[str]:
    """Warnings about where the windows were found."""
    limits, frame = windows["limits"], windows["frame"]
    if limits is None or frame is None:
        return []  # imported: nobody knows
    texts = []
    if limits["share"] > STOPPED:
        option = "shift" if limits["shift"] >= limits["rotation"] else "rotation"
        texts.append(
            f"{limits['share']:.0%} of the windows stop at the search limit: raise "
            f"--max-{option} of dped-build patches"
        )
    inner, outer = (_shift_length(frame, ring) for ring in RINGS)
    if inner is not None and outer is not None and outer > max(2 * inner, LENS_PX):
        texts.append(
            f"Shifts grow toward the corners ({inner:.1f} to {outer:.1f} px): a lens "
            "distorts"
        )
    return texts


def _shift_length(frame: dict[str, Any], ring: tuple[float, float]) -> float | None:
    """Median length of the cells' mean shifts in a ring around the frame's middle.

    The ring is given as shares of the distance from the middle to the corners.
    """
    columns, rows = frame["columns"], frame["rows"]
    lengths = []
    for number, shift in enumerate(frame["mean_shift_px"]):
        x = (number % columns + 0.5) / columns - 0.5
        y = (number // columns + 0.5) / rows - 0.5
        if (
            shift is not None
            and ring[0] <= math.hypot(x, y) / math.hypot(0.5, 0.5) < ring[1]
        ):
            lengths.append(math.hypot(*shift))
    return median(lengths) if lengths else None


def _warning(
    text: str, rows: Sequence[dict[str, Any]], reason: str | None
) -> dict[str, Any]:
    named = [{"pair": row["pair"], "message": row["message"]} for row in rows]
    return {"text": text, "reason": reason, "pairs": named}


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def summary_text(report: dict[str, Any]) -> str:
    """The report on one terminal screen, at most 24 lines of 80 characters."""
    lines = [f"{report['phone_camera']} | {report['dslr_camera']}", ""]
    lines += _pair_lines(report) + _window_lines(report) + _patch_lines(report)
    for warning in [w for w in report["warnings"] if not w["pairs"]][:3]:
        lines += wrap(f"! {warning['text']}", WIDTH, subsequent_indent="  ")[:2]
    if not report["runs"]:
        lines.append("no training run yet: run dped-build train")
    lines += [_run_line(run) for run in report["runs"][:4]]
    return "\n".join(_printable(line)[:WIDTH].rstrip() for line in lines)


def _pair_lines(report: dict[str, Any]) -> list[str]:
    pairs = report["pairs"]
    if not pairs["records"]:
        return ["patches made elsewhere: no photos, no windows to judge"]
    lost = pairs["lost_before_pairing"] | pairs["lost_in_alignment"]
    return [
        _line("photo pairs", pairs["paired"], None),
        _line("aligned", pairs["aligned"], pairs["paired"]),
        _reasons(lost),
    ]


def _window_lines(report: dict[str, Any]) -> list[str]:
    windows = report["windows"]
    if windows is None:
        return ["no windows yet: run dped-build patches"]
    if report["imported"]:
        return []
    other = (
        f"{row['value']:.2f} {row['share']:.0%}"
        for row in windows["what_if"]["min_corr"]
    )
    sigma = windows["accepted_spread"].get("sigma_px")
    lines = [
        _line("windows", windows["candidates"], None),
        _line("accepted", windows["accepted"], windows["candidates"]),
        _reasons(windows["reasons"]),
        f"{'at --min-corr':<18}{', '.join(other)}",
    ]
    if sigma is not None:
        lines.append(
            f"{'uncertainty':<18}median {sigma['median']:.2f} px, "
            f"95 % {sigma['p95']:.2f} px"
        )
    return lines


def _patch_lines(report: dict[str, Any]) -> list[str]:
    patches = report["patches"]
    if patches is None:
        return []
    splits = (f"{name} {s['patches']:,}" for name, s in patches["splits"].items())
    lines = [
        _line("patches stored", patches["stored"], None),
        _indented(", ".join(splits)),
    ]
    if patches["per_photo"] is not None:
        lines.append(
            f"{'per photo':<16}{patches['per_photo']:>10.1f}"
            f"  DPED: {patches['dped_per_photo']}"
        )
    disk = (f"{name} {size_text(n)}" for name, n in report["disk_bytes"].items())
    return [*lines, f"{'disk used':<18}{', '.join(disk)}"]


def size_text(number: float) -> str:
    """Bytes as people read them, in powers of 1000: `3.4 GB`."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:  # else three digits would say 1000
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def _line(label: str, number: int, whole: int | None) -> str:
    text = f"{label:<16}{number:>10,}"
    if not whole:
        return text
    share = number / whole
    filled = round(share * BAR)
    return f"{text}  {'█' * filled}{'░' * (BAR - filled)} {share:.1%}"


def _reasons(reasons: dict[str, int]) -> str:
    parts = [f"{reason} {count:,}" for reason, count in reasons.items()]
    return _indented(", ".join(parts) if parts else "none lost")


def _indented(text: str) -> str:
    return f"{'':18}{text}"


def _run_line(run: dict[str, Any]) -> str:
    best = ", ".join(
        f"{row['measure']} {row['best']:.4g}" for row in run["quality"][:3]
    )
    scores = f"best {best}" if best else "no scores"
    other = " (other patches)" if run["other_patches"] else ""
    return f"run {run['name']}{other}: {run['iterations']:,} iterations; {scores}"


def _printable(text: str) -> str:
    """No control characters: file names must not command the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)

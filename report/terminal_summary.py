"""The report on one terminal screen."""

from textwrap import wrap

from dped_build.report.record import Report, TrainingRun
from dped_build.workspace.text import size_text

BAR = 24  # characters
WIDTH, HEIGHT = 80, 24
NAMES = 6  # of photos worth a look


def summary_text(report: Report) -> str:
    """The report for the terminal, at most 24 lines of 80 characters."""
    lines = [f"{report.phone_camera} | {report.dslr_camera}", ""]
    lines += _pair_lines(report) + _window_lines(report) + _patch_lines(report)
    runs = [_run_line(run) for run in report.runs[:2]]
    runs = runs or ["no training run yet: run dped-build train"]
    room = HEIGHT - len(lines) - len(runs)
    lines += _notes(report)[:room] + runs
    return "\n".join(_printable(line)[:WIDTH].rstrip() for line in lines)


def _pair_lines(report: Report) -> list[str]:
    pairs = report.pairs
    if not pairs.records:
        where = "made elsewhere" if report.imported else "without their alignment"
        return [f"patches {where}: their photos are unknown"]
    return [
        _line("photo pairs", pairs.paired, None),
        *_reasons(pairs.lost_before_pairing),
        _line("aligned", pairs.aligned, pairs.paired),
        *_reasons(pairs.lost_in_alignment),
    ]


def _window_lines(report: Report) -> list[str]:
    windows = report.windows
    if windows is None:
        return ["no windows yet: run dped-build patches"]
    if report.imported:
        return []
    other = windows.what_if.min_corr if windows.what_if else []
    shares = (f"{row.value:.2f} {row.share:.0%}" for row in other)
    sigma = windows.accepted_spread.get("sigma_px")
    lines = [
        _line("windows", windows.candidates, None),
        _line("accepted", windows.accepted, windows.judged),
        *_reasons(windows.reasons),
        f"{'at --min-corr':<18}{', '.join(shares)}",
    ]
    if sigma is not None:
        lines.append(
            f"{'uncertainty':<18}median {sigma.median:.2f} px, 95 % {sigma.p95:.2f} px"
        )
    return lines


def _patch_lines(report: Report) -> list[str]:
    patches = report.patches
    if patches is None:
        return []
    splits = (f"{name} {s.patches:,}" for name, s in patches.splits.items())
    lines = [
        _line("patches stored", patches.stored, None),
        *_indented(", ".join(splits)),
    ]
    if patches.per_photo is not None:
        lines.append(
            f"{'per photo':<16}{patches.per_photo:>10.1f}"
            f"  DPED: {patches.dped_per_photo}"
        )
    disk = (f"{name} {size_text(n)}" for name, n in report.disk_bytes.items())
    return [*lines, f"{'disk used':<18}{', '.join(disk)}"]


def _notes(report: Report) -> list[str]:
    """What deserves a look: the set, then photos by name."""
    lines = []
    for warning in report.warnings:
        if not warning.pairs:
            lines += wrap(
                f"! {warning.text}",
                WIDTH,
                subsequent_indent="  ",
                max_lines=3,
                break_on_hyphens=False,  # of options
            )
    named = [
        f"{named.pair} ({warning.reason or named.message or 'no patch'})"
        for warning in report.warnings
        for named in warning.pairs[:NAMES]
    ]
    if named:
        text = f"{'look at':<18}{', '.join(named[:NAMES])}"
        lines += wrap(text, WIDTH, subsequent_indent=" " * 18, max_lines=2)
    return lines


def _line(label: str, number: int, whole: int | None) -> str:
    text = f"{label:<16}{number:>10,}"
    if not whole:
        return text
    share = number / whole
    filled = round(share * BAR)
    return f"{text}  {'█' * filled}{'░' * (BAR - filled)} {share:.1%}"


def _reasons(reasons: dict[str, int]) -> list[str]:
    parts = [f"{reason} {count:,}" for reason, count in reasons.items()]
    return _indented(", ".join(parts))


def _indented(text: str) -> list[str]:
    """A text in lines of its own, at most two."""
    space = " " * 18
    return wrap(
        text,
        WIDTH,
        initial_indent=space,
        subsequent_indent=space,
        max_lines=2,
        placeholder=" …",
    )


def _run_line(run: TrainingRun) -> str:
    best = ", ".join(f"{row.measure} {row.best:.4g}" for row in run.quality[:3])
    scores = f"best {best}" if best else "no scores"
    other = " (other patches)" if run.other_patches else ""
    return f"run {run.name}{other}: {run.iterations:,} iterations; {scores}"


def _printable(text: str) -> str:
    """No control characters: file names must not command the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)

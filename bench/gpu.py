"""Every measurement of the trainer on a GPU, each in a process of its own.

Started by `gpu.sh`. A part that fails or runs over its time is told in a line, and the
rest runs; parts come in the order of what one most wants to know, the last ones where
time is left. Figures are written as they come; the report is printed last.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from results import FAILED, LONGEST, Rows, read_rows
from tables import machine, table

BENCH = Path(__file__).parent
RESULTS, KERNELS, LOG, REPORT = "results.jsonl", "kernels.md", "log.txt", "report.md"
SECONDS = 420
PROBE_SECONDS = 120
LEAST = 15  # seconds; with less left, a part is not begun
END = 5  # seconds between asking a part to end and ending it
LAST_BEGUN = 0.6  # of a part's time, after which `train_step` begins no further way
ENOUGH_GB = 24  # of a GPU's memory, for every part
STEP_FIGURES = {  # of train_step's rows: what the report shows, and as what
    "ms": "ms",
    "against_plain": "x plain",
    "limit_ms": "limit, ms",
    "of_limit": "of the limit",
    "peak_mb": "peak, MB",
    "warm_up_s": "warm-up, s",
}
RARE = "compiled fp32,NCHW,reduce-overhead,max-autotune"  # long to compile, or risky
SMALL_STEP = ("--batch-size", "1", "--vgg-width", "1", "--rounds", "1")


@dataclass(frozen=True)
class Part:
    """A process."""

    name: str
    expected: int  # seconds, on an H200
    limit: int  # seconds
    command: tuple[str, ...]  # a script beside this one, and its options


@dataclass
class Outcome:
    """What became of a part."""

    seconds: float = 0.0
    said: str = "left out: no time"


@dataclass
class Machine:
    """What the parts run on."""

    device: str | None  # None: no GPU, and --small was not asked for
    told: list[str] = field(default_factory=list)  # lines of the report


def planned(options: argparse.Namespace) -> list[Part]:
    """The parts, in their order.

    Raises:
        SystemExit: One was asked for that there is not.
    """
    usual: tuple[str, ...] = ("--rounds", "3", "--without", RARE)
    rare: tuple[str, ...] = ("--rounds", "2", "--ways", RARE)
    if options.small:
        usual = *SMALL_STEP, "--ways", "eager bf16"
        rare = *SMALL_STEP, "--ways", "unfused", "--loss", "mse"
    timed = ["--seconds", f"{options.train_seconds:g}"]
    timed += ["--data", str(options.data)] if options.data else []

    def step(model: str, *more: str) -> tuple[str, ...]:
        return "train_step.py", "--model", model, *more

    def loop(model: str, patches: str) -> tuple[str, ...]:
        return "real_training.py", "--model", model, "--set", patches, *timed

    kernels = "--kernels", str(options.out / KERNELS)
    has_city = options.data and (options.data / "city100").is_dir()
    made = [
        Part("ceilings", 15, 40, ("ceilings.py",)),
        Part("step dped", 90, 130, step("dped", *kernels, *usual)),
        Part("step fast", 60, 100, step("fast", *kernels, *usual)),
        Part("checks", 75, 110, ("agreement.py",)),
        Part("train fast", 60, 80, loop("fast", "dped")),
        Part("train dped", 60, 80, loop("dped", "dped")),
        Part("photos", 35, 60, ("whole_photos.py",)),
        *[Part("city100 fast", 60, 80, loop("fast", "city100"))] * bool(has_city),
        *[Part("city100 dped", 60, 80, loop("dped", "city100"))] * bool(has_city),
        Part("more fast", 70, 120, step("fast", *rare)),
        Part("more dped", 90, 150, step("dped", *rare)),
    ]
    names = [part.name for part in made]
    wanted = options.parts.split(",") if options.parts else names
    for name in wanted:
        if name not in names:
            raise SystemExit(f"gpu.sh: no part {name!r}; there are {', '.join(names)}")
    return [part for part in made if part.name in wanted]


def probe() -> None:
    """Print what torch says of the GPU, as JSON; in a process of its own."""
    import warnings

    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
    said: dict[str, Any] = {"torch": torch.__version__}
    said["why"] = " ".join(" ".join(str(warning.message).split()) for warning in caught)
    if there:
        about = torch.cuda.get_device_properties(0)
        torch.ones(1, device="cuda").sum().item()  # what is_available does not try
        said |= {"gpu": about.name, "gb": about.total_memory / 1e9}
    print(json.dumps(said))


def look_at(*, small: bool) -> Machine:
    """The machine; where there is no GPU that can be used, why."""
    line = [sys.executable, __file__, "--probe"]
    try:
        ran = subprocess.run(
            line, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Machine(None, ["no GPU can be used: torch does not answer"])
    if ran.returncode:
        why = (ran.stderr.strip().splitlines() or ["torch cannot be loaded"])[-1]
        return Machine(None, [f"no GPU can be used: {why[:LONGEST]}"])
    said = json.loads(ran.stdout.strip().splitlines()[-1])
    told = [f"{machine()}, torch {said['torch']}"]
    if small:
        return Machine("cpu", [*told, "--small: in miniature, on the CPU"])
    if "gpu" not in said:
        why = said["why"][:LONGEST] or "torch sees no CUDA device"
        return Machine(None, [*told, f"no GPU: {why}; --small needs none"])
    told.insert(0, f"{said['gpu']}, {said['gb']:.0f} GB")
    if said["gb"] < ENOUGH_GB:
        told.append(f"less than {ENOUGH_GB} GB: what does not fit is told as failed")
    return Machine("cuda", told)


def measure(
    parts: list[Part], options: argparse.Namespace, on: Machine
) -> dict[str, Outcome]:
    """Run the parts as long as there is time."""
    outcomes = {part.name: Outcome() for part in parts}
    until = time.monotonic() + options.seconds
    try:
        for part in parts:
            left = until - time.monotonic() - END
            if on.device is None:
                outcomes[part.name].said = "left out: no GPU"
            elif left >= min(LEAST, part.limit):
                print(f"{part.name}: {part.expected} s", file=sys.stderr, flush=True)
                limit = left if options.small else min(part.limit, left)
                run(part, options, on.device, limit, outcomes[part.name])
    except KeyboardInterrupt:
        on.told.append("interrupted: what was measured until then")
    return outcomes


def run(
    part: Part,
    options: argparse.Namespace,
    device: str,
    limit: float,
    outcome: Outcome,
) -> None:
    """A part to its end, or to the end of its time."""
    script, *more = part.command
    line = [sys.executable, str(BENCH / script), *more, "--device", device]
    line += ["--results", str(options.out / RESULTS), "--part", part.name]
    if script == "train_step.py":
        line += ["--seconds", str(max(int(limit * LAST_BEGUN), 1))]
    else:
        line += ["--work", options.work, *["--small"] * options.small]
    begun = time.monotonic()
    with (options.out / LOG).open("a+", encoding="utf-8", errors="replace") as log:
        log.write(f"\n# {part.name}: {' '.join(line[1:])}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(
            line, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        outcome.said = f"over its {limit:.0f} s, ended"
        try:
            process.wait(limit)
            log.seek(start)
            outcome.said = _ended(process.returncode, log.read())
        except subprocess.TimeoutExpired:
            pass
        finally:
            end(process)
            outcome.seconds = time.monotonic() - begun


def _ended(code: int, log: str) -> str:
    if code == 0:
        return "done"
    last = (log.strip().splitlines() or ["without a word"])[-1].replace("|", "/")
    return f"failed ({code}): {last[:LONGEST]}"


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a part's process and those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def report(
    parts: list[Part],
    outcomes: Mapping[str, Outcome],
    found: Mapping[str, Rows],
    told: list[str],
) -> Iterator[str]:
    """Everything as Markdown, a piece at a time."""
    yield "\n".join(["# The trainer on this machine", "", *(f"- {t}" for t in told)])
    for name, rows in found.items():
        sound = {row: cells for row, cells in rows.items() if FAILED not in cells}
        shown = {key: key for cells in sound.values() for key in cells}
        if "against_plain" in shown:
            shown = STEP_FIGURES
        lines = [
            [row, *(_cell(cells.get(key)) for key in shown)]
            for row, cells in sound.items()
        ]
        failed = [
            f"- {row}: failed: {cells[FAILED]}"
            for row, cells in rows.items()
            if FAILED in cells
        ]
        pieces = [table(["", *shown.values()], lines)] if lines else []
        pieces += ["\n".join(failed)] if failed else []
        yield "\n\n".join([f"## {name}", *pieces])
    lines = [
        [part.name, str(part.expected), f"{outcome.seconds:.0f}", outcome.said]
        for part, outcome in ((part, outcomes[part.name]) for part in parts)
    ]
    yield "## Parts\n\n" + table(("", "expected, s", "taken, s", "outcome"), lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plan(parts: list[Part], seconds: float) -> str:
    """What would be run, as a table."""
    lines = [[part.name, str(part.expected), str(part.limit)] for part in parts]
    lines += [["all", str(sum(part.expected for part in parts)), f"{seconds:g}"]]
    return table(("", "expected, s", "at most, s"), lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="bench/gpu.sh")
    add = made.add_argument
    out, data = Path(os.environ.get("OUT", "gpu-results")), Path(".gpu-data")
    add("--small", action="store_true", help="in miniature, on the CPU")
    add("--plan", action="store_true", help="print the parts and their seconds")
    add("--parts", help="names, with commas between [all]")
    add("--seconds", type=float, default=SECONDS, help=f"of all parts [{SECONDS}]")
    add("--train-seconds", type=float, default=40, help="of a training [40]")
    found = data if data.is_dir() else None
    add("--data", type=Path, metavar="DIR", default=found, help=f"[{data}]")
    add("--out", type=Path, metavar="DIR", default=out, help="[$OUT or gpu-results]")
    add("--probe", action="store_true", help=argparse.SUPPRESS)
    return made


def main() -> None:
    """Measure and print."""
    options = parser().parse_args()
    if options.probe:
        return probe()
    if options.data and not options.data.is_dir():
        raise SystemExit(f"gpu.sh: --data {options.data}: no such folder")
    options.out = options.out.resolve()
    parts = planned(options)
    if options.plan:
        print(plan(parts, options.seconds))
        return None
    options.out.mkdir(parents=True, exist_ok=True)
    for name in (RESULTS, KERNELS, LOG, REPORT):
        (options.out / name).unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()
    on = look_at(small=options.small)
    options.seconds -= time.monotonic() - begun
    with tempfile.TemporaryDirectory() as options.work:
        outcomes = measure(parts, options, on)
    found = read_rows(options.out / RESULTS)
    text = "\n\n".join(report(parts, outcomes, found, on.told)) + "\n"
    (options.out / REPORT).write_text(text, encoding="utf-8")
    print(text)
    return None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()

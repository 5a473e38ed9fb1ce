"""Many pairs in one run: does memory stay flat, and do files get closed again?

    python bench/load.py --pairs 6000
    python bench/load.py --pairs 6000 --size 16  # over a million windows

Makes small photo pairs with a known homography, runs `align`, `patches`, `report` and
`verify` on them as a user does, each once more, and samples once a second what the
command and all its workers hold: resident memory and open files.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
from processes import DPED_BUILD
from tables import machine, table

from dped_build.workspace.errors import DpedBuildError

PHONE, DSLR = (256, 192), (352, 264)  # px
EVERY_S = 1.0
QUARTERS = 4
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Watched:
    """What a command and its workers held while it ran."""

    name: str
    code: int = 0
    wall_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)  # all processes, per sample
    largest_mb: float = 0.0  # of one process
    files: list[int] = field(default_factory=list)  # open, all processes, per sample
    said: str = ""

    def quarter(self, values: Sequence[float], number: int) -> float:
        """The median of the samples in the first (0) to last (3) quarter."""
        edges = np.linspace(0, len(values), QUARTERS + 1).astype(int)
        part = values[edges[number] : edges[number + 1]]
        return float(np.median(part)) if len(part) else float("nan")


def write_pairs(folder: Path, count: int, *, seed: int = 0) -> None:
    """`count` pairs of textured photos, the phone's a view into the DSLR's."""
    for camera in ("phone", "dslr"):
        (folder / camera).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    scale = DSLR[0] / PHONE[0] * 0.9
    for number in range(count):
        noise = rng.normal(size=(DSLR[1], DSLR[0], 3)).astype(np.float32)
        scene = sum(
            cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.2, 4, 16)
        )
        dslr = np.clip(128 + 50 * scene / np.std(scene), 0, 255).astype(np.uint8)
        angle = np.deg2rad(rng.uniform(-2, 2))
        turn = scale * np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        middle = (np.array(DSLR) - 1) / 2 - turn @ ((np.array(PHONE) - 1) / 2)
        to_dslr = np.column_stack([turn, middle + rng.uniform(-6, 6, 2)])
        flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        phone = cv2.warpAffine(dslr, to_dslr, PHONE, flags=flags)
        phone = cv2.convertScaleAbs(phone, alpha=rng.uniform(0.7, 1.1), beta=5)
        for camera, photo in (("phone", phone), ("dslr", dslr)):
            path = folder / camera / f"{number:05d}.jpg"
            cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])


def watch(name: str, arguments: Sequence[str | Path]) -> Watched:
    """Run a command of ours to its end, looking at it once a second."""
    found, begun = Watched(name), time.monotonic()
    with tempfile.TemporaryFile() as output:
        command = [DPED_BUILD, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            memory, largest, files = look_at(process.pid)
            found.memory_mb.append(memory)
            found.largest_mb = max(found.largest_mb, largest)
            found.files.append(files)
            time.sleep(EVERY_S)
        output.seek(0)
        found.said = output.read().decode(errors="replace")
    found.code, found.wall_s = process.returncode, time.monotonic() - begun
    return found


def look_at(root: int) -> tuple[float, float, int]:
    """Resident MB of a process and all below it, of the largest, and open files."""
    sizes, files = [0.0], 0
    for pid in family(root):
        try:
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile
        sizes.append(resident * PAGE / 2**20)
    return sum(sizes), max(sizes), files


def family(root: int) -> Iterator[int]:
    """A process and all that it started, directly or not."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].append(int(path.parent.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children[pid]


def row(found: Watched) -> list[str]:
    """One line of the table."""
    memory = [found.quarter(found.memory_mb, n) for n in (1, 3)]
    files = [found.quarter(found.files, n) for n in (1, 3)]
    return [
        found.name,
        str(found.code),
        f"{found.wall_s:.0f}",
        f"{memory[0]:.0f} → {memory[1]:.0f}",
        f"{max(found.memory_mb, default=0):.0f}",
        f"{found.largest_mb:.0f}",
        f"{files[0]:.0f} → {files[1]:.0f}",
    ]


@click.command()
@click.option("--pairs", type=click.IntRange(min=1), default=6000, show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), help="Of align and patches.")
@click.option("--size", type=int, default=32, show_default=True, help="Of windows, px.")
@click.option("--folder", type=click.Path(path_type=Path), help="Kept, where given.")
def main(*, pairs: int, jobs: int | None, size: int, folder: Path | None) -> None:
    """Run everything on many small pairs and print what it held."""
    results: list[Watched] = []
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        if not (place / "phone").is_dir():
            write_pairs(place, pairs)
        for found in load(place, jobs=jobs, size=size):
            click.echo(" | ".join(row(found)), err=True)
            if found.code:
                raise DpedBuildError(f"{found.name} failed: {found.said[-2000:]}")
            results.append(found)
    quarters = "2nd → 4th quarter"
    header = ("command", "exit", "s", f"MB, {quarters}", "peak MB", "largest", "files")
    click.echo(f"{pairs} pairs of {PHONE[0]}x{PHONE[1]} and {DSLR[0]}x{DSLR[1]} px")
    click.echo(table(header, map(row, results)))
    click.echo(machine())


def load(folder: Path, *, jobs: int | None, size: int) -> Iterator[Watched]:
    """Every command, then once more: the second time there is nothing to do."""
    work = ("--workspace", folder / "work")
    cores = ("--jobs", str(jobs)) if jobs else ()
    align = ("align", folder / "phone", folder / "dslr", *work, *cores)
    patches = ("patches", "--size", str(size), *work, *cores)
    for again in ("", ", again"):
        yield watch(f"align{again}", align)
        yield watch(f"patches{again}", patches)
        yield watch(f"report{again}", ("report", *work))
        yield watch(f"verify{again}", ("verify", *work))


if __name__ == "__main__":
    sys.exit(main())

"""What `dped-build doctor` finds out about the machine: cores, memory, disk, GPU.

No finding names the host, the user, or a folder of the user's beyond `~`.
"""

import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from dped_build.workspace.text import size_text

OK, NOTE, WRONG = "ok", "note", "wrong"
WORKER_BYTES = 400e6  # of a worker, with photos of some 30 megapixels together
LITTLE_BYTES = 5e9  # on a disk
CGROUP = Path("/sys/fs/cgroup")
MEMORY_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of version 2 and 1


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    name: str  # of what was looked at
    status: str  # ok; note (less than there could be); wrong (something needed fails)
    found: str  # what is there
    advice: str = ""  # what to do; empty where there is nothing to


def memory(total: float | None, jobs: int) -> Finding:
    """The memory, bytes, held against what so many workers take."""
    if total is None:
        return Finding("Memory", OK, "unknown on this system")
    fits = max(int(total // WORKER_BYTES), 1)
    if fits >= jobs:
        return Finding("Memory", OK, size_text(total))
    advice = f"give --jobs {fits}: a worker takes some 0.4 GB"
    return Finding("Memory", NOTE, size_text(total), advice)


def memory_bytes(cgroup: Path = CGROUP) -> float | None:
    """Of the machine, or of the container where that has less."""
    try:
        total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
    for path in (cgroup / name for name in MEMORY_LIMITS):
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            total = min(total, float(text))
    return total


def disk(workspace: Path) -> Finding:
    """Whether there is room where the workspace is or would be."""
    whole, shown = workspace.absolute(), tilde(str(workspace))
    there = next(folder for folder in (whole, *whole.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "fix the permissions, or name another folder with --workspace"
        return Finding("Workspace", WRONG, f"{shown} cannot be written", advice)
    free = shutil.disk_usage(there).free
    told = f"{shown}: {size_text(free)} free"
    if free < LITTLE_BYTES:
        advice = "free space, or name a folder on another disk with --workspace"
        return Finding("Workspace", NOTE, told, advice)
    return Finding("Workspace", OK, told)


def gpu() -> Finding:
    """The GPU that training and enhancing would use."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about drivers, which the advice is, too
        available = torch.cuda.is_available()
    built = torch.version.cuda
    if available:
        device = torch.cuda.get_device_properties(0)
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        told = f"{device.name}, {size_text(device.total_memory)}"
        told += f", {'bf16' if bf16 else 'no bf16'}, CUDA {built}"
        more = torch.cuda.device_count() - 1
        return Finding("GPU", OK, told + (f"; {more} more" if more else ""))
    if shutil.which("nvidia-smi"):
        advice = "this torch is built for the CPU: see https://pytorch.org/get-started"
        if built:
            advice = f"torch wants CUDA {built}: update the driver"
        return Finding("GPU", NOTE, "there is one, but torch cannot use it", advice)
    return Finding("GPU", OK, "none; everything runs on the CPU, training slowly")


def compiler() -> Finding:
    """What `train --compile` needs; without it, networks run as they are."""
    names = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
    found = next((name for name in names if name and shutil.which(name)), None)
    if found is None:
        advice = "train runs without, slower on a GPU; Debian: apt install g++"
        return Finding("Compiler", NOTE, "no C++ compiler", advice)
    return Finding("Compiler", OK, f"{Path(found).name}, for train --compile")


def loops() -> Finding:
    """Whether the installation could compile the inner loops of `patches`."""
    from dped_build.compiled.loops import are_compiled  # NumPy may be broken

    if are_compiled():
        return Finding("Loops", OK, "compiled")
    advice = "patches takes longer; install gcc, then dped-build again"
    return Finding("Loops", NOTE, "not compiled", advice)


def tilde(text: str) -> str:
    """A text in which the home folder is `~`."""
    home = os.path.expanduser("~")  # noqa: PTH111 - never raises
    return text if len(home) < 2 else text.replace(home, "~")

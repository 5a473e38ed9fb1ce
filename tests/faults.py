"""Faults to inject into commands, and what must hold after any of them."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image
from two_folders import RIG

from dped_build.selftest.simulated_cameras import PhoneLook, photograph
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.stage import SUMS, read_sums, sha256

SCRIPT = Path(sys.executable).with_name("dped-build")
ADDED = ("os.mkdir", "os.rename", "os.link", "os.symlink")  # what takes room
TAKEN = ("os.remove", "os.rmdir")  # what a read-only disk refuses as well


def make_pairs(root, textured, count):
    """`count` pairs that align in `root`/iphone and `root`/canon, of three scenes."""
    for camera in ("iphone", "canon"):
        (root / camera).mkdir(parents=True)
    for seed in range(min(count, 3)):
        photos = photograph(textured(seed, (396, 264)), RIG, PhoneLook(), seed=seed)
        for camera, photo in zip(("iphone", "canon"), photos, strict=True):
            for number in range(seed, count, 3):
                path = root / camera / f"{number:04d}.jpg"
                Image.fromarray(photo).save(path, quality=95)
    return root


def make_patch_pairs(folder, count, *, size=20):
    """`count` pairs of small patches as an import reads them."""
    rng = np.random.default_rng(0)
    for camera in ("iphone", "canon"):
        (folder / camera).mkdir(parents=True)
    for number in range(count):
        patch = rng.integers(0, 200, (size, size, 3), dtype=np.uint8)
        Image.fromarray(patch).save(folder / "iphone" / f"{number}.png")
        Image.fromarray(patch + 20).save(folder / "canon" / f"{number}.png")
    return folder


def tree(folder, but=()):
    """Name → bytes of every file below `folder`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in named.items() if name not in but}


def temporaries(folder):
    """Every temporary file below `folder`."""
    return [str(path) for path in folder.rglob("*") if path.name.startswith("tmp-")]


def leftovers(workspace):
    """What stands in `.dped-build/` beside locks; nothing where all went well."""
    scratch = workspace / SCRATCH
    found = (p.relative_to(scratch).as_posix() for p in scratch.rglob("*"))
    return [name for name in found if name != "lock" and not name.endswith(".lock")]


def assert_whole_or_absent(folder):
    """A published folder stands as its sums state, or does not stand at all."""
    if not folder.exists():
        return
    stated = read_sums(folder)
    found = {name: sha256(folder / name) for name in tree(folder) if name != SUMS}
    assert found == stated


class Command:
    """A `dped-build` at work in a process group of its own, with all it starts."""

    def __init__(self, folder, *arguments, **options):
        self.mark = f"dped-test-{uuid4().hex}"
        folder.mkdir(exist_ok=True)
        self.said = folder / f"{self.mark}.txt"
        env = {**os.environ, "DPED_TEST_MARK": self.mark, **options.pop("env", {})}
        before = options.pop("preexec_fn", lambda: None)

        def begin():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in the background
            before()

        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [str(SCRIPT), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                env=env,
                preexec_fn=begin,
                **options,
            )

    def send(self, number, *, group=False):
        """Signal the command alone, or all its processes as a terminal does."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def wait_for(self, condition, seconds=60):
        """Whether the condition came true while the command was running."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            if condition():
                return True
            time.sleep(0.01)
        return False

    def end(self, seconds=60):
        """Wait for it; returns the exit code."""
        return self.process.wait(seconds)

    def told(self):
        """The lines on stderr that are no progress."""
        lines = self.said.read_text().splitlines()
        return [line for line in lines if not is_progress(line)]

    def processes(self):
        """Ids of all that it started and that still runs, itself included."""
        wanted = f"DPED_TEST_MARK={self.mark}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                dead = "\nState:\tZ" in (entry / "status").read_text()
                if wanted in (entry / "environ").read_bytes() and not dead:
                    found.append(int(entry.name))
        return found

    def workers(self):
        """Ids of its worker processes, forks of it."""
        forks = set(self.processes()) - {self.process.pid}
        return [pid for pid in sorted(forks) if _runs(pid) == _runs(self.process.pid)]

    def leaves_no_process(self, seconds=60):
        """Whether all that it started ends by itself; waits so long at most."""
        until = time.monotonic() + seconds
        while self.processes() and time.monotonic() < until:
            time.sleep(0.05)
        return not self.processes()


def _runs(pid):
    """The command line of a process; nothing of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()


def is_progress(line):
    words = line.split()
    return len(words) == 4 and words[1] == "of" and words[0].isdigit()


def finish(folder, *arguments, **options):
    """Run a command to its end; fails where it does not exit with 0."""
    command = Command(folder, *arguments, **options)
    code = command.end(seconds=300)
    assert code == 0, command.said.read_text()
    return command


def finished_twice(log):
    """Pairs that several of the runs that wrote this log have finished."""
    finished = Counter()
    for line in log.read_text().splitlines() if log.exists() else ():
        with suppress(ValueError):  # a kill tears a line
            event = json.loads(line)
            if event["event"] == "pair":
                finished[event["stage"], event["pair"]] += 1
    return [pair for pair, count in finished.items() if count > 1]


def kill_at_random(command, rng, seconds):
    """SIGKILL at a random instant of the next `seconds`; False where it ended first."""
    try:
        command.end(rng.uniform(0, seconds))
        return False
    except subprocess.TimeoutExpired:
        command.send(signal.SIGKILL)
        command.end()
        return True


class Disk:
    """A disk that fails at the n-th thing that is written below a folder.

    `full`: from then on nothing is taken, deleting works. `read-only`: from then on
    nothing changes. `once`: that one thing fails.
    """

    def __init__(self):
        self.folder = None
        self.counter = itertools.count()
        self.failed = False
        sys.addaudithook(self._audit)

    @contextmanager
    def failing(self, folder, monkeypatch, *, at, kind, number):
        """Fail at operation `at` below `folder` with the error `number`."""
        self.at, self.kind, self.number = at, kind, number
        self.folder, self.counter = str(folder), itertools.count()
        self.failed = False
        fsync = os.fsync

        def failing_fsync(descriptor):
            self._count(f"file {descriptor}")
            fsync(descriptor)

        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", failing_fsync)
                yield
        finally:
            self.folder = None

    def _audit(self, event, arguments):
        if self.folder is None:
            return
        if event == "open":
            path, _, flags = arguments
            if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in ADDED or (event in TAKEN and self.kind == "read-only"):
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and self._below(os.fspath(path)):
            self._count(os.fspath(path))

    def _below(self, path):
        return isinstance(path, str) and str(Path(path).absolute()).startswith(
            self.folder
        )

    def _count(self, what):
        now = next(self.counter)
        if now == self.at or (now > self.at and self.kind != "once"):
            self.failed = True
            raise OSError(self.number, os.strerror(self.number), what)


KINDS = (
    ("full", errno.ENOSPC),
    ("full", errno.EDQUOT),
    ("read-only", errno.EROFS),
    ("once", errno.EIO),
    ("once", errno.ESTALE),
)

"""The folder that an import or an export publishes, wherever it is wanted."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dped_build.patches.build import NAME
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.stage import Stage, opened


def with_name(path: Path) -> Path:
    """The path in full, so that it has a name; links keep theirs where they can."""
    return path.resolve() if ".." in path.parts else path.absolute()


def out_stage(out: Path, form: str) -> Stage:
    """The folder `--out` as a stage, of this format, of the folder that it lies in."""
    whole = with_name(out)
    return Stage(whole.parent, whole.name, form, option="--out")


@contextmanager
def held(stage: Stage) -> Iterator[None]:
    """Hold the folder for one command, and leave nothing else behind."""
    with opened(stage):
        try:
            yield
        finally:
            _tidy(stage)


def _tidy(stage: Stage) -> None:
    """Leave no `.dped-build/` where the folder does not stand in a workspace."""
    scratch = stage.workspace / SCRATCH
    with suppress(OSError):  # a system that keeps open files, or the folder is gone
        if stage.name != NAME and set(scratch.iterdir()) == {scratch / "lock"}:
            (scratch / "lock").unlink()
            scratch.rmdir()

"""Files from strangers run no code and take no memory by what they state."""

import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from strangers import CUT, PEAK, RUN, TINY, finished, told, work

from dped_build.exchange.tensorflow_checkpoint import read_generator
from dped_build.patches import build_shards
from dped_build.train import load_generator, train
from dped_build.train.architecture import Architecture
from dped_build.train.checkpoint import saved_iteration
from dped_build.train.networks import build_generator
from dped_build.train.vgg import load_vgg
from dped_build.workspace.durable import SCRATCH
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import (
    Stage,
)

pytestmark = pytest.mark.usefixtures("one_thread")
__all__ = ["finished", "work"]


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_no_pickle_runs(work, tmp_path):
    marker = tmp_path / "ran"
    evil = {"format": "dped-build/generator", "version": 1, "state": Touch(marker)}
    whole, old = tmp_path / "evil.pt", tmp_path / "old.pth"
    torch.save(evil, whole)
    torch.save(evil, old, _use_new_zipfile_serialization=False)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(evil))
    shutil.copyfile(whole, work / RUN / "checkpoint.pt")
    scipy.io.savemat(tmp_path / "evil.mat", {"layers": np.array([[1, "a"]], object)})
    for read in (
        lambda: load_generator(whole),
        lambda: load_generator(old),
        lambda: saved_iteration(work / RUN / "checkpoint.pt"),
        lambda: train(work / "patches", work / RUN, TINY, resume=True, progress=False),
        *(lambda p=p: load_vgg(p) for p in (whole, old, tmp_path / "bare.pth")),
        lambda: load_vgg(tmp_path / "evil.mat"),
    ):
        with pytest.raises(DpedBuildError) as error:
            read()
        told(error)
    assert not marker.exists()
    torch.load(whole, weights_only=False)
    assert marker.exists()  # it would have


# Memory


def limited(code, *arguments):
    """Run code in a child of bounded address space; its output and peak in kB."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{LIMIT}\n{code}\n{TELL}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    *lines, peak = ran.stdout.splitlines()
    return lines, int(peak)


LIMIT = """import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
from pathlib import Path
from dped_build.workspace.errors import DpedBuildError
def attempt(read, path):
    try:
        print("read", read(path))
    except DpedBuildError as error:
        print("refused" if path.name in str(error) else "unnamed", error)
"""
TELL = """
status = Path("/proc/self/status").read_text().split()
print(status[status.index("VmHWM:") + 1])
"""


def deflated(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            new.writestr(member, old.read(member), zipfile.ZIP_DEFLATED)


def large_models(folder):
    """Files of a few kilobytes that state, or unpack to, gigabytes."""
    sound = build_generator(Architecture("dped", 2, 1))
    content = {"format": "dped-build/generator", "version": 1, "origin": {}}
    for name, change in {
        "channels": {"channels": 10**6},
        "blocks": {"blocks": 10**9},
        "kernel": {"kernel": 10**5},
        "negative": {"channels": -4},
    }.items():
        architecture = Architecture("dped", 2, 1).to_dict() | change
        stated = {"architecture": architecture, "state": sound.state_dict()}
        torch.save(content | stated, folder / f"{name}.pt")
    wide = Architecture("dped", 1024, 1)
    with torch.device("meta"):
        shapes = build_generator(wide).state_dict()
    views = {
        name: torch.zeros(()).expand(value.shape) for name, value in shapes.items()
    }
    stated = {"architecture": wide.to_dict(), "state": views}
    torch.save(content | stated, folder / "views.pt")
    torch.save({"weights": torch.zeros(2**26)}, folder / "zeros")
    deflated(folder / "zeros", folder / "packed.pt")
    (folder / "zeros").unlink()
    buffer = io.BytesIO()
    zeros = np.zeros((2**26, 8), np.uint8)
    scipy.io.savemat(buffer, {"layers": zeros}, do_compression=True)
    (folder / "packed.mat").write_bytes(buffer.getvalue())
    head = struct.pack("<II", 14, 0xFFFFFF00)
    (folder / "stated.mat").write_bytes(buffer.getvalue()[:128] + head)
    return sorted(folder.iterdir())


def test_models_that_state_gigabytes_take_no_memory(tmp_path):
    """The bound of .mat files is brought down here, for a smaller file to break it."""
    files = large_models(tmp_path)
    assert all(path.stat().st_size < 3_000_000 for path in files)
    code = """
from dped_build.train import load_generator, vgg
from dped_build.train.vgg import load_vgg
vgg.LARGEST_MAT = 2**28
for name in sys.argv[1:]:
    path = Path(name)
    if path.suffix == ".pt":
        attempt(load_generator, path)
    attempt(load_vgg, path)
"""
    lines, peak = limited(code, *files)
    assert all(line.startswith("refused") for line in lines), lines
    assert len(lines) == 2 * len(files) - 2
    assert peak < PEAK


def test_a_tensorflow_index_that_states_more_than_its_data_is_refused(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    prefix = tmp_path / "iphone_orig"
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["generator/W1"],
        shape_and_slices=[""],
        tensors=[tensorflow.zeros((9, 9, 3, 64))],
    )
    os.truncate(tmp_path / "iphone_orig.data-00000-of-00001", 1000)
    with pytest.raises(DpedBuildError, match=r"iphone_orig cannot be read") as error:
        read_generator(prefix)
    assert "states more" in str(error.value.__cause__)


def large_documents(work):
    """Nested, long and numberless JSON, and what reads it."""
    nested = b'{"a":' * 100_000
    for name in ("patches/manifest.json", "aligned/local.json"):
        yield name, nested
        yield name, b'{"a": ' + b"9" * 10_000 + b"}"
        yield name, b'{"a": NaN}'
        yield name, b"[]"
        yield name, b"\xff\xfe"
        yield name, None
    for name in ("aligned/alignment.jsonl", f"{RUN}/metrics.jsonl"):
        yield name, nested + b"\n"
        yield name, b'{"pair": Infinity, "iteration": NaN}\n'
        yield name, None


def test_documents_of_any_size_and_depth_are_refused(work):
    """None stands for a gigabyte in one line, which takes no room on the disk."""
    cases = []
    for number, (name, content) in enumerate(large_documents(work)):
        folder = work.with_name(f"case-{number}")
        for part in ("patches", "aligned", RUN):
            shutil.copytree(work / part, folder / part)
        if content is None:
            os.truncate(folder / name, 2**30)
        else:
            (folder / name).write_bytes(content)
        cases.append(folder / name)
    code = """
from dped_build.align.aligned_folder import read_aligned
from dped_build.patches import PatchDataset
from dped_build.train.run_folder import read_metrics
readers = {
    "patches": lambda path: PatchDataset(path.parent),
    "aligned": lambda path: read_aligned(path.parent.parent),
    "r": lambda path: read_metrics(path.parent),
}
for path in map(Path, sys.argv[1:]):
    attempt(readers[path.parent.name], path)
"""
    lines, peak = limited(code, *cases)
    assert [line.split()[0] for line in lines] == ["refused"] * len(cases), lines
    assert peak < PEAK


@pytest.mark.parametrize("name", ["aligned", "patches"])
def test_a_nested_manifest_is_refused_by_its_stage(work, name):
    (work / name / "manifest.json").write_bytes(b'{"a":' * 100_000)
    with pytest.raises(DpedBuildError, match=r"manifest\.json"):
        Stage(work, name, f"dped-build/{name}").manifest()


@pytest.mark.parametrize("name", ["", "patches-work", "patches-build"])
def test_a_link_in_the_scratch_folder_is_refused(work, tmp_path, name):
    outside = tmp_path / "private"
    outside.mkdir()
    (outside / "tmp-mine").write_text("mine")
    os.utime(outside / "tmp-mine", (0, 0))
    if not name:
        shutil.rmtree(work / SCRATCH)
    (work / SCRATCH / name).symlink_to(outside)
    with pytest.raises(DpedBuildError, match="link"):
        build_shards(work, settings=CUT, jobs=1, force=True)
    assert (outside / "tmp-mine").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["tmp-mine"]


def test_a_lock_that_is_a_link_is_refused(work, tmp_path):
    """Opening a lock empties it, and so would empty what it points to."""
    outside = tmp_path / "private.txt"
    outside.write_text("mine")
    (work / SCRATCH / "lock").unlink(missing_ok=True)
    (work / SCRATCH / "lock").symlink_to(outside)
    with pytest.raises(DpedBuildError):
        build_shards(work, settings=CUT, jobs=1, force=True)
    assert outside.read_text() == "mine"

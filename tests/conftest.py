"""What several test modules share."""

import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from two_folders import make_photos

from dped_build.align import align_folders
from dped_build.compiled import loops
from dped_build.patches import PatchSettings, build_shards
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph

# Read when torch is loaded, here and in processes: who waits for a core does not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws without a seed of its own is the same in every run."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photos and reference outputs, which lie beside some checkouts."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DPED_BUILD_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; name it in DPED_BUILD_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def camera_files(shared_data: Path) -> Path:
    """Files of real cameras, whole and cut, which lie beside the photos."""
    folder = shared_data.parent / "cases" / "files"
    if not folder.is_dir():
        pytest.skip(f"no camera files in {folder}")
    return folder


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, goes on as an installation without a C compiler does."""
    return lambda: monkeypatch.setattr(loops, "_library", lambda: None)


@pytest.fixture(params=["compiled", "not compiled"])
def way(request: pytest.FixtureRequest, nothing_compiled: Callable[[], None]) -> None:
    """Tests that use this ask both ways."""
    if request.param == "not compiled":
        nothing_compiled()
    elif not loops.are_compiled():
        pytest.skip("nothing is compiled here")


@pytest.fixture(scope="session")
def textured() -> Callable[[int, tuple[int, int]], NDArray[np.uint8]]:
    """Makes a picture with detail at every scale from a seed and (width, height)."""

    def paint(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        total = np.zeros((size[1], size[0], 3), np.float32)
        for sigma in (1, 2, 4, 8, 16, 32):
            noise = rng.normal(size=total.shape).astype(np.float32)
            smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
            total += smooth / smooth.std()
        return np.clip(128 + 22 * total, 0, 255).astype(np.uint8)

    return paint


def take_pair(
    folder: Path, pair: str, pictures: Sequence[NDArray[np.uint8]], *, taken: str | None
) -> None:
    """Photograph pictures[0] with the phone and pictures[-1] with the DSLR.

    Writes raw/phone/<pair>.jpg (with EXIF time `taken`), raw/dslr/<pair>.png and the
    geometry in truth/<pair>.json.
    """
    seed = int(pair)
    turn = tuple(np.random.default_rng(seed).uniform(-1, 1, 3).tolist())
    rig = Rig((400, 300), (600, 400), turn_deg=turn)
    phone, dslr = (
        photograph(picture, rig, PhoneLook(), seed=seed)[camera]
        for camera, picture in ((0, pictures[0]), (1, pictures[-1]))
    )
    for part in ("raw/phone", "raw/dslr", "truth"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    path = folder / "raw/phone" / f"{pair}.jpg"
    Image.fromarray(phone).save(path, quality=95, exif=exif)
    Image.fromarray(dslr).save(folder / "raw/dslr" / f"{pair}.png")
    (folder / "truth" / f"{pair}.json").write_text(json.dumps(asdict(rig)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder once a run, for all workers of xdist: to be copied, not changed.

    Takes its name and what fills it; who comes second waits for the first.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make_once(name: str, make: Callable[[Path], object]) -> Path:
        folder, finished = root / name, root / f"{name}.finished"
        with FileLock(root / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                make(folder)
                finished.touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def photo_set(made_once, textured) -> Path:
    """A folder with raw/phone, raw/dslr and truth: seven scenes of two cameras.

    10 and 11 are taken within a minute, the sky of 3 is clipped, the photos of 6 show
    different scenes, 5 has no DSLR photo, 12 has no time.
    """
    return made_once("photos", lambda folder: write_photo_set(folder, textured))


def write_photo_set(
    folder: Path, textured: Callable[[int, tuple[int, int]], NDArray[np.uint8]]
) -> None:
    """Fill `photo_set`."""
    pictures = {pair: textured(pair, (600, 400)) for pair in (2, 3, 5, 6, 10, 11, 12)}
    pictures[3][:, :250] = 255
    for pair, picture in pictures.items():
        times = {10: "2024:06:01 12:00:00", 11: "2024:06:01 12:00:40", 12: None}
        taken = times.get(pair, f"2024:06:01 {pair:02d}:00:00")
        shown = (picture, pictures[2]) if pair == 6 else (picture,)
        take_pair(folder, str(pair), shown, taken=taken)
    (folder / "raw/dslr/5.png").unlink()


@pytest.fixture(scope="session")
def aligned_set(photo_set, made_once) -> Path:
    """A workspace in which `photo_set` is aligned; to be copied, not changed."""
    cameras = photo_set / "raw/phone", photo_set / "raw/dslr"
    return made_once(
        "aligned", lambda folder: align_folders(*cameras, workspace=folder, jobs=1)
    )


@pytest.fixture(scope="session")
def patched_set(aligned_set, made_once) -> Path:
    """`aligned_set` cut into patches of 64 px; to be copied, not changed."""
    settings = PatchSettings(size=64, shard_patches=20)

    def cut(workspace: Path) -> None:
        shutil.copytree(aligned_set / "aligned", workspace / "aligned")
        build_shards(workspace, settings=settings, jobs=1)

    return made_once("patched", cut)


@pytest.fixture
def charts_left_out(monkeypatch) -> None:
    """Reports with empty charts, which take most of their time to draw."""
    empty = b'<svg xmlns="http://www.w3.org/2000/svg"><defs></defs></svg>'
    monkeypatch.setattr("dped_build.report.charts._chart", lambda draw, *, size: empty)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One torch thread: sums come out the same, and small work does not wait."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def camera_folders(
    made_once: Callable[[str, Callable[[Path], object]], Path],
    textured: Callable[[int, tuple[int, int]], NDArray[np.uint8]],
) -> Path:
    """iphone/ and canon/ with three good pairs of small photos; never changed."""
    folder = made_once("cameras", lambda folder: make_photos(folder / "raw", textured))
    return folder / "raw"


@pytest.fixture
def raw(camera_folders: Path, tmp_path: Path) -> Path:
    """A copy of the photos with the same times, to be changed at will."""
    return Path(shutil.copytree(camera_folders, tmp_path / "raw"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace that does not exist yet."""
    return tmp_path / "work"

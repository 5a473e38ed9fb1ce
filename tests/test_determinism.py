"""The same bytes however the work is divided, found, and surrounded."""

import os
import random
import shutil
from pathlib import Path

import pytest
from faults import finish, make_pairs, make_patch_pairs, tree

from dped_build.align import align_folders
from dped_build.curate.diff import compare_workspaces
from dped_build.exchange.import_patches import import_patches
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchSettings, build_shards
from dped_build.selftest.demo_set import DSLR, PHONE, write_demo_set

SETTINGS = PatchSettings(size=48)
PROMISED_PX = 0.001
NO_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
PROCESSORS = {  # settings that stand for another machine
    "no-ipp": {"OPENCV_IPP": "disabled"},
    "no-avx512": {
        "OPENCV_CPU_DISABLE": "AVX512-SKX",
        "NPY_DISABLE_CPU_FEATURES": NO_AVX512,
    },
    "no-avx2-in-numpy": {"NPY_DISABLE_CPU_FEATURES": f"{NO_AVX512} AVX2 FMA3"},
    "blas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "blas-prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "no-avx2": {
        "OPENCV_IPP": "disabled",
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FP16,FMA3",
        "NPY_DISABLE_CPU_FEATURES": f"{NO_AVX512} AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Prescott",
    },
}
x86 = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="the settings name x86 instructions"
)


def run(raw, patches, work, jobs=1, backend="loky"):
    """All that workers do, in one workspace."""
    workers = Workers(jobs, backend)
    align_folders(raw / "iphone", raw / "canon", workspace=work, workers=workers)
    build_shards(work, settings=SETTINGS, workers=workers)
    import_patches(patches, work / "imported", jobs=jobs, backend=backend)


def results(work):
    return {
        stage: tree(work / stage, but=("local.json", "SHA256SUMS"))
        for stage in ("aligned", "patches", "imported")
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory, textured):
    """Photos, patches, and `whole`, the workspace that one process makes of them."""
    root = tmp_path_factory.mktemp("determinism")
    make_pairs(root / "raw", textured, 9)
    make_patch_pairs(root / "pairs", 220)
    run(root / "raw", root / "pairs", root / "whole")
    return root


@pytest.mark.parametrize(
    "jobs, backend",
    [
        (8, "threading"),
        (2, "loky"),
        pytest.param(2, "threading", marks=pytest.mark.soak),
        pytest.param(8, "loky", marks=pytest.mark.soak),
    ],
)
def test_jobs_and_backend_do_not_show(root, tmp_path, jobs, backend):
    run(root / "raw", root / "pairs", tmp_path, jobs=jobs, backend=backend)
    assert results(tmp_path) == results(root / "whole")


def test_the_order_of_files_on_the_disk_does_not_show(root, tmp_path, monkeypatch):
    rng = random.Random(0)
    raw, patches = tmp_path / "raw", tmp_path / "pairs"
    for source, target in ((root / "raw", raw), (root / "pairs", patches)):
        files = [path for path in source.rglob("*") if path.is_file()]
        for path in rng.sample(files, len(files)):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    shuffled = []

    def shuffle(function):
        def call(*arguments, **options):
            found = list(function(*arguments, **options))
            rng.shuffle(found)
            shuffled.append(len(found))
            return found

        return call

    with monkeypatch.context() as patch:
        for where, name in ((os, "listdir"), (Path, "iterdir"), (Path, "glob")):
            patch.setattr(where, name, shuffle(getattr(where, name)))
        patch.setattr(Path, "rglob", shuffle(Path.rglob))
        run(raw, patches, tmp_path / "work")
    assert max(shuffled) >= 9
    assert results(tmp_path / "work") == results(root / "whole")


def test_locale_time_zone_umask_hash_seed_and_folder_do_not_show(root, tmp_path):
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    env = {
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Pacific/Auckland",
        "PYTHONHASHSEED": "4242",
        "HOME": str(elsewhere),
        "COLUMNS": "20",
    }
    raw = Path(os.path.relpath(root / "raw", elsewhere))
    for line in (
        ("align", raw / "iphone", raw / "canon", "-w", "work"),
        ("patches", "-w", "work", "--size", 48),
        ("import", raw.parent / "pairs", "--out", "work/imported"),
    ):
        finish(
            tmp_path / "said",
            *(*line, "--jobs", 1),
            env=env,
            cwd=elsewhere,
            umask=0o077,
        )
    assert results(elsewhere / "work") == results(root / "whole")


def cut_with(raw, work, env, *, size):
    """Align and cut in processes that see another processor."""
    said = work.with_name(f"{work.name} said")
    finish(said, "align", *raw, "-w", work, "--jobs", 1, env=env)
    finish(said, "patches", "-w", work, "--size", size, "--jobs", 1, env=env)


def furthest_px(a, b):
    """How far a corner moved, DSLR px; the same pairs and windows are accepted."""
    found = compare_workspaces(a, b, tolerance_px=0)
    assert found.outcomes == {}
    for changes in (found.pairs, found.windows):
        assert changes.before == changes.after > 0
        assert changes.gained == changes.lost == []
    moved = [*found.pairs.moved.values(), *found.windows.moved.values()]
    print(f"{len(moved)} moved, {sum(px > PROMISED_PX for px in moved)} above 0.001 px")
    return max(moved, default=0)


@x86
@pytest.mark.long
@pytest.mark.parametrize("name", ["no-avx512", "no-avx2"])
def test_another_processor_accepts_the_same_windows(root, tmp_path, name):
    raw = root / "raw/iphone", root / "raw/canon"
    cut_with(raw, tmp_path / "work", PROCESSORS[name], size=48)
    assert furthest_px(root / "whole", tmp_path / "work") <= PROMISED_PX


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's photos, cut on this processor."""
    root = tmp_path_factory.mktemp("demo")
    write_demo_set(root)
    cut_with((root / PHONE, root / DSLR), root / "whole", {}, size=100)
    return root


@x86
@pytest.mark.soak
@pytest.mark.parametrize("name", PROCESSORS)
def test_other_processors_move_the_demos_patches_by_less_than_promised(
    demo, tmp_path, name
):
    cut_with((demo / PHONE, demo / DSLR), tmp_path / "work", PROCESSORS[name], size=100)
    assert furthest_px(demo / "whole", tmp_path / "work") <= PROMISED_PX

"""What changed → what is done again: the table of docs/reliability.md, row by row."""

import json
import os
import shutil
from dataclasses import dataclass, field

import h5py
import pytest
from faults import make_pairs, tree
from PIL import Image
from shards import write_patches

from dped_build.align import AlignSettings, align_folders, worker
from dped_build.align.aligned_folder import read_aligned
from dped_build.curate.verify import verify_workspace
from dped_build.patches import PatchSettings, build, build_shards, pieces
from dped_build.train import TrainSettings, load_generator, train
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import write_sums

PAIRS = 4
SETTINGS = PatchSettings(size=48, min_corr=0.5)
TINY = TrainSettings(
    model="srcnn",
    loss="mse",
    iterations=4,
    batch_size=2,
    log_every=2,
    checkpoint_every=2,
    device="cpu",
)


@dataclass
class Work:
    """The workspace that a row changes, the second run's options, what is redone."""

    raw: object
    folder: object
    align: dict = field(default_factory=dict)  # options of the second run
    patches: dict = field(default_factory=dict)
    done: dict = field(default_factory=dict)  # step → pairs

    def photo(self, camera="iphone", number=1):
        """Where a photo lies."""
        return self.raw / camera / f"{number:04d}.jpg"

    def file(self, name):
        """Where something in the workspace lies."""
        return self.folder / name

    def run_align(self, **options):
        """Align in this process."""
        roots = self.raw / "iphone", self.raw / "canon"
        align_folders(*roots, workspace=self.folder, jobs=1, **options)

    def run_patches(self, **options):
        """Cut in this process."""
        options = {"settings": SETTINGS, **options}
        build_shards(self.folder, jobs=1, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory, textured):
    """Photos and a finished workspace; to be copied, not changed."""
    root = tmp_path_factory.mktemp("made")
    work = Work(make_pairs(root / "raw", textured, PAIRS), root / "work")
    work.run_align()
    work.run_patches()
    return root


@pytest.fixture
def work(made, tmp_path, monkeypatch):
    """A copy of it, in which every pair that is worked on is counted."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    work = Work(tmp_path / "raw", tmp_path / "work")
    work.run_align()  # the photos lie elsewhere now
    work.done = {"aligned": 0, "cut": 0, "measured": 0}

    def counted(module, name, step):
        function = getattr(module, name)

        def count(*arguments, **options):
            work.done[step] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, count)

    counted(worker, "align_and_keep", "aligned")
    counted(build, "make_piece", "cut")
    counted(pieces, "measure_windows", "measured")
    return work


def nothing(work):
    """Nothing is changed."""


def touch_photo(work):
    os.utime(work.photo(), (1, 1))


def change_photo(work):
    with Image.open(work.photo()) as photo:
        photo.load()
    photo.save(work.photo(), quality=90)


def change_photo_alike(work):
    """Other content, the same size and modification time."""
    path = work.photo()
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def change_photo_alike_and_rehash(work):
    change_photo_alike(work)
    work.align = work.patches = {"rehash": True}


def add_photo(work):
    for camera in ("iphone", "canon"):
        shutil.copy(work.photo(camera, 0), work.photo(camera, 9))


def remove_photo(work):
    for camera in ("iphone", "canon"):
        work.photo(camera).unlink()


def rename_photo(work):
    for camera in ("iphone", "canon"):
        work.photo(camera).rename(work.photo(camera, 9))


def delete_crop(work):
    work.file("aligned/canon/0001.jpg").unlink()


def flip(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


def damage_crop(work):
    flip(work.file("aligned/canon/0001.jpg"))


def damage_shard(work):
    path = work.file("patches/train-00000.h5")
    with h5py.File(path) as file:
        offset = file["dslr"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 7] ^= 1
    path.write_bytes(data)


def align_again(work):
    work.align = {"force": True}


NONE = {"aligned": 0, "cut": 0, "measured": 0}
ONE = {"aligned": 1, "cut": 1, "measured": 1}
KEPT = {
    "nothing": (nothing, NONE),
    "photo touched": (touch_photo, NONE),
    "photo changed": (change_photo, ONE),
    "photo changed alike": (change_photo_alike, NONE),
    "photo changed alike, --rehash": (change_photo_alike_and_rehash, ONE),
    "photo added": (add_photo, ONE),
    "photo removed": (remove_photo, NONE),
    "photo renamed": (rename_photo, ONE),
    "crop deleted": (delete_crop, {**NONE, "aligned": 1}),
    "crop damaged": (damage_crop, NONE),
    "shard damaged": (damage_shard, NONE),
    "align --force": (align_again, {**NONE, "aligned": PAIRS}),
}
SEEN_BY_VERIFY_ALONE = ("photo changed alike", "crop damaged", "shard damaged")


@pytest.mark.parametrize("row", KEPT)
def test_a_change_redoes_what_depends_on_it_as_if_done_in_one_go(work, row):
    change, redone = KEPT[row]
    change(work)
    work.run_align(**work.align)
    work.run_patches(**work.patches)
    assert work.done == redone
    if row in SEEN_BY_VERIFY_ALONE:
        return
    fresh = Work(work.raw, work.folder.with_name("fresh"))
    fresh.run_align()
    fresh.run_patches()
    assert tree(work.folder / "aligned") == tree(fresh.folder / "aligned")
    found, wanted = (tree(w.folder / "patches") for w in (work, fresh))
    if row in ("photo added", "photo renamed", "photo removed"):  # splits stay
        found, wanted = found["windows.h5"], wanted["windows.h5"]
    assert found == wanted


@pytest.mark.parametrize(
    "change, name",
    [
        (damage_crop, "aligned/canon/0001.jpg"),
        (delete_crop, "aligned/canon/0001.jpg"),
        (damage_shard, "patches/train-00000.h5"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_verify_names_what_running_again_does_not_look_at(work, change, name):
    change(work)
    (line,) = verify_workspace(work.folder).damage
    assert line.startswith(str(work.file(name)))


def test_a_damaged_crop_is_made_again_once_it_is_deleted(work):
    before = tree(work.folder / "aligned")
    damage_crop(work)
    delete_crop(work)
    work.run_align()
    assert work.done == {**NONE, "aligned": 1}
    assert tree(work.folder / "aligned") == before


ALIGN_SETTINGS = {
    "crops": ({"crops": "none"}, "crops = jpg, now none"),
    "threshold_px": ({"threshold_px": 2.0}, r"threshold-px = 3\.0, now 2\.0"),
    "max_megapixels": ({"max_megapixels": 50.0}, r"max-megapixels = .*, now 50\.0"),
}
MEASURED = {"cut": PAIRS, "measured": PAIRS}
SELECTED = {"cut": 0, "measured": 0}
SAMPLED = {"cut": PAIRS, "measured": 0}
PATCH_SETTINGS = {  # changed setting → what --force does again
    "min_corr": (0.97, SELECTED),
    "min_corr lowered": (0.5, SAMPLED),
    "max_sigma": (0.2, SELECTED),
    "max_sigma off": (0.0, SELECTED),
    "max_per_photo": (2, SELECTED),
    "test_photos": (2, SELECTED),
    "val_photos": (0, SELECTED),
    "split_seed": (7, SELECTED),
    "compress": ("gzip", SELECTED),
    "shard_patches": (8, SELECTED),
    "size": (32, MEASURED),
    "max_shift": (20.0, MEASURED),
    "max_rotation": (2.0, SELECTED),
    "min_std": (3.0, MEASURED),
}


@pytest.mark.parametrize("name", ALIGN_SETTINGS)
def test_other_align_settings_are_refused_by_name_and_forced(work, name):
    changes, told = ALIGN_SETTINGS[name]
    before = tree(work.folder)
    with pytest.raises(DpedBuildError, match=f"{told}; add --force"):
        work.run_align(settings=AlignSettings(**changes))
    assert tree(work.folder) == before
    work.run_align(settings=AlignSettings(**changes), force=True)
    assert work.done == {**NONE, "aligned": PAIRS}


@pytest.mark.parametrize("name", PATCH_SETTINGS)
def test_other_patch_settings_are_refused_by_name_and_forced(work, name):
    value, redone = PATCH_SETTINGS[name]
    setting = name.split()[0]
    if name == "min_corr lowered":  # what had been left out is sampled
        strict = PatchSettings(size=48, min_corr=0.999)
        work.run_patches(settings=strict, force=True)
    before = tree(work.folder)
    settings = PatchSettings(**{"size": 48, "min_corr": 0.5, setting: value})
    told = f"patches: made with {setting.replace('_', '-')} = .*add --force"
    with pytest.raises(DpedBuildError, match=told) as caught:
        work.run_patches(settings=settings)
    assert ("quick" in str(caught.value)) <= (not redone.get("measured"))
    assert tree(work.folder) == before
    work.run_patches(settings=settings, force=True)
    assert {step: work.done[step] for step in redone} == redone


def test_another_threshold_is_said_to_be_quick_and_another_size_not(work):
    for changed, quick in (({"min_corr": 0.9}, True), ({"size": 64}, False)):
        settings = PatchSettings(**{"size": 48, "min_corr": 0.5, **changed})
        with pytest.raises(DpedBuildError) as caught:
            work.run_patches(settings=settings)
        assert ("measurements are kept" in str(caught.value)) == quick


def test_an_exclusion_by_hand_is_refused_by_name_and_selects_again(work):
    work.file("exclude.csv").write_text("pair\n0001\n")
    with pytest.raises(DpedBuildError, match=r"exclude\.csv = none, now 1 entries"):
        work.run_patches()
    work.run_patches(force=True)
    assert work.done == NONE


def lose(path, how):
    data = path.read_bytes()
    path.unlink()
    if how == "cut short":
        path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("how", ["deleted", "cut short"])
@pytest.mark.parametrize("options", [{}, {"force": True}], ids=["again", "force"])
def test_a_lost_shard_is_sampled_again_and_nothing_measured(work, options, how):
    before = tree(work.folder / "patches")
    path = work.file("patches/train-00000.h5")
    with h5py.File(path) as file:
        photos = len(file["photos"])
    lose(path, how)
    work.run_patches(**options)
    assert work.done == {**NONE, "cut": photos}
    assert photos < PAIRS
    assert tree(work.folder / "patches") == before


def test_a_flipped_bit_is_mended_by_deleting_its_shard(work):
    before = tree(work.folder / "patches")
    damage_shard(work)
    stricter = PatchSettings(size=48, min_corr=0.5, compress="gzip")
    with pytest.raises(DpedBuildError, match=r"\.h5 is damaged .*delete it"):
        work.run_patches(settings=stricter, force=True)
    work.file("patches/train-00000.h5").unlink()
    work.run_patches(force=True)
    assert work.done["measured"] == 0
    assert tree(work.folder / "patches") == before


@pytest.mark.parametrize("name", ["windows.h5", "manifest.json"])
@pytest.mark.parametrize("how", ["deleted", "cut short"])
def test_a_lost_file_of_the_patches_is_named_and_force_makes_it_again(work, name, how):
    before = tree(work.folder / "patches")
    lose(work.file("patches") / name, how)
    with pytest.raises(DpedBuildError, match=r"patches.*--force"):
        work.run_patches()
    work.run_patches(force=True)
    assert work.done["aligned"] == 0
    assert tree(work.folder / "patches") == before


def test_of_another_alignment_the_pairs_that_differ_are_measured_again(work):
    before = read_aligned(work.folder).records
    work.run_align(settings=AlignSettings(threshold_px=1.0), force=True)
    after = read_aligned(work.folder).records
    different = sum(after[pair] != before[pair] for pair in before)
    assert different
    work.run_patches()
    assert work.done["measured"] == different


def test_settings_of_another_version_are_refused_by_name(work):
    path = work.file("aligned/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["settings"]["algorithm"] = 0
    path.write_text(json.dumps(manifest))
    write_sums(work.file("aligned"))
    with pytest.raises(DpedBuildError, match="algorithm = 0, now"):
        work.run_align()
    path = work.file("patches/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["settings"]["measurement"] = 0
    manifest["settings"]["forgotten_option"] = 1
    path.write_text(json.dumps(manifest))
    write_sums(work.file("patches"))
    with pytest.raises(DpedBuildError, match="measurement = 0, now"):
        work.run_patches()


@pytest.fixture(scope="module")
def trained(one_thread, tmp_path_factory):
    """A workspace with patches and a finished run; to be copied, not changed."""
    root = tmp_path_factory.mktemp("trained")
    run(write_patches(root, size=20), root / "runs/one")
    return root


@pytest.fixture
def runs(trained, tmp_path):
    return shutil.copytree(trained, tmp_path, dirs_exist_ok=True)


def run(patches, folder, **changes):
    resume = changes.pop("resume", False)
    settings = TrainSettings(**{**vars(TINY), **changes})
    return train(patches, folder, settings, resume=resume, progress=False)


def weights(folder):
    return {k: v.tolist() for k, v in load_generator(folder).state_dict().items()}


def test_a_damaged_checkpoint_is_named_and_nothing_is_written_over(runs):
    path = runs / "runs/one/checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-1000])
    before = tree(runs / "runs")
    for resume in (False, True):
        with pytest.raises(DpedBuildError, match=r"checkpoint\.pt"):
            run(runs / "patches", runs / "runs/one", iterations=6, resume=resume)
    assert tree(runs / "runs", but=("one/.one.lock",)) == before


def test_a_run_without_its_checkpoint_starts_over_only_with_resume(runs, trained):
    (runs / "runs/one/checkpoint.pt").unlink()
    with pytest.raises(DpedBuildError, match=r"0 of 4 iterations.*--resume"):
        run(runs / "patches", runs / "runs/one")
    run(runs / "patches", runs / "runs/one", resume=True)
    assert weights(runs / "runs/one") == weights(trained / "runs/one")
    lines = [f / "runs/one/metrics.jsonl" for f in (runs, trained)]
    assert lines[0].read_bytes() == lines[1].read_bytes()


@pytest.mark.parametrize("torn", [1, 20, 200])
def test_torn_metrics_of_an_unfinished_run_are_mended(runs, trained, tmp_path, torn):
    run(runs / "patches", tmp_path / "short", iterations=2)
    path = tmp_path / "short/metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"iteration": 4, "psnr": 1' * torn)
    run(runs / "patches", tmp_path / "short", resume=True)
    assert path.read_bytes() == (trained / "runs/one/metrics.jsonl").read_bytes()
    assert weights(tmp_path / "short") == weights(trained / "runs/one")


def test_a_run_recorded_by_a_version_without_an_option_is_refused_by_name(runs):
    path = runs / "runs/one/config.json"
    config = json.loads(path.read_text())
    del config["settings"]["clip_gradient"]
    path.write_text(json.dumps(config))
    with pytest.raises(DpedBuildError, match="--clip-gradient None there"):
        run(runs / "patches", runs / "runs/one", iterations=6, resume=True)


def test_training_takes_patches_of_an_earlier_alignment(work, tmp_path):
    for camera in ("iphone", "canon"):
        work.photo(camera).unlink()
    work.run_align()
    assert verify_workspace(work.folder).damage  # verify and report tell
    result = run(work.folder / "patches", tmp_path / "run", iterations=2)
    assert result.iteration == 2

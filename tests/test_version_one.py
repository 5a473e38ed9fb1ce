"""A workspace as version 1 wrote it: every later version must open all of it.

`version_1/workspace.zip` is never written again: where a format gains something, add
`version_2/` beside it. It is what `python tests/test_version_one.py FOLDER` wrote with
release 0.1.0, packed by `shutil.make_archive`.
"""

import csv
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dped_build.align.aligned_folder import read_aligned
from dped_build.curate.verify import verify_workspace
from dped_build.patches import PatchDataset
from dped_build.patches.build import patch_stage
from dped_build.patches.previous import read_previous, read_split
from dped_build.workspace.stage import Stage, write_sums

ARCHIVE = Path(__file__).parent / "version_1" / "workspace.zip"
PAIRS = ["0001", "0002"]
SIZE = 32
RUN = "mse-tiny"


@pytest.fixture(scope="module")
def version_1(tmp_path_factory):
    """The workspace; not to be changed."""
    folder = tmp_path_factory.mktemp("version_1")
    shutil.unpack_archive(ARCHIVE, folder)
    return folder


@pytest.fixture
def workspace(version_1, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(version_1, tmp_path / "work"))


def test_the_alignment_is_read_with_its_geometry(version_1):
    aligned = read_aligned(version_1)
    assert list(aligned.records) == PAIRS
    assert aligned.manifest["phone_camera"] == "iphone"
    record = aligned.records["0002"]
    assert record.phone_size == (192, 144)
    assert record.inliers == EXPECTED["inliers"]
    corner = record.matrix() @ [191, 143, 1]
    assert corner[:2] / corner[2] == pytest.approx(EXPECTED["corner"], abs=1e-6)
    assert aligned.paths(record)[0] == Path("/photos/iphone/0002.png")


def test_shards_give_the_patches_that_were_stored(version_1):
    rows = {split: PatchDataset(version_1 / "patches", split) for split in SPLITS}
    assert {split: len(found) for split, found in rows.items()} == SPLITS
    for split, found in rows.items():
        digest = hashlib.sha256()
        for row in range(len(found)):
            for pixels in found[row]:
                digest.update(pixels.tobytes())
        assert digest.hexdigest() == EXPECTED["pixels"][split]
    assert rows["test"].identity == EXPECTED["identity"]


def test_windows_and_split_are_read_back(version_1):
    previous = read_previous(patch_stage(version_1))
    assert {pair: len(table) for pair, table in previous.measured.items()} == (
        EXPECTED["windows"]
    )
    ncc = np.concatenate([table.ncc for table in previous.measured.values()])
    assert np.nansum(ncc) == pytest.approx(EXPECTED["ncc_sum"], abs=1e-3)
    known = read_split(patch_stage(version_1))
    assert {row.pair: row.split for row in known.rows} == EXPECTED["split"]


def test_the_whole_workspace_verifies(version_1):
    found = verify_workspace(version_1)
    assert found.damage == []
    assert found.patches == sum(SPLITS.values())


def test_the_generator_computes_what_it_computed_then(version_1):
    import torch

    from dped_build.train import load_generator

    ramp = torch.linspace(0, 1, 3 * 20 * 24).view(1, 3, 20, 24)
    with torch.inference_mode():
        output = load_generator(version_1 / "runs" / RUN)(ramp)
    expected = torch.tensor(EXPECTED["output"])
    assert torch.allclose(output[0, :, ::9, ::11].flatten(), expected, atol=1e-4)


def test_the_run_goes_on_from_its_checkpoint(workspace):
    from dped_build.train import TrainSettings, train
    from dped_build.train.run_folder import read_metrics, recorded_settings

    run = workspace / "runs" / RUN
    assert [line["iteration"] for line in read_metrics(run)] == [2, 4]
    settings = TrainSettings(**(recorded_settings(run) | {"iterations": 6}))
    patches = workspace / "patches"
    result = train(patches, run, settings, resume=True, progress=False)
    assert result.iteration == 6
    assert result.metrics[0]["train_mse"] == pytest.approx(EXPECTED["mse"], rel=1e-6)


def test_evaluation_and_report_read_it(workspace):
    from dped_build.report import write_report
    from dped_build.train import load_generator
    from dped_build.train.evaluating.evaluate import evaluate

    found = evaluate(load_generator(workspace / "runs" / RUN), workspace / "patches")
    assert found["n"] == SPLITS["test"]
    assert found["input"]["psnr_pirm"] == pytest.approx(EXPECTED["psnr"], abs=1e-3)
    write_report(workspace)
    numbers = json.loads((workspace / "report" / "report.json").read_text())
    assert numbers["pairs"]["aligned"] == len(PAIRS)


def test_the_files_are_small_and_tell_no_folder_of_the_machine(version_1):
    assert ARCHIVE.stat().st_size < 150_000
    local = json.loads((version_1 / "aligned" / "local.json").read_text())
    assert local["phone_root"] == "/photos/iphone"
    with (version_1 / "patches" / "split.csv").open(newline="") as file:
        assert [line["pair"] for line in csv.DictReader(file)] == PAIRS


def make(folder: Path) -> None:
    """Write `version_1/`: two pairs of 192 x 144 px, six patches, four iterations."""
    import cv2
    from PIL import Image

    from dped_build.align import AlignSettings, align_folders
    from dped_build.patches import PatchSettings, build_shards
    from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
    from dped_build.train import TrainSettings, train

    rig = Rig((192, 144), (264, 176), distortion=(0.0, 0.0))
    photos = folder.with_name("photos")
    for seed, pair in enumerate(PAIRS):
        noise = np.random.default_rng(seed).normal(size=(264, 396, 3))
        layers = [cv2.GaussianBlur(noise, (0, 0), s) for s in (1, 2, 4, 8, 16)]
        total = sum(layer / layer.std() for layer in layers)
        picture = np.clip(128 + 22 * total, 0, 255).astype(np.uint8)
        shots = photograph(picture, rig, PhoneLook(), seed=seed)
        for camera, shot in zip(("iphone", "canon"), shots, strict=True):
            (photos / camera).mkdir(parents=True, exist_ok=True)
            Image.fromarray(shot).save(photos / camera / f"{pair}.png")
    cameras = photos / "iphone", photos / "canon"
    align_folders(
        *cameras, workspace=folder, settings=AlignSettings(crops="none"), jobs=1
    )
    cut = PatchSettings(size=SIZE, max_per_photo=3, test_photos=1, val_photos=0)
    build_shards(folder, settings=cut, jobs=1)
    aligned = Stage(folder, "aligned", "").folder
    local = json.loads((aligned / "local.json").read_text())
    local |= {f"{kind}_root": f"/photos/{name}" for kind, name in CAMERAS.items()}
    (aligned / "local.json").write_text(json.dumps(local, indent=1) + "\n")
    write_sums(aligned)
    settings = TrainSettings(
        channels=2,
        blocks=1,
        loss="mse",
        iterations=4,
        batch_size=2,
        log_every=2,
        checkpoint_every=2,
        learning_rate=1e-3,
        device="cpu",
    )
    run = folder / "runs" / RUN
    train(folder / "patches", run, settings, progress=False)
    shutil.rmtree(run / "samples")
    for path in [*run.glob("events.*"), *folder.rglob("*.lock")]:
        path.unlink()
    shutil.rmtree(folder / ".dped-build")


SPLITS = {"train": 3, "test": 3}
CAMERAS = {"phone": "iphone", "dslr": "canon"}
EXPECTED = {
    "inliers": 82,
    "corner": [286.07357463302384, 203.26778182335875],
    "pixels": {
        "train": "afc08abeea694dce08109dd7cc8a13908cadd9b399fc375a204a29cf9ec112fa",
        "test": "6bf53bf738d0e8a24384a79a5b60362fa6be755f59e47fc18258a86d63aa312b",
    },
    "identity": "934f871181ff0d5c6f58624ac0c62bdc730b0bb3869df61c5deadbec5c97f7dd",
    "windows": {"0001": 15, "0002": 15},
    "ncc_sum": 28.8933,
    "split": {"0001": "train", "0002": "test"},
    "output": [
        0.509547,
        0.509471,
        0.508402,
        0.51076,
        0.511794,
        0.50998,
        0.509916,
        0.510951,
        0.509654,
        0.507927,
        0.507833,
        0.507192,
        0.507927,
        0.507878,
        0.507036,
        0.507521,
        0.507454,
        0.506949,
        0.50548,
        0.505115,
        0.505118,
        0.505447,
        0.504936,
        0.504694,
        0.505775,
        0.505167,
        0.50501,
    ],
    "mse": 0.0863792784512043,
    "psnr": 17.359346668405006,
}

if __name__ == "__main__":
    make(Path(sys.argv[1]))

"""`dped-build import` tells from the source what it is, and imports it."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dped_build.cli import cli
from dped_build.exchange.import_patches import import_patches
from dped_build.patches.dataset import PatchDataset
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.model_file import load_generator

# Made by running the original code: PSNR and MS-SSIM as DPED's tables, as PIRM's.
RELEASED = {
    "iphone_orig": (19.93, 22.19, 0.9222, 0.9214),
    "iphone_convdeconv16_iteration_40000.ckpt": (20.27, 22.55, 0.9252, 0.9244),
}
UNCHANGED = (15.24, None, 0.8487, 0.8455)  # four pairs are identical
NAMES = ("psnr_training", "psnr_pirm", "ms_ssim_batch", "ms_ssim_image")
TOLERANCES = (0.02, 0.02, 0.0005, 0.0005)


def run(*arguments, code=0):
    done = CliRunner().invoke(cli, ["import", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def source(tmp_path):
    """Five pairs of grey patches, one of them broken."""
    for name in ("phone", "dslr"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(5):
            pixels = np.full((20, 20, 3), number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set/dslr/2.png").write_bytes(b"")
    return tmp_path / "set"


def test_the_summary_counts_lists_and_says_what_comes_next(source, tmp_path):
    out = tmp_path / "a b"
    text = run(source, "--out", out, "--jobs", 1).output
    assert "4 pairs of 20x20 px, phone | dslr\n" in text
    assert "patches: train 4, val 0, test 0" in text
    assert "1 unreadable" in text
    assert "dslr/2.png: the file is empty" in text
    assert f"(next: dped-build train '{out}')" in text
    assert "nothing new to do" in run(source, "--out", out).output
    assert len(PatchDataset(out)) == 4


def test_json_is_all_that_a_script_gets(source, tmp_path):
    done = run(source, "--out", tmp_path / "out", "--jobs", 1, "--json")
    summary = json.loads(done.stdout)
    assert done.stderr == ""
    assert summary["splits"]["train"]["patches"] == 4
    assert [line["reason"] for line in summary["failed"]] == ["unreadable"]


def test_test_patches_alone_are_for_evaluation(source, tmp_path):
    text = run(source, "--out", tmp_path / "out", "--split", "test", "--jobs", 1).output
    assert "next: dped-build evaluate MODEL" in text


def test_what_is_neither_patches_nor_a_checkpoint_says_what_can_be(tmp_path):
    (tmp_path / "notes.txt").write_text("no weights")
    for name, told in (
        ("nowhere", "no such folder; give a folder"),
        ("notes.txt", "neither a folder nor a checkpoint; give a folder"),
    ):
        text = run(tmp_path / name, code=1).output
        assert told in text
        assert "TensorFlow checkpoint's path without .index" in text


def test_a_checkpoint_is_named_without_its_suffix(tmp_path):
    (tmp_path / "model.index").write_bytes(b"")
    (tmp_path / "model.data-00000-of-00001").write_bytes(b"")
    for name in ("model.index", "model.data-00000-of-00001"):
        assert "give the path without .index" in run(tmp_path / name, code=1).output
    text = run(tmp_path, code=1).output
    assert (
        f"is a folder of checkpoints: name one of them, such as {tmp_path / 'model'}"
        in text
    )
    text = run(tmp_path / "model", "--split", "test", code=2).output
    assert "--split is for patches" in text


@pytest.fixture(scope="module")
def real_patches(shared_data, tmp_path_factory):
    """The 400 real pairs, imported from DPED's layout."""
    folder = tmp_path_factory.mktemp("real")
    layout = folder / "iphone/test_data/patches"
    layout.mkdir(parents=True)
    for name in ("iphone", "canon"):
        (layout / name).symlink_to(shared_data / "dped/patches" / name)
    import_patches(folder / "iphone", folder / "patches", jobs=1)
    return folder / "patches"


@pytest.mark.long
@pytest.mark.parametrize("name", RELEASED)
def test_released_models_have_their_published_figures_on_imported_patches(
    shared_data, real_patches, tmp_path, name
):
    pytest.importorskip("tensorflow", reason="the extra `tensorflow` is not installed")
    model = tmp_path / "model.pt"
    run(shared_data / "dped/models_orig" / name, "--out", model)
    report = evaluate(load_generator(model), real_patches)
    assert report["n"] == 400
    for side, expected in (("input", UNCHANGED), ("output", RELEASED[name])):
        for figure, value, tolerance in zip(NAMES, expected, TOLERANCES, strict=True):
            found = report[side][figure]
            told = f"{side} {figure}"
            if value is None:
                assert found is None, told
            else:
                assert found == pytest.approx(value, abs=tolerance), told


def test_a_workspace_of_imported_patches_is_verified_through_the_command(
    source, tmp_path
):
    run(source, "--out", tmp_path / "patches", "--jobs", 1)
    shutil.rmtree(source)
    done = CliRunner().invoke(cli, ["verify", "-w", str(tmp_path)])
    assert (done.exit_code, "intact" in done.output) == (0, True), done.output

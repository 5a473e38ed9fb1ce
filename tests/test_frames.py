"""Whole photos: every pixel lies where the truth has it, or its mask says no."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dped_build.align import align_pair
from dped_build.align.geometry import apply_homography
from dped_build.align.sampling import sample, sample_at
from dped_build.cli import cli
from dped_build.exchange import export_frames as exporting
from dped_build.exchange.export_frames import export_frames
from dped_build.exchange.export_settings import ExportSettings
from dped_build.patches.frames import map_frame, sample_frame
from dped_build.patches.fusion import fill
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.errors import DpedBuildError, UsageError

PHONE, DSLR = (640, 480), (960, 640)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines_of(folder):
    text = (folder / "metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def pixels_of(path):
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def pair(textured):
    """Both photos of one surface, the rig that took them, and their alignment."""
    rig = Rig(PHONE, DSLR, turn_deg=(0.7, -0.5, 0.6))
    phone, dslr = photograph(textured(1, DSLR), rig, PhoneLook(), seed=1)
    return phone, dslr, rig, align_pair(phone, dslr)


@pytest.fixture
def workspace(aligned_set, tmp_path):
    """A copy of a workspace that is aligned, not cut."""
    shutil.copytree(aligned_set / "aligned", tmp_path / "work/aligned")
    return tmp_path / "work"


def errors_px(found, rig):
    """How far each pixel's place is from the truth, phone px."""
    left, top, width, height = found.box
    columns, rows = np.meshgrid(np.arange(width) + left, np.arange(height) + top)
    points = np.stack([columns, rows], axis=-1).astype(float)
    back = np.linalg.inv(found.phone_to_dslr)
    claimed = points + found.shift
    return np.linalg.norm(
        claimed - apply_homography(back, rig.dslr_points(points)), axis=-1
    )


def test_every_pixel_lies_where_the_truth_has_it(pair):
    phone, dslr, rig, alignment = pair
    found = map_frame(phone, dslr, alignment)
    error = errors_px(found, rig)
    assert found.valid.mean() > 0.98
    assert np.median(error[found.valid]) < 0.06
    assert np.percentile(error[found.valid], 95) < 0.2
    plain = replace(found, shift=np.zeros_like(found.shift))
    assert np.median(error) < 0.5 * np.median(errors_px(plain, rig))


def test_what_moved_is_not_valid(pair):
    phone, dslr, _, alignment = pair
    moved = phone.copy()
    left, top, width, height = alignment.phone_box
    x, y = left + width // 2, top + height // 2
    moved[y : y + 60, x : x + 60] = phone[y - 80 : y - 20, x - 90 : x - 30]
    found = map_frame(moved, dslr, alignment)
    inside = found.valid[y - top : y - top + 60, x - left : x - left + 60]
    assert inside.mean() < 0.1
    assert found.valid[:60].mean() > 0.9


def test_sixteen_bits_are_the_same_picture_not_rounded_to_eight(pair):
    phone, dslr, _, alignment = pair
    found = map_frame(phone, dslr, alignment)
    eight, sixteen = (sample_frame(dslr, found, bits=bits) for bits in (8, 16))
    assert (eight.dtype, sixteen.dtype) == (np.uint8, np.uint16)
    off = np.abs(sixteen / 257 - eight)
    assert off.max() <= 0.51
    assert off.mean() > 0.2


@pytest.mark.parametrize("scale", [0.9, 1.8, 4.3])
def test_sampling_at_a_homographys_places_is_sampling_through_it(scale, textured):
    photo = textured(3, (900, 700))
    matrix = np.array([[scale, 0.02, 20.3], [-0.03, scale, 30.6], [1e-5, 0, 1]])
    at = np.stack(np.meshgrid(np.arange(120.0), np.arange(100.0)), axis=-1)
    places = apply_homography(matrix, at).astype(np.float32)
    found = sample_at(photo, places, matrix)
    assert np.abs(found - sample(photo, matrix, (120, 100))).mean() < 0.6


def test_gaps_are_filled_from_around_them():
    shift = np.zeros((50, 70, 2), np.float32)
    known = np.zeros((50, 70), bool)
    known[:, :20], known[:, 50:] = True, True
    shift[known] = (3, -1)
    fill(shift, known)
    assert np.allclose(shift, (3, -1), atol=1e-4)


def test_photos_of_another_size_are_refused(pair):
    phone, dslr, _, alignment = pair
    with pytest.raises(ValueError, match="other photos"):
        map_frame(phone[:-1], dslr, alignment)
    with pytest.raises(ValueError, match="is not aligned"):
        map_frame(phone, dslr, replace(alignment, phone_box=None))


def test_frames_hold_the_phones_own_pixels_and_a_line_each(workspace, photo_set):
    summary = export_frames(workspace, jobs=1)
    out = workspace / "export/frames"
    rows = lines_of(out)
    assert [row["pair"] for row in rows] == ["2", "3", "10", "11", "12"]
    assert (summary.frames, summary.newly_done, summary.splits) == (5, 5, {})
    for row in rows:
        left, top, width, height = row["box"]
        with Image.open(photo_set / f"raw/phone/{row['pair']}.jpg") as image:
            photo = np.asarray(image)[top : top + height, left : left + width]
        phone, dslr = (
            pixels_of(out / row[f"{s}_file_name"]) for s in ("phone", "dslr")
        )
        valid = cv2.imread(str(out / row["valid_file_name"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(phone, photo)
        assert dslr.shape == phone.shape
        assert set(np.unique(valid)) <= {0, 255}
        assert (valid > 0).mean() == pytest.approx(row["valid_share"], abs=1e-4)


def test_an_interrupted_export_resumes_to_the_same_bytes(
    workspace, tmp_path, monkeypatch
):
    export_frames(workspace, tmp_path / "whole", jobs=2)
    make, made = exporting.make_frame, []

    def interrupted(task):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.alignment.pair)
        return make(task)

    monkeypatch.setattr(exporting, "make_frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_frames(workspace, jobs=1)
    assert not (workspace / "export/frames").exists()
    monkeypatch.setattr(exporting, "make_frame", make)
    assert export_frames(workspace, jobs=1).newly_done == 5
    assert files_of(workspace / "export/frames") == files_of(tmp_path / "whole")
    assert export_frames(workspace, jobs=1).newly_done == 0


def test_exclusions_take_pairs_and_windows_out(workspace):
    export_frames(workspace, jobs=1)
    out = workspace / "export/frames"
    row = lines_of(out)[0]
    left, top = row["box"][:2]
    (workspace / "exclude.csv").write_text(f"pair,x,y\n10,,\n2,{left + 9},{top + 5}\n")
    summary = export_frames(workspace, jobs=1)
    assert (summary.frames, summary.excluded, summary.newly_done) == (4, 1, 1)
    assert not (out / "phone/10.png").exists()
    valid = cv2.imread(str(out / "valid/2.png"), cv2.IMREAD_UNCHANGED)
    assert not valid[5:105, 9:109].any()
    assert valid[:, 110:].any()


def test_other_settings_are_refused_until_forced(workspace):
    export_frames(workspace, jobs=1)
    settings = ExportSettings(bits=16)
    with pytest.raises(DpedBuildError, match="made with bits = 8, now 16; add --force"):
        export_frames(workspace, settings=settings, jobs=1)
    export_frames(workspace, settings=settings, jobs=1, force=True)
    out = workspace / "export/frames"
    phone = pixels_of(out / "phone/2.png")
    assert phone.dtype == np.uint16
    assert not (phone % 257).any()


def test_a_damaged_picture_is_made_again_with_force(workspace):
    export_frames(workspace, jobs=1)
    out = workspace / "export/frames"
    before = files_of(out)
    (out / "dslr/3.png").unlink()
    (out / "dslr/3.png").write_bytes(b"damaged")
    assert export_frames(workspace, jobs=1, force=True).newly_done == 1
    assert files_of(out) == before


def test_splits_follow_the_patches(patched_set, tmp_path):
    work = Path(shutil.copytree(patched_set, tmp_path / "work"))
    summary = export_frames(work, settings=ExportSettings(splits="test"), jobs=1)
    assert set(summary.splits) == {"test"}
    rows = lines_of(work / "export/frames")
    assert {row["split"] for row in rows} == {"test"}


def test_errors_are_one_line_that_says_what_to_do(workspace, tmp_path):
    with pytest.raises(DpedBuildError, match="no finished alignment; run"):
        export_frames(tmp_path / "nothing")
    with pytest.raises(DpedBuildError, match="--splits needs; run dped-build patches"):
        export_frames(workspace, settings=ExportSettings(splits="test"))
    with pytest.raises(UsageError, match="--quality is for --format dped-folders"):
        export_frames(workspace, settings=ExportSettings(quality=90))
    with pytest.raises(UsageError, match="--bits 12: 8 or 16"):
        ExportSettings(bits=12)


def test_the_command_says_what_it_wrote(workspace):
    done = CliRunner().invoke(
        cli, ["export", str(workspace), "--format", "frames", "--jobs", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "5 pairs of photos, phone | dslr\n" in done.stdout
    assert "% of their pixels valid" in done.stdout
    assert "(frames, " in done.stdout
    card = (workspace / "export/frames/README.md").read_text()
    assert "5 pairs of whole photos" in card

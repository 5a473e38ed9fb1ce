"""Pictures are taken over where their crops are the same, and only where whole."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
from report_fixture import SIZE, make_workspace, outcomes, scene

from dped_build.report import pair_pictures, write_report
from dped_build.report.workspace_reader import read_workspace
from dped_build.workspace.stage import write_sums

NAMES = ["0001", "0002", "0003"]
pytestmark = pytest.mark.usefixtures("charts_left_out")


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path / "w", NAMES)


def sums(workspace):
    return (workspace / "report" / "SHA256SUMS").read_bytes()


def drawn_pairs(monkeypatch, *, stop_after=99):
    """A list that grows with every pair drawn; interrupts as Ctrl-C would."""
    real, drawn = pair_pictures.side_by_side, []

    def draw(*crops):
        if len(drawn) >= stop_after:
            raise KeyboardInterrupt
        drawn.append(crops)
        return real(*crops)

    monkeypatch.setattr(pair_pictures, "side_by_side", draw)
    return drawn


def test_pictures_of_an_unchanged_set_are_not_drawn_again(workspace, monkeypatch):
    drawn = drawn_pairs(monkeypatch)
    write_report(workspace)
    assert len(drawn) == len(NAMES)
    before = sums(workspace)
    write_report(workspace)
    assert len(drawn) == len(NAMES)
    assert sums(workspace) == before


def test_an_interrupted_report_goes_on_to_the_same_bytes(workspace, monkeypatch):
    write_report(workspace)
    whole = sums(workspace)
    report = workspace / "report"
    for path in sorted(report.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    report.rmdir()
    with monkeypatch.context() as patch:
        drawn_pairs(patch, stop_after=2)
        with pytest.raises(KeyboardInterrupt):
            write_report(workspace, jobs=1)
    assert not report.exists()
    kept = list((workspace / ".dped-build" / "report-work").glob("*.jpg"))
    assert len(kept) == 2 * 3  # two pairs, three pictures each
    os.truncate(kept[0], 100)  # as a power cut may leave it
    write_report(workspace)
    assert sums(workspace) == whole
    assert not (workspace / ".dped-build" / "report-work").exists()


def test_a_damaged_picture_is_drawn_again(workspace):
    write_report(workspace)
    before = sums(workspace)
    picture = next((workspace / "report" / "pairs").glob("*-phone.jpg"))
    content = bytearray(picture.read_bytes())
    content[len(content) // 2] ^= 255
    picture.write_bytes(content)
    write_report(workspace)
    assert sums(workspace) == before


def test_a_changed_crop_changes_its_pictures_only(workspace):
    first = write_report(workspace).report.table
    path = workspace / "aligned" / "iphone" / "0002.jpg"
    path.write_bytes(cv2.imencode(".jpg", scene(9))[1].tobytes())
    second = write_report(workspace).report.table
    same = [old.picture == new.picture for old, new in zip(first, second, strict=True)]
    assert same == [True, False, True]


def test_exposure_is_that_of_the_crops(workspace):
    table = write_report(workspace).report.table
    for row, seed in zip(table, range(len(NAMES)), strict=True):
        phone = scene(seed).astype(float)
        dslr = 0.8 * phone + 30  # in levels: brighter below 150, darker above
        assert row.exposure_ev == pytest.approx(
            2.2 * np.median(np.log2(dslr / phone.clip(1))), abs=0.1
        )
        assert row.color_ev < 0.1


def test_rejected_windows_show_what_was_rejected(workspace):
    groups = write_report(workspace).report.shown_patches
    shown = {group.group: group.patches for group in groups}
    assert list(shown)[:3] == ["best", "just accepted", "typical"]
    assert {"just rejected", "worst", "flat"} <= set(shown)
    reasons = outcomes(len(read_workspace(workspace).patches.windows.table.ncc))
    assert {patch.reason for patch in shown["worst"]} == {"low_ncc"}
    assert {patch.reason for patch in shown["flat"]} == {"flat"}
    assert all(patch.ncc is None for patch in shown["flat"])
    assert "flat" in reasons
    patch = shown["worst"][0]
    picture = cv2.imread(str(workspace / "report" / patch.picture))[:, :, ::-1]
    seed = NAMES.index(patch.pair)
    x, y = patch.window_xy
    window = scene(seed)[y : y + SIZE, x : x + SIZE].astype(int)
    assert np.abs(picture[:, :SIZE] - window).mean() < 4  # JPEG of the crop


def test_scripts_hold_each_pairs_windows(workspace):
    table = write_report(workspace).report.table
    text = (workspace / "report" / table[1].script).read_text()
    assert text.startswith("dpedBuildWindows(1,{")
    data = json.loads(text[len("dpedBuildWindows(1,") : -len(");\n")])
    assert len(data["x"]) == len(data["ncc"]) == table[1].windows
    accepted = data["outcomes"].index("accepted")
    assert data["outcome"].count(accepted) == table[1].accepted


def test_a_pair_that_does_not_match_shows_both_photos(patched_set, tmp_path):
    workspace = tmp_path / "w"
    shutil.copytree(patched_set, workspace)
    rows = {row.pair: row for row in write_report(workspace).report.table}
    assert rows["6"].status == "rejected"  # its photos show different scenes
    assert rows["6"].on_one_grid is False
    assert rows["6"].exposure_ev is None
    assert rows["5"].picture is None  # it has no partner
    assert rows["10"].on_one_grid is True
    phone, dslr = (
        cv2.imread(str(workspace / "report" / f"{rows['6'].picture}-{side}.jpg"))
        for side in ("phone", "dslr")
    )
    assert phone.shape == (300, 400, 3)
    assert dslr.shape == (400, 600, 3)


def test_without_the_photos_a_rejected_pair_has_no_picture(patched_set, tmp_path):
    workspace = tmp_path / "w"
    shutil.copytree(patched_set, workspace)
    (workspace / "aligned" / "local.json").unlink()
    rows = {row.pair: row for row in write_report(workspace).report.table}
    assert rows["6"].picture is None
    assert rows["10"].picture is not None


@pytest.mark.parametrize("jobs", [1, 4])
def test_pairs_with_equal_crops_share_their_pictures(tmp_path, jobs):
    names = [f"{n:02d}" for n in range(12)]
    photos = [scene(n // 4) for n in range(12)]
    workspace = make_workspace(tmp_path / "w", names, photos=photos)
    table = write_report(workspace, jobs=jobs).report.table
    assert len({row.picture for row in table}) == 3
    before = sums(workspace)
    write_report(workspace, jobs=jobs)
    assert sums(workspace) == before


@pytest.mark.parametrize("camera", ["iphone", "canon"])
def test_another_crop_of_either_camera_makes_another_picture(workspace, camera):
    first = write_report(workspace).report.table[1].picture
    path = workspace / "aligned" / camera / "0002.jpg"
    path.write_bytes(cv2.imencode(".jpg", scene(9))[1].tobytes())
    assert write_report(workspace).report.table[1].picture != first


def test_a_crop_that_is_not_what_its_sums_state_is_not_shown(workspace):
    aligned = workspace / "aligned"
    write_sums(aligned)
    path = aligned / "iphone" / "0002.jpg"
    whole = path.read_bytes()
    path.write_bytes(cv2.imencode(".jpg", scene(9))[1].tobytes())
    assert write_report(workspace).report.table[1].picture is None
    path.write_bytes(whole)
    assert write_report(workspace).report.table[1].picture is not None


@pytest.mark.parametrize("camera", ["../../private", "..", "/"])
def test_pictures_beside_the_workspace_are_not_shown(workspace, tmp_path, camera):
    shutil.copytree(workspace / "aligned" / "iphone", tmp_path / "private")
    path = workspace / "aligned" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"phone_camera": camera}))
    table = write_report(workspace).report.table
    assert [row.picture for row in table] == [None] * len(NAMES)


def test_samples_that_are_links_or_folders_are_passed_over(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"], runs=["r"])
    samples = workspace / "runs" / "r" / "samples"
    (tmp_path / "secret.png").write_bytes(b"secret")
    (samples / "002000.png").symlink_to(tmp_path / "secret.png")
    (samples / "003000.png").mkdir()
    (run,) = write_report(workspace).report.runs
    assert [sample.name for sample in run.samples] == ["000500", "001000"]
    copies = (workspace / "report" / "runs").iterdir()
    assert all(path.read_bytes() != b"secret" for path in copies)

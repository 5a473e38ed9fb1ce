"""`patches --rule paper` from the command line to the report."""

import json
import shutil

import cv2
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from dped_build.cli import cli
from dped_build.curate.verify import verify_workspace
from dped_build.patches import pieces
from dped_build.patches.folder import read_rows
from dped_build.patches.refinement.paper_rule import MAX_SHIFT
from dped_build.workspace.stage import write_sums

PAPER = ("--rule", "paper", "--size", "64", "--max-rotation", "2", "--jobs", "1")


def run(*arguments, code=0):
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done.output


def cut(workspace, *options, code=0):
    return run("patches", "-w", workspace, *PAPER, *options, code=code)


def contents(workspace):
    return {p.name: p.read_bytes() for p in (workspace / "patches").iterdir()}


def kept(workspace):
    """The tables of all kept windows, pair by pair."""
    shards = (workspace / "patches").glob("*-[0-9]*.h5")
    return [table for path in shards for table in read_rows(path).by_pair().values()]


def turn_homographies(folder, angle_deg):
    """Let every homography be off by a turn about the middle of the phone's photo."""
    path = folder / "alignment.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        if record["status"] == "aligned":
            middle = (np.array(record["phone_size"]) - 1) / 2
            turn = np.vstack(
                [cv2.getRotationMatrix2D(middle, -angle_deg, 1), (0, 0, 1)]
            )
            record["phone_to_dslr"] = (record["phone_to_dslr"] @ turn).tolist()
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    write_sums(folder)


@pytest.fixture(scope="module")
def paper_set(aligned_set, tmp_path_factory):
    """`aligned_set`, turned by a degree, cut by the paper's rule; not to be changed."""
    workspace = tmp_path_factory.mktemp("paper")
    shutil.copytree(aligned_set / "aligned", workspace / "aligned")
    turn_homographies(workspace / "aligned", 1.0)
    cut(workspace)
    return workspace


@pytest.fixture
def finished(paper_set, tmp_path):
    return shutil.copytree(paper_set, tmp_path / "w")


def test_the_rule_is_recorded_and_ncc_alone_decides(paper_set):
    manifest = json.loads((paper_set / "patches/manifest.json").read_text())
    assert manifest["settings"]["rule"] == "paper"
    with h5py.File(paper_set / "patches/windows.h5") as file:
        assert json.loads(file.attrs["settings"])["rule"] == "paper"
        accepted = file["status"].asstr()[:] == "accepted"
        assert set(file["reason"].asstr()[:]) <= {"accepted", "low_ncc", "flat"}
        np.testing.assert_array_equal(accepted, file["ncc"][:] > 0.9)
        assert np.isnan(file["sigma_px"][:]).all()
        assert np.isnan(file["depth_px"][:]).all()
    assert accepted.sum() > 40


def test_windows_are_turned_as_the_homography_was(paper_set):
    turns = np.concatenate([table.rotation_deg for table in kept(paper_set)])
    assert np.median(turns) == pytest.approx(1.0)
    assert (np.abs(turns - 1.0) <= 0.5).mean() > 0.9


def test_what_is_stored_is_as_stated(paper_set):
    found = verify_workspace(paper_set)
    assert found.damage == []
    assert found.patches == sum(len(table) for table in kept(paper_set))


def test_another_rule_is_refused_and_nothing_is_touched(finished):
    before = contents(finished)
    text = cut(finished, "--rule", "refined", code=1)
    assert "made with rule = paper, now refined" in text
    assert "--force" in text
    assert contents(finished) == before


def test_another_threshold_gives_a_fresh_runs_bytes_unmeasured(
    finished, paper_set, monkeypatch
):
    def refuse_to_measure(*arguments):
        raise AssertionError("a window was measured again")

    cut(finished, "--force", "--min-corr", "0.97")
    count = sum(len(table) for table in kept(finished))
    assert 0 < count < sum(len(table) for table in kept(paper_set))
    monkeypatch.setattr(pieces, "measure_windows", refuse_to_measure)
    cut(finished, "--force")
    assert contents(finished) == contents(paper_set)


def test_another_rotation_limit_is_measured_anew(finished):
    cut(finished, "--force", "--max-rotation", "0")
    for table in kept(finished):
        np.testing.assert_array_equal(table.rotation_deg, 0)
        assert np.abs(table.shift_px).max() <= MAX_SHIFT
        assert (table.patch_to_phone[:, :2, 2] % 1 == 0).all()


def test_a_rule_nobody_knows_is_refused(tmp_path):
    assert "--rule" in run("patches", "-w", tmp_path, "--rule", "mine", code=2)


def test_the_help_states_the_papers_limit():
    words = " ".join(run("patches", "--help").split())
    assert f"at most {MAX_SHIFT} with --rule paper" in words


def test_the_report_shows_no_uncertainty_where_none_is_stated(finished):
    run("report", "-w", finished, "--jobs", "1")
    folder = finished / "report"
    windows = json.loads((folder / "report.json").read_text())["windows"]
    assert windows["rule"] == "paper"
    assert set(windows["accepted_histograms"]) == {"shift", "rotation"}
    assert "sigma_px" not in windows["accepted_spread"]
    assert not (folder / "sigma.svg").exists()
    page = (folder / "index.html").read_text()
    assert "sigma.svg" not in page
    assert "The paper's rule placed and accepted these windows by NCC alone" in page
    assert "dped-build patches --rule paper" in page

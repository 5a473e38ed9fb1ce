"""Known changes between two workspaces must be listed, and nothing else."""

import json
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from dped_build.cli import cli
from dped_build.commands.diff import summary_lines
from dped_build.curate.diff import compare_workspaces
from dped_build.workspace.errors import DpedBuildError, UsageError


@pytest.fixture
def two(patched_set, tmp_path):
    """Two equal workspaces."""
    for name in "ab":
        shutil.copytree(patched_set, tmp_path / name)
    return tmp_path / "a", tmp_path / "b"


def test_equal_workspaces_do_not_differ(two):
    found = compare_workspaces(*two)
    assert not found
    assert found.pairs.before == found.pairs.after == 5
    assert found.windows.before > 20
    assert all(line.endswith("the same") for line in summary_lines(found))


def test_windows_gained_lost_and_moved_are_listed(two):
    a, b = two
    with h5py.File(b / "patches" / "windows.h5", "r+") as file:
        accepted = np.flatnonzero(file["status"][:] == b"accepted")
        rejected = np.flatnonzero(file["status"][:] != b"accepted")
        lost, moved, barely = accepted[:3]
        file["reason"][lost] = b"low_ncc"
        file["reason"][rejected[0]] = b"accepted"
        file["patch_to_dslr"][rejected[0]] = np.eye(3)
        for row, shift in ((moved, 0.25), (barely, 0.0004)):
            matrix = file["patch_to_dslr"][row]
            matrix[:2] += np.outer((shift, 0), matrix[2])
            file["patch_to_dslr"][row] = matrix
        names = [
            f"{pair} {x} {y}"
            for pair, (x, y) in zip(
                file["pair"].asstr()[:], file["window_xy"][:].tolist(), strict=True
            )
        ]
    found = compare_workspaces(a, b).windows
    assert found.lost == [names[lost]]
    assert found.gained == [names[rejected[0]]]
    assert found.moved == {names[moved]: pytest.approx(0.25, abs=1e-4)}
    back = compare_workspaces(b, a).windows
    assert (back.lost, back.gained) == (found.gained, found.lost)
    strict = compare_workspaces(a, b, tolerance_px=0.0001).windows
    assert set(strict.moved) == {names[moved], names[barely]}


def test_pairs_and_their_outcomes_are_listed(two):
    a, b = two
    path = b / "aligned" / "alignment.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = {line["pair"]: line for line in lines}
    changed["10"] |= {"status": "rejected", "reason": "small_overlap"}
    changed["2"]["phone_to_dslr"][0][2] += 1.5
    del changed["12"]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed.values()))
    found = compare_workspaces(a, b)
    assert found.outcomes == {"10": ("aligned", "small_overlap")}
    assert sorted(found.pairs.lost) == ["10", "12"]
    assert set(found.pairs.moved) == {"2"}
    assert "  10: aligned, now small_overlap" in summary_lines(found)


def test_a_stage_that_one_lacks_is_left_out(two):
    a, b = two
    shutil.rmtree(b / "patches")
    found = compare_workspaces(a, b)
    assert found.windows is None
    assert found.pairs is not None
    shutil.rmtree(b / "aligned")
    with pytest.raises(DpedBuildError, match="no finished stage that both have"):
        compare_workspaces(a, b)
    with pytest.raises(UsageError, match="no such workspace"):
        compare_workspaces(a, b / "nowhere")


def test_the_command_says_so_and_exits_as_asked(two):
    a, b = two
    same = CliRunner().invoke(cli, ["diff", str(a), str(b), "--exit-code"])
    assert same.exit_code == 0, same.output
    (b / "aligned" / "alignment.jsonl").write_text("")
    for options, code in (([], 0), (["--exit-code"], 1)):
        result = CliRunner().invoke(cli, ["diff", str(a), str(b), *options])
        assert result.exit_code == code
        assert "aligned pairs: 5 in A, 0 in B" in result.output
    result = CliRunner().invoke(cli, ["diff", str(a), str(b), "--json"])
    assert len(json.loads(result.output)["pairs"]["lost"]) == 5

"""Workspaces become one: nobody's name, split or measurement is lost on the way."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from merging import align, cut, part_of, shoot, states, tree

from dped_build.align import PairingSettings
from dped_build.align.aligned_folder import read_aligned
from dped_build.cli import cli
from dped_build.curate import merge
from dped_build.curate.merge import merge_workspaces
from dped_build.curate.verify import verify_workspace
from dped_build.patches import PatchDataset, PatchSettings, build_shards, pieces
from dped_build.patches.folder import read_rows
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import read_sums, sha256, write_sums

NAMES = ("0001", "0002", "0003", "0010")


@pytest.fixture(scope="module")
def days(tmp_path_factory, textured):
    """day1 and day2: photos of equal names, each aligned and cut; never changed."""
    folder = tmp_path_factory.mktemp("days")
    for number, names in ((1, NAMES), (2, NAMES[:3])):
        day = shoot(folder / f"raw/day{number}", textured, names, day=number)
        cut(align(day, folder / f"day{number}"))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, textured):
    """One set of eight pairs done in one run; never changed."""
    folder = tmp_path_factory.mktemp("whole")
    names = [f"{number:04d}" for number in range(8)]
    raw = shoot(folder / "raw", textured, names, day=3)
    (raw / "canon/0005.jpg").unlink()
    cut(align(raw, folder))
    return folder


@pytest.fixture
def parts(whole, tmp_path):
    """The same set in two parts, the second with the odd pairs."""
    for number in (0, 1):
        pairs = [f"{pair:04d}" for pair in range(number, 8, 2)]
        cut(part_of(whole, tmp_path / f"part{number}", pairs))
    return [tmp_path / "part0", tmp_path / "part1"]


@pytest.fixture
def copies(days, tmp_path):
    """Copies of both days' workspaces, which a test may change."""
    return [
        shutil.copytree(days / name, tmp_path / name, copy_function=shutil.copy2)
        for name in ("day1", "day2")
    ]


def sources(days):
    return [days / "day1", days / "day2"]


def rows(workspace):
    text = (workspace / "patches/split.csv").read_text()
    return {row["pair"]: row for row in csv.DictReader(text.splitlines())}


def stages(workspace):
    """Whether `aligned` and `patches` stand there."""
    return [(workspace / name).is_dir() for name in ("aligned", "patches")]


def test_equal_names_of_two_days_are_kept_apart(days, tmp_path):
    found = merge_workspaces(sources(days), tmp_path / "all")
    aligned = read_aligned(tmp_path / "all")
    expected = [f"day1-{name}" for name in NAMES] + [f"day2-{n}" for n in NAMES[:3]]
    assert list(aligned.records) == expected
    assert (found.pairs, found.aligned, found.cut) == (7, 7, 7)
    assert aligned.phone_root == (days / "raw").resolve()
    record = aligned.records["day2-0002"]
    assert record.phone == "day2/iphone/0002.jpg"
    assert record.dslr == "day2/canon/0002.jpg"
    crop = "aligned/iphone/{}.jpg".format
    merged = (tmp_path / "all" / crop("day2-0002")).read_bytes()
    assert merged == (days / "day2" / crop("0002")).read_bytes()
    assert verify_workspace(tmp_path / "all").damage == []


def test_the_merged_patches_are_those_of_the_days(days, tmp_path):
    merge_workspaces(sources(days), tmp_path / "all")
    merged = read_rows(tmp_path / "all/patches/windows.h5").by_pair()
    for day in ("day1", "day2"):
        for pair, windows in (
            read_rows(days / day / "patches/windows.h5").by_pair().items()
        ):
            there = merged[f"{day}-{pair}"]
            np.testing.assert_array_equal(there.patch_to_dslr, windows.patch_to_dslr)
            np.testing.assert_array_equal(there.ncc, windows.ncc)
    counts = [len(PatchDataset(days / day / "patches")) for day in ("day1", "day2")]
    together = PatchDataset(tmp_path / "all/patches")
    assert len(together) == sum(counts)
    first = PatchDataset(days / "day1/patches")
    row = np.flatnonzero(together.photos == f"day1-{first.photos[0]}")[0]
    for one, other in zip(together[row], first[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_photo_stays_in_its_split(days, tmp_path):
    found = merge_workspaces(sources(days), tmp_path / "all")
    merged = rows(tmp_path / "all")
    for day in ("day1", "day2"):
        for pair, row in rows(days / day).items():
            assert merged[f"{day}-{pair}"]["split"] == row["split"]
    assert found.moved == 0


def test_patches_of_the_merged_workspace_finds_nothing_to_do(days, tmp_path):
    merge_workspaces(sources(days), tmp_path / "all")
    before = states(tmp_path / "all")
    assert cut(tmp_path / "all").newly_done == 0
    after = states(tmp_path / "all")
    assert {k: v for k, v in after.items() if k.is_file()} == {
        k: v for k, v in before.items() if k.is_file()
    }


def test_parts_of_a_set_give_the_bytes_of_one_run(whole, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "measure_windows", None)  # nothing is refined again
    merge_workspaces(parts, tmp_path / "all", new_split=True)
    assert tree(tmp_path / "all") == tree(whole)
    merge_workspaces(parts[::-1], tmp_path / "other way", new_split=True)
    assert tree(tmp_path / "other way") == tree(whole)


def test_another_threshold_measures_nothing_again(whole, parts, tmp_path, monkeypatch):
    merge_workspaces(parts, tmp_path / "all", new_split=True)
    monkeypatch.setattr(pieces, "measure_windows", None)
    command = ["patches", "-w", str(tmp_path / "all"), "--size", "48", "--force"]
    threads = ["--min-corr", "0.5", "--jobs", "1", "--backend", "threading"]
    ran = CliRunner().invoke(cli, [*command, *threads])
    assert ran.exit_code == 0, ran.output


def test_without_patches_the_alignments_alone_are_merged(whole, tmp_path):
    for number, pairs in enumerate((["0000", "0001"], ["0002", "0003", "0007"])):
        part_of(whole, tmp_path / f"p{number}", pairs)
    found = merge_workspaces([tmp_path / "p0", tmp_path / "p1"], tmp_path / "all")
    assert found.cut is None
    assert stages(tmp_path / "all") == [True, False]
    assert cut(tmp_path / "all").newly_done == 5


def test_what_a_source_has_not_cut_is_left_to_patches(days, copies, tmp_path):
    shutil.rmtree(copies[1] / "patches")
    found = merge_workspaces(copies, tmp_path / "all")
    assert (found.aligned, found.cut) == (7, 4)
    assert set(rows(tmp_path / "all")) == {f"day1-{name}" for name in NAMES}
    drawn = rows(tmp_path / "all")
    assert cut(tmp_path / "all").newly_done == 3
    later = rows(tmp_path / "all")
    assert {pair: later[pair] for pair in drawn} == drawn
    assert len(later) == 7
    assert merge_workspaces(copies, tmp_path / "all").newly_done is False


def test_running_again_changes_nothing(days, tmp_path):
    assert merge_workspaces(sources(days), tmp_path / "all").newly_done
    before = states(tmp_path / "all")
    found = merge_workspaces(sources(days), tmp_path / "all")
    assert not found.newly_done
    files = {path for path in before if path.is_file() and path.name != "lock"}
    after = states(tmp_path / "all")
    assert {path: after[path] for path in files} == {p: before[p] for p in files}


def test_other_sources_are_refused_without_force(days, copies, textured, tmp_path):
    target = tmp_path / "all"
    merge_workspaces(copies, target)
    before = tree(target)
    raw = shoot(days / "raw/day3", textured, ("0001", "0020"), day=5)
    third = cut_day(raw, tmp_path / "day3")
    with pytest.raises(DpedBuildError, match=r"day3-0001.*--force"):
        merge_workspaces([*copies, third], target)
    assert tree(target) == before
    found = merge_workspaces([*copies, third], target, force=True)
    assert found.pairs == 9
    assert verify_workspace(target).damage == []


def cut_day(raw, workspace):
    cut(align(raw, workspace))
    return workspace


def test_a_source_is_never_altered(copies, tmp_path):
    before = [(states(copy), tree(copy)) for copy in copies]
    merge_workspaces(copies, tmp_path / "all")
    cut(tmp_path / "all", force=True)
    assert [(states(copy), tree(copy)) for copy in copies] == before


def test_exclusions_go_over_under_the_new_names(copies, tmp_path):
    (copies[0] / "exclude.csv").write_text("pair,x,y,note\n0002,,,blurred\n")
    (copies[1] / "exclude.csv").write_text('pair,note\n0002,"by ""me"", twice"\n')
    merge_workspaces(copies, tmp_path / "all")
    text = (tmp_path / "all/exclude.csv").read_text()
    assert text == (
        'pair,x,y,note\nday1-0002,,,blurred\nday2-0002,,,"by ""me"", twice"\n'
    )
    windows = json.loads((tmp_path / "all/patches/manifest.json").read_text())[
        "windows"
    ]
    assert windows["excluded"] > 0
    (tmp_path / "all/exclude.csv").write_text("pair\nday1-0001\n")
    merge_workspaces(copies, tmp_path / "all")
    assert (tmp_path / "all/exclude.csv").read_text() == "pair\nday1-0001\n"


@pytest.mark.parametrize("stop", ["publish_content", "publish_alignment", "opened"])
def test_an_interrupted_merge_leaves_no_alignment(days, tmp_path, monkeypatch, stop):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merge, stop, interrupt)
        with pytest.raises(KeyboardInterrupt):
            merge_workspaces(sources(days), tmp_path / "all")
    assert stages(tmp_path / "all") == [False, stop == "publish_alignment"]
    merge_workspaces(sources(days), tmp_path / "all")
    merge_workspaces(sources(days), tmp_path / "in one go")
    assert tree(tmp_path / "all") == tree(tmp_path / "in one go")


def test_a_source_that_changes_meanwhile_stops_the_merge(
    days, copies, tmp_path, monkeypatch
):
    publish = merge.publish_content

    def change(*arguments):
        align(days / "raw/day2", copies[1], force=True)
        (copies[1] / "aligned/SHA256SUMS").write_text("")
        return publish(*arguments)

    monkeypatch.setattr(merge, "publish_content", change)
    with pytest.raises(DpedBuildError, match="day2: changed while it was read"):
        merge_workspaces(copies, tmp_path / "all")
    assert not (tmp_path / "all/aligned").exists()


def test_names_get_as_many_folders_as_tell_them_apart(days, tmp_path):
    both = [
        shutil.copytree(days / name, tmp_path / name / "data")
        for name in ("day1", "day2")
    ]
    found = merge_workspaces(both, tmp_path / "all")
    assert list(found.prefixes) == ["day1-data-", "day2-data-"]


def test_who_was_tested_on_in_a_merge_is_so_under_a_new_name(
    days, copies, textured, tmp_path
):
    names = ("0101", "0102", "0103")
    raw = shoot(days / "raw/day4", textured, names, day=7)
    fourth, target = cut_day(raw, tmp_path / "day4"), tmp_path / "all"
    for copy in (copies[0], fourth):
        shutil.rmtree(copy / "patches")
    merge_workspaces([copies[0], fourth], target)
    cut(target)
    (target / "exclude.csv").write_text("pair\n0102\n")
    before = rows(target)
    merge_workspaces([*copies[:1], fourth, copies[1]], target, force=True)
    after = rows(target)
    assert {after[f"day4-{name}"]["split"] == before[name]["split"] for name in names}
    for name in NAMES:
        assert after[f"day1-{name}"]["split"] == before[name]["split"]
    assert "day4-0102" in (target / "exclude.csv").read_text()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"crops": "png"}, "crops = jpg.*with png.*align --force"),
        ({"min_inliers": 13}, "min-inliers = 12"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    copies, tmp_path, change, message
):
    path = copies[1] / "aligned/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(DpedBuildError, match=message):
        merge_workspaces(copies, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_a_day_from_folders_of_other_names_merges_under_the_cameras_names(
    days, tmp_path
):
    other = PairingSettings(phone_camera="phone", dslr_camera="dslr")
    cut(align(days / "raw/day2", tmp_path / "day2", pairing=other))
    sources = [days / "day1", tmp_path / "day2"]
    with pytest.raises(DpedBuildError, match=r"are one camera.*--phone-camera"):
        merge_workspaces(sources, tmp_path / "all")
    words = [*map(str, sources), "-w", str(tmp_path / "all"), "--dslr-camera", "canon"]
    done = CliRunner().invoke(cli, ["merge", *words, "--phone-camera", "iphone"])
    assert done.exit_code == 0, done.output
    merge_workspaces([days / "day1", days / "day2"], tmp_path / "plain")
    assert tree(tmp_path / "all") == tree(tmp_path / "plain")
    assert verify_workspace(tmp_path / "all").damage == []


def test_days_may_have_been_paired_otherwise(copies, tmp_path):
    for copy, offset in zip(copies, (3, 4), strict=True):
        path = copy / "aligned/manifest.json"
        manifest = json.loads(path.read_text())
        manifest["settings"] |= {"pair_by": "time", "clock_offset": offset}
        path.write_text(json.dumps(manifest | {"pairing": {"matches": offset}}))
    merge_workspaces(copies, tmp_path / "all")
    merged = read_aligned(tmp_path / "all").manifest
    assert merged["settings"]["pair_by"] == "time"
    assert "clock_offset" not in merged["settings"]
    assert "pairing" not in merged


def test_other_thresholds_are_refused_with_the_way_out(copies, tmp_path):
    command = ["patches", "-w", str(copies[1]), "--size", "48", "--force"]
    ran = CliRunner().invoke(cli, [*command, "--min-corr", "0.8", "--jobs", "1"])
    assert ran.exit_code == 0
    with pytest.raises(DpedBuildError, match=r"min-corr = 0\.9.*patches --force"):
        merge_workspaces(copies, tmp_path / "all")


def test_one_photo_in_two_workspaces_is_refused(days, copies, tmp_path):
    with pytest.raises(DpedBuildError, match=r"0001 of .*are the same phone photo"):
        merge_workspaces([days / "day1", copies[0]], tmp_path / "all")


@pytest.mark.parametrize(
    "names, message",
    [
        (["day1"], "two or more"),
        (["day1", "day1"], "given twice"),
        (["day1", "nowhere"], "no such folder"),
    ],
)
def test_workspaces_that_cannot_be_meant_are_wrong_usage(
    days, tmp_path, names, message
):
    with pytest.raises(UsageError, match=message):
        merge_workspaces([days / name for name in names], tmp_path / "all")


def test_a_source_cannot_be_the_target(days):
    with pytest.raises(UsageError, match="one of the sources"):
        merge_workspaces(sources(days), days / "day2")


def test_a_workspace_without_alignment_says_what_to_run(days, tmp_path):
    with pytest.raises(DpedBuildError, match="run dped-build align"):
        merge_workspaces([days / "day1", tmp_path], tmp_path / "all")


def test_the_command_tells_what_it_did(days, tmp_path):
    folders = [os.fspath(path) for path in sources(days)]
    command = ["merge", *folders, "-w", os.fspath(tmp_path / "all")]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 0, ran.output
    assert "2 workspaces: 7 of 7 pairs aligned" in ran.output
    assert "pairs are now called day1-…, day2-…" in ran.output
    assert "next: dped-build report" in ran.output
    told = json.loads(CliRunner().invoke(cli, [*command, "--json"]).output)
    assert (told["newly_done"], told["cut"]) == (False, 7)


def test_a_merge_killed_at_any_instant_is_whole_or_absent(days, tmp_path):
    folders = [os.fspath(path) for path in sources(days)]
    merge_workspaces(sources(days), tmp_path / "whole")
    script = os.fspath(Path(sys.executable).with_name("dped-build"))
    target, killed = tmp_path / "all", 0
    for delay in np.arange(0.2, 30, 0.1):
        command = [script, "merge", *folders, "-w", os.fspath(target)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
        for stage in ("aligned", "patches"):
            if (target / stage).exists():
                check_sums(target, stage)
        if process.returncode == 0:
            break
    assert killed
    assert process.returncode == 0
    assert tree(target) == tree(tmp_path / "whole")


def check_sums(workspace, stage):
    """Every file of a stage is there as its sums state it."""
    folder = workspace / stage
    for name, digest in read_sums(folder).items():
        assert sha256(folder / name) == digest


def test_parts_of_one_run_merge_into_its_bytes(tmp_path, textured):
    names = [f"{number:02d}" for number in range(7)]
    raw = shoot(tmp_path / "raw", textured, names)
    whole = align(raw, tmp_path / "whole")
    cut(whole)
    parts = []
    for number in (1, 2, 3):
        pairing = PairingSettings(part=f"{number}/3")
        parts.append(align(raw, tmp_path / f"part{number}", pairing=pairing))
        cut(parts[-1])
    counts = [
        len((part / "aligned/alignment.jsonl").read_text().splitlines())
        for part in parts
    ]
    assert counts == [2, 2, 3]
    merge_workspaces(parts[::-1], tmp_path / "all")
    assert tree(tmp_path / "all", but=("local.json", "SHA256SUMS")) == tree(
        whole, but=("local.json", "SHA256SUMS")
    )
    with pytest.raises(DpedBuildError, match="not all parts of one set"):
        merge_workspaces(parts[:2], tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": 64}, "size is 64, here 48"),
        ({"min_corr": 0.5}, "min-corr is 0.5, here 0.9"),
    ],
)
def test_patches_of_other_settings_are_refused_by_the_setting(
    days, tmp_path, change, told
):
    merge_workspaces(sources(days), tmp_path / "all")
    other = PatchSettings(**{"size": 48, **change})
    build_shards(tmp_path / "all", settings=other, jobs=1, force=True)
    with pytest.raises(DpedBuildError, match=f"{told}.*--force"):
        merge_workspaces(sources(days), tmp_path / "all")


def test_a_workspace_that_is_withdrawn_takes_its_patches_along(days, tmp_path):
    sources = [days / "day1", days / "day2"]
    third = shutil.copytree(days / "day2", tmp_path / "day3")
    records = third / "aligned/alignment.jsonl"
    shas = re.compile(r'(phone_sha256": ")..')  # other photos, as far as it knows
    records.write_text(shas.sub(r"\g<1>00", records.read_text()))
    write_sums(third / "aligned")
    cut(third, force=True)
    target = tmp_path / "all"
    merge_workspaces([*sources, third], target)
    with pytest.raises(DpedBuildError, match="add --force"):
        merge_workspaces(sources, target)
    merge_workspaces(sources, target, force=True)
    assert verify_workspace(target).damage == []
    photos = set(PatchDataset(target / "patches", "train").photos)
    assert photos
    assert not any(name.startswith("day3") for name in photos)


def test_parts_of_different_sets_are_not_taken_for_one(tmp_path, textured):
    names = [f"{number:02d}" for number in range(6)]
    raw = shoot(tmp_path / "raw", textured, names[:4])
    one = align(raw, tmp_path / "p1", pairing=PairingSettings(part="1/2"))
    shoot(tmp_path / "raw", textured, names)
    other = align(raw, tmp_path / "p2", pairing=PairingSettings(part="2/2"))
    with pytest.raises(DpedBuildError, match="parts of different sets of photos"):
        merge_workspaces([one, other], tmp_path / "all")

"""`build` reads each photo once, and writes what `align` and `patches` write."""

import json
import shutil

import pytest
from click.testing import CliRunner

from dped_build.align import AlignSettings, PairingSettings, align_folders
from dped_build.cli import cli
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchSettings, build_shards, one_pass, pieces
from dped_build.photos import reading
from dped_build.workspace.errors import DpedBuildError

CUT = PatchSettings(size=64, shard_patches=20)


def in_one_pass(photos, workspace, *, cut=CUT, **options):
    return one_pass.align_and_cut(
        photos / "raw/phone",
        photos / "raw/dslr",
        workspace=workspace,
        align=AlignSettings(),
        pairing=PairingSettings(),
        cut=cut,
        **{"workers": Workers(jobs=1), **options},
    )


def in_two(photos, workspace, *, cut=CUT):
    cameras = photos / "raw/phone", photos / "raw/dslr"
    align_folders(*cameras, workspace=workspace, jobs=1)
    return build_shards(workspace, settings=cut, jobs=1)


def contents(workspace):
    """Name → bytes of both stages, and whatever else is left there."""
    files = (path for path in workspace.rglob("*") if path.is_file())
    named = {
        path.relative_to(workspace).as_posix(): path.read_bytes() for path in files
    }
    return {name: data for name, data in named.items() if not name.endswith("/lock")}


@pytest.fixture
def photos_read(monkeypatch):
    """Names of the photos that are decoded, in order."""
    read, decode = [], reading._decoded

    def noted(path, *arguments, **options):
        read.append(path.name)
        return decode(path, *arguments, **options)

    monkeypatch.setattr(reading, "_decoded", noted)
    return read


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_pass_writes_the_very_files_of_both_commands(photo_set, tmp_path, jobs):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "exclude.csv").write_text("pair,x,y\n3,,\n10,0,0\n")
    done = in_one_pass(photo_set, tmp_path / "one", workers=Workers(jobs=jobs))
    assert done.aligned.newly_done == 6
    assert done.patches.newly_done == 0
    assert done.patches.accepted > 0
    in_two(photo_set, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_each_photo_is_decoded_once(photo_set, tmp_path, photos_read):
    in_one_pass(photo_set, tmp_path / "one")
    aligned = [name for name in photos_read if not name.startswith(("5.", "6."))]
    assert len(aligned) == len(set(aligned)) == 2 * 5


def test_a_pass_that_is_interrupted_goes_on_in_either_way(photo_set, tmp_path):
    def stop(done, total):
        if done >= 3:
            raise KeyboardInterrupt

    for name in ("again", "commands"):
        with pytest.raises(KeyboardInterrupt):
            in_one_pass(photo_set, tmp_path / name, progress=stop)
    done = in_one_pass(photo_set, tmp_path / "again")
    assert done.aligned.newly_done == 3
    assert in_two(photo_set, tmp_path / "commands").newly_done == 3  # of five
    in_two(photo_set, tmp_path / "two")
    assert contents(tmp_path / "again") == contents(tmp_path / "two")
    assert contents(tmp_path / "commands") == contents(tmp_path / "two")


def test_a_pair_that_cannot_be_cut_fails_as_it_does_in_two(
    photo_set, tmp_path, monkeypatch
):
    measure = pieces.measure_windows

    def broken(phone, dslr, alignment, settings):
        if alignment.pair == "3":
            raise MemoryError
        return measure(phone, dslr, alignment, settings)

    monkeypatch.setattr(pieces, "measure_windows", broken)
    done = in_one_pass(photo_set, tmp_path / "one")
    assert [failed["pair"] for failed in done.patches.failed] == ["3"]
    in_two(photo_set, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_other_settings_are_refused_before_any_work(
    photo_set, patched_set, tmp_path, photos_read
):
    shutil.copytree(patched_set, tmp_path, dirs_exist_ok=True)
    other = PatchSettings(size=64, shard_patches=20, min_corr=0.95)
    with pytest.raises(DpedBuildError, match=r"made with min-corr = 0\.9, now 0\.95"):
        in_one_pass(photo_set, tmp_path, cut=other)
    assert not photos_read
    done = in_one_pass(photo_set, tmp_path, cut=other, force=True)
    assert done.aligned.newly_done == 0  # nothing is aligned or measured again
    assert set(photos_read) <= {"6.png"}


def test_the_command_tells_of_both_stages(photo_set, tmp_path):
    cameras = [str(photo_set / "raw" / camera) for camera in ("phone", "dslr")]
    (tmp_path / "dped-build.toml").write_text(
        "[patches]\nsize = 64\n[align]\ncrops = 'none'\n"
    )
    typed = ["build", *cameras, "-w", str(tmp_path), "--jobs", "1"]
    planned = CliRunner().invoke(cli, [*typed, "--dry-run"])
    assert planned.exit_code == 0
    assert "6 pairs, 6 to do" in planned.stdout
    assert not (tmp_path / "aligned").exists()
    ran = CliRunner().invoke(cli, typed)
    assert ran.exit_code == 0, ran.output
    assert "5 of 6 pairs aligned\n" in ran.stdout
    assert "accepted from 5 pairs\n" in ran.stdout
    assert "next: dped-build report" in ran.stdout
    assert sorted(p.name for p in (tmp_path / "aligned").iterdir() if p.is_dir()) == []
    again = CliRunner().invoke(cli, [*typed, "--json"])
    told = json.loads(again.stdout)
    assert told["align"]["newly_done"] == told["patches"]["newly_done"] == 0
    assert told["patches"]["accepted"] > 0

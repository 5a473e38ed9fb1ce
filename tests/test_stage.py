"""A stage's folder is whole or absent, summed, ours, and held by one command."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from dped_build.workspace.durable import SCRATCH, durable, scratch_folder, write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import (
    SUMS,
    Journal,
    Stage,
    fresh_folder,
    opened,
    publish_folder,
    read_sums,
    refuse_other_settings,
    sha256,
    write_sums,
)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "work", "aligned", "dped-build/alignment")


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fill(folder, text="one"):
    """A finished folder as a stage would build it."""
    fresh_folder(folder)
    manifest = {"format": "dped-build/alignment", "version": 1, "text": text}
    write_atomic(folder / "manifest.json", json_bytes(manifest))
    write_sums(folder)
    return folder


def test_file_appears_whole_with_its_folders(tmp_path):
    write_atomic(tmp_path / "a" / "b.txt", b"content")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"content"
    assert names(tmp_path) == ["a", "a/b.txt"]


def test_written_files_have_the_usual_permissions(tmp_path):
    write_atomic(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize(
    "error, told",
    [
        (OSError(errno.ENOSPC, "full"), DpedBuildError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, error, told):
    write_atomic(tmp_path / "a", b"old")

    def write():
        with durable(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(told):
        write()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_temporary_files_live_in_the_workspaces_scratch(tmp_path):
    (tmp_path / SCRATCH).mkdir()
    (tmp_path / "aligned").mkdir()
    with durable(tmp_path / "aligned" / "a") as temporary:
        assert temporary.parent == tmp_path / SCRATCH
        temporary.write_bytes(b"x")
    assert names(tmp_path / "aligned") == ["a"]
    assert names(tmp_path / SCRATCH) == []
    assert scratch_folder(tmp_path / "runs" / "x" / "a") == tmp_path / SCRATCH


def test_json_is_utf8_in_the_order_given_without_nan():
    assert (
        json_bytes({"b": "é", "a": 1}, indent=None) == '{"b": "é", "a": 1}\n'.encode()
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes(float("nan"))


def test_sums_verify_with_sha256sum(tmp_path):
    for name in ("z.txt", "a b.txt", "sub/é.bin"):
        write_atomic(tmp_path / name, name.encode())
    write_sums(tmp_path)
    ran = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 3
    sums = read_sums(tmp_path)
    assert list(sums) == ["a b.txt", "sub/é.bin", "z.txt"]
    assert sums["z.txt"] == hashlib.sha256(b"z.txt").hexdigest()


def test_known_sums_are_taken_over_unread(tmp_path):
    write_atomic(tmp_path / "a", b"a")
    write_sums(tmp_path, {"a": "0" * 64})
    assert read_sums(tmp_path) == {"a": "0" * 64}


def test_journal_returns_what_was_appended(tmp_path):
    journal = Journal(tmp_path / "deep" / "journal.jsonl")
    assert journal.read() == []
    lines = [{"pair": "é\u2028"}, {"pair": "b"}]
    for line in lines:
        journal.append(line)
    assert Journal(journal.path).read() == lines


def test_journal_survives_a_line_torn_anywhere(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append({"pair": "a"})
    whole = journal.path.read_bytes()
    line = json_bytes({"pair": "éé"}, indent=None)
    for length in range(1, len(line) - 1):
        journal.path.write_bytes(whole + line[:length])
        assert journal.read() == [{"pair": "a"}]
        journal.append({"pair": "c"})
        assert journal.read() == [{"pair": "a"}, {"pair": "c"}]


@pytest.mark.parametrize(
    "line",
    [b"[" * 100_000, b"[1]", b"3", b'{"pair": NaN}', b"\xff\xfe", b"1" * 5000],
)
def test_journal_passes_over_what_is_no_line_of_ours(tmp_path, line):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path.write_bytes(b'{"pair": "a"}\n' + line + b'\n{"pair": "c"}\n')
    assert journal.read() == [{"pair": "a"}, {"pair": "c"}]


def test_journal_ends_at_a_line_without_end(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append({"pair": "a"})
    with journal.path.open("ab") as file:
        file.write(b'{"pair": "' + b"b" * 2**21 + b'"}\n')
    assert journal.read() == [{"pair": "a"}]


def link(path, outside):
    path.symlink_to(outside)


@pytest.mark.parametrize("make", [link, lambda path, outside: os.mkfifo(path)])
@pytest.mark.parametrize("name", ["journal.jsonl", "iphone", "iphone/0001.jpg"])
def test_links_and_pipes_among_unfinished_work_are_refused(stage, make, name):
    outside = stage.workspace.with_name("outside")
    outside.mkdir()
    path = stage.scratch / name
    path.parent.mkdir(parents=True)
    make(path, outside)
    with pytest.raises(DpedBuildError, match=f"{path.name}: a link or pipe; remove it"):
        enter(stage)
    assert list(outside.iterdir()) == []


def test_a_link_to_a_folder_is_foreign_in_a_finished_stage(stage, tmp_path):
    fill(stage.folder)
    (stage.folder / "iphone").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DpedBuildError, match="iphone: not written by dped-build"):
        enter(stage)


def test_finished_stage_gives_its_manifest(stage):
    assert stage.manifest() is None
    fill(stage.folder, "mine")
    assert stage.manifest()["text"] == "mine"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"{", "cannot be read .*--force"),
        (b"[]", "cannot be read .expected object, got array"),
        (b'{"format": "other"}', "not a dped-build/alignment manifest"),
        (
            b'{"format": "dped-build/alignment", "version": 2}',
            "version 2 of the format; update dped-build",
        ),
    ],
)
def test_manifest_that_is_not_ours_is_named(stage, content, message):
    fill(stage.folder)
    (stage.folder / "manifest.json").write_bytes(content)
    with pytest.raises(DpedBuildError, match=message):
        stage.manifest()


def enter(stage):
    with opened(stage):
        pass


def test_foreign_file_is_refused_and_left_alone(stage):
    fill(stage.folder)
    enter(stage)
    (stage.folder / "thesis.doc").write_bytes(b"mine")
    with pytest.raises(DpedBuildError, match=r"thesis\.doc: not written by dped-build"):
        enter(stage)
    assert (stage.folder / "thesis.doc").read_bytes() == b"mine"


def test_folder_without_sums_is_foreign(stage):
    stage.folder.mkdir(parents=True)
    enter(stage)  # an empty folder harms nobody
    (stage.folder / "photo.jpg").touch()
    with pytest.raises(DpedBuildError, match="choose another --workspace"):
        enter(stage)


def test_file_in_the_folders_place_is_refused(stage):
    stage.workspace.mkdir()
    stage.folder.write_bytes(b"mine")
    with pytest.raises(DpedBuildError, match="not a folder; move it away"):
        enter(stage)


def test_file_in_the_workspaces_place_is_refused(stage):
    stage.workspace.write_bytes(b"mine")
    with pytest.raises(DpedBuildError, match="cannot be written"):
        enter(stage)


def test_second_command_in_a_workspace_is_refused(stage):
    other = Stage(stage.workspace, "patches", "dped-build/patches")
    with opened(stage), pytest.raises(DpedBuildError, match="another dped-build is at"):
        enter(other)
    enter(other)


def test_other_settings_are_refused_by_name(stage):
    recorded = {"min_corr": 0.9, "sides": [1, 2], "tiles": None}
    refuse_other_settings(stage, recorded, {**recorded, "sides": (1, 2)})
    with pytest.raises(DpedBuildError, match=r"min-corr = 0\.9, now 0\.8; add --force"):
        refuse_other_settings(stage, recorded, {**recorded, "min_corr": 0.8})
    with pytest.raises(DpedBuildError, match="tiles = the default, now 3"):
        refuse_other_settings(stage, recorded, {**recorded, "tiles": 3})


def test_publication_replaces_the_folder_whole(stage):
    enter(stage)
    fill(stage.folder, "old")
    (stage.folder / "gone").touch()
    publish_folder(fill(stage.build, "new"), stage.folder)
    assert json.loads((stage.folder / "manifest.json").read_bytes())["text"] == "new"
    assert names(stage.folder) == [SUMS, "manifest.json"]
    assert names(stage.workspace / SCRATCH) == ["lock"]


@pytest.fixture
def synced(monkeypatch):
    """The folders that are put on the disk, in order."""
    found, fsync = [], os.fsync

    def record(descriptor):
        fsync(descriptor)
        with contextlib.suppress(OSError):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            found.extend([path] if path.is_dir() else [])

    monkeypatch.setattr(os, "fsync", record)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_publication_puts_the_names_on_the_disk_before_and_after(stage, synced):
    enter(stage)
    fill(stage.build)
    write_atomic(stage.build / "iphone" / "0001.jpg", b"x")
    assert synced == []  # a stage is synced as a whole
    publish_folder(stage.build, stage.folder)
    assert synced == [stage.build, stage.build / "iphone", stage.workspace]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_file_outside_of_a_stage_is_named_on_the_disk(tmp_path, synced):
    write_atomic(tmp_path / "run" / "checkpoint.pt", b"x")
    assert synced == [tmp_path / "run"]


@pytest.fixture
def synced_sizes(monkeypatch):
    """The size of every file at the time it was put on the disk."""
    found, fsync = [], os.fsync

    def record(descriptor):
        fsync(descriptor)
        status = os.fstat(descriptor)
        found.extend([status.st_size] if stat.S_ISREG(status.st_mode) else [])

    monkeypatch.setattr(os, "fsync", record)
    return found


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, synced_sizes):
    target, replace = tmp_path / "a", Path.replace
    with pytest.MonkeyPatch.context() as patch:
        before = []
        patch.setattr(
            Path, "replace", lambda *at: (before.extend(synced_sizes), replace(*at))
        )
        write_atomic(target, b"content")
    assert before == synced_sizes == [len(b"content")]


def test_a_line_of_the_journal_is_on_the_disk_when_it_is_added(tmp_path, synced_sizes):
    journal = Journal(tmp_path / "journal.jsonl")
    sizes = []
    for pair in ("1", "2"):
        journal.append({"pair": pair})
        sizes.append(journal.path.stat().st_size)
    assert synced_sizes == sizes


def test_the_old_folder_comes_back_where_the_new_one_cannot_be_moved(
    stage, monkeypatch
):
    enter(stage)
    fill(stage.folder, "old")
    fill(stage.build, "new")
    replace = Path.replace

    def refuse(path, target):
        if path == stage.build:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(DpedBuildError, match="cannot be written"):
            publish_folder(stage.build, stage.folder)
    assert stage.manifest()["text"] == "old"


@pytest.mark.parametrize(
    "number, told", [(errno.EINVAL, None), (errno.EIO, "cannot be written")]
)
def test_a_disk_that_fails_is_told_and_one_that_syncs_no_folders_not(
    tmp_path, monkeypatch, number, told
):
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    refused = pytest.raises(DpedBuildError, match=told) if told else None
    with refused or contextlib.nullcontext():
        write_atomic(tmp_path / "a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_interrupted_publication_is_finished(stage):
    enter(stage)
    fill(stage.build, "new")  # the old folder was moved away, then the power went
    old = stage.build.with_name(f"{stage.build.name}-old")
    old.mkdir()
    enter(stage)
    assert stage.manifest()["text"] == "new"
    assert not stage.build.exists()
    assert not old.exists()


def test_a_folder_that_the_user_took_away_does_not_come_back(stage):
    enter(stage)
    fill(stage.build, "new")  # finished, then the power went before any rename
    enter(stage)
    assert not stage.folder.exists()
    assert not stage.build.exists()


def test_unfinished_build_is_not_published(stage):
    enter(stage)
    fill(stage.build)
    (stage.build / SUMS).unlink()
    enter(stage)
    assert not stage.folder.exists()


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()

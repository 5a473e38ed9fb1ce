"""Whoever imports the package, or runs a command in a program, finds all as before."""

import ast
import json
import logging
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from click.testing import CliRunner
from PIL import Image
from process_state import changes_since, process_state
from test_errors import FAULTS, group
from test_rooms import ROOMS, ROOT

from dped_build.cli import cli
from dped_build.photos.pillow_settings import no_warnings
from dped_build.photos.reading import read_photo
from dped_build.train.devices import full_float32
from dped_build.workspace.environment import environment
from dped_build.workspace.logs import LOGGER, log_error, log_into


def modules():
    """The package's modules by name, and their source files."""
    paths = [ROOT / "cli.py"]
    for room in ROOMS:
        paths += (ROOT / room).rglob("*.py")
    names = (path.relative_to(ROOT).with_suffix("").parts for path in paths)
    dotted = (".".join(("dped_build", *parts)) for parts in names)
    return dict(zip((n.removesuffix(".__init__") for n in dotted), paths, strict=True))


def imported_at_once(path):
    """Dotted names of the modules that a source file imports when it is imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_importing_every_module_changes_nothing():
    own = modules()
    others = {name for path in own.values() for name in imported_at_once(path)}
    strangers = sorted(name for name in others if name.split(".")[0] != "dped_build")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("process_state.py")],
        input=json.dumps([strangers, sorted(own)]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize(
    ("name", "code"), [*((name, code) for name, (_, code, _) in FAULTS.items())]
)
def test_a_command_that_fails_leaves_the_process_as_it_was(tmp_path, name, code):
    before = process_state()
    log = str(tmp_path / "log.jsonl")
    assert CliRunner().invoke(group, [name, "--log", log]).exit_code == code
    assert changes_since(before) == {}


def test_commands_that_work_leave_the_process_as_it_was(raw, work):
    before = process_state()
    photos = [str(raw / "iphone"), str(raw / "canon")]
    for line in (["align", *photos], ["patches", "--backend", "threading"], ["report"]):
        result = CliRunner().invoke(cli, [*line, "-w", str(work)])
        assert result.exit_code == 0, result.output
        assert changes_since(before) == {}


def test_a_photo_of_any_size_is_read_by_our_own_limit_alone(tmp_path, monkeypatch):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses the double
    assert read_photo(tmp_path / "a.jpg").shape == (40, 60, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "a.jpg")


def test_threads_that_read_at_the_same_time_put_all_back(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    before, together = process_state(), Barrier(4)

    def read(turn):
        together.wait()
        with no_warnings():  # the threads leave in another order than they came
            return read_photo(tmp_path / "a.png").shape

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(64))) == {(40, 60, 3)}
    assert changes_since(before) == {}


def test_a_change_lasts_until_its_last_holder_has_gone():
    first, second, before = no_warnings(), no_warnings(), list(warnings.filters)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert warnings.filters != before
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_an_environment_is_that_of_the_block_and_what_the_user_says_stays(monkeypatch):
    monkeypatch.setenv("DPED_A", "mine")
    monkeypatch.delenv("DPED_B", raising=False)
    with environment(DPED_A="yours", DPED_B="yours"):
        assert (os.environ["DPED_A"], os.environ["DPED_B"]) == ("mine", "yours")
    assert os.environ["DPED_A"] == "mine"
    assert "DPED_B" not in os.environ


def test_float32_is_whole_within_the_block():
    before = process_state()
    with full_float32():
        assert process_state()["TF32 of convolutions"] is False
    assert changes_since(before) == {}


def test_float32_is_whole_where_torchs_newer_switches_are_used():
    script = (
        "import torch; from dped_build.train.devices import full_float32\n"
        "cudnn = torch.backends.cudnn\n"
        "cudnn.conv.fp32_precision = 'ieee'\n"
        "with full_float32():\n"
        "    assert cudnn.rnn.fp32_precision == 'ieee'\n"
        "assert cudnn.conv.fp32_precision == 'ieee'\n"
        "assert cudnn.rnn.fp32_precision == 'tf32'"
    )  # torch forgets nothing of it: in a process of its own
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_error_without_a_log_goes_nowhere(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(LOGGER, "propagate", False)  # pytest listens at the root
    log_error(ValueError("lost"))
    assert capsys.readouterr() == ("", "")
    with log_into(tmp_path / "log"):
        log_error(ValueError("kept"))
    assert "kept" in (tmp_path / "log").read_text()
    assert logging.getLogger("dped_build").handlers == []

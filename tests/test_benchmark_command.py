"""`bench` counts what the papers count and compares times taken in turn."""

import json

import pytest
from click.testing import CliRunner

from dped_build.cli import cli
from dped_build.train.architecture import Architecture
from dped_build.train.evaluating import benchmark as module
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.train.evaluating.benchmark import PUBLISHED, benchmark, count_macs
from dped_build.train.layers import initialize
from dped_build.train.model_file import save_generator
from dped_build.train.networks import build_generator
from dped_build.workspace.errors import UsageError

SMALL = BenchSettings(size="32x24", repeat=3, device="cpu")


@pytest.mark.parametrize(
    "model, gmacs", [("dped", 368.4), ("fast 16-64", 27.46), ("srcnn", 18.43)]
)
def test_arithmetic_is_the_papers(model, gmacs):
    network = build_generator(PUBLISHED[model])
    assert count_macs(network, 720, 1280) / 1e9 == pytest.approx(gmacs, abs=0.006)


def test_odd_sizes_are_counted_where_the_network_rounds_up():
    network = build_generator(Architecture("fast", channels=1, blocks=1))
    full, half, quarter = 5 * 7, 3 * 4, 2 * 2
    expected = full * (81 * 3 * 2 + 9 * 2)  # first, last and the two at full size
    expected += half * 16 * 2 + quarter * 16 * 8  # down
    expected += quarter * 9 * 16 * 2  # the block
    expected += quarter * 16 * 8 + half * 16 * 2  # up
    assert count_macs(network, 5, 7) == expected


@pytest.fixture
def without_processes(monkeypatch):
    monkeypatch.setattr(module, "_peak_mb", lambda model, settings: 123.4)


def test_models_take_turns_and_the_first_round_is_not_counted(
    monkeypatch, without_processes
):
    order = []
    seconds = iter([50, 50, 9, 3, 4, 1, 2, 1])  # DPED, SRCNN, DPED, ...

    def take(network, photo):
        order.append(sum(weights.numel() for weights in network.parameters()))
        assert photo.shape == (24, 32, 3)
        return next(seconds)

    two = {name: PUBLISHED[name] for name in ("dped", "srcnn")}
    monkeypatch.setattr(module, "PUBLISHED", two)
    monkeypatch.setattr(module, "_time_on_cpu", take)
    steps = []
    dped, srcnn = benchmark(
        settings=SMALL, progress=lambda *done_of: steps.append(done_of)
    )
    assert order == [dped.parameters, srcnn.parameters] * 4
    assert steps == [(done, 10) for done in range(1, 11)]
    assert dped.cpu is not None and srcnn.cpu is not None
    assert (dped.cpu.min_ms, dped.cpu.median_ms, dped.cpu.max_ms) == (2000, 4000, 9000)
    assert (dped.dped_ratio, srcnn.dped_ratio) == (1, 4)
    assert dped.gpu is None


@pytest.fixture
def model_path(tmp_path):
    architecture = Architecture("fast", channels=2)
    network = build_generator(architecture)
    initialize(network, seed=0)
    save_generator(tmp_path / "thin.pt", network, architecture)
    return tmp_path / "thin.pt"


def test_a_table_names_every_model_beside_dped(without_processes, model_path):
    result = CliRunner().invoke(
        cli, ["bench", str(model_path), "--size", "24x16", "--repeat", "1"]
    )
    assert result.exit_code == 0, result.output
    head, dped, thin, *_ = result.stdout.splitlines()
    heads = ["parameters", "GMAC", "CPU ms", "GPU ms", "peak MB", "x DPED"]
    assert [part.strip() for part in head.split("  ") if part.strip()] == heads
    assert dped.split()[:3] == ["dped", "401,475", "0.15"]
    assert dped.split()[-1] == "1.00"
    assert thin.startswith(str(model_path)) and " 123 " in thin
    assert "24 x 16 px" in result.stdout


@pytest.mark.long
def test_memory_is_that_of_a_process_which_enhances(model_path):
    settings = BenchSettings(size="16x16", device="cpu")
    small = module._peak_mb(model_path, settings)
    large = module._peak_mb(model_path, BenchSettings(size="2048x1536", device="cpu"))
    assert 50 < small < large - 25  # two channels of float32 alone are 25 MB


def test_json_is_one_record_a_model(without_processes, model_path):
    options = ["--size", "16x16", "--repeat", "1", "--device", "cpu", "--json"]
    result = CliRunner().invoke(cli, ["bench", str(model_path), *options])
    dped, thin = json.loads(result.stdout)
    assert dped["name"] == "dped" and thin["name"] == str(model_path)
    assert thin["peak_mb"] == 123.4 and thin["gpu"] is None
    assert thin["cpu"]["min_ms"] <= thin["cpu"]["median_ms"] <= thin["cpu"]["max_ms"]


@pytest.mark.parametrize("size", ["1280", "1280x", "0x720", "axb", "1280x720x3", "7x8"])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(UsageError, match=f"--size {size}: give WIDTHxHEIGHT"):
        BenchSettings(size=size)


def test_a_missing_model_is_named(tmp_path):
    result = CliRunner().invoke(cli, ["bench", str(tmp_path / "none.pt")])
    assert result.exit_code == 1
    assert "none.pt: no such file" in result.stderr

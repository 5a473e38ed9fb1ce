"""The benchmark's command, from its options to its tables, at a tiny size."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from decoding import DECODERS, decode_seconds
from processes import run

from dped_build.workspace.errors import DpedBuildError

BENCHMARK = Path(__file__).parents[1] / "bench" / "benchmark.py"


def benchmark(*options):
    command = [sys.executable, BENCHMARK, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


@pytest.mark.slow
def test_accuracy_prints_a_row_for_every_scene_and_all_of_them():
    ran = benchmark("accuracy", "--scenes", "2", "--long-side", "512", "--seed", "1")
    assert ran.returncode == 0, ran.stderr
    found = rows(ran.stdout)
    assert [name[:4] for name in found][2:4] == ["000-", "001-"]
    kept = [int(found[name][0]) for name in found if name[:2] in ("00", "**")]
    assert kept[0] + kept[1] == kept[-1] > 0
    assert "seed 1" in ran.stdout
    assert "opencv" in ran.stdout.splitlines()[0]


@pytest.mark.slow
def test_cost_holds_both_ways_against_each_other():
    options = ("--pairs", "2", "--rounds", "1", "--long-side", "512", "--seed", "1")
    ran = benchmark("cost", *options)
    assert ran.returncode == 0, ran.stderr
    found = rows(ran.stdout)
    for name in ("kept", "CPU seconds a pair", "peak memory of a process, MB"):
        plain, same, ours = (float(cell) for cell in found[name])
        assert min(plain, same, ours) > 0
    assert "Throughput against the plain way" in ran.stdout
    assert "photos in two splits: 0" in ran.stdout


@pytest.mark.slow
def test_sizes_prints_what_a_further_pair_costs():
    ran = benchmark("sizes", "--sizes", "0.2+0.6", "--seed", "1")
    assert ran.returncode == 0, ran.stderr
    windows, align, patches, *_, peak = map(float, rows(ran.stdout)["0.2+0.6"])
    assert windows > 5
    # A difference of two runs: on a busy machine it may come out below nothing.
    assert -1 < align < 2
    assert -1 < patches < 5
    assert 50 < peak < 500


def test_an_empty_folder_is_named_without_a_traceback(tmp_path):
    ran = benchmark("accuracy", "--pictures", str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"benchmark: {tmp_path}: no photos")
    assert "Traceback" not in ran.stderr


def test_a_commands_processor_time_and_memory_are_its_own():
    held = "import time; held = bytearray(200_000_000)\n"
    busy = "while time.process_time() < 0.4: pass\n"
    small, large = run([sys.executable, "-c", ""]), run([sys.executable, "-c", held])
    assert large.peak_mb - small.peak_mb == pytest.approx(191, abs=20)
    used = run([sys.executable, "-c", held + busy])
    assert 0.4 <= used.cpu_s < 2  # the test run itself has used more
    assert used.wall_s >= 0.4
    both = used + small
    assert both.cpu_s == used.cpu_s + small.cpu_s
    assert both.peak_mb == used.peak_mb


def test_a_failed_command_is_an_error_with_what_it_said():
    with pytest.raises(DpedBuildError, match=r"-c: failed \(3\): too bad"):
        run([sys.executable, "-c", "print('too bad'); raise SystemExit(3)"])


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_takes_time(name, camera_folders):
    paths = [sorted((camera_folders / c).iterdir())[0] for c in ("iphone", "canon")]
    assert 0 < decode_seconds([paths], DECODERS[name]) < 0.5

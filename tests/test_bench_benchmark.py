"""The benchmark's command, from its options to its tables, at a tiny size."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bench"))

import cost
from decoding import DECODERS, STRICT, decode_seconds
from processes import Usage, run

from dped_build.workspace.errors import DpedBuildError

BENCHMARK = Path(__file__).parents[1] / "bench" / "benchmark.py"


def benchmark(*options):
    command = [sys.executable, BENCHMARK, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


@pytest.mark.long
def test_accuracy_prints_a_row_for_every_scene_and_all_of_them():
    ran = benchmark("accuracy", "--scenes", "2", "--long-side", "512", "--seed", "1")
    assert ran.returncode == 0, ran.stderr
    found = rows(ran.stdout)
    assert [name[:4] for name in found][2:4] == ["000-", "001-"]
    kept = [int(found[name][0]) for name in found if name[:2] in ("00", "**")]
    assert kept[0] + kept[1] == kept[-1] > 0
    assert "seed 1" in ran.stdout
    assert "opencv" in ran.stdout.splitlines()[0]


@pytest.mark.long
def test_cost_holds_both_ways_against_each_other():
    options = ("--pairs", "2", "--rounds", "1", "--long-side", "512", "--seed", "1")
    ran = benchmark("cost", *options)
    assert ran.returncode == 0, ran.stderr
    found = rows(ran.stdout)
    for name in ("kept", "CPU seconds a pair", "peak memory of a process, MB"):
        plain, same, two, one = (float(cell) for cell in found[name])
        assert min(plain, same, two, one) > 0
    assert "Throughput against the plain way" in ran.stdout
    assert "photos in two splits: 0" in ran.stdout


@pytest.mark.long
def test_sizes_prints_what_a_further_pair_costs():
    ran = benchmark("sizes", "--sizes", "0.2+0.6", "--seed", "1")
    assert ran.returncode == 0, ran.stderr
    windows, *_, peak = map(float, rows(ran.stdout)["0.2+0.6"])
    assert windows > 5
    assert 50 < peak < 500


def test_what_a_further_pair_costs_is_the_difference_of_two_runs(tmp_path, monkeypatch):
    one_pair = Usage(0, 3, 90), Usage(0, 5, 90)
    three = Usage(0, 7, 140), Usage(0, 6, 200)
    runs = iter([one_pair, three])
    counts = iter([10, 30])
    monkeypatch.setattr(cost, "in_workers", lambda *_, **__: ())
    monkeypatch.setattr(cost, "photo_paths", lambda *_: ())
    monkeypatch.setattr(cost, "_decode", lambda *_: {STRICT: 0.1})
    monkeypatch.setattr(cost, "run_ours", lambda *_, **__: next(runs))
    monkeypatch.setattr(cost, "count_windows", lambda _: next(counts))
    found = [float(cell) for cell in cost._size_row(["a", "b", "c"], tmp_path)]
    assert found == [10, 2, 0.5, 0.1, 25, 50, 140, 200]


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
def test_every_decoder_reads_all_pixels(name, camera_folders):
    path = camera_folders / "iphone" / "0001.jpg"
    with Image.open(path) as image:
        size = image.height, image.width
    assert DECODERS[name](path).shape == (*size, 3)


def test_of_decoding_the_fastest_round_counts_and_pairs_are_averaged(monkeypatch):
    clock = iter([0, 5, 5, 7, 7, 10, 10, 14, 14, 20, 20, 25])
    monkeypatch.setattr("decoding.time.process_time", lambda: next(clock))
    read = []
    assert decode_seconds([["a", "b"], ["c", "d"]], read.append) == (2 + 4) / 2
    assert read == 3 * ["a", "b"] + 3 * ["c", "d"]

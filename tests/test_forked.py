"""A process with a single thread forks its workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
BEGIN = """
import os, signal, sys, threading, time
from multiprocessing import active_children
from pathlib import Path
from dped_build.parallel import executor
from dped_build.parallel.executor import Workers, run_all
from dped_build.parallel.forked import can_fork

def anew(*_):
    raise AssertionError("workers are not forked")

executor._processes = anew
done = Path(sys.argv[1])

def square(number):
    (done / f"{number}-{time.monotonic_ns()}").touch()
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 5:
        raise ZeroDivisionError("of five")
    return number**2
"""


def run(code, folder):
    """What a script prints that a process of its own runs; fails where it does."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + code, str(folder)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return told.stdout.split("\n")[:-1]


def begun(folder):
    """How often each number was begun."""
    numbers = [path.name.split("-")[0] for path in Path(folder).iterdir()]
    return {int(number): numbers.count(number) for number in set(numbers)}


def test_a_killed_worker_costs_its_own_task_only_and_no_other_is_done_again(tmp_path):
    told = run("print(sorted(run_all(square, range(5), Workers(2))))", tmp_path)
    assert told == ["[(0, 0), (1, 1), (2, 4), (3, None), (4, 16)]"]
    assert begun(tmp_path) == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}


def test_what_a_worker_raises_is_raised_with_its_traceback(tmp_path):
    code = """
try:
    list(run_all(square, [1, 5, 2], Workers(2)))
except ZeroDivisionError as error:
    print(error, "in square" in error.__notes__[0], active_children())
"""
    assert run(code, tmp_path) == ["of five True []"]


def test_workers_end_with_who_has_seen_enough(tmp_path):
    code = """
results = run_all(square, [1] * 50, Workers(2))
print(next(results)[1], len(active_children()))
results.close()
print(len(active_children()))
"""
    assert run(code, tmp_path) == ["1 2", "0"]
    assert begun(tmp_path)[1] < 50


def test_a_worker_has_what_the_parent_knows_its_own_limits_and_one_thread(tmp_path):
    code = """
import cv2, resource
known = object()

def look(_):
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return id(known), cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"], limit

cv2.setNumThreads(2)
(found,) = [each for _, each in run_all(look, [0], Workers(1, max_memory_gb=1.0))]
print(found == (id(known), 1, "1", 10**9), cv2.getNumThreads())
print("OMP_NUM_THREADS" in os.environ)
"""
    assert run(code, tmp_path) == ["True 2", str("OMP_NUM_THREADS" in os.environ)]


def test_who_has_another_thread_does_not_fork(tmp_path):
    code = """
print(can_fork())
end = threading.Event()
other = threading.Thread(target=end.wait)
other.start()
print(can_fork())
end.set()
other.join()
"""
    assert run(code, tmp_path) == ["True", "False"]

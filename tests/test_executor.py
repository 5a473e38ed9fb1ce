"""Every task is answered, whatever happens to the workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from joblib.externals.loky.backend import context
from threadpoolctl import threadpool_info

from dped_build.parallel.engines import CLUSTERS
from dped_build.parallel.executor import Workers, default_jobs, run_all
from dped_build.workspace.errors import DpedBuildError, UsageError


def square(number):
    return number**2


def die_on_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def begin(mark):
    """Takes two seconds, but for the first."""
    mark.touch()
    time.sleep(0 if mark.name == "0" else 2)


def own_pid(_):
    return os.getpid()


def threads(_):
    pools = [pool["num_threads"] for pool in threadpool_info()]
    return [cv2.getNumThreads(), *pools]


def stumble(number):
    raise ZeroDivisionError(number)


@pytest.mark.parametrize(
    "backend, jobs", [("loky", 1), ("loky", 2), ("threading", 1), ("threading", 3)]
)
def test_all_results_come_with_their_index(backend, jobs):
    results = dict(run_all(square, range(5, 25), Workers(jobs, backend)))
    assert results == {i: (i + 5) ** 2 for i in range(20)}


def test_no_task_gives_no_result():
    assert list(run_all(square, [], Workers(2))) == []


def test_killed_worker_costs_its_own_task_only():
    results = list(run_all(die_on_three, range(8), Workers(2)))
    assert len(results) == 8
    assert dict(results) == {i: None if i == 3 else i**2 for i in range(8)}


def test_a_lone_task_that_kills_its_worker_costs_itself_only():
    assert list(run_all(die_on_three, [3], Workers(2))) == [(0, None)]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_who_has_seen_enough_does_not_wait_for_the_rest(backend, tmp_path):
    marks = [tmp_path / str(number) for number in range(20)]
    results = run_all(begin, marks, Workers(2, backend))
    assert next(results)[0] == 0
    results.close()
    assert len(list(tmp_path.iterdir())) < len(marks)


def test_workers_end_with_the_work():
    pids = {pid for _, pid in run_all(own_pid, range(6), Workers(2))}
    assert os.getpid() not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("backend, jobs", [("loky", 2), ("threading", 2)])
def test_each_worker_computes_with_one_thread(backend, jobs):
    for _, found in run_all(threads, range(4), Workers(jobs, backend)):
        assert set(found) == {1}


@pytest.mark.parametrize("backend, jobs", [("loky", 1), ("threading", 2)])
def test_threads_of_the_caller_come_back(backend, jobs):
    before = threads(None)
    cv2.setNumThreads(2)
    list(run_all(square, range(8), Workers(jobs, backend)))
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(before[0])
    assert threads(None) == before


def test_mistake_in_the_function_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        list(run_all(stumble, range(3), Workers(1)))


def test_default_is_every_core_this_process_may_use():
    assert 1 <= default_jobs() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux")
def test_default_heeds_what_this_process_is_confined_to():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert default_jobs() == Workers().jobs == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")
def test_default_is_no_more_than_a_container_grants(monkeypatch):
    monkeypatch.setattr(context.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(context.os, "sched_getaffinity", lambda pid: set(range(64)))
    monkeypatch.setattr(context, "_cpu_count_cgroup", lambda count: 3)
    assert default_jobs() == 3


@pytest.mark.parametrize(
    ("module", "others"),
    [("align.worker", {"h5py", "filelock"}), ("patches.pieces", {"filelock"})],
)
def test_a_worker_loads_nothing_that_only_the_command_needs(module, others):
    code = (
        f"import sys, dped_build.{module}; "
        f"sys.exit(not {others}.isdisjoint(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def tests_for_workers(monkeypatch):
    """Workers that are no children of this process find these functions."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.parametrize("backend", CLUSTERS)
@pytest.mark.usefixtures("tests_for_workers")
def test_an_engines_workers_answer_every_task_but_the_one_that_kills_them(backend):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    found = dict(run_all(die_on_three, range(20), Workers(2, backend)))
    assert found == {n: None if n == 3 else n**2 for n in range(20)}


@pytest.mark.parametrize("backend", CLUSTERS)
@pytest.mark.usefixtures("tests_for_workers")
def test_an_engines_workers_compute_with_one_thread(backend):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    for _, found in run_all(threads, range(3), Workers(2, backend)):
        assert set(found) == {1}


@pytest.mark.usefixtures("tests_for_workers")
def test_a_running_dask_cluster_is_used_by_its_address():
    distributed = pytest.importorskip("distributed")
    options = {"threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=2, **options) as cluster:
        address = cluster.scheduler_address
        found = run_all(own_pid, range(9), Workers(1, "dask", scheduler=address))
        pids = {pid for _, pid in found}
    assert os.getpid() not in pids
    assert len(pids) == 2


@pytest.mark.parametrize("backend", CLUSTERS)
def test_a_cluster_that_does_not_answer_is_named(backend, monkeypatch):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    monkeypatch.setattr("dped_build.parallel.dask_engine.SECONDS", 1)
    for address in {
        "dask": ("tcp://127.0.0.1:9",),
        "ray": ("127.0.0.1:9", "ray://127.0.0.1:9", "127.0.0.1:none"),
    }[backend]:
        with pytest.raises(DpedBuildError, match=f"{address}: no.* answers"):
            list(run_all(square, [1], Workers(1, backend, scheduler=address)))


@pytest.mark.usefixtures("tests_for_workers")
@pytest.mark.parametrize("backend", CLUSTERS)
def test_an_engine_leaves_signals_to_the_command_line(backend):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[backend])
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    for _ in run_all(square, [1, 2], Workers(2, backend)):
        assert [signal.getsignal(number) for number in numbers] == before
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_while_ray_starts_is_an_interruption(monkeypatch):
    ray = pytest.importorskip("ray")

    def init(**_):  # as Ray does
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(KeyboardInterrupt):
        list(run_all(square, [1], Workers(2, "ray")))
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_scheduler_is_of_clusters_only(backend):
    with pytest.raises(UsageError, match="--scheduler is for dask and ray"):
        list(run_all(square, [1], Workers(2, backend, scheduler="tcp://x:1")))


@pytest.mark.parametrize("backend", CLUSTERS)
def test_a_missing_engine_is_named_with_its_extra(backend, monkeypatch):
    for module in ("dask", "distributed", "ray"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install 'dped-build\[{backend}\]'"):
        list(run_all(square, [1], Workers(2, backend)))

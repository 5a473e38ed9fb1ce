"""The stages on other people's engines: the same bytes, whatever happens to workers."""

import logging
import os
import signal

import pytest
from faults import make_pairs, tree

from dped_build.align import align_folders
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchSettings, build_shards

SETTINGS = PatchSettings(size=48)
MODULES = {"dask": "distributed", "ray": "ray"}


def run(raw, work, *, progress=lambda done, total: None, **options):
    folders = raw / "iphone", raw / "canon"
    align_folders(*folders, workspace=work, progress=progress, **options)
    build_shards(work, settings=SETTINGS, **options)


def results(work):
    return {
        stage: tree(work / stage, but=("local.json", "SHA256SUMS"))
        for stage in ("aligned", "patches")
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory, textured):
    """Photos, and `whole`, what one process makes of them."""
    root = tmp_path_factory.mktemp("cluster")
    make_pairs(root / "raw", textured, 9)
    run(root / "raw", root / "whole", jobs=1)
    return root


@pytest.mark.parametrize(
    "backend", ["dask", pytest.param("ray", marks=pytest.mark.long)]
)
def test_a_cluster_gives_the_bytes_of_one_process(root, tmp_path, backend):
    pytest.importorskip(MODULES[backend])
    run(root / "raw", tmp_path, workers=Workers(2, backend))
    assert results(tmp_path) == results(root / "whole")


@pytest.mark.long
def test_a_worker_killed_in_mid_run_costs_nothing(root, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        killed = []

        def kill_one(done, _total):
            if done == 2 and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        run(
            root / "raw",
            tmp_path,
            progress=kill_one,
            workers=Workers(1, "dask", scheduler=cluster.scheduler_address),
        )
    assert killed
    assert results(tmp_path) == results(root / "whole")

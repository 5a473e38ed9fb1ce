"""A worker's memory is stated before and limited on request."""

import sys

import numpy as np
import pytest
from PIL import Image
from two_folders import align, records

from dped_build.align.plan import worker_gb
from dped_build.parallel.executor import Workers, run_all
from dped_build.patches import PatchSettings, build_shards
from dped_build.workspace.errors import UsageError
from dped_build.workspace.plan import Plan

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is limited on Linux only"
)


def hold(megabytes):
    """Whether so much memory can be had."""
    try:
        return int(np.ones(megabytes * 2**20, np.uint8)[-1])
    except MemoryError:
        return 0


@LINUX
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_gets_what_is_allowed_and_no_more(jobs):
    tasks = [10, 2000, 20]
    found = dict(run_all(hold, tasks, Workers(jobs, max_memory_gb=1.0)))
    assert found == {0: 1, 1: 0, 2: 1}
    assert dict(run_all(hold, [2000], Workers(jobs))) == {0: 1}


@LINUX
def test_a_pair_that_needs_more_is_recorded_and_tried_again(raw, work):
    rng = np.random.default_rng(0)
    for camera in ("iphone", "canon"):
        pixels = rng.integers(0, 255, (5000, 7000), np.uint8)
        Image.fromarray(pixels).save(raw / camera / "big.png", compress_level=0)
    align(raw, work, workers=Workers(1, max_memory_gb=0.4))
    found = records(work)
    assert found["big"]["status"] == "failed"
    assert "not enough memory" in found["big"]["message"]
    good = [pair for pair, record in found.items() if record["status"] == "aligned"]
    assert good == ["0001", "0002", "0010"]
    align(raw, work)
    assert records(work)["big"]["status"] == "rejected"  # noise matches nothing


@LINUX
def test_patches_heed_the_limit(raw, work):
    align(raw, work)
    settings = PatchSettings(size=32)
    summary = build_shards(
        work, settings=settings, workers=Workers(2, max_memory_gb=1.0)
    )
    assert summary.photos == 3
    assert not summary.failed


def test_threads_cannot_be_limited(raw, work):
    with pytest.raises(UsageError, match="--max-memory"):
        align(raw, work, workers=Workers(1, "threading", max_memory_gb=1.0))


def test_the_plan_states_what_a_worker_needs(raw, work):
    plans: list[Plan] = []
    align(raw, work, announce=plans.append, dry_run=True)
    megapixels = (192 * 144 + 264 * 176) / 1e6
    assert plans[0].worker_gb == pytest.approx(worker_gb(megapixels), rel=0.01)
    assert worker_gb(36) == pytest.approx(0.33, abs=0.02)

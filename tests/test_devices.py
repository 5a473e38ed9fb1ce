"""A device is what its name says, or an error says why not."""

import pytest
import torch

from dped_build.train.devices import choose_device, enough_memory
from dped_build.workspace.errors import DpedBuildError, UsageError


def test_the_cpu_is_the_cpu_and_auto_is_a_device_that_is_there():
    assert choose_device("cpu") == torch.device("cpu")
    torch.zeros(1, device=choose_device("auto"))


@pytest.mark.parametrize("name", ["tpu", "cuda:first", "", "CPU"])
def test_a_name_that_means_nothing_is_refused(name):
    with pytest.raises(UsageError, match="choose auto, cpu or cuda"):
        choose_device(name)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(DpedBuildError, match="there are 2 here, from cuda:0"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
    ids=str,
)
def test_every_way_of_running_out_of_memory_is_told_alike(fault):
    with pytest.raises(DpedBuildError, match="lower it"), enough_memory("lower it"):
        raise fault

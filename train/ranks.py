"""Training in several processes, started by torchrun.

Every rank holds the same networks, draws the same batches and computes its own share of
each; gradients are averaged before every optimizer step. Batches, learning rate and
checkpoints are thus those of one process with the same batch size, whatever the number
of ranks. The leader, rank 0, alone evaluates and writes.

Not DistributedDataParallel: it averages in hooks that `backward(inputs=...)` passes by
and wants one forward for each backward; the generator's loss here passes through the
discriminator, too. These networks' gradients are 1.6 MB: one message a step.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager as Context
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from dped_build.workspace.errors import DpedBuildError, UsageError

ASK_EVERY = 10  # iterations between asking all ranks; each time they wait for another

Result = TypeVar("Result")


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other ranks where torchrun started this process; else nothing."""
    if not dist.is_torchelastic_launched() or dist.is_initialized():
        yield
        return
    # What is not on a GPU, such as objects, goes by gloo.
    dist.init_process_group("cpu:gloo,cuda:nccl" if _has_gpu() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0, also before they have met."""
    if dist.is_initialized():
        return dist.get_rank()
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def is_leader() -> bool:
    """Whether this process evaluates and writes."""
    return rank() == 0


def own_device(name: str) -> str:
    """The device of this process: each of a machine's ranks has a GPU of its own."""
    if not dist.is_torchelastic_launched() or name not in ("auto", "cuda"):
        return name
    if name == "auto" and not _has_gpu():
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}"


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def share_of(batch_size: int) -> int:
    """How many of a batch each rank computes.

    Raises:
        UsageError: They cannot have equally many.
    """
    if batch_size % count():
        fitting = max(batch_size // count(), 1) * count()
        raise UsageError(
            f"--batch-size {batch_size} is for all {count()} processes together and "
            f"cannot be divided by {count()}: use {fitting}"
        )
    return batch_size // count()


def own_share(values: NDArray[Any]) -> NDArray[Any]:
    """What this rank computes of a batch, (B, ...) → (B / count, ...)."""
    size = len(values) // count()
    return values[rank() * size : (rank() + 1) * size]


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Make every rank's gradients their mean, in place."""
    average([p.grad for p in parameters if p.grad is not None])


def average(values: Sequence[Tensor]) -> None:
    """Make every rank's tensors, of one type, their mean, in place."""
    if count() == 1 or not values:
        return
    flat = torch.cat([value.reshape(-1) for value in values])
    dist.all_reduce(flat)
    flat /= count()
    parts = torch.split(flat, [value.numel() for value in values])
    for value, part in zip(values, parts, strict=True):
        value.copy_(part.view_as(value))


def anyone(*, wants: bool, iteration: int) -> bool:
    """Whether any rank wants it; several ranks ask each other now and then only."""
    if count() == 1:
        return wants
    if iteration % ASK_EVERY:
        return False
    votes = torch.tensor(int(wants))
    dist.all_reduce(votes)
    return bool(votes)


def from_leader(function: Callable[[], Result]) -> Result:
    """What the function gives on the leader, on every rank.

    Raises:
        DpedBuildError: The function raised it on the leader.
        SystemExit: Likewise on the others, which have nothing to tell.
    """
    if count() == 1:
        return function()
    outcome: list[Any] = [None, None]
    if is_leader():
        try:
            outcome[0] = function()
        except DpedBuildError as error:
            outcome[1] = error
    dist.broadcast_object_list(outcome, src=0)
    result, refusal = outcome
    if refusal is not None:
        raise refusal if is_leader() else SystemExit(1)
    return cast("Result", result)


@contextmanager
def by_leader(context: Context[object]) -> Iterator[None]:
    """The leader enters the context, the others wait until it has."""
    with ExitStack() as stack:
        from_leader(lambda: bool(stack.enter_context(context)))
        yield

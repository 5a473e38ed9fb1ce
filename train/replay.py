"""Parts of a training step recorded once as CUDA graphs, then replayed in one call.

Launching hundreds of short kernels one by one takes longer than they run. Recorded are
forward and backward; batches are drawn and optimisers step outside, as what changes
with every iteration on the host (rows, epsilon, other ranks) cannot be recorded.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 3  # calls before the recording, for what is compiled and chosen at first

Function = Callable[..., Any]
Tensors = tuple[Tensor | None, ...]


class Replay:
    """Functions of tensors by name, each recorded at its first call.

    A function may read weights and leave gradients, which keep their places in memory,
    but must not draw random numbers, nor wait for the GPU. What it returned is
    overwritten by its next call.
    """

    def __init__(self) -> None:
        self._recorded: dict[str, tuple[Tensors, Callable[[], None], Any]] = {}

    def __call__(self, name: str, function: Function, *given: Tensor | None) -> Any:  # noqa: ANN401
        """What the function returns for these tensors, of the first call's shapes."""
        if name not in self._recorded:
            places = tuple(None if t is None else t.clone() for t in given)
            self._recorded[name] = places, *self.record(function, places)
        places, replay, made = self._recorded[name]
        for place, tensor in zip(places, given, strict=True):
            if place is not None and tensor is not None:
                place.copy_(tensor)
        replay()
        return made

    def record(
        self, function: Function, places: Tensors
    ) -> tuple[Callable[[], None], Any]:
        """What repeats the function on what stands in `places`, and what it returns."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                function(*places)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            made = function(*places)
        return graph.replay, made

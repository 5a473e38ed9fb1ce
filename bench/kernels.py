"""Which kernels take a step's time."""

from collections.abc import Callable

import torch
from tables import table
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

DEAREST = 25
LONGEST = 100  # characters of a name; Triton's names tell what is in a kernel
STEPS = {"cuda": 5, "cpu": 1}


def dearest_kernels(step: Callable[[], object], device: torch.device) -> str:
    """The kernels of an iteration as a Markdown table; on a CPU, the operations."""
    on_gpu, steps = device.type == "cuda", STEPS[device.type]
    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    with profile(activities=kinds) as found:
        for _ in range(steps):
            step()
        if on_gpu:
            torch.cuda.synchronize()
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    spent: dict[str, tuple[float, int]] = {}
    for event in found.key_averages():
        annotation = getattr(event, "is_user_annotation", False)
        if event.device_type == wanted and not annotation:
            own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            spent[event.key] = own / 1000 / steps, event.count
    total = sum(ms for ms, _ in spent.values())
    rows = sorted(spent.items(), key=lambda item: -item[1][0])[:DEAREST]
    return f"{total:.2f} ms an iteration in {len(spent)} kernels\n\n" + table(
        ("kernel", "ms", "share", "calls"),
        [
            [
                name[:LONGEST].replace("|", "/"),
                f"{ms:.3f}",
                f"{ms / max(total, 1e-9):.1%}",
                f"{calls / steps:.3g}",
            ]
            for name, (ms, calls) in rows
        ],
    )

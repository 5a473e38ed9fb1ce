"""Where the time goes: CPU seconds of each module in a run of both stages.

What a module spends in NumPy, OpenCV and HDF5 counts as its own. The profiler's own
cost falls on modules with many small calls.
"""

import cProfile
import pstats
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import dped_build.align
from dped_build.align import align_folders
from dped_build.patches import build_shards

Function = tuple[str, int, str]  # file, line, name; as `pstats` has it
Shares = dict[str, float]  # module → share
ROOT = Path(dped_build.align.__file__).parents[1]
ROOMS = ("workspace", "parallel", "photos", "align", "patches")  # what two stages run
ELSEWHERE = "imports and the rest"


def profile_stages(folder: Path, workspace: Path) -> dict[str, float]:
    """Module → CPU seconds of `align` and `patches` in this process, most first."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    align_folders(folder / "phone", folder / "dslr", workspace=workspace, jobs=1)
    build_shards(workspace, jobs=1)
    profile.disable()
    return seconds_by_module(pstats.Stats(profile))


def seconds_by_module(stats: pstats.Stats) -> dict[str, float]:
    """Time of every function, given to the module of the package that asked for it."""
    # function → (calls, primitive calls, own time, total time, callers)
    table: dict[Function, Any] = vars(stats)["stats"]
    seconds: dict[str, float] = defaultdict(float)
    shares: dict[Function, Shares] = {}
    for function, (_, _, own, _, _) in table.items():
        for module, share in _askers(function, table, shares, ()).items():
            seconds[module] += own * share
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _askers(
    function: Function,
    table: dict[Function, Any],
    known: dict[Function, Shares],
    path: tuple[Function, ...],
) -> Shares:
    """Modules on whose behalf a function runs, with shares that sum to 1."""
    if function in known:
        return known[function]
    own = _module(function)
    if own:
        return {own: 1.0}
    callers = {
        caller: max(figures[3], 1e-9)
        for caller, figures in table[function][4].items()
        if caller not in path and caller != function
    }
    total = sum(callers.values())
    found: Shares = defaultdict(float)
    for caller, weight in callers.items():
        askers = _askers(caller, table, known, (*path, function))
        for module, share in askers.items():
            found[module] += share * weight / total
    if not callers:
        found[ELSEWHERE] = 1.0
    if not path:  # below a path some callers were left out
        known[function] = found
    return found


def _module(function: Function) -> str | None:
    """`photos.reading` for a function of the package's, else None."""
    path = Path(function[0])
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in ROOMS:
        return None
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)

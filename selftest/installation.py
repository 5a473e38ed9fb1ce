"""What `dped-build doctor` finds out about the installation: packages and weights.

Packages may be there and fail all the same, so each is imported to see.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from dped_build.selftest.machine import NOTE, OK, WRONG, Finding, tilde
from dped_build.workspace.text import one_line

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

PACKAGE = "dped-build"
TRIED = {  # import name: distribution; compiled code, and what reads requirements
    "numpy": "numpy",
    "cv2": "opencv-contrib-python",
    "h5py": "h5py",
    "PIL": "pillow",
    "simplejpeg": "simplejpeg",
    "scipy": "scipy",
    "joblib": "joblib",
    "packaging": "packaging",
    "torch": "torch",
}
OPENCV = ("opencv-contrib-python", "opencv-contrib-python-headless")
NO_LIBGL = (
    "the desktop's OpenCV needs libGL and libglib. Debian: apt install libgl1 "
    f"libglib2.0-0; or pip uninstall {OPENCV[0]}, then pip install {OPENCV[1]}"
)
VGG_BYTES = "575 MB"
# What a library raises while it is imported: absent, its own libraries absent, of
# another version than what it is built on.
BROKEN = (ImportError, OSError, ValueError, AttributeError, RuntimeError)
EXTRA = re.compile(r'extra == "([\w-]+)"')


def requirements() -> list[str]:
    """What this package says it needs, extras included."""
    try:
        return requires(PACKAGE) or []
    except PackageNotFoundError:  # run from its sources
        return []


def import_errors(modules: Iterable[str] = TRIED) -> dict[str, str]:
    """The modules that cannot be imported, with the reason."""
    broken = {}
    for module in modules:
        try:
            import_module(module)
        except BROKEN as error:
            broken[module] = tidy_error(error)
    return broken


def packages(broken: Mapping[str, str]) -> Finding:
    """The packages that hold compiled code, with their versions or what is wrong."""
    if not broken:
        shown = {**TRIED, "cv2": "opencv"}.items()
        there = [f"{name} {import_module(each).__version__}" for each, name in shown]
        return Finding("Packages", OK, ", ".join(there))
    told = "; ".join(f"{module}: {reason}" for module, reason in broken.items())
    advice = [NO_LIBGL] if ".so" in broken.get("cv2", "") else []
    again = [TRIED[module] for module in broken if module != "cv2" or not advice]
    if again:
        advice.append(f"pip install --force-reinstall {' '.join(again)}")
    return Finding("Packages", WRONG, told, "; ".join(advice))


def missing(lines: Iterable[str]) -> list[Finding]:
    """Packages that these requirements name and that are absent or too old."""
    from packaging.requirements import Requirement

    found = []
    for need in map(Requirement, lines):
        if need.marker and not need.marker.evaluate():
            continue
        name, bound, there = need.name, need.specifier, _installed(need.name)
        if there is None or not _fits(there, bound):
            told = f"{there or 'not installed'}; needed: {bound or 'any'}"
            found.append(Finding(name, WRONG, told, f"pip install '{name}{bound}'"))
    return found


def extras(lines: Iterable[str]) -> Finding:
    """Which extras of these requirements are installed."""
    from packaging.requirements import Requirement

    wanted: dict[str, bool] = {}
    for need in map(Requirement, lines):
        for extra in EXTRA.findall(str(need.marker)):
            there = wanted.get(extra, True) and _installed(need.name) is not None
            wanted[extra] = there
    wanted.pop("test", None)
    told = ", ".join(extra for extra, there in wanted.items() if there) or "none"
    lacking = [extra for extra, there in wanted.items() if not there]
    if not lacking:
        return Finding("Extras", OK, told)
    advice = f"those that you need: pip install '{PACKAGE}[{','.join(lacking)}]'"
    told += f"; not installed: {', '.join(lacking)}"
    return Finding("Extras", NOTE, told, advice)


def vgg_weights() -> Finding:
    """The weights that the content loss needs."""
    import torch

    from dped_build.train.vgg import URL

    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name
    if cached.is_file():
        return Finding("VGG-19", OK, tilde(str(cached)))
    return Finding(
        "VGG-19",
        NOTE,
        f"no weights in torch's cache; train fetches them ({VGG_BYTES})",
        f"without a network: train --vgg FILE, from {URL}, or VGG-16's weights; or "
        "--loss mse+texture",
    )


def tidy_error(error: BaseException) -> str:
    """An error's text, short and without the user's folders."""
    return tilde(one_line(error)) or type(error).__name__


def _fits(version: str, bound: "SpecifierSet") -> bool:
    from packaging.version import InvalidVersion

    try:
        return bound.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _installed(name: str) -> str | None:
    """The version of a distribution that is there; either OpenCV will do."""
    for each in OPENCV if name in OPENCV else (name,):
        with suppress(PackageNotFoundError):
            return version(each)
    return None

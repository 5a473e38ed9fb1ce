"""What `dped-build doctor` finds out about the installation: packages and weights.

Packages may be there and fail all the same, so each is imported to see.
"""

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from dped_build.selftest.machine import NOTE, OK, WRONG, Finding, tilde

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
            broken[module] = one_line(error)
    return broken


def packages(broken: Mapping[str, str]) -> Finding:
    """The packages that hold compiled code, with their versions or what is wrong."""
    if not broken:
        told = ", ".join(
            f"{'opencv' if module == 'cv2' else name} "
            f"{import_module(module).__version__}"
            for module, name in TRIED.items()
        )
        return Finding("Packages", OK, told)
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
        name, bound = need.name, need.specifier
        there = _installed(OPENCV if name == OPENCV[0] else (name,))
        if there is None or not _fits(there, bound):
            told = f"{there or 'not installed'}; needed: {bound or 'any'}"
            found.append(Finding(name, WRONG, told, f"pip install '{name}{bound}'"))
    return found


def extras(lines: Iterable[str]) -> Finding:
    """Which extras of these requirements are installed."""
    from packaging.requirements import Requirement

    wanted: dict[str, list[str]] = {}
    for need in map(Requirement, lines):
        for extra in EXTRA.findall(str(need.marker)):
            if extra != "test":
                wanted.setdefault(extra, []).append(need.name)
    lacking = [
        extra
        for extra, names in wanted.items()
        if any(_installed((name,)) is None for name in names)
    ]
    there = ", ".join(extra for extra in wanted if extra not in lacking) or "none"
    if not lacking:
        return Finding("Extras", OK, there)
    return Finding(
        "Extras",
        NOTE,
        f"{there}; not installed: {', '.join(lacking)}",
        f"those that you need: pip install '{PACKAGE}[{','.join(lacking)}]'",
    )


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
        f"without a network: train --vgg FILE, from {URL}; or --loss mse+texture",
    )


def one_line(error: BaseException) -> str:
    """An error's text, short and without the user's folders."""
    return tilde(" ".join(str(error).split())[:200]) or type(error).__name__


def _fits(version: str, bound: "SpecifierSet") -> bool:
    from packaging.version import InvalidVersion

    try:
        return bound.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _installed(names: Iterable[str]) -> str | None:
    """The version of the first of these distributions that is there."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None

"""What is installed is what is stated: requirements, and one package only."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PARTS = {
    name.split(".")[1] for name in SETUP["options"]["packages"].split() if "." in name
}
OPTIONAL = {
    *("skimage", "tensorflow", "pillow_heif", "rawpy", "lmdb", "pyarrow"),
    *("onnx", "onnxruntime", "dask", "distributed", "ray"),
}  # extras, imported where they are needed
DISTRIBUTION = {"cv2": "opencv-contrib-python", "PIL": "pillow"}


def imported_packages():
    """Top-level names of everything that the package imports from elsewhere."""
    names = set()
    sources = (path for part in PARTS for path in (ROOT / part).rglob("*.py"))
    for path in (ROOT / "cli.py", *sources):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"dped_build"}


def test_everything_imported_is_required():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].split()
    required = {re.split("[<>=]", line)[0] for line in lines}
    needed = {DISTRIBUTION.get(n, n) for n in imported_packages() - OPTIONAL}
    assert needed == required


def test_every_requirement_has_its_exact_version_in_the_constraints():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    lines = [setup["options"]["install_requires"], *extras.values()]
    required = {
        re.split(r"[<>=\[]", word)[0] for text in lines for word in text.split()
    }
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line.split("==")[0].lower() for line in text.splitlines()}
    assert required - {"dped-build"} <= pinned


@pytest.mark.long
def test_an_installation_from_the_sdist_holds_one_package(tmp_path):
    build = [sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    target = tmp_path / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    install += ["--target", target, sdist]
    subprocess.run(install, check=True, capture_output=True)
    found = {path.name for path in target.iterdir() if path.suffix != ".dist-info"}
    assert found == {"dped_build", "bin"}
    installed = {path.name for path in (target / "dped_build").iterdir()}
    assert installed - {"__pycache__"} == {*PARTS, "cli.py"}
    assert (target / "dped_build/report/templates/index.html").is_file()

"""The notebook runs, finds what its committed outputs show, and tells no machine."""

import re
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTEBOOK = DOCS / "quickstart.ipynb"
STATEMENTS = {  # what a line of the output says → how far it may move elsewhere
    r"(\d+) of \d+ matches": 10,
    r"RMSE ([\d.]+) phone px": 0.1,
    r"the DSLR shows (\d+)%": 1,
    r"\((\d+), 64, 64, 3\) uint8": 4,
    r"NCC ([\d.]+), uncertainty": 0.01,
    r"uncertainty ([\d.]+) phone px": 0.02,
    r"error: median ([\d.]+)": 0.02,
    r"worst ([\d.]+) phone px": 0.1,
    r"(\d+) pairs of \(64, 64, 3\)": 4,
}


def said(notebook):
    """All printed text."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.get("text", "") for out in outputs)


def figures(text):
    return {what: float(re.search(what, text)[1]) for what in STATEMENTS}


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_committed_notebook_was_run_and_tells_neither_times_nor_paths(committed):
    nbformat.validate(committed)
    source = NOTEBOOK.read_text(encoding="utf-8")
    assert set(committed.metadata) == {"kernelspec", "language_info"}
    assert not re.search(r"/(?:work|tmp|home|root)/|iopub|site-packages", source)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.metadata == {} for cell in committed.cells)
    pictures = [out for cell in code for out in cell.outputs if "data" in out]
    assert sum("image/jpeg" in out.data for out in pictures) == 4


def test_the_committed_figures_are_those_of_good_patches(committed):
    found = figures(said(committed))
    assert found[r"error: median ([\d.]+)"] < 0.15
    assert found[r"NCC ([\d.]+), uncertainty"] > 0.9
    assert "the same pixels as above: True" in said(committed)


@pytest.mark.long
@pytest.mark.filterwarnings("default")  # of the kernel's libraries
def test_the_notebook_runs_without_error_and_finds_the_same(committed, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from run_quickstart import executed

    again = executed(nbformat.read(NOTEBOOK, as_version=4))
    expected = figures(said(committed))
    for what, value in figures(said(again)).items():
        assert value == pytest.approx(expected[what], abs=STATEMENTS[what]), what
    assert "the same pixels as above: True" in said(again)

"""Runs docs/quickstart.ipynb anew and keeps its outputs, without times or paths.

Run: `python docs/run_quickstart.py` (half a minute; needs the extra `test`) after a
change of the API or of the notebook's cells.
"""

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(notebook: Any) -> Any:  # noqa: ANN401
    """The notebook with the outputs of a run in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
    return notebook


if __name__ == "__main__":
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.write(executed(found), NOTEBOOK)

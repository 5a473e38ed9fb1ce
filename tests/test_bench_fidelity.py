"""Every figure of the fidelity table is within its tolerance."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from fidelity import CHECKS, Row, report

SCRIPT = Path(__file__).parents[1] / "bench" / "fidelity.py"
ROWS = {"networks": 4, "photos": 6, "losses": 8, "steps": 5, "evaluation": 20}
MARKS = {"losses": (), "evaluation": pytest.mark.soak}  # the others: long
NEEDS_TENSORFLOW = ("networks", "photos", "evaluation")


@pytest.mark.parametrize(
    "check",
    [pytest.param(n, marks=MARKS.get(n, pytest.mark.long)) for n in CHECKS],
)
def test_figures_are_the_original_codes(shared_data, check):
    if check in NEEDS_TENSORFLOW:
        pytest.importorskip("tensorflow", reason="the extra `tensorflow` is missing")
    rows = list(CHECKS[check](shared_data))
    assert len(rows) == ROWS[check]
    beyond = [row for row in rows if not row.holds]
    assert beyond == []


def test_the_table_says_what_does_not_hold():
    rows = [Row("a", "abs", 0.1, 0.05), Row("b", "abs", 0.1, float("nan"))]
    lines = report(rows).splitlines()
    assert lines[2] == "| a | abs | 0.1 | 0.05 | yes |"
    assert lines[3] == "| b | abs | 0.1 | nan | **no** |"


def test_without_reference_data_the_script_says_what_it_wants(tmp_path):
    command = [sys.executable, SCRIPT, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("holds no oracle/: name the reference data")

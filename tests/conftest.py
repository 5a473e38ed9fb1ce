"""What several test modules share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photos and reference outputs, which lie beside some checkouts."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DPED_BUILD_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; name it in DPED_BUILD_TEST_DATA")
    return folder

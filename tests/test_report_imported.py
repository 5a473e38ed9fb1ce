"""Imported patches have no photos: the report shows what there is."""

import json

import pytest
from test_import_patches import write_pairs

from dped_build.exchange.import_patches import import_patches
from dped_build.report import summary_text, write_report


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    write_pairs(folder / "source/training_data", 60)
    write_pairs(folder / "source/test_data/patches", 55, seed=1)
    import_patches(folder / "source", folder / "w/patches", jobs=1)
    return write_report(folder / "w")


def test_an_import_has_a_report(summary):
    report = json.loads((summary.index.parent / "report.json").read_text())
    assert report["imported"]
    assert report["patches"]["splits"]["train"]["patches"] == 60
    assert report["patches"]["per_photo"] is None
    assert report["windows"]["ncc"]["measured"] == 115 - 2  # two are white
    assert report["windows"]["what_if"] is None
    assert report["warnings"] == []


def test_its_page_speaks_of_no_photos_or_thresholds(summary):
    html = summary.index.read_text()
    assert "From photos to aligned pairs" not in html
    assert "--min-corr" not in html
    assert "115 patch pairs" in html
    assert "data-pair=" not in html  # (0, 0) names fifty patches: none can be marked
    assert [group.group for group in summary.report.shown_patches] == [
        "best",
        "just accepted",
        "typical",
    ]


def test_its_summary_says_where_it_is_from(summary):
    assert "patches made elsewhere" in summary_text(summary.report)
    assert "patches stored         115" in summary_text(summary.report)

"""A synthetic workspace's known numbers must stand in the report, and nothing leak."""

import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from report_fixture import GRID, Lost, make_workspace, outcomes

from dped_build.cli import cli
from dped_build.patches.dataset import PatchDataset
from dped_build.report import summary_text, write_report
from dped_build.report.advice import window_warnings
from dped_build.report.record import Frame, Report, SearchLimits, WindowCounts, to_json
from dped_build.report.workspace_reader import training_identity
from dped_build.train.batches import held_out_photos
from dped_build.workspace.errors import DpedBuildError

EVIL = "<img src=x onerror=alert(1)>"
LOST = (
    Lost("0901", "no_partner", "0901.jpg: no DSLR photo is called 0901", dslr=False),
    Lost("0902", "too_few_inliers", "7 inliers; 20 are needed"),
    Lost('0903"#?%<b>', "small_overlap", "<script>alert(2)</script>"),
)
NAMES = ["0001", "0002", EVIL]


class Page(HTMLParser):
    """Collects what a browser would see: tags, addresses and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Keep the tag and its attributes."""
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data):
        """Keep the text."""
        self.text += data


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    make_workspace(folder, NAMES, lost=LOST, runs=["released-dped"])
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def report(workspace):
    return json.loads((workspace / "report" / "report.json").read_text())


@pytest.fixture(scope="module")
def page(workspace):
    return Page((workspace / "report" / "index.html").read_text())


def test_photos_and_pairs_are_counted_with_every_reason(report):
    assert report["pairs"] == {
        "phone_photos": 6,
        "dslr_photos": 5,
        "records": 6,
        "paired": 5,
        "aligned": 3,
        "rejected": 2,
        "failed": 1,
        "lost_before_pairing": {"no_partner": 1},
        "lost_in_alignment": {"small_overlap": 1, "too_few_inliers": 1},
        "phone_colors": {},  # as earlier versions left them
        "dslr_colors": {},
    }


def test_the_file_is_the_record_and_reads_back_as_one(report):
    read = to_json(msgspec.convert(report, Report))
    assert json.loads(json.dumps(read)) == report


def test_windows_are_counted_with_every_reason(report):
    reasons = outcomes(len(GRID)).tolist()
    windows = report["windows"]
    assert windows["candidates"] == 3 * len(GRID)
    assert windows["accepted"] == 3 * reasons.count("accepted")
    assert windows["reasons"] == {
        "low_ncc": 3 * reasons.count("low_ncc"),
        "flat": 3 * reasons.count("flat"),
    }


def test_patches_per_photo_stand_beside_dpeds(report, page):
    accepted = report["windows"]["accepted"]
    assert report["patches"]["stored"] == accepted
    assert report["patches"]["per_photo"] == pytest.approx(accepted / 3, abs=1e-3)
    assert "DPED: 28 per iPhone photo" in page.text


def test_files_are_those_of_the_sums_and_the_sums_are_right(workspace):
    folder = workspace / "report"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    stated = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert stated == found
    assert list(stated) == sorted(stated)


def test_every_address_of_the_page_leads_somewhere(workspace, report, page):
    assert len(page.addresses) > 30
    for address in page.addresses:
        assert re.match(r"^[A-Za-z0-9/._%#-]+$", address)
        path, _, anchor = address.partition("#")
        assert (workspace / "report" / unquote(path)).is_file() or not path
        row = re.fullmatch(r"pair-(\d+)", anchor)  # the script opens its panel
        known = not anchor or anchor in page.ids
        assert int(row[1]) <= len(report["table"]) if row else known


def test_every_picture_and_script_of_a_pair_is_there(workspace, report):
    for row in report["table"]:
        assert (row["picture"] is not None) == (row["status"] == "aligned")
        if row["picture"]:
            for part in ("thumb", "phone", "dslr"):
                assert (workspace / "report" / f"{row['picture']}-{part}.jpg").is_file()
            assert (workspace / "report" / row["script"]).is_file()


def test_names_and_messages_stay_text(page):
    assert EVIL in page.text
    assert '0903"#?%<b>' in page.text
    assert "<script>alert(2)</script>" in page.text
    assert page.tags.count("script") == 2  # the data, and ours
    assert not {"b>", "iframe", "object"} & set(page.tags)
    assert not [name for name in page.attributes if name.startswith("on")]


def test_the_page_needs_no_network(workspace):
    for path in (workspace / "report").glob("*.html"):
        assert "http://" not in path.read_text()
        assert "https://" not in path.read_text()


def test_no_file_holds_an_absolute_path(workspace):
    for path in (workspace / "report").rglob("*"):
        if path.suffix in (".html", ".json", ".csv", ".svg", ".js"):
            text = path.read_text()
            assert str(workspace) not in text
            assert "/secret" not in text


def test_pairs_csv_has_a_row_for_every_record(workspace):
    with (workspace / "report" / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pair"] for row in rows] == [*NAMES, *(item.pair for item in LOST)]
    accepted = outcomes(len(GRID)).tolist().count("accepted")
    assert rows[0]["accepted"] == str(accepted)
    assert rows[0]["split"] == "test"
    assert rows[3]["reason"] == "no_partner"


def test_run_is_held_against_the_phone_unchanged(report, page):
    (run,) = report["runs"]
    psnr = next(row for row in run["quality"] if row["measure"] == "psnr")
    assert psnr == {
        "measure": "psnr",
        "best": 20.0,
        "best_iteration": 1000,
        "last": 20.0,
        "phone_unchanged": 15.24,
        "digits": 2,
    }
    assert "15.24" in page.text
    assert len(run["samples"]) == 2


def test_phone_unchanged_is_measured_where_the_run_did_not_log_it(tmp_path):
    names = [f"{n:04d}" for n in range(5)]
    workspace = make_workspace(tmp_path / "w", names, runs=["mse"])
    train = PatchDataset(workspace / "patches", "train")
    run = workspace / "runs" / "mse"
    config = {"patches": {"identity": train.identity}, "settings": {"batch_size": 50}}
    (run / "config.json").write_text(json.dumps(config))
    (run / "metrics.jsonl").write_text('{"iteration": 10, "psnr": 21.0}\n')
    held_out = set(held_out_photos(list(train.photos)))
    rows = [i for i, photo in enumerate(train.photos) if photo in held_out]
    pairs = np.array([train[row] for row in rows], float) / 255
    error = [
        10 * np.log10(1 / ((batch[:, 0] - batch[:, 1]) ** 2).mean()) * len(batch)
        for batch in np.split(pairs, range(50, len(pairs), 50))
    ]
    (quality,) = write_report(workspace).report.runs[0].quality
    assert quality.phone_unchanged == pytest.approx(sum(error) / len(pairs), abs=1e-3)


def test_writing_again_gives_the_same_bytes(workspace, tmp_path):
    before = (workspace / "report" / "SHA256SUMS").read_bytes()
    write_report(workspace, jobs=1)
    assert (workspace / "report" / "SHA256SUMS").read_bytes() == before
    other = make_workspace(tmp_path / "x", NAMES, lost=LOST, runs=["released-dped"])
    write_report(other)
    assert (other / "report" / "SHA256SUMS").read_bytes() == before


def test_summary_fits_a_screen_and_commands_no_terminal(report):
    cruel = {**report, "phone_camera": "i\x1b[2Jphone"}
    lines = summary_text(msgspec.convert(cruel, Report)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0] == "i?[2Jphone | canon"
    assert any("aligned" in line and "60.0%" in line for line in lines)


def test_patches_of_an_earlier_alignment_are_said_first(tmp_path):
    folder = make_workspace(tmp_path / "w", ["0001", "0002"])
    path = folder / "aligned" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "phone_camera": "another"}))
    report = write_report(folder).report
    said = "2 pairs cut from an earlier alignment: run dped-build patches again"
    assert report.warnings[0].text == said
    assert f"! {said}" in summary_text(report).splitlines()


def test_a_run_on_other_patches_is_marked(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001", "0002"], runs=["a", "b"])
    for name, identity in (
        ("a", training_identity(workspace / "patches")),
        ("b", "of another set"),
    ):
        config = {"patches": {"identity": identity}, "settings": {"batch_size": 5}}
        (workspace / "runs" / name / "config.json").write_text(json.dumps(config))
    summary = write_report(workspace)
    assert [run.other_patches for run in summary.report.runs] == [False, True]
    assert "run b (other patches): " in summary_text(summary.report)
    assert summary.index.read_text().count("; trained on other patches") == 1


def windows_of(*, stopped, shift):
    """Numbers of windows in a frame of 8 x 6 cells, as the report has them."""
    cells = [(c - 3.5, r - 2.5) for r in range(6) for c in range(8)]
    limits = SearchLimits(8, 5, 100, shift=stopped, rotation=0, share=stopped / 100)
    shifts = [(shift * x, shift * y) for x, y in cells]
    counts = dict.fromkeys(WindowCounts.__struct_fields__) | {
        "limits": limits,
        "rule": "refined",
        "accepted_share": 0.9,
        "judged": 100,
        "reasons": {},
        "clipped_share": 0.0,
        "frame": Frame(8, 6, [], [], mean_shift_px=shifts, left_out=0),
    }
    return WindowCounts(**counts)


def test_windows_at_the_search_limit_and_a_lens_that_distorts_are_told():
    assert window_warnings(windows_of(stopped=5, shift=0.05)) == []
    limit, lens = window_warnings(windows_of(stopped=31, shift=0.5))
    assert limit.startswith("31% of the windows stop at the search limit")
    assert "--max-shift" in limit
    assert lens.startswith("Shifts grow toward the corners (0.8 to 1.9 px)")


@pytest.mark.parametrize("share, code", [(0.01, 0), (0.99, 1)])
def test_a_script_is_told_of_too_low_an_acceptance(workspace, share, code):
    command = ["report", "-w", str(workspace), "--fail-below", str(share)]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == code, result.output
    assert ("less than --fail-below 0.99" in result.output) == bool(code)


def test_what_is_not_there_yet_is_named_by_its_command(tmp_path):
    summary = write_report(make_workspace(tmp_path / "w", ["0001"], patches=False))
    html = summary.index.read_text()
    assert "dped-build patches" in html
    assert "dped-build train" in html
    assert "ncc.svg" not in html
    assert "run dped-build patches" in summary_text(summary.report)
    assert sorted(path.name for path in summary.index.parent.glob("*.csv")) == [
        "pairs.csv"
    ]


def test_nothing_accepted_is_a_report_too(tmp_path):
    workspace = make_workspace(tmp_path / "w", [], lost=LOST[:1])
    summary = write_report(workspace)
    texts = [warning.text for warning in summary.report.warnings]
    assert "No patch was accepted: there is nothing to train on" in texts
    assert "no photo has a partner" in " ".join(texts).lower()


def test_without_aligned_the_error_says_which_command(tmp_path):
    with pytest.raises(DpedBuildError, match="run dped-build align"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_named(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"])
    (workspace / "patches" / "windows.h5").write_bytes(b"not HDF5")
    with pytest.raises(DpedBuildError, match=r"patches/windows\.h5 is damaged") as e:
        write_report(workspace)
    assert "\n" not in str(e.value)


def test_damaged_line_is_named(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"])
    (workspace / "aligned" / "alignment.jsonl").write_text('{"pair": "0001"\n')
    with pytest.raises(
        DpedBuildError, match=r"aligned/alignment\.jsonl cannot be read"
    ):
        write_report(workspace)


def test_foreign_files_are_not_replaced(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"])
    (workspace / "report").mkdir()
    (workspace / "report" / "thesis.tex").write_text("mine")
    with pytest.raises(DpedBuildError, match=r"thesis\.tex"):
        write_report(workspace)
    assert (workspace / "report" / "thesis.tex").read_text() == "mine"


def test_unreadable_crop_costs_its_picture_only(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001", "0002"])
    (workspace / "aligned" / "canon" / "0002.jpg").write_bytes(b"cut")
    first, second = write_report(workspace).report.table
    assert first.picture is not None
    assert second.picture is None


def test_index_stays_small_with_six_thousand_pairs(tmp_path):
    lost = [Lost(f"{n:05d}", "no_partner", "m" * 90, dslr=False) for n in range(6000)]
    workspace = make_workspace(tmp_path / "w", [], lost=lost, patches=False)
    index = write_report(workspace).index
    assert index.stat().st_size < 2_000_000


def test_lone_surrogates_in_names_do_not_stop_the_report(tmp_path):
    workspace = make_workspace(tmp_path / "w", ["0001"])
    path = workspace / "aligned" / "alignment.jsonl"
    line = json.loads(path.read_text()) | {"pair": "caf\udce9", "phone": "\udce9.jpg"}
    path.write_text(json.dumps(line) + "\n")
    assert "caf?" in write_report(workspace).index.read_text()

"""Several workspaces on one page: the numbers of each, and where they differ."""

import copy
import csv
import json
import shutil

import msgspec
import pytest
from click.testing import CliRunner
from report_browser import browser, expect
from report_fixture import Lost, make_workspace, scene, write_run

from dped_build.cli import cli
from dped_build.report import write_report
from dped_build.report.record import DifferingSetting, PairRow, Report
from dped_build.report.side_by_side import common_pairs, side_by_side
from dped_build.report.side_by_side_writer import write_side_by_side
from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.stage import read_sums, sha256

__all__ = ["browser"]

CRUEL = "<img src=x onerror=alert(1)>"
LATE = Lost("0002", "too_few_inliers", "few")


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory):
    """iphone: two pairs and a run; sony: one is rejected, two are new, one cruel."""
    folder = tmp_path_factory.mktemp("data")
    both = {"photos": [scene(seed) for seed in range(2)]}
    iphone = make_workspace(folder / "iphone", ["0001", "0002"], **both)
    write_run(iphone / "runs" / "first")
    cruel = [LATE, Lost(CRUEL, "no_partner", dslr=False)]
    sony = make_workspace(
        folder / "sony",
        ["0001", "0003"],
        lost=cruel,
        cameras=("sony", "canon"),
        **both,
    )
    return [iphone, sony]


@pytest.fixture(scope="module")
def written(workspaces):
    return write_side_by_side(workspaces, jobs=1)


@pytest.fixture(scope="module")
def own(workspaces, written):
    """What each workspace's own report.json says."""
    return [
        json.loads((folder / "report/report.json").read_text()) for folder in workspaces
    ]


def row(record, label):
    """The values of a row."""
    rows = [row for section in record.sections for row in section.rows]
    return next(row.values for row in rows if label in (row.label, row.reason))


def test_every_number_is_that_of_the_workspaces_own_report(own, written):
    record = written.report
    assert row(record, "aligned") == [report["pairs"]["aligned"] for report in own]
    assert row(record, "accepted") == [report["windows"]["accepted"] for report in own]
    for name in ("low_ncc", "flat"):
        assert row(record, name) == [
            report["windows"]["reasons"][name] for report in own
        ]
    assert row(record, "too_few_inliers") == [0, 1]
    spreads = [report["windows"]["accepted_spread"] for report in own]
    sigma = [spread["sigma_px"]["median"] for spread in spreads]
    assert row(record, "stated uncertainty, phone px: median") == sigma
    assert row(record, "stored") == [report["patches"]["stored"] for report in own]
    assert row(record, "first: best psnr") == [20, None]


def test_a_pair_that_one_phone_lost_is_named_and_others_are_not(written):
    differing = written.report.other_outcomes
    assert [pair.pair for pair in differing] == ["0002"]
    here, there = differing[0].workspaces
    assert (here.status, here.used) == ("aligned", True)
    assert (there.status, there.reason) == ("rejected", "too_few_inliers")


def test_pairs_in_different_splits_are_told():
    def table(split):
        row = dict.fromkeys(PairRow.__struct_fields__)
        row |= {"pair": "1", "status": "aligned", "split": split}
        return [PairRow(**row | {"windows": 9, "accepted": 3})]

    same = common_pairs([table("test"), table("test")])
    other = common_pairs([table("test"), table("train")])
    assert [own.split for own in other[0].workspaces] == ["test", "train"]
    assert not same[0].differs
    assert not other[0].differs


def test_settings_that_differ_are_listed(own):
    other = copy.deepcopy(own[1])
    other["made_with"]["align"]["settings"]["min_inliers"] = 30
    reports = [msgspec.convert(report, Report) for report in (own[0], other)]
    found = side_by_side(["a", "b"], reports).settings
    assert found == [DifferingSetting("align", "min_inliers", ["20", "30"])]


def test_the_tables_hold_what_the_page_shows(written):
    folder = written.index.parent
    lines = read_table(folder / "pairs.csv")
    assert [line["pair"] for line in lines] == ["0001", "0002"]
    assert lines[1]["sony reason"] == "too_few_inliers"
    measures = read_table(folder / "measures.csv")
    aligned = next(line for line in measures if line["measure"] == "aligned")
    assert (aligned["iphone"], aligned["sony"]) == ("2", "2")


def read_table(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_folder_is_published_with_its_sums(written):
    folder = written.index.parent
    sums = read_sums(folder)
    assert set(sums) == {p.name for p in folder.iterdir()} - {"SHA256SUMS"}
    assert all(sha256(folder / name) == digest for name, digest in sums.items())


def test_writing_again_gives_the_same_bytes(workspaces, written):
    folder = written.index.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_side_by_side(workspaces, jobs=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_workspace_gets_the_same_report_alone(workspaces, written, tmp_path):
    alone = shutil.copytree(workspaces[1], tmp_path / "sony")
    shutil.rmtree(alone / "report")
    write_report(alone, jobs=1)
    for path in (alone / "report").glob("*"):
        if path.is_file():
            assert (
                path.read_bytes() == (workspaces[1] / "report" / path.name).read_bytes()
            )


def test_a_folder_of_somebody_elses_is_left_alone(workspaces, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DpedBuildError, match=r"not written by dped-build.*--out"):
        write_side_by_side(workspaces, out=tmp_path, jobs=1)


def test_a_workspace_given_twice_is_wrong_usage(workspaces):
    with pytest.raises(UsageError, match="given twice"):
        write_side_by_side([workspaces[0], workspaces[0]], jobs=1)


def test_no_output_holds_an_absolute_path(workspaces, written):
    root = str(workspaces[0].parent)
    for path in written.index.parent.iterdir():
        assert root not in path.read_text(encoding="utf-8")


def invoke(*arguments, env=None):
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], env=env)


def test_the_command_shows_both_and_says_where(workspaces, tmp_path):
    several = [part for folder in workspaces for part in ("-w", folder)]
    ran = invoke(*several, "--out", tmp_path / "page", "--jobs", 1)
    assert ran.exit_code == 0, ran.output
    assert str(tmp_path / "page" / "index.html") in ran.output
    shown = [line.split() for line in ran.output.splitlines() if line]
    assert ["aligned", "2", "2"] in shown
    ran = invoke(*several, "--json", "--fail-below", 0.99, "--jobs", 1)
    assert json.loads(ran.stdout)["format"] == "dped-build/side-by-side"
    assert ran.exit_code == 1
    assert "--fail-below 0.99" in ran.stderr


def test_one_workspace_is_reported_as_ever(workspaces, tmp_path):
    one = shutil.copytree(workspaces[0], tmp_path / "a:b")
    ran = invoke("--jobs", 1, env={"DPED_BUILD_WORKSPACE": str(one)})
    assert ran.exit_code == 0, ran.output
    assert f"{one / 'report/index.html'}" in ran.output
    ran = invoke("-w", one, "--out", tmp_path / "x")
    assert ran.exit_code == 2
    assert "--out is for several workspaces" in ran.output


@pytest.fixture
def page(browser, written):
    """The page in a browser; nothing may go wrong, and nothing leave the disk."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_offline(True)
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.on("requestfailed", lambda request: problems.append(request.url))
    opened.goto(written.index.as_uri())
    yield opened
    context.close()
    assert problems == []


def test_the_page_has_a_column_for_each_workspace(page, written):
    head = page.locator("#pairs thead th")
    expect(head).to_have_text(["iphone", "sony"])
    aligned = page.locator("#pairs tbody tr", has_text="aligned").first
    expect(aligned.locator("td")).to_have_text(["2", "2"])
    expect(page.locator("#differ tbody tr")).to_have_count(1)
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def test_a_pair_leads_to_its_place_in_the_workspaces_own_report(page):
    page.locator("#differ tbody a").last.click()
    page.wait_for_url("**/sony/report/index.html#pair-3")
    expect(page.locator("#panel-name")).to_have_text("0002")


def test_the_page_fits_a_telephone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_names_are_shown_as_text(workspaces, browser, tmp_path):
    folders = [
        shutil.copytree(folder, tmp_path / name)
        for folder, name in zip(workspaces, ("<b>one", "two&amp;"), strict=True)
    ]
    index = write_side_by_side(folders, jobs=1).index
    opened = browser.new_page()
    opened.goto(index.as_uri())
    expect(opened.locator("#pairs thead th")).to_have_text(["<b>one", "two&amp;"])
    opened.locator("#pairs thead a").first.click()
    opened.wait_for_url("**/report/index.html")
    opened.close()

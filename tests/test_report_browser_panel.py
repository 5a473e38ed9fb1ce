"""The panel of one pair in a browser, by mouse and by keys alone."""

import re
from collections import Counter

import h5py
import numpy as np
import pytest
from report_browser import (
    NOTHING,
    browser,
    expect,
    is_loaded,
    names,
    numbers_of,
    open_pair,
    visit,
)
from report_fixture import GRID, Lost, make_workspace

from dped_build.report import write_report

__all__ = ["browser", "visit"]

NAMES = ["0001", "0002", "0003", "0004"]
LOST = (
    Lost("0901", "no_partner", "0901.jpg: no DSLR photo is called 0901", dslr=False),
    Lost("0902", "too_few_inliers", "7 inliers; 20 are needed"),
)
BLINK_MS = 600


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    make_workspace(folder, NAMES, lost=LOST)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def measured(workspace):
    """The columns of windows.h5."""
    with h5py.File(workspace / "patches" / "windows.h5") as file:
        return {name: file[name][:] for name in file}


def windows_are_shown(page):
    expect(page.locator("#windows rect")).to_have_count(len(GRID))


def focused(page):
    """Id or class of what has the keyboard."""
    return page.evaluate(
        "document.activeElement.id || document.activeElement.className"
    )


def is_drawn(page):
    """Wait for two frames: what was disabled has lost the keyboard by then."""
    frame = "new Promise(done => requestAnimationFrame(done))"
    page.evaluate(f"{frame}.then(() => {frame})")


def facts(page):
    pairs = page.locator("#facts div").all()
    return {
        pair.locator("dt").text_content(): pair.locator("dd").text_content()
        for pair in pairs
    }


def by_click(page):
    page.locator("#rows .open").nth(2).click()


def by_click_on_the_row(page):
    page.locator("#rows tr").nth(2).locator("td[data-label=Overlap]").click()


def by_enter(page):
    page.locator("#rows .open").nth(2).focus()
    page.keyboard.press("Enter")


def by_link(page):
    page.locator("#patches figcaption a", has_text="0003").first.click()


@pytest.mark.parametrize("way", [by_click, by_click_on_the_row, by_enter, by_link])
def test_panel_opens(visit, way):
    page = visit()
    way(page)
    expect(page.locator("#panel")).to_be_visible()
    expect(page.locator("#panel-name")).to_have_text("0003")
    expect(page).to_have_url(re.compile("#pair-3$"))
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page).to_have_url(re.compile("#pairs$"))
    way(page)
    expect(page.locator("#panel")).to_be_visible()


def test_address_of_a_pair_opens_it_and_a_wrong_one_nothing(visit):
    expect(visit("#pair-3").locator("#panel-name")).to_have_text("0003")
    for anchor in ("#pair-0", "#pair-7", "#pair-x"):
        expect(visit(anchor).locator("#panel")).to_be_hidden()


def test_panel_tells_what_report_json_has(visit, workspace):
    row = numbers_of(workspace)["table"][1]
    page = visit("#pair-2")
    expect(page.locator("#panel-status")).to_have_text("aligned")
    expect(page.locator("#panel-why")).to_be_empty()
    assert facts(page) == {
        "Split": row["split"],
        "Inliers": str(row["inliers"]),
        "RMSE, px": f"{row['inlier_rmse_px']:.2f}",
        "Off a plane, px": f"{row['rmse_px']:.2f}",
        "Overlap": f"{row['overlap']:.0%}".replace("%", " %"),
        "Windows": str(row["windows"]),
        "Accepted": str(row["accepted"]),
        "Share": f"{row['accepted'] / row['windows']:.0%}".replace("%", " %"),
        "Exposure, EV": f"{row['exposure_ev']:+.2f}",
        "Colour, EV": f"{row['color_ev']:.2f}",
        "Sharpness": f"{row['sharpness_ratio']:.2f}",
        "Parallax, px": f"{row['parallax_px']:.1f}",
    }


def test_panel_of_a_lost_pair_says_why_and_shows_no_picture(visit):
    page = visit("#pair-6")
    expect(page.locator("#panel-status")).to_have_text("rejected")
    expect(page.locator("#panel-why")).to_have_text(
        "too_few_inliers: 7 inliers; 20 are needed"
    )
    expect(page.locator("#no-picture")).to_be_visible()
    expect(page.locator("#stage")).to_be_hidden()
    expect(page.locator("#controls")).to_be_hidden()
    page.keyboard.press("x")
    expect(page.locator("#mark")).to_have_attribute("aria-pressed", "true")


def test_every_window_is_drawn_where_it_lies_and_counted(visit, measured):
    page = visit("#pair-2")
    windows_are_shown(page)
    of_pair = measured["pair"] == b"0002"
    drawn = page.locator("#windows rect").evaluate_all(
        "all => all.map(r => ['x', 'y', 'width'].map(n => Number(r.getAttribute(n))))"
    )
    middles = np.array(drawn)[:, :2] + np.array(drawn)[:, 2:] / 2
    np.testing.assert_allclose(middles, measured["window_xy"][of_pair] + 10, atol=1e-6)
    counts = Counter(text.decode() for text in measured["reason"][of_pair])
    legend = page.locator("#outcomes button").all_text_contents()
    assert legend == [f"{name} {count}" for name, count in counts.most_common()]


def test_an_outcome_is_hidden_and_shown_by_its_legend(visit, measured):
    page = visit("#pair-2")
    windows_are_shown(page)
    low = ((measured["pair"] == b"0002") & (measured["reason"] == b"low_ncc")).sum()
    button = page.locator("#outcomes button", has_text="low_ncc")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(page.locator("#windows rect.gone")).to_have_count(int(low))
    expect(page.locator("#windows rect").nth(2)).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(page.locator("#windows rect.gone")).to_have_count(0)
    expect(button).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("index", [0, 5, 6, 100])
def test_pointing_at_a_window_tells_its_numbers(visit, measured, index):
    page = visit("#pair-3")
    windows_are_shown(page)
    row = np.flatnonzero(measured["pair"] == b"0003")[index]
    page.locator("#windows rect").nth(index).hover()
    tip, ncc = page.locator("#tip"), measured["ncc"][row]
    expect(tip).to_contain_text("no NCC" if np.isnan(ncc) else f"NCC {ncc:.4f}")
    expect(tip).to_contain_text(measured["reason"][row].decode())
    moved, sigma = np.hypot(*measured["shift_px"][row]), measured["sigma_px"][row]
    x, y = measured["window_xy"][row]
    expect(tip).to_contain_text(f"at x {x}, y {y} of the phone photo")
    if np.isnan(ncc):  # flat: its place means nothing
        expect(tip).not_to_contain_text("moved")
        return
    expect(tip).to_contain_text(f"moved {moved:.2f} px")
    expect(tip).to_contain_text(f"uncertain by {sigma:.3f} px, depth {NOTHING} px")
    page.locator("#panel-name").hover()
    expect(tip).to_be_hidden()


def test_both_photos_lie_over_each_other_and_the_slider_cuts(visit):
    page = visit("#pair-1")
    is_loaded(page, "#stage img")
    phone, dslr = page.locator("#phone"), page.locator("#dslr")
    assert phone.bounding_box() == dslr.bounding_box()
    assert phone.get_attribute("src") != dslr.get_attribute("src")
    for value in ("50", "20", "100"):
        page.locator("#slider").fill(value)
        expect(dslr).to_have_css("clip-path", f"inset(0px 0px 0px {value}%)")


def test_blinking_alternates_and_ends_with_the_panel(visit):
    page = visit()
    page.clock.install()
    page.reload()
    open_pair(page, "0002")
    stage, button = page.locator("#stage"), page.locator("#blink")
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)
    page.click("#blink")
    expect(button).to_have_attribute("aria-pressed", "true")
    shown = []
    for _ in range(4):
        page.clock.run_for(BLINK_MS)
        shown.append("phone-only" in stage.get_attribute("class"))
    assert shown == [True, False, True, False]
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.clock.run_for(BLINK_MS)
    assert stage.get_attribute("class") == "stage"


def test_previous_and_next_follow_the_sorted_and_filtered_table(visit):
    page = visit()
    page.select_option("#by-status", "aligned")
    page.click("#direction")
    assert names(page) == NAMES[::-1]
    open_pair(page, "0004")
    expect(page.locator("#previous")).to_be_disabled()
    for place, name in enumerate(["0003", "0002", "0001"], start=2):
        page.click("#next")
        expect(page.locator("#panel-name")).to_have_text(name)
        expect(page.locator("#panel-place")).to_have_text(f"{place} of 4")
        expect(page).to_have_url(re.compile(f"#pair-{int(name)}$"))
    expect(page.locator("#next")).to_be_disabled()
    page.click("#previous")
    expect(page.locator("#panel-name")).to_have_text("0002")


def test_a_pair_is_found_and_opened_by_keys_alone(visit):
    page = visit()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("0003")
    assert names(page) == ["0003"]
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == "open":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#panel-name")).to_have_text("0003")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    assert focused(page) == "open"


def test_arrows_go_through_the_pairs_and_back_from_either_end(visit):
    page = visit("#pair-2")
    name = page.locator("#panel-name")
    order = [*NAMES, "0901", "0902"]
    for key, wanted in (
        ("ArrowLeft", order[0]),
        *(("ArrowRight", pair) for pair in [*order[1:], order[-1]]),
        *(("ArrowLeft", pair) for pair in reversed(order[:-1])),
    ):
        page.keyboard.press(key)
        expect(name).to_have_text(wanted)
        is_drawn(page)


def test_keys_work_on_after_the_last_pair_was_reached_by_a_button(visit):
    page = visit("#pair-5")
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel-name")).to_have_text("0902")
    is_drawn(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#panel-name")).to_have_text("0901")


def test_keys_blink_hide_the_windows_and_mark_the_photo(visit):
    page = visit("#pair-2")
    windows_are_shown(page)
    page.keyboard.press("b")
    expect(page.locator("#stage")).to_have_class(re.compile("blinking"))
    page.keyboard.press("b")
    expect(page.locator("#stage")).to_have_class("stage")
    page.keyboard.press("w")
    expect(page.locator("#windows")).to_be_hidden()
    expect(page.locator("#show-windows")).not_to_be_checked()
    page.keyboard.press("W")
    expect(page.locator("#windows")).to_be_visible()
    for pressed in ("true", "false"):
        page.keyboard.press("x")
        expect(page.locator("#mark")).to_have_attribute("aria-pressed", pressed)


def test_arrows_go_from_window_to_window_and_x_marks_it(visit):
    page = visit("#pair-2")
    windows_are_shown(page)
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page) == "windows":
            break
    for key, place in (
        ("ArrowRight", "at x 0, y 0 of"),
        ("ArrowRight", "at x 40, y 0 of"),
        ("ArrowDown", "at x 40, y 40 of"),
        ("ArrowLeft", "at x 0, y 40 of"),
        ("ArrowLeft", "at x 0, y 40 of"),
        ("ArrowUp", "at x 0, y 0 of"),
    ):
        page.keyboard.press(key)
        expect(page.locator("#tip")).to_contain_text(place)
    page.keyboard.press("x")
    expect(page.locator("#windows rect.marked")).to_have_count(1)
    expect(page.locator("#windows rect").first).to_have_class(re.compile("marked"))
    expect(page.locator("#marked")).to_have_text("0 photos and 1 window to leave out")
    expect(page.locator("#mark")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#panel-name")).to_have_text("0002")


def test_marking_a_row_by_key_keeps_the_focus_there(visit):
    page = visit()
    page.locator("#rows .open").nth(1).focus()
    page.keyboard.press("x")
    expect(page.locator("#rows tr.marked .open")).to_have_text("0002")
    expect(page.locator("#rows .open").nth(1)).to_be_focused()
    page.keyboard.press("ControlOrMeta+x")
    expect(page.locator("#rows tr.marked")).to_have_count(1)


def test_letters_in_the_search_field_are_text(visit):
    page = visit()
    page.focus("#find")
    page.keyboard.type("x/wb")
    expect(page.locator("#find")).to_have_value("x/wb")
    expect(page.locator("#marks")).to_be_hidden()


def test_the_focus_stays_in_the_panel_and_goes_back_to_its_row(visit):
    page = visit()
    page.locator("#rows .open").nth(1).focus()
    page.keyboard.press("Enter")
    windows_are_shown(page)
    page.keyboard.press("Enter")  # on no button: nothing happens
    expect(page.locator("#panel-name")).to_have_text("0002")
    chip = page.locator("#outcomes button").first
    chip.focus()
    page.keyboard.press("Enter")
    expect(chip).to_be_focused()
    page.locator("#windows").focus()
    page.keyboard.press("w")
    expect(page.locator("#panel")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("#mark")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#rows .open").nth(1)).to_be_focused()


def test_hidden_windows_are_neither_told_nor_marked(visit):
    page = visit("#pair-2")
    windows_are_shown(page)
    page.locator("#windows rect").first.hover()
    expect(page.locator("#tip")).to_be_visible()
    page.keyboard.press("w")
    expect(page.locator("#tip")).to_be_hidden()
    expect(page.locator("#mark-window")).to_be_disabled()
    page.keyboard.press("x")
    expect(page.locator("#mark")).to_have_attribute("aria-pressed", "true")

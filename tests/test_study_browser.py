"""The study's page in a browser: a person answers, saves, and it is collected."""

import json
import time
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise

import pytest
from report_browser import browser, expect, visits
from study_fixture import CLASSES, SIZE, make

from dped_build.study import collect_answers
from dped_build.study.key import read_key

__all__ = ["browser"]

SCENES, REPEATS = 5, 3
QUESTIONS = SCENES * 3
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    size = (SIZE[0] * 12, SIZE[1] * 12)
    folder = tmp_path_factory.mktemp("study")
    return make(folder, SCENES, size=size, ties=True, repeats=REPEATS, quality=80)


@pytest.fixture
def visit(browser, study):
    with visits(browser, study.page.parent) as visit:
        yield visit


@contextmanager
def another(browser, study):
    with visits(browser, study.page.parent) as visit:
        yield visit()


def begin(page):
    page.locator("#begin").click()
    is_asked(page)


def is_asked(page):
    expect(page.locator("body.ready #ask")).to_be_visible()


def shown(page):
    """The pictures' names on the screen, from the left."""
    is_asked(page)
    sources = page.locator(".frame img").evaluate_all("all => all.map(i => i.src)")
    return [source.rpartition("/")[2].split(".")[0] for source in sources]


def answer_by_key(page, key_file, prefers):
    """Answer until the end by arrow keys as somebody who likes `prefers`."""
    key = read_key(key_file)
    asked = []
    while page.locator("#ask").is_visible():
        asked.append(shown(page))
        left, right = (key.classes[key.places[name][0]] for name in asked[-1])
        better = prefers.index(left) < prefers.index(right)
        place = page.locator("#place").text_content()
        page.keyboard.press("ArrowLeft" if better else "ArrowRight")
        page.wait_for_function(
            "before => document.getElementById('ask').hidden ||"
            " document.getElementById('place').textContent !== before",
            arg=place,
        )
    return asked


def saved(page, tmp_path, button="#save", name="answers.json"):
    with page.expect_download() as download:
        page.locator(button).click()
    path = tmp_path / name
    download.value.save_as(path)
    assert download.value.suggested_filename.endswith(".json")
    return path


def test_a_whole_study_by_keyboard_gives_the_planted_preference(study, visit, tmp_path):
    page = visit()
    page.keyboard.press("Enter")  # Start has the focus
    asked = answer_by_key(page, study.key_file, ["yak", "zebra", "xerus"])
    assert len(asked) == QUESTIONS + REPEATS
    page.locator("#participant").fill('  =P 07"')
    path = saved(page, tmp_path)
    expect(page.locator("#saved")).to_contain_text("answers-")
    document = json.loads(path.read_text())
    assert document["participant"] == "P 07"
    assert document["complete"]
    numbers = collect_answers([path], study.key_file, tmp_path / "results")
    assert [row["class"] for row in numbers["classes"]] == ["yak", "zebra", "xerus"]
    assert numbers["answers"] == QUESTIONS
    assert numbers["consistency"] == {"repeats": REPEATS, "alike": 3, "share": 1.0}
    assert all(address.startswith(("file:", "blob:")) for address in visit.addresses)


def questions_of(page, at_most=QUESTIONS + REPEATS):
    """What is asked, by answering with the left button."""
    begin(page)
    asked = []
    while len(asked) < at_most:
        asked.append(tuple(shown(page)))
        page.locator(".choice").first.click()
        page.wait_for_timeout(5)
    return asked


def test_sides_and_scenes_are_balanced_for_each_participant(study, visit):
    asked = questions_of(visit())
    key = read_key(study.key_file)
    first, seen = [], set()
    for pair in asked:
        if frozenset(pair) not in seen:
            seen.add(frozenset(pair))
            first.append([key.places[name] for name in pair])
    met = Counter((left[0], right[0]) for left, right in first)
    for one in range(3):
        for other in range(one):
            assert abs(met[one, other] - met[other, one]) <= 1
            assert met[one, other] + met[other, one] == SCENES
    scenes = [key.places[left][1] for left, _ in asked]
    assert sum(a == b for a, b in pairwise(scenes)) <= 1  # where none fits any more


def test_two_participants_have_different_orders_and_a_seed_always_the_same(
    study, visit
):
    pages = [visit(anchor) for anchor in ("", "", "#seed=17", "#seed=17")]
    one, two, seeded, again = [questions_of(page, at_most=6) for page in pages]
    assert one != two
    assert seeded == again
    assert len(set(one)) == len(one)


def test_a_reload_goes_on_and_somebody_else_starts_over(visit, study):
    page = visit()
    begin(page)
    for key in ("1", "2", " "):
        shown(page)
        page.keyboard.press(key)
    now = shown(page)
    page.reload()
    expect(page.locator("#begin")).to_have_text(
        f"Continue (3 of {QUESTIONS + REPEATS} answered)"
    )
    begin(page)
    assert shown(page) == now
    page.reload()
    page.locator("#anew").click()
    expect(page.locator("#begin")).to_have_text("Start")


def test_undo_takes_back_and_a_held_key_answers_once(visit):
    page = visit()
    begin(page)
    first = shown(page)
    page.keyboard.down("ArrowLeft")
    page.keyboard.down("ArrowLeft")  # repeats, as a held key does
    page.keyboard.up("ArrowLeft")
    expect(page.locator("#place")).to_have_text(f"2 / {QUESTIONS + REPEATS}")
    page.keyboard.press("Backspace")
    expect(page.locator("#place")).to_have_text(f"1 / {QUESTIONS + REPEATS}")
    assert shown(page) == first
    expect(page.locator("#undo")).to_be_disabled()


def boxes(page):
    return [page.locator("img").nth(n).bounding_box() for n in range(2)]


def test_zoom_shows_both_pictures_pixel_for_pixel_at_the_same_place(visit):
    page = visit()
    begin(page)
    frames = [page.locator(".frame").nth(n).bounding_box() for n in range(2)]
    whole = boxes(page)
    assert all(b["width"] <= f["width"] for b, f in zip(whole, frames, strict=True))
    page.keyboard.press("z")
    large = boxes(page)
    assert [box["width"] for box in large] == [SIZE[0] * 12] * 2
    frame = frames[0]
    page.mouse.move(frame["x"] + 200, frame["y"] + 200)
    page.mouse.down()
    page.mouse.move(frame["x"] + 150, frame["y"] + 180, steps=5)
    page.mouse.up()
    moved = boxes(page)
    for before, after, inside in zip(large, moved, frames, strict=True):
        assert after["x"] - before["x"] == pytest.approx(-50, abs=1)
        assert after["x"] - inside["x"] == pytest.approx(moved[0]["x"] - frame["x"])
    page.mouse.click(frame["x"] + 30, frame["y"] + 30)
    assert boxes(page) == whole
    page.mouse.wheel(0, -300)
    assert boxes(page)[1]["width"] > whole[1]["width"] * 1.5
    page.keyboard.press("ArrowLeft")
    is_asked(page)
    expect(page.locator("#zoom")).to_have_attribute("aria-pressed", "false")


def test_a_click_zooms_into_what_is_under_it(visit):
    page = visit()
    begin(page)
    frame, before = page.locator(".frame").nth(1).bounding_box(), boxes(page)[1]
    x, y = before["x"] + 0.4 * before["width"], before["y"] + 0.5 * before["height"]
    page.mouse.click(x, y)
    after = boxes(page)[1]
    assert after["width"] > frame["width"]
    assert (x - after["x"]) / after["width"] == pytest.approx(0.4, abs=0.01)
    assert (y - after["y"]) / after["height"] == pytest.approx(0.5, abs=0.01)


def test_a_pause_stops_the_clock_and_can_save_a_part(study, visit, tmp_path):
    page = visit()
    begin(page)
    start = time.monotonic()
    page.keyboard.press("1")
    is_asked(page)
    page.keyboard.press("p")
    expect(page.locator("#rest")).to_be_visible()
    expect(page.locator("#ask")).to_be_hidden()
    page.wait_for_timeout(1000)
    page.locator("#resume").click()
    is_asked(page)
    page.keyboard.press("2")
    awake = time.monotonic() - start - 1.0
    is_asked(page)
    page.keyboard.press("p")
    document = json.loads(saved(page, tmp_path, "#save-part").read_text())
    assert not document["complete"]
    assert [one["answer"] for one in document["answers"]] == ["left", "right"]
    assert document["answers"][1]["seconds"] <= awake
    path = tmp_path / "answers.json"
    numbers = collect_answers([path], study.key_file, tmp_path / "results")
    assert numbers["answers"] == 2


def test_without_storage_the_page_works_and_says_so(visit, study):
    page = visit()
    page.evaluate("() => { Storage.prototype.setItem = () => { throw Error(); }; }")
    begin(page)
    page.keyboard.press("1")
    is_asked(page)
    page.keyboard.press("p")
    expect(page.locator(".unkept")).to_be_visible()
    expect(page.locator(".kept")).to_be_hidden()


@pytest.mark.parametrize("stored", ["[]", "{", '{"seed": "x"}', "null", '"' + "x" * 99])
def test_damaged_storage_is_a_new_start(visit, study, stored):
    page = visit()
    identity = read_key(study.key_file).study
    page.evaluate(
        "([name, text]) => localStorage.setItem(name, text)",
        [f"dped-build-study-{identity}", stored],
    )
    page.reload()
    expect(page.locator("#begin")).to_have_text("Start")


def test_on_a_phone_pictures_stand_one_above_the_other_and_nothing_sticks_out(visit):
    page = visit(**PHONE)
    page.locator("#begin").tap()
    is_asked(page)
    upper, lower = boxes(page)
    assert upper["y"] + upper["height"] <= lower["y"]
    expect(page.locator(".choice").first).to_contain_text("Upper")
    wide, high = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert (wide, high) == (390, 844)
    for button in page.locator("#ask button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 34
    page.locator(".frame").first.tap()
    assert boxes(page)[1]["width"] == SIZE[0] * 12 / 2
    page.locator(".choice").last.tap()
    expect(page.locator("#place")).to_have_text(f"2 / {QUESTIONS + REPEATS}")


def test_two_fingers_enlarge_both_pictures_and_are_no_tap(visit):
    page = visit(**PHONE)
    begin(page)
    before, frame = boxes(page), page.locator(".frame").first.bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *offsets):
        points = [{"x": x + dx, "y": y, "id": n} for n, dx in enumerate(offsets)]
        event = {"type": kind, "touchPoints": points}
        touch.send("Input.dispatchTouchEvent", event)

    fingers("touchStart", -40, 40)
    for reach in (60, 80, 100, 120):
        fingers("touchMove", -reach, reach)
    fingers("touchEnd")
    after = boxes(page)
    for small, large in zip(before, after, strict=True):
        assert large["width"] / small["width"] == pytest.approx(3, rel=0.1)


def test_the_next_participant_gets_an_order_of_their_own(visit, study, tmp_path):
    page = visit()
    first = questions_of(page)
    one = json.loads(saved(page, tmp_path).read_text())
    page.reload()
    expect(page.locator("#end")).to_be_visible()
    page.locator("#next").click()
    second = questions_of(page, at_most=6)
    is_asked(page)
    page.keyboard.press("p")
    two = json.loads(saved(page, tmp_path, "#save-part").read_text())
    assert first[:6] != second
    assert one["session"] != two["session"]
    assert two["participant"] == ""


def test_the_background_changes_between_two_neutral_greys(visit):
    page = visit(color_scheme="dark")
    begin(page)
    color = "getComputedStyle(document.body).backgroundColor"
    shades = []
    for _ in range(2):
        shades.append(page.evaluate(color))
        page.keyboard.press("b")
    assert len(set(shades)) == 2
    for shade in shades:
        red, green, blue = shade.removeprefix("rgb(").removesuffix(")").split(", ")
        assert red == green == blue


def test_ratings_by_keyboard_come_back_as_scores(browser, tmp_path):
    study = make(tmp_path, 3, mode="rating", questions=6)
    key = read_key(study.key_file)
    with another(browser, study) as page:
        begin(page)
        while page.locator("#ask").is_visible():
            (name,) = shown(page)
            page.keyboard.press(str(2 + key.places[name][0]))
            page.wait_for_timeout(5)
        path = saved(page, tmp_path)
    numbers = collect_answers([path], study.key_file, tmp_path / "results")
    scores = {row["class"]: row["mos"] for row in numbers["classes"]}
    assert scores == dict(zip(CLASSES, (2, 3, 4), strict=True))
    assert [row["ratings"] for row in numbers["classes"]] == [2, 2, 2]


def test_a_title_is_text_and_never_markup(browser, tmp_path):
    title = "<img src=x onerror=alert(1)></script>&amp;"
    study = make(tmp_path, 1, title=title)
    with another(browser, study) as page:
        expect(page.locator("h1").first).to_have_text(title)
        begin(page)
        expect(page.locator("#prompt")).to_have_text(title)


def test_a_picture_that_is_missing_is_told_and_cannot_be_judged(browser, tmp_path):
    study = make(tmp_path, 1, classes=("zebra", "yak"))
    next((study.page.parent / "pictures").iterdir()).unlink()
    page = browser.new_page()
    page.goto(study.page.as_uri())
    page.locator("#begin").click()
    expect(page.locator("#trouble")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#place")).to_have_text("1 / 1")
    page.close()

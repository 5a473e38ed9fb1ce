"""The split is drawn by scene, and what is drawn stays drawn."""

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pytest

from dped_build.patches.scenes import Content, group_scenes
from dped_build.patches.split import (
    SplitRow,
    extend_split,
    parse_split,
    split_bytes,
)
from dped_build.workspace.errors import DpedBuildError

NOON = datetime(2024, 6, 1, 12)


def names(count, first=0):
    return [f"{number:04d}" for number in range(first, first + count)]


def drawn(pairs, rows=(), *, times=None, test=None, val=None, seed=0):
    return extend_split(rows, pairs, times or {}, test=test, val=val, seed=seed)


def counts(rows):
    """How many groups each split has."""
    return Counter({row.group: row.split for row in rows}.values())


def taken_after(seconds):
    """Pair → capture time, from seconds after noon."""
    return {pair: NOON + timedelta(seconds=s) for pair, s in seconds.items()}


def test_the_same_pairs_are_split_alike_every_time():
    assert drawn(names(50)) == drawn(names(50))


def test_another_seed_draws_another_split():
    assert drawn(names(50)) != drawn(names(50), seed=1)


def test_every_pair_gets_one_line_in_order():
    rows = drawn(names(30))
    assert [row.pair for row in rows] == names(30)


@pytest.mark.parametrize(
    "groups, test, val",
    [
        (0, 0, 0),
        (1, 0, 0),
        (2, 0, 0),
        (3, 1, 1),
        (19, 1, 1),
        (40, 4, 2),
        (999, 99, 49),
        (2500, 100, 100),
    ],
)
def test_by_default_a_tenth_is_test_and_a_twentieth_val(groups, test, val):
    found = counts(drawn(names(groups)))
    assert (found["test"], found["val"]) == (test, val)
    assert found.total() == groups


def test_numbers_of_scenes_may_be_given():
    found = counts(drawn(names(20), test=7, val=0))
    assert found == {"test": 7, "train": 13}
    assert counts(drawn(names(4), test=99)) == {"test": 4}


def test_the_draw_does_not_follow_the_order_of_the_pairs():
    one, other = drawn(names(60)), drawn(names(60)[::-1])
    assert sorted(one, key=str) == sorted(other, key=str)
    chosen = [row.pair for row in one if row.split == "test"]
    assert chosen != names(6)


@pytest.mark.parametrize("first, second", [(2, 2), (10, 5), (30, 300)])
def test_adding_pairs_moves_nobody(first, second):
    before = drawn(names(first))
    after = drawn(names(first + second), before)
    assert after[:first] == before
    added = counts(after)
    total = first + second
    assert added["test"] == max(1, total // 10)
    assert added["val"] == max(1, total // 20)


def test_pairs_that_are_gone_keep_their_line():
    before = drawn(names(10))
    assert drawn(names(5), before) == before


def test_photos_of_one_scene_stay_together():
    seconds = {pair: 3600 * (n // 3) + 25 * (n % 3) for n, pair in enumerate(names(60))}
    rows = drawn(names(60), times=taken_after(seconds))
    assert {row.group for row in rows} == set(names(60)[::3])
    assert counts(rows) == {"test": 2, "val": 1, "train": 17}
    splits = {}
    for row in rows:
        assert splits.setdefault(row.group, row.split) == row.split


@pytest.mark.parametrize("gap, groups", [(60, 1), (61, 2)])
def test_a_minute_makes_another_scene(gap, groups):
    found = group_scenes(["a", "b"], taken_after({"a": 0, "b": gap}), {})
    assert len(set(found.values())) == groups


def test_a_scene_is_named_after_its_first_photo_in_time():
    found = group_scenes(["a", "b"], taken_after({"a": 30, "b": 0}), {})
    assert found == {"a": "b", "b": "b"}


def test_a_series_without_pauses_is_not_one_scene():
    pairs = names(20)
    times = taken_after({pair: 20 * n for n, pair in enumerate(pairs)})
    found = group_scenes(pairs, times, {})
    assert len(set(found.values())) == 5


def test_photos_without_a_time_are_scenes_of_their_own():
    times = {"a": NOON, "b": None, "c": NOON}
    assert group_scenes(["a", "b", "c"], times, {}) == {"a": "a", "b": "b", "c": "a"}


def test_a_new_photo_of_a_known_scene_joins_its_split():
    seconds = {pair: 3600 * n for n, pair in enumerate(names(20))}
    before = drawn(names(20), times=taken_after(seconds))
    late = {f"{pair} again": s + 30 for pair, s in seconds.items()}
    after = drawn([*names(20), *late], before, times=taken_after(seconds | late))
    assert after[:20] == before
    known = {row.pair: row for row in before}
    for row in after[20:]:
        first = known[row.pair.removesuffix(" again")]
        assert (row.group, row.split) == (first.group, first.split)


def test_more_test_scenes_are_drawn_beside_the_same_ones():
    first = {r.group: r.split for r in drawn(names(100), test=10, val=5)}
    second = {r.group: r.split for r in drawn(names(100), test=12, val=5)}
    tests = {group for group, split in first.items() if split == "test"}
    assert tests <= {group for group, split in second.items() if split == "test"}


def test_the_file_comes_back_as_written():
    rows = [*drawn(names(12)), SplitRow('odd, "name"', "ähnlich", "val")]
    assert parse_split(split_bytes(rows).decode()) == rows


def test_without_pairs_the_file_is_its_header():
    assert split_bytes([]) == b"pair,group,split\n"
    assert parse_split("pair,group,split\n") == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "first line"),
        ("pair,split\na,train\n", "first line"),
        ("pair,group,split\na,a,train\nb,b\n", "line 3"),
        ("pair,group,split\na,a,trian\n", "line 2.*train, val, test"),
        ("pair,group,split\na,a,train\na,a,test\n", "line 3.*twice"),
        ("pair,group,split\na,g,train\nb,g,test\n", "line 3.*group g"),
    ],
)
def test_a_file_that_is_not_a_split_says_what_to_do(text, message):
    with pytest.raises(DpedBuildError, match=message) as caught:
        parse_split(text)
    assert "restore the file" in str(caught.value)
    assert "\n" not in str(caught.value)


def shown(seed, changed=0):
    """A hash in hexadecimal, so many of its 256 bits from that of another photo."""
    rng = np.random.default_rng(seed)
    bits, order = rng.random(256) < 0.5, rng.permutation(256)
    bits[order[:changed]] ^= True
    return np.packbits(bits).tobytes().hex()


def groups_of(contents, times=None, known=None):
    found = group_scenes([*contents], times or {}, known or {}, contents=contents)
    return [*found.values()]


def test_equal_files_are_one_scene_whatever_their_times():
    contents = {
        name: Content(sha256=sha) for name, sha in zip("abcd", "xyxz", strict=True)
    }
    assert groups_of(contents) == ["a", "b", "a", "d"]
    assert groups_of(contents, taken_after({"a": 0, "c": 7200})) == ["a", "b", "a", "d"]


@pytest.mark.parametrize("changed, scenes", [(0, 1), (64, 1), (65, 2), (128, 2)])
def test_near_identical_shots_without_a_time_are_one_scene(changed, scenes):
    contents = {"a": Content(shown=shown(0)), "b": Content(shown=shown(0, changed))}
    assert len(set(groups_of(contents))) == scenes
    apart = taken_after({"a": 0, "b": 61})
    assert len(set(groups_of(contents, apart))) == 2  # the times are surer
    assert len(set(groups_of(contents, taken_after({"b": 0})))) == scenes


def test_a_scene_without_times_reaches_no_further_than_its_first_photo():
    bits = [0, 50, 100, 150]
    contents = {f"{n}": Content(shown=shown(0, n)) for n in bits}
    assert groups_of(contents) == ["0", "0", "100", "100"]


def test_a_new_shot_joins_the_scene_that_it_looks_like():
    contents = {"a": Content(shown=shown(0)), "b": Content(shown=shown(0, 20))}
    assert groups_of(contents, known={"b": "B"}) == ["B", "B"]
    contents = {"a": Content(), "b": Content(shown=None)}
    assert groups_of(contents) == ["a", "b"]  # of an older alignment


def test_many_photos_without_times_take_seconds():
    contents = {f"{n}": Content(shown=shown(n)) for n in range(3000)}
    assert len(set(groups_of(contents))) == 3000

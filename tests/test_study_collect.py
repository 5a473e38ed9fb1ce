"""Answer files → results: who counts, what is refused, what is written."""

import csv
import json
from itertools import combinations

import pytest
from click.testing import CliRunner
from PIL import Image
from study_fixture import (
    CLASSES,
    answers_document,
    comparison,
    make,
    names_of,
    save,
    write_classes,
)

from dped_build.cli import cli
from dped_build.study import CollectSettings, collect_answers
from dped_build.workspace.errors import DpedBuildError, UsageError

SCENES = 4
RESULTS = {
    "SHA256SUMS",
    "answers.csv",
    "study.csv",
    "study.json",
    "study.png",
    "study.svg",
}
SVG_START = b"<?xml"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    return make(tmp_path_factory.mktemp("study"), SCENES, ties=True).key_file


@pytest.fixture(scope="module")
def names(key_file):
    return names_of(key_file)


def all_answers(names, prefers, *, swap=False, **options):
    """One answer per scene and two classes; `prefers` lists them, the best first."""
    answers = []
    for number in range(SCENES):
        for left, right in combinations(CLASSES, 2):
            if (number % 2 == 1) != swap:
                left, right = right, left
            best = "left" if prefers.index(left) < prefers.index(right) else "right"
            scene = f"wombat{number + 1}"
            answers.append(comparison(names, scene, left, right, best, **options))
    return answers


def again(answer, *, alike=True):
    """The same question a second time, sides swapped."""
    other = {"left": "right", "right": "left"}[answer["answer"]]
    said = other if alike else answer["answer"]
    return answer | {"shown": answer["shown"][::-1], "answer": said, "repeat": True}


def collected(key_file, paths, tmp_path, **settings):
    settings = CollectSettings(**settings)
    return collect_answers(paths, key_file, tmp_path / "results", settings=settings)


def test_who_was_preferred_comes_out_first(key_file, names, tmp_path):
    paths = [
        save(tmp_path, f"{n}.json", answers_document(key_file, all_answers(names, p)))
        for n, p in enumerate([("yak", "xerus", "zebra")] * 3 + [CLASSES])
    ]
    numbers = collected(key_file, paths, tmp_path)
    assert [row["class"] for row in numbers["classes"]] == ["yak", "xerus", "zebra"]
    pairs = {(row["first"], row["second"]): row for row in numbers["pairs"]}
    assert pairs["zebra", "yak"]["preference"] == 0.25
    assert pairs["yak", "xerus"]["preference"] == 1.0
    assert pairs["zebra", "yak"]["answers"] == 4 * SCENES
    assert numbers["left"]["preference"] == pytest.approx(0.5, abs=0.1)
    assert sum(row["chosen_of_all"] for row in numbers["classes"]) == pytest.approx(1)
    assert {path.name for path in (tmp_path / "results").iterdir()} == RESULTS


def test_the_files_hold_what_is_returned(key_file, names, tmp_path):
    answers = all_answers(names, CLASSES)
    path = save(tmp_path, "a.json", answers_document(key_file, answers))
    numbers = collected(key_file, [path], tmp_path)
    out = tmp_path / "results"
    assert json.loads((out / "study.json").read_text()) == json.loads(
        json.dumps(numbers)
    )
    with (out / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(answers)
    assert {row["left"] for row in rows} == set(CLASSES)
    with (out / "study.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["class"], row["against"]) for row in table[:3]] == [
        *combinations(CLASSES, 2)
    ]
    assert (out / "study.svg").read_bytes().startswith(SVG_START)
    with Image.open(out / "study.png") as picture:
        assert picture.width > 1000
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    collected(key_file, [path], tmp_path)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_no_preference_is_half_a_choice_for_each(key_file, names, tmp_path):
    answers = [
        comparison(names, "wombat1", "zebra", "yak", "none"),
        comparison(names, "wombat2", "zebra", "yak", "left"),
    ]
    path = save(tmp_path, "a.json", answers_document(key_file, answers))
    pair = collected(key_file, [path], tmp_path)["pairs"][0]
    assert (pair["chosen"], pair["no_preference"], pair["preference"]) == (1.5, 1, 0.75)


def test_a_participant_counts_once_by_session_or_name(key_file, names, tmp_path):
    answers = all_answers(names, CLASSES)
    whole = answers_document(key_file, answers, session="a" * 32)
    part = answers_document(key_file, answers[:5], session="a" * 32)
    ada = answers_document(key_file, answers, participant="Ada")
    ada_again = answers_document(key_file, answers[:3], participant="ada")
    documents = {"part": part, "whole": whole, "ada": ada, "again": ada_again}
    paths = [save(tmp_path, f"{name}.json", d) for name, d in documents.items()]
    numbers = collected(key_file, paths, tmp_path)
    assert [row["file"] for row in numbers["participants"]] == [
        "whole.json",
        "ada.json",
    ]
    assert {row["file"]: row["reason"] for row in numbers["left_out"]} == {
        "part.json": "the same participant as whole.json",
        "again.json": "the same participant as ada.json",
    }


def test_repeated_questions_tell_consistency_and_count_once(key_file, names, tmp_path):
    answers = all_answers(names, CLASSES)
    twice = [*answers, again(answers[0]), again(answers[1], alike=False)]
    path = save(tmp_path, "a.json", answers_document(key_file, twice))
    numbers = collected(key_file, [path], tmp_path)
    assert numbers["answers"] == len(answers)
    assert numbers["consistency"] == {"repeats": 2, "alike": 1, "share": 0.5}


def test_participants_are_dropped_only_when_asked(key_file, names, tmp_path):
    good = all_answers(names, CLASSES, seconds=5.0)
    random = [*all_answers(names, CLASSES), again(good[0], alike=False)]
    fast = all_answers(names, CLASSES, seconds=0.2)
    documents = {"good": good, "random": random, "fast": fast, "zed": good}
    paths = [
        save(tmp_path, f"{n}.json", answers_document(key_file, a, participant=n))
        for n, a in documents.items()
    ]
    assert len(collected(key_file, paths, tmp_path)["participants"]) == 4
    numbers = collected(
        key_file,
        paths,
        tmp_path,
        min_consistency=0.6,
        min_seconds=1,
        excluded=("Zed",),
    )
    assert [row["file"] for row in numbers["participants"]] == ["good.json"]
    reasons = {row["file"]: row["reason"] for row in numbers["left_out"]}
    assert "--min-consistency" in reasons["random.json"]
    assert "--min-seconds" in reasons["fast.json"]
    assert "--exclude" in reasons["zed.json"]


def wrong_answers(names):
    fine = comparison(names, "wombat1", "zebra", "yak", "left")
    other = comparison(names, "wombat2", "zebra", "yak", "left")
    return {
        "other picture": [fine | {"shown": ["0" * 16, fine["shown"][1]]}],
        "two scenes": [fine | {"shown": [fine["shown"][0], other["shown"][1]]}],
        "one picture": [fine | {"shown": fine["shown"][:1]}],
        "same twice": [fine | {"shown": fine["shown"][:1] * 2}],
        "no list": [fine | {"shown": {"0": 1}}],
        "no names": [fine | {"shown": [[], {}]}],
        "rated": [fine | {"answer": 4}],
        "a word": [fine | {"answer": "both"}],
        "a list": [fine | {"answer": ["left"]}],
        "no time": [fine | {"seconds": "now"}],
        "ages": [fine | {"seconds": 1e300}],
        "before": [fine | {"seconds": -1}],
        "maybe": [fine | {"repeat": 1}],
        "asked twice": [fine, fine],
        "only again": [fine | {"repeat": True}],
        "empty": [],
        "strings": ["left"],
        "null": [None],
        "endless": [fine] * 1000,
    }


DOCUMENTS = {
    "format": {"format": "other"},
    "version": {"version": 2},
    "study": {"study": "f" * 32},
    "session": {"session": "me"},
    "session list": {"session": ["a" * 32]},
    "formula": {"participant": "=HYPERLINK(1)"},
    "long name": {"participant": "a" * 41},
    "control": {"participant": "a\x1b[31m"},
    "no answers": {"answers": None},
}


def test_files_that_the_page_did_not_write_are_named_and_left_out(
    key_file, names, tmp_path
):
    fine = answers_document(key_file, all_answers(names, CLASSES))
    documents = {
        **{n: fine | {"answers": a} for n, a in wrong_answers(names).items()},
        **{name: fine | change for name, change in DOCUMENTS.items()},
    }
    del (lacking := dict(fine))["session"]
    documents["lacking"] = lacking
    for name, document in documents.items():
        save(tmp_path / "in", f"{name}.json", document)
    raw = {
        "torn": b'{"format": "dped',
        "binary": b"\x00\xff\xfe",
        "list": b"[]",
        "deep": b"[" * 100_000,
        "nan": b'{"format": NaN}',
        "digits": b'{"version": ' + b"9" * 10_000 + b"}",
        "nothing": b"",
    }
    for name, data in raw.items():
        (tmp_path / "in" / f"{name}.json").write_bytes(data)
    save(tmp_path / "in", "fine.json", fine)
    numbers = collected(key_file, [tmp_path / "in"], tmp_path)
    assert [row["file"] for row in numbers["participants"]] == ["fine.json"]
    refused = {row["file"]: row["reason"] for row in numbers["left_out"]}
    assert set(refused) == {f"{name}.json" for name in (*documents, *raw)}
    assert all(
        "\n" not in reason and "\x1b" not in reason for reason in refused.values()
    )


def test_no_preference_is_refused_where_it_was_no_answer(tmp_path):
    study = make(tmp_path, 1)
    one = comparison(names_of(study.key_file), "wombat1", "zebra", "yak", "none")
    path = save(tmp_path, "a.json", answers_document(study.key_file, [one]))
    with pytest.raises(DpedBuildError, match=r"a\.json.*no answer"):
        collected(study.key_file, [path], tmp_path)


def test_a_missing_file_or_none_is_wrong_usage(key_file, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        collected(key_file, [tmp_path / "gone.json"], tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no \.json"):
        collected(key_file, [tmp_path / "empty"], tmp_path)


def test_names_of_classes_cannot_write_formulas_or_break_the_chart(tmp_path):
    odd = ("$x^{2$", "_a <b>&c", "日本")
    study = make(tmp_path, 2, classes=odd)
    names = names_of(study.key_file)
    answers = [
        comparison(names, "wombat1", left, right, "left")
        for left, right in combinations(odd, 2)
    ]
    path = save(tmp_path, "a.json", answers_document(study.key_file, answers))
    with pytest.warns(UserWarning, match="Glyph"):
        collected(study.key_file, [path], tmp_path)
    assert b"&lt;b&gt;" in (tmp_path / "results" / "study.svg").read_bytes()


def test_ratings_give_mean_opinion_scores(tmp_path):
    study = make(tmp_path, 2, mode="rating")
    names = names_of(study.key_file)
    rated = {"zebra": (1, 2), "yak": (4, 5), "xerus": (3, 3)}
    paths = []
    for person in range(3):
        answers = [
            {
                "shown": [names[name, f"wombat{scene + 1}"]],
                "answer": values[scene],
                "repeat": False,
                "seconds": 1.5,
            }
            for name, values in rated.items()
            for scene in range(2)
        ]
        document = answers_document(study.key_file, answers)
        paths.append(save(tmp_path, f"{person}.json", document))
    numbers = collected(study.key_file, paths, tmp_path)
    scores = {row["class"]: row["mos"] for row in numbers["classes"]}
    assert scores == {"yak": 4.5, "xerus": 3.0, "zebra": 1.5}
    low, high = numbers["classes"][0]["ci95"]
    assert low < 4.5 < high <= 5
    assert {path.name for path in (tmp_path / "results").iterdir()} == RESULTS


def run(*arguments):
    result = CliRunner().invoke(cli, ["study", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_makes_a_study_and_collects_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = write_classes(tmp_path / "raw", 3)
    code, said = run(*texts, "--scenes", 2, "--repeats", 2, "--title", "Better?")
    assert code == 0
    assert "2 scenes, 3 classes (zebra, yak, xerus): 6 questions and 2" in said
    key_file = tmp_path / "data/study/key.json"
    scene = json.loads(key_file.read_text())["scenes"][0]
    answer = comparison(names_of(key_file), scene, "zebra", "yak", "right")
    save(tmp_path, "a.json", answers_document(key_file, [answer]))
    save(tmp_path, "b.json", {"hello": "you"})
    code, said = run("--collect", "a.json", "b.json")
    assert code == 0
    assert "zebra over yak" in said
    assert "b.json: refused: not an answer file" in said
    assert "data/study-results" in said
    code, said = run("--collect", "a.json", "--key", "data/study", "--json")
    assert json.loads(said)["answers"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("a=gone", "b=gone"), 2, "no such folder"),
        (("a=gone",), 2, "2 to 50"),
        (("--collect", "gone.json"), 2, "gone.json"),
        (("--collect", "x", "--repeats", "3"), 2, "--repeats is not for --collect"),
        (("a=x", "b=y", "--min-seconds", "1"), 2, "needs --collect"),
        (("a=x", "b=y", "--key", "k"), 2, "needs --collect"),
        ((), 2, "NAME=DIR"),
    ],
)
def test_wrong_usage_is_told(tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments)[0] == code
    assert said in run(*arguments)[1]


def test_a_missing_key_says_which_option_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path, "a.json", {})
    code, said = run("--collect", "a.json")
    assert (code, "--key" in said) == (1, True)

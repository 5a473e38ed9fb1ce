"""Every command line of the documentation runs, as typed, in a small real workspace.

Lines of code blocks that begin with `dped-build` count. Each page's lines run one after
another in a folder of their own, which holds what the page names: photos, a finished
workspace, DPED's folders. `docs/options.md` is written from the commands' own help.
"""

import itertools
import json
import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from study_fixture import answers_document, save

from dped_build.cli import cli
from dped_build.patches import PatchDataset

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in [
        ROOT / "README.md",
        ROOT / "data/README.md",
        *(ROOT / "docs").glob("*.md"),
    ]
    if page.name != "options.md"
]
TINY = "--iterations 2 --batch-size 2 --log-every 2 --checkpoint-every 2 --device cpu"
SHORTENED = {  # what is added to a command, so that it takes seconds
    "train": TINY,
    "bench": "--size 64x48 --repeat 1",
    "evaluate": "--device cpu",
    "enhance": "--device cpu",
}
PARSED_ONLY = {  # a line that begins so is only parsed, for this reason
    "doctor": "tests/test_doctor.py and tests/test_schemas.py run it",
    "import models_orig/": "needs TensorFlow and the released checkpoints; "
    "tests/test_tensorflow_checkpoint.py has both",
    "align raw/iphone raw/canon --part $SLURM": "needs SLURM; the lines before it run",
    "patches -w parts/$SLURM": "likewise",
    "align raw/iphone raw/canon --backend dask --scheduler": "needs a cluster; "
    "tests/test_engines.py has one",
    "patches --backend dask --scheduler": "likewise",
    "align raw/iphone raw/canon --backend ray --scheduler": "likewise",
}


def command_lines(page):
    """The lines as typed, without comments, prompts and redirections."""
    found = []
    whole = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in whole.splitlines():
        typed = re.match(
            r"(?: {4}|\$ | {4}\$ )?(?:\.venv/bin/)?dped-build ([a-z].*)", line
        )
        if typed:
            words = shlex.split(typed[1], comments=True)
            cut = list(
                itertools.takewhile(lambda word: word not in (">", "|", "&&"), words)
            )
            found.append(tuple(cut))
    return found


def line_id(value):
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else None


def reason_not_to_run(words):
    line = " ".join(words)
    return next(
        (why for start, why in PARSED_ONLY.items() if line.startswith(start)), None
    )


@pytest.mark.parametrize("page", PAGES, ids=line_id)
def test_every_command_line_can_be_parsed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in command_lines(page):
        command = cli.commands[words[0]]
        try:
            command.make_context(words[0], list(words[1:]))
        except click.UsageError as error:
            pytest.fail(f"{shlex.join(words)}: {error.format_message()}")


@pytest.fixture(scope="module")
def site(photo_set, tmp_path_factory, one_thread):
    """A folder with all that the pages name, made by the README's own commands."""
    folder = tmp_path_factory.mktemp("site")
    for ours, theirs in (("iphone", "phone"), ("canon", "dslr")):
        shutil.copytree(photo_set / "raw" / theirs, folder / "raw" / ours)
    shutil.copytree(folder / "raw/iphone", folder / "raw/sony")
    write_days(folder / "raw")
    photo = photo_set / "raw/phone/10.jpg"
    shutil.copy(photo, folder / "photo.jpg")
    (folder / "holiday").mkdir()
    shutil.copy(photo, folder / "holiday")
    write_vgg(folder / "vgg19-dcbb9e9d.pth")
    cache = folder / "torch/hub/checkpoints"  # where torch looks before it downloads
    cache.mkdir(parents=True)
    shutil.copy(folder / "vgg19-dcbb9e9d.pth", cache)
    with pytest.MonkeyPatch.context() as weights:
        weights.setenv("TORCH_HOME", str(folder / "torch"))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for words in command_lines(ROOT / "README.md"):
                run(words)
            write_dped_folders(folder)
            shutil.copytree("raw/iphone", "enhanced")
        yield folder


def write_days(raw):
    """day1/ and day2/ with two scenes each."""
    for day, names in (("day1", ("10", "11")), ("day2", ("2", "12"))):
        for camera, suffix in (("iphone", ".jpg"), ("canon", ".png")):
            (raw / day / camera).mkdir(parents=True)
            for name in names:
                shutil.copy(raw / camera / (name + suffix), raw / day / camera)


def write_vgg(path):
    """Random weights in torchvision's layout, but of two channels everywhere."""
    import torch

    widths = (2, 2, 0, 2, 2, 0, *[2] * 4, 0, *[2] * 4, 0, *[2] * 4)
    random = torch.Generator().manual_seed(0)
    state, place, before = {}, 0, 3
    for width in widths:
        if width:
            weight = torch.randn(width, before, 3, 3, generator=random)
            state[f"features.{place}.weight"] = weight
            state[f"features.{place}.bias"] = torch.zeros(width)
            place, before = place + 2, width
        else:
            place += 1
    torch.save(state, path)


def write_dped_folders(folder):
    """dped/iphone as DPED comes, pairs/ and edited/, from the patches at hand."""
    pairs = {
        split: list(itertools.islice(PatchDataset(folder / "data/patches", split), 6))
        for split in ("train", "test")
    }
    places = {
        "dped/iphone/training_data/{}/": ("train", ("iphone", "canon")),
        "dped/iphone/test_data/patches/{}/": ("test", ("iphone", "canon")),
        "pairs/{}/": ("train", ("low", "high")),
        "edited/{}": ("test", ("",)),
    }
    for pattern, (split, cameras) in places.items():
        for camera, side in zip(cameras, (0, 1), strict=False):
            target = folder / pattern.format(camera)
            target.mkdir(parents=True, exist_ok=True)
            for number, pair in enumerate(pairs[split]):
                Image.fromarray(np.asarray(pair[side])).save(target / f"{number}.jpg")


def write_answers():
    """What a participant would have saved."""
    key = Path("data/study/key.json")
    pictures = json.loads(key.read_text())["pictures"]
    scenes = {}
    for name, shown in pictures.items():
        scenes.setdefault(shown["scene"], []).append(name)
    answers = [
        {"shown": names[:2], "repeat": False, "answer": "left", "seconds": 2.0}
        for names in scenes.values()
    ]
    save(Path(), "answers-1.json", answers_document(key, answers))


def write_gallery():
    """As docs/make_gallery.py does, with the photos at hand."""
    for part, (ours, theirs) in itertools.product(
        ("raw", "new"), (("phone", "iphone"), ("dslr", "canon"))
    ):
        shutil.copytree(Path("raw") / theirs, Path("gallery") / part / ours)


MAKERS = {  # what a page names and no line before it makes, in the finished folder
    "iphone.pt": lambda: shutil.copy(
        "data/runs/released-dped/generator.pt", "iphone.pt"
    ),
    "answers-*.json": write_answers,
    "gallery/raw/phone": write_gallery,
}


def run(words):
    """A command in this process, shortened; glob patterns as a shell takes them."""
    typed = [word for each in words for word in expanded(each)]
    typed += shlex.split(SHORTENED.get(words[0], ""))
    done = CliRunner().invoke(cli, typed)
    assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}"
    return done.output


def expanded(word):
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if command_lines(page)], ids=line_id
)
def test_every_command_line_runs_as_it_stands(page, site, tmp_path, monkeypatch):
    shutil.copytree(site, tmp_path / "site", copy_function=shutil.copy2)
    monkeypatch.chdir(tmp_path / "site")
    for words in command_lines(page):
        for name, make in MAKERS.items():
            if name in words and not list(Path().glob(name)):
                make()
        if not reason_not_to_run(words):
            run(words)


def test_every_exception_is_still_needed():
    lines = [" ".join(words) for page in PAGES for words in command_lines(page)]
    for start in PARSED_ONLY:
        assert any(line.startswith(start) for line in lines), start

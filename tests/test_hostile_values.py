"""Values of any kind in files from strangers give errors of ours."""

import copy
import dataclasses
import json
import random
import shutil

import pytest
import torch
from strangers import CUT, RUN, TINY, finished, told, work
from two_folders import align

from dped_build.curate.verify import verify_workspace
from dped_build.parallel.executor import Workers
from dped_build.patches import PatchDataset, build_shards
from dped_build.report import write_report
from dped_build.train import load_generator, train
from dped_build.train.architecture import Architecture
from dped_build.train.evaluating.evaluate import evaluate
from dped_build.train.model_file import read_torch, save_generator
from dped_build.train.run_folder import read_metrics, recorded_settings
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.stage import write_sums

pytestmark = pytest.mark.usefixtures("one_thread")
__all__ = ["finished", "work"]


VALUES = ("removed", None, [], {}, 10**400, -1, "text", "../../x", 1e308, True, [[[]]])
FILES = {
    "aligned/manifest.json": ("align", "patches", "verify"),
    "aligned/alignment.jsonl": ("align", "patches", "verify", "evaluate", "report"),
    "aligned/local.json": ("align", "patches", "report"),
    "patches/manifest.json": ("patches", "dataset", "verify", "evaluate"),
    f"{RUN}/config.json": ("train",),
    f"{RUN}/metrics.jsonl": ("train", "report"),
}


def readers(raw, work):
    """Every way to open a workspace, by name."""

    def resume():
        recorded_settings(work / RUN)
        train(work / "patches", work / RUN, TINY, resume=True, progress=False)

    return {
        "align": lambda: align(raw, work, workers=Workers(1, "threading")),
        "patches": lambda: build_shards(
            work, settings=CUT, workers=Workers(1, "threading")
        ),
        "dataset": lambda: PatchDataset(work / "patches")[0],
        "verify": lambda: verify_workspace(work),
        "evaluate": lambda: evaluate(
            load_generator(work / RUN),
            work / "patches",
            split="train",
            compare={"tool": raw / "iphone"},
        ),
        "train": resume,
        "report": lambda: write_report(work),
    }


def places(value, path=()):
    """The path of every key of a JSON value, and of the first entries of lists."""
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value[:2]) if isinstance(value, list) else items
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def altered(document, path, value):
    document = copy.deepcopy(document)
    *way, last = path
    inner = document
    for key in way:
        inner = inner[key]
    if value == "removed":
        del inner[last]
    else:
        inner[last] = value
    return document


def open_altered(finished, raw, tmp_path, name, way, *, share):
    """Alter a share of a file's values, each to everything, and open it in one way."""
    rng, opened, refused = random.Random(f"{name} {way}"), 0, 0
    lines = (finished / name).read_text()
    first, *others = lines.splitlines() if name.endswith("l") else [lines]
    for path, value in ((p, v) for p in places(json.loads(first)) for v in VALUES):
        if rng.random() > share:
            continue
        work = tmp_path / "altered"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(finished, work)
        line = json.dumps(altered(json.loads(first), path, value))
        (work / name).write_text("\n".join([line, *others]) + "\n")
        opened += 1
        try:
            readers(raw, work)[way]()
        except DpedBuildError as error:
            refused += 1
            assert "\n" not in str(error), (name, way, path, value)
    return opened, refused


def test_altered_documents_give_errors_of_ours(finished, raw, tmp_path):
    counts = [
        open_altered(finished, raw, tmp_path, name, way, share=0.012)
        for name, ways in FILES.items()
        for way in ways
    ]
    opened, refused = map(sum, zip(*counts, strict=True))
    assert opened > 60
    assert refused > opened / 5


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name, ways in FILES.items() for way in ways]
)
def test_all_altered_documents_give_errors_of_ours(finished, raw, tmp_path, name, way):
    opened, _ = open_altered(finished, raw, tmp_path, name, way, share=1)
    assert opened > 60


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("iteration", "many"),
        ("iteration", float("inf")),
        ("iteration", -1),
        ("random", "[" * 10_000),
        ("random", {}),
        ("generator", {}),
        ("generator", None),
        ("generator_optimizer", {"state": {}, "param_groups": []}),
        ("generator_optimizer", {"state": {0: {}}, "param_groups": [{}]}),
        ("sums", {"mse": torch.zeros(3)}),
        ("sums", 3),
        ("best_psnr", "high"),
        ("version", "1\n\n\x1b[2J"),
    ],
)
def test_a_checkpoint_of_other_values_is_refused(work, key, value):
    path = work / RUN / "checkpoint.pt"
    content = read_torch(path, expected="dped-build/checkpoint", version=1)
    torch.save(content | {"iteration": 1, key: value}, path)
    longer = dataclasses.replace(TINY, iterations=4)
    with pytest.raises(DpedBuildError, match=r"checkpoint\.pt") as error:
        train(work / "patches", work / RUN, longer, resume=True, progress=False)
    assert told(error).isprintable()


def test_a_recorded_run_gives_no_path_and_no_giant(work):
    path = work / RUN / "config.json"
    config = json.loads(path.read_text())
    for change in ({"channels": 10**6}, {"batch_size": 10**12}, {"iterations": "2"}):
        path.write_text(json.dumps(config | {"settings": config["settings"] | change}))
        assert recorded_settings(work / RUN) == {}
    stated = {"settings": config["settings"] | {"vgg": "/etc/hostname"}}
    path.write_text(json.dumps(config | stated))
    assert "vgg" not in recorded_settings(work / RUN)


def test_what_the_sums_confirm_is_still_checked(work):
    """Who writes the files writes the sums: they prove nothing about a stranger's."""
    path = work / "patches/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["patches"] = "many"
    path.write_text(json.dumps(manifest))
    write_sums(work / "patches")
    damage = verify_workspace(work).damage
    assert len(damage) == 1
    assert "shards[0].patches: expected int, got str" in damage[0]


def test_metrics_and_weights_of_this_workspace_are_read(finished, tmp_path):
    """The same readers take what is sound."""
    assert [line["iteration"] for line in read_metrics(finished / RUN)] == [1, 2]
    assert recorded_settings(finished / RUN)["channels"] == 2
    save_generator(
        tmp_path / "generator.pt",
        load_generator(finished / RUN),
        Architecture("dped", 2, 1),
    )
    load_generator(tmp_path / "generator.pt")
    assert verify_workspace(finished).damage == []

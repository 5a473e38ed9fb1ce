"""Every JSON file that is written holds to its schema in docs/schemas/."""

import copy
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from PIL import Image
from referencing import Registry, Resource
from study_fixture import answers_document, save

from dped_build.align.records import REASONS as PAIR_REASONS
from dped_build.cli import cli
from dped_build.patches.records import REASONS as WINDOW_REASONS
from dped_build.selftest.simulated_cameras import Rig

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"
VERSION_1 = Path(__file__).parent / "version_1" / "workspace.zip"
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text())
    for path in sorted(FOLDER.glob("*.schema.json"))
}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)


def validator(name):
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


def check(name, value):
    found = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator(name).iter_errors(value)
    ]
    assert found == [], f"{name}: {found[:5]}"


def run(*arguments, code=0):
    """What a command prints, as JSON; in this process."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def document(path):
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def written(photo_set, camera_folders, patched_set, tmp_path_factory, one_thread):
    """Schema → every value that commands wrote or printed for it."""
    work = tmp_path_factory.mktemp("schemas")
    workspace = Path(shutil.copytree(patched_set, work / "w"))
    run_folder, log = workspace / "runs" / "tiny", work / "log.jsonl"
    at = ("-w", workspace)
    values = {
        **aligned_and_cut(photo_set, camera_folders, workspace, work),
        "train-summary": [
            run("train", *at, *TINY, "--out", run_folder, "--log", log, "--json")
        ],
        **judged(photo_set, workspace, run_folder, work),
        **exchanged(workspace, run_folder, work),
        **studied(photo_set, work),
        "log-line": lines(log),
        "truth": [document(path) for path in photo_set.glob("truth/*.json")],
    }
    for name, found in files_of(workspace).items():
        values.setdefault(name, []).extend(found)
    return values


def aligned_and_cut(photo_set, camera_folders, workspace, work):
    cameras = (photo_set / "raw/phone", photo_set / "raw/dslr")
    at, cut = ("-w", workspace), ("patches", "--size", 64, "--force", "--json")
    folders = (camera_folders / camera for camera in ("iphone", "canon"))
    by_order = ("align", *folders, "-w", work / "new", "--pair-by", "order")
    return {
        "plan": [
            run("align", *cameras, *at, "--dry-run", "--json"),
            run(*by_order, "--dry-run", "--json"),
            run(*cut, *at, "--dry-run"),
        ],
        "align-summary": [
            run("align", *cameras, *at, "--jobs", 1, "--json"),
            run(*by_order, "--jobs", 1, "--json"),
        ],
        "alignment-manifest": [document(work / "new/aligned/manifest.json")],
        "patches-summary": [run(*cut, *at, "--jobs", 1)],
    }


def judged(photo_set, workspace, run_folder, work):
    """What reads a workspace and a model."""
    at, enhanced = ("-w", workspace), work / "enhanced"
    small, photos = work / "small", photo_set / "raw/phone"
    evaluate = ("evaluate", run_folder, *at, "--json", "--device", "cpu")
    enhance = ("enhance", run_folder, photos, "--out", enhanced, "--json")
    bench = ("bench", run_folder, "--size", "64x48", "--repeat", 1, "--json")
    shutil.copytree(workspace, small)
    both = ("report", *at, "-w", small, "--out", work / "side", "--json")
    return {
        "enhance-summary": [run(*enhance)],
        "evaluation": [
            run(*evaluate),
            run(*evaluate, "--compare", f"other={enhanced}"),
        ],
        "bench": [run(*bench)],
        "verification": [run("verify", *at, "--json")],
        "difference": [run("diff", workspace, small, "--json")],
        "report": [run("report", *at, "--json")],
        "side-by-side": [run(*both), document(work / "side" / "report.json")],
    }


def exchanged(workspace, run_folder, work):
    """Imports, exports and a merged workspace."""
    paired_folders(work / "paired")
    png, lmdb, onnx = work / "png", work / "lmdb", work / "model.onnx"
    export = ("export", workspace / "patches", "--json", "--format")
    summaries = [run(*export, "png", "--out", png), run(*export, "lmdb", "--out", lmdb)]
    records = [line for path in png.rglob("metadata.jsonl") for line in lines(path)]
    imported = [work / "imported", work / "again"]
    imports = [
        run("import", work / "paired", "--out", imported[0], "--json"),
        run("import", png, "--out", imported[1], "--json"),
    ]
    frames = ("export", workspace, "--format", "frames", "--jobs", 1, "--json")
    frames_summary = run(*frames)
    whole = workspace / "export/frames"
    windows = ("export", "windows", "--format", "csv", "-w", workspace, "--json")
    model = ("export", run_folder, "--format", "onnx", "--out", onnx, "--json")
    return {
        "import-summary": imports,
        "patches-manifest": [document(path / "manifest.json") for path in imported],
        "export-summary": summaries,
        "export-manifest": [document(f / "manifest.json") for f in (png, lmdb)],
        "export-record": records,
        "frames-summary": [frames_summary],
        "frames-manifest": [document(whole / "manifest.json")],
        "frame-record": lines(whole / "metadata.jsonl"),
        "export-windows-summary": [run(*windows)],
        "export-model-summary": [run(*model)],
    }


def studied(photo_set, work):
    """Two studies of one scene, and the answers of two participants to each."""
    values = {}
    source = photo_set / "raw/phone"
    for mode in ("pairs", "rating"):
        folder = work / mode
        made = ("study", f"a={source}", f"b={source}", "--mode", mode, "--seed", 1)
        values.setdefault("study-summary", []).append(
            run(*made, "--scenes", 1, "--out", folder, "--json")
        )
        key_file = folder / "key.json"
        values.setdefault("study-key", []).append(document(key_file))
        names = list(document(key_file)["pictures"])
        shown = [names] if mode == "pairs" else [[name] for name in names]
        answers = [
            {"shown": each, "repeat": False, "seconds": 1.5}
            | {"answer": "left" if mode == "pairs" else 4}
            for each in shown
        ]
        saved = [answers_document(key_file, answers) for _ in "12"]
        values.setdefault("study-answers", []).extend(saved)
        files = [save(folder, f"{n}.json", each) for n, each in enumerate(saved)]
        collect = ("study", "--collect", *files, "--key", key_file, "--json")
        values.setdefault("study-results", []).append(run(*collect))
    return values


TINY = (
    *("--model", "srcnn", "--loss", "color+mse", "--iterations", 2),
    *("--batch-size", 2, "--log-every", 1, "--device", "cpu"),
)


def files_of(workspace):
    """Schema → the JSON files and lines of a workspace."""
    configs = sorted(workspace.glob("runs/*/config.json"))
    aligned = workspace / "aligned"
    return {
        "alignment-manifest": [document(aligned / "manifest.json")],
        "alignment-record": lines(aligned / "alignment.jsonl"),
        "local": [document(aligned / "local.json")],
        "patches-manifest": [document(workspace / "patches" / "manifest.json")],
        "run-config": [document(path) for path in configs],
        "run-metrics": [
            line for path in configs for line in lines(path.with_name("metrics.jsonl"))
        ],
    }


def paired_folders(folder):
    """Four pairs of patches, one of which is too small."""
    for camera, shade in (("iphone", 90), ("canon", 130)):
        (folder / camera).mkdir(parents=True)
        for number in range(4):
            side = 32 if number < 3 else 16
            image = Image.linear_gradient("L").resize((side, side)).convert("RGB")
            image.point(lambda level, s=shade: min(255, level + s)).save(
                folder / camera / f"{number}.png"
            )


def test_schemas_are_those_of_the_declarations(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER.parent)
    import make_schemas

    stored = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert stored == make_schemas.schemas(), "run: python docs/make_schemas.py"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one_and_describes_every_value(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"{name}.schema.json"
    silent = [
        f"{name}: {key}"
        for node in nodes(schema)
        for key, value in node.get("properties", {}).items()
        if "description" not in value and "$ref" not in value and "anyOf" not in value
    ]
    assert silent == []
    open_ended = [
        node
        for node in nodes(schema)
        if "properties" in node and "additionalProperties" not in node
    ]
    assert open_ended == []


def nodes(schema):
    """The schema and every schema within it."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def test_everything_that_is_written_holds_to_its_schema(written):
    for name, values in written.items():
        assert values, name
        for value in values:
            check(name, value)


def test_every_schema_is_held_against_something(written):
    needs_tensorflow = {"import-model-summary"}
    tested_below = {"doctor", "merge-summary"}
    elsewhere = {"common"} | needs_tensorflow | tested_below
    assert set(SCHEMAS) - elsewhere == set(written)


def test_a_key_that_is_not_documented_is_refused_wherever_it_stands(written):
    free = {"report": {"settings", "runs"}}  # repeated from files with their schemas
    for name, values in written.items():
        value = values[-1]
        for place in objects(value):
            if free.get(name, set()) & set(place):
                continue
            changed = copy.deepcopy(value)
            at(changed, place)["not_documented"] = {"really": "not"}
            assert not validator(name).is_valid(changed), (name, place)


def objects(value, place=()):
    """Where in a JSON value objects lie, as paths; of lists the first entry."""
    if isinstance(value, dict):
        yield place
        for key, item in value.items():
            yield from objects(item, (*place, key))
    elif isinstance(value, list) and value:
        yield from objects(value[0], (*place, 0))


def at(value, place):
    for key in place:
        value = value[key]
    return value


def test_what_doctor_says_holds_to_its_schema(tmp_path):
    check("doctor", run("doctor", "-w", tmp_path, "--json"))


def test_what_merge_says_and_writes_holds_to_its_schemas(camera_folders, tmp_path):
    for day, names in (("a", ("0001", "0002")), ("b", ("0010",))):
        for camera in ("iphone", "canon"):
            (tmp_path / day / camera).mkdir(parents=True)
            for name in names:
                source = camera_folders / camera / f"{name}.jpg"
                shutil.copy(source, tmp_path / day / camera)
        cameras = (tmp_path / day / camera for camera in ("iphone", "canon"))
        run("align", *cameras, "-w", tmp_path / f"w{day}", "--jobs", 1, "--json")
    sources, merged = (tmp_path / "wa", tmp_path / "wb"), tmp_path / "merged"
    check("merge-summary", run("merge", *sources, "-w", merged, "--json"))
    check("alignment-manifest", document(merged / "aligned" / "manifest.json"))
    check("local", document(merged / "aligned" / "local.json"))


def test_what_version_1_wrote_holds_to_the_schemas(tmp_path):
    shutil.unpack_archive(VERSION_1, tmp_path)
    for name, values in files_of(tmp_path).items():
        for value in values:
            check(name, value)


def test_reason_codes_of_the_schemas_are_those_of_the_code():
    record = SCHEMAS["alignment-record"]["properties"]["reason"]["enum"]
    assert record == [*PAIR_REASONS, None]
    windows = SCHEMAS["common"]["$defs"]["window_reasons"]["propertyNames"]["enum"]
    assert sorted(windows) == sorted(WINDOW_REASONS)


def test_a_rig_is_a_truth_file():
    check("truth", json.loads(json.dumps(asdict(Rig()))))


def test_values_that_cannot_be_are_refused():
    record = dict.fromkeys(SCHEMAS["alignment-record"]["properties"])
    record |= {"pair": "1", "status": "aligned"}
    check("alignment-record", record)
    for wrong in (
        {"status": "fine"},
        {"reason": "bad_luck"},
        {"overlap": 1.5},
        {"inliers": -1},
        {"phone_size": [100]},
        {"phone_to_dslr": [[1, 0], [0, 1]]},
        {"phone_sha256": "xyz"},
    ):
        assert not validator("alignment-record").is_valid(record | wrong), wrong

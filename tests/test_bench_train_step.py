"""The training step's benchmark: a fair opponent, the right arithmetic, all rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from plain_training import (
    TARGET,
    PlainTraining,
    arithmetic,
    random_vgg,
    write_shard,
)
from train_step import MORE_ON_GPU, Setup, lines, main, ways

from dped_build.patches.dataset import PatchDataset
from dped_build.train import TrainSettings
from dped_build.train.batches import Batches
from dped_build.train.step import new_state, train_step

COMMAND = Path(__file__).parents[1] / "bench" / "train_step.py"
CPU = torch.device("cpu")
TERA = 1e12


def settings_of(model, **changes):
    preset = {"dped": "released", "fast": "fast"}[model]
    return TrainSettings(preset=preset, batch_size=2, **changes)


def give(state, plain):
    """The plain port the state's weights, which it holds in another order."""
    ours = list(state.generator.parameters())
    for mine, own in zip(plain.generator.parameters(), ours, strict=True):
        mine.data.copy_(own)
    judge = state.discriminator
    layers = list(zip(judge.convolutions, judge.norms, strict=True))
    own = [p for layer in layers for part in layer for p in part.parameters()]
    hidden = judge.hidden.weight.view(1024, 7, 7, 128)  # rows, columns, channels
    own += [hidden.permute(0, 3, 1, 2).flatten(1), judge.hidden.bias]
    own += list(judge.logits.parameters())
    for mine, theirs in zip(plain.discriminator.parameters(), own, strict=True):
        mine.data.copy_(theirs)


@pytest.mark.parametrize(
    "model", [pytest.param("dped", marks=pytest.mark.long), "fast"]
)
def test_the_plain_port_computes_our_losses(model, tmp_path):
    """Those of the second iteration show both optimisers and the discriminator."""
    pixels = write_shard(tmp_path, count=6)
    settings, vgg = settings_of(model), random_vgg(4)
    weights = settings.loss_weights()
    state = new_state(settings, CPU)
    plain = PlainTraining(
        model,
        pixels,
        weights=weights,
        vgg=vgg,
        device=CPU,
        batch_size=2,
        seed=settings.seed,
    )
    give(state, plain)
    batches = Batches(PatchDataset(tmp_path), device=CPU)
    for rel in (1e-4, 5e-2):  # Adam's first steps are sign-like: rounding shows
        state.sums = {}
        train_step(state, batches, batch_size=2, weights=weights, vgg=vgg)
        losses = plain.step()
        names = {"loss", "color", "content", "texture", "tv"}
        assert names == set(state.sums) - {"discriminator_accuracy"}
        for name in names:
            expected = pytest.approx(float(state.sums[name]), rel=rel)
            assert float(losses[name]) == expected, name


@pytest.mark.parametrize(
    ("model", "generator", "again", "total"),
    [("dped", 1.18, 0.400, 2.88), ("fast", 0.0855, 0.0298, 1.42)],
)
def test_an_iterations_arithmetic_is_as_worked_out_by_hand(
    model, generator, again, total
):
    weights = settings_of(model).loss_weights()
    parts = arithmetic(model, weights=weights, vgg=random_vgg(64), batch_size=50)
    expected = {
        "generator": generator,
        "VGG of the output": 0.82,
        TARGET: 0.41,
        "generator for the discriminator": again,
        "discriminator": 0.07,
    }
    for name, value in expected.items():
        assert parts[name] / TERA == pytest.approx(value, rel=0.02), name
    assert sum(parts.values()) / TERA == pytest.approx(total, rel=0.02)
    without = arithmetic(model, weights={"mse": 1.0}, vgg=None, batch_size=50)
    assert without == {"generator": parts["generator"]}


def bench(*options):
    command = [sys.executable, COMMAND, "--device", "cpu", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def setup_for(model, *, vgg, device="cpu", **changes):
    settings = settings_of(model, device=device, **changes)
    return Setup(settings, torch.device(device), vgg, Path(), ())


def test_every_measure_has_its_row_and_the_defaults_are_named(monkeypatch):
    # Found out by compiling something, which tests of the acceleration do.
    here = "dped_build.train.acceleration.can_compile"
    monkeypatch.setattr(here, lambda device: True)
    names = [way.name for way, _ in ways(setup_for("dped", vgg=random_vgg(2)))]
    assert names == [
        "plain fp32",
        "eager fp32 (default)",
        "eager bf16",
        "compiled fp32",
        "compiled bf16",
        "compiled fp32, kept features",
        "eager fp32, unfused optimisers",
        "eager fp32, NHWC",
    ]
    changed = setup_for("dped", vgg=None, loss="mse", precision="bf16", compile="on")
    names = [way.name for way, _ in ways(changed)]
    assert names[-3:] == [
        "compiled bf16 (default)",
        "compiled bf16, unfused optimisers",
        "compiled bf16, NHWC",
    ]


def test_on_a_gpu_the_defaults_are_every_measure_at_once(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    here = "dped_build.train.acceleration.can_compile"
    monkeypatch.setattr(here, lambda device: True)
    rows = [way for way, _ in ways(setup_for("fast", vgg=random_vgg(2), device="cuda"))]
    assert [(way.name, way.number, way.kept) for way in rows] == [
        ("plain fp32", "tf32", False),
        ("plain fp32, no TF32", "fp32", False),
        ("eager fp32", "fp32", False),
        ("eager bf16", "bf16", False),
        ("compiled fp32", "fp32", False),
        ("compiled bf16", "bf16", False),
        ("compiled bf16, kept features (default)", "bf16", True),
        *(
            (f"compiled bf16, kept features, {more}", "bf16", True)
            for more in MORE_ON_GPU
        ),
    ]


@pytest.mark.long
def test_the_figures_of_a_run_agree_with_each_other():
    tiny = ("--model", "fast", "--batch-size", "1", "--vgg-width", "1", "--rounds", "1")
    chosen = ("--ways", "eager fp32", "--without", "NHWC,unfused")
    ran = bench(*tiny, *chosen, "--iterations", "2", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    plain, ours = found["ways"]
    assert [plain["way"], ours["way"]] == ["plain fp32", "eager fp32 (default)"]
    assert plain["against_plain"] == 1
    assert ours["against_plain"] == pytest.approx(plain["ms"] / ours["ms"])
    limit_s = sum(found["flop"].values()) / found["flop_per_s"]["fp32"]
    for way in (plain, ours):
        assert way["limit_ms"] == pytest.approx(1000 * limit_s)
        assert way["of_limit"] == pytest.approx(way["limit_ms"] / way["ms"])
        assert 0 < way["of_limit"] < 1
        assert way["minutes"] == pytest.approx(40_000 * way["ms"] / 60_000)
        assert way["least_ms"] <= way["ms"] <= way["most_ms"]
        assert way["peak_mb"] > 0
        assert way["warm_up_s"] > 0
    text = "\n".join(lines(found)).splitlines()
    assert "40,000 iterations, min" in text[4]
    assert [line.split(" | ")[0] for line in text[6:8]] == [
        "| plain fp32",
        "| eager fp32 (default)",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vgg", "no.pth"), "train_step: --vgg no.pth: no such file"),
        (
            ("--loss", "colour"),
            "train_step: --loss colour: colour: did you mean color?",
        ),
        (("--rounds", "0"), "argument --rounds: invalid positive value: '0'"),
    ],
)
def test_a_wrong_option_is_named(options, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_step.py", "--device", "cpu", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert said in f"{ended.value.code}{capsys.readouterr().err}"

"""Settings are complete once made, and refused where they cannot be meant."""

import math
import subprocess
import sys

import pytest

from dped_build.train import TrainSettings
from dped_build.workspace.errors import UsageError


def test_presets_fill_in_what_is_not_given():
    assert TrainSettings().iterations == 20_000
    assert TrainSettings().loss_weights() == {
        "color": 0.5,
        "content": 10.0,
        "texture": 1.0,
        "tv": 2000.0,
    }
    paper = TrainSettings(preset="paper", content_weight=2, loss="texture + content")
    assert paper.loss_weights() == {"content": 2.0, "texture": 0.4, "tv": 400.0}
    assert TrainSettings(loss="mse").loss_weights() == {"mse": 7500.0}
    assert TrainSettings(loss="content").loss_weights() == {"content": 10.0}


@pytest.mark.parametrize(
    "preset, model, loss, iterations, batch_size, log_every",
    [
        ("released", "dped", "color+content+texture", 20_000, 50, 1000),
        ("paper", "dped", "color+content+texture", 20_000, 50, 1000),
        ("johnson", "johnson", "content", 20_000, 50, 1000),
        ("srcnn", "srcnn", "mse", 20_000, 50, 1000),
        ("fast", "fast", "color+content+texture", 40_000, 50, 1000),
        ("reproduction", "dped", "color+content+texture", 1000, 32, 200),
    ],
)
def test_a_preset_stands_for_a_published_run(
    preset, model, loss, iterations, batch_size, log_every
):
    settings = TrainSettings(preset=preset)
    assert (settings.model, settings.loss) == (model, loss)
    assert (settings.iterations, settings.batch_size) == (iterations, batch_size)
    assert settings.log_every == log_every
    assert settings.pretrain_discriminator == (1000 if preset == "paper" else 0)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"loss": "color+sharpness"}, "color, content, texture or mse"),
        ({"loss": "color+color"}, "at most once"),
        ({"loss": "mse, texture"}, r"join terms by \+: mse\+texture"),
        ({"loss": "mse+texure"}, r"texure: did you mean texture\?"),
        ({"loss": ""}, "color, content, texture or mse"),
        ({"preset": "best"}, "released, paper, johnson"),
        ({"model": "unet"}, "dped"),
        ({"iterations": 0}, "--iterations must be 1"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"learning_rate": math.nan}, "--learning-rate"),
        ({"learning_rate": math.inf}, "--learning-rate"),
        ({"tv_weight": -1.0}, "--tv-weight must be 0 or more"),
        ({"content_weight": math.nan}, "--content-weight must be 0 or more"),
        ({"mse_weight": math.inf}, "--mse-weight must be 0 or more"),
        ({"precision": "fp16"}, "--precision fp16: choose auto, fp32 or bf16"),
        ({"compile": "maybe"}, "--compile maybe: choose auto, on or off"),
        ({"cache_features": "yes"}, "--cache-features yes: choose auto, on or off"),
        ({"ema": 1.0}, "--ema must be below 1"),
        ({"ema": -0.1}, "--ema must be 0 or more"),
        ({"clip_gradient": math.inf}, "--clip-gradient must be 0 or more"),
        ({"pretrain_discriminator": -1}, "--pretrain-discriminator must be 0 or more"),
        ({"seed": -1}, "--seed must be from 0"),
        ({"seed": 2**64}, "--seed must be from 0"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
        ({"device": "cuda:first"}, "auto, cpu or cuda"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(options, told):
    with pytest.raises(UsageError, match=told):
        TrainSettings(**options)


def test_reading_the_defaults_needs_no_torch():
    program = (
        "import sys; from dped_build.train.settings import TrainSettings; "
        "TrainSettings.seed; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""How close the trainer is to the original TensorFlow code, figure by figure.

    python bench/fidelity.py DATA             # everything, some minutes on a CPU
    python bench/fidelity.py DATA --quick     # without the 400 real patches

DATA holds `oracle/`, what the original code gave, and `dped/`, the released checkpoints
and real patches (see `reference.py`). Needs the extra `tensorflow`, which reads the
checkpoints. Prints Markdown; exits 1 where a figure is beyond its tolerance.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from processes import DPED_BUILD, run
from reference import (
    CAMERAS,
    LOSS_BATCHES,
    first_state,
    loss_batch,
    read_rgb,
    real_patches,
    released_generator,
    replay,
    step_weights,
    thin_vgg,
    to_images,
)
from tables import machine, table
from torch import Tensor, nn

from dped_build.exchange.tensorflow_checkpoint import discriminator_state
from dped_build.train.discriminator import Discriminator
from dped_build.train.evaluating.scores import BATCH, measure, summarize
from dped_build.train.losses import blur, color_loss, content_loss, mse_loss
from dped_build.train.losses import total_variation_loss as tv_loss
from dped_build.train.metrics import ms_ssim, psnr
from dped_build.workspace.errors import DpedBuildError

FAST = "iphone_convdeconv16_iteration_40000.ckpt"
# folder of the reference output, checkpoint, photo, output
OUTPUTS = {
    "DPED, iphone": ("generator", "iphone_orig", "china", "china_iphone"),
    "DPED, blackberry": (
        "generator",
        "blackberry_orig",
        "coffee",
        "coffee_blackberry",
    ),
    "fast, iphone": ("fast_generator", FAST, "china", "china_fpie_iphone"),
}
# checkpoint and its name among the original's figures on the 400 patches
EVALUATED = {
    "phone unchanged": (None, "phone"),
    "DPED, iphone": ("iphone_orig", "dped_iphone"),
    "DPED, blackberry": ("blackberry_orig", "dped_blackberry"),
    "DPED, sony": ("sony_orig", "dped_sony"),
    "fast, iphone": (FAST, "eds_iphone"),
}
FIGURES = {  # ours, the original's name for it, and the tolerance
    "psnr_training": (
        "psnr_train_protocol(batch50, unclipped, mean of batch psnr)",
        0.02,
    ),
    "psnr_pirm": ("psnr_pirm_protocol(per image, clipped)", 0.02),
    "ms_ssim_batch": ("msssim_train_protocol(batch50 mean first)", 5e-4),
    "ms_ssim_image": ("msssim_pirm_protocol(per image)", 5e-4),
}
PATCHES = 400
TILE = 64  # px
NO_GRADIENT = 1e-3  # biases that a norm takes away have no larger one: rounding
STEP_LOSSES = {  # ours and the original's name
    "loss": "generator",
    **{term: term for term in ("content", "color", "texture", "tv")},
}
STEP_TOLERANCES = (1e-5, 2e-3)  # Adam's first step is all sign and widens rounding


@dataclass(frozen=True)
class Row:
    """One check: the measured figure must not exceed the tolerance."""

    check: str
    unit: str  # what the two figures count
    tolerance: float
    measured: float

    @property
    def holds(self) -> bool:
        """Whether it does not; a NaN does."""
        return self.measured <= self.tolerance


@torch.inference_mode()
def network_rows(data: Path) -> Iterator[Row]:
    """Outputs of the released generators before clipping, and given weights' logits."""
    for name, (folder, checkpoint, photo, output) in OUTPUTS.items():
        inputs = read_rgb(data / "oracle" / folder / f"{photo}.png")
        enhanced = released_generator(data, checkpoint)(to_images(inputs[None]))
        expected = to_images(np.load(data / "oracle" / folder / f"{output}.npy")[None])
        error = float((enhanced - expected).abs().max())
        size = f"{inputs.shape[1]}x{inputs.shape[0]} px"
        yield Row(f"{name}: output, {size}", "max abs", 1e-4, error)
    folder_of_it = data / "oracle" / "discriminator"
    discriminator = Discriminator()
    weights = discriminator_state(np.load(folder_of_it / "disc_weights.npz"))
    discriminator.load_state_dict(weights)
    reference = np.load(folder_of_it / "disc_ref.npz")
    logits = discriminator(to_images(reference["input_rgb_uint8"]))
    error = float((logits - torch.from_numpy(reference["logits"])).abs().max())
    yield Row("discriminator: logits", "max abs", 1e-4, error)


def photo_rows(data: Path) -> Iterator[Row]:
    """PNGs that `import` and `enhance` write, whole and with `--tile`."""
    for name, (folder, checkpoint, photo, output) in OUTPUTS.items():
        expected = np.load(data / "oracle" / folder / f"{output}.npy")
        levels = np.rint(255 * np.clip(expected.astype(np.float64), 0, 1))
        path = data / "oracle" / folder / f"{photo}.png"
        with tempfile.TemporaryDirectory() as made:
            model = Path(made) / "generator.pt"
            source = data / "dped" / "models_orig" / checkpoint
            run([DPED_BUILD, "import", source, "--out", model])
            for option in ((), ("--tile", str(TILE))):
                command = [DPED_BUILD, "enhance", model, path, "--out", made]
                run([*command, "--device", "cpu", *option])
                stored = read_rgb(Path(made) / f"{photo}-enhanced.png").astype(float)
                error = float(np.abs(stored - levels).max())
                way = " ".join(("PNG by enhance", *option))
                yield Row(f"{name}: {way}", "levels of 255", 1, error)


@torch.inference_mode()
def loss_rows(data: Path) -> Iterator[Row]:
    """Losses and metrics of fixed batches, the worst of three batches."""
    vgg, worst = thin_vgg(data), dict[str, float]()
    for name in LOSS_BATCHES:
        images, expected = loss_batch(data, name)
        pair = images["enhanced"], images["target"]
        found = {
            "content": content_loss(*pair, vgg),
            "color": color_loss(*pair),
            "tv": tv_loss(pair[0]),
            "mse": mse_loss(*pair),
            "psnr": psnr(*pair, per_batch=True),
        }
        errors = {n: abs(float(v) / expected[n] - 1) for n, v in found.items()}
        blurred = (blur(pair[0]) - images["blur"]).abs().max() / images["blur"].max()
        errors["blur"] = float(blurred)
        per_batch = float(ms_ssim(*pair, per_batch=True)) - expected["ms_ssim_batch"]
        per_image = ms_ssim(*pair).numpy() - expected["ms_ssim_per_image"]
        errors["MS-SSIM, batch"] = abs(per_batch)
        errors["MS-SSIM, image"] = float(np.abs(per_image).max())
        worst = {n: max(error, worst.get(n, 0)) for n, error in errors.items()}
    for name, error in worst.items():
        similarity = name.startswith("MS-SSIM")
        unit, tolerance = ("abs", 1e-6) if similarity else ("relative", 1e-5)
        yield Row(name, unit, tolerance, error)


def step_rows(data: Path) -> Iterator[Row]:
    """Six iterations of training: losses, first gradients, judgements, last weights."""
    state = first_state(data)
    gradients = step_weights(data, "grads_gen_step0")
    kept = [
        name for name, of_it in gradients.items() if of_it.abs().max() > NO_GRADIENT
    ]
    wrong = 0.0
    for number, expected in enumerate(replay(data, state)):
        if number < len(STEP_TOLERANCES):
            error = max(
                abs(float(state.sums[term]) / expected[f"loss_{theirs}"] - 1)
                for term, theirs in STEP_LOSSES.items()
            )
            what = f"training step {number}: sum, content, color, texture, tv"
            yield Row(what, "relative", STEP_TOLERANCES[number], error)
        if number == 0:
            found = {n: p.grad for n, p in state.generator.named_parameters()}
            error = max(_relative(found[name], gradients[name]) for name in kept)
            yield Row("training step 0: gradients", "of layer's largest", 1e-3, error)
        wrong += abs(float(state.sums["discriminator_accuracy"]) - expected["disc_acc"])
    yield Row("steps 0-5: discriminator right", "sum of abs", 0, wrong)
    weights = state.generator.state_dict()
    first, last = (step_weights(data, which) for which in ("gen_init", "gen_final"))
    error = max(
        float((weights[n] - last[n]).norm() / (last[n] - first[n]).norm()) for n in kept
    )
    yield Row("weights after step 5", "of layer's movement", 0.1, error)


@torch.inference_mode()
def evaluation_rows(data: Path) -> Iterator[Row]:
    """The released models on the 400 real patches, in both protocols."""
    stored = json.loads((data / "oracle" / "losses" / "eval400.json").read_text())
    for name, (checkpoint, theirs) in EVALUATED.items():
        model = released_generator(data, checkpoint) if checkpoint else nn.Identity()
        found = summarize(torch.cat(list(_measured(data, model))))
        for figure, (key, tolerance) in FIGURES.items():
            value, expected = found[figure], stored[theirs][key]
            both_infinite = value is None and math.isinf(expected)
            error = 0.0 if both_infinite else abs((value or math.inf) - expected)
            unit = "dB" if figure.startswith("psnr") else "abs"
            yield Row(f"400 patches, {name}: {figure}", unit, tolerance, error)


def _measured(data: Path, model: nn.Module) -> Iterator[Tensor]:
    for start in range(0, PATCHES, BATCH):
        numbers = range(start, start + BATCH)
        phone, dslr = (real_patches(data, camera, numbers) for camera in CAMERAS)
        yield measure(model(phone), dslr)


def _relative(found: Tensor | None, expected: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    if found is None:
        return math.inf
    return float((found - expected).abs().max() / expected.abs().max())


CHECKS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "networks": network_rows,
    "photos": photo_rows,
    "losses": loss_rows,
    "steps": step_rows,
    "evaluation": evaluation_rows,
}


def report(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    cells = [
        [
            row.check,
            row.unit,
            f"{row.tolerance:g}",
            f"{row.measured:.2g}",
            "yes" if row.holds else "**no**",
        ]
        for row in rows
    ]
    return table(
        ("against the original code", "in", "allowed", "found", "holds"), cells
    )


def main() -> None:
    """Measure and print."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("data", type=Path, help="folder with oracle/ and dped/")
    made.add_argument("--quick", action="store_true", help="not the 400 patches")
    options = made.parse_args()
    if not (options.data / "oracle").is_dir():
        sys.exit(f"fidelity: {options.data} holds no oracle/: name the reference data")
    names = [name for name in CHECKS if not (options.quick and name == "evaluation")]
    try:
        rows = [row for name in names for row in CHECKS[name](options.data)]
    except DpedBuildError as error:
        sys.exit(f"fidelity: {error}")
    print(machine(), report(rows), sep="\n\n")
    if not all(row.holds for row in rows):
        sys.exit("fidelity: not every figure is within its tolerance")


if __name__ == "__main__":
    main()

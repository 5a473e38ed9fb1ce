"""The commands around a model: `train`, `evaluate`, `enhance` and `import`."""

import json
from pathlib import Path
from typing import Any

import click

from dped_build.align.console import (
    FOLDER,
    json_option,
    quote,
    settings_options,
    where,
    workspace_option,
)
from dped_build.align.errors import DpedBuildError
from dped_build.train.presets import PRESETS
from dped_build.train.settings import TrainSettings

device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu or cuda."
)


@click.command()
@click.argument("patches", nargs=-1, type=FOLDER)
@click.option("--out", type=FOLDER, help="Run folder.  [default: runs/PRESET-MODEL]")
@settings_options(
    TrainSettings,
    {
        "preset": (click.Choice(list(PRESETS)), "Settings of a publication."),
        "model": (str, "dped, fast, johnson or srcnn.  [default: the preset's]"),
        "channels": (int, "Width of the network.  [default: as published]"),
        "blocks": (int, "Residual blocks.  [default: as published]"),
        "kernel": (int, "Kernel of the residual blocks.  [default: as published]"),
        "strided_kernel": (int, "Of the fast network.  [default: as published]"),
        "prelu": (bool, "Learned slopes instead of ReLU."),
        "loss": (str, "Sum of color, content, texture, mse.  [default: the preset's]"),
        "color_weight": (float, "Weight of the colour loss."),
        "content_weight": (float, "Weight of the VGG loss."),
        "texture_weight": (float, "Weight of the adversarial loss."),
        "tv_weight": (float, "Weight of the total variation."),
        "mse_weight": (float, "Weight of the squared error."),
        "vgg": (FOLDER, "VGG-19 weights: vgg19-dcbb9e9d.pth or the MatConvNet .mat."),
        "iterations": (int, "Training steps.  [default: the preset's]"),
        "batch_size": (int, "Patches per step.  [default: the preset's]"),
        "learning_rate": (float, "Of Adam.  [default: the preset's]"),
        "device": (str, "auto, cpu or cuda."),
        "seed": (int, "Of weights and batches."),
        "checkpoint_every": (int, "Iterations between checkpoints."),
        "log_every": (int, "Iterations between evaluations on val."),
    },
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished run.")
@json_option
@workspace_option
def train(
    patches: tuple[Path, ...],
    *,
    workspace: Path,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Train a photo enhancer on PATCHES (default: those of the workspace).

    The content loss needs VGG-19 weights (--vgg FILE); --loss mse+texture needs none.
    Ctrl-C saves; --resume goes on, to the same weights as without the interruption.

    \b
    Examples:
      dped-build train --vgg vgg19-dcbb9e9d.pth
      dped-build train --loss mse+texture --model fast --iterations 2000 --batch-size 16
    """
    from dped_build.train import train as run_training

    settings = TrainSettings(**options)
    folders = patches or (workspace / "patches",)
    run_dir = out or workspace / "runs" / f"{settings.preset}-{settings.model}"
    result = run_training(
        folders, run_dir, settings, resume=resume, progress=not as_json
    )
    last = result.metrics[-1] if result.metrics else {}
    if as_json:
        summary = {"run": str(run_dir), "iteration": result.iteration, "metrics": last}
        click.echo(json.dumps(summary, indent=1))
        return
    click.echo(f"{result.iteration} iterations done")
    following = f"dped-build evaluate {quote(run_dir)}{where(workspace)}"
    click.echo(f"→ {run_dir}  (next: {following})")


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("patches", nargs=-1, type=FOLDER)
@device_option
@json_option
@workspace_option
def evaluate(
    model: Path,
    patches: tuple[Path, ...],
    *,
    workspace: Path,
    device: str,
    as_json: bool,
) -> None:
    """Hold MODEL (a run folder or generator.pt) against the test patches.

    Prints PSNR, SSIM and MS-SSIM of the phone's patches as they are and enhanced.

    \b
    Example:
      dped-build evaluate data/runs/released-dped
    """
    from dped_build.train import load_generator
    from dped_build.train.evaluation import evaluate as run_evaluation

    folders = patches or (workspace / "patches",)
    result = run_evaluation(load_generator(model), folders, device=device)
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    click.echo(f"{result['n']} test patches of {len(result['photos'])} photos")
    click.echo(f"  {'':16s} {'phone':>9s} {'enhanced':>9s}")
    for name in result["input"]:
        values = (_figure(result[side][name]) for side in ("input", "output"))
        click.echo("  {:16s} {:>9s} {:>9s}".format(name, *values))


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("photos", nargs=-1, required=True, type=FOLDER, metavar="PHOTO...")
@click.option("--out", type=FOLDER, help="Folder.  [default: beside each photo]")
@click.option(
    "--tile",
    type=click.IntRange(min=16),
    help="Bound memory: about N x N px at a time.  [default: 1024 above 4 megapixels]",
)
@device_option
def enhance(
    model: Path,
    photos: tuple[Path, ...],
    *,
    out: Path | None,
    tile: int | None,
    device: str,
) -> None:
    """Run MODEL (a run folder or generator.pt) over whole photos of any size.

    Writes <stem>-enhanced.png. With --tile memory stays bounded; the result is that of
    the whole photo to one level of 255. On a CPU large photos are tiled by themselves.

    \b
    Example:
      dped-build enhance data/runs/released-dped IMG_0001.jpg
    """
    from dped_build.train.enhancement import enhance_files

    result = enhance_files(model, photos, out=out, tile=tile, device=device)
    for path in result.written:
        click.echo(f"→ {path}")
    for message in result.failed.values():
        click.echo(f"failed: {message}", err=True)
    if not result.written:
        raise DpedBuildError("no photo was enhanced")


@click.command("import")
@click.argument("source", type=FOLDER)
@click.option("--out", type=FOLDER, help="The .pt file.  [default: SOURCE's name]")
def import_(source: Path, *, out: Path | None) -> None:
    """Turn SOURCE, a TensorFlow checkpoint of the original code, into a generator.pt.

    SOURCE is the checkpoint's prefix: models_orig/iphone_orig, not itself a file.
    Needs the extra `tensorflow`; the result does not.

    \b
    Example:
      dped-build import models_orig/iphone_orig --out iphone.pt
    """
    from dped_build.train.importing import import_checkpoint

    click.echo(f"→ {import_checkpoint(source, out or Path(source.name + '.pt'))}")


def _figure(value: float | None) -> str:
    return "inf" if value is None else f"{value:.4f}"

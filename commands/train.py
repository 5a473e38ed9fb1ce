"""The command `dped-build train`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dped_build.commands.console import echo_json, json_option, settings_options
from dped_build.commands.workspaces import (
    FOLDER,
    patches_argument,
    where,
    workspace_option,
)
from dped_build.train.presets import PRESETS
from dped_build.train.run_files import CHECKPOINT, CONFIG, GENERATOR
from dped_build.train.settings import CHOICES, TrainSettings
from dped_build.workspace.errors import Interrupted, UsageError
from dped_build.workspace.stage import SUMS
from dped_build.workspace.text import quote, size_text


@click.command()
@patches_argument
@click.option(
    "--out",
    type=FOLDER,
    help="Run folder.  [default: runs/PRESET-MODEL; runs/fast if equal]",
)
@settings_options(
    TrainSettings,
    {
        "preset": (click.Choice(list(PRESETS)), "Published settings to start from."),
        "model": "Network: dped, fast, johnson or srcnn.  [default: the preset's]",
        "channels": "Channels of the network.  [default: as published]",
        "blocks": "Number of residual blocks.  [default: as published]",
        "kernel": "Kernel size of the residual blocks.  [default: as published]",
        "strided_kernel": "Kernel size of the strided layers.  [default: as published]",
        "prelu": "Use PReLU instead of ReLU.",
        "loss": "color, content, texture, mse, joined by +.  [default: the preset's]",
        "color_weight": "Weight of the colour loss.",
        "content_weight": "Weight of the content (VGG) loss.",
        "texture_weight": "Weight of the texture (adversarial) loss.",
        "tv_weight": "Weight of the total variation.",
        "mse_weight": "Weight of the squared error.",
        "masks": "Use partly valid patches, too; only valid pixels count.",
        "vgg": (
            FOLDER,
            "Weights of VGG-19 or VGG-16: torchvision's .pth or MatConvNet's .mat.",
        ),
        "iterations": "Training steps.  [default: the preset's]",
        "batch_size": "Patches per step.  [default: the preset's]",
        "learning_rate": "Learning rate of Adam.  [default: the preset's]",
        "pretrain_discriminator": "Discriminator steps before the training.  "
        "[default: the preset's]",
        "clip_gradient": "Largest gradient norm; 0: no limit.",
        "ema": "Decay of averaged weights, such as 0.999; 0: none.",
        "device": "Device: auto, cpu or cuda.",
        "precision": (
            click.Choice(CHOICES["precision"]),
            "Precision of the networks (losses: fp32). auto: bf16 on a capable GPU.",
        ),
        "compile": (
            click.Choice(CHOICES["compile"]),
            "Compile the networks (about a minute). auto: on a GPU.",
        ),
        "cache_features": (
            click.Choice(CHOICES["cache_features"]),
            "Cache the targets' VGG features. auto: on a GPU, if they fit.",
        ),
        "deterministic": "Repeat exactly on a GPU, too; slower.",
        "seed": "Random seed.",
        "checkpoint_every": "Iterations between checkpoints.",
        "log_every": "Iterations between evaluations on val.  [default: the preset's]",
    },
)
@click.option("--resume", is_flag=True, help="Resume an unfinished run.")
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
    """Train a photo enhancer on patches.

    PATCHES are folders of shards or workspaces (default: --workspace). The content loss
    needs the weights of VGG-19, or of VGG-16 (--vgg FILE); --loss mse+texture needs
    none. Ctrl-C saves the run; --resume continues it to the same weights as an
    uninterrupted run. With --resume, options not given (except --vgg) are those of the
    run; without --out, the run is the only unfinished one of the workspace.

    \b
    Examples:
      dped-build train --vgg vgg19-dcbb9e9d.pth
      dped-build train --loss mse+texture --model fast --iterations 2000 --batch-size 16
    """
    from dped_build.train import train as run_training
    from dped_build.train.ranks import is_leader
    from dped_build.train.run_folder import recorded_settings

    settings = TrainSettings(**options)
    folders = patches or (workspace / "patches",)
    run_dir = out or workspace / "runs" / _name(settings)
    if resume:
        if out is None and not {"preset", "model"} & set(_typed(options)):
            run_dir = _resumable(run_dir)
        settings = TrainSettings(
            **(options | recorded_settings(run_dir) | _typed(options))
        )
    named = "".join(f" {quote(folder)}" for folder in patches) or where(workspace)
    try:
        result = run_training(
            folders, run_dir, settings, resume=resume, progress=not as_json
        )
    except Interrupted as error:
        weights = f" --vgg {quote(Path(options['vgg']))}" if options["vgg"] else ""
        again = f"dped-build train{named} --out {quote(run_dir)}{weights} --resume"
        raise Interrupted(f"{error} The command: {again}") from error
    if not is_leader():
        return
    last = result.metrics[-1] if result.metrics else {}
    if as_json:
        summary = {"run": str(run_dir), "iteration": result.iteration, "metrics": last}
        echo_json(summary)
        return
    click.echo(f"{result.iteration} iterations done")
    sizes = [
        size_text((run_dir / name).stat().st_size) for name in (GENERATOR, CHECKPOINT)
    ]
    click.echo(f"  {GENERATOR} {sizes[0]}; {CHECKPOINT} {sizes[1]}, for --resume only")
    click.echo(f"→ {run_dir}  (next: dped-build evaluate {quote(run_dir)}{named})")


def _name(settings: TrainSettings) -> str:
    """A run's folder by default: preset and network, once where they are equal."""
    return "-".join(dict.fromkeys((settings.preset, settings.model)))


def _resumable(usual: Path) -> Path:
    """The only unfinished run beside `usual`; where all are finished, it or the only.

    Raises:
        UsageError: There are several, or no run at all.
    """
    found = sorted(path.parent for path in usual.parent.glob(f"*/{CONFIG}"))
    if not found:
        raise UsageError(f"no run in {usual.parent} to resume: train without --resume")
    left = [run for run in found if not (run / SUMS).exists()]
    if not left and usual in found:
        return usual
    if len(left or found) > 1:
        told = ", ".join(quote(run) for run in left or found)
        kind = "unfinished" if left else "finished"
        raise UsageError(f"several {kind} runs: add --out with one of {told}")
    return (left or found)[0]


def _typed(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave, without defaults."""
    source = click.get_current_context().get_parameter_source
    unsaid = ParameterSource.DEFAULT
    return {name: value for name, value in options.items() if source(name) != unsaid}

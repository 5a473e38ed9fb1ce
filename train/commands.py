"""The commands around a model: `train`, `evaluate`, `enhance` and `import`."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dped_build.align.console import (
    FOLDER,
    Progress,
    announce,
    json_option,
    quote,
    settings_options,
    start_no_blas_threads,
    where,
    workspace_option,
)
from dped_build.align.errors import DpedBuildError, UsageError
from dped_build.patches.import_settings import ImportSettings
from dped_build.patches.settings import COMPRESSIONS
from dped_build.patches.split import SPLITS
from dped_build.train.enhance_settings import FORMATS, EnhanceSettings
from dped_build.train.presets import PRESETS
from dped_build.train.settings import CHOICES, TrainSettings

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
        "pretrain_discriminator": (
            int,
            "Steps of the discriminator beforehand.  [default: the preset's]",
        ),
        "clip_gradient": (float, "Largest norm of a gradient; 0: any."),
        "ema": (float, "Keep averaged weights, with this decay (0.999); 0: the last."),
        "device": (str, "auto, cpu or cuda."),
        "precision": (
            click.Choice(CHOICES["precision"]),
            "Of the networks; losses are fp32. auto: bf16 on a GPU that has it.",
        ),
        "compile": (
            click.Choice(CHOICES["compile"]),
            "Compile the networks, which takes a minute. auto: on a GPU.",
        ),
        "cache_features": (
            click.Choice(CHOICES["cache_features"]),
            "Compute the targets' VGG features once. auto: on a GPU, if they fit.",
        ),
        "deterministic": (bool, "On a GPU, too, only what repeats exactly; slower."),
        "seed": (int, "Of weights and batches."),
        "checkpoint_every": (int, "Iterations between checkpoints."),
        "log_every": (
            int,
            "Iterations between evaluations on val.  [default: the preset's]",
        ),
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
@click.option(
    "--compare",
    multiple=True,
    metavar="NAME=DIR",
    help="Another tool's outputs beside ours; may be given several times.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="test",
    show_default=True,
    help="Patches of which photos.",
)
@click.option("--photos", "by_photo", is_flag=True, help="A line a photo as well.")
@device_option
@json_option
@workspace_option
def evaluate(
    model: Path,
    patches: tuple[Path, ...],
    *,
    workspace: Path,
    compare: tuple[str, ...],
    split: str,
    by_photo: bool,
    device: str,
    as_json: bool,
) -> None:
    """Hold MODEL (a run folder or generator.pt) against the test patches.

    Prints PSNR, SSIM and MS-SSIM of the phone's patches as they are and enhanced.

    --compare judges what another tool made of the same photos. DIR holds whole photos
    of the phone photos' size, named like the pairs (0001.jpg, 0001-enhanced.png), or
    one image a patch in natural order; with several PATCHES, folders 1, 2 and so on
    that do. What one tool lacks counts for none, so that the columns stay comparable.

    \b
    Examples:
      dped-build evaluate data/runs/released-dped
      dped-build evaluate data/runs/released-dped --compare apple=edited/ --photos
    """
    from dped_build.train import load_generator
    from dped_build.train.comparison import parse_comparisons
    from dped_build.train.evaluation import evaluate as run_evaluation
    from dped_build.train.evaluation_table import overall_table, photo_table

    others, problems = parse_comparisons(compare), list[str]()
    with Progress("patches", quiet=as_json) as progress:
        result = run_evaluation(
            load_generator(model),
            patches or (workspace / "patches",),
            split=split,
            device=device,
            compare=others,
            progress=progress,
            tell=problems.append,
        )
    for problem in problems:
        click.echo(problem, err=True)
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    click.echo(f"{result['n']} {split} patches of {len(result['photos'])} photos")
    tables = [overall_table(result), *([photo_table(result)] if by_photo else [])]
    click.echo("\n\n".join(tables))


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("photos", nargs=-1, required=True, type=FOLDER, metavar="PHOTO...")
@click.option("--out", type=FOLDER, help="Folder.  [default: beside each photo]")
@settings_options(
    EnhanceSettings,
    {
        "recursive": (bool, "Take the photos below the folders as well."),
        "skip_existing": (bool, "Leave out photos whose result is there."),
        "format": (click.Choice(FORMATS), "png16: 16 bits a channel; jpg: 4:4:4."),
        "quality": (click.IntRange(1, 100), "Of JPEG."),
        "keep_metadata": (bool, "Keep all EXIF data, also position, names, serials."),
        "tile": (
            click.IntRange(min=16),
            "Bound memory: about N x N px at a time.  [default: 1024 above 4 "
            "megapixels, on a CPU]",
        ),
        "device": (str, "auto, cpu or cuda."),
        "max_megapixels": (float, "Larger photos are refused by their header."),
    },
)
@json_option
def enhance(
    model: Path,
    photos: tuple[Path, ...],
    *,
    out: Path | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run MODEL (a run folder or generator.pt) over whole photos of any size.

    PHOTO is a photo or a folder of photos. Writes <stem>-enhanced.png (.jpg) and
    replaces what an earlier run wrote there; --skip-existing goes on instead, after an
    interruption or with new photos. *-enhanced files are never enhanced again.

    Results are sRGB and upright and keep the EXIF data that viewers show: time, camera,
    lens, exposure. With --tile memory stays bounded; the result is that of the whole
    photo to one level of 255.

    \b
    Examples:
      dped-build enhance data/runs/released-dped IMG_0001.jpg
      dped-build enhance generator.pt holiday/ --out enhanced --format jpg
    """
    from dped_build.train.enhancement import enhance_files, summary

    settings = EnhanceSettings(**options)
    with Progress("photos", quiet=as_json) as progress:
        result = enhance_files(
            model, photos, out=out, settings=settings, progress=progress
        )
    if as_json:
        click.echo(json.dumps(asdict(result), indent=1, default=str))
    else:
        for message in result.notes.values():
            click.echo(f"note: {message}", err=True)
        for message in result.failed.values():
            click.echo(f"failed: {message}", err=True)
        click.echo("\n".join(summary(result)))
    if not result.written and not result.skipped:
        why = "; rename *-enhanced files to enhance them again"
        raise DpedBuildError(
            f"no photo was enhanced{why if result.passed_over else ''}"
        )


@click.command("import")
@click.argument("source", type=FOLDER)
@click.option(
    "--out",
    type=FOLDER,
    help="The folder or .pt file.  [default: NAME-patches or NAME.pt, here]",
)
@settings_options(
    ImportSettings,
    {
        "phone": (str, "Name of the phone's folder.  [default: the other one]"),
        "dslr": (str, "Name of the DSLR's folder.  [default: canon, dslr, gt, high…]"),
        "split": (
            click.Choice(SPLITS),
            "Of paired folders: put everything into one split.",
        ),
        "test_photos": (
            int,
            "Of paired folders: groups of 50 patches for test.  [default: 10 %]",
        ),
        "val_photos": (int, "Likewise for val.  [default: 5 %]"),
        "split_seed": (int, "Draws another split."),
        "compress": (click.Choice(COMPRESSIONS), "Compression of the pixels."),
    },
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Worker processes.  [default: all cores]",
)
@click.option("--force", is_flag=True, help="Replace what another source has made.")
@json_option
def import_(
    source: Path,
    *,
    out: Path | None,
    jobs: int | None,
    force: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Turn SOURCE, which others made, into patch shards or a generator.pt.

    \b
    SOURCE is one of
      a folder that holds training_data/ and test_data/, as DPED comes;
      a folder with two folders of equally named patches, such as iphone/ and canon/;
      a TensorFlow checkpoint of the original code, named without its suffix.

    Patches keep their pixels and, from DPED's folders, their split. Which photo each is
    from is unknown: 50 neighbours count as one. The checkpoint needs the extra
    `tensorflow`; the generator.pt does not.

    \b
    Examples:
      dped-build import dped/iphone --out data/patches
      dped-build import models_orig/iphone_orig --out iphone.pt
    """
    from dped_build.train.importing import import_checkpoint, is_checkpoint

    settings = ImportSettings(**options)
    if is_checkpoint(source):
        if option := settings.changed():
            raise UsageError(f"{option} is for patches, {source} is a checkpoint")
        model = import_checkpoint(source, out)
        click.echo(json.dumps({"model": str(model)}) if as_json else f"→ {model}")
        return
    start_no_blas_threads()
    from dped_build.patches.importing import import_patches

    with Progress("patches", quiet=as_json) as progress:
        summary = import_patches(
            source,
            out,
            settings=settings,
            jobs=jobs,
            force=force,
            announce=functools.partial(announce, as_json=as_json, dry_run=False),
            progress=progress,
        )
    click.echo(json.dumps(summary.to_json(), indent=1) if as_json else str(summary))

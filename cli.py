"""The command line: options → settings → one call → one summary.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

import functools
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dped_build.align.console import (
    FOLDER,
    CommandGroup,
    Progress,
    announce,
    echo_reasons,
    json_option,
    new,
    quote,
    settings_options,
    stage_options,
    where,
    workspace_option,
)
from dped_build.align.errors import DpedBuildError
from dped_build.align.settings import COLORS, CROP_FORMATS, AlignSettings
from dped_build.patches.settings import COMPRESSIONS, RULES, PatchSettings
from dped_build.train.presets import PRESETS
from dped_build.train.settings import TrainSettings

DEMO_RUN = Path("runs/demo")
DEMO_TRAINING = {  # a small network and loss, so that two cores take a minute or two
    "channels": 16,
    "blocks": 1,
    "loss": "mse",
    "iterations": 300,
    "batch_size": 8,
    "learning_rate": 2e-3,
    "checkpoint_every": 100,
    "log_every": 100,
}


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dped-build")
def cli() -> None:
    """Turn photos of the same scenes, taken with two cameras, into training data.

    \b
    dped-build align raw/iphone raw/canon     photos → aligned pairs
    dped-build patches --min-corr 0.9         aligned pairs → patch shards
    dped-build train                          shards → a trained enhancer
    dped-build report                         what came of it, to look at
    dped-build enhance data/runs/NAME *.jpg   the enhancer over whole photos

    Everything is written into one workspace, data/ unless --workspace says otherwise.
    """


@cli.command()
@click.argument("phone_dir", type=FOLDER)
@click.argument("dslr_dir", type=FOLDER)
@settings_options(
    AlignSettings,
    {
        "crops": (click.Choice(CROP_FORMATS), "Format of the crops for people."),
        "color": (click.Choice(COLORS), "srgb converts embedded ICC profiles."),
        "max_megapixels": (float, "Larger photos are refused by their header."),
        "min_inliers": (click.IntRange(min=4), "Matches that one homography explains."),
        "min_overlap": (click.FloatRange(0, 1), "Share of the phone photo."),
    },
)
@click.option("--no-probe", is_flag=True, help="Go on although almost no pair aligns.")
@stage_options
def align(
    phone_dir: Path,
    dslr_dir: Path,
    *,
    workspace: Path,
    no_probe: bool,
    jobs: int | None,
    backend: str,
    force: bool,
    rehash: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Align photos of the same names: PHONE_DIR/0001.jpg with DSLR_DIR/0001.jpg.

    Each pair gets a homography from SIFT keypoints and is cropped to what both photos
    show. Photos that do not match are recorded with the reason. Run it again to add
    photos or to go on after an interruption.

    \b
    Example:
      dped-build align raw/iphone raw/canon
    """
    _start_no_blas_threads()
    from dped_build.align import align_folders

    with Progress("pairs", quiet=as_json) as progress:
        summary = align_folders(
            phone_dir,
            dslr_dir,
            workspace=workspace,
            settings=AlignSettings(**options),
            jobs=jobs,
            backend=backend,
            force=force,
            rehash=rehash,
            probe=not no_probe,
            dry_run=dry_run,
            announce=functools.partial(announce, as_json=as_json, dry_run=dry_run),
            progress=progress,
        )
    if summary is None:
        return
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        click.echo(
            f"{summary.aligned} of {summary.pairs} pairs aligned"
            f"{'' if force else new(summary.newly_done)}"
        )
        echo_reasons(summary.reasons)
        if summary.swapped:
            click.echo(
                "Most pairs look swapped: the DSLR has fewer pixels than the phone. "
                f"Try: dped-build align {quote(dslr_dir)} {quote(phone_dir)} --force"
                f"{where(workspace)}"
            )
        following = f"  (next: dped-build patches{where(workspace)})"
        click.echo(f"→ {summary.folder}{following if summary.aligned else ''}")
    if not summary.aligned:
        raise DpedBuildError(_nothing_aligned(summary.pairs))


@cli.command()
@settings_options(
    PatchSettings,
    {
        "rule": (
            click.Choice(RULES),
            "How windows are placed and kept. paper: as DPED's authors did, to compare "
            "with; the phone's window is shifted and turned, and NCC alone decides.",
        ),
        "min_corr": (float, "Smallest NCC of the stored patches."),
        "size": (int, "Side of a patch, px."),
        "max_sigma": (
            float,
            "Largest stated uncertainty, phone px; 0: no test, nor --max-depth.",
        ),
        "max_depth": (
            float,
            "How far a window's parts may lie apart (depth, motion), px; 0: any.",
        ),
        "max_shift": (
            float,
            "Largest shift along x or y, phone px; with --rule paper: at most 5.",
        ),
        "max_rotation": (float, "Largest rotation, degrees."),
        "min_std": (float, "Flatter windows have no NCC, grey levels."),
        "min_sharpness_ratio": (float, "DSLR detail over phone detail; 0: no test."),
        "min_color_fit": (float, "PSNR after a colour fit, dB; 0: no test."),
        "max_clipped": (float, "Share of clipped pixels; 1: no test."),
        "max_per_photo": (int, "Patches per photo, spread out; 0: all."),
        "test_photos": (int, "Scenes for test.  [default: 10 %, at most 100]"),
        "val_photos": (int, "Scenes for val.  [default: 5 %, at most 100]"),
        "split_seed": (int, "Draws another split."),
        "compress": (click.Choice(COMPRESSIONS), "Compression of the pixels."),
    },
)
@stage_options
def patches(
    *,
    workspace: Path,
    jobs: int | None,
    backend: str,
    force: bool,
    rehash: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Cut aligned pairs into patches that match to a fraction of a pixel.

    Windows of the phone photo are kept as they are; each is found in the DSLR photo by
    sub-pixel shift and rotation, and kept where the two agree. Every window that is
    refused carries its reason. With --force and another threshold only the selection is
    made again, and what it adds is sampled.

    \b
    Example:
      dped-build patches --min-corr 0.9
    """
    _start_no_blas_threads()
    from dped_build.patches import build_shards

    with Progress("pairs", quiet=as_json) as progress:
        summary = build_shards(
            workspace,
            settings=PatchSettings(**options),
            jobs=jobs,
            backend=backend,
            force=force,
            rehash=rehash,
            dry_run=dry_run,
            announce=functools.partial(announce, as_json=as_json, dry_run=dry_run),
            progress=progress,
        )
    if summary is None:
        return
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        total = sum(summary.windows.values())
        click.echo(
            f"{summary.accepted} of {total} windows accepted from {summary.photos} "
            f"pairs{'' if force else new(summary.newly_done)}"
        )
        echo_reasons({k: n for k, n in summary.windows.items() if k != "accepted"})
        for failed in summary.failed:
            click.echo(f"  {failed['pair']}: {failed['message']}")
        counts = ", ".join(f"{k} {v['patches']}" for k, v in summary.splits.items())
        click.echo(f"  patches: {counts}")
        if summary.accepted and not summary.splits["train"]["patches"]:
            click.echo(
                "  No patch is for training: lower --test-photos and --val-photos "
                "(with --force), or add photos."
            )
        click.echo(f"→ {summary.folder}  (next: dped-build report{where(workspace)})")
    if not summary.accepted:
        raise DpedBuildError(
            f"{summary.folder}: no window was accepted; dped-build report shows why"
        )


@cli.command()
@click.argument("patches", nargs=-1, type=FOLDER)
@click.option("--out", type=FOLDER, help="Run folder.  [default: runs/PRESET-MODEL]")
@settings_options(
    TrainSettings,
    {
        "preset": (click.Choice(list(PRESETS)), "Settings of a publication."),
        "model": (str, "dped, fast or srcnn.  [default: the preset's]"),
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


@cli.command()
@click.argument("model", type=FOLDER)
@click.argument("patches", nargs=-1, type=FOLDER)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
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


@cli.command()
@click.argument("model", type=FOLDER)
@click.argument("photos", nargs=-1, required=True, type=FOLDER, metavar="PHOTO...")
@click.option("--out", type=FOLDER, help="Folder.  [default: beside each photo]")
@click.option(
    "--tile",
    type=click.IntRange(min=16),
    help="Bound memory: about N x N px at a time.  [default: 1024 above 4 megapixels]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
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


@cli.command()
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Threads.  [default: all cores, at most 8]",
)
@json_option
@workspace_option
def report(*, workspace: Path, jobs: int | None, as_json: bool) -> None:
    """Show what came of the photos: a page to look at, and a table on the terminal.

    \b
    Example:
      dped-build report
    """
    from dped_build.report import write_report

    summary = write_report(workspace, jobs=jobs)
    if as_json:
        click.echo(json.dumps(summary.report, indent=1))
        return
    click.echo(str(summary))
    click.echo(f"→ {summary.index}")


@cli.command()
@json_option
@workspace_option
def verify(*, workspace: Path, as_json: bool) -> None:
    """Read everything in the workspace again: checksums, counts, NCC of a sample.

    \b
    Example:
      dped-build verify
    """
    from dped_build.patches.verification import verify_workspace

    found = verify_workspace(workspace)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    for line in [] if as_json else found.damage:
        click.echo(line)
    if found.damage:
        raise DpedBuildError(f"{len(found.damage)} damaged; see the list above")
    if not as_json:
        click.echo(f"{found.files} files, {found.patches} sampled patches: as stated")


@cli.command("import")
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


@cli.command()
@click.argument("folder", type=FOLDER, default=Path("data/demo"))
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes.")
@click.pass_context
def demo(context: click.Context, folder: Path, *, jobs: int | None) -> None:
    """Make a small photo set with known geometry and run the whole way through.

    The photographs come with scikit-image (extra `demo`); two simulated cameras take
    them. One pair is unrelated and one file is damaged, to show what that looks like.

    \b
    Example:
      dped-build demo
    """
    from dped_build.align.demo_set import DSLR, PHONE, TRUTH, write_demo_set
    from dped_build.patches.truth import compare_with_truth

    click.echo("A small run of everything: two to five minutes on two cores.")
    write_demo_set(folder)
    phone, dslr, run = folder / PHONE, folder / DSLR, folder / DEMO_RUN
    photo, out = phone / "coffee.jpg", folder / "enhanced"
    training = " ".join(
        f"--{k.replace('_', '-')} {v}" for k, v in DEMO_TRAINING.items()
    )
    steps: list[tuple[click.Command, dict[str, Any], str]] = [
        (
            align,
            {"phone_dir": phone, "dslr_dir": dslr, "jobs": jobs, "workspace": folder},
            f"{quote(phone)} {quote(dslr)}{where(folder)}",
        ),
        (patches, {"jobs": jobs, "workspace": folder}, where(folder)),
        (
            train,
            {**DEMO_TRAINING, "out": run, "resume": True, "workspace": folder},
            f"--out {quote(run)} {training}{where(folder)}",
        ),
        (evaluate, {"model": run, "workspace": folder}, f"{quote(run)}{where(folder)}"),
        (
            enhance,
            {"model": run, "photos": (photo,), "out": out},
            f"{quote(run)} {quote(photo)} --out {quote(out)}",
        ),
        (report, {"workspace": folder}, where(folder)),
    ]
    for command, options, text in steps:
        click.secho(f"\n$ dped-build {command.name} {text.strip()}", bold=True)
        context.invoke(command, **options)
    errors = compare_with_truth(
        folder / "patches", folder / TRUTH, size=PatchSettings.size
    )
    click.echo(
        f"\nAgainst the truth: {errors.patches} patches are off by "
        f"{errors.median_px:.2f} px (median), {errors.p95_px:.2f} px (95 %), "
        f"{errors.worst_px:.2f} px (worst); {errors.below_1px:.1%} below 1 px."
    )
    click.echo(f"Open the report: {(folder / 'report' / 'index.html').resolve()}")


def _start_no_blas_threads() -> None:
    """Before NumPy is loaded: threads spin once they exist, and none is used here."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _figure(value: float | None) -> str:
    return "inf" if value is None else f"{value:.4f}"


def _nothing_aligned(pairs: int) -> str:
    if not pairs:
        return (
            "no photo has a partner of the same name in the other folder; name both "
            "photos of a scene alike (0001.jpg and 0001.jpg)"
        )
    return f"none of {pairs} pairs aligned; dped-build report shows why"

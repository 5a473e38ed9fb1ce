"""What one does with models and data of any origin: `enhance`, `bench`, `import`."""

import functools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dped_build.commands.console import (
    FOLDER,
    Progress,
    announce,
    echo_warning,
    json_option,
    settings_options,
    start_no_blas_threads,
)
from dped_build.exchange.import_settings import ImportSettings
from dped_build.patches.settings import COMPRESSIONS
from dped_build.patches.split import SPLITS
from dped_build.train.enhancing.enhance_settings import FORMATS, EnhanceSettings
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.workspace.errors import DpedBuildError, UsageError


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("photos", nargs=-1, required=True, type=FOLDER, metavar="PHOTO...")
@click.option("--out", type=FOLDER, help="Folder.  [default: beside each photo]")
@settings_options(
    EnhanceSettings,
    {
        "recursive": (bool, "Take the photos below the folders as well."),
        "skip_existing": (
            bool,
            "Leave out photos whose result is there, whatever made it.",
        ),
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
    from dped_build.train.enhancing.enhance import enhance_files, summary

    settings = EnhanceSettings(**options)
    with Progress("photos", quiet=as_json) as progress:
        result = enhance_files(
            model, photos, out=out, settings=settings, progress=progress
        )
    if as_json:
        click.echo(json.dumps(asdict(result), indent=1, default=str))
    else:
        for message in result.notes.values():
            echo_warning(f"note: {message}")
        for message in result.failed.values():
            echo_warning(f"failed: {message}")
        click.echo("\n".join(summary(result)))
    if not result.written and not result.skipped:
        why = "; rename *-enhanced files to enhance them again"
        raise DpedBuildError(
            f"no photo was enhanced{why if result.passed_over else ''}"
        )


@click.command()
@click.argument("models", nargs=-1, type=FOLDER, metavar="[MODEL]...")
@settings_options(
    BenchSettings,
    {
        "size": (str, "Width x height of the photo."),
        "repeat": (click.IntRange(min=1), "Rounds, after one that is not counted."),
        "device": (str, "auto, cpu or cuda; auto: the CPU, and a GPU if there is one."),
    },
)
@json_option
def bench(models: tuple[Path, ...], *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Compare MODELs (run folders or .pt files): arithmetic, time, peak memory.

    Without MODEL: the networks of the papers, with weights that are not trained. The
    models take turns, so that whatever else the machine does falls on all of them.

    \b
    Examples:
      dped-build bench
      dped-build bench data/runs/released-dped data/runs/fast-fast --repeat 10
    """
    from dped_build.train.evaluating.benchmark import benchmark
    from dped_build.train.evaluating.benchmark_table import table

    settings = BenchSettings(**options)
    with Progress("measurements", quiet=as_json) as progress:
        measured = benchmark(models, settings=settings, progress=progress)
    if as_json:
        click.echo(json.dumps([asdict(line) for line in measured], indent=1))
    else:
        click.echo(table(measured, settings=settings))


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
      a folder that dped-build export wrote (png, dped-folders);
      a TensorFlow checkpoint of the original code, named without its suffix.

    Patches keep their pixels and, from DPED's folders, their split. Which photo each is
    from is unknown, unless export wrote them: 50 neighbours count as one. The
    checkpoint needs the extra `tensorflow`; the generator.pt does not.

    \b
    Examples:
      dped-build import dped/iphone --out data/patches
      dped-build import models_orig/iphone_orig --out iphone.pt
    """
    from dped_build.exchange.import_source import import_checkpoint, is_checkpoint

    settings = ImportSettings(**options)
    if is_checkpoint(source):
        if option := settings.changed():
            raise UsageError(f"{option} is for patches, {source} is a checkpoint")
        model = import_checkpoint(source, out, force=force)
        click.echo(json.dumps({"model": str(model)}) if as_json else f"→ {model}")
        return
    start_no_blas_threads()
    from dped_build.exchange.import_patches import import_patches

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

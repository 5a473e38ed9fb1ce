"""The command `dped-build bench`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from dped_build.commands.console import (
    FOLDER,
    json_option,
    settings_options,
)
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.workspace.terminal import Progress


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

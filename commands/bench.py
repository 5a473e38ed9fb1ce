"""The command `dped-build bench`."""

from pathlib import Path
from typing import Any

import click

from dped_build.commands.console import echo_json, json_option, settings_options
from dped_build.commands.workspaces import FOLDER
from dped_build.train.evaluating.bench_settings import BenchSettings
from dped_build.workspace.terminal import Progress


@click.command()
@click.argument("models", nargs=-1, type=FOLDER, metavar="[MODEL]...")
@settings_options(
    BenchSettings,
    {
        "size": "Width x height of the photo, px.",
        "repeat": (click.IntRange(min=1), "Rounds to time, after one to warm up."),
        "device": "Device: cpu, cuda, or auto: the CPU, and a GPU if any.",
    },
)
@json_option
def bench(models: tuple[Path, ...], *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Measure operations, time and memory of models.

    MODEL is a run folder or .pt file; without one, the papers' networks are measured
    with untrained weights. The models take turns, so that other load on the machine
    affects all of them alike.

    \b
    Examples:
      dped-build bench
      dped-build bench data/runs/released-dped data/runs/fast --repeat 10
    """
    from dped_build.train.evaluating.benchmark import benchmark
    from dped_build.train.evaluating.benchmark_table import table

    settings = BenchSettings(**options)
    with Progress("measurements", quiet=as_json) as progress:
        measured = benchmark(models, settings=settings, progress=progress)
    if as_json:
        echo_json(measured)
    else:
        click.echo(table(measured, settings=settings))

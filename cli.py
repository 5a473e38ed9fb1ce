"""The command line: `dped-build` and the commands that it offers."""

import click

from dped_build.commands.align import align
from dped_build.commands.bench import bench
from dped_build.commands.completion import completion
from dped_build.commands.console import CommandGroup
from dped_build.commands.demo import demo
from dped_build.commands.diff import diff
from dped_build.commands.doctor import doctor
from dped_build.commands.enhance import enhance
from dped_build.commands.evaluate import evaluate
from dped_build.commands.export import export
from dped_build.commands.import_ import import_
from dped_build.commands.merge import merge
from dped_build.commands.patches import patches
from dped_build.commands.report import report
from dped_build.commands.study import study
from dped_build.commands.train import train
from dped_build.commands.verify import verify


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


for command in (
    align,
    patches,
    merge,
    train,
    evaluate,
    enhance,
    bench,
    report,
    study,
    verify,
    diff,
    import_,
    export,
    doctor,
    completion,
    demo,
):
    cli.add_command(command)

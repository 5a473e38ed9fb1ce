"""The command line: `dped-build` and the commands that it offers."""

import click

from dped_build.commands.align import align
from dped_build.commands.bench import bench
from dped_build.commands.build import build
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
    """Turn phone/DSLR photos of the same scenes into training patches and a model.

    \b
    dped-build align raw/iphone raw/canon     photos → aligned pairs
    dped-build patches --min-corr 0.9         aligned pairs → patch shards
    dped-build report                         HTML report on the dataset
    dped-build train                          shards → photo enhancer
    dped-build enhance data/runs/NAME *.jpg   photos → enhanced photos

    All outputs go into one workspace folder: data/, or another, named as the last
    argument or with --workspace.
    """


cli.sections = {
    "Build a dataset": (align, patches, build, report, verify),
    "Train and use": (train, evaluate, enhance, bench),
    "Exchange": (import_, export),
    "Curate": (merge, diff, study),
    "Setup": (demo, doctor, completion),
}
for section in cli.sections.values():
    for command in section:
        cli.add_command(command)

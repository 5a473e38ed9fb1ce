"""The command line: `dped-build` and the commands that it offers."""

import click

from dped_build.commands.console import CommandGroup


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


cli.offer(
    {
        "Build a dataset": ("align", "patches", "build", "report", "verify"),
        "Train and use": ("train", "evaluate", "enhance", "bench"),
        "Exchange": ("import", "export"),
        "Curate": ("merge", "diff", "study"),
        "Setup": ("demo", "doctor", "completion"),
    }
)

"""The command `dped-build demo`."""

import shlex
from pathlib import Path

import click

from dped_build.commands.align import align
from dped_build.commands.console import jobs_option
from dped_build.commands.enhance import enhance
from dped_build.commands.evaluate import evaluate
from dped_build.commands.patches import patches
from dped_build.commands.report import report
from dped_build.commands.train import train
from dped_build.commands.workspaces import (
    FOLDER,
    unless_taken,
    workspace_argument,
)
from dped_build.patches.settings import PatchSettings

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


@click.command()
@workspace_argument
@jobs_option("Worker processes.")
@click.option(
    "--workspace",
    "-w",
    type=FOLDER,
    default=Path("data/demo"),
    show_default=True,
    callback=unless_taken,
    help="Folder for the photos and all outputs.",
)
@click.pass_context
def demo(context: click.Context, *, workspace: Path, jobs: int | None) -> None:
    """Run the whole pipeline on a small simulated set.

    Two simulated cameras of known geometry photograph pictures from scikit-image (extra
    `demo`). One pair is unrelated and one file is damaged, to show how that is
    reported.

    \b
    Example:
      dped-build demo
    """
    from dped_build.selftest.demo_set import DSLR, PHONE, TRUTH, write_demo_set
    from dped_build.selftest.truth import compare_with_truth

    click.echo("A small run of everything: two to five minutes on two cores.")
    write_demo_set(workspace)
    phone, dslr, run = workspace / PHONE, workspace / DSLR, workspace / DEMO_RUN
    here = ("-w", workspace, *(("--jobs", jobs) if jobs else ()))
    training = (
        word
        for name, value in DEMO_TRAINING.items()
        for word in (f"--{name.replace('_', '-')}", value)
    )
    photo, out = phone / "coffee.jpg", workspace / "enhanced"
    steps: list[tuple[click.Command, tuple[object, ...]]] = [
        (align, (phone, dslr, *here)),
        (patches, here),
        (train, ("--out", run, *training, "--resume", "-w", workspace)),
        (evaluate, (run, "-w", workspace)),
        (enhance, (run, photo, "--out", out)),
        (report, ("-w", workspace)),
    ]
    for command, words in steps:
        name, line = str(command.name), [str(word) for word in words]
        click.secho(f"\n$ dped-build {shlex.join([name, *line])}", bold=True)
        with command.make_context(name, line, parent=context) as made:
            command.invoke(made)
    errors = compare_with_truth(
        workspace / "patches", workspace / TRUTH, size=PatchSettings.size
    )
    click.echo(
        f"\nAgainst the truth: {errors.patches} patches are off by "
        f"{errors.median_px:.2f} px (median), {errors.p95_px:.2f} px (95 %), "
        f"{errors.worst_px:.2f} px (worst); {errors.below_1px:.1%} below 1 px."
    )
    click.echo("The network trained for a minute only: this shows how, not how well.")
    click.echo(f"Open the report: {(workspace / 'report' / 'index.html').resolve()}")
    click.echo("(next, with your own photos: dped-build align PHONE_DIR DSLR_DIR)")

"""The command `dped-build evaluate`."""

from pathlib import Path

import click

from dped_build.commands.console import echo_json, echo_warning, json_option
from dped_build.commands.workspaces import (
    FOLDER,
    patches_argument,
    workspace_option,
)
from dped_build.patches.split import SPLITS
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import quote


@click.command()
@click.argument("model", type=FOLDER)
@patches_argument
@click.option(
    "--compare",
    multiple=True,
    metavar="NAME=DIR",
    help="Score another tool's outputs as well; repeatable.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    default="test",
    show_default=True,
    help="Split to evaluate on.",
)
@click.option(
    "--masks",
    is_flag=True,
    help="Score partly valid patches, too; only valid pixels count.",
)
@click.option(
    "--photos", "by_photo", is_flag=True, help="Print the scores of each photo, too."
)
@click.option(
    "--device", default="auto", show_default=True, help="Device: auto, cpu or cuda."
)
@json_option
@workspace_option
def evaluate(
    model: Path,
    patches: tuple[Path, ...],
    *,
    workspace: Path,
    compare: tuple[str, ...],
    split: str,
    masks: bool,
    by_photo: bool,
    device: str,
    as_json: bool,
) -> None:
    """Score a model on the test patches.

    MODEL is a run folder or generator.pt, PATCHES are folders of shards or workspaces
    (default: --workspace). Prints PSNR, SSIM and MS-SSIM of the phone
    patches, unchanged and enhanced; PSNR and SSIM after alignment by at most 1 px; and
    how much of the DSLR's fine detail arrives.

    --compare scores another tool's outputs for the same photos. DIR holds whole photos
    of the phone photos' size, named like the pairs (0001.jpg, 0001-enhanced.png), or
    one image per patch in natural order; with several PATCHES, sub-folders 1, 2, … of
    these. A photo that one tool lacks is left out for all, so the columns stay
    comparable.

    \b
    Examples:
      dped-build evaluate data/runs/released-dped
      dped-build evaluate data/runs/released-dped --compare apple=edited/ --photos
    """
    from dped_build.train import load_generator
    from dped_build.train.evaluating.evaluate import evaluate as run_evaluation
    from dped_build.train.evaluating.other_tools import parse_comparisons
    from dped_build.train.evaluating.score_table import overall_table, photo_table

    others, problems = parse_comparisons(compare), list[str]()
    folders = patches or (workspace / "patches",)
    try:
        with Progress("patches", quiet=as_json) as progress:
            result = run_evaluation(
                load_generator(model),
                folders,
                split=split,
                masks=masks,
                device=device,
                compare=others,
                progress=progress,
                tell=problems.append,
            )
    finally:  # they say why nothing was left to compare
        for problem in problems:
            echo_warning(problem)
    if as_json:
        echo_json(result)
        return
    count = len(result["photos"])
    of = f"of {count} photos" if count > 1 else "of one photo"
    names = ", ".join(str(folder) for folder in folders)
    click.echo(f"{result['n']} {split} patches {of} in {names}")
    if "masked" in result:
        click.echo(
            f"{result['masked']} have masks: scores are of the valid pixels, "
            f"{result['valid_share']:.1%} of all"
        )
    if "left_out" in result:
        click.echo(f"{result['left_out']} partly valid patches left out (see --masks)")
    tables = [overall_table(result), *([photo_table(result)] if by_photo else [])]
    click.echo("\n\n".join(tables))
    before, after = (result[side]["psnr_pirm"] for side in ("input", "output"))
    if None not in (before, after) and after < before:
        echo_warning(
            f"PSNR {after:.4g} is below the {before:.4g} of the unchanged phone "
            "patches: train longer, or check that losses fall"
        )
    if any(result[s]["psnr_pirm"] is None for s in ("input", "output")):
        click.echo("inf: a patch equals its target, such as flat white on both sides")
    click.echo(f"(next: dped-build enhance {quote(model)} PHOTO...)")

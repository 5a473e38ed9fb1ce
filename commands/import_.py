"""The command `dped-build import`."""

import functools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dped_build.commands.console import (
    announce,
    echo_json,
    jobs_option,
    json_option,
    new,
    no_blas_threads,
    settings_options,
)
from dped_build.commands.workspaces import FOLDER
from dped_build.exchange.import_settings import ImportSettings
from dped_build.patches.settings import COMPRESSIONS
from dped_build.patches.split import SPLITS
from dped_build.workspace.errors import UsageError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import quote

if TYPE_CHECKING:
    from dped_build.exchange.import_patches import ImportSummary

LISTED = 10  # files that gave nothing


@click.command("import")
@click.argument("source", type=FOLDER)
@click.option(
    "--out",
    type=FOLDER,
    help="Output folder or .pt file.  [default: NAME-patches or NAME.pt, here]",
)
@settings_options(
    ImportSettings,
    {
        "phone": "Name of the phone's folder.  [default: the other one]",
        "dslr": "Name of the DSLR's folder.  [default: canon, dslr, gt, high…]",
        "split": (
            click.Choice(SPLITS),
            "Put all pairs of two folders into this split.",
        ),
        "test_photos": "Groups of 50 patches in the test split (two folders).  "
        "[default: 10 %]",
        "val_photos": "Groups of 50 patches in the val split (two folders).  "
        "[default: 5 %]",
        "split_seed": "Random seed of the split.",
        "compress": (click.Choice(COMPRESSIONS), "Compression of the pixel data."),
    },
)
@jobs_option("Worker processes.  [default: all cores]")
@click.option("--force", is_flag=True, help="Replace an import of another source.")
@json_option
@no_blas_threads
def import_(
    source: Path,
    *,
    out: Path | None,
    jobs: int | None,
    force: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Import patches or models from other tools.

    \b
    SOURCE is one of
      a DPED folder with training_data/ and test_data/;
      a folder with two folders of equally named patches, such as iphone/ and canon/;
      a folder written by dped-build export (png, dped-folders);
      a TensorFlow checkpoint of the original code, named without its suffix.

    Writes patch shards, or a generator.pt from a checkpoint (extra `tensorflow`).
    Patches keep their pixels and, from DPED's folders, their split. Unless export wrote
    them, their photo is unknown: 50 neighbours count as one photo.

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
        following = f"(next: dped-build enhance {quote(model)} PHOTO...)"
        if as_json:
            echo_json({"model": model})
        else:
            click.echo(f"→ {model}  {following}")
        return
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
    if as_json:
        echo_json(summary)
    else:
        click.echo(summary_text(summary))


def summary_text(summary: "ImportSummary") -> str:
    """The summary for the terminal."""
    patches = {name: split["patches"] for name, split in summary.splits.items()}
    reasons = Counter(line["reason"] for line in summary.failed)
    more = len(summary.failed) - LISTED
    following = "train" if patches["train"] else "evaluate MODEL"
    return "\n".join(
        [
            f"{sum(patches.values())} pairs of {summary.size}x{summary.size} px, "
            f"{' | '.join(summary.cameras)}{new(summary.newly_done)}",
            f"  patches: {', '.join(f'{k} {n}' for k, n in patches.items())}",
            *(f"  {count:6d} {reason}" for reason, count in reasons.items()),
            *(f"  {line['message']}" for line in summary.failed[:LISTED]),
            *([f"  and {more} more: see manifest.json"] if more > 0 else []),
            f"→ {summary.folder}  "
            f"(next: dped-build {following} {quote(summary.folder)})",
        ]
    )

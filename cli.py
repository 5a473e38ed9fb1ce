"""The command line: options → settings → one call → one summary.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

import functools
import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from dped_build.align.errors import DpedBuildError, UsageError
from dped_build.align.settings import COLORS, CROP_FORMATS, AlignSettings
from dped_build.patches.settings import COMPRESSIONS, PatchSettings

Command = TypeVar("Command", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path)
INTERRUPTED = 130


class _Group(click.Group):
    """Turns what goes wrong into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        except DpedBuildError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            click.echo(
                "Interrupted; finished work is kept. Run the same command again to go "
                "on.",
                err=True,
            )
            ctx.exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dped-build")
def cli() -> None:
    r"""Turn photos of the same scenes, taken with two cameras, into training data.

    \b
    dped-build align raw/iphone raw/canon     photos → aligned pairs
    dped-build patches --min-corr 0.9         aligned pairs → patch shards
    dped-build train                          shards → a trained enhancer
    dped-build report                         what came of it, to look at
    dped-build enhance data/runs/NAME *.jpg   the enhancer over whole photos

    Everything is written into one workspace, data/ unless --workspace says otherwise.
    """


def workspace_option(command: Command) -> Command:
    """`--workspace`, which every command has."""
    return click.option(
        "--workspace",
        "-w",
        type=FOLDER,
        default=Path("data"),
        show_default=True,
        envvar="DPED_BUILD_WORKSPACE",
        help="Folder that everything is written into: one phone with one DSLR.",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`, where a script would want the summary."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def stage_options(command: Command) -> Command:
    """The options of the stages that work through many photos."""
    for option in (
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            help="Worker processes.  [default: all cores]",
        ),
        click.option(
            "--backend",
            type=click.Choice(["loky", "threading"]),
            default="loky",
            show_default=True,
            help="How joblib runs the workers.",
        ),
        click.option(
            "--force", is_flag=True, help="Replace what other settings have made."
        ),
        click.option(
            "--rehash", is_flag=True, help="Compare photos by content, not by date."
        ),
        click.option(
            "--dry-run", is_flag=True, help="Say what would be done and stop."
        ),
        json_option,
        workspace_option,
    ):
        command = option(command)
    return command


def settings_options(
    settings: type, options: Mapping[str, tuple[object, str]]
) -> Callable[[Command], Command]:
    """One option for each named field of a settings class, its default from there."""
    defaults = {field.name: field.default for field in fields(settings)}

    def add(command: Command) -> Command:
        for name, (kind, text) in reversed(options.items()):
            default = defaults[name]
            command = click.option(
                "--" + name.replace("_", "-"),
                name,
                type=kind,
                default=default,
                show_default=default is not None,
                help=text,
            )(command)
        return command

    return add


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
    r"""Align photos of the same names: PHONE_DIR/0001.jpg with DSLR_DIR/0001.jpg.

    Each pair gets a homography from SIFT keypoints and is cropped to what both photos
    show. Photos that do not match are recorded with the reason. Run it again to add
    photos or to go on after an interruption.

    \b
    Example:
      dped-build align raw/iphone raw/canon
    """
    from dped_build.align import align_folders

    with _Progress("pairs", quiet=as_json) as progress:
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
            announce=functools.partial(_announce, quiet=as_json),
            progress=progress,
        )
    if summary is None:
        return
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=1))
    else:
        click.echo(f"{summary.aligned} of {summary.pairs} pairs aligned{_new(summary)}")
        _echo_reasons(summary.reasons)
        if summary.swapped:
            click.echo(
                "Most pairs look swapped: the DSLR has fewer pixels than the phone. "
                f"Try: dped-build align {dslr_dir} {phone_dir} --force"
            )
        click.echo(f"→ {summary.folder}  (next: dped-build patches{_where(workspace)})")
    if not summary.aligned:
        raise DpedBuildError(_nothing_aligned(summary.pairs))


@cli.command()
@settings_options(
    PatchSettings,
    {
        "min_corr": (float, "Smallest NCC of the stored patches."),
        "size": (int, "Side of a patch, px."),
        "max_sigma": (float, "Largest stated uncertainty, phone px; 0: no test."),
        "max_shift": (float, "Largest shift from the homography, phone px."),
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
    r"""Cut aligned pairs into patches that match to a fraction of a pixel.

    Windows of the phone photo are kept as they are; each is found in the DSLR photo by
    sub-pixel shift and rotation, and kept where the two agree. Every window that is
    refused carries its reason. With --force and another threshold only the selection is
    made again.

    \b
    Example:
      dped-build patches --min-corr 0.9
    """
    from dped_build.patches import build_shards

    with _Progress("pairs", quiet=as_json) as progress:
        summary = build_shards(
            workspace,
            settings=PatchSettings(**options),
            jobs=jobs,
            backend=backend,
            force=force,
            rehash=rehash,
            dry_run=dry_run,
            announce=functools.partial(_announce, quiet=as_json),
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
            f"pairs{_new(summary)}"
        )
        _echo_reasons({k: n for k, n in summary.windows.items() if k != "accepted"})
        for failed in summary.failed:
            click.echo(f"  {failed['pair']}: {failed['message']}")
        counts = ", ".join(f"{k} {v['patches']}" for k, v in summary.splits.items())
        click.echo(f"  patches: {counts}")
        click.echo(f"→ {summary.folder}  (next: dped-build report{_where(workspace)})")
    if not summary.accepted:
        raise DpedBuildError(
            f"{summary.folder}: no window was accepted; dped-build report shows why"
        )


def _announce(plan: Any, *, quiet: bool) -> None:  # noqa: ANN401
    """Say what a run will take, before it starts."""
    if not quiet and plan.todo:
        click.echo(
            f"{plan.pairs} pairs, {plan.todo} to do: about {plan.bytes / 1e9:.2f} GB, "
            f"{_duration(plan.seconds)}"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Progress:
    """A bar with rate and ETA on a terminal, elsewhere a line every tenth."""

    def __init__(self, unit: str, *, quiet: bool) -> None:
        self.unit, self.quiet = unit, quiet
        self.bar: Any = None
        self.shown = 0

    def __enter__(self) -> Callable[[int, int], None]:
        return self._update

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def _update(self, done: int, total: int) -> None:
        if self.quiet or not total:
            return
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, unit=" " + self.unit)
            self.bar.update(done - self.bar.n)
        elif done and done * 10 // total > self.shown:
            self.shown = done * 10 // total
            click.echo(f"{done} of {total} {self.unit}", err=True)


def _echo_reasons(reasons: Mapping[str, int]) -> None:
    for reason, count in reasons.items():
        click.echo(f"  {count:6d} {reason}")


def _new(summary: Any) -> str:  # noqa: ANN401
    return "" if summary.newly_done else " (nothing new to do)"


def _where(workspace: Path) -> str:
    return "" if workspace == Path("data") else f" -w {workspace}"


def _nothing_aligned(pairs: int) -> str:
    if not pairs:
        return (
            "no photo has a partner of the same name in the other folder; name both "
            "photos of a scene alike (0001.jpg and 0001.jpg)"
        )
    return f"none of {pairs} pairs aligned; dped-build report shows why"

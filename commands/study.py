"""The command `dped-build study`."""

from dataclasses import asdict
from pathlib import Path

import click

from dped_build.commands.console import echo_json, json_option, settings_options
from dped_build.commands.workspaces import FOLDER, workspace_option
from dped_build.study.settings import MODES, CollectSettings, StudySettings
from dped_build.workspace.errors import UsageError
from dped_build.workspace.terminal import Progress
from dped_build.workspace.text import quote

NATURAL = click.IntRange(min=1)
STUDY = "study"  # in the workspace
RESULTS = "-results"  # follows the study's name in that of its results


@click.command()
@click.argument("classes", nargs=-1, metavar="NAME=DIR…", required=True)
@click.option(
    "--out",
    type=FOLDER,
    help="Output folder.  [default: study in the workspace; with --collect the study's "
    "folder and -results]",
)
@settings_options(
    StudySettings,
    {
        "mode": (click.Choice(MODES), "Choose between two, or rate from 1 to 5."),
        "scenes": (NATURAL, "Scenes to show, drawn at random.  [default: all]"),
        "questions": (NATURAL, "Questions per participant.  [default: all]"),
        "repeats": (click.IntRange(min=0), "Questions to repeat with swapped sides."),
        "ties": "Allow the answer 'no preference'.",
        "seed": "Random seed, for repeatable names and order.  [default: secret]",
        "title": "Title of the page.  [default: the question]",
        "quality": (
            click.IntRange(1, 100),
            "Write JPEG of this quality instead of PNG.",
        ),
        "max_megapixels": "Largest picture to read.",
    },
)
@click.option("--force", is_flag=True, help="Replace an existing study.")
@click.option(
    "--collect", is_flag=True, help="Evaluate answer files, or folders of them."
)
@click.option(
    "--key",
    type=FOLDER,
    help="Key of the study.  [default: study/key.json in the workspace]",
)
@settings_options(
    CollectSettings,
    {
        "min_consistency": (
            click.FloatRange(0, 1),
            "Drop participants who repeat a smaller share of their answers.",
        ),
        "min_seconds": "Drop participants whose median answer is faster.",
    },
)
@click.option("--exclude", multiple=True, help="Drop this participant; repeatable.")
@json_option
@workspace_option
@click.pass_context
def study(
    context: click.Context,
    /,
    classes: tuple[str, ...],
    *,
    collect: bool,
    workspace: Path,
    out: Path | None,
    key: Path | None,
    as_json: bool,
    **choices: object,
) -> None:
    """Ask people which pictures look better.

    Pictures of the same name in all folders are one scene (the suffix of `enhance` is
    ignored). Hand out the folder study/page; its picture names reveal nothing.
    Participants save their answers as files; --collect turns these into rates with
    intervals, a ranking, tables and a chart.

    \b
    Examples:
      dped-build study phone=raw/iphone ours=enhanced dslr=raw/canon
      dped-build study --collect answers-*.json
    """
    names = ("min_consistency", "min_seconds", "exclude")
    collecting = {name: choices.pop(name) for name in names}
    force = bool(choices.pop("force"))
    _refuse_others(context, collect=collect, collecting={*names, "key"})
    if collect:
        _collect(classes, workspace / STUDY, out, key, collecting, as_json=as_json)
    else:
        settings = StudySettings(**choices)  # type: ignore[arg-type]
        _make(classes, out or workspace / STUDY, settings, force, as_json=as_json)


def _refuse_others(
    context: click.Context, *, collect: bool, collecting: set[str]
) -> None:
    """Options of the other half of the command would be passed over in silence."""
    both = {"classes", "collect", "out", "as_json", "workspace"}
    for name in context.params:
        given = (
            context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        )
        if given and name not in both and (name in collecting) != collect:
            option = f"--{name.replace('_', '-')}"
            said = "is not for --collect" if collect else "needs --collect"
            raise UsageError(f"{option} {said}")


def _make(
    classes: tuple[str, ...],
    out: Path,
    settings: StudySettings,
    force: bool,
    *,
    as_json: bool,
) -> None:
    from dped_build.study.make import make_study
    from dped_build.study.scenes import parse_sources
    from dped_build.study.terminal_summary import study_text

    sources = parse_sources(classes, at_least=2 if settings.mode == "pairs" else 1)
    with Progress("scenes", quiet=as_json) as progress:
        made = make_study(
            sources, out, settings=settings, force=force, progress=progress
        )
    if as_json:
        told = asdict(made)
        del told["key"]
        told |= {"classes": made.key.classes, "scenes": made.key.scenes}
        echo_json(told)
    else:
        click.echo(study_text(made))
        click.echo(
            f"(next: dped-build study --collect --key {quote(made.key_file)} *.json)"
        )


def _collect(
    files: tuple[str, ...],
    study_folder: Path,
    out: Path | None,
    key: Path | None,
    collecting: dict[str, object],
    *,
    as_json: bool,
) -> None:
    from dped_build.study.collect import collect_answers
    from dped_build.study.key import NAME
    from dped_build.study.terminal_summary import results_text

    key = key or study_folder / NAME
    key = key / NAME if key.is_dir() else key
    named = key.parent.name not in ("", "..")
    folder = key.parent if named else key.parent.resolve()
    out = out or folder.with_name(f"{folder.name}{RESULTS}")
    settings = CollectSettings(
        min_consistency=collecting["min_consistency"],  # type: ignore[arg-type]
        min_seconds=collecting["min_seconds"],  # type: ignore[arg-type]
        excluded=collecting["exclude"],  # type: ignore[arg-type]
    )
    numbers = collect_answers(
        [Path(file) for file in files], key, out, settings=settings
    )
    if as_json:
        echo_json(numbers)
    else:
        click.echo(results_text(numbers))
        click.echo(f"→ {out}")

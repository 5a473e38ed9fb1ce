"""How a dataset was made: settings, versions, and commands that repeat it.

A report is published: no absolute path of the machine that made it stands in there.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import PureWindowsPath
from typing import Any

from dped_build.align.settings import AlignSettings
from dped_build.patches.settings import PatchSettings
from dped_build.report.record import AlignMade, MadeWith, PatchesMade
from dped_build.report.workspace_reader import Inputs, PatchSet

ABSOLUTE = re.compile(r"^(/|[A-Za-z]:[\\/]|\\\\|~)")


def made_with(inputs: Inputs) -> MadeWith:
    """Settings, versions and the commands that lead to the same result."""
    patches, sums = inputs.patches, inputs.sums
    return MadeWith(
        align=_align_made(inputs) if inputs.alignment else None,
        patches=None if patches is None else _patches_made(patches, sums),
        runs=public({run.name: run.config for run in inputs.runs}),
    )


def _align_made(inputs: Inputs) -> AlignMade:
    settings = inputs.alignment.get("settings", {})
    return AlignMade(
        created_with=public(inputs.alignment.get("created_with")),
        sums=inputs.sums.get("aligned"),
        settings=public(settings),
        command="dped-build align PHONE_DIR DSLR_DIR"
        + changed_options(settings, AlignSettings()),
    )


def _patches_made(patches: PatchSet, sums: Mapping[str, str]) -> PatchesMade:
    return PatchesMade(
        created_with=public(patches.manifest.get("created_with")),
        sums=sums.get("patches"),
        dataset_id=public(patches.manifest.get("dataset_id")),
        settings=public(patches.settings),
        command="dped-build import SOURCE"
        if patches.imported
        else "dped-build patches" + changed_options(patches.settings, PatchSettings()),
    )


def public(value: Any) -> Any:  # noqa: ANN401
    """A JSON value with each absolute path reduced to its last component."""
    if isinstance(value, Mapping):
        return {str(key): public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [public(item) for item in value]
    if isinstance(value, str) and ABSOLUTE.match(value):
        return PureWindowsPath(value).name  # knows both kinds of separators
    return value


def changed_options(
    settings: Mapping[str, Any], defaults: AlignSettings | PatchSettings
) -> str:
    """The options whose recorded value is not the default, as typed."""
    options = []
    for field in fields(defaults):
        value = settings.get(field.name, getattr(defaults, field.name))
        if isinstance(value, int | float | str) and value != getattr(
            defaults, field.name
        ):
            options.append(f" --{field.name.replace('_', '-')} {value}")
    return "".join(options)

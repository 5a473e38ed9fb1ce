"""What `diff`, `merge`, `verify` and `doctor` print, and the lines of a log."""

from typing import Annotated, Literal, TypedDict

from documents.common import Amount, Count, Program
from documents.training import RunMetrics


class Changes(TypedDict):
    """Changes from workspace A to B."""

    before: Annotated[Count, "In A."]
    after: Annotated[Count, "In B."]
    gained: Annotated[list[str], "Only in B."]
    lost: Annotated[list[str], "Only in A."]
    moved: Annotated[
        dict[str, Annotated[Amount, "DSLR px."]], "How far corners moved, DSLR px."
    ]


class Difference(TypedDict):
    """What workspace B gained, lost and moved against A."""

    pairs: Annotated[Changes | None, "Aligned pairs; null where a workspace has none."]
    outcomes: Annotated[
        dict[
            str,
            Annotated[
                tuple[Annotated[str, "In A."], Annotated[str, "In B."]],
                "Status or reason.",
            ],
        ],
        "Pairs with another outcome: before, after.",
    ]
    windows: Annotated[
        Changes | None,
        "Accepted windows, named `pair x y`; null where a workspace has none.",
    ]


class MergeSummary(TypedDict):
    """What a merge came to."""

    workspace: Annotated[str, "Where it was written."]
    pairs: Annotated[Count, "Pairs."]
    aligned: Annotated[Count, "Aligned pairs."]
    prefixes: Annotated[
        list[str], "What stands before the names of each source's pairs."
    ]
    cut: Annotated[
        Count | None, "Pairs with windows; null: the sources have no patches."
    ]
    moved: Annotated[Count | None, "Pairs that changed their split."]
    newly_done: Annotated[bool, "False: nothing was left to do."]


class Verification(TypedDict):
    """What was read and what is not as stated."""

    files: Annotated[Count, "Files whose sums were checked."]
    patches: Annotated[Count, "Patches counted."]
    runs: Annotated[Count, "Training runs."]
    damage: Annotated[
        list[str], "What is not as stated; exit code 1 where there is any."
    ]
    notes: Annotated[list[str], "What is unfinished, no damage."]


class Finding(TypedDict):
    """A finding."""

    name: Annotated[str, "What was looked at."]
    status: Annotated[
        Literal["ok", "note", "wrong"],
        "note: something optional is missing; wrong: something needed does not work.",
    ]
    found: Annotated[str, "What is there."]
    advice: Annotated[str, "What to do, or empty."]


class Doctor(TypedDict):
    """What this machine has and lacks."""

    created_with: Program
    system: Annotated[str, "Python and system."]
    works: Annotated[bool, "Everything that is needed works."]
    findings: Annotated[list[Finding], "One thing each."]


class CommandStarts(TypedDict):
    """A command starts."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["start"], "What happened."]
    command: Annotated[str, "The command."]
    arguments: Annotated[list[str], "As typed."]


class PairFinished(TypedDict):
    """A pair is finished."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["pair"], "What happened."]
    stage: Annotated[str, "align or patches."]
    pair: Annotated[str, "Its name."]
    outcome: Annotated[str, "Status or reason code."]
    message: Annotated[str | None, "In words."]


class Evaluated(RunMetrics):
    """A training run has been evaluated."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["evaluation"], "What happened."]
    run: Annotated[str, "Its folder."]


class CommandFailed(TypedDict):
    """A command fails."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["error"], "What happened."]
    error: Annotated[str, "Name of the error."]
    message: Annotated[str, "In words."]
    traceback: Annotated[str, "Where it was raised."]


class Stopped(TypedDict):
    """Somebody stopped it."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["interrupted"], "What happened."]
    message: Annotated[str, "What was said."]


class CommandDone(TypedDict):
    """A command is done."""

    time: Annotated[str, "UTC, ISO 8601."]
    event: Annotated[Literal["end"], "What happened."]
    command: Annotated[str, "The command."]


LogLine = Annotated[
    CommandStarts | PairFinished | Evaluated | CommandFailed | Stopped | CommandDone,
    "One event. Logs hold times, paths and tracebacks: they are for the person who "
    "runs the command.",
]

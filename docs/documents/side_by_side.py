"""`report.json` of workspaces side by side."""

from typing import Annotated, Literal, TypedDict

from documents.common import Count, PairReason, Split, Written


class Workspace(TypedDict):
    """One."""

    name: Annotated[str, "What it is called."]
    phone_camera: Annotated[str, "Name."]
    dslr_camera: Annotated[str, "Name."]


class Row(TypedDict):
    """A measure."""

    label: Annotated[str, "In words."]
    reason: Annotated[str | None, "Reason code."]
    form: Annotated[Literal["count", "percent", "decimal"], "How it is shown."]
    digits: Annotated[Count, "After the point."]
    values: Annotated[list[float | None], "A value a column; null: none."]


class Section(TypedDict):
    """One table."""

    title: Annotated[str, "Its title."]
    rows: Annotated[list[Row], "Rows."]


class OtherSetting(TypedDict):
    """One."""

    stage: Annotated[Literal["align", "patches"], "Of."]
    name: Annotated[str, "Setting."]
    values: Annotated[list[str | None], "As text."]


class Outcome(TypedDict):
    """In one workspace; null: unknown there."""

    status: Annotated[Literal["aligned", "rejected", "failed"], "Of the pair."]
    reason: Annotated[PairReason | None, "Null: aligned."]
    split: Annotated[Split | None, "Of the photo."]
    windows: Annotated[Count | None, "Candidates."]
    accepted: Annotated[Count | None, "Kept."]
    used: Annotated[bool, "It gave patches, or was aligned where nothing is cut."]
    number: Annotated[Count, "Row of the table of its report."]


class ComparedPair(TypedDict):
    """One pair."""

    pair: Annotated[str, "Its name."]
    differs: Annotated[bool, "Used by one and not by another."]
    workspaces: Annotated[list[Outcome | None], "In the order of the workspaces."]


class SideBySide(Written):
    """Several workspaces in columns."""

    format: Annotated[Literal["dped-build/side-by-side"], "What this is."]
    workspaces: Annotated[list[Workspace], "The columns."]
    sections: Annotated[list[Section], "Tables."]
    settings: Annotated[list[OtherSetting], "Settings that differ."]
    common_pairs: Annotated[Count, "Pairs that two or more know."]
    other_outcomes: Annotated[list[ComparedPair], "Used by one and not by another."]
    other_splits: Annotated[list[ComparedPair], "In different splits."]

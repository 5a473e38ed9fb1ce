"""Collect a study: answer files and the key → `<out>/`: JSON, CSV and the chart."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dped_build.exchange.out_folder import out_stage
from dped_build.report.writer import csv_bytes
from dped_build.study.answers import Answers, answer_files, read_answers
from dped_build.study.chart import study_figure
from dped_build.study.key import read_key
from dped_build.study.results import (
    FORMAT,
    answer_rows,
    drop_participants,
    study_numbers,
    table_rows,
)
from dped_build.study.settings import CollectSettings
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import rebuilt
from dped_build.workspace.text import counted


def collect_answers(
    paths: Sequence[Path],
    key_file: Path,
    out: Path,
    *,
    settings: CollectSettings | None = None,
) -> dict[str, Any]:
    """Write the results of a study to `out`, replacing earlier ones whole.

    `paths` are answer files, or folders of them. Returns what `study.json` holds.

    Raises:
        UsageError: A path does not exist.
        DpedBuildError: The key is damaged, no file is left, or `out` holds other files.
    """
    settings = settings or CollectSettings()
    files = answer_files(paths)
    key = read_key(key_file)
    answers = drop_participants(read_answers(files, key), settings)
    if not answers.participants:
        raise DpedBuildError(_nobody(answers))
    numbers = {**study_numbers(key, answers), "settings": asdict(settings)}
    with rebuilt(out_stage(out.resolve(), FORMAT)) as built:
        tables = {
            "study.json": json_bytes(numbers),
            "study.csv": _csv(table_rows(numbers)),
            "answers.csv": _csv(answer_rows(key, answers.participants)),
        }
        for name, content in {**tables, **study_figure(numbers)}.items():
            (built / name).write_bytes(content)
    return numbers


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    return csv_bytes(list(rows[0]), [list(row.values()) for row in rows])


def _nobody(answers: Answers) -> str:
    file, reason = next(iter(answers.left_out.items()))
    return (
        f"no usable answers in {counted(len(answers.left_out), 'file')} ({file}: "
        f"{reason}); collect the files that this study's page saved"
    )

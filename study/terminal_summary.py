"""A study in words, for the terminal. Pure."""

from typing import Any

from dped_build.study.make import Study
from dped_build.workspace.text import counted

NAMED = 6  # scenes or files that are named one by one
NOTHING = "\N{EN DASH}"
SCALE = "Bradley\N{EN DASH}Terry"


def study_text(study: Study) -> str:
    """What was made, and what to do with it."""
    key = study.key
    asked = counted(study.questions, "question")
    if study.repeats:
        asked += f" and {counted(study.repeats, 'repeat')}"
    lines = [
        f"{counted(len(key.scenes), 'scene')}, "
        f"{counted(len(key.classes), 'class', 'classes')} ({', '.join(key.classes)}): "
        f"{asked} per participant"
    ]
    lines += _named("scene", "left out", study.left_out)
    if study.shapes:
        shown = ", ".join(study.shapes[:NAMED])
        more = ", …" if len(study.shapes) > NAMED else ""
        lines.append(
            f"{counted(len(study.shapes), 'scene')} with pictures of different shapes, "
            f"each shown whole: {shown}{more}"
        )
    lines.append(f"→ {study.page}")
    lines.append(
        f"Hand out the folder {study.page.parent}; keep {study.key_file} to yourself."
    )
    return "\n".join(lines)


def results_text(numbers: dict[str, Any]) -> str:
    """The tables, and what deserves a look."""
    people = numbers["participants"]
    lines = [
        f"{counted(len(people), 'participant')}, "
        f"{counted(numbers['answers'], 'answer')}, "
        f"{counted(numbers['scenes'], 'scene')}; "
        f"{numbers['median_seconds']:.1f} s per answer (median)"
    ]
    left_out = {row["file"]: row["reason"] for row in numbers["left_out"]}
    lines += _named("file", "left out", left_out)
    lines.append("")
    if numbers["mode"] == "rating":
        lines += _opinion_lines(numbers["classes"])
    else:
        lines += _pair_lines(numbers["pairs"])
        lines += ["", *_class_lines(numbers["classes"]), ""]
        left = numbers["left"]
        lines.append(f"left picture chosen: {_percent(left)} {_interval(left)}")
    consistency = numbers["consistency"]
    if consistency["repeats"]:
        lines.append(
            f"repeated questions answered alike: {consistency['alike']} of "
            f"{consistency['repeats']}"
        )
    if len(people) < 2:
        lines.append("With one participant, the intervals say nothing about others.")
    return "\n".join(lines)


def _named(noun: str, what: str, reasons: dict[str, str]) -> list[str]:
    if not reasons:
        return []
    lines = [f"{counted(len(reasons), noun)} {what}:"]
    lines += [f"  {name}: {why}" for name, why in list(reasons.items())[:NAMED]]
    if len(reasons) > NAMED:
        lines.append(f"  and {len(reasons) - NAMED} more")
    return lines


def _pair_lines(rows: list[dict[str, Any]]) -> list[str]:
    names = [f"{row['first']} over {row['second']}" for row in rows]
    wide = max(map(len, names))
    head = f"{'preferred':{wide}}         95 %           by participant  answers"
    return [head] + [
        f"{name:{wide}} {_percent(row)}  {_interval(row)}  "
        f"{_interval(row, 'clustered95')}  {row['answers']:7d}"
        for name, row in zip(names, rows, strict=True)
    ]


def _class_lines(rows: list[dict[str, Any]]) -> list[str]:
    wide = max(len(SCALE), *(len(row["class"]) for row in rows))
    head = f"   {SCALE:{wide}}  strength   95 %             preferred  of all"
    return [head] + [
        f"{row['rank']:2d} {row['class']:{wide}}  {row['strength']:+8.2f}   "
        f"[{row['strength95'][0]:+.2f}, {row['strength95'][1]:+.2f}]   "
        f"{_percent(row)}    {100 * row['chosen_of_all']:5.1f} %"
        for row in rows
    ]


def _opinion_lines(rows: list[dict[str, Any]]) -> list[str]:
    wide = max(len("class"), *(len(row["class"]) for row in rows))
    lines = [f"{'class':{wide}}   MOS  95 %          by participant  ratings"]
    for row in rows:
        score = NOTHING if row["mos"] is None else f"{row['mos']:.2f}"
        ends = "  ".join(_ends(row[name]) for name in ("ci95", "clustered95"))
        lines.append(f"{row['class']:{wide}}  {score:>4}  {ends}  {row['ratings']:9d}")
    return lines


def _ends(interval: list[float] | None) -> str:
    text = "" if interval is None else f"[{interval[0]:.2f}, {interval[1]:.2f}]"
    return f"{text or NOTHING:12}"


def _percent(row: dict[str, Any]) -> str:
    if row["preference"] is None:
        return f"{NOTHING:>7}"
    return f"{100 * row['preference']:5.1f} %"


def _interval(row: dict[str, Any], name: str = "wilson95") -> str:
    low, high = row[name]
    return f"[{100 * low:5.1f}, {100 * high:5.1f}]"

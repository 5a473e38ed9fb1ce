"""Write docs/schemas/ from the declarations of all documents; run it after a change.

.venv/bin/python docs/make_schemas.py

What the program reads back is declared where it is read, in the package; what it only
prints or writes in `documents/`. Descriptions are the texts in `Annotated`, or those
under `Attributes:` in a docstring.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from documents import DOCUMENTS, SHARED
from msgspec import Meta

FOLDER = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMON = "common"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "pattern": "pattern",
}
LENGTHS = {"string": "Length", "array": "Items", "object": "Properties"}
ATTRIBUTE = re.compile(r"^    ( *)(\w+): (.*(?:\n    \1    .*)*)", re.MULTILINE)

Schema = dict[str, Any]


def schemas() -> dict[str, str]:
    """File name → content."""
    made = {
        name: (title, _schema(kind, whole=True))
        for name, (title, kind) in DOCUMENTS.items()
    }
    shared = {name: _schema(kind, whole=True) for name, kind in SHARED.items()}
    made[COMMON] = ("Definitions that several files share", {"$defs": shared})
    found = {}
    for name, (title, schema) in made.items():
        file = f"{name}.schema.json"
        head = {"$schema": DIALECT, "$id": file, "title": title}
        text = json.dumps(head | schema, indent=2, ensure_ascii=False)
        found[file] = f"{text}\n"
    return found


def _schema(kind: object, *, whole: bool = False) -> Schema:
    """The schema of a type; a reference for what is shared, unless `whole`."""
    for name, known in () if whole else SHARED.items():
        if kind == known:
            return {"$ref": f"{COMMON}.schema.json#/$defs/{name}"}
    for name, (_, known) in () if whole else DOCUMENTS.items():
        if kind is known:
            return {"$ref": f"{name}.schema.json"}
    if get_origin(kind) is NotRequired:
        return _schema(get_args(kind)[0])
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        return _annotated(_schema(inner), notes)
    if kind is Any:
        return {}
    if kind in TYPES:
        return {"type": TYPES[kind]}
    if get_origin(kind) is Literal:
        values = list(get_args(kind))
        return {"enum": values} if len(values) > 1 else {"const": values[0]}
    if get_origin(kind) in (Union, UnionType):
        return _union(
            [_schema(one) for one in get_args(kind) if one is not NoneType],
            optional=NoneType in get_args(kind),
        )
    if get_origin(kind) in (list, tuple):
        return _array(kind)
    if get_origin(kind) is dict:
        return _mapping(*get_args(kind))
    return _object(kind)


def _annotated(schema: Schema, notes: list[Any]) -> Schema:
    """With descriptions first, and the limits that `Meta` states."""
    for meta in (note for note in notes if isinstance(note, Meta)):
        for name, key in LIMITS.items():
            if getattr(meta, name) is not None:
                schema[key] = getattr(meta, name)
        for name in ("min", "max"):
            if (length := getattr(meta, f"{name}_length")) is not None:
                schema[name + LENGTHS[_kind(schema)]] = length
        for key, value in (meta.extra_json_schema or {}).items():
            schema[key] = list(value) if isinstance(value, tuple) else value
            schema = _without(schema, "type") if key == "enum" else schema
    said = [note for note in notes if isinstance(note, str)]
    if not said:
        return schema
    return {"description": said[-1], **_without(schema, "description")}


def _kind(schema: Schema) -> str:
    return schema["type"] if isinstance(schema["type"], str) else schema["type"][0]


def _without(schema: Schema, name: str) -> Schema:
    return {key: value for key, value in schema.items() if key != name}


def _union(options: list[Schema], *, optional: bool) -> Schema:
    """Of one schema or null in its own words, where it has any."""
    if optional and len(options) == 1:
        if "properties" not in options[0] and "type" in options[0]:
            return {**options[0], "type": [options[0]["type"], "null"]}
        if "enum" in options[0]:
            return {**options[0], "enum": [*options[0]["enum"], None]}
    return {"anyOf": [*options, *([{"type": "null"}] if optional else [])]}


def _array(kind: object) -> Schema:
    places = get_args(kind)
    if get_origin(kind) is list or places[1:] == (...,):
        return {"type": "array", "items": _schema(places[0])}
    return {
        "type": "array",
        "prefixItems": [_schema(place) for place in places],
        "items": False,
        "minItems": len(places),
    }


def _mapping(name: object, value: object) -> Schema:
    names = _without(_schema(name), "type")
    schema = {"type": "object"}
    if value is not Any:
        schema["additionalProperties"] = _schema(value)
    return schema | ({"propertyNames": names} if names else {})


def _object(kind: type) -> Schema:
    """Of a TypedDict, a dataclass or a Struct: all that it writes, and nothing else."""
    hints = get_type_hints(kind, include_extras=True)
    optional = set(getattr(kind, "__optional_keys__", ()))
    if is_dataclass(kind):
        optional |= {
            field.name for field in fields(kind) if field.metadata.get("added")
        }
    said = dict(_attributes(kind.__doc__ or ""))
    properties = {
        _key(name): {"description": said[name], **_schema(hint)}
        if name in said
        else _schema(hint)
        for name, hint in hints.items()
    }
    summary = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return {
        **({"description": summary} if summary else {}),
        "type": "object",
        "properties": properties,
        "required": [_key(name) for name in hints if name not in optional],
        "additionalProperties": False,
    }


def _key(name: str) -> str:
    return name.removesuffix("_")


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """What a docstring says under `Attributes:`."""
    for found in ATTRIBUTE.finditer(text.partition("Attributes:\n")[2]):
        yield found[2], " ".join(found[3].split()).replace("None", "null")


if __name__ == "__main__":
    for file, text in schemas().items():
        (FOLDER / file).write_text(text, encoding="utf-8")

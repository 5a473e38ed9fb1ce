"""Whether settings made in Python hold what their fields state."""

from dataclasses import fields
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args, get_type_hints

KINDS: dict[Any, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
}


def require_kinds(settings: Any) -> None:  # noqa: ANN401
    """Refuse a frozen record with a value of another kind than its field's (TypeError).

    Only fields of one kind are looked at. NumPy's numbers become Python's, which JSON
    can hold.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        hint, value = hints[field.name], getattr(settings, field.name)
        stated = get_args(hint) or (hint,)
        if value is None and NoneType in stated:
            continue
        own = [kind for kind in stated if kind is not NoneType]
        if len(own) > 1 or own[0] not in KINDS:
            continue
        kind, told = KINDS[own[0]]
        switch = isinstance(value, bool) and kind is not bool
        if switch or not isinstance(value, kind):
            raise TypeError(f"{field.name} must be {told}, not {value!r:.40}")
        if not isinstance(value, (int, float, str)):
            object.__setattr__(settings, field.name, own[0](value))

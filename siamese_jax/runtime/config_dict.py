"""Frozen records from a ConfigDict's values, checked by name and type."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from siamese_jax.errors import InputError

Record = TypeVar("Record")


def record(kind: type[Record], given: Mapping[str, Any], where: str, example: str) -> Record:
    """Returns the frozen record of type `kind` with the values of `given`, nested records included.

    Messages name the values by `where`, as in "config.network", and `example`, a file that shows every key. Raises
    InputError where a key is unknown or missing, a value is of the wrong type, or the record refuses it.
    """
    types = typing.get_type_hints(kind)
    for key in given:
        if key not in types:
            near = difflib.get_close_matches(key, types, 1)
            raise InputError(f"{where} key {key!r} is unknown" + (f"; did you mean {near[0]!r}?" if near else ""))
    missing = [key for key in types if key not in given]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; {example} shows every key")
    return kind(**{key: _typed(f"{where}.{key}", given[key], types[key], example) for key in types})


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested groups by dotted names, as on the command line: "protocol.n_draws"."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _typed(where: str, value: Any, expected: Any, example: str) -> Any:
    origin, inside = typing.get_origin(expected), typing.get_args(expected)
    if (dataclasses.is_dataclass(expected) or origin is dict) and not isinstance(value, Mapping):
        raise InputError(f"{where} is {value!r}; expected a group of keys")
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        return record(expected, value, where, example)
    if origin is dict:
        return {key: _typed(f"{where}.{key}", item, inside[1], example) for key, item in value.items()}
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} is {value!r}; expected a tuple")
        return tuple(_typed(where, item, inside[0], example) for item in value)
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{where} holds {value!r}; expected {expected.__name__}")
    return expected(value)

"""Frozen records from a ConfigDict's values, checked by name and type."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from siamese_jax.errors import InputError

Record = TypeVar("Record")


def record(kind: type[Record], given: Mapping[str, Any], where: str, example: str) -> Record:
    """The frozen record of type `kind` with the values of `given`, records inside it among them.

    Args:
      where: what the values are called in messages, as in "config.network".
      example: a file that shows every key.

    Raises:
      InputError: a key is unknown or missing, a value is of the wrong type, or the record refuses it.
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


def _typed(where: str, value: Any, expected: Any, example: str) -> Any:
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} is {value!r}; expected a group of keys")
        return record(expected, value, where, example)
    if typing.get_origin(expected) is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} is {value!r}; expected a group of keys")
        inside = typing.get_args(expected)[1]
        return {key: _typed(f"{where}.{key}", item, inside, example) for key, item in value.items()}
    if typing.get_origin(expected) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} is {value!r}; expected a tuple")
        return tuple(_typed(where, item, typing.get_args(expected)[0], example) for item in value)
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{where} holds {value!r}; expected {expected.__name__}")
    return expected(value)

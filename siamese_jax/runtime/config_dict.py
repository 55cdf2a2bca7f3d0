"""Frozen records from a ConfigDict's values, checked by name and type."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ml_collections import ConfigDict

from siamese_jax.errors import InputError
from siamese_jax.runtime.terminal import printable

Record = TypeVar("Record")

LARGEST_INT = 2**32 - 1  # a seed's: JAX drops the bits above, so that larger seeds would equal smaller ones
LARGEST_FLOAT = 3e38  # float32's
LONGEST_TEXT = 4096  # characters, as of a path
MOST_ITEMS = 1000  # of a tuple
LONGEST_SHOWN = 200


def record(kind: type[Record], given: Mapping[str, Any], where: str, example: str) -> Record:
    """Returns the frozen record of type `kind` with the values of `given`, nested records included.

    Messages name the values by `where`, as in "config.network", and `example`, a file that shows every key. Raises
    InputError where a key is unknown or missing, a value is of the wrong type, or the record refuses it.
    """
    types = typing.get_type_hints(kind)
    for key in given:
        if key not in types:
            near = difflib.get_close_matches(str(key), types, 1)
            raise InputError(f"{where} key {shown(key)} is unknown" + (f"; did you mean {near[0]!r}?" if near else ""))
    missing = [key for key in types if key not in given]
    if missing:
        raise InputError(f"{where} lacks {', '.join(missing)}; {example} shows every key")
    return kind(**{key: _typed(f"{where}.{key}", given[key], types[key], example) for key in types})


def values(config: ConfigDict) -> dict[str, Any]:
    """The values of a configuration, nested. Raises InputError if it holds itself."""
    try:
        nested: dict[str, Any] = config.to_dict()
        flat(nested)  # visits every group
        return nested
    except RecursionError:
        raise InputError("config is nested too deep; a group must not hold itself") from None
    except TypeError as error:  # keys are sorted
        raise InputError(f"config has keys that are no texts ({error}); name every setting by a text") from error


def shown(value: Any) -> str:
    """A value for a message, cut to a length that a message bears."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write an integer of thousands of digits
        return f"a number of type {type(value).__name__} that is too large"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested groups by dotted names, as on the command line: "protocol.n_draws"."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _typed(where: str, value: Any, expected: Any, example: str) -> Any:
    origin, inside = typing.get_origin(expected), typing.get_args(expected)
    if (dataclasses.is_dataclass(expected) or origin is dict) and not isinstance(value, Mapping):
        raise InputError(f"{where} is {shown(value)}; expected a group of keys")
    if dataclasses.is_dataclass(expected) and isinstance(expected, type):
        return record(expected, value, where, example)
    if origin is dict:
        if strange := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"{where} holds the key {shown(strange[0])}; expected names")
        return {key: _typed(f"{where}.{key}", item, inside[1], example) for key, item in value.items()}
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} is {shown(value)}; expected a tuple")
        if len(value) > MOST_ITEMS:
            raise InputError(f"{where} holds {len(value)} values; expected {MOST_ITEMS} at most")
        return tuple(_typed(where, item, inside[0], example) for item in value)
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{where} holds {shown(value)}; expected {expected.__name__}")
    return _bounded(where, value, expected)


def _bounded(where: str, value: Any, expected: Any) -> Any:
    """The value as its type. Raises InputError for a number or a text that nothing here can work with."""
    if isinstance(value, str) and (len(value) > LONGEST_TEXT or value != printable(value)):
        raise InputError(
            f"{where} holds {shown(value)}; expected at most {LONGEST_TEXT} characters and no control character"
        )
    if expected is int and abs(value) > LARGEST_INT:
        raise InputError(f"{where} holds {shown(value)}; expected a number of at most {LARGEST_INT}")
    if expected is float and not abs(value) <= LARGEST_FLOAT:
        raise InputError(f"{where} holds {shown(value)}; expected a finite number of at most {LARGEST_FLOAT:g}")
    return expected(value)

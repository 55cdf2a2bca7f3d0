"""A recipe from the parameters that users give, checked."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.recognizer import network_settings
from siamese_jax.recognizer.methods import ADAPTATIONS, METHODS, SETTINGS
from siamese_jax.recognizer.transfer import Recipe

NOT_ADAPTED = ("siamese",)
"""Methods without adaptations: the protocols have none of the paper's network."""


def recipe(
    method: str, adaptation: str | None, c: float, scale_floor: float, loss: str, seed: int,
    layers: Sequence[Any] = (),
) -> Recipe:  # fmt: skip
    """Returns the recipe of a method; adaptation None is "balanced", or "none" for a method that has none.

    Raises InputError for unknown names, numbers out of range, and parameters that do not go together.
    """
    for name, value, known in (("method", method, METHODS), ("adaptation", adaptation, ADAPTATIONS)):
        if value not in known and (name, value) != ("adaptation", None):
            raise InputError(f"{name} {value!r:.80}; expected one of {', '.join(known)}")
    if method in NOT_ADAPTED and adaptation not in (None, "none"):
        raise InputError(f"the method {method} has no adaptation {adaptation!r}; give 'none', or another method")
    for name, number in (("c", c), ("scale_floor", scale_floor)):
        if not (isinstance(number, int | float) and 0 < number < np.inf):
            raise InputError(f"{name} is {number!r:.40}; expected a positive number")
    network = network_settings.of_method(method, loss, seed)
    adaptation = adaptation or ("none" if method in NOT_ADAPTED else "balanced")
    columns = tuple(np.asarray(columns, int) for columns in layers)
    return Recipe(method, dataclasses.replace(SETTINGS, c=float(c)), adaptation, scale_floor, columns, network)

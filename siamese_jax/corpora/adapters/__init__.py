"""Corpora: one module each, from a folder to a manifest."""

import difflib
import functools
from collections.abc import Callable, Collection
from pathlib import Path

from siamese_jax.corpora.adapters import casia, cremad, emodb, emovo, enterface05, iemocap, nemo, ravdess, savee, tess
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.corpora.scanning import Label, scan_names
from siamese_jax.errors import InputError

__all__ = ["CORPORA", "NAME_PARSERS", "Clip", "Label", "Manifest", "name_parser", "scan"]

_ADAPTERS = (ravdess, cremad, enterface05, emodb, savee, emovo, tess, nemo, casia, iemocap)

CORPORA: dict[str, Callable[..., Manifest]] = {
    adapter.LAYOUT.corpus: getattr(adapter, "scan", functools.partial(scan_names, layout=adapter.LAYOUT))
    for adapter in _ADAPTERS
}
"""From a corpus' short name to its `scan(root, **options)`."""

NAME_PARSERS: dict[str, Callable[[str], Label | None]] = {
    adapter.LAYOUT.corpus: adapter.LAYOUT.parse for adapter in _ADAPTERS if adapter is not iemocap
}
"""From a corpus' short name to the reader of its clip ids, for tables that hold nothing but the id. Names of IEMOCAP do
not tell the emotion."""


def scan(name: str, root: str | Path, **options: bool) -> Manifest:
    """Returns the manifest of corpus `name` below `root`; `options` are those of the corpus' own `scan`.

    Raises InputError for an unknown corpus or option, or where the folder does not hold the corpus.
    """
    if name not in CORPORA:
        raise InputError(_unknown(name, CORPORA) + "; for other recordings, write a CSV manifest")
    try:
        return CORPORA[name](root, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(
            f"corpus {name}: {error}; see scan in siamese_jax.corpora.adapters.{name} for its options"
        ) from error


def name_parser(corpus: str) -> Callable[[str], Label | None]:
    """Returns the reader of a corpus' clip ids. Raises InputError where it is unknown, or its ids tell no emotion."""
    if corpus not in NAME_PARSERS:
        raise InputError(
            _unknown(corpus, NAME_PARSERS) + "; for other tables, give a companion CSV with clip, emotion, speaker "
            "(config.data.source_companion or target_companion)"
        )
    return NAME_PARSERS[corpus]


def _unknown(name: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(name.lower(), known, 1)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return f"unknown corpus {name!r}{hint}, expected one of {', '.join(known)}"

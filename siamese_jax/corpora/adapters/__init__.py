"""Corpora: one module each, from a folder to a manifest."""

import difflib
from collections.abc import Callable
from pathlib import Path

from siamese_jax.corpora.adapters import casia, cremad, emodb, emovo, enterface05, iemocap, nemo, ravdess, savee, tess
from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.corpora.scanning import Label
from siamese_jax.errors import InputError

__all__ = ["CORPORA", "NAME_PARSERS", "Clip", "Label", "Manifest", "name_parser", "scan"]

CORPORA: dict[str, Callable[..., Manifest]] = {
    "ravdess": ravdess.scan,
    "cremad": cremad.scan,
    "enterface05": enterface05.scan,
    "emodb": emodb.scan,
    "savee": savee.scan,
    "emovo": emovo.scan,
    "tess": tess.scan,
    "nemo": nemo.scan,
    "casia": casia.scan,
    "iemocap": iemocap.scan,
}
"""From a corpus' short name to its `scan(root, **options)`."""

NAME_PARSERS: dict[str, Callable[[str], Label | None]] = {
    "ravdess": ravdess.parse_name,
    "cremad": cremad.parse_name,
    "enterface05": enterface05.parse_name,
    "emodb": emodb.parse_name,
    "savee": savee.parse_name,
    "emovo": emovo.parse_name,
    "tess": tess.parse_name,
    "nemo": nemo.parse_name,
    "casia": casia.parse_name,
}
"""From a corpus' short name to the reader of its clip ids, for tables that hold nothing but the id. Corpora whose
names do not tell the emotion are missing here."""


def scan(name: str, root: str | Path, **options: bool) -> Manifest:
    """The manifest of corpus `name` below `root`; `options` are those of the corpus' own `scan`.

    Raises:
      InputError: an unknown corpus or option, or the folder does not hold the corpus.
    """
    if name not in CORPORA:
        raise InputError(_unknown(name, tuple(CORPORA)) + "; for other recordings, write a CSV manifest")
    try:
        return CORPORA[name](root, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(
            f"corpus {name}: {error}; see the scan function of siamese_jax.corpora.adapters.{name}"
        ) from error


def name_parser(corpus: str) -> Callable[[str], Label | None]:
    """The reader of a corpus' clip ids.

    Raises:
      InputError: an unknown corpus, or one whose clip ids do not tell the emotion.
    """
    if corpus not in NAME_PARSERS:
        raise InputError(
            _unknown(corpus, tuple(NAME_PARSERS))
            + "; for other tables, give a companion CSV with clip, emotion, speaker"
        )
    return NAME_PARSERS[corpus]


def _unknown(name: str, known: tuple[str, ...]) -> str:
    nearest = difflib.get_close_matches(name.lower(), known, 1)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return f"unknown corpus {name!r}{hint}, expected one of {', '.join(known)}"

"""What ships with the package, a card (.md) beside each: feature tables of two corpora, and a speech encoder."""

from pathlib import Path

from siamese_jax.errors import InputError
from siamese_jax.runtime.files import user_path

SHIPPED = ("emodb", "ravdess")
"""Names of the corpora whose feature tables ship."""

FEATURE_SETS = ("is09", "whisper")
"""The feature sets of the shipped tables: the paper's 64, and those of the speech encoder that ships."""

SPEECH_ENCODERS = ("tiny.en",)
"""Names of the speech encoders that ship."""

_FOLDER = Path(__file__).parent

RECOGNIZER = _FOLDER / "recognizer"
"""The folder of the model that ships: four emotions, trained on both corpora."""


def shipped(name: str, features: str = "is09") -> Path:
    """Returns the path of a shipped table, for `siamese_jax.datasets.table_files.read_table`, or raises InputError."""
    if name not in SHIPPED:
        raise InputError(f"no shipped table {name!r}; expected one of {', '.join(SHIPPED)}, or give a table's path")
    if features not in FEATURE_SETS:
        raise InputError(f"no shipped table of {features!r} features; expected one of {', '.join(FEATURE_SETS)}")
    return _FOLDER / f"{name}_{features}.npz"


def speech_encoder(encoder: str) -> Path:
    """Returns the folder of an encoder that ships, by its name, or of another, by its path.

    Raises InputError where there is neither.
    """
    if encoder in SPEECH_ENCODERS:
        return _FOLDER / f"whisper_{encoder.replace('.', '_')}"
    path = user_path(encoder)
    if not path.is_dir():
        raise InputError(
            f"{encoder}: no such folder; expected {', '.join(SPEECH_ENCODERS)}, or the folder of a Whisper model"
        )
    return path

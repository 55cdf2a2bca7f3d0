"""Feature tables that ship with the package, a card (.md) beside each: origin, licence, counts, checksums."""

from pathlib import Path

from siamese_jax.errors import InputError

SHIPPED = ("emodb", "ravdess")
"""Names of the shipped tables: a source and a target corpus."""


def shipped(name: str) -> Path:
    """Returns the path of a shipped table, for `siamese_jax.datasets.table_files.read_table`, or raises InputError."""
    if name not in SHIPPED:
        raise InputError(f"no shipped table {name!r}; expected one of {', '.join(SHIPPED)}, or give a table's path")
    return Path(__file__).parent / f"{name}_is09.npz"

"""Mutated tables by the thousand: each is read, or refused in the project's own words, soon and in little memory."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import mutants
import numpy as np
import pytest
from mutants import Random, csv, mutated_bytes, pick
from tables_for_tests import EMOTIONS, RAVDESS_IDS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.datasets.npz_files import read_arrays
from siamese_jax.datasets.table_files import read_table, write_table

pytestmark = pytest.mark.sweep

MUTANTS = 1000
DTYPES = ("<f4", "<f8", ">f8", "<f2", "<c8", "<i8", "|b1", "|S3", "<U2", "|O", "|V8", "|V0", "<U0", "<m8[s]", "<M8[D]",
          "[('a', '<f4'), ('b', '<i4')]", "<q9", "", "<f16")  # fmt: skip
SHAPES = ("()", "(40,)", "40", "(40, 64)", "(1000000000, 1000000000)", "(0,)", "(-1,)", "(40, 0)", "(1,) * 9", "(2.5,)")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def member(rng: Random, array: np.ndarray) -> bytes:
    """An array in NumPy's format; the header, the values or the bytes may be mutated."""
    file = io.BytesIO()
    kind = pick(rng, ("none", "header", "text", "value", "dtype", "bytes"))
    if kind == "text" and array.dtype.kind == "U" and array.size:
        array = array.astype(object)
        array.flat[int(rng.integers(array.size))] = pick(rng, mutants.TEXTS)[:100]
        array = array.astype(np.str_)
    if kind == "value" and array.dtype.kind == "f":
        array = array.copy()
        array.flat[int(rng.integers(array.size))] = pick(rng, (np.nan, np.inf, -0.0, 3e38))
    if kind == "dtype" and array.dtype.kind == "U":
        array = np.char.encode(array, "utf-8", "replace")
    np.lib.format.write_array(file, array, allow_pickle=False)
    content = file.getvalue()
    if kind == "header":
        begin, descr = content.index(b"\n") + 1, pick(rng, DTYPES)
        descr = descr if descr.startswith("[") else repr(descr)
        shape = pick(rng, (*SHAPES, str(array.shape)))
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        length = len(header).to_bytes(2, "little")
        return b"\x93NUMPY\x01\x00" + length + header.encode() + content[begin:]
    return mutated_bytes(rng, content) if kind == "bytes" else content


def npz(rng: Random, path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an archive of mutated members: renamed, left out, doubled, encrypted, or damaged as a whole."""
    file = io.BytesIO()
    which = pick(rng, list(arrays)) if rng.random() < 0.8 else ""
    with zipfile.ZipFile(file, "w", pick(rng, METHODS)) as archive:
        for name, array in arrays.items():
            content = member(rng, array) if name == which else plain(array)
            change = pick(rng, ("name", "path", "twice", "gone")) if name == which and rng.random() < 0.2 else ""
            target = {"name": name, "path": f"../{name}.npy"}.get(change, f"{name}.npy")
            if change != "gone":
                archive.writestr(target, content)
            if change == "twice":
                archive.writestr(name, content)
    content = file.getvalue()
    if rng.random() < 0.1:
        at = content.index(b"PK\x01\x02", int(rng.integers(len(content) // 2)))
        content = content[: at + 8] + bytes([content[at + 8] | 1]) + content[at + 9 :]
    path.write_bytes(mutated_bytes(rng, content) if rng.random() < 0.4 else content)


def plain(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def use(path: Path, corpus: str | None, companion: Path | None) -> None:
    """Reads a table, makes a dataset of it, and writes it again."""
    table = read_table(path, corpus=corpus, companion=companion)
    write_table(path.with_name("again.npz"), table)
    assert read_table(path.with_name("again.npz")).clip.tolist() == table.clip.tolist()
    dataset.from_table(table, EMOTIONS, str(path))


def sweep(make: Callable[[Random, Path], None], path: Path, **how) -> int:
    return mutants.sweep(lambda rng: make(rng, path), lambda: use(path, **how), MUTANTS)


def test_mutated_tables_of_our_own(tmp_path: Path) -> None:
    write_table(tmp_path / "good.npz", make_table())
    arrays = read_arrays(tmp_path / "good.npz")
    n_read = sweep(lambda rng, path: npz(rng, path, arrays), tmp_path / "t.npz", corpus=None, companion=None)
    assert 0.1 * MUTANTS < n_read < 0.9 * MUTANTS


def test_mutated_npz_tables_of_others(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(len(RAVDESS_IDS), 5))
    arrays = {"X": x, "names": np.array(RAVDESS_IDS), "feature_names": np.array(list("abcde"))}
    n_read = sweep(lambda rng, path: npz(rng, path, arrays), tmp_path / "t.npz", corpus="ravdess", companion=None)
    assert 0 < n_read < 0.9 * MUTANTS


@pytest.mark.parametrize("labels", ["columns", "ids", "companion"])
def test_mutated_csv_tables(tmp_path: Path, labels: str) -> None:
    ids = [["id"], *([name] for name in RAVDESS_IDS)]
    own = [["emotion", "speaker"], *([EMOTIONS[i % 4], f"s{i // 4}"] for i in range(len(RAVDESS_IDS)))]
    values = [["a", "b"], *([f"{i}.5", "-1e3"] for i in range(len(RAVDESS_IDS)))]
    companion = tmp_path / "labels.csv"
    companion.write_text("\n".join(",".join(["clip" if i == "id" else i, *row]) for (i,), row in zip(ids, own)))
    middle = own if labels == "columns" else [[] for _ in own]
    cells = [[*a, *b, *c] for a, b, c in zip(ids, middle, values)]
    how = {"corpus": "ravdess" if labels == "ids" else None, "companion": companion if labels == "companion" else None}
    assert sweep(lambda rng, path: csv(rng, path, cells), tmp_path / "t.csv", **how) > 0


def test_mutated_companions(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["id,a", *(f"{name},1.5" for name in RAVDESS_IDS)]))
    cells = [["clip", "emotion", "speaker"], *([name, "anger", "s"] for name in RAVDESS_IDS)]
    for i, row in enumerate(cells[1:]):
        row[1:] = [EMOTIONS[i % 4], f"s{i // 4}"]
    companion = tmp_path / "labels.csv"

    def make(rng: Random, path: Path) -> None:
        csv(rng, companion, cells)

    assert sweep(make, table, corpus=None, companion=companion) > 0

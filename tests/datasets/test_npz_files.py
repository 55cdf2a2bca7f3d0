"""npz files from anywhere: what they may hold, and how much."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tables_for_tests import RAVDESS_IDS, raw, table_of

from siamese_jax.datasets.npz_files import read_arrays
from siamese_jax.datasets.table_files import read_table, write_table
from siamese_jax.errors import InputError


def fields_of_a_table(tmp_path: Path) -> dict[str, np.ndarray]:
    write_table(tmp_path / "good.npz", table_of(raw(4)))
    return read_arrays(tmp_path / "good.npz")


def with_header(shape: str, descr: str = "<f4", data: bytes = bytes(48)) -> bytes:
    """A member in NumPy's format whose header says this."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def test_an_archive_is_read_as_numpy_reads_it(tmp_path: Path) -> None:
    arrays = {"a": raw(3), "b": np.asfortranarray(raw(3)), "c": np.array(["x", "yé"]), "d": np.zeros((0, 3))}
    np.savez(tmp_path / "t.npz", **arrays, e=np.arange(3).astype(">i2"), f=np.float64(2.5))
    with np.load(tmp_path / "t.npz") as expected:
        for name, array in read_arrays(tmp_path / "t.npz").items():
            np.testing.assert_array_equal(array, expected[name])
            assert array.dtype == expected[name].dtype


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damage", ["cut", "zeros", "flip"])
def test_a_damaged_archive_is_one_message(tmp_path: Path, method: int, damage: str) -> None:
    file = tmp_path / "t.npz"
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("X.npy", with_header("(500, 3)", data=np.random.default_rng(0).bytes(6000)))
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:3000]
    elif damage == "zeros":
        content[1000:1200] = bytes(200)
    else:
        content[2000] ^= 16
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.npz: cannot be read as npz"):
        read_table(file)


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=raw(3))
    content = bytearray((tmp_path / "t.npz").read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"'X\.npy' is encrypted; write the file again without a password"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(
    "member",
    [
        with_header("(1000000000, 1000000000)"),
        with_header("(1000000000, 1000000000)", "|V0"),
        with_header("(10000000000,)", "<U0", b""),
        with_header("(-4, -3)"),
        with_header("12"),
        with_header("(4, 3)", "|O"),
        with_header("(4, 3)", "<m8[s]"),
        with_header("(4, 3"),
        with_header("(4, 3)", "<q9"),
        b"\x93NUMPY\x03\x00" + with_header("(4, 3)")[8:],
    ],
)
def test_a_header_that_declares_more_than_is_there_allocates_nothing(tmp_path: Path, member: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("X.npy", member)
    with pytest.raises(InputError, match="cannot be read as npz"):
        read_table(tmp_path / "t.npz")


def test_a_small_archive_of_gigabytes_of_zeros_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", with_header("(20000000,)", data=bytes(80_000_000)))
    with pytest.raises(InputError, match="bytes that expand to 80,000,128, more than the 67,108,864 that are read"):
        read_table(tmp_path / "t.npz")


def test_a_workbook_is_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(InputError, match=r"a zip archive without NumPy arrays \('\[Content_Types\]\.xml'\)"):
        read_table(tmp_path / "t.xlsx")


def test_two_arrays_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("X", with_header("(4, 3)"))
        archive.writestr("X.npy", with_header("(4, 3)"))
    with pytest.raises(InputError, match="two arrays are named 'X'"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": np.array("a")}, r"clip has shape \(\), expected \(4,\)"),
        ({"feature_names": np.array("f0")}, r"feature_names have shape \(\)"),
        ({"speaker": np.zeros(4, [("a", "<f4"), ("b", "<i4")])}, "'speaker.npy' holds"),
        ({"emotion": np.zeros(4)}, "emotion: holds float64, expected texts"),
        ({"speaker": np.array(["a", "b", "\ud800", "d"])}, "speaker, row 2: holds the code 0xd800"),
        ({"clip": np.array(["a", "b\0c", "d", "e"])}, "clip, row 1: holds the code 0x0"),
        ({"clip": np.array([0x110000], "<u4").view("<U1").repeat(4)}, "clip, row 0: holds the code 0x110000"),
        ({"speaker": np.array([b"\xff"] * 4)}, "speaker: holds bytes that are not UTF-8"),
        ({"features": raw(4).astype("m8[s]")}, "'features.npy' holds timedelta64"),
        ({"features": raw(4) * 1j}, "are complex128; expected real numbers"),
        ({"features": np.zeros((4, 0)), "feature_names": np.zeros(0, "U1")}, "F > 0"),
        ({"made": np.zeros((40, 0))}, "made: holds float64"),
        ({"made": np.array("[]")}, "no JSON object"),
        ({"made": np.array("[" * 100_000)}, "`made` is no JSON"),
        ({"made": np.array('{"scaled": []}')}, "no JSON object with a text `scaled`"),
    ],
)
def test_a_column_of_another_kind_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "t.npz", **{**fields_of_a_table(tmp_path), **changes})
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.npz")


def test_columns_of_bytes_are_texts(tmp_path: Path) -> None:
    arrays = fields_of_a_table(tmp_path)
    texts = {name: np.char.encode(array) for name, array in arrays.items() if array.dtype.kind == "U"}
    np.savez(tmp_path / "t.npz", **{**arrays, **texts})
    assert read_table(tmp_path / "t.npz").clip.tolist() == [f"clip_{row}" for row in range(4)]


@pytest.mark.parametrize(
    "ids",
    [
        np.array(RAVDESS_IDS, "S"),
        np.array([f"b'{name}'" for name in RAVDESS_IDS]),
        np.array([f"C:\\audio\\Actor_01\\{name}.wav" for name in RAVDESS_IDS]),
        np.array(RAVDESS_IDS).astype(">U20"),
    ],
    ids=["bytes", "printed bytes", "backslashes", "big-endian"],
)
def test_ids_of_bytes_and_with_backslashes_are_read(tmp_path: Path, ids: np.ndarray) -> None:
    np.savez(tmp_path / "t.npz", X=raw(len(ids)), names=ids)
    assert read_table(tmp_path / "t.npz", corpus="ravdess").clip.tolist() == RAVDESS_IDS

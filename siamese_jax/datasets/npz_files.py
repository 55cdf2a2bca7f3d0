"""Arrays of an npz from anywhere: nothing is unpickled, and nothing is allocated that the file does not hold."""

import io
import lzma
import math
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from siamese_jax.corpora.csv_files import some
from siamese_jax.errors import InputError, first_line

_DAMAGE = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError,
    SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""Errors of zipfile, its decompressors and NumPy's header reader on a damaged file."""

_KINDS = "biufcUS"
"""Kinds of arrays that are read: booleans, numbers, texts and bytes."""

_LEAST_ALLOWED = 64 * 2**20
_MOST_EXPANSION = 8
"""Arrays may take 64 MiB, or 8 times the size of their file: real features shrink by less than a half."""

_HEADER = 2**16  # bytes that hold any header which NumPy reads
_MOST_EMPTY = 10**6  # entries of an array that takes no bytes
_CHUNK, _CHUNK_UNBOUNDED = 2**20, 2**12
"""Bytes that are decompressed at a time; few where a decompressor returns all that they expand to."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an npz by name; members that are no arrays are left out.

    Raises InputError, naming file and array, where the file is damaged, encrypted or expands to more than
    max(64 MiB, 8 times its size), an array is not of numbers or texts or is not as long as its header says, or two
    arrays have one name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_size(path, members)
            arrays: dict[str, np.ndarray] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise InputError(f"{path}: two arrays are named {name!r}; keep one of them")
                array = _read_member(path, archive, member)
                if array is not None:
                    arrays[name] = array
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(_unreadable(path, first_line(error))) from error
    if not arrays:
        held = some([repr(member.filename) for member in members]) or "nothing"
        raise InputError(f"{path}: a zip archive without NumPy arrays ({held}); expected an npz, or a CSV file")
    return arrays


def _unreadable(path: Path, reason: str) -> str:
    return f"{path}: cannot be read as npz ({reason}); write it again, without Python objects"


def _check_size(path: Path, members: list[zipfile.ZipInfo]) -> None:
    size, total = path.stat().st_size, sum(member.file_size for member in members)
    allowed = max(_LEAST_ALLOWED, _MOST_EXPANSION * size)
    if total > allowed:
        raise InputError(
            f"{path}: {size:,} bytes that expand to {total:,}, more than the {allowed:,} that are read; expected "
            "features, which hardly shrink. Write the file without compression (numpy.savez) if its content is right"
        )


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray | None:
    if member.flag_bits & 1:
        raise InputError(f"{path}: {member.filename!r} is encrypted; write the file again without a password")
    content = bytearray()
    bounded = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    chunk = _CHUNK if bounded else _CHUNK_UNBOUNDED
    with archive.open(member) as file:
        while block := file.read(chunk):
            content += block
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        return None
    return _parsed(path, member.filename, content)


def _parsed(path: Path, name: str, content: bytearray) -> np.ndarray:
    """Returns the array of a member in NumPy's format, in the memory of `content`."""
    file = io.BytesIO(content[:_HEADER])
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise InputError(_unreadable(path, f"{name!r} is of format version {version}, expected 1.0 or 2.0"))
    shape, fortran_order, dtype = readers[version](file)
    if dtype.kind not in _KINDS:
        raise InputError(_unreadable(path, f"{name!r} holds {dtype}, expected numbers or texts"))
    count, held = math.prod(shape), len(content) - file.tell()
    empty = not dtype.itemsize or not count
    if min(shape, default=0) < 0 or (empty and max(shape, default=0) > _MOST_EMPTY) or count * dtype.itemsize != held:
        declared = f"{dtype} {shape}, which takes {count * dtype.itemsize:,} bytes, but {held:,} are there"
        raise InputError(_unreadable(path, f"{name!r} is declared as {declared}"))
    if empty:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(content, dtype, count, file.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C")


def as_texts(where: str, array: np.ndarray) -> np.ndarray:
    """Returns an array of texts, UTF-8 bytes or whole numbers as texts, of the same shape.

    Raises InputError, naming `where`, for other kinds, bytes that are not UTF-8, and texts as `check_texts`.
    """
    if array.dtype.kind not in "USiu":
        raise InputError(f"{where}: holds {array.dtype}, expected texts; write the table again")
    try:
        texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.astype(np.str_)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: holds bytes that are not UTF-8 ({error}); write it as text") from error
    check_texts(where, texts)
    return texts


def check_texts(where: str, texts: np.ndarray) -> None:
    """Raises InputError, naming `where` and the row, for a text with a NUL, a lone surrogate or no character at all.

    Such texts have no UTF-8, or are cut off where they are stored.
    """
    if not texts.size or not texts.dtype.itemsize:
        return
    native = np.ascontiguousarray(texts, texts.dtype.newbyteorder("="))
    codes = native.reshape(-1).view(np.uint32).reshape(texts.size, -1)
    lengths = np.char.str_len(native.reshape(-1))
    inside = np.arange(codes.shape[1]) < np.reshape(lengths, (-1, 1))
    bad = ((codes == 0) & inside) | ((codes >= 0xD800) & (codes <= 0xDFFF)) | (codes > 0x10FFFF)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{where}, row {row}: holds the code {codes[row, column]:#x}, which is no character; expected text in "
            "UTF-8. Correct the names and write the table again"
        )

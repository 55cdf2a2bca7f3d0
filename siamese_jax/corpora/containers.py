"""The length of the sound that a file's header declares: a download that stopped half-way is told by it.

libsndfile and FFmpeg read as much as there is, in most formats without an error. Formats without a length in their
header (IRCAM, PAF, PVF, MP3 without a Xing header, MPEG streams) cannot be told.
"""

import io
from collections.abc import Callable
from typing import BinaryIO

from siamese_jax.corpora.header_bytes import Declared, at, only_chunks
from siamese_jax.corpora.sound_headers import au, caf, iff, nist, ogg, sds, voc, wave, wave64, wve
from siamese_jax.corpora.video_headers import flash, matroska, mp4

_MOST_REPAIRED = 2**28  # bytes of a file whose header is corrected, in memory


def declared(file: BinaryIO, length: int) -> Declared | None:
    """Returns what the header of `file`, of `length` bytes, declares; None for another format or a broken header."""
    reader = _READERS.get(at(file, 0, 4))
    found = reader(file, length) if reader else None
    if found is None and at(file, 4, 4) == b"ftyp":
        found = mp4(file, length)
    if found is None and at(file, 0, 20) == b"Creative Voice File\x1a":
        found = voc(file, length)
    return found or sds(file, length)


def is_video(file: BinaryIO) -> bool | None:
    """Returns whether FFmpeg is to read the file, whatever its suffix; None where its first bytes do not tell."""
    head = at(file, 0, 16)
    if head[:4] in _READERS and head[:4] not in (b"FLV\x01", b"\x1aE\xdf\xa3"):
        return {b"AVI ": True, b"WAVE": False}.get(head[8:12]) if head.startswith(b"RIF") else False
    if head[:4] == b"fLaC" or head[:3] == b"Cre":
        return False
    videos = (b"FLV\x01", b"\x1aE\xdf\xa3", b"\x30\x26\xb2\x75", b"\0\0\x01\xba")  # FLV, Matroska, ASF, MPEG
    return True if head[4:8] == b"ftyp" or head.startswith(videos) else None


def repaired(file: BinaryIO, length: int) -> io.BytesIO | None:
    """Returns the file's content with the real length of its sound in the header; None where no sound lies behind it.

    For headers that declare no bytes, do not know, or declare a little too much.
    """
    found = declared(file, length)
    if found is None or not found.width or not found.start < length <= _MOST_REPAIRED:
        return None
    if found.size == 0 and only_chunks(file, found.start, length, found.order):
        return None
    content = bytearray(at(file, 0, length))
    size = min(length - found.start + found.extra, 2 ** (8 * found.width) - 1)
    content[found.field : found.field + found.width] = size.to_bytes(found.width, found.order)
    return io.BytesIO(content)


_READERS: dict[bytes, Callable[[BinaryIO, int], Declared | None]] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), wave),
    b"riff": wave64,
    b"FORM": iff,
    **dict.fromkeys((b".snd", b"dns."), au),
    b"NIST": nist,
    b"OggS": ogg,
    b"ALaw": wve,
    b"caff": caf,
    b"FLV\x01": flash,
    b"\x1aE\xdf\xa3": matroska,
}

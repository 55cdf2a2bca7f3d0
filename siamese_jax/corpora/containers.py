"""The length of the sound that a file's header declares: a download that stopped half-way is told by it.

libsndfile and FFmpeg read as much as there is, in most formats without an error. Formats without a length in their
header (IRCAM, PAF, PVF, MP3 without a Xing header, AAC in ADTS, MPEG streams) cannot be told.
"""

import dataclasses
import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

UNKNOWN = -1
"""The length in the header of a program that wrote to a pipe and could not know it."""

HEADER_SLACK = 44  # bytes; programs write the size of the file, wav's 44 bytes of header included, as that of the sound
_STREAM_SLACK = 2**20  # programs that cannot know the length claim nearly 2 or 4 GiB
_MOST_CHUNKS = 4096  # chunks that are walked before the sound
_MOST_REPAIRED = 2**28  # bytes of a file whose header is corrected, in memory
_MOST_TEXT = 65536  # bytes of a header in plain text


@dataclasses.dataclass(frozen=True)
class Declared:
    """The sound of a file as its header declares it: `size` bytes from `start`, or UNKNOWN.

    `field`, `width` and `order` locate the number in the header, which counts `extra` bytes more; a width of 0 means
    that it is written otherwise. A file that lacks `slack` bytes is whole. `is_open` tells
    whether the mark of its end is missing.
    """

    start: int
    size: int
    field: int = 0
    width: int = 0
    order: str = "little"
    extra: int = 0
    slack: int = HEADER_SLACK
    is_open: bool = False

    def is_inexact(self, length: int) -> bool:
        """Returns whether a 64-bit size is unknown or too long, which libsndfile takes at its word."""
        return self.width == 8 and (self.size == UNKNOWN or self.start + self.size > length)

    def missing(self, length: int) -> int:
        """Returns the number of bytes that are missing in a file of `length` bytes; 0 for a whole file."""
        missing = self.start + self.size - length
        if self.size in (UNKNOWN, length) or missing <= self.slack:
            return 0
        return missing


def declared(file: BinaryIO, length: int) -> Declared | None:
    """Returns what the header of `file`, of `length` bytes, declares; None for another format or a broken header."""
    reader = _READERS.get(_at(file, 0, 4))
    found = reader(file, length) if reader else None
    if found is None and _at(file, 4, 4) == b"ftyp":
        found = _boxes(file, length)
    if found is None and _at(file, 0, 20) == b"Creative Voice File\x1a":
        found = _voc(file, length)
    return found or _sds(file, length)


def is_video(file: BinaryIO) -> bool | None:
    """Returns whether FFmpeg is to read the file, whatever its suffix; None where its first bytes do not tell."""
    head = _at(file, 0, 16)
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
    if found.size == 0 and _only_chunks(file, found.start, length, found.order):
        return None
    content = bytearray(_at(file, 0, length))
    size = min(length - found.start + found.extra, 2 ** (8 * found.width) - 1)
    content[found.field : found.field + found.width] = size.to_bytes(found.width, found.order)
    return io.BytesIO(content)


def _at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, order)  # type: ignore[arg-type]


def _known(size: int, width: int) -> int:
    """Returns a declared size, or UNKNOWN for those that programs write when they cannot know."""
    tops = (2**31, 2**32) if width == 4 else (2**63, 2**64)
    return UNKNOWN if any(0 <= top - size <= _STREAM_SLACK for top in tops) else size


def _chunks(
    file: BinaryIO, start: int, length: int, order: str, width: int = 4, name: int = 4, pad: int = 2, own: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Yields (id, start of the content, size) of the chunks of a file; `own` are header bytes that a size counts."""
    for _ in range(_MOST_CHUNKS):
        header = _at(file, start, name + width)
        if len(header) < name + width:
            return
        content, size = start + name + width, _number(header[name:], order) - own
        yield header[:name], content, size
        start = content + size + -size % pad
        if size < 0 or start > length:
            return


def _only_chunks(file: BinaryIO, start: int, length: int, order: str) -> bool:
    """Returns whether nothing but further chunks (texts, lists) lies between `start` and the file's end."""
    for name, content, size in _chunks(file, start, length, order):
        if not re.fullmatch(rb"[ -~]{4}", name) or content + size > length:
            return False
        if content + size + size % 2 >= length:
            return True
    return False


def _wave(file: BinaryIO, length: int) -> Declared | None:
    """RIFF: wav, RF64 and BW64, whose 64-bit size is in the chunk ds64; and AVI."""
    magic, form = _at(file, 0, 4), _at(file, 8, 4)
    order = "big" if magic == b"RIFX" else "little"
    if form == b"AVI ":
        return _video(file, length)
    long_field = 0
    for name, content, size in _chunks(file, 12, length, order):
        if name == b"ds64":
            long_field = content + 8
        if name == b"data":
            if magic in (b"RF64", b"BW64") and size == 2**32 - 1 and long_field:
                size = _known(_number(_at(file, long_field, 8), order), 8)
                return Declared(content, size, long_field, 8, order)
            return Declared(content, _known(size, 4), content - 4, 4, order)
    return None


def _video(file: BinaryIO, length: int) -> Declared:
    """AVI: its last list `movi` of pictures and sounds. The index behind it may be missing."""
    found = Declared(12, 0)
    for name, content, size in _chunks(file, 0, length, "little"):
        found = Declared(content, _known(size, 4), slack=1) if name == b"RIFF" else found
        end = content + size if _known(size, 4) > 0 else length
        for inner, start, inner_size in _chunks(file, content + 4, min(length, end), "little"):
            if inner == b"LIST" and _at(file, start, 4) == b"movi" and _known(inner_size, 4) > 0:
                found = Declared(start, inner_size, slack=1)
    return found


def _wave64(file: BinaryIO, length: int) -> Declared | None:
    for name, content, size in _chunks(file, 40, length, "little", width=8, name=16, pad=8, own=24):
        if name[:4] == b"data":
            return Declared(content, max(_known(size, 8), UNKNOWN), content - 8, 8, "little", 24)
    return None


def _iff(file: BinaryIO, length: int) -> Declared | None:
    """AIFF and AIFF-C (SSND begins with two numbers), 8SVX and 16SV (BODY)."""
    for name, content, size in _chunks(file, 12, length, "big"):
        if name == b"SSND":
            return Declared(content + 8, _known(max(size - 8, 0), 4), content - 4, 4, "big", 8)
        if name == b"BODY":
            return Declared(content, _known(size, 4), content - 4, 4, "big")
    return None


def _au(file: BinaryIO, length: int) -> Declared | None:
    order = "big" if _at(file, 0, 4) == b".snd" else "little"
    start, size = (_number(_at(file, offset, 4), order) for offset in (4, 8))
    return Declared(start, _known(size, 4), 8, 4, order)


def _nist(file: BinaryIO, length: int) -> Declared | None:
    text = _at(file, 0, 1024)
    size = re.match(rb"NIST_1A\s+(\d+)\s", text)
    if size is None:
        return None
    text = _at(file, 0, min(int(size[1]), _MOST_TEXT))
    counts = [
        re.search(rb"^" + name + rb" -i (\d{1,18})\s*$", text, re.MULTILINE)
        for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    if counts[0] is None:
        return None
    frames, channels, width = (int(count[1]) if count else 1 for count in counts)
    return Declared(int(size[1]), frames * channels * width or UNKNOWN)


def _wve(file: BinaryIO, length: int) -> Declared | None:
    """Psion's A-law."""
    return Declared(32, _number(_at(file, 18, 4), "big")) if _at(file, 4, 11) == b"SoundFile**" else None


def _voc(file: BinaryIO, length: int) -> Declared | None:
    """Blocks of sound (1, 9) and of sound that goes on (2), among others; 0 ends the file."""
    start, found = _number(_at(file, 20, 2), "little"), None
    for _ in range(_MOST_CHUNKS):
        header = _at(file, start, 4)
        if len(header) < 4 or header[0] == 0:
            break
        content, size = start + 4, _number(header[1:], "little")
        if header[0] in (1, 2, 9):
            skipped = {1: 2, 2: 0, 9: 12}[header[0]]
            found = Declared(content + skipped, size - skipped, start + 1, 3, "little", skipped)
        start = content + size
    return found


def _caf(file: BinaryIO, length: int) -> Declared | None:
    for name, content, size in _chunks(file, 8, length, "big", width=8, pad=1):
        if name == b"data":
            known = _known(size, 8)
            return Declared(content + 4, known if known == UNKNOWN else max(known - 4, 0), content - 8, 8, "big", 4)
    return None


def _ogg(file: BinaryIO, length: int) -> Declared | None:
    """Ogg: pages, the last of which is marked as the end."""
    start, ended = 0, False
    while start < length:
        header = _at(file, start, 27)
        if header[:4] != b"OggS":
            break
        if len(header) == 27:
            ended = bool(header[5] & 4)
            start += 27 + header[26] + sum(_at(file, start + 27, header[26]))
        else:
            start += 27
    return Declared(0, start, slack=0, is_open=not ended)


def _sds(file: BinaryIO, length: int) -> Declared | None:
    """MIDI's sample dump: packets of 120 bytes of sound, whose number follows from that of the samples."""
    header = _at(file, 0, 21)
    if len(header) < 21 or header[:2] != b"\xf0\x7e" or header[3] != 1 or not 8 <= header[6] <= 28:
        return None
    samples = header[10] | header[11] << 7 | header[12] << 14
    return Declared(21, 127 * -(-samples * -(-header[6] // 7) // 120))


def _boxes(file: BinaryIO, length: int) -> Declared | None:
    """MP4 and MOV: boxes up to the file's end; the last may leave its size open (0)."""
    start = 0
    for _ in range(_MOST_CHUNKS):
        header = _at(file, start, 16)
        size, name = _number(header[:4], "big"), header[4:8]
        if size == 1:
            size = _number(header[8:], "big")
        if len(header) < 8 or size < 8 or not re.fullmatch(rb"[ -~\xa9]{4}", name):
            return None
        if start + size >= length:
            return Declared(start, size, slack=0)
        start += size
    return None


def _flash(file: BinaryIO, length: int) -> Declared | None:
    """FLV: tags, each followed by its size. A file that ends between two tags cannot be told from a whole one."""
    start = _number(_at(file, 5, 4), "big") + 4
    for _ in range(length // 15):
        header = _at(file, start, 11)
        if not header:
            return None
        end = start + 15 + _number(header[1:4], "big")
        if len(header) < 11 or end > length:
            # The last four bytes may be left out.
            return Declared(start, end - 4 - start, slack=0)
        start = end
    return None


def _matroska(file: BinaryIO, length: int) -> Declared | None:
    """Matroska and WebM: a header, then one segment with its size."""
    start = 0
    for _ in range(8):
        name, start = _vint(file, start, keep_marker=True)
        size, start = _vint(file, start, keep_marker=False)
        if name == 0x18538067:
            return Declared(start, size, slack=0)
        if size == UNKNOWN or name == UNKNOWN or start + size > length:
            return None
        start += size
    return None


def _vint(file: BinaryIO, start: int, keep_marker: bool) -> tuple[int, int]:
    """Returns a number of EBML at `start`, UNKNOWN where all its bits are set or it is broken, and its end."""
    first = _at(file, start, 1)
    width = 9 - first[0].bit_length() if first and first[0] else 0
    if not width:
        return UNKNOWN, start + 1
    value = _number(_at(file, start, width), "big")
    bare = value & (2 ** (7 * width) - 1)
    if not keep_marker and bare == 2 ** (7 * width) - 1:
        return UNKNOWN, start + width
    return value if keep_marker else bare, start + width


_READERS: dict[bytes, Callable[[BinaryIO, int], Declared | None]] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), _wave),
    b"riff": _wave64,
    b"FORM": _iff,
    **dict.fromkeys((b".snd", b"dns."), _au),
    b"NIST": _nist,
    b"OggS": _ogg,
    b"ALaw": _wve,
    b"caff": _caf,
    b"FLV\x01": _flash,
    b"\x1aE\xdf\xa3": _matroska,
}

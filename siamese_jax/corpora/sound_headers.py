"""The length that the headers of sound files declare, format by format."""

import re
from typing import BinaryIO

from siamese_jax.corpora.header_bytes import MOST_CHUNKS, UNKNOWN, Declared, at, chunks, known, number
from siamese_jax.corpora.video_headers import avi

_MOST_TEXT = 65536  # bytes of a header in plain text


def wave(file: BinaryIO, length: int) -> Declared | None:
    """RIFF: wav, RF64 and BW64, whose 64-bit size is in the chunk ds64; and AVI."""
    magic, form = at(file, 0, 4), at(file, 8, 4)
    order = "big" if magic == b"RIFX" else "little"
    if form == b"AVI ":
        return avi(file, length)
    long_field = 0
    for name, content, size in chunks(file, 12, length, order):
        if name == b"ds64":
            long_field = content + 8
        if name == b"data":
            if magic in (b"RF64", b"BW64") and size == 2**32 - 1 and long_field:
                size = known(number(at(file, long_field, 8), order), 8)
                return Declared(content, size, long_field, 8, order)
            return Declared(content, known(size, 4), content - 4, 4, order)
    return None


def wave64(file: BinaryIO, length: int) -> Declared | None:
    for name, content, size in chunks(file, 40, length, "little", width=8, name=16, pad=8, own=24):
        if name[:4] == b"data":
            return Declared(content, max(known(size, 8), UNKNOWN), content - 8, 8, "little", 24)
    return None


def iff(file: BinaryIO, length: int) -> Declared | None:
    """AIFF and AIFF-C (SSND begins with two numbers), 8SVX and 16SV (BODY)."""
    for name, content, size in chunks(file, 12, length, "big"):
        if name == b"SSND":
            return Declared(content + 8, known(max(size - 8, 0), 4), content - 4, 4, "big", 8)
        if name == b"BODY":
            return Declared(content, known(size, 4), content - 4, 4, "big")
    return None


def au(file: BinaryIO, length: int) -> Declared | None:
    order = "big" if at(file, 0, 4) == b".snd" else "little"
    start, size = (number(at(file, offset, 4), order) for offset in (4, 8))
    return Declared(start, known(size, 4), 8, 4, order)


def nist(file: BinaryIO, length: int) -> Declared | None:
    text = at(file, 0, 1024)
    size = re.match(rb"NIST_1A\s+(\d+)\s", text)
    if size is None:
        return None
    text = at(file, 0, min(int(size[1]), _MOST_TEXT))
    counts = [
        re.search(rb"^" + name + rb" -i (\d{1,18})\s*$", text, re.MULTILINE)
        for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    ]
    if counts[0] is None:
        return None
    frames, channels, width = (int(count[1]) if count else 1 for count in counts)
    return Declared(int(size[1]), frames * channels * width or UNKNOWN)


def wve(file: BinaryIO, length: int) -> Declared | None:
    """Psion's A-law."""
    return Declared(32, number(at(file, 18, 4), "big")) if at(file, 4, 11) == b"SoundFile**" else None


def voc(file: BinaryIO, length: int) -> Declared | None:
    """Blocks of sound (1, 9) and of sound that goes on (2), among others; 0 ends the file."""
    start, found = number(at(file, 20, 2), "little"), None
    for _ in range(MOST_CHUNKS):
        header = at(file, start, 4)
        if len(header) < 4 or header[0] == 0:
            break
        content, size = start + 4, number(header[1:], "little")
        if header[0] in (1, 2, 9):
            skipped = {1: 2, 2: 0, 9: 12}[header[0]]
            found = Declared(content + skipped, size - skipped, start + 1, 3, "little", skipped)
        start = content + size
    return found


def caf(file: BinaryIO, length: int) -> Declared | None:
    for name, content, size in chunks(file, 8, length, "big", width=8, pad=1):
        if name == b"data":
            length_known = known(size, 8)
            bare = length_known if length_known == UNKNOWN else max(length_known - 4, 0)
            return Declared(content + 4, bare, content - 8, 8, "big", 4)
    return None


def ogg(file: BinaryIO, length: int) -> Declared | None:
    """Ogg: pages, the first and last of a stream are marked as its beginning (2) and its end (4)."""
    start, flags, joined = 0, 2, False
    while start < length:
        header = at(file, start, 27)
        if header[:4] != b"OggS":
            break
        if len(header) < 27:
            start += 27
            break
        joined |= bool(header[5] & 2 and not flags & 2)
        flags = header[5]
        start += 27 + header[26] + sum(at(file, start + 27, header[26]))
    fault = "" if flags & 4 else "its last page is not marked as its end"
    return Declared(0, start, slack=0, fault="several streams, one after the other" if joined else fault)


def sds(file: BinaryIO, length: int) -> Declared | None:
    """MIDI's sample dump: packets of 120 bytes of sound, whose number follows from that of the samples."""
    header = at(file, 0, 21)
    if len(header) < 21 or header[:2] != b"\xf0\x7e" or header[3] != 1 or not 8 <= header[6] <= 28:
        return None
    samples = header[10] | header[11] << 7 | header[12] << 14
    return Declared(21, 127 * -(-samples * -(-header[6] // 7) // 120))

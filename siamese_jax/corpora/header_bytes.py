"""A header's numbers and chunks, and the sound that it declares."""

import dataclasses
import re
from collections.abc import Iterator
from typing import BinaryIO

UNKNOWN = -1
"""The length in the header of a program that wrote to a pipe and could not know it."""

HEADER_SLACK = 44  # bytes; programs write the size of the file, wav's 44 bytes of header included, as that of the sound
MOST_CHUNKS = 4096  # chunks that are walked before the sound
_STREAM_SLACK = 2**20  # programs that cannot know the length claim nearly 2 or 4 GiB


@dataclasses.dataclass(frozen=True)
class Declared:
    """The sound of a file as its header declares it: `size` bytes from `start`, or UNKNOWN.

    `field`, `width` and `order` locate the number in the header, which counts `extra` bytes more; a width of 0 means
    that it is written otherwise. A file that lacks `slack` bytes is whole. `fault` is another reason why it
    cannot be the whole.
    """

    start: int
    size: int
    field: int = 0
    width: int = 0
    order: str = "little"
    extra: int = 0
    slack: int = HEADER_SLACK
    fault: str = ""

    def is_inexact(self, length: int) -> bool:
        """Returns whether a 64-bit size is unknown or too long, which libsndfile takes at its word."""
        return self.width == 8 and (self.size == UNKNOWN or self.start + self.size > length)

    def missing(self, length: int) -> int:
        """Returns the number of bytes that are missing in a file of `length` bytes; 0 for a whole file."""
        missing = self.start + self.size - length
        if self.size in (UNKNOWN, length) or missing <= self.slack:
            return 0
        return missing


def at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def number(data: bytes, order: str) -> int:
    return int.from_bytes(data, order)  # type: ignore[arg-type]


def known(size: int, width: int) -> int:
    """Returns a declared size, or UNKNOWN for those that programs write when they cannot know."""
    tops = (2**31, 2**32) if width == 4 else (2**63, 2**64)
    return UNKNOWN if any(0 <= top - size <= _STREAM_SLACK for top in tops) else size


def chunks(
    file: BinaryIO, start: int, length: int, order: str, width: int = 4, name: int = 4, pad: int = 2, own: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Yields (id, start of the content, size) of the chunks of a file; `own` are header bytes that a size counts."""
    for _ in range(MOST_CHUNKS):
        header = at(file, start, name + width)
        if len(header) < name + width:
            return
        content, size = start + name + width, number(header[name:], order) - own
        yield header[:name], content, size
        start = content + size + -size % pad
        if size < 0 or start > length:
            return


def only_chunks(file: BinaryIO, start: int, length: int, order: str) -> bool:
    """Returns whether nothing but further chunks (texts, lists) lies between `start` and the file's end."""
    for name, content, size in chunks(file, start, length, order):
        if not re.fullmatch(rb"[ -~]{4}", name) or content + size > length:
            return False
        if content + size + size % 2 >= length:
            return True
    return False

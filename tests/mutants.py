"""Mutated files for the sweeps: bytes, CSV cells, and the limits of time and memory that a mutant may take."""

import faulthandler
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from siamese_jax.errors import InputError

SECONDS, MEMORY = 10.0, 1e9

Random = np.random.Generator
Item = TypeVar("Item")

TEXTS = ("", " ", "nan", "inf", "1e400", "1_0", "0,5", "1+2j", "\0", "\ud800", "é", "e\u0301", "b'x'", "a\\b", '"', "'",
         "x" * 140_000, "-1", "2**70", "9" * 400, "anger", "angry", "a,b", "a;b\tc", "\r", "\u2028")  # fmt: skip


def pick(rng: Random, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def mutated_bytes(rng: Random, content: bytes) -> bytes:
    """The content with a few bytes flipped, zeroed, cut out, doubled or replaced."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(len(data) + 1)), int(2 ** rng.uniform(0, 9))
        kind = pick(rng, ("flip", "zero", "cut", "double", "noise", "end"))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length]
        elif kind == "noise":
            data[at : at + length] = rng.bytes(length)
        else:
            del data[at:]
    return bytes(data)


def csv(rng: Random, path: Path, cells: list[list[str]]) -> None:
    """Writes a CSV with cells, rows, separators, quotes, encoding or bytes mutated."""
    rows = [list(row) for row in cells]
    for _ in range(int(rng.integers(0, 4))):
        row = rows[int(rng.integers(len(rows)))]
        kind = pick(rng, ("text", "gone", "more", "blank", "row", "header"))
        if kind == "text" and row:
            row[int(rng.integers(len(row)))] = pick(rng, TEXTS)
        elif kind == "gone" and row:
            row.pop()
        elif kind == "more":
            row.extend(["1"] * int(rng.integers(1, 300)))
        elif kind == "blank":
            rows.insert(0, [])
        elif kind == "row":
            rows.append(list(row))
        elif rows[0]:
            rows[0][int(rng.integers(len(rows[0])))] = pick(rng, ("file", "id", "start", "a", "", "sex", "Emotion"))
    by, end = pick(rng, (",", ",", ";", "\t", ", ", "|")), pick(rng, ("\n", "\r\n", "\r"))
    text = end.join(by.join(row) for row in rows)
    content = text.encode(pick(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")
    path.write_bytes(mutated_bytes(rng, content) if rng.random() < 0.4 else content)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in what takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # A loop in a library's C code does not see the signal: it ends the process, with a traceback.
    faulthandler.dump_traceback_later(2 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak() -> float:
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def sweep(make: Callable[[Random], None], use: Callable[[], object], mutants: int) -> int:
    """The number of mutants that were used; fails at the first that is neither used nor refused in our words."""
    before, n_used = peak(), 0
    for number in range(mutants):
        make(np.random.default_rng(number))
        try:
            with limited(SECONDS):
                use()
            n_used += 1
        except InputError:
            pass
        except Exception as error:
            raise AssertionError(f"mutant {number}: {type(error).__name__}: {error}") from error
        assert peak() - before < MEMORY, f"mutant {number}: {(peak() - before) / 1e6:.0f} MB"
    return n_used

"""Work by threads, in order."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int, ahead: int) -> Iterator[R]:
    """Yields `work(item)` of each item, in order; threads run at most `ahead` items before the caller takes them.

    Items that have not begun are dropped when the iteration ends early.
    """
    queue = iter(items)
    pool = ThreadPoolExecutor(workers)
    try:
        running = deque(pool.submit(work, item) for item in itertools.islice(queue, ahead))
        while running:
            yield running.popleft().result()
            running.extend(pool.submit(work, item) for item in itertools.islice(queue, 1))
    finally:
        pool.shutdown(cancel_futures=True)

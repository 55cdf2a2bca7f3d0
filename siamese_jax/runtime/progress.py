"""Progress bars: on a terminal a moving bar, elsewhere silence."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

OnDone = Callable[[int], None]


class Bars:
    """A group of progress bars; make one with `bars`."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def start(self, title: str, total: int) -> OnDone:
        """Starts a bar of `total` parts; the function that comes back advances it."""
        task = self._progress.add_task(title, total=total)
        return lambda done: self._progress.update(task, advance=done)


@contextlib.contextmanager
def bars() -> Iterator[Bars]:
    """Shows progress on standard error while the context lasts; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        yield Bars(progress)

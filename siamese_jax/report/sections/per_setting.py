"""Sections that repeat for every setting of every work directory."""

from collections.abc import Callable, Iterable, Iterator

from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.render.document import Alert, Block, Fold, Heading

Blocks = Callable[[Loaded, Setting, str], Iterable[Block]]  # the string goes into the names of the pictures
Missing = Callable[[Loaded], str]  # why a run has no such blocks; "" if it has


def each_setting(runs: list[Loaded], blocks: Blocks, missing: Missing = lambda run: "") -> list[Block]:
    """The blocks of each setting: those of a work directory's first in the open, its others folded."""
    found: list[Block] = []
    for i, run in enumerate(runs):
        reason, inside = missing(run), list[Block]()
        for j, setting in enumerate(settings(run.experiment) if not reason else ()):
            of_setting = list(blocks(run, setting, f"{i}_{j}" if j else str(i)))
            inside.extend([Fold(f"The same, {setting.name}", of_setting)] if j and of_setting else of_setting)
        if reason:
            inside.append(Alert(f"{run.label}: {reason}."))
        if inside and len(runs) > 1:
            inside.insert(0, Heading(f"{run.label}: {run.corpora}"))
        found.extend(inside)
    return found


def headed_settings(runs: list[Loaded], blocks: Blocks, missing: Missing = lambda run: "") -> Iterator[Block]:
    """The blocks of each setting in the open, under a heading if there are several."""
    for i, run in enumerate(runs):
        reason, of_run = missing(run), settings(run.experiment)
        if reason:
            yield Alert(f"{run.label}: {reason}.")
        for j, setting in enumerate(of_run if not reason else ()):
            if len(runs) > 1 or len(of_run) > 1:
                yield Heading(f"{run.label}: {run.corpora}, {setting.name}")
            yield from blocks(run, setting, f"{i}_{j}")

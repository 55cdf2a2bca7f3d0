"""Sections that say the same of every setting of every work directory."""

from collections.abc import Callable, Iterable

from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.render.document import Alert, Block, Fold, Heading


def each_setting(
    runs: list[Loaded],
    blocks: Callable[[Loaded, Setting, str], Iterable[Block]],
    missing: Callable[[Loaded], str] = lambda run: "",
) -> list[Block]:
    """The blocks of each setting: those of a work directory's first in the open, its others folded.

    Args:
      blocks: of a run and a setting, with a number that its pictures' names hold.
      missing: why there is nothing to say of a run, in words; "" where there is.
    """
    found: list[Block] = []
    for i, run in enumerate(runs):
        why, inside = missing(run), []  # type: str, list[Block]
        for j, setting in enumerate(settings(run.experiment) if not why else ()):
            of_setting = list(blocks(run, setting, f"{i}_{j}" if j else str(i)))
            inside.extend([Fold(f"The same, {setting.name}", of_setting)] if j and of_setting else of_setting)
        if why:
            inside.append(Alert(f"{run.label}: {why}."))
        if inside and len(runs) > 1:
            inside.insert(0, Heading(f"{run.label}: {run.corpora}"))
        found.extend(inside)
    return found

"""Whose statistics scale a clip: the model's, or those of the clips that are labelled together.

Without enrolled clips a model knows nothing of the user's microphone and room, so mode "auto" takes the statistics of
the folder, from two clips on. `transfer.PriorClips` makes the change from one clip to many a smooth one. With enrolled
clips the folder's statistics add least, and a folder of a single label loses most, so "auto" takes the model's.
`scripts/mode_study.py` measures both, and docs/recognizer.md has the numbers.
"""

from typing import NamedTuple

import numpy as np

from siamese_jax.errors import InputError
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.predictions import ASKED

FEWEST = 2
"""Clips of a folder whose statistics mode "auto" takes."""


class Mode(NamedTuple):
    """A mode of `MODES`, and in words why it was taken and what the folder's clips serve for."""

    name: str
    reason: str


def decided(asked: str, model: Model, n_clips: int, speaker: np.ndarray | None) -> Mode:
    """Returns the mode of clips that are labelled together; `speaker` [Q] is None where a speaker is unknown.

    Raises InputError for a word that is not in `ASKED`.
    """
    if asked not in ASKED:
        raise InputError(f"mode {asked!r:.80}; expected one of {', '.join(ASKED)}")
    n_enrolled = len(model.enrolled.x)
    name = asked
    if asked == "auto":
        name = "folder" if not n_enrolled and n_clips >= FEWEST else "clip"
    why = (
        "asked for"
        if asked != "auto"
        else f"{n_clips} {'recording' if n_clips == 1 else 'recordings'}, {n_enrolled} enrolled"
    )
    return Mode(name, f"{why}: {_folder_words(model, speaker) if name == 'folder' else _clip_words(n_enrolled)}")


def _clip_words(n_enrolled: int) -> str:
    return f"statistics of the {'enrolled recordings' if n_enrolled else 'sources'}"


def _folder_words(model: Model, speaker: np.ndarray | None) -> str:
    of_all = [speaker, *(source.clips.speaker for source in model.sources)]
    of_all += [model.enrolled.speaker] if len(model.enrolled.x) else []
    by_speaker = all(of_corpus is not None for of_corpus in of_all)
    words = f"statistics of these recordings{' by speaker' if by_speaker else ''}"
    adaptation, balance = model.recipe.adaptation, model.recipe.settings.balance
    if adaptation == "none":
        return words
    within = "each speaker" if balance.within == "speaker" and speaker is not None else "all"
    return f"{words}, labels {adaptation.replace('_', '-')} within {within}"

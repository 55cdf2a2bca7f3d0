"""Recordings to predictions, in parts, so that memory does not grow with their number."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from siamese_jax.corpora.manifest import Clip, Manifest
from siamese_jax.datasets import extraction
from siamese_jax.datasets.extraction_cache import FeatureRow
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.protocols import familiarity
from siamese_jax.recognizer import confidence, modes, quality
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.modes import Mode
from siamese_jax.recognizer.predictions import Prediction

log = logging.getLogger(__name__)

PART = {"clip": 2_000, "folder": 20_000}
"""Clips that are in memory together, by mode; in mode "folder" the clips of a part share their statistics."""

LeftOut = list[tuple[str, str]]


class Labelled(NamedTuple):
    """A prediction, its clip, and the digest of the clip's samples."""

    prediction: Prediction
    clip: Clip
    audio_hash: str


def label(
    model: Model, extractor: Extractor, options: extraction.Options, root: Path, clips: Iterable[Clip], mode: str,
    left_out: LeftOut, stated_error: float,
) -> Iterator[Labelled]:  # fmt: skip
    """Yields the predictions of the readable clips, in order; (file, reason) of the others is added to `left_out`.

    `mode` is one of `predictions.ASKED`. `stated_error` is the share of wrong labels that is accepted among those that
    are not unsure.
    """
    rest, kinds, n_clips = iter(clips), Counter[str](), 0
    several = False
    of_many = modes.decided(mode, model, PART["folder"], None).name
    while part := list(itertools.islice(rest, PART[of_many])):
        if len(part) == PART[of_many] and of_many == "folder" and not several:
            log.warning("%d clips or more: they are labelled in parts, each by its own statistics", PART[of_many])
            several = True
        n_clips += len(part)
        manifest = Manifest(root, tuple(part))
        rows, bad = extraction.compute_rows(manifest, quality.with_quality(extractor), options, kinds)
        left_out += [(error.file, error.reason) for _, error in sorted(bad.items())]
        if rows:
            yield from _label_part(model, manifest, rows, mode, stated_error)
    extraction.log_left_out(kinds, n_clips)


def _label_part(
    model: Model, manifest: Manifest, rows: dict[int, FeatureRow], asked: str, stated_error: float
) -> Iterator[Labelled]:  # fmt: skip
    indices = sorted(rows)
    x, facts = quality.split(np.stack([rows[i].features for i in indices]))
    speakers = [manifest.clips[i].speaker for i in indices]
    speaker = np.array(speakers, object) if all(speakers) else None
    mode = modes.decided(asked, model, len(x), speaker)
    probabilities = np.exp(model.log_probabilities(x, mode.name, speaker))
    _, least = confidence.unsure(probabilities.max(axis=1), mode.name, model.held_out, stated_error)
    known = familiarity.reference(model.enrolled.x, [source.clips.x for source in model.sources])
    far = familiarity.far(x, known, scaled_together=mode.name == "folder")
    for i, p_C, is_far, fact in zip(indices, probabilities, far, zip(*facts)):
        clip, reason = manifest.clips[i], quality.problem(*map(float, fact))
        if not reason and is_far:
            reason = familiarity.REASON
        if not reason and p_C.max() < least:
            reason = f"its probability is below {least:.2f}" if least <= 1 else "no label is sure enough"
        yield Labelled(_prediction(clip, model.classes, p_C, float(fact[0]), reason, mode), clip, rows[i].audio_hash)


def _prediction(
    clip: Clip, classes: tuple[str, ...], p_C: np.ndarray, seconds: float, reason: str, mode: Mode
) -> Prediction:
    start = clip.start or 0.0
    return Prediction(
        file=clip.file, start=start, end=start + seconds, label=classes[int(np.argmax(p_C))],
        probabilities=dict(zip(classes, p_C.tolist())), unsure=bool(reason), reason=reason, mode=mode.name,
        mode_reason=mode.reason,
    )  # fmt: skip

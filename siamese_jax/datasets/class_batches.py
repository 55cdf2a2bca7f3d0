"""Batches of P classes with K segments each, spread over speakers and clips, for mining triplets.

A random batch of an unbalanced corpus may hold a class once (no pair), or a single voice, which teaches the voice.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from siamese_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The segments of a corpus, grouped to draw batches of P = `per_batch` classes with K = `per_class` segments each.

    `rows` holds, for each of the C `classes` (in order of their first row), for each of its speakers, for each of the
    speaker's clips, the rows of its segments; `segments` is the number of segments.
    """

    classes: tuple[str, ...]
    rows: tuple[tuple[tuple[np.ndarray, ...], ...], ...]
    per_batch: int
    per_class: int
    segments: int

    @property
    def steps(self) -> int:
        """The batches of an epoch: as many segments as the corpus has, rounded up."""
        return -(-self.segments // (self.per_batch * self.per_class))


def plan_batches(
    classes: Sequence[str], speakers: Sequence[str], clips: Sequence[str], per_batch: int, per_class: int
) -> BatchPlan:
    """Groups segments by the names of their class, speaker and clip, for batches of `per_batch` x `per_class`.

    Raises InputError for a batch smaller than 2 x 2, fewer classes than `per_batch`, or a class with fewer segments
    than `per_class`, one speaker, or one clip.
    """
    if per_batch < 2 or per_class < 2:
        raise InputError(f"batches of {per_batch} classes x {per_class} segments: a triplet needs 2 x 2 or more")
    groups: dict[str, dict[str, dict[str, list[int]]]] = {}
    for row, (name, speaker, clip) in enumerate(zip(classes, speakers, clips, strict=True)):
        groups.setdefault(name, {}).setdefault(speaker, {}).setdefault(clip, []).append(row)
    if len(groups) < per_batch:
        names = f"{len(groups)} ({', '.join(groups)})"
        remedy = "lower classes_per_batch, or give clips of more emotions"
        raise InputError(f"batches of {per_batch} classes: the segments have {names}; {remedy}")
    for name, by_speaker in groups.items():
        _check_class(name, by_speaker, per_class)
    rows = tuple(
        tuple(tuple(np.array(segments) for segments in by_clip.values()) for by_clip in by_speaker.values())
        for by_speaker in groups.values()
    )
    return BatchPlan(tuple(groups), rows, per_batch, per_class, len(classes))


def _check_class(name: str, by_speaker: dict[str, dict[str, list[int]]], per_class: int) -> None:
    clips = [segments for by_clip in by_speaker.values() for segments in by_clip.values()]
    segments = sum(map(len, clips))
    remedy = "leave the class out, or add clips of it"
    if segments < per_class:
        counts = f"{segments} segment(s), but a batch needs {per_class}"
        raise InputError(f"class {name}: {counts}; lower segments_per_class, {remedy}")
    if len(clips) < 2:
        raise InputError(f"class {name}: all segments are of one clip, expected two clips or more; {remedy}")
    if len(by_speaker) < 2:
        (speaker,) = by_speaker
        raise InputError(f"class {name}: one speaker ({speaker}), expected two or more; {remedy} by other speakers")


def draw_batch(key: jax.Array, plan: BatchPlan) -> np.ndarray:
    """Returns the rows [P * K] of a batch, class after class, none twice. Consumes `key`; fold the step into it.

    Classes are drawn whatever their size. Within a class, speakers take turns in random order until K segments are
    drawn, so that their numbers differ by one at most unless a speaker runs out; a speaker gives segments of different
    clips before a second of the same clip.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    chosen = rng.choice(len(plan.classes), plan.per_batch, replace=False)
    return np.concatenate([_draw_class(rng, plan.rows[c], plan.per_class) for c in chosen])


def _draw_class(rng: np.random.Generator, by_speaker: tuple[tuple[np.ndarray, ...], ...], count: int) -> list[int]:
    """Draws turn by turn: the first segment of every speaker, then the second, ..."""
    queues = [_speaker_queue(rng, by_speaker[s]) for s in rng.permutation(len(by_speaker))]
    drawn: list[int] = []
    while len(drawn) < count:
        turn = [next(queue, None) for queue in queues[: count - len(drawn)]]
        drawn += [row for row in turn if row is not None]
        queues = [queue for queue, row in zip(queues, turn) if row is not None] + queues[len(turn) :]
    return drawn


def _speaker_queue(rng: np.random.Generator, clips: tuple[np.ndarray, ...]) -> Iterator[int]:
    """Yields the speaker's segments in random order, one of each clip before a second of any, drawn on demand: a batch
    needs few of a large corpus."""
    shuffled: dict[int, np.ndarray] = {}
    order = rng.permutation(len(clips)).tolist()
    for turn in range(max(map(len, clips))):
        for c in order:
            if turn == 0:
                shuffled[c] = rng.permutation(clips[c])
            if turn < len(shuffled[c]):
                yield int(shuffled[c][turn])

"""Batches of P classes with K segments each, spread over speakers and clips, for mining triplets.

A batch drawn at random from an unbalanced corpus may hold a class once, which gives no pair, or one voice only,
which teaches the voice. Rows are drawn on the host, from a key: the same key gives the same batch.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from siamese_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The segments of a corpus, grouped for drawing.

    Fields:
      classes: C names, in order of their first row.
      rows: for each class, for each of its speakers, for each of the speaker's clips, the rows of its segments.
      per_batch: P, how many classes a batch holds.
      per_class: K, how many segments of each.
      segments: how many there are in all.
    """

    classes: tuple[str, ...]
    rows: tuple[tuple[tuple[np.ndarray, ...], ...], ...]
    per_batch: int
    per_class: int
    segments: int

    @property
    def steps(self) -> int:
        """Batches that hold as many segments as there are, rounded up: an epoch."""
        return -(-self.segments // (self.per_batch * self.per_class))


def plan_batches(
    classes: Sequence[str], speakers: Sequence[str], clips: Sequence[str], per_batch: int, per_class: int
) -> BatchPlan:
    """Groups segments; each sequence has one entry a segment.

    Args:
      classes, speakers, clips: names; a clip has one class and one speaker.
      per_batch: classes a batch, at least 2.
      per_class: segments a class, at least 2.
    Raises: InputError where there are fewer classes than `per_batch`, or a class has fewer segments than
      `per_class`, one speaker, or one clip.
    """
    if per_batch < 2 or per_class < 2:
        raise InputError(f"batches of {per_batch} classes x {per_class} segments: a triplet needs 2 x 2 or more")
    groups: dict[str, dict[str, dict[str, list[int]]]] = {}
    for row, (name, speaker, clip) in enumerate(zip(classes, speakers, clips, strict=True)):
        groups.setdefault(name, {}).setdefault(speaker, {}).setdefault(clip, []).append(row)
    if len(groups) < per_batch:
        raise InputError(
            f"batches of {per_batch} classes: the segments have {len(groups)} ({', '.join(groups)}); take fewer "
            "a batch, or clips of more emotions"
        )
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
        raise InputError(
            f"class {name}: {segments} segment(s), {per_class} a batch are expected; take fewer, or {remedy}"
        )
    if len(clips) < 2:
        raise InputError(f"class {name}: all segments are of one clip, two or more are expected; {remedy}")
    if len(by_speaker) < 2:
        (speaker,) = by_speaker
        raise InputError(f"class {name}: one speaker ({speaker}), two or more are expected; {remedy} by other speakers")


def draw_batch(key: jax.Array, plan: BatchPlan) -> np.ndarray:
    """Rows [P * K] of one batch, class after class, none twice. The key is consumed here; fold the step into it.

    Classes are drawn without regard to their size. Within a class, speakers take turns in random order until K
    segments are found, so that their numbers differ by one at most unless a speaker runs out; a speaker gives segments
    of different clips before a second one of the same clip.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    chosen = rng.choice(len(plan.classes), plan.per_batch, replace=False)
    return np.concatenate([_draw_class(rng, plan.rows[c], plan.per_class) for c in chosen])


def _draw_class(rng: np.random.Generator, by_speaker: tuple[tuple[np.ndarray, ...], ...], count: int) -> list[int]:
    """Turn by turn: the first segment of every speaker, then the second, ..."""
    queues = [_speaker_queue(rng, by_speaker[s]) for s in rng.permutation(len(by_speaker))]
    drawn: list[int] = []
    while len(drawn) < count:
        turn = [next(queue, None) for queue in queues[: count - len(drawn)]]
        drawn += [row for row in turn if row is not None]
        queues = [queue for queue, row in zip(queues, turn) if row is not None] + queues[len(turn) :]
    return drawn


def _speaker_queue(rng: np.random.Generator, clips: tuple[np.ndarray, ...]) -> Iterator[int]:
    """All the speaker's segments in random order, one of each clip before a second of any; drawn as they are asked
    for, since a batch wants few of a large corpus."""
    shuffled: dict[int, np.ndarray] = {}
    order = rng.permutation(len(clips)).tolist()
    for turn in range(max(map(len, clips))):
        for c in order:
            if turn == 0:
                shuffled[c] = rng.permutation(clips[c])
            if turn < len(shuffled[c]):
                yield int(shuffled[c][turn])

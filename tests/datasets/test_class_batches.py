"""P x K batches: balanced over classes, speakers and clips, a function of the key, bad corpora refused."""

from collections import Counter

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.datasets.class_batches import draw_batch, plan_batches
from siamese_jax.errors import InputError


def corpus(classes=3, speakers=4, clips=2, segments=3):
    rows = [
        (f"c{c}", f"s{s}", f"c{c}s{s}k{k}")
        for c in range(classes)
        for s in range(speakers)
        for k in range(clips)
        for _ in range(segments)
    ]
    return tuple(np.array(column) for column in zip(*rows))


@given(
    seed=st.integers(0, 1000), speakers=st.integers(2, 5), clips=st.integers(1, 3), segments=st.integers(1, 3),
    per_class=st.integers(2, 9),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_batches_are_balanced(seed, speakers, clips, segments, per_class):
    classes, voices, takes = corpus(3, speakers, clips, segments)
    if per_class > speakers * clips * segments:
        return
    rows = draw_batch(jax.random.key(seed), plan_batches(classes, voices, takes, 2, per_class))
    assert len(set(rows.tolist())) == 2 * per_class
    assert sorted(Counter(classes[rows]).values()) == [per_class, per_class]
    for name in set(classes[rows]):
        mine = rows[classes[rows] == name]
        counts = [sum(voices[mine] == f"s{s}") for s in range(speakers)]
        assert max(counts) - min(counts) <= 1
        for voice in set(voices[mine]):
            by_clip = Counter(takes[mine][voices[mine] == voice])
            # A second segment of a clip only once every clip of the speaker has given one.
            assert max(by_clip.values()) == 1 or len(by_clip) == clips


def test_small_speakers_give_what_they_have():
    classes = np.array(["a"] * 6 + ["b"] * 4)
    voices = np.array(["x"] + ["y"] * 5 + ["x", "x", "y", "y"])
    takes = np.array([f"k{i}" for i in range(10)])
    rows = draw_batch(jax.random.key(0), plan_batches(classes, voices, takes, 2, 4))
    assert Counter(voices[rows[classes[rows] == "a"]]) == {"x": 1, "y": 3}


def test_the_key_decides_and_steps_cover_the_corpus():
    columns = corpus(4, 5, 2, 2)
    plan = plan_batches(*columns, 3, 5)
    assert plan.steps == 6  # 80 segments, 15 a batch
    key = jax.random.key(7)
    first, again = (draw_batch(jax.random.fold_in(key, 0), plan) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    seen = {row for step in range(80) for row in draw_batch(jax.random.fold_in(key, step), plan).tolist()}
    assert seen == set(range(80))


def test_every_speaker_and_clip_comes_first_in_some_batches():
    """Of three speakers with two clips each, one gives the fourth segment of a class; every one does in its turn."""
    classes, voices, takes = corpus(2, 3, 2, 2)
    plan = plan_batches(classes, voices, takes, 2, 4)
    twice, taken = Counter(), Counter()
    for step in range(90):
        rows = draw_batch(jax.random.key(step), plan)
        own = rows[classes[rows] == "c0"]
        twice[Counter(voices[own]).most_common(1)[0][0]] += 1
        taken.update(own.tolist())
    assert min(twice[f"s{s}"] for s in range(3)) > 15
    assert len(taken) == 12
    assert min(taken.values()) > 15


def test_classes_are_drawn_alike_whatever_their_size():
    classes = np.array(["big"] * 80 + ["small"] * 8 + ["tiny"] * 4)
    voices = np.array([f"s{i % 4}" for i in range(92)])
    plan = plan_batches(classes, voices, np.arange(92).astype(str), 2, 2)
    counts = Counter(name for step in range(300) for name in set(classes[draw_batch(jax.random.key(step), plan)]))
    assert max(counts.values()) - min(counts.values()) < 60


@pytest.mark.parametrize(
    ("change", "sizes", "message"),
    [({"segments": 1, "clips": 1, "speakers": 3}, (2, 4), r"class c0: 3 segment\(s\), but a batch needs 4"),
     ({"speakers": 1}, (2, 4), r"class c0: one speaker \(s0\)"),
     ({"speakers": 1, "clips": 1, "segments": 9}, (2, 4), "class c0: all segments are of one clip"),
     ({"classes": 2}, (3, 4), r"batches of 3 classes: the segments have 2 \(c0, c1\)"), ({}, (1, 4), "2 x 2 or more"),
     ({}, (2, 1), "2 x 2 or more")],
)  # fmt: skip
def test_corpora_that_cannot_fill_a_batch_are_refused(change, sizes, message):
    with pytest.raises(InputError, match=message):
        plan_batches(*corpus(**change), *sizes)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        plan_batches(["a"], ["s", "t"], ["k"], 2, 2)

"""Confusion counts and scores against scikit-learn, on every shape that the trials produce."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference

from siamese_jax.errors import InputError
from siamese_jax.stats import metrics

N, C, S = 60, 4, 5


def _clips(seed: int, *lead: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % C
    return (
        rng.integers(0, C, (*lead, N)).astype(np.int8),
        labels.astype(np.int32),
        rng.random((*lead, N)) < 0.8,
        rng.integers(0, S, N).astype(np.int32),
    )


def test_confusion_and_scores_agree_with_sklearn() -> None:
    predictions, labels, mask, _ = _clips(0, 3, 2)
    counts = metrics.confusion(predictions, labels, mask, C)
    assert counts.shape == (3, 2, C, C)
    assert counts.dtype == jnp.int32
    for index in np.ndindex(3, 2):
        true, predicted = labels[mask[index]], predictions[index][mask[index]]
        np.testing.assert_array_equal(counts[index], reference.confusion_matrix(true, predicted, labels=range(C)))
        np.testing.assert_allclose(
            metrics.unweighted_average_recall(counts[index]),
            reference.balanced_accuracy_score(true, predicted),
            rtol=1e-6,
        )
        np.testing.assert_allclose(
            metrics.weighted_accuracy(counts[index]), reference.accuracy_score(true, predicted), rtol=1e-6
        )
        np.testing.assert_allclose(
            metrics.recalls(counts[index]),
            reference.recall_score(true, predicted, labels=range(C), average=None),
            rtol=1e-6,
        )


@hypothesis.given(
    hnp.arrays(np.int8, (3, 12), elements=st.integers(0, 2)),
    hnp.arrays(np.int32, 12, elements=st.integers(0, 2)),
    hnp.arrays(np.bool_, (3, 12)),
    hnp.arrays(np.int32, 12, elements=st.integers(0, 3)),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_every_counted_clip_lands_in_its_cell(
    predictions: np.ndarray, labels: np.ndarray, mask: np.ndarray, groups: np.ndarray
) -> None:
    expected = np.zeros((3, 4, 3, 3), int)
    for row, clip in zip(*np.nonzero(mask)):
        expected[row, groups[clip], labels[clip], predictions[row, clip]] += 1
    by_group = metrics.confusion_by_group(predictions, labels, mask, groups, 4, 3)
    np.testing.assert_array_equal(by_group, expected)
    np.testing.assert_array_equal(metrics.confusion(predictions, labels, mask, 3), expected.sum(axis=1))


def test_chunks_vmap_and_jit_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, labels, mask, groups = _clips(1, 7)
    whole = metrics.confusion_by_group(predictions, labels, mask, groups, S, C)

    @jax.jit
    def one_by_one(predictions: jax.Array, mask: jax.Array) -> jax.Array:
        return jax.vmap(lambda p, m: metrics.confusion_by_group(p, labels, m, groups, S, C))(predictions, mask)

    np.testing.assert_array_equal(whole, one_by_one(predictions, mask))
    monkeypatch.setattr(metrics, "_ROWS_AT_ONCE", 3)  # 7 rows: two full chunks and a remainder
    jax.clear_caches()
    np.testing.assert_array_equal(whole, metrics.confusion_by_group(predictions, labels, mask, groups, S, C))
    jax.clear_caches()


def test_one_mask_serves_all_leading_axes() -> None:
    predictions, labels, _, _ = _clips(2, 4, 3)
    mask = np.arange(N) < 30
    np.testing.assert_array_equal(
        metrics.confusion(predictions, labels, mask, C),
        metrics.confusion(predictions, labels, np.broadcast_to(mask, predictions.shape), C),
    )


def test_a_class_without_clips_is_not_computable() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 0, 4]])
    np.testing.assert_allclose(metrics.recalls(counts), [0.75, np.nan, 0.8], rtol=1e-6)
    assert np.isnan(metrics.unweighted_average_recall(counts))
    np.testing.assert_allclose(metrics.weighted_accuracy(counts), 7 / 9, rtol=1e-6)
    assert np.isnan(metrics.weighted_accuracy(np.zeros((3, 3), int)))


def test_fully_masked_clips_count_nothing() -> None:
    predictions, labels, mask, _ = _clips(3, 2)
    assert metrics.confusion(predictions, labels, np.zeros_like(mask), C).sum() == 0


def test_real_valued_counts_keep_their_precision() -> None:
    counts = np.array([[1.5, 0.5], [0.25, 0.75]], np.float32)
    np.testing.assert_allclose(metrics.unweighted_average_recall(counts), 0.75)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": np.zeros((2, N - 1), np.int8)}, "predictions: the last axis must hold the 60"),
        ({"predictions": np.zeros((2, N))}, "predictions: expected integer"),
        ({"predictions": np.full((2, N), C, np.int8)}, "predictions: expected 0..3, found 4"),
        ({"labels": np.full(N, -1)}, "labels: expected 0..3, found -1"),
        ({"labels": np.zeros((N, 1), int)}, "labels and groups: expected one axis"),
        ({"mask": np.ones((2, N), int)}, "mask: expected booleans"),
        ({"mask": np.ones((3, N), bool)}, "do not broadcast"),
        ({"groups": np.full(N, S)}, "groups: expected 0..4, found 5"),
    ],
)
def test_bad_arrays_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    predictions, labels, _, groups = _clips(4, 2)
    arrays = {"predictions": predictions, "labels": labels, "mask": np.ones((2, N), bool), "groups": groups}
    with pytest.raises(InputError, match=message):
        metrics.confusion_by_group(**(arrays | change), n_groups=S, n_classes=C)


def test_masked_predictions_may_be_out_of_range() -> None:
    predictions, labels, mask, _ = _clips(5, 2)
    counts = metrics.confusion(np.where(mask, predictions, -1), labels, mask, C)
    np.testing.assert_array_equal(counts, metrics.confusion(predictions, labels, mask, C))


def test_a_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(InputError, match=r"\[..., C, C\]"):
        metrics.unweighted_average_recall(np.zeros((3, 4)))

"""Confusion counts and the scores read from them, over any leading axes `...` (draws, losses, evaluation steps).

Rows of a confusion matrix are the true class, columns the predicted one. A class without a test clip has no recall: it
is NaN, and so is the unweighted average recall (UAR), as a mean over the other classes would be another measure.
"""

import functools

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError

# Rows of predictions counted at once: [2048, C, N] float32 is 25 MB for 4 classes of 768 clips.
_ROWS_AT_ONCE = 2048


def confusion(
    predictions: jax.typing.ArrayLike, labels: jax.typing.ArrayLike, mask: jax.typing.ArrayLike, n_classes: int
) -> jax.Array:
    """Counts [..., C, C] int32 of clips by true class (rows) and predicted class.

    Args:
      predictions, labels: [..., N] and [N] integer classes, 0..C-1 (predictions wherever `mask` is true).
      mask: [..., N] boolean, the clips that count; broadcasts against `predictions`.

    Raises InputError for shapes that do not fit or a class out of range (checked on concrete arrays only: inside jit or
    vmap a clip with a class out of range is not counted).
    """
    groups = jnp.zeros(jnp.shape(labels), jnp.int32)
    return confusion_by_group(predictions, labels, mask, groups, 1, n_classes)[..., 0, :, :]


def confusion_by_group(
    predictions: jax.typing.ArrayLike, labels: jax.typing.ArrayLike, mask: jax.typing.ArrayLike,
    groups: jax.typing.ArrayLike, n_groups: int, n_classes: int,
) -> jax.Array:  # fmt: skip
    """Counts [..., S, C, C] int32 by group (speaker), true and predicted class; the sum over groups is `confusion`.

    `groups` [N] integer is the group of each clip, 0..S-1 with S = `n_groups`. The rest is as in `confusion`. Raises
    as `confusion`, and InputError for a group out of range.
    """
    predictions, labels, mask, groups = map(jnp.asarray, (predictions, labels, mask, groups))
    _check_shapes(predictions, labels, mask, groups)
    _check_range("labels", labels, jnp.ones_like(labels, bool), n_classes)
    _check_range("groups", groups, jnp.ones_like(groups, bool), n_groups)
    shape = jnp.broadcast_shapes(predictions.shape, mask.shape)
    predictions, mask = jnp.broadcast_to(predictions, shape), jnp.broadcast_to(mask, shape)
    _check_range("predictions", predictions, mask, n_classes)
    return _count(predictions, labels, mask, groups, n_groups, n_classes)


@functools.partial(jax.jit, static_argnames=("n_groups", "n_classes"))
def _count(
    predictions: jax.Array, labels: jax.Array, mask: jax.Array, groups: jax.Array, n_groups: int, n_classes: int
) -> jax.Array:
    """The counts as one product of 0/1 matrices: exact in float32 up to 2^24 clips, and fast everywhere."""
    shape, n_clips = predictions.shape[:-1], predictions.shape[-1]
    inside_N = (labels >= 0) & (labels < n_classes) & (groups >= 0) & (groups < n_groups)
    cell_N = jnp.where(inside_N, groups.astype(jnp.int32) * n_classes + labels.astype(jnp.int32), -1)
    cell_NxSC = jax.nn.one_hot(cell_N, n_groups * n_classes, dtype=jnp.float32)
    classes_C = jnp.arange(n_classes)

    def count_row(row: tuple[jax.Array, jax.Array]) -> jax.Array:
        predicted_N, mask_N = row
        is_class_CxN = (predicted_N.astype(jnp.int32)[None, :] == classes_C[:, None]) & mask_N[None, :]
        return (is_class_CxN.astype(jnp.float32) @ cell_NxSC).astype(jnp.int32)

    rows = (predictions.reshape(-1, n_clips), mask.reshape(-1, n_clips))
    counts_GxCxSC = jax.lax.map(count_row, rows, batch_size=min(_ROWS_AT_ONCE, max(1, len(rows[0]))))
    counts_GxCxSxC = counts_GxCxSC.reshape(-1, n_classes, n_groups, n_classes)
    return counts_GxCxSxC.transpose(0, 2, 3, 1).reshape(*shape, n_groups, n_classes, n_classes)


def recalls(confusion: jax.typing.ArrayLike) -> jax.Array:
    """The recognised share of each true class: [..., C] from [..., C, C] counts (real-valued ones too, as bootstrap
    weights give); NaN for an absent class. Raises InputError unless the last two axes are square."""
    confusion = _as_float(confusion)
    hits = jnp.diagonal(confusion, axis1=-2, axis2=-1)
    return _share(hits, confusion.sum(axis=-1))


def unweighted_average_recall(confusion: jax.typing.ArrayLike) -> jax.Array:
    """UAR, the mean of the classes' recalls: [...] from [..., C, C], in 0..1; NaN if a class has no clip."""
    return recalls(confusion).mean(axis=-1)


def weighted_accuracy(confusion: jax.typing.ArrayLike) -> jax.Array:
    """WA (weighted accuracy), the recognised share of clips: [...] from [..., C, C], in 0..1; NaN without a clip."""
    confusion = _as_float(confusion)
    return _share(jnp.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def _as_float(confusion: jax.typing.ArrayLike) -> jax.Array:
    confusion = jnp.asarray(confusion)
    if confusion.ndim < 2 or confusion.shape[-1] != confusion.shape[-2]:
        raise InputError(f"confusion: expected counts of [..., C, C], got shape {confusion.shape}")
    if jnp.issubdtype(confusion.dtype, jnp.floating):
        return confusion
    return confusion.astype(jnp.result_type(float))


def _share(part: jax.Array, whole: jax.Array) -> jax.Array:
    # The guard sits before the division: neither a warning nor a NaN gradient where the whole is 0.
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), jnp.nan)


def _check_shapes(predictions: jax.Array, labels: jax.Array, mask: jax.Array, groups: jax.Array) -> None:
    integers = (("predictions", predictions), ("labels", labels), ("groups", groups))
    for name, array in integers:
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise InputError(f"{name}: expected integer classes or groups, got {array.dtype}; cast them first")
    if mask.dtype != jnp.bool_:
        raise InputError(f"mask: expected booleans (true where a clip counts), got {mask.dtype}")
    if labels.ndim != 1 or labels.shape != groups.shape:
        raise InputError(f"labels and groups: expected one axis of N clips each, got {labels.shape}, {groups.shape}")
    for name, array in (("predictions", predictions), ("mask", mask)):
        if array.ndim == 0 or array.shape[-1] != labels.shape[0]:
            raise InputError(f"{name}: the last axis must hold the {labels.shape[0]} labelled clips, got {array.shape}")
    try:
        jnp.broadcast_shapes(predictions.shape, mask.shape)
    except ValueError as error:
        raise InputError(f"predictions {predictions.shape} and mask {mask.shape} do not broadcast") from error


def _check_range(name: str, values: jax.Array, counted: jax.Array, size: int) -> None:
    if isinstance(values, jax.core.Tracer) or isinstance(counted, jax.core.Tracer) or values.size == 0:
        return
    bad, found = _first_outside(values, counted, size)
    if bool(bad):
        raise InputError(f"{name}: expected 0..{size - 1}, found {int(found)}; mask such clips out or raise the size")


@functools.partial(jax.jit, static_argnames="size")
def _first_outside(values: jax.Array, counted: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    outside = (counted & ((values < 0) | (values >= size))).reshape(-1)
    first = jnp.argmax(outside)
    return outside[first], values.reshape(-1)[first]

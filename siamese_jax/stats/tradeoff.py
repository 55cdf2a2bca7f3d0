"""What another target speaker is worth: UAR gained per added speaker."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from siamese_jax.errors import InputError
from siamese_jax.stats import intervals, records
from siamese_jax.stats.records import Interval


def gain_per_speaker(
    values: jax.typing.ArrayLike,
    n_speakers: Sequence[int],
    level: float = 0.95,
    *,
    paired: bool,
    over: str,
) -> Interval:
    """UAR gained per added speaker between neighbouring numbers of speakers.

    Args:
      values: [K, n] UAR at each number of speakers, for n units (draws, or target speakers with all draws
        averaged).
      n_speakers: K numbers, rising, such as (2, 3, 4, 5, 6, 8).
      level: nominal coverage.
      paired: whether unit i is the same at every number of speakers (a draw that is extended, or the same test
        speaker), or drawn anew for each (then Welch's interval).
      over: what the units are, one of records.OVER.

    Returns:
      Interval of [K - 1]; entry i is the gain per speaker from n_speakers[i] to n_speakers[i + 1].

    Raises:
      InputError: fewer than two numbers, numbers that do not rise or do not fit, an unknown `over` or level.
    """
    array = records.as_units("values", values, 2)
    if array.ndim != 2 or len(n_speakers) != array.shape[0] or len(n_speakers) < 2:
        raise InputError(
            f"n_speakers: expected two or more, one for each row of values {array.shape}, got {n_speakers}"
        )
    added = jnp.diff(jnp.asarray(n_speakers))
    if not bool((added > 0).all()):
        raise InputError(f"n_speakers: expected rising numbers, got {tuple(n_speakers)}")
    per_speaker = added.astype(array.dtype)[:, None]
    if paired:
        return intervals.t_interval((array[1:] - array[:-1]) / per_speaker, level, over=over)
    return intervals.welch_interval(array[1:] / per_speaker, array[:-1] / per_speaker, level, over=over)

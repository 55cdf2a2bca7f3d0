"""The intervals and tests that hold their nominal rates at a number of units, by simulations with a known truth."""

from siamese_jax.errors import InputError
from siamese_jax.stats import records

_ONE_WAY = (
    (4, ("t", "Welch t", "jackknife t", "studentised", "noncentral t of Cohen's d_z", "noncentral t of Hedges' g_z")),
    (4, ("t test", "Welch t test", "jackknife t test")),
    (15, ("sign-flip exact", "sign-flip sampled", "Wilcoxon signed-rank")),
    (50, ("jackknife t of the rank-biserial correlation", "Wilson")),
)
_TWO_WAY = ((10, ("two-way jackknife t",)), (12, ("two-way jackknife t test",)))


def offered_methods(n_units: int, over: str) -> tuple[str, ...]:
    """The kinds of intervals and tests whose measured error rates allow them at this many units.

    Offered are intervals that cover 95 +- 1 % at nominal 95 % and tests that reject 5 +- 0.5 % at 5 %, from that many
    units on, both with balanced clips and with 1 to 8 clips of each speaker and class. Measured with 10,000 simulations
    for each number of units (standard error 0.2 points) by

        python -m benchmarks.resampling --coverage --units=4,8,10,15,24,50 --crossed=12x12,24x10,10x24

    docs/results.md has the rates. They also show why the two kinds of uncertainty are kept apart: an interval over
    draws, read as a claim about people, covers far too rarely. Percentile and BCa intervals stay below 94 % up to 50
    units, and the crossed percentile interval does not reach them, so that none is offered. Differences of speakers
    with equally many clips tie: sign-flip and Wilcoxon tests reject too rarely at ten units. Welch's t and Hedges' g_z
    follow t and d_z. Wilson's interval covers 95.1 % on average over the shares between 0.1 and 0.9 from 50 units on,
    by the binomial distribution; 93-97 % of each share.

    Args:
      n_units, over: the fewest units of any axis that the interval or test is over; their kind, of records.OVER.

    Returns names as in `Interval.kind` and `PairedTest.kind`; none for fewer than four units.
    Raises InputError for an unknown `over` or fewer than one unit.
    """
    records.check_over(over)
    if n_units < 1:
        raise InputError(f"n_units: expected at least one unit, got {n_units}")
    steps = _TWO_WAY if over == "speakers+seeds" else _ONE_WAY
    return tuple(name for least, names in steps if n_units >= least for name in names)

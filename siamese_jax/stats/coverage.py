"""The intervals and tests that hold their nominal rates at a number of units, by simulations with a known truth."""

from siamese_jax.errors import InputError
from siamese_jax.stats import records

_ONE_WAY = (
    (4, ("t", "Welch t", "jackknife t", "studentised", "noncentral t of Cohen's d_z", "noncentral t of Hedges' g_z")),
    (4, ("t test", "Welch t test", "jackknife t test")),
    (15, ("sign-flip exact", "sign-flip sampled", "Wilcoxon signed-rank")),
    (50, ("jackknife t of the rank-biserial correlation", "Wilson")),
)
_TWO_WAY = ((8, ("two-way jackknife t",)), (10, ("two-way jackknife t test",)), (50, ("crossed percentile",)))


def offered_methods(n_units: int, over: str) -> tuple[str, ...]:
    """The kinds of intervals and tests whose measured error rates allow them at this many units.

    Offered are intervals that cover 95 +- 1 % at nominal 95 % and tests that reject 5 +- 0.5 % at 5 %, from that many
    units on. Measured with 10,000 simulations for each number of units (standard error 0.2 points) and 1,000
    resamples, by

        python -m benchmarks.resampling --coverage --units=4,6,8,9,10,15,24,30,50

        over speakers: units      4     6     8     9    10    15    24    30    50
        jackknife t, UAR       95.1  94.7  95.0  94.6  95.1  95.0  95.1  95.1  94.6
        the same, difference   95.3  95.0  94.8  94.8  95.2  95.1  95.0  94.7  94.9
        studentised            94.6  94.4  95.3  94.5  95.0  95.2  95.0  95.0  94.5
        BCa                    80.0  85.7  88.6  89.1  89.9  91.5  93.4  93.4  93.6
        percentile             80.1  85.8  88.8  89.4  90.0  91.9  93.5  93.5  93.7
        noncentral t of d_z    95.0  95.2  95.5  95.1  95.5  94.9  95.2  95.2  94.9
        rank-biserial          76.9  88.9  94.7  93.0  94.9  96.8  96.8  96.6  95.9
        sign-flip rejects       0.0   2.7   4.9   4.7   4.4   4.8   4.9   5.1   5.2
        Wilcoxon rejects        0.0   2.9   4.4   4.1   4.5   4.9   5.0   5.1   5.2
        t test rejects          4.7   5.0   5.2   5.2   4.8   4.9   5.0   5.3   5.2

        over speakers+seeds, as many of each
        two-way t, UAR         96.6  95.1  95.1  95.2  95.1  94.9  95.1  94.8  95.1
        the same, difference   99.3  96.9  95.9  95.5  95.4  95.0  95.2  95.2  94.8
        its test rejects        0.7   3.1   4.2   4.5   4.6   5.1   4.8   4.8   5.2
        crossed percentile     86.9  90.3  91.8  91.9  92.3  93.3  93.9  94.0  94.3

        over draws: 24 speakers, a seed for each draw
        t, these speakers      95.6  94.9  94.7  95.1  95.4  95.0  94.9  94.9  95.1
        t, all speakers        89.3  83.8  79.2  76.8  75.8  66.9  56.6  52.0  41.5

    The last row is why the two kinds of uncertainty are kept apart: it is an interval over draws, read as a claim about
    people. Percentile and BCa stay below 94 % up to 50 units, so that they are not offered. Differences of speakers
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

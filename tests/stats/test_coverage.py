"""Do nominal 95 % intervals cover, and 5 % tests reject, as often as they say, where the truth is known?

Every offered method is held to 95 +- 1 % and 5 +- 0.5 %, with twice the simulations' standard error: the short run,
from fixed seeds, fails at 2 points off.
"""

import functools
import itertools
from collections.abc import Sequence

import jax
import numpy as np
import pytest
import scipy.stats

from benchmarks import coverage as simulations
from scripts.numbers import records
from siamese_jax.errors import InputError
from siamese_jax.stats import coverage, hypothesis_tests, intervals

# The names under which the simulations measure each kind of interval or test.
KINDS = {
    "t over draws: these speakers' mean": "t",
    "t: mean difference": "t",
    "jackknife t: UAR": "jackknife t",
    "jackknife t: UAR difference": "jackknife t",
    "studentised: UAR": "studentised",
    "BCa: UAR": "BCa",
    "percentile: UAR": "percentile",
    "noncentral t: d_z": "noncentral t of Cohen's d_z",
    "jackknife t: rank-biserial": "jackknife t of the rank-biserial correlation",
    "two-way jackknife t: UAR": "two-way jackknife t",
    "two-way jackknife t: UAR difference": "two-way jackknife t",
    "crossed percentile: UAR": "crossed percentile",
    "sign-flip test rejects": "sign-flip exact",
    "Wilcoxon test rejects": "Wilcoxon signed-rank",
    "t test rejects": "jackknife t test",
    "two-way t test rejects": "two-way jackknife t test",
}


def _check(over: str, n_units: int, rows: Sequence[simulations.Measured], noise: float) -> None:
    offered, seen = coverage.offered_methods(n_units, over), set()
    for row in rows:
        kind = KINDS.get(row.name)
        if kind == "sign-flip exact" and n_units > hypothesis_tests.EXACT_UP_TO:
            kind = "sign-flip sampled"
        if kind not in offered:
            continue
        seen.add(kind)
        low, high = (0.045, 0.055) if row.name.endswith("rejects") else (0.94, 0.96)
        assert 2 * row.standard_error < 0.01
        assert low - noise * row.standard_error <= row.share <= high + noise * row.standard_error, row
    assert seen, "nothing that was offered was measured"


SHORT = {"n_simulations": 2000}


@functools.cache
def rows_at_ten(over: str) -> list[simulations.Measured]:
    n_resamples = 200 if over == "speakers" else 0
    return simulations.measure(jax.random.key(10), n_units=10, over=over, n_resamples=n_resamples, **SHORT)


@pytest.mark.parametrize("over", ["draws", pytest.param("speakers", marks=pytest.mark.long), "speakers+seeds"])
def test_error_rates_hold_at_ten_units(over: str) -> None:
    _check(over, 10, rows_at_ten(over), noise=2.0)


@pytest.mark.long
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize(
    ("over", "n_units"),
    [*itertools.product(("draws", "speakers"), (8, 15, 24, 50)), *(("speakers+seeds", n) for n in (12, 15, 24, 50))],
)
def test_error_rates_hold(over: str, n_units: int, balanced: bool) -> None:
    rows = simulations.measure(
        jax.random.key(n_units), n_units=n_units, n_simulations=5_000, n_resamples=1000 if over == "speakers" else 0,
        over=over, balanced=balanced,
    )  # fmt: skip
    _check(over, n_units, rows, noise=2.0)


def test_every_offer_holds_in_the_record_of_10_000_simulations_balanced_and_not() -> None:
    record = records.read("coverage")
    cells: dict[tuple[str, int, int], list[simulations.Measured]] = {}
    for row in record.tables["rates"].dicts():
        n_units = min(row["n_units"], row["n_seeds"] or row["n_units"])
        for clips in ("balanced", "unbalanced"):
            share = row[clips] / 100
            error = np.sqrt(share * (1 - share) / 10_000)
            cell = cells.setdefault((row["over"], row["n_units"], n_units), [])
            cell.append(simulations.Measured(row["name"], n_units, share, float(error)))
    assert {over for over, *_ in cells} == {"draws", "speakers", "speakers+seeds"}
    for (over, _, n_units), rows in cells.items():
        if coverage.offered_methods(n_units, over):
            _check(over, n_units, rows, noise=0.0)


@pytest.mark.long
def test_what_fails_at_ten_units_is_not_offered_and_does_fail() -> None:
    shares = {row.name: row.share for row in rows_at_ten("speakers")}
    for name in ("percentile: UAR", "BCa: UAR"):
        assert KINDS[name] not in coverage.offered_methods(10, "speakers")
        assert shares[name] < 0.93


def test_an_interval_over_draws_is_no_claim_about_people() -> None:
    rows = rows_at_ten("draws")
    misread = next(row for row in rows if "misread" in row.name)
    assert misread.share < 0.85


def test_simulations_hit_the_truth_that_they_claim() -> None:
    def one(key: jax.Array) -> jax.Array:
        counts = simulations._counts(key, simulations.World(), 3, 4, 1, True).counts
        return counts[..., 0, :, :].sum(axis=(0, 1)).diagonal() / (3 * 4 * 8)

    recalls = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 3000))
    error = recalls.std(axis=0) / np.sqrt(3000)
    assert (abs(recalls.mean(axis=0) - np.array([0.3, 0.4, 0.5, 0.6])) < 4 * error).all()


def test_offers_grow_with_the_units() -> None:
    for over in ("draws", "seeds", "speakers", "speakers+seeds"):
        offers = [set(coverage.offered_methods(n, over)) for n in range(1, 60)]
        assert offers[0] == set()
        assert all(fewer <= more for fewer, more in itertools.pairwise(offers))
    assert "sign-flip exact" not in coverage.offered_methods(14, "speakers")
    assert coverage.offered_methods(9, "speakers+seeds") == ()
    assert coverage.offered_methods(10, "speakers+seeds") == ("two-way jackknife t",)
    assert "two-way jackknife t test" in coverage.offered_methods(12, "speakers+seeds")
    assert not {"percentile", "BCa"} & set(coverage.offered_methods(1000, "speakers"))
    assert "jackknife t" not in coverage.offered_methods(30, "speakers+seeds")


def test_nothing_is_offered_at_fewer_units_than_were_measured() -> None:
    first = {
        over: [(n, *coverage.offered_methods(n, over)) for n in range(1, 60)] for over in ("draws", "speakers+seeds")
    }
    starts: dict[str, int] = {}
    for n, *names in (*first["draws"], *first["speakers+seeds"]):
        starts |= {name: n for name in names if name not in starts}
    assert {name for name, n in starts.items() if n == 50} == {"jackknife t of the rank-biserial correlation", "Wilson"}
    assert {name for name, n in starts.items() if n == 15} == {
        "sign-flip exact", "sign-flip sampled", "Wilcoxon signed-rank"
    }  # fmt: skip
    assert (starts.pop("two-way jackknife t"), starts.pop("two-way jackknife t test")) == (10, 12)
    assert set(starts.values()) == {4, 15, 50}
    for n in (3, 4, 14, 15, 49, 50):
        assert (
            coverage.offered_methods(n, "seeds") == coverage.offered_methods(n, "speakers") == first["draws"][n - 1][1:]
        )


@pytest.mark.parametrize("n", [50, 120])
def test_wilson_covers_where_it_is_offered(n: int) -> None:
    assert "Wilson" in coverage.offered_methods(n, "draws")
    hits = np.arange(n + 1)
    interval = intervals.share_interval(np.arange(n)[None, :] < hits[:, None], over="draws")
    for truth in np.linspace(0.1, 0.9, 81):
        covered = (np.asarray(interval.low) <= truth) & (truth <= np.asarray(interval.high))
        assert 0.93 <= scipy.stats.binom.pmf(hits, n, truth)[covered].sum() <= 0.975


def test_bad_questions_are_refused() -> None:
    with pytest.raises(InputError, match="over: expected one of"):
        coverage.offered_methods(10, "clips")
    with pytest.raises(InputError, match="n_units: expected at least one"):
        coverage.offered_methods(0, "draws")
    with pytest.raises(InputError, match=r"over: expected one of draws, speakers, speakers\+seeds"):
        simulations.measure(jax.random.key(0), n_units=5, n_simulations=5, n_resamples=5, over="seeds")

"""Paired differences of UAR between the systems of a corpus, over the speakers that both were tested on."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from siamese_jax.experiments.cross_training import intervals
from siamese_jax.experiments.cross_training.matrix import cell_name, comparison
from siamese_jax.experiments.cross_training.plan import Plan
from siamese_jax.experiments.cross_training.records import Difference
from siamese_jax.experiments.cross_training.results import Counted
from siamese_jax.stats import estimands, paired_tests
from siamese_jax.stats.records import Interval


def between(plan: Plan, found: Sequence[Counted]) -> list[Difference]:
    """Each pre-training against none, and the compared cells against every system on features, over speakers."""
    mine = [one for one in found if one.row.decision == plan.settings.decision]
    others = [one for one in found if one.row.system != "facenet"]
    result: list[Difference] = []
    for corpus in plan.corpora:
        own = {one.row.name: one for one in mine if one.row.corpus == corpus}
        pretrained = [
            (one, bare)
            for one in own.values() if one.row.pretraining is not None
            for bare in own.values() if bare.row.pretraining is None and bare.row.view == one.row.view
        ]  # fmt: skip
        names = [cell_name(cell) for cell in comparison(list(plan.corpora), corpus)]
        beside = [(own[name], other) for name in names if name in own for other in others if other.row.corpus == corpus]
        for family, pairs in (("pre-training", pretrained), ("systems", beside)):
            result += _family(plan, corpus, family, pairs)
    return result


def _family(plan: Plan, corpus: str, family: str, pairs: Sequence[tuple[Counted, Counted]]) -> list[Difference]:
    if not pairs:
        return []
    both = [np.stack([a.counts / a.row.n_runs, b.counts / b.row.n_runs], axis=1) for a, b in pairs]
    level = plan.settings.level
    found = [intervals.over_speakers(jnp.asarray(sums, jnp.float32), estimands.uar_difference, level) for sums in both]
    tests, adjusted = paired_tests.t_tests(found)
    return [
        Difference(
            family, corpus, a.row.name, b.row.name, int(interval.n_units),
            *intervals.percent(interval), _p(interval, float(test.p_value)), _p(interval, float(p)),
            intervals.label(interval),
        )
        for (a, b), interval, test, p in zip(pairs, found, tests, adjusted)
    ]  # fmt: skip


def _p(interval: Interval, value: float) -> float | None:
    return intervals.number(value) if intervals.offered(interval) else None

"""Gains from choosing which clips to label over drawing them by lot: a table in Markdown and rows in JSON.

    python -m scripts.choice_study --record=choice.json

The shipped tables, both directions, both feature sets, scaled by corpus and by speaker. Every repetition has a pool of
its own, of which each rule takes n clips: of a random 80 % of the target's clips, tested on all other clips
("other_clips"), or of a random half of its speakers, tested on the other half ("other_speakers"). By lot, every
repetition draws anew. Gains are paired by pool and against the mean of random lots. No rule sees a label, but
"lot_balanced", which draws equally many clips of every class as the protocol does.
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from absl import app, flags
from scipy.special import log_softmax
from sklearn.cluster import KMeans

from siamese_jax import load_config
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.experiments import run_context
from siamese_jax.experiments.records import number
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import choice, settings
from siamese_jax.protocols.transfer.choice import ChoiceSettings
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.protocols.transfer.methods import METHODS
from siamese_jax.runtime.devices import use_all_cores
from siamese_jax.runtime.files import write_json
from siamese_jax.runtime.provenance import VERSION
from siamese_jax.stats.paired_tests import PairedDifference
from siamese_jax.stats.scoring import counts_by_speaker, score_counts

N = flags.DEFINE_integer("n", 8, "Clips to label, a multiple of the four emotions.", lower_bound=4)
POOLS = flags.DEFINE_integer("pools", 200, "Repetitions.", lower_bound=2)
LAYERS = flags.DEFINE_string("layers", "2", "Layers of the speech encoder, with commas.")
COMPONENTS = flags.DEFINE_integer("components", 20, "Of the choice.")
SURE = flags.DEFINE_float("sure", 0.5, "Of the choice.")
RIDGE = flags.DEFINE_float("ridge", 0.1, "Of the choice.")
FEATURES = flags.DEFINE_list("features", ["whisper", "is09"], "Feature sets.")
RECORD = flags.DEFINE_string("record", None, "JSON file for the rows; none is written without it.")

DIRECTIONS = (("emodb", "ravdess"), ("ravdess", "emodb"))
SPLITS = ("other_speakers", "other_clips")
CLASSIFIERS = {"whisper": ("logistic_regression", "self_trained"), "is09": ("logistic_regression",)}
"""By feature set; the settings of self-training in configs/transfer.py are for the encoder's features."""
LEVEL = 0.95

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""(features [P, F], the source's log-probabilities [P, C], labels [P]) of a pool to n rows of it."""


@dataclasses.dataclass(frozen=True)
class ChoiceRow:
    """A rule on one task. UAR in per cent, gains over lots at random in points, each paired by pool.

    Fields:
      gain_low, gain_high: over pools. gain_speakers_low, gain_speakers_high: over the target's speakers.
      classes: the mean number of classes among the chosen clips.
      better: share of pools in which the rule was better than the lot.
    """

    source: str
    target: str
    features: str
    scaling: str
    split: str
    method: str
    rule: str
    n: int
    n_pools: int
    uar_mean: float | None
    uar_sd: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    gain_speakers_low: float | None
    gain_speakers_high: float | None
    better: float
    classes: float


def by_lot(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any clips, each as likely as another."""
    return rng.choice(len(x), N.value, replace=False)


def by_lot_of_classes(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Equally many clips of each true class: for comparison, since it needs the labels."""
    of_class = [np.flatnonzero(label == c) for c in range(log_p.shape[1])]
    return np.concatenate([rng.choice(rows, N.value // len(of_class), replace=False) for rows in of_class])


def by_design(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The choice of `siamese-jax choose`."""
    return choice.choose(x, None, N.value, choice_settings()).rows


def by_typical_first(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The choice of `siamese-jax choose --source=emodb`."""
    return choice.choose(x, log_p, N.value, choice_settings()).rows


def choice_settings() -> ChoiceSettings:
    return ChoiceSettings(COMPONENTS.value, RIDGE.value, SURE.value)


def by_class_clusters(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The central clip of each of n / C clusters of each class that the source's classifier predicts."""
    z, predicted, n_classes = choice.principal_components(x, COMPONENTS.value), log_p.argmax(axis=1), log_p.shape[1]
    rows = []
    for c in range(n_classes):
        surest = np.argsort(-log_p[:, c])[: max(int((predicted == c).sum()), N.value)]
        of_class = np.setdiff1d(surest, np.concatenate([np.array([], int), *rows]))
        rows.append(_central(z, of_class, N.value // n_classes, rng))
    return np.concatenate(rows)


def by_doubt(x: np.ndarray, log_p: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The clips whose two most probable classes are nearest to each other by the source's classifier."""
    ranked = np.sort(log_p, axis=1)
    return np.argsort(ranked[:, -1] - ranked[:, -2])[: N.value]


def _central(z: np.ndarray, rows: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    clusters = KMeans(k, n_init=4, random_state=int(rng.integers(2**31))).fit(z[rows])
    distance_NxK = clusters.transform(z[rows])
    return rows[
        [np.flatnonzero(clusters.labels_ == j)[distance_NxK[clusters.labels_ == j, j].argmin()] for j in range(k)]
    ]


RULES: dict[str, Rule] = {
    "lot": by_lot,
    "lot_balanced": by_lot_of_classes,
    "design": by_design,
    "typical_first": by_typical_first,
    "class_clusters": by_class_clusters,
    "doubt": by_doubt,
}


def pools_of(split: str, speaker_N: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The rows of each repetition's pool."""
    n_clips, n_speakers = len(speaker_N), int(speaker_N.max()) + 1
    pools = []
    for _ in range(POOLS.value):
        if split == "other_clips":
            pools.append(np.sort(rng.permutation(n_clips)[: round(0.8 * n_clips)]))
        else:
            pools.append(np.flatnonzero(np.isin(speaker_N, rng.permutation(n_speakers)[: n_speakers // 2])))
    return pools


def tested(split: str, plan: Plan, pools: list[np.ndarray], rows_DxM: np.ndarray) -> np.ndarray:
    """The clips [D, N] that each repetition is tested on, without copies of labelled ones."""
    target, repeated = plan.target, len(rows_DxM) // len(pools)
    mask = np.stack([~np.isin(target.duplicate, target.duplicate[rows]) for rows in rows_DxM])
    if split == "other_speakers":
        mask &= np.stack([~np.isin(target.speaker, target.speaker[pool]) for pool in pools] * repeated)
    return mask


def plan_of(source: str, target: str, features: str, scope: str) -> Plan:
    given = load_config("transfer")
    layers = tuple(map(int, LAYERS.value.split(","))) if features == "whisper" else ()
    given.data.update({"source": source, "target": target, "features": features, "layers": layers})
    given.data.scalings = (scope,)
    given.protocol.update({"n_speakers": (2,), "n_draws": 2})
    given.report.fixed_n_speakers = 2
    experiment = config.resolve(given)
    return Plan.make(experiment, *run_context.load(experiment))


def rows_of(source: str, target: str, features: str, scope: str, split: str, kept: dict) -> list[ChoiceRow]:
    """The rows of one task: all rules on the same pools."""
    plan = plan_of(source, target, features, scope)
    transfer, clips = plan.experiment.transfer, plan.target_clips(scope)
    own = settings.of_config(transfer, "corpus", transfer.balance_strength[0], transfer.transfer_c)
    plain = TransferDraws(plan, scope, own, kept)
    shared = METHODS["logistic_regression"].prepare(plain.sources, len(plan.experiment.data.emotions), N.value, own)
    log_p_NxC = log_softmax(clips.x @ shared.basis @ shared.start[:, 1:].T + shared.start[:, 0], axis=1)
    pools = pools_of(split, clips.speaker, np.random.default_rng(plan.experiment.protocol.seed))
    chosen = []
    for rule, (i, pool) in itertools.product(RULES.values(), enumerate(pools)):
        rng = np.random.default_rng([plan.experiment.protocol.seed, i])
        chosen.append(pool[rule(clips.x[pool], log_p_NxC[pool], clips.label[pool], rng)])
    rows_DxM = np.array(chosen)
    drawn = FewShotDraws(clips.speaker[rows_DxM], rows_DxM[:, :, None])
    draws = TransferDraws(dataclasses.replace(plan, draws=drawn), scope, own, kept)
    log_p = {"logistic_regression": draws.inductive("logistic_regression", N.value)}
    even_C = np.full(log_p_NxC.shape[1], 1 / log_p_NxC.shape[1])
    if "self_trained" in CLASSIFIERS[features]:
        log_p["self_trained"] = draws.adapted("self_trained", log_p["logistic_regression"], N.value, even_C)
    mask = tested(split, plan, pools, rows_DxM)
    task = {"source": source, "target": target, "features": features, "scaling": scope, "split": split}
    return [
        row for method in CLASSIFIERS[features] for row in _scored(plan, task, method, log_p[method], mask, rows_DxM)
    ]


def _scored(
    plan: Plan, task: dict[str, str], method: str, log_p_DxNxC: np.ndarray, mask: np.ndarray, rows_DxM: np.ndarray
) -> list[ChoiceRow]:
    """One row a rule; rules follow each other in the draws, the first is the lot."""
    target, n_classes = plan.target, log_p_DxNxC.shape[2]
    counts = counts_by_speaker(
        log_p_DxNxC.argmax(axis=-1).astype(np.int8), target.label, mask, target.speaker, len(target.speakers), n_classes
    )
    counts_KxDxSxCxC = counts.reshape(len(RULES), -1, *counts.shape[1:])
    uar_KxD = score_counts(counts_KxDxSxCxC.sum(axis=2)).uar
    n_classes_KxD = np.array([len(np.unique(target.label[rows])) for rows in rows_DxM]).reshape(len(RULES), -1)
    rows = []
    for k, rule in enumerate(RULES):
        pooled_Sx2 = counts_KxDxSxCxC[[k, 0]].sum(axis=1).swapaxes(0, 1)
        pair = PairedDifference.make(uar_KxD[k] - uar_KxD[0], pooled_Sx2[None])
        pools, speakers = (pair.over_draws(LEVEL), pair.over_speakers(LEVEL)) if k else (None, None)
        rows.append(
            ChoiceRow(
                **task, method=method, rule=rule, n=rows_DxM.shape[1], n_pools=uar_KxD.shape[1],
                uar_mean=number(uar_KxD[k].mean()), uar_sd=number(uar_KxD[k].std(ddof=1)),
                gain=number(pair.by_draw.mean()) if k else None,
                gain_low=number(pools.low) if pools else None, gain_high=number(pools.high) if pools else None,
                gain_speakers_low=number(100 * np.asarray(speakers.low)) if speakers else None,
                gain_speakers_high=number(100 * np.asarray(speakers.high)) if speakers else None,
                better=float((pair.by_draw > 0).mean()), classes=float(n_classes_KxD[k].mean()),
            )
        )  # fmt: skip
    return rows


def line(rows: list[ChoiceRow]) -> str:
    """A row of the table: a task's UAR by lot, and each rule's gain with its interval over pools."""
    first, *others = rows
    cells = [f"{row.gain:+.1f} [{row.gain_low:+.1f}, {row.gain_high:+.1f}]" for row in others]
    name = f"{first.source} to {first.target} | {first.features} | {first.scaling} | {first.method}"
    return f"| {name} | {first.uar_mean:.1f} (sd {first.uar_sd:.1f}) | {' | '.join(cells)} |"


def main(_: list[str]) -> None:
    use_all_cores()
    records, kept = [], {}
    for split in SPLITS:
        print(f"\n{split}: UAR of {N.value} clips by lot, and gains over it [95 % over {POOLS.value} pools]\n")
        print(f"| task | features | scaled by | method | lot | {' | '.join(list(RULES)[1:])} |")
        print("|---" * (4 + len(RULES)) + "|")
        for features, (source, target), scope in itertools.product(FEATURES.value, DIRECTIONS, ("corpus", "speaker")):
            rows = rows_of(source, target, features, scope, split, kept)
            records += [dataclasses.asdict(row) for row in rows]
            for method in CLASSIFIERS[features]:
                print(line([row for row in rows if row.method == method]), flush=True)
            if RECORD.value:
                write_json(RECORD.value, {"version": VERSION, "layers": LAYERS.value, "rows": records})


if __name__ == "__main__":
    app.run(main)

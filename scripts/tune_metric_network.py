"""Chooses the settings of the metric network for one target on the reverse direction, where that target is the source.

    python scripts/tune_metric_network.py --target=ravdess --features=whisper --output=chosen.json

Then it measures the choice on the target, beside the other inductive methods on the same draws, with --report_draws.

Candidates are drawn at random from GRID. Each is scored by unweighted average recall (UAR) on other speakers' clips,
one clip at a time, averaged over scalings by corpus and by speaker and over numbers of labelled clips.
"""

import dataclasses
import itertools
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from siamese_jax import load_config
from siamese_jax.datasets import dataset, shipped
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import metric_network, settings
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.runtime.files import write_json
from siamese_jax.stats.metrics import confusion, unweighted_average_recall
from siamese_jax.stats.scoring import score

TARGET = flags.DEFINE_enum("target", None, shipped.SHIPPED, "The target that the choice is for.", required=True)
FEATURES = flags.DEFINE_enum("features", "whisper", shipped.FEATURE_SETS, "The feature set of the shipped tables.")
OUTPUT = flags.DEFINE_string("output", None, "JSON of all candidates, best first.", required=True)
CANDIDATES = flags.DEFINE_integer("candidates", 48, "Candidates for each shape of the network.")
DRAWS = flags.DEFINE_integer("draws", 40, "Draws of labelled clips.")
REPORT_DRAWS = flags.DEFINE_integer("report_draws", 0, "Draws of the measurement on the target; 0 for none.")
AT_ONCE = flags.DEFINE_integer("at_once", 16, "Candidates of one program; bounds memory.")

SHAPES = ((64, (64,)), (128, (64,)), (128, (128,)), (256, (64,)))
"""Principal components, and widths of the ReLU layers."""

GRID: dict[str, tuple[float, ...]] = {
    "component_shrinkage": (0.6, 0.8, 1.0), "pretraining_steps": (300, 1000), "joint_steps": (30, 100, 200),
    "contrastive_rate": (1e-3, 3e-3), "contrastive_temperature": (0.07, 0.15, 0.3, 0.6),
    "noise": (0.15, 0.3, 0.5, 0.7), "dropout": (0.0, 0.1, 0.2, 0.3),
    "prototype_source_clips": (1.0, 3.0, 10.0, 30.0), "score_temperature": (0.05, 0.1, 0.2, 0.4),
}  # fmt: skip
"""Around the best of a first search, on both directions: shrinkage from 0.1, noise from 0 to 1.5, dropout to 0.6, no
training on the source, and a second layer were worse in each."""
SPEAKERS = (2, 6)
METHODS = {"metric_network": 1.0, "logistic_regression": 1.0, "adapted_discriminant": 1.0}
"""Methods of the measurement, and C of a logistic regression."""
REPORTED = {"ravdess": (2, 4, 8, 20), "emodb": (2, 4, 6)}
SCOPES = ("corpus", "speaker")


def make_plan(source_name: str, target_name: str, n_speakers: tuple[int, ...], n_draws: int, **chosen: Any) -> Plan:
    """Returns the plan of a direction, with these settings of the metric network."""
    given = load_config("transfer")
    given.data.update({"source": source_name, "target": target_name, "features": FEATURES.value, "scalings": SCOPES})
    given.protocol.update({"n_speakers": n_speakers, "n_draws": n_draws})
    given.report.fixed_n_speakers = n_speakers[0]
    given.metric_network.update(chosen)
    experiment = config.resolve(given)
    emotions = experiment.data.emotions
    source, target = (
        dataset.from_table(dataset.read(name, "", "", FEATURES.value, ()), emotions, name)
        for name in (source_name, target_name)
    )
    return Plan.make(experiment, source, target)


def scores(plan: Plan, shape: tuple[int, tuple[int, ...]], values: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the UAR [scope, speakers, candidate] in per cent."""
    base = dataclasses.replace(plan.experiment.metric_network, components=shape[0], layer_widths=shape[1])
    n_classes, key = len(plan.experiment.data.emotions), jax.random.key(0)
    programs: dict[int, Any] = {}
    out = np.zeros((len(SCOPES), len(SPEAKERS), len(values["noise"])))
    for (i, scope), (j, k) in itertools.product(enumerate(SCOPES), enumerate(SPEAKERS)):
        draws = TransferDraws(plan, scope, settings.of_config(plan.experiment.transfer, "corpus", 0.0, 1.0))
        components = metric_network.source_components(draws.sources, shape[0])
        source, target = metric_network.source_clips(draws.sources, n_classes), plan.target_clips(scope)
        rows = plan.draws.support(k)
        # In coordinates of the components from here on: the products over all columns are done once.
        source = source._replace(x=source.x @ components.directions)
        target = target._replace(x=target.x @ components.directions)
        variances = components.variances
        masks = evaluation_masks(plan.target, rows)["speaker_disjoint"]

        def candidate(value: dict, source: Any, target: Any, variances: Any, rows: Any, masks: Any) -> jax.Array:
            own = dataclasses.replace(base, **value)
            plain = metric_network.Components(jnp.eye(len(variances)), variances)
            shared = metric_network.prepare(own, plain, source, jax.random.fold_in(key, 0))
            none, one = jnp.zeros(len(variances)), jnp.ones(len(variances))

            def draw(key: jax.Array, rows_M: Any, mask_N: Any) -> jax.Array:
                log_p_NxC = metric_network.trial(own, key, rows_M, none, one, target, shared)
                counts = confusion(jnp.argmax(log_p_NxC, axis=1), target.label, mask_N, n_classes)
                return unweighted_average_recall(counts)

            keys = jax.random.split(jax.random.fold_in(key, 1), len(rows))
            return jnp.mean(jax.vmap(draw)(keys, rows, masks))

        if k not in programs:
            programs[k] = jax.jit(jax.vmap(candidate, in_axes=(0, None, None, None, None, None)))
        for start in range(0, out.shape[2], AT_ONCE.value):
            places = np.arange(start, start + AT_ONCE.value) % out.shape[2]
            some = {name: value[places] for name, value in values.items()}
            uar = 100 * np.asarray(programs[k](some, source, target, variances, rows, masks))
            out[i, j, places] = uar
    return out


def report(plan: Plan) -> list[dict[str, Any]]:
    """Returns the UAR in per cent of inductive methods, and balanced by corpus at strength 1, mean and deviation."""
    rows = []
    emotions = plan.experiment.data.emotions
    uniform_C, kept = np.full(len(emotions), 1 / len(emotions)), {}
    for scope, method, k in itertools.product(SCOPES, METHODS, plan.experiment.protocol.n_speakers):
        own = settings.of_config(plan.experiment.transfer, "corpus", 1.0, METHODS[method])
        draws = TransferDraws(plan, scope, own, kept)
        start = perf_counter()
        log_p = draws.inductive(method, k)
        seconds = perf_counter() - start
        mask = evaluation_masks(plan.target, plan.draws.support(k))["speaker_disjoint"]
        found = {"none": log_p, "balanced": draws.adapted("balanced", log_p, k, uniform_C)}
        for adaptation, log_p in found.items():
            uar = score(log_p.argmax(axis=-1).astype(np.int8), plan.target.label, mask).uar
            row = {"scaling": scope, "method": method, "clips": k * len(emotions), "adaptation": adaptation}
            rows.append({**row, "uar": float(uar.mean()), "sd": float(uar.std(ddof=1)), "seconds": seconds})
        print(rows[-2:], flush=True)
    return rows


def main(_: list[str]) -> None:
    (other,) = set(shipped.SHIPPED) - {TARGET.value}
    plan, rng = make_plan(TARGET.value, other, SPEAKERS, DRAWS.value), np.random.default_rng(0)
    records: list[dict[str, Any]] = []
    for shape in SHAPES:
        n = CANDIDATES.value
        values = {
            name: rng.choice(grid, n).astype(np.int32 if name.endswith("_steps") else np.float32)
            for name, grid in GRID.items()
        }
        uar = scores(plan, shape, values)
        for c in range(n):
            chosen = {name: value[c].item() for name, value in values.items()}
            own = {"components": shape[0], "layer_widths": list(shape[1]), **chosen}
            records.append({"uar": float(uar[..., c].mean()), "by_scope_and_speakers": uar[..., c].tolist(), **own})
        records.sort(key=lambda record: -record["uar"])
        print(shape, records[0], flush=True)
    result: dict[str, Any] = {"chosen_for": TARGET.value, "chosen_on": plan.target.name, "candidates": records}
    write_json(OUTPUT.value, result)
    if REPORT_DRAWS.value:
        best = {name: value for name, value in records[0].items() if name in GRID or name == "components"}
        best["layer_widths"] = tuple(records[0]["layer_widths"])
        rows = report(make_plan(other, TARGET.value, REPORTED[TARGET.value], REPORT_DRAWS.value, **best))
        write_json(OUTPUT.value, {**result, "rows": rows})


if __name__ == "__main__":
    app.run(main)

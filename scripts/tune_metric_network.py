"""Chooses the settings of the metric network for one target on the reverse direction, where that target is the source.

    python scripts/tune_metric_network.py --target=ravdess --features=whisper --output=chosen.json

Candidates are drawn at random from GRID. Each is scored by unweighted average recall (UAR) on other speakers' clips,
one clip at a time, averaged over scalings by corpus and by speaker and over numbers of labelled clips.
"""

import dataclasses
import itertools
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

TARGET = flags.DEFINE_enum("target", None, shipped.SHIPPED, "The target that the choice is for.", required=True)
FEATURES = flags.DEFINE_enum("features", "whisper", shipped.FEATURE_SETS, "The feature set of the shipped tables.")
OUTPUT = flags.DEFINE_string("output", None, "JSON of all candidates, best first.", required=True)
CANDIDATES = flags.DEFINE_integer("candidates", 48, "Candidates for each shape of the network.")
DRAWS = flags.DEFINE_integer("draws", 40, "Draws of labelled clips.")
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
SCOPES = ("corpus", "speaker")


def make_plan() -> Plan:
    """Returns the plan of the reverse direction."""
    (target,) = set(shipped.SHIPPED) - {TARGET.value}
    given = load_config("transfer")
    given.data.update({"source": TARGET.value, "target": target, "features": FEATURES.value, "scalings": SCOPES})
    given.protocol.update({"n_speakers": SPEAKERS, "n_draws": DRAWS.value})
    given.report.fixed_n_speakers = SPEAKERS[0]
    experiment = config.resolve(given)
    emotions = experiment.data.emotions
    source, target = (
        dataset.from_table(dataset.read(name, "", "", FEATURES.value, ()), emotions, name)
        for name in (TARGET.value, target)
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


def main(_: list[str]) -> None:
    plan, rng, records = make_plan(), np.random.default_rng(0), []
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
            records.append({"uar": uar[..., c].mean(), "by_scope_and_speakers": uar[..., c].tolist(), **own})
        records.sort(key=lambda record: -record["uar"])
        write_json(OUTPUT.value, {"chosen_for": TARGET.value, "chosen_on": plan.target.name, "candidates": records})
        print(shape, {name: records[0][name] for name in records[0]}, flush=True)


if __name__ == "__main__":
    app.run(main)

"""A recogniser's network is the protocols' network: from one seed, on draws of the shipped tables."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

import siamese_jax
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.protocols import stages
from siamese_jax.protocols.config import MetricNetworkConfig
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.recognizer import recipes, transfer
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.network_settings import SETTINGS as NETWORKS
from siamese_jax.recognizer.transfer import Clips
from siamese_jax.stats import metrics

pytestmark = pytest.mark.long

N_DRAWS = 5
EMOTIONS = ("anger", "fear", "happiness", "sadness")
"""In a recogniser's order; the batches depend on it."""


def plan():
    """EMO-DB to RAVDESS, eight labelled clips, one source training; scaled by the labelled clips."""
    config = siamese_jax.load_config("reproduce")
    config.data.update({"features": "whisper", "scalings": ("support",), "emotions": EMOTIONS})
    config.protocol.update({"n_speakers": (2,), "n_draws": N_DRAWS, "n_seeds": 1, "losses": ("none", "ratio")})
    config.protocol.update({"frozen": (0,), "steps": (NETWORKS["siamese"].fine_tuning_steps,)})
    config.report.update({"fixed_n_speakers": 2})
    own = NETWORKS["metric_network"].network
    config.metric_network.update({name: getattr(own, name) for name in MetricNetworkConfig.__dataclass_fields__})
    experiment = siamese_jax.resolve_config(config)
    return Plan.make(experiment, *siamese_jax.load_datasets(experiment))


def of_recogniser(plan, method, loss, start=None):
    """Log-probabilities [draws, N, C] of the target's clips; `start` is what is learned from the source."""
    recipe = recipes.recipe(method, None, 1.0, plan.experiment.data.scale_floor, loss, 0)
    table, x = plan.source.full_table, plan.target.table.features
    label = np.array([EMOTIONS.index(name) if name in EMOTIONS else -1 for name in table.emotion])
    source, found = Clips(table.features, label, None), []
    for rows in plan.draws.support(2):
        fitted = transfer.fit([source], Clips(x[rows], plan.target.label[rows], None), 4, recipe, start)
        start = transfer.start_of(fitted)
        found.append(transfer.single_log_probabilities(fitted, x))
    return np.stack(found), start


def compared(plan, name, of_protocol, found):
    """Prints and returns the mean UAR (%) of both over draws, and the share of equal labels."""
    tested = evaluation_masks(plan.target, plan.draws.support(2))["speaker_disjoint"]
    uar = [
        100 * float(metrics.unweighted_average_recall(metrics.confusion(p, plan.target.label, tested, 4)).mean())
        for p in (of_protocol.astype(np.int32), found.argmax(axis=-1).astype(np.int32))
    ]
    same = float(np.mean((of_protocol == found.argmax(axis=-1))[tested]))
    print(
        f"{name}: UAR over {N_DRAWS} draws, protocol {uar[0]:.2f} %, recogniser {uar[1]:.2f} %; {100 * same:.2f} % same"
    )
    return (*uar, same)


def test_the_siamese_network_with_each_loss_is_the_protocols():
    own = plan()
    trained = stages.source_training(own, "abs_difference", "support", lambda _: None)
    params = stages.params_from_arrays(trained)
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(own, "abs_difference", (2,), executor)
        tuned = tuning.run(own, 2, "support", params, lambda _: None)
    of_seed, start = jax.tree.map(lambda leaf: leaf[0], params), None
    for loss in ("none", "ratio"):
        of_protocol = tuned.predictions.sel(loss=loss).isel(frozen=0, step=0).transpose("draw", "clip").values
        same_start, _ = of_recogniser(own, "siamese", loss, of_seed)
        assert compared(own, f"siamese, {loss}, the protocol's start", of_protocol, same_start)[2] > 0.995
        found, start = of_recogniser(own, "siamese", loss, start)
        protocol, recogniser, same = compared(own, f"siamese, {loss}", of_protocol, found)
        assert abs(protocol - recogniser) < 1
        assert same > 0.95


def test_the_metric_network_is_the_protocols():
    """Of the draws, the first has the recogniser's key."""
    own = plan()
    log_p = TransferDraws(own, "support", SETTINGS).inductive("metric_network", 2)
    found, _ = of_recogniser(own, "metric_network", "none")
    np.testing.assert_allclose(found[0], log_p[0], atol=0.05)
    protocol, recogniser, _ = compared(own, "metric_network", log_p.argmax(axis=-1), found)
    assert abs(protocol - recogniser) < 2

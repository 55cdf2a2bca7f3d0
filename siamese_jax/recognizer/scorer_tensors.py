"""The scorer of a model as named tensors, and back."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from siamese_jax.models import metric, siamese
from siamese_jax.models.linear_scorer import LinearScorer
from siamese_jax.recognizer import networks
from siamese_jax.recognizer.methods import Scorer
from siamese_jax.recognizer.network_settings import MetricSettings, NetworkSettings
from siamese_jax.recognizer.networks import NetworkScorer

_NETWORK = "network."


def to_tensors(scorer: Scorer) -> dict[str, np.ndarray]:
    """Returns the arrays of a scorer by name, as in "network.tuned.encoder.layer_0.kernel"."""
    if isinstance(scorer, LinearScorer):
        return {"scorer.weights": scorer.weights, "scorer.intercepts": scorer.intercepts}
    leaves = jax.tree_util.tree_leaves_with_path(networks.arrays(scorer))
    return {_NETWORK + ".".join(entry.key for entry in path): np.asarray(leaf) for path, leaf in leaves}


def of_tensors(
    tensors: Mapping[str, np.ndarray], settings: NetworkSettings | None, n_features: int, n_classes: int
) -> Scorer:
    """Returns the scorer of `to_tensors`; `settings` is None for one that is no network.

    Raises KeyError for a missing tensor and ValueError for other shapes than the settings say.
    """
    if settings is None:
        return LinearScorer(tensors["scorer.weights"], tensors["scorer.intercepts"])
    tree: dict[str, Any] = {}
    for name, value in tensors.items():
        if name.startswith(_NETWORK):
            *parents, last = name.removeprefix(_NETWORK).split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    scorer = NetworkScorer(settings, tree["start"], tree["tuned"], tree["reference"])
    _check_shapes(scorer, n_features, n_classes)
    return scorer


def _check_shapes(scorer: NetworkScorer, n_features: int, n_classes: int) -> None:
    """Raises ValueError where the arrays of a scorer have other shapes than its settings say."""
    settings, key = scorer.settings, jax.random.key(0)
    if isinstance(settings, MetricSettings):
        own, n_components = settings.network, scorer.start["basis"].shape[1]
        init = functools.partial(metric.init, key, n_components, own.layer_widths, own.dimensions)
        one: Any = jax.eval_shape(init)
        members = jax.tree.map(lambda leaf: (own.members, *leaf.shape), one)
        start: Any = {"basis": (n_features, n_components), "members": members}
        reference: dict[str, tuple[int, ...]] = {"prototype": (own.members, n_classes, own.dimensions)}
    else:
        one = jax.eval_shape(functools.partial(siamese.init, settings.network, key, n_features))
        start = members = jax.tree.map(lambda leaf: leaf.shape, one)
        n_enrolled = len(scorer.reference["member"])
        reference = {"embedding": (n_enrolled, settings.network.widths[-1]), "member": (n_enrolled, n_classes)}
    expected = {"start": start, "tuned": members, "reference": reference}
    found = jax.tree.map(np.shape, networks.arrays(scorer))
    if found != expected or any(leaf.dtype != np.float32 for leaf in jax.tree.leaves(networks.arrays(scorer))):
        raise ValueError("the network's tensors have other shapes than its settings say")

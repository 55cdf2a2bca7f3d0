"""The networks as methods of a recogniser, by the protocols' training steps: on the sources, then on enrolled clips."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from siamese_jax.corpora.csv_files import some
from siamese_jax.datasets.draws import ClassIndex, CorpusIndex, corpus_index
from siamese_jax.errors import InputError
from siamese_jax.losses import pair_masks as pairs
from siamese_jax.models import siamese, similarity
from siamese_jax.models.siamese import Params
from siamese_jax.protocols import trials
from siamese_jax.protocols.config import MetricNetworkConfig
from siamese_jax.protocols.transfer import metric_network
from siamese_jax.protocols.transfer.methods import Sources
from siamese_jax.protocols.transfer.metric_network import Shared
from siamese_jax.protocols.trials import Clips, ProtocolSpec
from siamese_jax.recognizer.network_settings import SETTINGS, MetricSettings, NetworkSettings, SiameseSettings, rounded
from siamese_jax.runtime.vectorize import TrialProgram
from siamese_jax.training import siamese as training

log = logging.getLogger(__name__)

PADDING = 16  # enrolled clips are padded to a multiple, so that fewer shapes compile
BLOCK = 256  # clips that are scored at once; of a fixed number, so that a clip's bits do not depend on the others


@dataclasses.dataclass(frozen=True)
class NetworkScorer:
    """A trained network.

    Fields:
      settings: of its training.
      start: after the sources: parameters of the Siamese network; "basis" [F, R] and "members" of the metric network.
      tuned: parameters after the enrolled clips.
      reference: enrolled clips' "embedding" [M, D] and classes "member" [M, C]; or "prototype" [E, C, D].
    """

    settings: NetworkSettings
    start: Params
    tuned: Params
    reference: dict[str, np.ndarray]


def check(method: str, labels: Sequence[np.ndarray], classes: Sequence[str]) -> None:
    """Raises InputError where a method is a network and the sources' clips, by label [N] each, cannot train it."""
    if method not in SETTINGS:
        return
    if not labels:
        raise InputError(f"the method {method} is trained on a source first; give a source, or another method")
    known = [{classes[c] for c in np.unique(label[label >= 0])} for label in labels]
    if method == metric_network.NAME and (missing := [name for name in classes if name not in set().union(*known)]):
        raise InputError(
            f"the source has no clip of {some(missing)}; the method {method} needs source clips of every label. Give "
            "another source or method, or leave out the label"
        )
    if method == "siamese" and len(shared := set.intersection(*known)) < 2:
        raise InputError(
            f"labels that every source has: {some(sorted(shared)) or 'none'}; the method {method} is trained on two or "
            "more of them first. Give another source, or another method"
        )


def started(sources: Sources, n_classes: int, settings: NetworkSettings) -> Params:
    """Returns `NetworkScorer.start`: a network that is trained on the sources, from the settings' seed.

    Raises InputError where the training diverges.
    """
    if isinstance(settings, MetricSettings):
        own = _of_classes(settings.network, n_classes)
        components = metric_network.source_components(sources, own.components)
        prepare = jax.jit(functools.partial(metric_network.prepare, own))
        of_classes = metric_network.source_clips(sources, n_classes)
        made = jax.device_get(prepare(components, of_classes, jax.random.fold_in(_metric_key(settings), 0)))
        return {"basis": made.basis, "members": made.params}
    from siamese_jax.protocols import stages  # it brings xarray, which takes half a second

    clips, index, n_shared = _source_clips(sources, n_classes)
    spec = _spec(settings, n_shared)
    # The key of the protocols' first source training.
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 0), 1)
    program = _source_program(spec, settings.source_steps, clips.x.shape, index.counts.shape)
    params, batch_log = program(keys, clips, index)
    if stages.diverged(batch_log._asdict()).any():
        raise InputError(f"the training on the source diverged from seed {settings.seed}; give another seed")
    return _first(params)


def fitted(
    sources: Sources, x_MxF: np.ndarray, label_M: np.ndarray, n_classes: int, settings: NetworkSettings,
    start: Params | None,
) -> NetworkScorer:  # fmt: skip
    """Returns the network that is trained on the sources, or that starts from `start`, and then on enrolled clips.

    Raises InputError without enrolled clips.
    """
    if not len(label_M):
        raise InputError("a network needs enrolled clips; enrol some, or give another method")
    start = started(sources, n_classes, settings) if start is None else start
    label_M = label_M.astype(np.int32)
    if isinstance(settings, MetricSettings):
        own = _of_classes(settings.network, n_classes)
        clips = metric_network.source_clips(sources, n_classes)
        x_NxR, x_MxR = (np.asarray(jnp.matmul(x, start["basis"], precision="highest")) for x in (clips.x, x_MxF))
        shared = Shared(start["basis"], clips._replace(x=x_NxR), start["members"])
        key = jax.random.fold_in(jax.random.fold_in(_metric_key(settings), 1), 0)
        found = jax.device_get(_metric_program(own)(key, x_MxR, label_M, shared))
        return NetworkScorer(settings, start, found.params, {"prototype": found.prototypes})
    spec = _spec(settings, n_classes)
    padding = -len(label_M) % PADDING
    x = np.pad(x_MxF, ((0, padding), (0, 0)))
    valid_M = np.arange(len(x)) < len(label_M)
    program = _fine_tuning_program(spec, settings.loss, settings.fine_tuning_steps, x.shape)
    arguments = jax.tree.map(lambda a: a[None], (start, x, np.pad(label_M, (0, padding)), valid_M))
    tuned, reference = _first(program(*arguments))
    return NetworkScorer(settings, start, tuned, reference)


def arrays(scorer: NetworkScorer) -> dict[str, Any]:
    """Returns the arrays of a scorer as a nested dict."""
    return {"start": scorer.start, "tuned": scorer.tuned, "reference": scorer.reference}


def log_probabilities(scorer: NetworkScorer, x_QxF: np.ndarray) -> np.ndarray:
    """Returns log-probabilities [Q, C] in float64: a clip's do not depend on the others.

    Those of the Siamese network are its scores of the classes (`similarity.class_scores`), normalised.
    """
    if not len(x_QxF):
        return np.zeros((0, _n_classes(scorer)))
    shapes = str(jax.tree.map(np.shape, arrays(scorer)))
    program = _scoring_program(scorer.settings, x_QxF.shape[1], shapes)
    return np.asarray(program(x_QxF.astype(np.float32), arrays(scorer)), np.float64)


def _n_classes(scorer: NetworkScorer) -> int:
    last = "prototype" if "prototype" in scorer.reference else "member"
    return int(scorer.reference[last].shape[1])


def _fine_tuned(
    spec: ProtocolSpec, loss: str, steps: int, params: Params, x_MxF: Array, label_M: Array, valid_M: Array
) -> tuple[Params, dict[str, jax.Array]]:
    """Returns the parameters after the protocols' fine-tuning on enrolled clips, and `NetworkScorer.reference`."""
    rows_M = jnp.arange(x_MxF.shape[0])
    masks = pairs.pair_masks(label_M, rows_M, 0 * rows_M, valid_M, spec.training.pairs_within)
    batch = x_MxF, masks, siamese.trainable_mask(params, jnp.zeros((), jnp.int32))
    step = trials.fine_tuning_step(spec, (loss,), batch, jnp.zeros((), jnp.int32))
    state = training.run(step, training.init_state(params), jnp.int32(0), jnp.int32(steps))
    emb_MxD = siamese.encode(spec.network, state.params["encoder"], x_MxF)
    member_MxC = jax.nn.one_hot(label_M, spec.n_classes, dtype=emb_MxD.dtype) * valid_M[:, None]
    return state.params, {"embedding": emb_MxD, "member": member_MxC}


def _scores(settings: NetworkSettings, x_F: Array, arrays: dict[str, Any]) -> jax.Array:
    """Returns the log-probabilities [C] of a clip [F]."""
    tuned, reference = arrays["tuned"], arrays["reference"]
    if isinstance(settings, MetricSettings):
        x_1xR = jnp.matmul(x_F[None], arrays["start"]["basis"], precision="highest")
        made = metric_network.Tuned(tuned, reference["prototype"])
        return metric_network.log_probabilities(settings.network, made, x_1xR)[0]
    emb_1xD = siamese.encode(settings.network, tuned["encoder"], x_F[None])
    scores_1xC = similarity.class_scores(
        settings.network, tuned["head"], emb_1xD, reference["embedding"], reference["member"], settings.pooling
    )
    return jax.nn.log_softmax(scores_1xC[0])


def _source_clips(sources: Sources, n_classes: int) -> tuple[Clips, ClassIndex | CorpusIndex, int]:
    """Returns the source clips of the classes that every corpus has, their index, and the number of these classes.

    The corpora have equal weights, as in `draws.source_index`.
    """
    shared = [c for c in range(n_classes) if all((label == c).any() for _, label in sources.corpora)]
    place = np.full(n_classes, -1)
    place[shared] = np.arange(len(shared))
    parts = [(x[place[label] >= 0], place[label][place[label] >= 0]) for x, label in sources.corpora]
    x_NxF, label_N = (np.concatenate(arrays) for arrays in zip(*parts))
    corpus_N = np.repeat(np.arange(len(parts)), [len(label) for _, label in parts])
    clips = Clips(x_NxF.astype(np.float32), label_N.astype(np.int32), np.zeros(len(label_N), np.int32))
    index = corpus_index(label_N, corpus_N, (1 / len(parts),) * len(parts), len(shared))
    return clips, index, len(shared)


def _spec(settings: SiameseSettings, n_classes: int) -> ProtocolSpec:
    batch_size = rounded(settings.batch_size, n_classes)
    return ProtocolSpec(settings.network, settings.training, n_classes, batch_size, settings.pooling)


def _of_classes(network: MetricNetworkConfig, n_classes: int) -> MetricNetworkConfig:
    return dataclasses.replace(network, source_batch=rounded(network.source_batch, n_classes))


def _metric_key(settings: MetricSettings) -> jax.Array:
    """Returns the key of the protocols' metric network; folded with 0 for the source, and with 1 and 0 for a draw."""
    return jax.random.fold_in(jax.random.key(settings.seed), 3)


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


@functools.lru_cache(maxsize=4)
def _source_program(spec: ProtocolSpec, steps: int, shape: tuple[int, ...], counts: tuple[int, ...]) -> TrialProgram:
    """Returns the program of pre-training for clips and an index of these shapes."""
    return TrialProgram(trials.make_source_trial(spec, (steps,)), (0, None, None), 1)


@functools.lru_cache(maxsize=8)
def _fine_tuning_program(spec: ProtocolSpec, loss: str, steps: int, shape: tuple[int, ...]) -> TrialProgram:
    """Returns the program of fine-tuning for enrolled clips of this shape."""
    return TrialProgram(functools.partial(_fine_tuned, spec, loss, steps), (0, 0, 0, 0), 1)


@functools.lru_cache(maxsize=4)
def _metric_program(own: MetricNetworkConfig) -> Any:
    return jax.jit(functools.partial(metric_network.tuned, own))


@functools.lru_cache(maxsize=8)
def _scoring_program(settings: NetworkSettings, n_features: int, shapes: str) -> TrialProgram:
    """Returns the program that scores clips by arrays of these shapes."""
    return TrialProgram(functools.partial(_scores, settings), (0, None), BLOCK)

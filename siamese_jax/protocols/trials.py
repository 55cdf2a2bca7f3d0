"""The protocols of the paper as trials: each `make_*` returns a pure function of one repetition, unbatched.

`runtime.vectorize` puts vmap, jit and devices around a trial. All that differs between the trials of a program (seed,
draw, frozen layers, fold) is an array in its input.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array

from siamese_jax.datasets.draws import ClassIndex, CorpusIndex, balanced_batch
from siamese_jax.features.scaling import Scaling
from siamese_jax.losses import pair_masks as pairs
from siamese_jax.models import siamese, similarity
from siamese_jax.models.siamese import Params, SiameseSpec
from siamese_jax.protocols.emotion_distances import emotion_distances
from siamese_jax.training import siamese as training
from siamese_jax.training.siamese import BatchLog, TrainingSpec, TrainState


@dataclasses.dataclass(frozen=True)
class ProtocolSpec:
    """The settings that all trials of an experiment share: shapes and rates, the number of classes C, the clips of a
    source or in-domain batch (a multiple of C), and the pooling of `similarity.class_scores`."""

    network: SiameseSpec
    training: TrainingSpec
    n_classes: int
    batch_size: int
    pooling: str


class Clips(NamedTuple):
    """The clips of a corpus: features [N, F], classes [N] int, speakers [N] int."""

    x: Array
    label: Array
    speaker: Array


class Fold(NamedTuple):
    """A fold of leave-one-speaker-out (LOSO): the training clips of each class and as rows [M] int, padded, with
    `train_valid` [M] bool; the test clips [Q] int, padded; the scaling of the clips."""

    by_class: ClassIndex
    train: Array
    train_valid: Array
    test: Array
    scaling: Scaling


class FewShot(NamedTuple):
    """A fine-tuning repetition: rows [M] int of the labelled target clips, padded; `valid` [M] bool, False for padding;
    the number [] int of frozen encoder layers; the scaling of the target's features."""

    support: Array
    valid: Array
    frozen: Array
    scaling: Scaling


class FineTuned(NamedTuple):
    """The result of a fine-tuning trial, at R evaluation steps.

    Fields:
      predictions: [R, N] int8, the classes of all target clips (labelled ones too: mask them).
      log: of the support set, each [R].
      emotion_distances: [R, C, C] between the emotions of clips that are not labelled.
      skipped: [] int, second updates skipped because their gradient was not finite.
    """

    predictions: jax.Array
    log: BatchLog
    emotion_distances: jax.Array
    skipped: jax.Array


def _spans(stops: tuple[int, ...]) -> jax.Array:
    """Bounds [R, 2] of the runs of steps that end at each of `stops`; data, so that one traced step serves all."""
    return jnp.array(list(zip((0, *stops[:-1]), stops)), jnp.int32)


def _train_from_scratch(
    spec: ProtocolSpec, key: jax.Array, clips: Clips, index: ClassIndex | CorpusIndex, evaluation_steps: tuple[int, ...]
) -> tuple[Params, BatchLog]:
    init_key, batch_key = jax.random.split(key)
    params = siamese.init(spec.network, init_key, clips.x.shape[1])
    params = jax.tree.map(lambda p: p.astype(clips.x.dtype), params)
    trainable = siamese.trainable_mask(params, jnp.zeros((), jnp.int32))
    valid_B = jnp.ones(spec.batch_size, bool)

    def batch(i: jax.Array) -> tuple[jax.Array, pairs.PairMasks]:
        rows_B = balanced_batch(jax.random.fold_in(batch_key, i), index, spec.batch_size)
        label_B, speaker_B = clips.label[rows_B], clips.speaker[rows_B]
        return clips.x[rows_B], pairs.pair_masks(label_B, rows_B, speaker_B, valid_B, spec.training.pairs_within)

    def step(i: jax.Array, state: TrainState) -> TrainState:
        return training.cross_entropy_step(spec.network, spec.training, state, *batch(i), trainable)

    def run_to(state: TrainState, span: jax.Array) -> tuple[TrainState, BatchLog]:
        state = training.run(step, state, span[0], span[1])
        # The next batch has not been trained on so far.
        return state, training.evaluate(spec.network, spec.training, state.params, *batch(span[1]))

    state, log = jax.lax.scan(run_to, training.init_state(params), _spans(evaluation_steps))
    return state.params, log


def make_source_trial(
    spec: ProtocolSpec, evaluation_steps: tuple[int, ...]
) -> Callable[[jax.Array, Clips, ClassIndex | CorpusIndex], tuple[Params, BatchLog]]:
    """Trial (key, source, index) -> (params, log [R]): pre-training on all source clips, from scratch.

    After each of the increasing `evaluation_steps` the next batch is evaluated; the last ends the run.
    """
    return functools.partial(_train_from_scratch, spec, evaluation_steps=evaluation_steps)


def make_out_of_domain_trial(spec: ProtocolSpec) -> Callable[[Params, Clips, Array, Clips], jax.Array]:
    """Trial (params, source, weight [M], target) -> classes [N] int8 by similarity to the weighted source clips.

    Out-of-domain testing (OODT).
    """

    def trial(params: Params, source: Clips, weight_M: Array, target: Clips) -> jax.Array:
        return similarity.classify(
            spec.network, params, target.x, source.x, source.label, weight_M, spec.n_classes, spec.pooling
        )

    return trial


def make_in_domain_trial(
    spec: ProtocolSpec, steps: int
) -> Callable[[jax.Array, Fold, Clips], tuple[jax.Array, BatchLog]]:
    """Trial (key, fold, target) -> (classes [Q] int8 of the fold's test clips, the last log [1]): in-domain training.

    IDT: leave one speaker out (LOSO).
    """

    def trial(key: jax.Array, fold: Fold, target: Clips) -> tuple[jax.Array, BatchLog]:
        clips = target._replace(x=fold.scaling(target.x))
        params, log = _train_from_scratch(spec, key, clips, fold.by_class, (steps,))
        x_QxF, x_MxF, label_M = clips.x[fold.test], clips.x[fold.train], clips.label[fold.train]
        classes_Q = similarity.classify(
            spec.network, params, x_QxF, x_MxF, label_M, fold.train_valid, spec.n_classes, spec.pooling
        )
        return classes_Q, log

    return trial


def fine_tuning_step(
    spec: ProtocolSpec, second_updates: tuple[str, ...], batch: tuple[Array, pairs.PairMasks, Params], which: Array
) -> Callable[[jax.Array, TrainState], TrainState]:
    """Returns the step (i, state) -> state of fine-tuning: the cross entropy, then the second update number `which`.

    Args:
      batch: the labelled clips [M, F], their pair masks and the mask of trainable parameters.
    """

    def second(kind: str) -> Callable[[TrainState], TrainState]:
        return lambda state: training.second_step(spec.network, spec.training, kind, state, *batch)

    def step(_: jax.Array, state: TrainState) -> TrainState:
        state = training.cross_entropy_step(spec.network, spec.training, state, *batch)
        return jax.lax.switch(which, [second(kind) for kind in second_updates], state)

    return step


def make_fine_tuning_trial(
    spec: ProtocolSpec, second_updates: tuple[str, ...], evaluation_steps: tuple[int, ...]
) -> Callable[[Params, FewShot, Clips, jax.Array, jax.Array], FineTuned]:
    """Trial (params, few_shot, target, probe, which) -> FineTuned: fine-tuning on a few labelled target clips.

    The whole support set is the batch; no key is consumed. The target is classified by its similarity to the support
    set after each of the `evaluation_steps`, within one run. The trials of a call share `probe` [K], the rows of the
    clips whose emotion distances are measured (without labelled ones), and `which`, an index into `second_updates`.

    Args:
      second_updates: of `training.SECOND_UPDATES`. A shared index chooses, so one program serves all at one's price.
      evaluation_steps: increasing numbers of steps, 0 for none; the last ends the run.
    """

    def trial(params: Params, few_shot: FewShot, target: Clips, probe: jax.Array, which: jax.Array) -> FineTuned:
        x_NxF = few_shot.scaling(target.x)
        rows_M, valid_M = few_shot.support, few_shot.valid
        x_MxF, label_M = x_NxF[rows_M], target.label[rows_M]
        pair_masks = pairs.pair_masks(label_M, rows_M, target.speaker[rows_M], valid_M, spec.training.pairs_within)
        batch = x_MxF, pair_masks, siamese.trainable_mask(params, few_shot.frozen)
        unseen_K = ~jnp.any((probe[:, None] == rows_M[None, :]) & valid_M[None, :], axis=1)
        step = fine_tuning_step(spec, second_updates, batch, which)

        def run_to(state: TrainState, span: jax.Array) -> tuple[TrainState, tuple]:
            state = training.run(step, state, span[0], span[1])
            emb_NxD = siamese.encode(spec.network, state.params["encoder"], x_NxF)
            predictions_N = similarity.classify_embeddings(
                spec.network, state.params["head"], emb_NxD, emb_NxD[rows_M], label_M, valid_M, spec.n_classes,
                spec.pooling,
            )  # fmt: skip
            distance_CxC = emotion_distances(emb_NxD[probe], target.label[probe], unseen_K, spec.n_classes)
            log = training.evaluate(spec.network, spec.training, state.params, x_MxF, pair_masks)
            return state, (predictions_N, log, distance_CxC)

        spans_Rx2 = _spans(evaluation_steps)
        state, (predictions_RxN, log, distance_RxCxC) = jax.lax.scan(run_to, training.init_state(params), spans_Rx2)
        return FineTuned(predictions_RxN, log, distance_RxCxC, state.skipped)

    return trial

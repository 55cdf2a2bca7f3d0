"""The stages of an experiment, from datasets to labelled arrays: each lays out arguments over trials for one call."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import jax
import numpy as np
import xarray as xr

from siamese_jax.datasets import scaling_scopes
from siamese_jax.datasets.draws import ClassIndex, class_index, source_index
from siamese_jax.datasets.folds import Split
from siamese_jax.features.scaling import Scaling, identity, over_rows
from siamese_jax.models import siamese, similarity
from siamese_jax.models.siamese import Params
from siamese_jax.protocols import emotion_distances, trials
from siamese_jax.protocols.config import Experiment
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.trials import Clips, FewShot, Fold
from siamese_jax.runtime import interrupt, vectorize
from siamese_jax.runtime.progress import OnDone
from siamese_jax.training.siamese import BatchLog

SOURCE_EVALUATIONS = 5
"""The number of times that pre-training reads its losses."""


def source_training(plan: Plan, head: str, scope: str, on_done: OnDone) -> xr.Dataset:
    """Pre-trains one network a seed on the source; parameters and losses, dims (seed, ...)."""
    n_steps, n_seeds = plan.experiment.training.source_steps, plan.experiment.protocol.n_seeds
    steps = tuple(sorted({max(1, n_steps * (i + 1) // SOURCE_EVALUATIONS) for i in range(SOURCE_EVALUATIONS)}))
    clips = plan.source_clips(scope)
    by_class = source_index(plan.source, len(plan.experiment.data.emotions))
    chunk = vectorize.chunk_size(n_seeds, _batch_floats(plan.experiment))
    program = vectorize.TrialProgram(trials.make_source_trial(plan.spec(head), steps), (0, None, None), chunk)
    params, log = program(plan.keys(0, n_seeds), clips, by_class, on_chunk=on_done)
    arrays: dict[str, Any] = {name: (("seed", "source_step"), value) for name, value in log._asdict().items()}
    return xr.Dataset({**arrays, **params_to_arrays(params)}, coords={"source_step": list(steps)})


def diverged(log: xr.Dataset | Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether trainings diverged, of the shape of the fields of `training.siamese.BatchLog` in `log`.

    A loss is not finite, or all clips have one embedding, so that all get one class.
    """
    loss, same, different = (np.asarray(log[name]) for name in BatchLog._fields)
    return ~np.isfinite(loss + same + different) | ((same == 0) & (different == 0) & (loss > 0))


def out_of_domain(plan: Plan, head: str, scope: str, trained: xr.Dataset, on_done: OnDone) -> xr.Dataset:
    """Classes of the target clips by their similarity to the source clips, after `source_training`.

    Returns `predictions` (seed, clip) and `diverged` (seed).
    """
    params = params_from_arrays(trained)
    source, target = plan.source_clips(scope), plan.target_clips(scope)
    # Clips are compared in blocks, so the pairs of one block bound the memory.
    chunk = vectorize.chunk_size(plan.experiment.protocol.n_seeds, similarity.QUERY_BLOCK * len(plan.source) * 4)
    program = vectorize.TrialProgram(trials.make_out_of_domain_trial(plan.spec(head)), (0, None, None, None), chunk)
    weight_N = plan.source.clip_weight_in_class.astype(np.float32)
    predictions = program(params, source, weight_N, target, on_chunk=on_done)
    of_seed = diverged(trained.isel(source_step=-1))
    return xr.Dataset({"predictions": (("seed", "clip"), predictions), "diverged": ("seed", of_seed)})


def in_domain(plan: Plan, head: str, scope: str, splits: Sequence[Split], on_done: OnDone) -> xr.Dataset:
    """Trains and tests on parts of the target: `predictions` (seed, clip) pooled over `splits`, and `tested` (clip).

    `diverged` (seed) tells whether the training of any split did. The splits, such as those of `leave_one_speaker_out`,
    must test no clip twice; empty tests are skipped. Features are scaled by `scaling_scopes.IN_DOMAIN_SCOPE` of an
    experiment's scope.
    """
    experiment, scope = plan.experiment, scaling_scopes.IN_DOMAIN_SCOPE[scope]
    n_seeds, n_clips = experiment.protocol.n_in_domain_seeds, len(plan.target)
    clips = plan.target_clips(scope)
    folds, tests = _folds(plan, clips, scope, [(train, test) for train, test in splits if len(test)])
    n_folds = len(tests)
    fold_keys = jax.vmap(lambda key: jax.vmap(lambda i: jax.random.fold_in(key, i))(np.arange(n_folds)))
    keys = fold_keys(plan.keys(1, n_seeds)).reshape(-1)
    tiled = _tile(folds, n_seeds)
    floats = _batch_floats(experiment) + 4 * tiled.test.shape[1] * tiled.train.shape[1]
    trial = trials.make_in_domain_trial(plan.spec(head), experiment.training.in_domain_steps)
    program = vectorize.TrialProgram(trial, (0, 0, None), vectorize.chunk_size(n_seeds * n_folds, floats))
    classes, log = program(keys, tiled, clips, on_chunk=on_done)
    classes = classes.reshape(n_seeds, n_folds, -1)
    of_seed = diverged(log._asdict()).reshape(n_seeds, -1).any(axis=1)
    predictions, tested = np.zeros((n_seeds, n_clips), np.int8), np.zeros(n_clips, bool)
    for fold, rows in enumerate(tests):
        predictions[:, rows] = classes[:, fold, : len(rows)]
        tested[rows] = True
    return xr.Dataset(
        {"predictions": (("seed", "clip"), predictions), "tested": ("clip", tested), "diverged": ("seed", of_seed)}
    )


def _tile(tree: Any, times: int) -> Any:
    """Every leaf [n, ...] repeated to [times * n, ...]."""
    return jax.tree.map(lambda leaf: np.tile(leaf, (times,) + (1,) * (leaf.ndim - 1)), tree)


def _folds(plan: Plan, clips: Clips, scope: str, splits: Sequence[Split]) -> tuple[Fold, list[np.ndarray]]:
    emotions, target = plan.experiment.data.emotions, plan.target
    trains, tests = [train for train, _ in splits], [test for _, test in splits]
    widest = int(np.bincount(target.label).max())
    in_training = [np.isin(np.arange(len(target)), train) for train in trains]
    indices = [class_index(target.label, len(emotions), mask, widest) for mask in in_training]
    longest, most = max(map(len, trains)), max(map(len, tests))
    by_train = scope == "train"
    fold = Fold(
        by_class=ClassIndex(np.stack([i.rows for i in indices]), np.stack([i.counts for i in indices])),
        train=np.stack([np.resize(train, longest) for train in trains]).astype(np.int32),
        train_valid=np.stack([np.arange(longest) < len(train) for train in trains]),
        test=np.stack([np.resize(test, most) for test in tests]).astype(np.int32),
        scaling=over_rows(clips.x, trains, 0) if by_train else identity(len(splits), clips.x.shape[1]),
    )
    return fold, tests


class FineTuning:
    """The fine-tuning programs of one head: one for each padded size of the support set, compiled concurrently.

    Args:
      n_speakers: the numbers of speakers that will be run; only their programs are compiled.
      executor: its threads compile.
    """

    def __init__(self, plan: Plan, head: str, n_speakers: Sequence[int], executor: Executor):
        self.plan, self.head = plan, head
        protocol, spec = plan.experiment.protocol, plan.spec(head)
        self._probe = emotion_distances.probe_rows(plan.target.label, plan.target.speaker)
        self.trial = trials.make_fine_tuning_trial(spec, protocol.losses, protocol.steps)
        params = jax.tree.map(lambda leaf: leaf[None], siamese.init(spec.network, plan.keys(0, 1)[0], self._width))
        target = Clips(plan.target.table.features, plan.target.label, plan.target.speaker)
        self._programs: dict[int, Future[vectorize.TrialProgram]] = {}
        for size in dict.fromkeys(map(self._padded, n_speakers)):
            few_shot = self._few_shot(np.zeros((1, size), np.int32), 0, identity(1, self._width))
            chunk = vectorize.chunk_size(len(protocol.frozen) * protocol.n_draws, self._floats(size))
            program = vectorize.TrialProgram(self.trial, (0, 0, None, None, None), chunk)
            arguments = (params, few_shot, target, self._probe, np.int32(0))
            self._programs[size] = executor.submit(program.prepare, *arguments)

    @property
    def _width(self) -> int:
        return self.plan.target.full_table.features.shape[1]

    def _padded(self, n_speakers: int) -> int:
        step = self.plan.experiment.protocol.pad_speakers
        return -(-n_speakers // step) * step * len(self.plan.experiment.data.emotions)

    def _floats(self, size: int) -> float:
        activations = 2 * size + 2 * self._width + sum(self.plan.experiment.network.encoder_widths)
        return 8.0 * size * size + len(self.plan.target) * activations

    @staticmethod
    def _few_shot(support_GxM: np.ndarray, padding: int, scalings: Scaling) -> FewShot:
        n, size = support_GxM.shape
        padded = np.concatenate([support_GxM, np.zeros((n, padding), support_GxM.dtype)], axis=1).astype(np.int32)
        valid = np.broadcast_to(np.arange(size + padding) < size, padded.shape).copy()
        return FewShot(padded, valid, np.zeros(n, np.int32), scalings)

    def arguments(self, plan: Plan, n_speakers: int, scope: str, params: Params) -> tuple[Params, FewShot, Clips, Any]:
        """The arguments of a plan's fine-tuning trials but the loss; mapped axes are [frozen x draws]."""
        protocol, target = plan.experiment.protocol, plan.target_clips(scope)
        support = plan.draws.support(n_speakers)
        padding = self._padded(n_speakers) - support.shape[1]
        few_shot = self._few_shot(support, padding, plan.support_scaling(target, scope, n_speakers))
        tiled = _tile(few_shot, len(protocol.frozen))
        tiled = tiled._replace(frozen=np.repeat(np.array(protocol.frozen, np.int32), protocol.n_draws))
        starts = jax.tree.map(lambda leaf: leaf[np.tile(plan.seed_of_draw, len(protocol.frozen))], params)
        return starts, tiled, target, self._probe

    def run(self, plan: Plan, n_speakers: int, scope: str, params: Params, on_done: OnDone) -> xr.Dataset:
        """All fine-tuning trials of a plan with this many speakers; its draws may differ from the constructor's plan.

        Returns `predictions` (loss, frozen, draw, step, clip), the losses of the support set (loss, frozen, draw,
        step), `emotion_distances` (loss, frozen, draw, step, class, other_class), `skipped` (loss, frozen, draw),
        `support` (draw, labelled) and `seed_of_draw` (draw).
        """
        protocol, emotions = plan.experiment.protocol, list(plan.experiment.data.emotions)
        arguments = self.arguments(plan, n_speakers, scope, params)
        shape = (len(protocol.frozen), protocol.n_draws)
        program = interrupt.result(self._programs[self._padded(n_speakers)])
        results = [program(*arguments, np.int32(i), on_chunk=on_done) for i in range(len(protocol.losses))]
        stacked = jax.tree.map(lambda *leaves: np.stack([x.reshape(shape + x.shape[1:]) for x in leaves]), *results)
        dims = ("loss", "frozen", "draw")
        arrays: dict[str, Any] = {"predictions": ((*dims, "step", "clip"), stacked.predictions)}
        arrays |= {name: ((*dims, "step"), value) for name, value in stacked.log._asdict().items()}
        arrays["emotion_distances"] = ((*dims, "step", "class", "other_class"), stacked.emotion_distances)
        arrays["skipped"] = (dims, stacked.skipped)
        arrays["support"] = (("draw", "labelled"), plan.draws.support(n_speakers).astype(np.int32))
        arrays["seed_of_draw"] = ("draw", plan.seed_of_draw.astype(np.int32))
        coords = {"loss": list(protocol.losses), "frozen": list(protocol.frozen), "step": list(protocol.steps)}
        return xr.Dataset(arrays, coords={**coords, "class": emotions, "other_class": emotions})


def _batch_floats(experiment: Experiment) -> float:
    widths = experiment.network.encoder_widths
    return 8.0 * experiment.training.batch_size**2 + 4 * sum(widths) * max(widths)


def params_to_arrays(params: Params) -> dict[str, Any]:
    """Parameters with a leading seed axis as labelled arrays, named "params.encoder.layer_0.kernel" and so on."""
    arrays = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = ".".join(["params", *(entry.key for entry in path)])
        arrays[name] = (("seed", *(f"{name}_{i}" for i in range(leaf.ndim - 1))), leaf)
    return arrays


def params_from_arrays(arrays: xr.Dataset) -> Params:
    """The inverse of `params_to_arrays`."""
    params: Params = {}
    for name in arrays.data_vars:
        if str(name).startswith("params."):
            *parents, last = str(name).split(".")[1:]
            node = params
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = arrays[name].values
    return params

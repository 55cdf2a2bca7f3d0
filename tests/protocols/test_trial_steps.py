"""What a trial gives to its steps, evaluations and classification, with steps that only take note: nothing compiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_implementation as plain
from tiny_plan import PLAN, SOURCE, TARGET

from siamese_jax.datasets.draws import balanced_batch, class_index
from siamese_jax.features.scaling import Scaling
from siamese_jax.losses.pair_masks import pair_masks
from siamese_jax.models import siamese
from siamese_jax.protocols import trials
from siamese_jax.protocols.emotion_distances import emotion_distances
from siamese_jax.protocols.trials import Clips, FewShot, Fold
from siamese_jax.training.siamese import SECOND_UPDATES, BatchLog

SPEC = PLAN.spec("abs_difference")
KEY = 3


@pytest.fixture
def noted(monkeypatch):
    """The arguments of every first update, second update and evaluation."""
    notes = {"first": [], "second": [], "evaluated": []}

    def first(network, spec, state, x, masks, trainable):
        notes["first"].append((x, masks, trainable))
        return state

    def second(network, spec, kind, state, x, masks, trainable):
        notes["second"].append((kind, x, masks, trainable))
        return state

    def evaluate(network, spec, params, x, masks):
        notes["evaluated"].append((x, masks))
        return BatchLog(*jnp.zeros(3))

    def run(step, state, start, stop):
        for i in range(int(start), int(stop)):
            state = step(jnp.int32(i), state)
        return state

    for name, stub in (("cross_entropy_step", first), ("second_step", second), ("evaluate", evaluate), ("run", run)):
        monkeypatch.setattr(trials.training, name, stub)
    with jax.disable_jit():
        yield notes


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def trainable_layers(mask):
    assert all(float(leaf) == 1 for leaf in jax.tree.leaves(mask["head"]))
    return [float(mask["encoder"][f"layer_{i}"]["kernel"]) for i in range(3)]


def batches(clips, index, n):
    """Batches 0 to n - 1 of a training from scratch, with their masks."""
    batch_key, made = jax.random.split(jax.random.key(KEY))[1], []
    for i in range(n):
        rows = balanced_batch(jax.random.fold_in(batch_key, i), index, 12)
        masks = pair_masks(clips.label[rows], rows, clips.speaker[rows], jnp.ones(12, bool), "any")
        made.append((clips.x[rows], masks))
    return made


def test_pre_training_learns_all_layers_from_new_batches_and_logs_the_next(noted):
    clips = Clips(*(jnp.asarray(column) for column in PLAN.source_clips("corpus")))
    # Few clips, so that a batch holds some twice.
    index = class_index(SOURCE.label, 4, np.arange(len(SOURCE)) < 16)
    params, _ = trials.make_source_trial(SPEC, (1, 3))(jax.random.key(KEY), clips, index)
    expected = batches(clips, index, 4)
    assert len(noted["first"]) == 3
    for (x, masks, trainable), batch in zip(noted["first"], expected):
        same((x, masks), batch)
        assert trainable_layers(trainable) == [1, 1, 1]
    assert any((masks.same | masks.different).sum() < 12 * 11 for _, masks in expected)
    same(noted["evaluated"], [expected[1], expected[3]])
    same(params, siamese.init(SPEC.network, jax.random.split(jax.random.key(KEY))[0], 9))
    assert noted["second"] == []


def shifted():
    rng = np.random.default_rng(0)
    return Scaling(*(jnp.asarray(rng.uniform(1, 2, 9), jnp.float32) for _ in range(2)))


@pytest.mark.parametrize(("which", "frozen"), [(1, 1), (3, 2)])
def test_fine_tuning_uses_its_clips_scaling_frozen_layers_and_loss(noted, which, frozen):
    scaling, target = shifted(), Clips(*(jnp.asarray(column) for column in PLAN.target_clips("train")))
    rows, valid = jnp.asarray([*PLAN.draws.support(2)[0], 0, 1]), jnp.arange(10) < 8
    params = siamese.init(SPEC.network, jax.random.key(KEY), 9)
    # Similarities near 0 and 1, whose mean and mean logarithm choose different classes.
    params["head"] = {"kernel": -30 * jnp.abs(params["head"]["kernel"]), "bias": jnp.ones(1)}
    probe = jnp.asarray([*PLAN.draws.support(2)[0][:2], *range(12)])
    few_shot = FewShot(rows, valid, jnp.int32(frozen), scaling)
    found = trials.make_fine_tuning_trial(SPEC, SECOND_UPDATES, (0, 2))(params, few_shot, target, probe, which)
    x = (target.x - scaling.shift[None]) / scaling.scale[None]
    masks = pair_masks(target.label[rows], rows, target.speaker[rows], valid, "any")
    assert [len(noted[name]) for name in ("first", "second", "evaluated")] == [2, 2, 2]
    for trained_x, trained_masks, trainable in noted["first"]:
        same((trained_x, trained_masks), (x[rows], masks))
        assert trainable_layers(trainable) == [float(i >= frozen) for i in range(3)]
    for kind, trained_x, trained_masks, trainable in noted["second"]:
        assert kind == SECOND_UPDATES[which]
        same((trained_x, trained_masks), (x[rows], masks))
        assert trainable_layers(trainable) == [float(i >= frozen) for i in range(3)]
    same(noted["evaluated"], [(x[rows], masks)] * 2)
    classes = plain.classes(params, x, x[rows[:8]], TARGET.label[rows[:8]], 4, "mean_probability")
    assert (found.predictions == classes[None]).mean() > 0.97
    by_log = plain.classes(params, x, x[rows[:8]], TARGET.label[rows[:8]], 4, "mean_log")
    assert (by_log == classes).mean() < 0.9
    unseen = jnp.asarray(~np.isin(probe, rows[:8]))
    emb = siamese.encode(SPEC.network, params["encoder"], x)
    distances = emotion_distances(emb[probe], target.label[probe], unseen, 4)
    np.testing.assert_allclose(found.emotion_distances[0], distances, rtol=1e-5)


def test_a_fold_trains_and_tests_on_its_own_clips_by_its_scaling(noted):
    scaling, target = shifted(), Clips(*(jnp.asarray(column) for column in PLAN.target_clips("train")))
    train, test = np.flatnonzero(TARGET.speaker != 1), np.flatnonzero(TARGET.speaker == 1)
    index = class_index(TARGET.label, 4, TARGET.speaker != 1)
    padded = jnp.asarray([*train, *test])
    fold = Fold(index, padded, jnp.arange(len(padded)) < len(train), jnp.asarray(test), scaling)
    found, _ = trials.make_in_domain_trial(SPEC, 2)(jax.random.key(KEY), fold, target)
    x = (target.x - scaling.shift[None]) / scaling.scale[None]
    for (trained_x, masks, _), batch in zip(noted["first"], batches(target._replace(x=x), index, 2), strict=True):
        same((trained_x, masks), batch)
    params = siamese.init(SPEC.network, jax.random.split(jax.random.key(KEY))[0], 9)
    classes = plain.classes(params, x[test], x[train], TARGET.label[train], 4, "mean_probability")
    assert (found == classes).mean() > 0.85

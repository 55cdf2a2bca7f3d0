"""The arguments of a stage's trials: folds hold their own clips and scaling; draws their seed, layers and scaling."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest
from tiny_plan import PLAN, TARGET, scaled

from siamese_jax.datasets.folds import leave_one_speaker_out
from siamese_jax.models import siamese
from siamese_jax.protocols import stages

SPEC = PLAN.spec("abs_difference")


@pytest.mark.parametrize("scope", ["train", "corpus"])
def test_a_fold_holds_its_training_clips_by_class_and_its_scaling(scope):
    splits = leave_one_speaker_out(TARGET)[1:]
    clips = PLAN.target_clips(scope)
    fold, tests = stages._folds(PLAN, clips, scope, splits)
    for i, (train, test) in enumerate(splits):
        for c in range(4):
            rows, count = fold.by_class.rows[i, c], fold.by_class.counts[i, c]
            own = train[TARGET.label[train] == c]
            assert count == len(own)
            assert set(rows[:count].tolist()) == set(rows.tolist()) == set(own.tolist())
        np.testing.assert_array_equal(fold.train[i][fold.train_valid[i]], train)
        np.testing.assert_array_equal(fold.test[i][: len(test)], test)
        np.testing.assert_array_equal(tests[i], test)
        x = (clips.x - fold.scaling.shift[i]) / fold.scaling.scale[i]
        np.testing.assert_allclose(x, scaled(TARGET, scope, train), atol=2e-3)


@pytest.mark.parametrize("scope", ["corpus", "speaker", "source", "support"])
def test_a_draw_has_its_seed_frozen_layers_clips_and_scaling(scope):
    with ThreadPoolExecutor(1) as executor:
        tuning = stages.FineTuning(PLAN, "abs_difference", (), executor)  # compiles nothing
    keys = jax.random.split(jax.random.key(0), 2)
    params = jax.tree.map(np.asarray, jax.vmap(lambda key: siamese.init(SPEC.network, key, 9))(keys))
    starts, few_shot, target, _ = tuning.arguments(PLAN, 2, scope, params)
    support = PLAN.draws.support(2)
    for i, frozen in enumerate((0, 1, 3)):
        for draw in range(3):
            trial = 3 * i + draw
            assert few_shot.frozen[trial] == frozen
            assert few_shot.valid[trial].tolist() == [True] * 8 + [False] * 4
            np.testing.assert_array_equal(few_shot.support[trial, :8], support[draw])
            jax.tree.map(lambda a, b, t=trial, d=draw: np.testing.assert_array_equal(a[t], b[d % 2]), starts, params)
            x = (target.x - few_shot.scaling.shift[trial]) / few_shot.scaling.scale[trial]
            np.testing.assert_allclose(x, scaled(TARGET, scope, support[draw]), atol=2e-3)
    np.testing.assert_array_equal(target.label, TARGET.label)

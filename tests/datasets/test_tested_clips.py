"""The clips that a draw is tested on."""

import dataclasses

import numpy as np
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset
from siamese_jax.datasets.draws import evaluation_masks

TARGET = dataset.from_table(make_table("target", n_speakers=4), EMOTIONS, "target")


def test_no_labelled_clip_no_duplicate_of_one_and_of_other_speakers_alone():
    support = np.array([[0, 2, 4, 6], [8, 10, 12, 14]])  # of the first speaker, and of the second
    duplicate = np.arange(len(TARGET))
    duplicate[25] = 2  # another speaker's clip with the samples of a labelled one
    masks = evaluation_masks(dataclasses.replace(TARGET, duplicate=duplicate), support)
    clips = np.arange(len(TARGET))
    for draw, (rows, copies) in enumerate(zip(support, ([25], []))):
        paper = ~np.isin(clips, [*rows, *copies])
        np.testing.assert_array_equal(masks["paper"][draw], paper)
        np.testing.assert_array_equal(masks["speaker_disjoint"][draw], paper & (TARGET.speaker != draw))

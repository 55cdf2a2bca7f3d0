"""The card: licence and citations of the sources, scores, and names from recordings without markup."""

import dataclasses

import numpy as np
import pytest

from siamese_jax.recognizer.card import card, notices
from siamese_jax.recognizer.methods import SETTINGS
from siamese_jax.recognizer.model import Model
from siamese_jax.recognizer.sources import Source
from siamese_jax.recognizer.transfer import Classifier, Clips, Recipe


def model(classes=("anger", "fear"), shipped=("emodb",)):
    clips = Clips(np.zeros((2, 1), np.float32), np.arange(2), None)
    sources = tuple(Source(name, name, ("anger", "fear"), clips) for name in shipped)
    recipe = Recipe("logistic_regression", SETTINGS, "balanced", 1e-3)
    nothing = Classifier(None, None)
    return Model(classes, {}, ("f",), recipe, sources, clips, nothing, 1.0, np.zeros(0))


def test_a_model_of_ravdess_is_non_commercial_in_front_matter_and_notices():
    made = model(shipped=("emodb", "ravdess"))
    assert "license: cc-by-nc-sa-4.0" in card(made)
    assert "Livingstone" in card(made)
    assert any("non-commercial use only" in line for line in notices(made))


def test_a_model_of_permitted_sources_says_nothing_of_non_commercial_use():
    assert "license: other" in card(model())
    assert "non-commercial" not in card(model()) + "".join(notices(model()))
    assert "Burkhardt" in card(model())


def test_a_card_counts_the_clips_of_each_label():
    enrolled = Clips(np.zeros((4, 1), np.float32), np.array([0, 1, 1, 1]), None)
    text = card(dataclasses.replace(model(), enrolled=enrolled))
    assert "| label | enrolled clips | clips of emodb |" in text
    assert "| anger | 1 | 1 |\n| fear | 3 | 1 |" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a|b", "![x](http://x)", "x\n# y", "\x1b[2J"])
def test_a_label_is_one_cell_without_markup(name):
    rows = [line for line in card(model((name, "fear"))).split("\n") if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") in (4, 5) for line in rows)
    text = card(model((name, "fear")))
    assert "<script" not in text
    assert "](http" not in text.replace("\\]\\(", "").replace("\\](", "")
    assert "\x1b" not in text
    assert "\n# y" not in text


def test_scores_have_their_training_and_test_data_and_interval():
    row = {
        "trained_on": "EMO-DB", "tested_on": "RAVDESS", "mode": "clip", "n_clips": 768, "n_speakers": 24, "uar": 0.6,
        "low": 0.55, "high": 0.65, "calibration_error": 0.05,
    }  # fmt: skip
    text = card(dataclasses.replace(model(), evidence=(row,)))
    assert "| EMO-DB | RAVDESS | clip | 768 | 24 | 60.0 | 55.0 to 65.0 | 0.050 |" in text
    assert "None yet" in card(model())

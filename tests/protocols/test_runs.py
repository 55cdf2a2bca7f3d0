"""One configuration, several experiments: each corpus as the target, the others as its sources."""

import re

import pytest

from siamese_jax import load_config
from siamese_jax.datasets.mixture import source_names
from siamese_jax.errors import InputError
from siamese_jax.protocols import runs


def given(source="emodb,a/mine.npz,authors.csv", target="ravdess", **data):
    config = load_config("leave_one_corpus_out")
    config.data.update({"source": source, "target": target, **data})
    return config


def test_each_corpus_is_the_target_and_the_others_are_its_sources():
    experiments = runs.resolve_each(given(source_corpus=",,enterface05", target_companion="labels.csv"))
    assert list(experiments) == ["emodb", "mine", "enterface05", "ravdess"]
    data = experiments["enterface05"].data
    assert (data.source, data.source_corpus, data.source_companion) == ("emodb,a/mine.npz,ravdess", "", ",,labels.csv")
    assert (data.target, data.target_corpus, data.target_companion) == ("authors.csv", "enterface05", "")
    names = {
        ("emodb", "", ""),
        ("a/mine.npz", "", ""),
        ("authors.csv", "enterface05", ""),
        ("ravdess", "", "labels.csv"),
    }
    for experiment in experiments.values():
        data = experiment.data
        own = (data.target, data.target_corpus, data.target_companion)
        sources = source_names(data.source, data.source_corpus, data.source_companion)
        assert {(n.table, n.corpus, n.companion) for n in sources} == names - {own}


def test_two_corpora_are_each_others_source():
    experiments = runs.resolve_each(load_config("leave_one_corpus_out"))
    found = {name: (e.data.source, e.data.target) for name, e in experiments.items()}
    assert found == {"emodb": ("ravdess", "emodb"), "ravdess": ("emodb", "ravdess")}


def test_feature_sets_and_left_out_corpora_are_folders_in_folders():
    config = given("emodb")
    config.feature_sets = ("is09", "whisper")
    assert list(runs.resolve_each(config)) == ["is09/emodb", "is09/ravdess", "whisper/emodb", "whisper/ravdess"]


def test_folders_are_told_apart_and_stay_inside_the_work_directory():
    experiments = runs.resolve_each(given("a/x.npz,b/x.npz", "..", source_corpus="", target_corpus="../y"))
    assert list(experiments) == ["1_x", "2_x", "_y"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (given(source_weights=(1.0, 1.0, 2.0)), "source_weights is (1.0, 1.0, 2.0), but config.leave_one_corpus_out"),
        (given("emodb,ravdess"), "config.data.source and target give ravdess more than once"),
    ],
)
def test_corpora_that_cannot_be_left_out_are_refused(config, message):
    with pytest.raises(InputError, match=re.escape(message)):
        runs.resolve_each(config)


def test_a_table_with_a_comma_in_its_name_is_refused(tmp_path):
    (tmp_path / "a,b.npz").touch()
    with pytest.raises(InputError, match=r"separates tables by commas; rename .*a,b.npz"):
        runs.resolve_each(given(str(tmp_path / "a,b.npz")))


def test_a_switch_that_is_no_truth_value_is_refused():
    config = load_config("reproduce")
    config.leave_one_corpus_out = "emodb"
    with pytest.raises(InputError, match="leave_one_corpus_out is 'emodb'; expected True or False"):
        runs.resolve_each(config)

"""Configurations: every key named, checked and resolved."""

import pytest
from ml_collections import ConfigDict

from configs import reproduce
from siamese_jax.errors import InputError
from siamese_jax.protocols import config


def changed(**values):
    given = reproduce.get_config().to_dict()
    for name, value in values.items():
        given[config.GROUP_OF[name]][name] = value
    return ConfigDict(given)


def test_an_unknown_key_is_an_error_that_suggests_the_nearest():
    with pytest.raises(InputError, match="'n_draw' is unknown; did you mean 'n_draws'"):
        config.resolve(ConfigDict({**changed().to_dict(), "protocol": {**changed().protocol.to_dict(), "n_draw": 3}}))
    with pytest.raises(InputError, match="config key 'protocols' is unknown; did you mean 'protocol'"):
        config.resolve(ConfigDict({**changed().to_dict(), "protocols": {}}))


def test_a_missing_key_is_named():
    given = reproduce.get_config()
    del given.protocol["pooling"]
    with pytest.raises(InputError, match=r"config\.protocol lacks pooling"):
        config.resolve(given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_draws": 0}, "config.protocol.n_draws is 0"),
        ({"n_draws": 1.5}, "expected int"),
        ({"n_draws": True}, "expected int"),
        ({"heads": ("cosine",)}, "expected one of abs_difference, extra_layer"),
        ({"losses": ("none", "none")}, "each once"),
        ({"scalings": ()}, "at least one value"),
        ({"steps": (50, 20)}, "increasing"),
        ({"steps": (0,)}, "the last at least 1"),
        ({"frozen": (0, 4)}, "0 to 3 encoder layers"),
        ({"batch_size": 30}, "multiple of the 4 emotions"),
        ({"fixed_steps": 30}, "config.report.fixed_steps holds 30"),
        ({"emotions": ("anger", "joy")}, "config.data.emotions holds 'joy'"),
        ({"level": 95.0}, "share between 0 and 1"),
        ({"learning_rate": -1.0}, "positive"),
        ({"learning_rate": 1e300}, "expected a finite number of at most 3e"),
        ({"n_speakers": (0, 2)}, "at least 1"),
        ({"pooling": "max"}, "expected one of mean_log"),
    ],
)
def test_bad_values_are_named_with_what_was_expected(values, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        config.resolve(changed(**values))


def test_all_values_out_of_range_are_one_message():
    message = r"batch_size is 32; expected a multiple of the 3 emotions .* such as 30\. .*fixed_n_speakers holds 4"
    with pytest.raises(InputError, match=message):
        config.resolve(changed(emotions=("anger", "sadness", "fear"), n_speakers=(1, 2)))


def test_whole_numbers_serve_as_rates():
    assert config.resolve(changed(clip_norm=2)).training.clip_norm == 2.0


def test_a_changed_experiment_is_checked_too():
    experiment = config.resolve(changed())
    other = experiment.replace(n_draws=3, source="mine.npz")
    assert (other.protocol.n_draws, other.data.source, other.network) == (3, "mine.npz", experiment.network)
    with pytest.raises(InputError, match=r"config\.protocol\.n_draws is 0"):
        experiment.replace(n_draws=0)


def test_the_new_place_of_a_flat_field_is_known():
    assert config.new_place("n_draws") == "protocol.n_draws"
    assert config.new_place("alternatives") == "protocol.baselines"
    assert config.new_place("colour") is None

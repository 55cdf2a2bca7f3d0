import hashlib
from collections import Counter

import numpy as np
import pytest

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import extraction, speech_encoder
from siamese_jax.datasets import shipped as data
from siamese_jax.datasets.table_files import duplicates, read_table
from siamese_jax.errors import InputError
from siamese_jax.features import is09
from siamese_jax.runtime.devices import available_cores

COUNTS = {
    "ravdess": (1440, 24, {"neutral": 96, "calm": 192, "surprise": 192, "disgust": 192, "anger": 192}, 768),
    "emodb": (535, 10, {"anger": 127, "happiness": 71, "sadness": 62, "fear": 69}, 329),
}
CONTENT = {
    "is09": (is09.FEATURE_NAMES, is09.VERSION),
    "whisper": (
        tuple(
            f"whisper.tiny.en.layer{layer}.{statistic}.{i:03d}"
            for layer in (1, 2, 3) for statistic in ("mean", "std") for i in range(384)
        ),
        speech_encoder.VERSION,
    ),
}  # fmt: skip


@pytest.mark.parametrize("features", data.FEATURE_SETS)
@pytest.mark.parametrize("name", data.SHIPPED)
def test_checksums_in_the_card_are_the_tables(name, features):
    path = data.shipped(name, features)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    table = read_table(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert hashlib.sha256(table.features.astype("<f4").tobytes()).hexdigest() in card
    for emotion, count in Counter(table.emotion.tolist()).items():
        assert f"| {emotion} | {count} |" in card
    for word in ("Citation", "Licence", "make tables"):
        assert word in card


@pytest.mark.parametrize("features", data.FEATURE_SETS)
@pytest.mark.parametrize("name", data.SHIPPED)
def test_shipped_tables_are_whole(name, features):
    clips, speakers, counts, of_the_paper = COUNTS[name]
    table = read_table(data.shipped(name, features))
    assert len(table) == clips
    assert len(set(table.speaker)) == speakers
    emotion_counts = Counter(table.emotion.tolist())
    assert {emotion: emotion_counts[emotion] for emotion in counts} == counts
    assert sum(emotion_counts[emotion] for emotion in PAPER_EMOTIONS) == of_the_paper
    names, version = CONTENT[features]
    assert table.feature_names == names
    assert table.made["extractor"] == version
    assert set(table.sex) == {"female", "male"}
    assert all(len(digest) == 32 for digest in table.audio_hash)


def test_the_known_duplicates_of_ravdess_are_found():
    table = read_table(data.shipped("ravdess"))
    groups = duplicates(table)
    assert len(set(groups)) == 1439
    pair = [table.clip.tolist().index(name) for name in ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")]
    assert len(set(groups[pair])) == 1


def test_the_tables_are_small():
    assert sum(data.shipped(name).stat().st_size for name in data.SHIPPED) < 2_000_000
    assert all(data.shipped(name, "whisper").stat().st_size < 8_000_000 for name in data.SHIPPED)


@pytest.mark.parametrize("name", data.SHIPPED)
def test_both_feature_sets_hold_the_same_clips(name):
    ours, encoders = (read_table(data.shipped(name, features)) for features in data.FEATURE_SETS)
    for column in ("clip", "emotion", "speaker", "sex", "audio_hash"):
        np.testing.assert_array_equal(getattr(ours, column), getattr(encoders, column))


def test_the_tables_are_of_the_encoder_that_ships():
    """The weights, the layers and the loudness, so that a clip extracted today can be compared with them."""
    today = speech_encoder.of_shipped_tables("whisper", ())
    for name in data.SHIPPED:
        made = read_table(data.shipped(name, "whisper")).made
        assert {key: made[key] for key in today.made} == today.made


def test_an_unknown_table_is_named():
    with pytest.raises(InputError, match="no shipped table 'cremad'; expected one of emodb, ravdess"):
        data.shipped("cremad")
    with pytest.raises(InputError, match="no shipped table of 'egemaps' features; expected one of is09, whisper"):
        data.shipped("emodb", "egemaps")


@pytest.mark.data
@pytest.mark.parametrize("features", data.FEATURE_SETS)
@pytest.mark.parametrize("name", data.SHIPPED)
def test_the_extractor_makes_the_shipped_tables_again(name, features, data_folder):
    manifest = adapters.scan(name, data_folder / "audio" / name)
    options = extraction.Options(available_cores(), strict=True)
    extractor = speech_encoder.of_shipped_tables(features, ())
    made, shipped = extraction.compute_table(manifest, extractor, options), read_table(data.shipped(name, features))
    assert made.clip.tolist() == shipped.clip.tolist()
    assert made.audio_hash.tolist() == shipped.audio_hash.tolist()
    np.testing.assert_allclose(made.features, shipped.features, rtol=1e-3, atol=1e-5)

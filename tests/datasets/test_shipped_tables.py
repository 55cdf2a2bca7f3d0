import hashlib
from collections import Counter

import numpy as np
import pytest

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import PAPER_EMOTIONS
from siamese_jax.datasets import extraction
from siamese_jax.datasets import shipped as data
from siamese_jax.datasets.extractors import interspeech_2009
from siamese_jax.datasets.table_files import duplicates, read_table
from siamese_jax.errors import InputError
from siamese_jax.features import is09
from siamese_jax.runtime.devices import available_cores

COUNTS = {
    "ravdess": (1440, 24, {"neutral": 96, "calm": 192, "surprise": 192, "disgust": 192, "anger": 192}, 768),
    "emodb": (535, 10, {"anger": 127, "happiness": 71, "sadness": 62, "fear": 69}, 329),
}


@pytest.mark.parametrize("name", data.SHIPPED)
def test_checksums_in_the_card_are_the_tables(name):
    path = data.shipped(name)
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    table = read_table(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert hashlib.sha256(table.features.astype("<f4").tobytes()).hexdigest() in card
    for emotion, count in Counter(table.emotion.tolist()).items():
        assert f"| {emotion} | {count} |" in card
    for word in ("Citation", "Licence", "make tables"):
        assert word in card


@pytest.mark.parametrize("name", data.SHIPPED)
def test_shipped_tables_are_whole(name):
    clips, speakers, counts, of_the_paper = COUNTS[name]
    table = read_table(data.shipped(name))
    assert len(table) == clips
    assert len(set(table.speaker)) == speakers
    emotion_counts = Counter(table.emotion.tolist())
    assert {emotion: emotion_counts[emotion] for emotion in counts} == counts
    assert sum(emotion_counts[emotion] for emotion in PAPER_EMOTIONS) == of_the_paper
    assert table.feature_names == is09.FEATURE_NAMES
    assert table.made["extractor"] == is09.VERSION
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


def test_an_unknown_table_is_named():
    with pytest.raises(InputError, match="no shipped table 'cremad'; expected one of emodb, ravdess"):
        data.shipped("cremad")


@pytest.mark.data
@pytest.mark.parametrize("name", data.SHIPPED)
def test_the_extractor_makes_the_shipped_tables_again(name, data_folder):
    manifest = adapters.scan(name, data_folder / "audio" / name)
    options = extraction.Options(available_cores(), strict=True)
    made, shipped = extraction.compute_table(manifest, interspeech_2009(), options), read_table(data.shipped(name))
    assert made.clip.tolist() == shipped.clip.tolist()
    assert made.audio_hash.tolist() == shipped.audio_hash.tolist()
    np.testing.assert_allclose(made.features, shipped.features, rtol=1e-3, atol=1e-5)

"""Labels in the user's own words: mapped on request, unknown ones named."""

import logging
from pathlib import Path

import pytest

from siamese_jax.corpora.emotion_words import ALIASES_BY_LANGUAGE, COMMON_ALIASES
from siamese_jax.corpora.manifest import EMOTIONS, Clip, Manifest
from siamese_jax.corpora.spelling import nfc
from siamese_jax.recognizer import label_words


def labelled(*words):
    return Manifest(Path(), tuple(Clip(f"{i}.wav", str(i), word, "", "") for i, word in enumerate(words)))


def test_every_language_has_a_word_for_every_emotion_and_no_word_means_two():
    assert set(ALIASES_BY_LANGUAGE) == {"English", "German", "Italian", "French", "Spanish", "Chinese", "Japanese"}
    meanings = {}
    for nouns in ALIASES_BY_LANGUAGE.values():
        assert set(nouns) == set(EMOTIONS)
        for noun, words in nouns.items():
            assert words
            for word in words.split():
                assert meanings.setdefault(word, noun) == noun
                assert word == nfc(word).lower()
    assert not set(COMMON_ALIASES) & set(EMOTIONS)


@pytest.mark.parametrize(
    ("word", "noun"),
    [
        ("happy", "happiness"), ("Angry", "anger"), ("WUT", "anger"), ("Rabbia", "anger"), ("高兴", "happiness"),
        ("U\u0308berraschung", "surprise"), ("peur", "fear"), ("tristeza", "sadness"), ("怒り", "anger"),
        (" Anger ", "anger"), ("neutral", "neutral"), ("wistful", ""), ("", ""),
    ],
)  # fmt: skip
def test_words_are_mapped_in_any_letter_case_and_form(word, noun):
    assert label_words.noun(word) == noun


def test_mapping_changes_labels_alone_and_names_the_words_that_it_does_not_know(caplog):
    caplog.set_level(logging.INFO)
    given = labelled("happy", "Wut", "wistful", "wistful", "hapy", "")
    mapped = label_words.aliased(given)
    assert [clip.emotion for clip in mapped] == ["happiness", "anger", "wistful", "wistful", "hapy", ""]
    assert [clip.file for clip in mapped] == [clip.file for clip in given]
    assert "happy -> happiness; Wut -> anger" in caplog.text
    assert "'wistful' (2 clips)" in caplog.text
    assert "'hapy' (1 clips, did you mean happy?)" in caplog.text


def test_a_hint_names_the_words_that_could_be_mapped():
    assert label_words.unmapped(["happy", "wistful", "anger", "Wut"]) == ["happy (happiness)", "Wut (anger)"]

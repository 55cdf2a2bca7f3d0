"""Labels that users write in their own words, mapped to the project's emotion nouns on request."""

import dataclasses
import difflib
import logging
from collections import Counter

from siamese_jax.corpora.csv_files import some
from siamese_jax.corpora.emotion_words import COMMON_ALIASES
from siamese_jax.corpora.manifest import EMOTIONS, Manifest
from siamese_jax.corpora.spelling import nfc, printable

log = logging.getLogger(__name__)


def aliased(manifest: Manifest) -> Manifest:
    """Returns the manifest with common words for emotions (`COMMON_ALIASES`, any letter case) as nouns of `EMOTIONS`.

    Other words stay what they are; the log names them, with the noun that was probably meant.
    """
    words = Counter(clip.emotion for clip in manifest if clip.emotion)
    nouns = {word: noun(word) for word in words}
    if changed := [f"{printable(word)} -> {found}" for word, found in nouns.items() if found and found != word]:
        log.info("labels mapped by --aliases: %s", some(changed))
    if unknown := [_named(word, count) for word, count in words.items() if not nouns[word]]:
        log.warning("labels that --aliases does not know stay labels of their own: %s", some(unknown))
    clips = (dataclasses.replace(clip, emotion=nouns.get(clip.emotion) or clip.emotion) for clip in manifest)
    return dataclasses.replace(manifest, clips=tuple(clips))


def unmapped(words: list[str]) -> list[str]:
    """Returns those of the words that `aliased` would change, each with its noun, for a hint."""
    return [f"{printable(word)} ({found})" for word in words if (found := noun(word)) and found != word]


def noun(word: str) -> str:
    """Returns the emotion noun for a word in any letter case, "" for an unknown word."""
    folded = " ".join(nfc(word).lower().split())
    return folded if folded in EMOTIONS else COMMON_ALIASES.get(folded, "")


def _named(word: str, count: int) -> str:
    near = difflib.get_close_matches(word.lower(), (*EMOTIONS, *COMMON_ALIASES), 1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{printable(word)!r} ({count} clips{hint})"

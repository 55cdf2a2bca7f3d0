"""An experiment's configuration: every knob, none with a default in the library.

The values live in `configs/`; `resolve` turns a ConfigDict into a frozen record and refuses what it does not know.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from siamese_jax.corpora.manifest import EMOTIONS
from siamese_jax.errors import InputError
from siamese_jax.losses.pair_masks import PAIRS_WITHIN
from siamese_jax.losses.siamese import PAIR_WEIGHTINGS
from siamese_jax.models.siamese import HEADS
from siamese_jax.models.similarity import POOLINGS
from siamese_jax.runtime.config_dict import record
from siamese_jax.training.siamese import SECOND_UPDATES

SCALINGS = ("corpus", "speaker", "support", "source", "train")
ALTERNATIVES = ("logistic_regression", "svm")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment on one source and one target (Feng & Chaspari 2020; open points as this project reads them).

    Fields:
      source, target: a shipped table's name or a table's path.
      source_corpus, target_corpus: for tables of other programs, the corpus whose clip names they use; "" for none.
      source_companion, target_companion: a CSV with emotion and speaker of a table's clips; "" for none.
      emotions: the classes, in order.
      scalings: scopes of the features' standardisation, one setting each: "corpus" and "speaker" see the unlabelled
        test clips (transductive), "support" uses the labelled target clips, "source" the source corpus, "train"
        (in-domain training only) the training speakers.
      scale_floor: least standard deviation used, as a share of the corpus's own.
      encoder_widths, heads, head_width: the network; one setting for each head.
      losses: what follows each cross-entropy step in fine-tuning, see `training.SECOND_UPDATES`.
      frozen: numbers of frozen encoder layers.
      n_speakers: numbers of target speakers drawn.
      steps: numbers of fine-tuning steps at which the target is classified, increasing; 0 is before the first.
      n_draws, n_seeds: draws of labelled clips, and the pool of source seeds; draw i starts from seed i mod n_seeds.
      n_in_domain_seeds: seeds of the in-domain training, each a round of leaving every speaker out.
      source_steps, in_domain_steps, batch_size: training from scratch.
      learning_rate, second_learning_rate: Adam's, for the cross entropy and for the second update.
      clip_norm: global norm to which the ratio loss's gradient is clipped.
      pair_weighting, pairs_within, pooling: see `losses`, `pairs` and `classify`.
      pad_speakers: draws are padded to a multiple of this many speakers, so that fewer shapes compile; no result
        depends on it beyond rounding.
      fixed_frozen, fixed_n_speakers, fixed_steps: the cell that is reported beside the best one.
      alternatives: classifiers run on the same draws.
      level: of the intervals.
      seed: of all random numbers.
    """

    source: str
    source_corpus: str
    source_companion: str
    target: str
    target_corpus: str
    target_companion: str
    emotions: tuple[str, ...]
    scalings: tuple[str, ...]
    scale_floor: float
    encoder_widths: tuple[int, ...]
    heads: tuple[str, ...]
    head_width: int
    losses: tuple[str, ...]
    frozen: tuple[int, ...]
    n_speakers: tuple[int, ...]
    steps: tuple[int, ...]
    n_draws: int
    n_seeds: int
    n_in_domain_seeds: int
    source_steps: int
    in_domain_steps: int
    batch_size: int
    learning_rate: float
    second_learning_rate: float
    clip_norm: float
    pair_weighting: str
    pairs_within: str
    pooling: str
    pad_speakers: int
    fixed_frozen: int
    fixed_n_speakers: int
    fixed_steps: int
    alternatives: tuple[str, ...]
    level: float
    seed: int


def resolve(config: ConfigDict) -> Experiment:
    """The experiment that `config` describes.

    Raises:
      InputError: a key is unknown or missing, or a value is of the wrong type or out of range; the message names it.
    """
    experiment = record(Experiment, config.to_dict(), "config", "configs/reproduce.py")
    _check(experiment)
    return experiment


def _check(e: Experiment) -> None:
    choices = {
        "emotions": EMOTIONS, "scalings": SCALINGS, "heads": HEADS, "losses": SECOND_UPDATES,
        "alternatives": ALTERNATIVES,
    }  # fmt: skip
    for key, allowed in choices.items():
        for value in getattr(e, key):
            _one_of(key, value, allowed)
    _one_of("pair_weighting", e.pair_weighting, PAIR_WEIGHTINGS)
    _one_of("pairs_within", e.pairs_within, PAIRS_WITHIN)
    _one_of("pooling", e.pooling, POOLINGS)
    for key in ("emotions", "scalings", "heads", "losses", "frozen", "n_speakers", "steps", "encoder_widths"):
        values = getattr(e, key)
        if not values or (len(set(values)) != len(values) and key != "encoder_widths"):
            raise InputError(f"config.{key} is {values}; expected at least one value, each once")
    for key in (
        "n_draws",
        "n_seeds",
        "n_in_domain_seeds",
        "source_steps",
        "in_domain_steps",
        "pad_speakers",
        "head_width",
        "batch_size",
    ):
        _positive(key, getattr(e, key))
    for key in ("scale_floor", "learning_rate", "second_learning_rate", "clip_norm"):
        _positive(key, getattr(e, key))
    if list(e.steps) != sorted(e.steps) or e.steps[0] < 0 or e.steps[-1] < 1:
        raise InputError(f"config.steps is {e.steps}; expected increasing numbers of steps, the last at least 1")
    if min(e.n_speakers) < 1:
        raise InputError(f"config.n_speakers is {e.n_speakers}; expected numbers of at least 1")
    if min(e.frozen) < 0 or max(e.frozen) > len(e.encoder_widths):
        raise InputError(f"config.frozen is {e.frozen}; expected 0 to {len(e.encoder_widths)} encoder layers")
    if len(e.emotions) < 2 or e.batch_size % len(e.emotions):
        raise InputError(
            f"config.batch_size is {e.batch_size}; expected a multiple of the {len(e.emotions)} emotions (at least 2), "
            "so that batches are balanced"
        )
    if not 0 < e.level < 1:
        raise InputError(f"config.level is {e.level}; expected a share between 0 and 1, such as 0.95")
    for key, values in (("fixed_frozen", e.frozen), ("fixed_n_speakers", e.n_speakers), ("fixed_steps", e.steps)):
        _one_of(key, getattr(e, key), values)


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise InputError(f"config.{key} holds {value!r}; expected one of {', '.join(map(str, allowed))}")


def _positive(key: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"config.{key} is {value}; expected a positive number")

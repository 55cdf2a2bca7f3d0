"""An experiment's configuration: every knob, none with a default in the library.

The values live in `configs/`; `resolve` turns a ConfigDict into a frozen record and refuses what it does not know.
"""

import dataclasses
import typing
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
BASELINES = ("logistic_regression", "svm")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The source and the target.

    Fields:
      source, target: a shipped table's name or a table's path.
      source_corpus, target_corpus: for tables of other programs, the corpus whose clip names they use; "" for none.
      source_companion, target_companion: a CSV with emotion and speaker of a table's clips; "" for none.
      emotions: the classes, in order.
      scalings: scopes of the features' standardisation, one setting each: "corpus" and "speaker" see the unlabelled
        test clips (transductive), "support" uses the labelled target clips, "source" the source corpus, "train"
        (in-domain training only) the training speakers.
      scale_floor: least standard deviation used, as a share of the corpus's own.
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


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The Siamese network; one setting for each head."""

    encoder_widths: tuple[int, ...]
    heads: tuple[str, ...]
    head_width: int


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Fields:
      source_steps, in_domain_steps, batch_size: training from scratch.
      learning_rate, second_learning_rate: Adam's, for the cross entropy and for the second update.
      clip_norm: global norm to which the ratio loss's gradient is clipped.
      pair_weighting, pairs_within: see `losses.siamese` and `losses.pair_masks`.
    """

    source_steps: int
    in_domain_steps: int
    batch_size: int
    learning_rate: float
    second_learning_rate: float
    clip_norm: float
    pair_weighting: str
    pairs_within: str


@dataclasses.dataclass(frozen=True)
class ProtocolConfig:
    """What is repeated, and how often.

    Fields:
      losses: what follows each cross-entropy step in fine-tuning, see `training.siamese.SECOND_UPDATES`.
      frozen: numbers of frozen encoder layers.
      n_speakers: numbers of target speakers drawn.
      steps: evaluation steps: numbers of fine-tuning steps after which the target is classified, increasing; 0 is
        before the first.
      n_draws, n_seeds: draws of labelled clips, and the pool of source seeds; draw i starts from seed i mod n_seeds.
      n_in_domain_seeds: seeds of the in-domain training, each a round of leaving every speaker out.
      pooling: of similarities over a class's references, see `models.similarity`.
      pad_speakers: draws are padded to a multiple of this many speakers, so that fewer shapes compile; no result
        depends on it beyond rounding.
      baselines: classifiers run on the same draws.
      seed: of all random numbers.
    """

    losses: tuple[str, ...]
    frozen: tuple[int, ...]
    n_speakers: tuple[int, ...]
    steps: tuple[int, ...]
    n_draws: int
    n_seeds: int
    n_in_domain_seeds: int
    pooling: str
    pad_speakers: int
    baselines: tuple[str, ...]
    seed: int


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """How results are told.

    Fields:
      fixed_frozen, fixed_n_speakers, fixed_steps: the cell that is reported beside the best one.
      level: of the intervals.
    """

    fixed_frozen: int
    fixed_n_speakers: int
    fixed_steps: int
    level: float


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment on one source and one target (Feng & Chaspari 2020; open points as this project reads them)."""

    data: DataConfig
    network: NetworkConfig
    training: TrainingConfig
    protocol: ProtocolConfig
    report: ReportConfig

    def replace(self, **changes: Any) -> "Experiment":
        """The experiment with other values of these fields; no two groups share a field's name.

        Raises InputError as `resolve`.
        """
        groups: dict[str, dict[str, Any]] = {}
        for name, value in changes.items():
            groups.setdefault(GROUP_OF[name], {})[name] = value
        changed = {group: dataclasses.replace(getattr(self, group), **values) for group, values in groups.items()}
        experiment = dataclasses.replace(self, **changed)
        check(experiment)
        return experiment


def flat(experiment: Experiment) -> dict[str, Any]:
    """The values of an experiment by the names that they have on the command line, as in "protocol.n_draws"."""
    return {f"{group}.{name}": getattr(getattr(experiment, group), name) for name, group in GROUP_OF.items()}


GROUP_OF = {
    field.name: group.name
    for group in dataclasses.fields(Experiment)
    for field in dataclasses.fields(typing.get_type_hints(Experiment)[group.name])
}
"""The group of each field of an experiment, by the field's name."""


def new_place(flat: str) -> str | None:
    """Where a field of the flat configurations of 0.1.0 is now, as in "protocol.n_draws"; None where it was none."""
    name = "baselines" if flat == "alternatives" else flat
    return f"{GROUP_OF[name]}.{name}" if name in GROUP_OF else None


def resolve(config: ConfigDict) -> Experiment:
    """The experiment that `config` describes.

    Raises:
      InputError: a key is unknown or missing, or a value is of the wrong type or out of range; the message names it.
    """
    experiment = record(Experiment, config.to_dict(), "config", "configs/reproduce.py")
    check(experiment)
    return experiment


def check(e: Experiment, where: str = "config") -> None:
    """Raises InputError where a value is out of range; `where` is what the experiment is called in messages."""
    choices = {
        "emotions": EMOTIONS, "scalings": SCALINGS, "heads": HEADS, "losses": SECOND_UPDATES,
        "baselines": BASELINES,
    }  # fmt: skip
    for key, allowed in choices.items():
        for value in _value(e, key):
            _one_of(where, key, value, allowed)
    _one_of(where, "pair_weighting", e.training.pair_weighting, PAIR_WEIGHTINGS)
    _one_of(where, "pairs_within", e.training.pairs_within, PAIRS_WITHIN)
    _one_of(where, "pooling", e.protocol.pooling, POOLINGS)
    for key in ("emotions", "scalings", "heads", "losses", "frozen", "n_speakers", "steps", "encoder_widths"):
        values = _value(e, key)
        if not values or (len(set(values)) != len(values) and key != "encoder_widths"):
            raise InputError(f"{where}.{GROUP_OF[key]}.{key} is {values}; expected at least one value, each once")
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
        _positive(where, key, _value(e, key))
    for key in ("scale_floor", "learning_rate", "second_learning_rate", "clip_norm"):
        _positive(where, key, _value(e, key))
    if list(e.protocol.steps) != sorted(e.protocol.steps) or e.protocol.steps[0] < 0 or e.protocol.steps[-1] < 1:
        raise InputError(
            f"{where}.protocol.steps is {e.protocol.steps}; expected increasing numbers of steps, the last at least 1"
        )
    if min(e.protocol.n_speakers) < 1:
        raise InputError(f"{where}.protocol.n_speakers is {e.protocol.n_speakers}; expected numbers of at least 1")
    if min(e.protocol.frozen) < 0 or max(e.protocol.frozen) > len(e.network.encoder_widths):
        raise InputError(
            f"{where}.protocol.frozen is {e.protocol.frozen}; expected 0 to {len(e.network.encoder_widths)} encoder "
            "layers"
        )
    if len(e.data.emotions) < 2 or e.training.batch_size % len(e.data.emotions):
        raise InputError(
            f"{where}.training.batch_size is {e.training.batch_size}; expected a multiple of the "
            f"{len(e.data.emotions)} emotions (at least 2), "
            "so that batches are balanced"
        )
    if not 0 < e.report.level < 1:
        raise InputError(f"{where}.report.level is {e.report.level}; expected a share between 0 and 1, such as 0.95")
    for key, values in (
        ("fixed_frozen", e.protocol.frozen),
        ("fixed_n_speakers", e.protocol.n_speakers),
        ("fixed_steps", e.protocol.steps),
    ):
        _one_of(where, key, _value(e, key), values)


def _value(e: Experiment, key: str) -> Any:
    return getattr(getattr(e, GROUP_OF[key]), key)


def _one_of(where: str, key: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise InputError(
            f"{where}.{GROUP_OF[key]}.{key} holds {value!r}; expected one of {', '.join(map(str, allowed))}"
        )


def _positive(where: str, key: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{where}.{GROUP_OF[key]}.{key} is {value}; expected a positive number")

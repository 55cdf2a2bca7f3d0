"""An experiment's configuration: every setting, none with a default in the library.

The values live in `configs/`; `resolve` turns a ConfigDict into a frozen record and refuses unknown keys.
"""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from siamese_jax.corpora.manifest import EMOTIONS
from siamese_jax.datasets.shipped import FEATURE_SETS
from siamese_jax.errors import InputError
from siamese_jax.losses.pair_masks import PAIRS_WITHIN
from siamese_jax.losses.siamese import PAIR_WEIGHTINGS
from siamese_jax.models.siamese import HEADS
from siamese_jax.models.similarity import POOLINGS
from siamese_jax.runtime import config_dict
from siamese_jax.runtime.config_dict import record
from siamese_jax.training.siamese import SECOND_UPDATES

SCALINGS = ("corpus", "speaker", "support", "source", "train")
BASELINES = ("logistic_regression", "svm")
METHODS = ("siamese", "logistic_regression", "layer_ensemble", "adapted_discriminant", "metric_network")
ADAPTATIONS = ("none", "balanced", "self_trained")
"""Of `config.transfer`: methods that see one clip at a time (inductive), the paper's network with each of the losses
among them; and what is done with their probabilities: nothing, class proportions balanced, the discriminant trained on
balanced pseudo-labels (both transductive; not of the network)."""
BALANCED_WITHIN = ("corpus", "speaker")
LOGISTIC_SOLVERS = ("scikit-learn", "jax")
"""scikit-learn's own, one fit after the other, to its tolerance; or all fits at once, to the minimum."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The source and the target.

    Fields:
      source, target: a shipped table's name or a table's path. Several sources are separated by commas, as their
        corpora and companions are, in the same order.
      source_weights: the weights of several sources, in the same order; () for equal weights.
      features: the feature set of shipped tables, see `datasets.shipped.FEATURE_SETS`.
      layers: of a speech encoder's features, the layers to use; () for all columns.
      source_corpus, target_corpus: for tables of other programs, the corpus whose clip names they use; "" for none.
      source_companion, target_companion: a CSV with emotion and speaker of a table's clips; "" for none.
      allow_shared_recordings: whether the source may hold recordings of the target, which every row then says.
      emotions: the classes, in order.
      scalings: scopes of the features' standardisation, one setting each: "corpus" and "speaker" see the unlabelled
        test clips (transductive), "support" uses the labelled target clips, "source" the source corpus, "train"
        (in-domain training only) the training speakers.
      scale_floor: least standard deviation used, as a share of the corpus's own. Under "support", a column with less
        than this share of the source's deviation among the labelled clips is scaled by the source's.
    """

    source: str
    source_weights: tuple[float, ...]
    features: str
    layers: tuple[int, ...]
    source_corpus: str
    source_companion: str
    target: str
    target_corpus: str
    target_companion: str
    allow_shared_recordings: bool
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
    """The repetitions and the cells of the grid.

    Fields:
      losses: the update after each cross-entropy step in fine-tuning, see `training.siamese.SECOND_UPDATES`.
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
      logistic_c, logistic_solver: scikit-learn's C of the logistic regression, and who fits it, see `LOGISTIC_SOLVERS`.
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
    logistic_c: float
    logistic_solver: str
    seed: int


@dataclasses.dataclass(frozen=True)
class TransferConfig:
    """The transfer methods, see `protocols.transfer`.

    Fields:
      methods, adaptations: see `transfer.methods.METHODS` and `transfer.adaptations.ADAPTATIONS`.
      transfer_c: scikit-learn's C of the methods' logistic regressions, beside `ProtocolConfig.logistic_c`.
      source_clips, covariance_clips, shrinkage, temperature: see `transfer.settings.DiscriminantSettings`.
      proportions: of the classes: "uniform", "labelled" (as in the labelled clips), or shares ("anger=0.4,fear=0.6").
      balance_within, balance_strength: see `transfer.balance`; every pair is a setting.
      rounds, own_source_clips, unlabelled_clips, own_covariance_clips, target_covariance_clips, own_shrinkage,
        own_temperature: see `transfer.settings.SelfTrainingSettings`.
      thinned: ratios of the clips of half of the classes to those of the others; 1 is the target as it is.
    """

    methods: tuple[str, ...]
    adaptations: tuple[str, ...]
    transfer_c: float
    source_clips: float
    covariance_clips: float
    shrinkage: float
    temperature: float
    proportions: str
    balance_within: tuple[str, ...]
    balance_strength: tuple[float, ...]
    rounds: int
    own_source_clips: float
    unlabelled_clips: float
    own_covariance_clips: float
    target_covariance_clips: float
    own_shrinkage: float
    own_temperature: float
    thinned: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class MetricNetworkConfig:
    """The transfer method metric_network, see `transfer.metric_network`.

    Fields:
      components, component_shrinkage: the most principal components of the source; the share of the mean in their
        variances.
      layer_widths, dimensions: units of the ReLU layers, and of the embedding.
      members: networks of the ensemble.
      pretraining_steps, joint_steps: Adam steps on the source, then on source and labelled target clips.
      source_batch: source clips of a batch, balanced over the classes.
      contrastive_rate, contrastive_temperature: Adam's learning rate; the temperature of the contrastive loss.
      noise: standard deviation of the noise on components, in units of their deviation within classes.
      dropout: share of the components and of the last layer's units that is dropped in a step.
      prototype_source_clips: target clips of a class that the source counts for in the class's prototype.
      score_temperature: of the similarities to prototypes.
    """

    components: int
    component_shrinkage: float
    layer_widths: tuple[int, ...]
    dimensions: int
    members: int
    pretraining_steps: int
    joint_steps: int
    source_batch: int
    contrastive_rate: float
    contrastive_temperature: float
    noise: float
    dropout: float
    prototype_source_clips: float
    score_temperature: float


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """The form of the results.

    `fixed_frozen`, `fixed_n_speakers`, `fixed_steps`: the cell reported with the best cell. `level`: of the intervals.
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
    transfer: TransferConfig
    metric_network: MetricNetworkConfig
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
    """The values of an experiment by dotted names, see `config_dict.flat`."""
    return config_dict.flat(dataclasses.asdict(experiment))


GROUP_OF = {
    field.name: group.name
    for group in dataclasses.fields(Experiment)
    for field in dataclasses.fields(typing.get_type_hints(Experiment)[group.name])
}
"""The group of each field of an experiment, by the field's name."""


def new_place(flat: str) -> str | None:
    """The place of a field of 0.1.0's flat configurations, as in "protocol.n_draws"; None for other names."""
    name = "baselines" if flat == "alternatives" else flat
    return f"{GROUP_OF[name]}.{name}" if name in GROUP_OF else None


MOST = {
    "n_draws": 1_000_000, "n_seeds": 10_000, "n_in_domain_seeds": 10_000, "pad_speakers": 10_000,
    "source_steps": 10_000_000, "in_domain_steps": 10_000_000, "steps": 1_000_000, "batch_size": 1_000_000,
    "rounds": 1000, "encoder_widths": 16_384, "head_width": 16_384,
    "components": 16_384, "layer_widths": 16_384, "dimensions": 16_384, "members": 1000, "source_batch": 1_000_000,
    "pretraining_steps": 10_000_000, "joint_steps": 1_000_000,
}  # fmt: skip
"""The largest values of settings that memory and time grow with; more draws are a rerun's, block by block."""


EACH = ("feature_sets", "leave_one_corpus_out")
"""Keys that make several experiments of one, see `protocols.runs`."""


def resolve(config: ConfigDict) -> Experiment:
    """Returns the experiment that `config` describes.

    Raises InputError, naming the key that is unknown or missing, or whose value is of the wrong type or out of range.
    """
    values = {name: value for name, value in config_dict.values(config).items() if name not in EACH}
    experiment = record(Experiment, values, "config", "configs/reproduce.py")
    check(experiment)
    return experiment


def check(experiment: Experiment, where: str = "config") -> None:
    """Raises InputError if values are out of range; `where` is the experiment's name. One message names them all."""
    problems: list[str] = []
    values = {name: getattr(getattr(experiment, group), name) for name, group in GROUP_OF.items()}
    protocol, emotions, n_layers = experiment.protocol, experiment.data.emotions, len(experiment.network.encoder_widths)

    def require(name: str, valid: bool, expected: str) -> None:
        if not valid:
            problems.append(f"{where}.{GROUP_OF[name]}.{name} is {values[name]}; expected {expected}")

    def require_known(name: str, allowed: Sequence[Any]) -> None:
        for value in values[name] if isinstance(values[name], tuple) else [values[name]]:
            if value not in allowed:
                place, known = f"{where}.{GROUP_OF[name]}.{name}", ", ".join(map(str, allowed))
                problems.append(f"{place} holds {value!r}; expected one of {known}")

    def settle() -> None:
        if problems:
            raise InputError(". ".join(problems))

    choices = {
        "features": FEATURE_SETS,
        "emotions": EMOTIONS, "scalings": SCALINGS, "heads": HEADS, "losses": SECOND_UPDATES, "baselines": BASELINES,
        "logistic_solver": LOGISTIC_SOLVERS, "pair_weighting": PAIR_WEIGHTINGS, "pairs_within": PAIRS_WITHIN,
        "pooling": POOLINGS, "methods": METHODS, "adaptations": ADAPTATIONS, "balance_within": BALANCED_WITHIN,
    }  # fmt: skip
    for name, allowed in choices.items():
        require_known(name, allowed)
    for name in (
        "emotions", "scalings", "heads", "losses", "frozen", "n_speakers", "steps", "encoder_widths", "methods",
        "adaptations", "balance_within", "balance_strength", "thinned", "layer_widths",
    ):  # fmt: skip
        distinct = len(set(values[name])) == len(values[name]) or name in ("encoder_widths", "layer_widths")
        require(name, bool(values[name]) and distinct, "at least one value, each once")
    settle()
    for name in ("shrinkage", "own_shrinkage", "component_shrinkage"):
        require(name, 0 < values[name] <= 1, "a share above 0, at most 1")
    strengths = experiment.transfer.balance_strength
    require("balance_strength", all(0 <= value <= 1 for value in strengths), "shares from 0 to 1")
    require("thinned", all(1 <= ratio <= 1000 for ratio in experiment.transfer.thinned), "ratios from 1 to 1000")
    for name in (
        "n_draws", "n_seeds", "n_in_domain_seeds", "source_steps", "in_domain_steps", "pad_speakers", "head_width",
        "batch_size", "scale_floor", "learning_rate", "second_learning_rate", "clip_norm",
        "logistic_c", "transfer_c", "source_clips", "covariance_clips", "temperature", "rounds", "own_source_clips",
        "unlabelled_clips", "own_covariance_clips", "target_covariance_clips", "own_temperature",
        "components", "dimensions", "members", "contrastive_rate", "contrastive_temperature", "prototype_source_clips",
        "score_temperature",
    ):  # fmt: skip
        require(name, values[name] > 0, "a positive number")
    for name in ("pretraining_steps", "joint_steps", "noise"):
        require(name, values[name] >= 0, "a number of at least 0")
    require("dropout", 0 <= values["dropout"] < 1, "a share from 0 to below 1")
    require("layer_widths", min(values["layer_widths"]) >= 1 and len(values["layer_widths"]) <= 64, "1 to 64 widths")
    for name, most in MOST.items():
        largest = max(values[name]) if isinstance(values[name], tuple) else values[name]
        require(name, largest <= most, f"at most {most:,}")
    require("seed", 0 <= protocol.seed < 2**32, "a number from 0 to 4294967295")
    require("encoder_widths", min(values["encoder_widths"]) >= 1 and n_layers <= 64, "1 to 64 widths of at least 1")
    steps, frozen, batch = protocol.steps, protocol.frozen, experiment.training.batch_size
    increasing = list(steps) == sorted(steps) and steps[0] >= 0 and steps[-1] >= 1
    require("steps", increasing, "increasing numbers of steps, the last at least 1")
    require("n_speakers", min(protocol.n_speakers) >= 1, "numbers of at least 1")
    require("frozen", min(frozen) >= 0 and max(frozen) <= n_layers, f"0 to {n_layers} encoder layers")
    fitting = max(batch // max(len(emotions), 2), 1) * max(len(emotions), 2)
    balanced = f"a multiple of the {len(emotions)} emotions (at least 2) for balanced batches, such as {fitting}"
    require("batch_size", len(emotions) >= 2 and batch % len(emotions) == 0, balanced)
    per_step = values["source_batch"]
    multiple = f"a positive multiple of the {len(emotions)} emotions for balanced batches"
    require("source_batch", per_step > 0 and per_step % max(len(emotions), 1) == 0, multiple)
    require("source_weights", all(weight > 0 for weight in values["source_weights"]), "positive numbers")
    require("level", 0 < experiment.report.level < 1, "a share between 0 and 1, such as 0.95")
    for name in ("frozen", "n_speakers", "steps"):
        require_known(f"fixed_{name}", values[name])
    settle()

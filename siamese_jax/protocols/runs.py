"""The experiments that one configuration describes: on several feature sets, and with each corpus as the target."""

import re
from collections import Counter
from pathlib import Path

from ml_collections import ConfigDict

from siamese_jax.corpora.csv_files import repeated, some
from siamese_jax.datasets.mixture import SourceName, source_names
from siamese_jax.datasets.shipped import FEATURE_SETS
from siamese_jax.errors import InputError
from siamese_jax.protocols.config import Experiment, resolve


def resolve_each(config: ConfigDict) -> dict[str, Experiment]:
    """Returns the experiments of a configuration by name, which is a folder; a single one is named "".

    - For each of `config.feature_sets`, if given. `config.data.layers` holds for the features of a speech encoder.
    - With each corpus as the target and the others as its sources, if `config.leave_one_corpus_out`.

    Raises InputError as `config.resolve`, for an unknown feature set, and for corpora that cannot be left out.
    """
    experiment = resolve(config)
    if config.get("leave_one_corpus_out", False) not in (True, False):
        raise InputError(f"config.leave_one_corpus_out is {config.leave_one_corpus_out!r}; expected True or False")
    experiments = {"": experiment}
    if "feature_sets" in config:
        if unknown := set(config.feature_sets) - set(FEATURE_SETS):
            raise InputError(f"config.feature_sets holds {min(unknown)!r}; expected one of {', '.join(FEATURE_SETS)}")
        layers = {"is09": (), "whisper": experiment.data.layers}
        experiments = {name: experiment.replace(features=name, layers=layers[name]) for name in config.feature_sets}
    if not config.get("leave_one_corpus_out", False):
        return experiments
    return {
        "/".join(filter(None, (feature_set, target))): left_out
        for feature_set, whole in experiments.items()
        for target, left_out in leave_one_corpus_out(whole).items()
    }


def leave_one_corpus_out(experiment: Experiment) -> dict[str, Experiment]:
    """Returns an experiment for each corpus of an experiment, by the name of that corpus, its target.

    The corpora are the sources and the target of the experiment; the others are the sources, with equal weights.

    Raises InputError for weights, and a corpus that is given twice.
    """
    data = experiment.data
    if data.source_weights:
        raise InputError(
            f"config.data.source_weights is {data.source_weights}, but config.leave_one_corpus_out gives each target "
            "other sources; leave it empty"
        )
    corpora = source_names(data.source, data.source_corpus, data.source_companion)
    corpora += source_names(data.target, data.target_corpus, data.target_companion)
    if doubled := repeated(name.label for name in corpora):
        raise InputError(f"config.data.source and target give {some(doubled)} more than once; give each corpus once")
    if commas := [name.table for name in corpora if "," in name.table]:
        raise InputError(f"config.leave_one_corpus_out separates tables by commas; rename {commas[0]}")
    experiments = {}
    for folder, target in zip(_folders(corpora), corpora):
        sources = [name for name in corpora if name != target]
        joined = [",".join(texts) if any(texts) else "" for texts in zip(*(name[:3] for name in sources))]
        experiments[folder] = experiment.replace(
            source=joined[0], source_corpus=joined[1], source_companion=joined[2],
            target=target.table, target_corpus=target.corpus, target_companion=target.companion,
        )  # fmt: skip
    return experiments


def _folders(corpora: list[SourceName]) -> list[str]:
    """The name of each corpus as a folder: the corpus that is chosen, or the table's stem; numbered if not unique."""
    names = [re.sub(r"[^\w.-]", "_", name.corpus or Path(name.table).stem).lstrip(".") for name in corpora]
    counts = Counter(names)
    return [f"{i}_{name}" if counts[name] > 1 or not name else name for i, name in enumerate(names, 1)]

"""Checks that two tables suit an experiment; one message names every setting that must change."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from siamese_jax.datasets import class_draws
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.shared_recordings import ALLOWED_BY, check_not_shared
from siamese_jax.errors import InputError
from siamese_jax.protocols.config import GROUP_OF, Experiment

_MOST_NAMED = 5  # speakers in one message


def check(experiment: Experiment, sources: Mapping[str, FeatureTable], target: FeatureTable) -> None:
    """Raises InputError if the tables do not suit the protocol, or share recordings that are not allowed.

    `sources` are named as in the configuration. Every emotion needs a clip in each source, clips of two speakers in the
    target, and a target clip by a speaker who is not drawn. The message names all settings to change.
    """
    problems, emotions = _lacking(experiment, sources, target)
    settings: dict[str, Any] = {}
    if len(emotions) >= 2:
        problems_of_draws, settings = _draws(experiment, target, emotions)
        problems += problems_of_draws
        settings |= _classes(experiment, emotions)
    if problems:
        remedy = "Give other tables, or add clips"
        if settings:
            flags = " ".join(_flag(name, value) for name, value in settings.items())
            remedy = f"These settings suit them: {flags}"
        raise InputError(f"{'; '.join(problems)}. {remedy}")
    if not experiment.data.allow_shared_recordings:
        tested = target.select(np.isin(target.emotion, experiment.data.emotions))
        remedy = f"Give another source, or leave these clips out; {ALLOWED_BY}=True allows it, and every row says so"
        for name, source in sources.items():
            names = f"the source {name}", f"the target {experiment.data.target}"
            check_not_shared(source, tested, names, remedy)


def _lacking(
    experiment: Experiment, sources: Mapping[str, FeatureTable], target: FeatureTable
) -> tuple[list[str], tuple[str, ...]]:
    """Returns the problems with the emotions, and the emotions that have no problem."""
    problems, data, lacking = [], experiment.data, set[str]()
    for where, table in (*sources.items(), (data.target, target)):
        counts = Counter(emotion or "unlabelled" for emotion in table.emotion.tolist())
        missing = [emotion for emotion in data.emotions if not counts[emotion]]
        if missing:
            held = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
            problems.append(f"{where}: no clip of {', '.join(map(repr, missing))}; it holds {held}")
            lacking |= set(missing)
    for emotion in data.emotions:
        speakers = set(target.speaker[target.emotion == emotion].tolist())
        if len(speakers) == 1 and emotion not in lacking:
            problems.append(
                f"{data.target}: {emotion!r} has clips of 1 speaker only ({speakers.pop()}); leaving one speaker out "
                "needs 2"
            )
            lacking.add(emotion)
    return problems, tuple(emotion for emotion in data.emotions if emotion not in lacking)


def _draws(experiment: Experiment, target: FeatureTable, emotions: tuple[str, ...]) -> tuple[list[str], dict[str, Any]]:
    """Returns the problems with the numbers of drawn speakers, and the settings that fix them."""
    rows = np.isin(target.emotion, emotions)
    names, speaker = np.unique(target.speaker[rows], return_inverse=True)
    label = np.array([emotions.index(emotion) for emotion in target.emotion[rows].tolist()])
    has_SxC = class_draws.presence(label, speaker, len(names), len(emotions))
    protocol, wanted = experiment.protocol, max(experiment.protocol.n_speakers)
    if class_draws.drawable(has_SxC, wanted):
        return [], {}
    most = class_draws.most_drawable(has_SxC)
    incomplete = names[~has_SxC.all(axis=1)].tolist()
    lack = f"; {len(incomplete)} lack some ({', '.join(incomplete[:_MOST_NAMED])})" if incomplete else ""
    problem = (
        f"{experiment.data.target}: {len(names) - len(incomplete)} of {len(names)} speakers have a clip of every "
        f"emotion{lack}; at most {most} can be drawn with a test clip of every emotion by another speaker, but "
        f"config.protocol.n_speakers asks for {wanted}"
    )
    if not most:
        return [problem], {}
    n_speakers = tuple(k for k in protocol.n_speakers if k <= most) or tuple(range(1, most + 1))[-3:]
    settings: dict[str, Any] = {"n_speakers": n_speakers}
    if experiment.report.fixed_n_speakers not in n_speakers:
        settings["fixed_n_speakers"] = n_speakers[-1]
    return [problem], settings


def _classes(experiment: Experiment, emotions: tuple[str, ...]) -> dict[str, Any]:
    """Returns the settings that change with the emotions."""
    if emotions == experiment.data.emotions:
        return {}
    sizes = {"batch_size": experiment.training.batch_size, "source_batch": experiment.metric_network.source_batch}
    fitting = {name: max(size // len(emotions), 1) * len(emotions) for name, size in sizes.items()}
    return {"emotions": emotions} | {name: size for name, size in fitting.items() if size != sizes[name]}


def _flag(name: str, value: Any) -> str:
    written = f'"{value}"'.replace(" ", "") if isinstance(value, tuple) else str(value)
    return f"--config.{GROUP_OF[name]}.{name}={written}"

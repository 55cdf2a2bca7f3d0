"""Two small corpora of synthesised tones on disk, and the smallest cross-training of them."""

import csv
import dataclasses

import soundfile
from ml_collections import ConfigDict
from synthetic_audio import EMOTIONS, RATE, tone
from tiny_config import CONFIG

from configs import facenet_smoke
from siamese_jax.experiments.cross_training import config

FIRST, SECOND = "first", "second"


def write_corpus(folder, name, speakers, emotions=tuple(EMOTIONS), takes=2, word=lambda emotion: emotion):
    """A CSV manifest with its sounds; `word` is what the CSV calls an emotion."""
    rows = []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for speaker in speakers:
        for emotion in emotions:
            for take in range(takes):
                file = folder / name / f"{speaker}_{emotion}_{take}.wav"
                soundfile.write(file, tone(emotion, speaker, take), RATE, subtype="PCM_16")
                rows.append((f"{name}/{file.name}", word(emotion), f"s{speaker:02d}", ("female", "male")[speaker % 2]))
    return write_csv(folder / f"{name}.csv", rows)


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("file", "emotion", "speaker", "sex"), *rows])
    return path


def small(places, **changes):
    """A cross-training that takes seconds; `changes` are of the top level, groups are updated."""
    given = config.with_audio(facenet_smoke.get_config(), [f"{name}={path}" for name, path in places.items()])
    # The programs of the other tests of the training, so that they compile once.
    for group in ("segments", "images", "network", "augment"):
        given[group] = ConfigDict(dataclasses.asdict(getattr(CONFIG, group)))
    for stage in (given.pretraining, given.fine_tuning):
        stage.update({name: getattr(CONFIG, name) for name in stage if name != "frozen"})
        stage.epochs = 1
    given.features.protocol.update({"n_seeds": 1, "n_in_domain_seeds": 1})
    given.features.training.update({"source_steps": 5, "in_domain_steps": 5})
    given.features.data.scalings = ("source",)
    given.projection = "pca"
    for key, value in changes.items():
        if isinstance(value, dict):
            given[key].update(value)
        else:
            given[key] = value
    return config.resolve(given)

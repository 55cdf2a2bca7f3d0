"""The recalls of FaceNet on RAVDESS under chosen settings, without the test folds: trained on speakers 1 to 16,
validated on 17 to 20; 21 to 24 are not decoded.

    python -m benchmarks.facenet_tuning --audio=RAVDESS
    python -m benchmarks.facenet_tuning --audio=RAVDESS --seed=1 --config.fine_tuning.epochs=30

Every setting of configs/facenet.py can be changed; those of `pretraining` count for nothing. Prints unweighted average
recalls after each epoch, by the nearest class centre, of held-out clips, of their segments and of segments that were
trained on; and the clips' recall by each decision at the epoch that is best for the held-out segments, which flatters.
"""

import dataclasses

import jax
import numpy as np
from absl import app, flags
from ml_collections import config_flags

from siamese_jax.corpora import adapters
from siamese_jax.datasets.segments import SegmentSource, load
from siamese_jax.experiments.cross_training import config as settings
from siamese_jax.models import embedding_classifiers, facenet
from siamese_jax.runtime.progress import bars
from siamese_jax.stats import scoring
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.loop import train
from siamese_jax.training.facenet.step import embed_all

CONFIG = config_flags.DEFINE_config_file("config", "configs/facenet.py", "The cross-training.")
AUDIO = flags.DEFINE_string("audio", None, "RAVDESS's folder.", required=True)
VIEW = flags.DEFINE_string("view", "waveform", "waveform or spectrogram")
SEED = flags.DEFINE_integer("seed", 0, "Of the first weights, batches, augmentation and dropout.")
CACHE = flags.DEFINE_string("cache", "results/audio_cache", "Decoded samples.")

TRAINED, JUDGED = range(1, 17), range(17, 21)


def _sources(e: settings.CrossTraining) -> tuple[SegmentSource, SegmentSource]:
    manifest = adapters.scan("ravdess", AUDIO.value).only(e.emotions)
    number = {clip.speaker: int(clip.speaker.rpartition("_")[2]) for clip in manifest}
    seen = tuple(clip for clip in manifest if number[clip.speaker] in (*TRAINED, *JUDGED))
    source = load(dataclasses.replace(manifest, clips=seen), e.segments, CACHE.value, e.strict, lambda _: None)
    judged_N = np.array([number[speaker] in JUDGED for speaker in source.speaker])
    return source.subset(source.clip[~judged_N]), source.subset(source.clip[judged_N])


def _recalls(
    config: TrainConfig, variables: facenet.Variables, people: tuple[SegmentSource, SegmentSource], neighbours: int
) -> dict[str, float]:
    """Of the held-out clips, by decision."""
    names, (train_emb, emb) = np.unique(people[0].emotion), (embed_all(config, variables, one) for one in people)
    train_label, label = (np.searchsorted(names, one.emotion) for one in people)
    clips, first, which = np.unique(people[1].clip, return_index=True, return_inverse=True)
    found = {}
    for kind in embedding_classifiers.DECISIONS:
        by_segment = embedding_classifiers.segment_scores(kind, emb, train_emb, train_label, len(names), neighbours)
        predicted = embedding_classifiers.utterance_scores(by_segment, which, len(clips)).argmax(axis=1)
        found[kind] = 100 * scoring.average_recall(label[first], predicted)
    return found


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    given = settings.with_audio(CONFIG.value, [f"ravdess={AUDIO.value}"])
    e = settings.resolve(given)
    config = dataclasses.replace(e.train_config("fine_tuning", VIEW.value), patience=given.fine_tuning.epochs)
    people = _sources(e)
    start, key = facenet.init(jax.random.key(SEED.value), config.network), jax.random.key(SEED.value + 1)
    steps = -(-len(people[0]) // config.batch)
    with bars() as shown:
        trained = train(config, start, *people, key, None, shown.start("training", config.epochs * steps))
    n_clips = len(np.unique(people[1].clip))
    print(f"{len(people[0])} segments to learn from, {len(people[1])} segments of {n_clips} clips to judge by")
    for name in ("clip_uar", "segment_uar", "training_uar"):
        print(f"{name:14}" + " ".join(f"{100 * value:5.1f}" for value in trained.history[name]))
    for kind, recall in _recalls(config, trained.variables, people, e.neighbours).items():
        print(f"epoch {trained.best_epoch + 1}, {kind}: {recall:.1f}")


if __name__ == "__main__":
    app.run(main)

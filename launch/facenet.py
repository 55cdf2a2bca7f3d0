"""Runs FaceNet for speech: pre-training and fine-tuning across corpora and views, and the baselines on features.

siamese-jax facenet --workdir=results/facenet --audio=ravdess=FOLDER --audio=emodb=FOLDER
siamese-jax facenet --workdir=results/mine --audio=mine=clips.csv

NAME=FOLDER takes the folder of a corpus that the package knows by this name. NAME=FILE.csv takes a CSV with file,
emotion, speaker.
"""

from absl import flags

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training import config, run
from siamese_jax.report.cross_training import page as report
from siamese_jax.report.render import terminal

from . import common

CONFIG = common.define_config("facenet", "The cross-training.")
WORKDIR = common.define_path("workdir", "results/facenet", "Where results go; a stopped run resumes there.")
AUDIO = flags.DEFINE_multi_string("audio", [], "A corpus to use, NAME=FOLDER or NAME=MANIFEST.csv; repeat the flag.")
CACHE = common.define_path(
    "cache", "results/audio_cache", "Folder of decoded samples and features; runs share it and make it again."
)


def main() -> None:
    target = flags.FLAGS["config.target"].present if "config.target" in flags.FLAGS else 0
    try:
        chosen = config.resolve(config.with_audio(CONFIG.value, AUDIO.value, keep_target=target > 0))
        run.run(chosen, WORKDIR.value, CACHE.value, report.write)
    except InputError as error:
        raise InputError(config.with_flags(str(error), CONFIG.value.corpora.keys())) from error
    common.show(terminal.fit(report.short(WORKDIR.value)))
    common.show(f"Results, figures and every fold: {WORKDIR.value}")


if __name__ == "__main__":
    common.run(main, one_pass=False)

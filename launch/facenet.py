"""Runs FaceNet for speech: pre-training, fine-tuning and the cross-training matrix, beside the systems on 64 features.

python -m launch.facenet --workdir=results/facenet --audio=ravdess=FOLDER --audio=emodb=FOLDER
python -m launch.facenet --workdir=results/mine --audio=mine=clips.csv

A folder is for a corpus that the package knows by that name; anything else is a CSV with file, emotion, speaker.
"""

from absl import app, flags
from ml_collections import config_flags

from launch import common
from siamese_jax.experiments.cross_training import config, run
from siamese_jax.report.cross_training import page as report
from siamese_jax.runtime.devices import use_all_cores

CONFIG = config_flags.DEFINE_config_file("config", "configs/facenet.py", "The cross-training.")
WORKDIR = flags.DEFINE_string("workdir", "results/facenet", "Where results go; a run that was stopped goes on there.")
AUDIO = flags.DEFINE_multi_string("audio", [], "A corpus, NAME=FOLDER or NAME=MANIFEST.csv; those named take part.")
CACHE = flags.DEFINE_string(
    "cache", "results/audio_cache", "Decoded samples and features; shared by runs, made anew where it is removed."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores(one_pass=False)
    with common.exit_codes():
        chosen = config.resolve(config.with_audio(CONFIG.value, AUDIO.value))
        run.run(chosen, WORKDIR.value, CACHE.value, report.write)
        print(report.short(WORKDIR.value))
    print(f"Results, figures and every fold: {WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)

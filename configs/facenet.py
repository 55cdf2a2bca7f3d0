"""FaceNet for speech (Liu et al. 2021): RAVDESS and EMO-DB, waveform and spectrogram, sized for two cores.

    python -m launch.facenet --workdir=results/facenet --audio=ravdess=FOLDER --audio=emodb=FOLDER

The comparison comes first: the waveform of the target, from scratch and after the spectrogram of the other corpus; then
the rest of the matrix. Stop it whenever you like: it writes what it knows after every cell, and goes on where it was.
Only the comparison: `--config.cells="('comparison',)"`. Your own recordings: `--audio=mine=clips.csv`, columns file,
emotion, speaker. The paper's own size: `--config.images.size=160 --config.images.fft_size=2048
--config.network.width=1.0 --config.network.depth=1.0` and an accelerator.

How a network learns was chosen on RAVDESS spectrograms: trained on speakers 1 to 16, judged on the 128 clips of
speakers 17 to 20. Each of them is also a test speaker of one fold here, so that the choice is not blind to them; 21
to 24 were not looked at. All triplets at margin 0.5 and depth 0.4 told 47 % of those clips apart after ten epochs
(unweighted average recall), semi-hard ones at margin 0.2 and depth 1 38 to 41 % after eight; so few clips leave an
error of about 4 points. `waveform_peak` was set from the levels alone: the median peak of a segment is about 0.9 in
EMO-DB, and from 0.04 (sadness) to 0.27 (anger) in RAVDESS.
"""

from ml_collections import ConfigDict

from configs import reproduce

_NOT_OF_FEATURES = (
    "source", "source_corpus", "source_companion", "target", "target_corpus", "target_companion", "emotions", "losses",
    "frozen", "n_speakers", "steps", "n_draws", "second_learning_rate", "clip_norm", "pad_speakers", "fixed_frozen",
    "fixed_n_speakers", "fixed_steps", "level", "seed",
)  # fmt: skip


def get_config() -> ConfigDict:
    """Every knob, see `siamese_jax.experiments.cross_training.config.CrossTraining` and the records that it holds."""
    return ConfigDict(
        {
            "corpora": {
                "ravdess": {"audio": "", "folds": 6, "options": (), "relabel": ()},
                "emodb": {"audio": "", "folds": 5, "options": (), "relabel": ()},
            },
            "target": "ravdess",
            "new_corpus": {"audio": "", "folds": 5, "options": (), "relabel": ()},
            "emotions": ("anger", "happiness", "sadness", "fear"),
            "views": ("waveform", "spectrogram"),
            "cells": ("comparison", "matrix"),
            "split": "speakers",
            "strict": False,
            "segments": {"rate": 16000, "seconds": 1.0, "hop_seconds": 0.5, "shortest_seconds": 0.25, "quiet_db": 25.0},
            "images": {
                "rate": 16000,
                "size": 64,
                "waveform_peak": 0.5,
                "window_seconds": 0.025,
                "fft_size": 1024,
                "low_hz": 0.0,
                "high_hz": 8000.0,
                "floor_db": -100.0,
                "ceiling_db": -10.0,
            },
            "network": {
                "channels": 1,
                "embedding": 128,
                "width": 0.25,
                "depth": 0.4,
                "dropout": 0.4,
                "statistics_decay": 0.9,
                "padding": "same",
                "stem_stride": 2,
                "convolution": "mixed",
                "sums": "products",
                "dtype": "float32",
            },
            "augment": {
                "shift": 0.1,
                "noise_share": 0.3,
                "noise_low_db": 10.0,
                "noise_high_db": 30.0,
                "time_masks": 1,
                "time_width": 0.2,
                "frequency_masks": 1,
                "frequency_width": 0.2,
            },
            "pretraining": _learning(),
            "fine_tuning": _learning(),
            "decision": "centroid",
            "neighbours": 15,
            "keep_weights": True,
            "projection": "tsne",
            "features": _features(),
            "level": 0.95,
            "seed": 0,
        }
    )


def _learning() -> dict:
    """How one stage learns."""
    return {
        "classes_per_batch": 4,
        "segments_per_class": 16,
        "margin": 0.5,
        "mining": "all",
        "learning_rate": 2e-3,
        "weight_decay": 1e-4,
        "clip_norm": 1.0,
        "warmup": 1.0,
        "schedule": "cosine",
        "epochs": 10,
        "patience": 10,
        "validation_segments": 1024,
        "embed_batch": 256,
        "devices": 1,
        "frozen": (),
    }


def _features() -> dict:
    """The systems on 64 features: those of configs/reproduce.py, scaled with and without a look at the test clips."""
    values = {key: value for key, value in reproduce.get_config().items() if key not in _NOT_OF_FEATURES}
    return {**values, "scalings": ("source", "corpus")}

"""The smallest config that learns the tones of `synthetic_audio.py`."""

import dataclasses
from typing import Any

from synthetic_audio import RATE, SEGMENTS

from siamese_jax.features.augment import AugmentConfig
from siamese_jax.features.images import ImageConfig
from siamese_jax.models.facenet import FaceNetConfig
from siamese_jax.training.facenet.loop import TrainConfig

NETWORK = FaceNetConfig(
    channels=1, embedding=16, width=0.0625, depth=0.1, dropout=0.2, statistics_decay=0.9, padding="same",
    stem_stride=2, convolution="mixed", sums="products", dtype="float32",
)  # fmt: skip
IMAGES = ImageConfig(
    rate=RATE, size=32, waveform_peak=1.0, window_seconds=0.032, fft_size=512, low_hz=0.0, high_hz=4000.0,
    floor_db=-80.0, ceiling_db=-10.0,
)  # fmt: skip
AUGMENT = AugmentConfig(
    shift=0.1, noise_share=0.3, noise_low_db=20.0, noise_high_db=40.0, time_masks=0, time_width=0.0,
    frequency_masks=0, frequency_width=0.0,
)  # fmt: skip
CONFIG = TrainConfig(
    view="spectrogram", segments=SEGMENTS, images=IMAGES, network=NETWORK, augment=AUGMENT, classes_per_batch=4,
    segments_per_class=8, margin=0.2, mining="semi-hard", learning_rate=3e-3, weight_decay=1e-4, clip_norm=1.0,
    warmup=0.2, schedule="cosine", epochs=6, patience=6, validation_segments=200, embed_batch=64, devices=1, frozen=(),
)  # fmt: skip


def config(**changes: Any) -> TrainConfig:
    """`CONFIG` with some knobs changed."""
    return dataclasses.replace(CONFIG, **changes)

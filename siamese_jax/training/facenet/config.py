"""The settings of a training of FaceNet."""

import dataclasses

from siamese_jax.errors import InputError, check_fields
from siamese_jax.features.augment import AugmentConfig
from siamese_jax.features.images import VIEWS, ImageConfig
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.losses.triplet import MININGS
from siamese_jax.models.facenet import FaceNetConfig

SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class Learning:
    """The optimisation; pre-training and fine-tuning may differ in it.

    Fields:
      classes_per_batch, segments_per_class: P and K of a batch (`class_batches`).
      margin, mining: of the triplets (`losses.triplet`).
      learning_rate, weight_decay: AdamW's greatest; decoupled, on kernels alone.
      clip_norm: global norm to which gradients are clipped.
      warmup: epochs over which the learning rate rises from zero, a fraction allowed.
      schedule: "constant", or "cosine" down to zero at the last of `epochs`.
      epochs: at most; an epoch draws as many segments as there are.
      patience: epochs without a better validation score after which training stops.
      validation_segments: the most training segments for validation's class centres, and validation segments for its
        triplet loss; chosen by the key, the same for every epoch.
      embed_batch, devices: images embedded at a time; local devices that a batch is spread over.
      frozen: prefixes of the names of modules whose parameters are frozen ("conv2d", "repeat_1").
    """

    classes_per_batch: int
    segments_per_class: int
    margin: float
    mining: str
    learning_rate: float
    weight_decay: float
    clip_norm: float
    warmup: float
    schedule: str
    epochs: int
    patience: int
    validation_segments: int
    embed_batch: int
    devices: int
    frozen: tuple[str, ...]

    @property
    def batch(self) -> int:
        """Segments of a batch."""
        return self.classes_per_batch * self.segments_per_class


@dataclasses.dataclass(frozen=True)
class TrainConfig(Learning):
    """A training: its input, network and optimisation.

    Fields:
      view: "waveform" or "spectrogram".
      segments, images, network, augment: settings of those modules; rate, size and channels must agree.
    """

    view: str
    segments: SegmentConfig
    images: ImageConfig
    network: FaceNetConfig
    augment: AugmentConfig

    def __post_init__(self) -> None:
        check_fields(self, {
            "view": (self.view in VIEWS, f"one of {', '.join(VIEWS)}"),
            "classes_per_batch": (self.classes_per_batch >= 2, "2 or more"),
            "segments_per_class": (self.segments_per_class >= 2, "2 or more"),
            "margin": (self.margin > 0, "above 0"),
            "mining": (self.mining in MININGS, f"one of {', '.join(MININGS)}"),
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "clip_norm": (self.clip_norm > 0, "above 0"),
            "warmup": (self.warmup >= 0, "0 or more epochs"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "epochs": (self.epochs >= 1, "1 or more"),
            "patience": (self.patience >= 1, "1 or more"),
            "validation_segments": (self.validation_segments >= 2, "2 or more"),
            "embed_batch": (self.embed_batch >= 1, "1 or more"),
            "devices": (self.devices >= 1, "1 or more"),
        })  # fmt: skip
        if self.segments.rate != self.images.rate:
            rates = f"segments at {self.segments.rate} Hz, images of {self.images.rate} Hz"
            raise InputError(f"TrainConfig: {rates}; give segments.rate and images.rate the same value")
        if (channels := self.network.channels) != 1:
            raise InputError(f"TrainConfig.network.channels = {channels}: expected 1, since the views have one channel")
        if self.images.size < self.network.smallest:
            raise InputError(
                f"TrainConfig: images of {self.images.size} pixels a side, this network needs {self.network.smallest}; "
                'raise images.size, or give network.padding "same"'
            )
        for name, batch in (("classes_per_batch x segments_per_class", self.batch), ("embed_batch", self.embed_batch)):
            if batch % self.devices:
                raise InputError(
                    f"TrainConfig: {name} = {batch} cannot be spread evenly over {self.devices} devices; "
                    "give a multiple, or fewer devices"
                )

"""Features of a frozen speech encoder: mean and standard deviation over time of Whisper's hidden states."""

import contextlib
import dataclasses
import functools
import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from siamese_jax.datasets import shipped
from siamese_jax.datasets.extractors import Extractor, interspeech_2009
from siamese_jax.errors import InputError
from siamese_jax.features import log_mel
from siamese_jax.models import whisper, whisper_weights
from siamese_jax.models.whisper import Params, WhisperConfig
from siamese_jax.runtime import xla

VERSION = "1"
"""Incremented when the same samples and weights give other values."""

PADDINGS = ("clip", "30s")
PRECISIONS = ("float32", "bfloat16")

WINDOW = whisper.WINDOW_FRAMES * log_mel.HOP
"""The samples in a window of 30 s. Longer clips are cut into equal pieces, whose statistics are pooled."""

SHORTEST = 50  # frames of the smallest bucket
RATIO = 1.15  # between the frames of successive buckets: padding costs 7 %, compiling a shape takes 1 s
CPU_BATCH_FRAMES = 1700  # clips times frames: 4 clips of 4 s; 8 clips exceed a core's cache and take a tenth longer
ACCELERATOR_BATCH_FRAMES = 96000  # per device

_PART = 2**20  # samples
_LAYER = re.compile(r"\.layer\d")


@dataclasses.dataclass(frozen=True)
class Options:
    """How clips become features.

    Fields:
      layers: layers whose hidden states are used, increasing; 0 is the convolutions, the last includes the final norm.
      loudness: dBFS (root mean square over the clip) to which every clip is set first, without clipping.
      padding: "clip" gives the encoder a clip's own frames; "30s" pads with silence, as in Whisper's training. Both
        take the statistics over the clip's own positions.
      precision: "float32", or "bfloat16" for the layers (not the log-mel spectrogram and the statistics).
    """

    layers: tuple[int, ...]
    loudness: float
    padding: str
    precision: str


SHIPPED = Options(layers=(1, 2, 3), loudness=-25.0, padding="clip", precision="float32")
"""The options of the shipped tables."""


def of_shipped_tables(features: str, layers: tuple[int, ...]) -> Extractor:
    """Returns a feature set of the shipped tables by name; of the speech encoder only `layers`, or all if empty."""
    if features == "is09":
        return interspeech_2009()
    return extractor("tiny.en", dataclasses.replace(SHIPPED, layers=layers or SHIPPED.layers))


def extractor(encoder: str, options: Options) -> Extractor:
    """Returns the feature set of an encoder: the name of a shipped encoder ("tiny.en"), or a folder as published.

    Columns are named whisper.NAME.layer2.mean.017; NAME is a folder's own name.

    Raises InputError if the encoder cannot be read or lacks a layer, or if an option is out of range.
    """
    folder = shipped.speech_encoder(encoder)
    name = encoder if encoder in shipped.SPEECH_ENCODERS else folder.resolve().name
    if not name.isprintable() or _LAYER.search(name):  # characters that are no UTF-8 are not printable either
        raise InputError(f"{name!r}: a folder's name becomes part of the columns' names; rename it")
    config = whisper_weights.read_config(folder)
    _check(options, config, folder)
    params = whisper_weights.load(folder, config, max(options.layers))
    engine = _Engine(params, config, options)
    facts = {
        "speech_encoder": f"whisper.{name}",
        "speech_encoder_digest": whisper_weights.digest(params),
        **dataclasses.asdict(options),
        "layers": list(options.layers),
    }
    made = {"features": "Whisper, mean and standard deviation", "extractor": VERSION, "rate": log_mel.RATE, **facts}
    key = hashlib.sha256(repr((VERSION, facts)).encode()).hexdigest()[:16]
    return Extractor(
        f"whisper-{key}", feature_names(name, config, options), made, bucket, engine.clips, engine.features
    )


def parse_layers(texts: Sequence[str]) -> tuple[int, ...]:
    """Returns the layers that texts give. Raises InputError for a text that is not a number."""
    for text in texts:
        if not re.fullmatch("[0-9]{1,4}", text.strip()):
            raise InputError(f"layer {text!r:.80}: expected numbers with commas, such as 1,2,3")
    return tuple(map(int, texts))


def feature_names(name: str, config: WhisperConfig, options: Options) -> tuple[str, ...]:
    """Returns the column names: for each layer the means, then the standard deviations."""
    width = len(str(config.d_model - 1))
    return tuple(
        f"whisper.{name}.layer{layer}.{statistic}.{i:0{width}d}"
        for layer in options.layers
        for statistic in ("mean", "std")
        for i in range(config.d_model)
    )


def bucket(samples: int) -> int:
    """Returns the frames, an even number, of the bucket for a clip, or for a piece of a long clip."""
    frames = log_mel.frame_count(-(-samples // -(-samples // WINDOW)))
    size = float(SHORTEST)
    while (even := 2 * round(size / 2)) < frames:
        size *= RATIO
    return min(even, whisper.WINDOW_FRAMES)


def _check(options: Options, config: WhisperConfig, folder: Path) -> None:
    layers, n_layers = options.layers, config.encoder_layers
    if not layers or list(layers) != sorted(set(layers)) or not 0 <= layers[0] <= layers[-1] <= n_layers:
        asked = ",".join(map(str, layers))
        raise InputError(
            f"layers {asked or 'empty'}: expected increasing numbers from 0 to {n_layers}, the layers of {folder}"
        )
    if not -90 <= options.loudness <= 0:
        raise InputError(f"loudness {options.loudness:g}: expected dBFS between -90 and 0")
    for value, known in ((options.padding, PADDINGS), (options.precision, PRECISIONS)):
        if value not in known:
            raise InputError(f"{value!r}: expected one of {', '.join(known)}")
    positions = whisper.position_count(whisper.WINDOW_FRAMES)
    if config.max_source_positions < positions:
        raise InputError(
            f"{folder}: max_source_positions is {config.max_source_positions}; expected at least {positions}"
        )


class _Engine:
    """The compiled program. Batches are sharded over all local accelerators. On a CPU, threads share one device."""

    def __init__(self, params: Params, config: WhisperConfig, options: Options):
        self._options, self._width = options, config.d_model
        devices, self._device_frames = _devices()
        self._n_devices = len(devices)
        mesh = jax.make_mesh((len(devices),), ("clip",), axis_types=(AxisType.Auto,), devices=devices)
        self._by_clip = NamedSharding(mesh, PartitionSpec("clip"))
        self._params = jax.device_put(_cast(params, options.precision), NamedSharding(mesh, PartitionSpec()))
        n_heads, bands = config.encoder_attention_heads, config.num_mel_bins
        self._program = jax.jit(
            functools.partial(piece_statistics, n_heads=n_heads, bands=bands, options=options),
            compiler_options=dict(xla.cpu_option(devices[0].platform, xla.VECTOR_OPTION, 512)),
        )
        self._locks: dict[int, threading.Lock] = {}
        self._called: set[int] = set()

    def clips(self, frames: int) -> int:
        """Returns the number of pieces in a batch of a bucket, a multiple of the devices that share the batch."""
        width = whisper.WINDOW_FRAMES if self._options.padding == "30s" else frames
        return self._n_devices * max(1, self._device_frames // width)

    def features(self, samples: Sequence[np.ndarray], frames: int) -> np.ndarray:
        """Returns the features [N, F] float32 of clips, int16 arrays [L] of the bucket `frames`."""
        pieces = [(i, piece) for i, clip_L in enumerate(samples) for piece in self._pieces(clip_L)]
        batch = self.clips(frames)
        totals = np.zeros((len(samples), 3, len(self._options.layers), self._width))
        for start in range(0, len(pieces), batch):
            owners = [i for i, _ in pieces[start : start + batch]]
            statistics = self._run([make() for _, make in pieces[start : start + batch]], frames, batch)
            for owner, (count, mean_KxD, deviation_KxD) in zip(owners, statistics):
                totals[owner] += count * np.stack([np.ones_like(mean_KxD), mean_KxD, mean_KxD**2 + deviation_KxD**2])
        mean_NxKxD = totals[:, 1] / totals[:, 0]
        deviation_NxKxD = np.sqrt(np.maximum(totals[:, 2] / totals[:, 0] - mean_NxKxD**2, 0))
        return np.stack([mean_NxKxD, deviation_NxKxD], axis=2).reshape(len(samples), -1).astype(np.float32)

    def _pieces(self, clip_L: np.ndarray) -> Iterator[Any]:
        """Yields functions that make the pieces, float32 at the options' loudness, so that memory holds one batch."""
        n_pieces = -(-len(clip_L) // WINDOW)
        length = -(-len(clip_L) // n_pieces)
        gain = np.float32(loudness_gain(clip_L, self._options.loudness))
        for start in range(0, len(clip_L), length):
            yield lambda start=start: gain * clip_L[start : start + length]

    def _run(self, pieces: list[np.ndarray], frames: int, batch: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Returns for each piece the positions, mean [K, D] and standard deviation [K, D] of K layers, float64."""
        width = whisper.WINDOW_FRAMES if self._options.padding == "30s" else frames
        sound_BxL = np.zeros((batch, log_mel.sample_count(width)), np.float32)
        frames_B = np.ones(batch, np.int32)
        for row, piece in enumerate(pieces):
            frames_B[row] = log_mel.frame_count(len(piece))
            if self._options.padding == "30s":
                piece = np.pad(piece, (0, WINDOW - len(piece)))
            sound_BxL[row] = log_mel.reflected(piece, width)
        operands = jax.device_put((sound_BxL, frames_B), self._by_clip)
        with self._first_call(frames):
            statistics_BxKx2xD = np.asarray(self._program(self._params, *operands), np.float64)
        counts = whisper.position_count(frames_B).tolist()
        return [(counts[row], *statistics_BxKx2xD[row].swapaxes(0, 1)) for row in range(len(pieces))]

    @contextlib.contextmanager
    def _first_call(self, frames: int) -> Iterator[None]:
        """Admits a single thread to the first call with a shape, since this call compiles."""
        with contextlib.nullcontext() if frames in self._called else self._locks.setdefault(frames, threading.Lock()):
            yield
            self._called.add(frames)


def _devices() -> tuple[list[jax.Device], int]:
    """Returns the devices that share a batch, and the frames of a batch on each device."""
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return devices, ACCELERATOR_BATCH_FRAMES
    # On one CPU device, calls from two threads run in parallel, and each shape is compiled once.
    return devices[:1], CPU_BATCH_FRAMES


def _cast(params: Params, precision: str) -> Params:
    return params if precision == "float32" else jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), params)


def loudness_gain(samples_L: np.ndarray, loudness: float) -> float:
    """Returns the factor that scales int16 samples to floats of `loudness` (dBFS, root mean square)."""
    # In parts, so that memory never holds the squares of an hour of sound.
    parts = (samples_L[start : start + _PART] for start in range(0, len(samples_L), _PART))
    energy = sum(np.square(part, dtype=np.float64).sum() for part in parts)
    return 10 ** (loudness / 20) / np.sqrt(energy / len(samples_L)) if energy else 0.0


def piece_statistics(
    params: Params, sound_BxL: jax.Array, frames_B: jax.Array, *, n_heads: int, bands: int, options: Options
) -> jax.Array:
    """Returns mean and standard deviation of the options' layers over the pieces' own positions, [B, K, 2, D] float32.

    Args:
      sound_BxL: rows of `log_mel.reflected`, float32.
      frames_B: the number of frames of each piece.
    """
    seen_B = jnp.full_like(frames_B, whisper.WINDOW_FRAMES) if options.padding == "30s" else frames_B
    mel_BxTxM = log_mel.log_mel(sound_BxL, seen_B, bands).astype(options.precision)
    states = whisper.hidden_states(params, mel_BxTxM, seen_B, n_heads, options.layers, "highest")
    positions_B = whisper.position_count(frames_B)
    return jnp.stack([whisper.statistics(state, positions_B) for state in states], axis=1)

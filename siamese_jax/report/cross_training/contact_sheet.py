"""A picture of FaceNet's input: both views of many segments on one sheet."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siamese_jax.corpora.audio import decode
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.errors import ClipError, InputError
from siamese_jax.features.images import ImageConfig, view_images
from siamese_jax.features.segments import SegmentConfig, cut
from siamese_jax.report.render import figures
from siamese_jax.runtime.files import atomic_path

SUFFIXES = (".png", ".pdf", ".svg")


@dataclasses.dataclass(frozen=True)
class Sample:
    """One segment to draw: its samples [L] in [-1, 1], and a caption of one or two short lines."""

    samples: np.ndarray
    caption: str


def demo_samples(config: SegmentConfig) -> list[Sample]:
    """Synthesised sounds whose pictures are known: tones, a sweep, a click, harmonics, noise, a padded end, silence."""
    t = np.arange(config.length) / config.rate
    whole, nyquist = config.seconds, config.rate / 2
    noise = np.random.default_rng(0).standard_normal(len(t))
    click = np.zeros(len(t))
    click[len(t) // 2] = 0.9
    pitch = 120 + 30 * np.sin(2 * np.pi * t / whole)
    phase = 2 * np.pi * np.cumsum(pitch) / config.rate
    partials = np.arange(1, 20)[:, None]
    voiced = (np.sin(partials * phase) / partials).sum(axis=0)
    sounds = {
        "tone 440 Hz, peak 0.5": 0.5 * np.sin(2 * np.pi * 440 * t),
        "tone 3 kHz, peak 0.05": 0.05 * np.sin(2 * np.pi * 3000 * t),
        "sweep 50 Hz to Nyquist": 0.5 * np.sin(2 * np.pi * (50 * t + (nyquist - 50) * t**2 / (2 * whole))),
        "click in the middle": click,
        "harmonics of 90-150 Hz": 0.2 * voiced,
        "noise growing louder": 0.3 * noise * t / whole,
        "tone, last third padded": 0.5 * np.sin(2 * np.pi * 440 * t) * (t < whole * 2 / 3),
        "silence": np.zeros(len(t)),
    }
    return [Sample(sound.astype(np.float32), caption) for caption, sound in sounds.items()]


def manifest_samples(manifest: Manifest, config: SegmentConfig, clips: int) -> tuple[list[Sample], list[ClipError]]:
    """The first segments of `clips` clips spread evenly over the manifest, at most two a clip, and the errors.

    Raises InputError, with the clips' reasons, if none of them has a segment.
    """
    if not manifest.clips:
        raise InputError(f"{manifest.root}: the manifest holds no clips; nothing to draw")
    rows = np.unique(np.linspace(0, len(manifest.clips) - 1, clips).round().astype(int))
    samples, errors = [], []
    for row in rows:
        clip = manifest.clips[row]
        try:
            sound = decode(manifest.path(clip), clip.start, clip.end, config.rate).samples
            segments = cut(sound, config, clip.file)
        except ClipError as error:
            errors.append(ClipError(clip.file, error.reason))
            continue
        for i, segment in enumerate(segments[:2]):
            start = i * config.hop_seconds
            place = f"{clip.name}, {start:g}-{start + config.seconds:g} s"
            samples.append(Sample(segment, f"{clip.emotion}, {clip.speaker}\n{place}"))
    if not samples:
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        reasons = "; ".join(map(str, errors[:3])) + more
        raise InputError(
            f"{manifest.root}: none of the {len(rows)} clips drawn of {len(manifest)} has a segment to show: {reasons}"
            ". Give longer or other clips, or draw more of them"
        )
    return samples, errors


def choose_samples(
    manifest: Manifest | None, config: SegmentConfig, clips: int
) -> tuple[list[Sample], list[ClipError]]:
    """`manifest_samples`, or without a manifest `demo_samples`."""
    return (demo_samples(config), []) if manifest is None else manifest_samples(manifest, config, clips)


def contact_sheet(path: str | Path, samples: Sequence[Sample], config: ImageConfig, columns: int, title: str) -> None:
    """Writes both views of all segments. Raises InputError for no segment, unequal lengths or an unknown suffix."""
    if Path(path).suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a name ending in one of {', '.join(SUFFIXES)}")
    if not samples or len({len(sample.samples) for sample in samples}) > 1:
        raise InputError("contact sheet: expected one segment or more, all of one length")
    segments_BxL = np.stack([sample.samples for sample in samples])
    waveforms, spectrograms = (np.asarray(view_images(jnp.asarray(segments_BxL), view, config))[..., 0]
                               for view in ("waveform", "spectrogram"))  # fmt: skip
    columns = min(columns, len(samples))
    rows = -(-len(samples) // columns)
    with figures.settings({"font.size": 8, "axes.titlesize": 8, "image.interpolation": "nearest"}):
        figure = Figure(figsize=(0.6 + 2.1 * columns, 0.7 + 4.2 * rows), dpi=120, layout="constrained")
        figure.suptitle(f"{title}\n{_key(config)}", fontsize=9)
        axes = figure.subplots(2 * rows, columns, squeeze=False)
        for ax in axes.flat:
            ax.set_visible(False)
        seconds = segments_BxL.shape[1] / config.rate
        for i, sample in enumerate(samples):
            row, column = divmod(i, columns)
            pair = axes[2 * row, column], axes[2 * row + 1, column]
            _draw(pair, (waveforms[i], spectrograms[i]), sample.caption, config, seconds, column == 0)
        with atomic_path(path) as temporary:
            figure.savefig(temporary)


def _key(config: ImageConfig) -> str:
    return (
        f"{config.size} x {config.size} pixels; waveform: white is ink, peak {config.waveform_peak:g}; "
        f"log-mel: black {config.floor_db:g} dB, brightest {config.ceiling_db:g} dB re full-scale sine"
    )


def _draw(
    pair: tuple[Axes, Axes], pictures: tuple[np.ndarray, np.ndarray], caption: str, config: ImageConfig,
    seconds: float, first: bool
) -> None:  # fmt: skip
    for ax, picture, colours in zip(pair, pictures, ("gray", "magma")):
        ax.set_visible(True)
        ax.imshow(picture, cmap=colours, vmin=0, vmax=1, extent=(0, seconds, 0, config.size), aspect="auto")
        ax.set_xticks([0, seconds / 2, seconds])
    above, below = pair
    above.set_title(caption)
    above.set_xticklabels([])
    peak = config.waveform_peak
    above.set_yticks([0.5, config.size / 2, config.size - 0.5], [f"{-peak:g}", "0", f"{peak:g}"])
    places, names = zip(*_mel_ticks(config))
    below.set_yticks(places, names)
    below.set_xlabel("s", labelpad=0)
    if first:
        above.set_ylabel("amplitude")
        below.set_ylabel("kHz (mel)")


def _mel_ticks(config: ImageConfig) -> Iterator[tuple[float, str]]:
    """Heights in pixels from the bottom of round frequencies that the picture holds."""

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    low, high = mel(config.low_hz), mel(config.high_hz)
    for kilohertz in (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        # Band i, from 0, has its centre at step i + 1 of size + 1, and its pixel's middle at i + 0.5.
        place = (mel(1000 * kilohertz) - low) / (high - low) * (config.size + 1) - 0.5
        if 0 <= place <= config.size + 0.5:
            yield min(place, config.size), f"{kilohertz:g}"

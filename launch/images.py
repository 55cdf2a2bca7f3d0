"""Draws a contact sheet of the two inputs of FaceNet: the waveform diagram and the log-mel spectrogram.

siamese-jax images --output=sheet.png                                  # synthesised sounds
siamese-jax images --output=sheet.png --manifest=clips.csv             # a CSV of clips
siamese-jax images --output=sheet.png --corpus=emodb --root=~/emodb    # a corpus
"""

from absl import app, flags, logging

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import COMMON_ALIASES, read_manifest
from siamese_jax.features.images import ImageConfig
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.report.cross_training.contact_sheet import choose_samples, contact_sheet

from . import common

_OUTPUT = common.define_path("output", None, "The picture to write (.png, .pdf, .svg).", required=True)
_MANIFEST = common.define_path("manifest", None, "A CSV with file, emotion, speaker.")
_CORPUS = flags.DEFINE_enum("corpus", None, sorted(adapters.CORPORA), "A corpus that the package knows.")
_ROOT = common.define_path("root", None, "The folder of the corpus, or of the files of --manifest.")
_ALIASES = flags.DEFINE_bool("aliases", False, "Accept other words for emotions, such as happy or Angry.")
_CLIPS = flags.DEFINE_integer("clips", 8, "Clips to draw, spread evenly.", lower_bound=1)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Segments side by side.", lower_bound=1)
_RATE = flags.DEFINE_integer("rate", 16000, "Sampling rate, Hz.")
_SIZE = flags.DEFINE_integer("size", 160, "Pixels on each side of an image.")
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Length of a segment, seconds.")
_HOP = flags.DEFINE_float("hop", 0.5, "Seconds from segment to segment.")
_SHORTEST = flags.DEFINE_float("shortest", 0.25, "Seconds below which a clip is left out.")
_QUIET = flags.DEFINE_float("quiet_db", 25.0, "Segments this far below the loudest one of their clip are left out, dB.")
_PEAK = flags.DEFINE_float("peak", 1.0, "Amplitude at the top row of the waveform.")
_WINDOW = flags.DEFINE_float("window", 0.025, "Length of the spectrogram's window, seconds.")
_FFT = flags.DEFINE_integer("fft", 2048, "Points of the Fourier transform.")
_LOW = flags.DEFINE_float("low_hz", 0.0, "Lower end of the mel bands.")
_HIGH = flags.DEFINE_float("high_hz", 8000.0, "Upper end of the mel bands.")
_FLOOR = flags.DEFINE_float("floor_db", -100.0, "Level of black, dB relative to a full-scale sine.")
_CEILING = flags.DEFINE_float("ceiling_db", -10.0, "Level of white, dB relative to a full-scale sine.")


def main() -> None:
    if bool(_CORPUS.value) != bool(_ROOT.value and not _MANIFEST.value):
        raise app.UsageError("give --manifest, or --corpus with --root, or neither")
    segments = SegmentConfig(_RATE.value, _SECONDS.value, _HOP.value, _SHORTEST.value, _QUIET.value)
    images = ImageConfig(
        _RATE.value, _SIZE.value, _PEAK.value, _WINDOW.value, _FFT.value, _LOW.value, _HIGH.value,
        _FLOOR.value, _CEILING.value,
    )  # fmt: skip
    manifest = None
    if _CORPUS.value and _ROOT.value:
        manifest = adapters.scan(_CORPUS.value, _ROOT.value)
    elif _MANIFEST.value:
        manifest = read_manifest(_MANIFEST.value, _ROOT.value, COMMON_ALIASES if _ALIASES.value else None)
    samples, errors = choose_samples(manifest, segments, _CLIPS.value)
    title = f"{_CORPUS.value or _MANIFEST.value or 'synthesised sounds'}"
    contact_sheet(_OUTPUT.value, samples, images, _COLUMNS.value, title)
    for left_out in errors:
        logging.warning("%s", left_out)
    common.show(f"{_OUTPUT.value}: {len(samples)} segments drawn, {len(errors)} clips left out")


if __name__ == "__main__":
    common.run(main)

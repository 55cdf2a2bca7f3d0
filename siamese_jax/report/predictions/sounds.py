"""The sound behind the play buttons of the page: linked, embedded, or left out."""

import base64
import dataclasses
import io
import os
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

import soundfile

from siamese_jax.corpora.audio import RATE, decode
from siamese_jax.errors import ClipError
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.report.render.text import plural
from siamese_jax.runtime import interrupt

MODES = ("link", "embed", "none")
"""How the page has the sounds: by relative path, inside it, or not at all."""

MOST_EMBEDDED = 15_000_000  # bytes of the page that sounds may take

PLAYED = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm")
"""Suffixes of files that browsers play."""


@dataclasses.dataclass(frozen=True)
class Sounds:
    """The sources [N] of the play buttons, "" for no button; `policy`, the page's media-src; `warnings` and `notes`."""

    sources: Sequence[str]
    policy: str
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


def least_certain_first(predictions: Sequence[Prediction]) -> list[int]:
    """Returns the order [N] of predictions by the probability of their label."""
    return sorted(range(len(predictions)), key=lambda i: predictions[i].probabilities[predictions[i].label])


def prepare(mode: str, predictions: Sequence[Prediction], paths: Sequence[Path], page: Path) -> Sounds:
    """Returns the sounds of predictions, whose files are at `paths` [N], for a page to be written at `page`.

    Mode "embed" decodes the clips, the least certain first, until the page holds `MOST_EMBEDDED` bytes of sound.
    """
    if mode == "none":
        return Sounds([""] * len(paths), "'none'")
    if mode == "embed":
        return _embedded(predictions, paths)
    return _linked(predictions, paths, page)


def _linked(predictions: Sequence[Prediction], paths: Sequence[Path], page: Path) -> Sounds:
    folder = Path(os.path.abspath(page)).parent  # noqa: PTH100 - a browser follows no link in `..`
    whole = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    tells = [_tells_of_home(folder, path) for path in whole]
    sources = [
        "" if tell or path.suffix.lower() not in PLAYED else link(folder, path, prediction)
        for prediction, path, tell in zip(predictions, whole, tells, strict=True)
    ]
    warnings, notes = [], []
    if any(sources):
        notes.append("The sounds are links to the recordings: keep the page in its place beside them.")
    if private := sum(tells):
        remedy = "write the page beside the recordings, or give --sound=embed"
        warnings.append(f"{plural(private, 'clip')} not linked: the link would name private folders; {remedy}.")
    if unplayed := sources.count("") - private:
        notes.append(f"{plural(unplayed, 'clip')} in formats that browsers do not play; --sound=embed converts them.")
    # A page on a disk has no origin of its own; `file:` allows no network.
    return Sounds(sources, "'self' file:", warnings, notes)


def link(folder: Path, path: Path, prediction: Prediction) -> str:
    """Returns the quoted path of a sound relative to the page's folder, with the segment's times."""
    relative = os.path.relpath(path, folder).replace(os.sep, "/")
    quoted = urllib.parse.quote(os.fsencode(relative))
    return f"{quoted}#t={prediction.start:.3f},{prediction.end:.3f}"


def _tells_of_home(folder: Path, path: Path) -> bool:
    """Returns whether the way from the page to the sound names the user, or every folder from the root on."""
    try:
        common = Path(os.path.commonpath([folder, path.parent]))
    except ValueError:  # another drive has no relative path
        return True
    home = Path.home()
    return common == Path(common.anchor) or (common != home and home.is_relative_to(common))


def _embedded(predictions: Sequence[Prediction], paths: Sequence[Path]) -> Sounds:
    sources, room, held = [""] * len(paths), MOST_EMBEDDED, 0
    failed = 0
    for i in least_certain_first(predictions):
        interrupt.check()
        try:
            source = flac(paths[i], predictions[i].start, predictions[i].end)
        except ClipError:
            failed += 1
            continue
        if len(source) > room:
            break
        sources[i], room, held = source, room - len(source), held + 1
    voices = f"This page holds the voices of {plural(held, 'clip')}. Whoever has the page can hear them."
    notes = []
    if left := len(paths) - held - failed:
        limit = f"{MOST_EMBEDDED / 1e6:.0f} MB of sound are in the page, the least certain clips first"
        notes.append(f"{plural(left, 'clip')} not embedded: {limit}.")
    if failed:
        notes.append(f"{plural(failed, 'clip')} not embedded: their sound cannot be read any more.")
    return Sounds(sources, "data:", [voices] if held else [], notes)


def flac(path: Path, start: float, end: float) -> str:
    """Returns a segment as a data URL: FLAC, 16 kHz, mono, without the file's own tags. Raises ClipError."""
    packed = io.BytesIO()
    soundfile.write(packed, decode(path, start, end).samples, RATE, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(packed.getvalue()).decode("ascii")

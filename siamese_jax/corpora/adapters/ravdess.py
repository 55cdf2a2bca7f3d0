"""RAVDESS: the Ryerson Audio-Visual Database of Emotional Speech and Song (Livingstone & Russo 2018).

24 actors, 8 emotions, 1440 spoken audio-only clips; CC BY-NC-SA 4.0, https://zenodo.org/records/1188976. Names have
seven numbers: modality, vocal channel, emotion, intensity, statement, repetition, actor. Only audio-only speech (03-01)
is kept, since a take is also distributed as video, and the actors sing too. Two clips of actor 7, 03-01-03-01-02-01-07
and 03-01-03-01-02-02-07, hold the same samples: both are kept, with equal audio hashes.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_CODES = {
    "01": "neutral", "02": "calm", "03": "happiness", "04": "sadness",
    "05": "anger", "06": "fear", "07": "disgust", "08": "surprise",
}  # fmt: skip

_TAKE = re.compile(r"(0[123])-(0[12])-(0[1-8])-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None where it names no audio-only speech of RAVDESS."""
    stem = PurePosixPath(name).stem
    take = _TAKE.fullmatch(stem)
    if take is None or take.group(1, 2) != ("03", "01"):
        return None
    sex = "male" if int(take[4]) % 2 else "female"
    return Label(stem, EMOTION_CODES[take[3]], f"ravdess_{take[4]}", sex)


def _drop(file: PurePosixPath) -> str | None:
    take = _TAKE.fullmatch(file.stem)
    if take is None or take.group(1, 2) == ("03", "01"):
        return None
    if take[2] == "02":
        return "song, not speech"
    return "audio and video, not audio alone" if take[1] == "01" else "video without sound"


_EXPECTED = (
    "a folder that holds Actor_01 ... Actor_24 with files like 03-01-05-02-01-01-07.wav "
    "(Audio_Speech_Actors_01-24.zip, unpacked)"
)
LAYOUT = Layout("ravdess", "RAVDESS", _EXPECTED, parse_name, _drop, re.compile(r"Actor_\d\d", re.IGNORECASE))

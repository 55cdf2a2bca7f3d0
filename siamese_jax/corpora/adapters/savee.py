"""SAVEE: the Surrey Audio-Visual Expressed Emotion database (Haq & Jackson 2009).

Four men, 7 emotions, 480 clips at 44.1 kHz; research only. Files: `DC/a01.wav` or DC_a01.wav, clip ids: DC_a01.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_CODES = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
}  # fmt: skip

_SPEAKER = re.compile(r"DC|JE|JK|KL")
_STEM = re.compile(r"(?:(DC|JE|JK|KL)_?)?((?:a|d|f|h|n|sa|su))(\d\d)")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside SAVEE."""
    path = PurePosixPath(name)
    match = _STEM.fullmatch(path.stem)
    if match is None:
        return None
    speaker = match[1] or path.parent.name
    if not _SPEAKER.fullmatch(speaker):
        return None
    return Label(f"{speaker}_{match[2]}{match[3]}", EMOTION_CODES[match[2]], f"savee_{speaker}", "male")


_EXPECTED = "a folder that holds DC, JE, JK and KL with files like DC/a01.wav (AudioData)"
LAYOUT = Layout("savee", "SAVEE", _EXPECTED, parse_name, inner=_SPEAKER)

"""TESS: the Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2020).

Two women, 7 emotions, 200 words: 2800 clips; CC BY-NC-ND 4.0, https://doi.org/10.5683/SP2/E8H2MF. Names such as
OAF_back_angry: speaker (older or younger), word, emotion (ps: pleasant surprise); one is OA_bite_neutral. One
distribution holds every clip twice, the second time one folder deeper: the second copy is left out.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_WORDS = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness", "neutral": "neutral",
    "ps": "surprise", "sad": "sadness",
}  # fmt: skip

_STEM = re.compile(rf"(OAF?|YAF)_([a-z]+)_({'|'.join(EMOTION_WORDS)})", re.IGNORECASE)


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside TESS."""
    match = _STEM.fullmatch(PurePosixPath(name).stem)
    if match is None:
        return None
    speaker = "YAF" if match[1].upper() == "YAF" else "OAF"
    word, emotion = match[2].lower(), match[3].lower()
    return Label(f"{speaker}_{word}_{emotion}", EMOTION_WORDS[emotion], f"tess_{speaker}", "female")


_EXPECTED = "a folder that holds OAF_angry ... YAF_sad with files like OAF_back_angry.wav"
LAYOUT = Layout("tess", "TESS", _EXPECTED, parse_name, inner=re.compile(r"(OAF|YAF)_\w+", re.IGNORECASE))

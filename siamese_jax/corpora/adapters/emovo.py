"""EMOVO: an Italian corpus of acted emotions (Costantini et al. 2014).

Three women and three men, 7 emotions, 14 sentences: 588 clips. Names such as rab-f1-b1: emotion, speaker, sentence.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_CODES = {
    "rab": "anger", "gio": "happiness", "tri": "sadness", "pau": "fear", "dis": "disgust", "sor": "surprise",
    "neu": "neutral",
}  # fmt: skip

_STEM = re.compile(r"(rab|gio|tri|pau|dis|sor|neu)-([fm][123])-[a-z]\d")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside EMOVO."""
    stem = PurePosixPath(name).stem
    match = _STEM.fullmatch(stem)
    if match is None:
        return None
    sex = "female" if match[2].startswith("f") else "male"
    return Label(stem, EMOTION_CODES[match[1]], f"emovo_{match[2]}", sex)


_EXPECTED = "a folder that holds f1 ... m3 with files like f1/rab-f1-b1.wav"
LAYOUT = Layout("emovo", "EMOVO", _EXPECTED, parse_name, inner=re.compile(r"[fm][123]"))

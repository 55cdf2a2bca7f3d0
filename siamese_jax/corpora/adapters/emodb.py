"""EMO-DB: the Berlin Database of Emotional Speech (Burkhardt et al. 2005).

10 speakers, 7 emotions, 535 clips; free, cite. Names like 03a01Fa: speaker, text, emotion (German initial), version.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_CODES = {
    "W": "anger", "F": "happiness", "T": "sadness", "A": "fear", "E": "disgust", "L": "boredom", "N": "neutral",
}  # fmt: skip

_MEN = {"03", "10", "11", "12", "15"}
_STEM = re.compile(r"(03|08|09|1[0-6])[ab]\d\d([WFTAELN])[a-f]")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside EMO-DB."""
    stem = PurePosixPath(name).stem
    match = _STEM.fullmatch(stem)
    if match is None:
        return None
    sex = "male" if match[1] in _MEN else "female"
    return Label(stem, EMOTION_CODES[match[2]], f"emodb_{match[1]}", sex)


LAYOUT = Layout("emodb", "EMO-DB", "the folder wav with files like 03a01Fa.wav, or the one that holds it", parse_name)

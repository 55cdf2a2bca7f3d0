"""nEMO: emotional speech in Polish (Christop 2024).

9 actors, 6 emotions, 4481 clips; CC BY-NC-SA 4.0, https://huggingface.co/datasets/amu-cai/nEMO. Names such as
SM0_happiness_2: speaker, emotion, sentence.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_WORDS = {
    "anger": "anger", "fear": "fear", "happiness": "happiness", "neutral": "neutral", "sadness": "sadness",
    "surprise": "surprise", "surprised": "surprise",
}  # fmt: skip

_STEM = re.compile(rf"([A-Z]{{2}}\d)_({'|'.join(EMOTION_WORDS)})_\d+")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside nEMO."""
    stem = PurePosixPath(name).stem
    match = _STEM.fullmatch(stem)
    return Label(stem, EMOTION_WORDS[match[2]], f"nemo_{match[1]}") if match else None


LAYOUT = Layout("nemo", "nEMO", "the folder samples with files like SM0_happiness_2.wav", parse_name)

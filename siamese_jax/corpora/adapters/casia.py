"""CASIA: the Chinese emotional speech corpus of the Institute of Automation.

Four speakers, 6 emotions, Mandarin; of 9600 clips 1200 circulate. The licence is unclear: treat it as restricted.
Files are `wangzhe/angry/201.wav`: speaker, emotion, text; for neutral, normal occurs as well.
"""

import re
from pathlib import PurePosixPath

from siamese_jax.corpora.scanning import Label, Layout

EMOTION_WORDS = {
    "angry": "anger", "fear": "fear", "happy": "happiness", "neutral": "neutral", "normal": "neutral",
    "sad": "sadness", "surprise": "surprise",
}  # fmt: skip

_SPEAKER = re.compile(r"liuchanhg|wangzhe|zhaoquanyin|zhaozuoxiang", re.IGNORECASE)
_CLIP = re.compile(rf"(?:.*/)?({_SPEAKER.pattern})[/_]({'|'.join(EMOTION_WORDS)})[/_](\d+)", re.IGNORECASE)


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's path, or of an id such as wangzhe_angry_201; None for a name outside CASIA."""
    path = PurePosixPath(name)
    match = _CLIP.fullmatch(str(path.with_suffix(""))) if path.name else None
    if match is None:
        return None
    speaker, emotion = match[1].lower(), EMOTION_WORDS[match[2].lower()]
    # The id keeps the corpus' word: the folders neutral and normal may both be there.
    return Label(f"{speaker}_{match[2].lower()}_{match[3]}", emotion, f"casia_{speaker}")


_EXPECTED = "a folder that holds liuchanhg, wangzhe, zhaoquanyin and ZhaoZuoxiang with files like wangzhe/angry/201.wav"
LAYOUT = Layout("casia", "CASIA", _EXPECTED, parse_name, inner=_SPEAKER, inner_depth=1)

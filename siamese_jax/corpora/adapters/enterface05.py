"""eNTERFACE'05, the audio-visual emotion database (Martin et al. 2006).

44 subjects, 6 emotions, 1293 videos whose sound is used; free for research,
https://enterface.net/enterface05/main.php?frame=emotion. Files lie in `subject N/anger/sentence K/sN_an_K.avi`, some
one level deeper. Subject and clip id (s11_an_1) come from the folder: files of subject 11 are named s12_*, so tables
that trusted the names have 43 speakers. Subject 3 has names like s_3_an_1, one file is s16_su_3avi.avi. Subject 6 has
one unsegmented recording for each emotion (s6_an): left out unless asked for.
"""

import dataclasses
import re
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.manifest import Manifest
from siamese_jax.corpora.scanning import Label, Layout, scan_names

EMOTION_CODES = {
    "an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness", "su": "surprise",
}  # fmt: skip

_SUBJECT = re.compile(r"subject[ _]?(\d+)", re.IGNORECASE)
_STEM = re.compile(r"s_?(\d+)_(an|di|fe|ha|sa|su)(?:_([1-5])(?:avi)?)?", re.IGNORECASE)


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside eNTERFACE'05.

    A folder `subject N` in the path decides who speaks; without it, the name does.
    """
    path = PurePosixPath(name)
    match = _STEM.fullmatch(path.stem)
    if match is None:
        return None
    folders = [folder for folder in map(_SUBJECT.fullmatch, path.parts) if folder]
    subject = int(folders[-1][1] if folders else match[1])
    code = match[2].lower()
    sentence = f"_{match[3]}" if match[3] else ""
    return Label(f"s{subject}_{code}{sentence}", EMOTION_CODES[code], f"enterface05_{subject:02d}")


def scan(root: str | Path, unsegmented: bool = False) -> Manifest:
    """Returns the manifest of the folder that holds subject 1 ... subject 44, or of a folder above it.

    `unsegmented` keeps subject 6, whose recordings are not cut into sentences. Raises InputError as
    `siamese_jax.corpora.scanning.scan_names`.
    """
    return scan_names(root, dataclasses.replace(LAYOUT, drop=lambda file: None) if unsegmented else LAYOUT)


def _drop_unsegmented(file: PurePosixPath) -> str | None:
    match = _STEM.fullmatch(file.stem)
    return "not cut into sentences" if match and match[3] is None else None


_EXPECTED = "a folder that holds 'subject 1' ... 'subject 44' with files like 'subject 1/anger/sentence 1/s1_an_1.avi'"
LAYOUT = Layout("enterface05", "eNTERFACE'05", _EXPECTED, parse_name, _drop_unsegmented, _SUBJECT, inner_depth=3)

"""eNTERFACE'05, the audio-visual emotion database (Martin et al. 2006).

44 subjects, 6 emotions, 1293 videos whose sound is used; free for research,
https://enterface.net/enterface05/main.php?frame=emotion. Files lie in `subject N/anger/sentence K/sN_an_K.avi`.

The folder tells the subject, not the name: those of subject 11 are named s12_*, and published tables that trusted
the names have lost one person (43 speakers). Clip ids here are made from the folder (s11_an_1). Subject 3 has names
like s_3_an_1, one file is s16_su_3avi.avi, some sentence folders have one more level. Subject 6 has one unsegmented
recording for each emotion instead of five sentences (s6_an): left out unless asked for.
"""

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
    """The label of a clip's id or path; None where it is no name of eNTERFACE'05.

    A folder `subject N` in the path decides who speaks; without one, the name does.
    """
    path = PurePosixPath(name)
    match = _STEM.fullmatch(path.stem)
    if match is None:
        return None
    folders = [found for found in map(_SUBJECT.fullmatch, path.parts) if found]
    subject = int(folders[-1][1] if folders else match[1])
    code = match[2].lower()
    sentence = f"_{match[3]}" if match[3] else ""
    return Label(f"s{subject}_{code}{sentence}", EMOTION_CODES[code], f"enterface05_{subject:02d}")


def scan(root: str | Path, unsegmented: bool = False) -> Manifest:
    """The manifest of the folder that holds subject 1 ... subject 44 (or of one above it).

    Args:
      unsegmented: keep subject 6, whose recordings are not cut into sentences.

    Raises:
      InputError: as `siamese_jax.corpora.scanning.scan_names`.
    """
    return scan_names(root, _layout(unsegmented))


def _drop_unsegmented(file: PurePosixPath) -> str | None:
    match = _STEM.fullmatch(file.stem)
    return "not cut into sentences" if match and match[3] is None else None


def _layout(unsegmented: bool) -> Layout:
    return Layout(
        corpus="enterface05",
        title="eNTERFACE'05",
        expected="a folder that holds 'subject 1' ... 'subject 44' with files like "
        "'subject 1/anger/sentence 1/s1_an_1.avi'",
        parse=parse_name,
        drop=(lambda file: None) if unsegmented else _drop_unsegmented,
        inner=_SUBJECT,
        inner_depth=3,
    )

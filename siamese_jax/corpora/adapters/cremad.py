"""CREMA-D: the Crowd-sourced Emotional Multimodal Actors Dataset (Cao et al. 2014).

91 actors, 6 emotions, 7442 clips; ODbL 1.0, https://github.com/CheyneyComputerScience/CREMA-D. Names such as
1001_DFA_ANG_XX: actor, sentence, emotion, level (X in 1040_ITH_SAD_X). A plain clone holds git-lfs pointers instead of
sound. A take's wav is preferred to its mp3 and Flash video; 1076_MTI_SAD_XX holds no sound and is left out. The actors'
sex comes from VideoDemographics.csv in the root or the folder above, and is unknown without it.
"""

import re
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.csv_files import read_csv
from siamese_jax.corpora.manifest import Manifest
from siamese_jax.corpora.scanning import Label, Layout, find_table, scan_names, with_sexes
from siamese_jax.errors import InputError

EMOTION_CODES = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
}  # fmt: skip

SILENT = "1076_MTI_SAD_XX"
DEMOGRAPHICS = "VideoDemographics.csv"

_STEM = re.compile(r"(10\d\d)_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX|X)")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside CREMA-D."""
    stem = PurePosixPath(name).stem
    match = _STEM.fullmatch(stem)
    if match is None or not 1001 <= int(match[1]) <= 1091:
        return None
    return Label(stem, EMOTION_CODES[match[2]], f"cremad_{match[1]}")


def scan(root: str | Path) -> Manifest:
    """Returns the manifest of the folder AudioWAV, or of the clone above it, with the actors' sex.

    Raises InputError as `siamese_jax.corpora.scanning.scan_names`, or where VideoDemographics.csv gives another sex.
    """
    manifest = scan_names(root, LAYOUT)
    return with_sexes(manifest, _read_sexes(find_table(manifest, DEMOGRAPHICS)))


def _read_sexes(path: Path | None) -> dict[str, str]:
    """Returns the sex by speaker."""
    if path is None:
        return {}
    sexes = {}
    for number, row in read_csv(path, ("actorid", "sex"), ("age", "race", "ethnicity")):
        sex = row["sex"].lower()
        if sex not in ("female", "male"):
            raise InputError(f"{path}, row {number}, Sex: {row['sex']!r}, expected Female or Male")
        sexes[f"cremad_{row['actorid']}"] = sex
    return sexes


def _drop(file: PurePosixPath) -> str | None:
    return "holds no sound" if file.stem == SILENT else None


_EXPECTED = "the folder AudioWAV with files like 1001_DFA_ANG_XX.wav, or the clone that holds it"
LAYOUT = Layout("cremad", "CREMA-D", _EXPECTED, parse_name, _drop)

"""nEMO: emotional speech in Polish (Christop 2024).

9 actors, 6 emotions, 4481 clips; CC BY-NC-SA 4.0, https://huggingface.co/datasets/amu-cai/nEMO. Names such as
SM0_happiness_2: speaker, emotion, sentence. The actors' sex comes from data.tsv in the root or the folder above, and is
unknown without it.
"""

import re
from pathlib import Path, PurePosixPath

from siamese_jax.corpora.csv_files import read_csv
from siamese_jax.corpora.manifest import SEXES, Manifest
from siamese_jax.corpora.scanning import Label, Layout, find_table, scan_names, with_sexes
from siamese_jax.errors import InputError

EMOTION_WORDS = {
    "anger": "anger", "fear": "fear", "happiness": "happiness", "neutral": "neutral", "sadness": "sadness",
    "surprise": "surprise", "surprised": "surprise",
}  # fmt: skip

DATA = "data.tsv"

_STEM = re.compile(rf"([A-Z]{{2}}\d)_({'|'.join(EMOTION_WORDS)})_\d+")


def parse_name(name: str) -> Label | None:
    """Returns the label of a clip's id or path, None for a name outside nEMO."""
    stem = PurePosixPath(name).stem
    match = _STEM.fullmatch(stem)
    return Label(stem, EMOTION_WORDS[match[2]], f"nemo_{match[1]}") if match else None


def scan(root: str | Path) -> Manifest:
    """Returns the manifest of the folder samples, or of a folder above it, with the actors' sex.

    Raises InputError as `siamese_jax.corpora.scanning.scan_names`, or where data.tsv gives another sex.
    """
    manifest = scan_names(root, LAYOUT)
    return with_sexes(manifest, _read_sexes(find_table(manifest, DATA)))


def _read_sexes(path: Path | None) -> dict[str, str]:
    """Returns the sex by speaker; the column is named sex or gender."""
    if path is None:
        return {}
    sexes: dict[str, str] = {}
    for number, row in read_csv(path, ("speaker_id",), ("sex", "gender"), quotes=False):
        text = row.get("sex", row.get("gender", ""))
        speaker = f"nemo_{row['speaker_id']}"
        sex = SEXES.get(text.lower())
        if sex is None or sexes.setdefault(speaker, sex) != sex:
            raise InputError(
                f"{path}, row {number}, sex: {text!r}, expected female or male, the same for all of a speaker"
            )
    return sexes


LAYOUT = Layout("nemo", "nEMO", "the folder samples with files like SM0_happiness_2.wav", parse_name)

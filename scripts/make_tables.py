"""Computes the shipped feature tables from the recordings, and writes the card of each.

python scripts/make_tables.py --data=FOLDER

FOLDER/audio/ravdess holds Actor_01 ... Actor_24, FOLDER/audio/emodb holds wav/03a01Fa.wav and the like.
"""

import argparse
import dataclasses
import hashlib
import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from siamese_jax.corpora import adapters
from siamese_jax.corpora.manifest import EMOTIONS
from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.datasets.extraction import Options, extract
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.datasets.table_files import duplicates, write_table
from siamese_jax.runtime.devices import available_cores, use_all_cores
from siamese_jax.runtime.files import write_text

ORIGINS = {
    "ravdess": (
        "RAVDESS",
        "Livingstone, S. R., & Russo, F. A. (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song "
        "(RAVDESS): A dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE "
        "13(5): e0196391. https://doi.org/10.1371/journal.pone.0196391",
        "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/). The same licence holds for this table, "
        "which is computed from the corpus: no commercial use, and works made from it keep the licence. The Apache "
        "licence of the code does not cover it.",
        "A 16 kHz, 16-bit mono copy of the audio-only speech (the originals have 48 kHz). The features of such a "
        "copy differ a little from the features of the originals. Across clips, the mean of MFCC 1 correlates at 0.89.",
    ),
    "emodb": (
        "EMO-DB, Berlin Database of Emotional Speech",
        "Burkhardt, F., Paeschke, A., Rolfes, M., Sendlmeier, W. F., & Weiss, B. (2005). A database of German "
        "emotional speech. Proc. Interspeech 2005, 1517-1520. https://doi.org/10.21437/Interspeech.2005-446",
        "The corpus is free to use; cite the paper.",
        "The corpus' own files: 16 kHz, 16 bit, mono.",
    ),
}


CONTENT = {
    "is09": "The 64 features (mean and standard deviation of the INTERSPEECH 2009 contours)",
    "whisper": "2,304 features (mean and standard deviation over time of layers 1, 2 and 3 of the speech encoder of "
    "Whisper tiny.en, clips at -25 dBFS; float16)",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def duplicate_names(table: FeatureTable) -> list[str]:
    groups = defaultdict(list)
    for group, clip in zip(duplicates(table), table.clip):
        groups[int(group)].append(str(clip))
    return [" = ".join(clips) for clips in groups.values() if len(clips) > 1]


def card(name: str, features: str, table: FeatureTable, path: Path) -> str:
    title, citation, licence, copy = ORIGINS[name]
    counts = Counter(table.emotion.tolist())
    speakers = {str(speaker): str(sex) for speaker, sex in zip(table.speaker, table.sex)}
    sexes = Counter(speakers.values())
    packages = ", ".join(f"{package} {version}" for package, version in table.made["packages"].items())
    lines = [
        f"# {path.name}: {title}",
        "",
        f"{CONTENT[features]} of {len(table)} clips.",
        "",
        f"**Citation.** {citation}",
        "",
        f"**Licence.** {licence}",
        "",
        f"**Recordings.** {copy}",
        "",
        f"**Speakers.** {len(speakers)}: {sexes['female']} female, {sexes['male']} male.",
        "",
        "| emotion | clips |",
        "| --- | --- |",
        *(f"| {emotion} | {counts[emotion]} |" for emotion in EMOTIONS if counts[emotion]),
        "",
        "**Duplicates** (clips with the same samples; training and test never share them). "
        f"{'; '.join(duplicate_names(table)) or 'None.'}",
        "",
        "**Made** in a checkout by `make tables SIAMESE_JAX_DATA=FOLDER`. The command `siamese-jax extract "
        f"--corpus={name} --root=FOLDER/audio/{name} --features={features} --output={path.name}` computes the same "
        "features" + (", rounded to float16 afterwards" if features == "whisper" else "") + ". Versions: "
        f"{table.made['program']}, features version {table.made['extractor']}, {packages}. "
        f"{table.made['left_out_count']} clips left out. Another machine or version may round the last digits "
        "differently.",
        "",
        "| checksum | sha256 |",
        "| --- | --- |",
        f"| {path.name} | {sha256(path.read_bytes())} |",
        f"| features (float32, little-endian, row by row) | {sha256(table.features.astype('<f4').tobytes())} |",
        *(
            [f"| weights of the speech encoder | {table.made['speech_encoder_digest']} (the first 16 digits) |"]
            if features == "whisper"
            else []
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds audio/ravdess and audio/emodb")
    folder = parser.parse_args().data
    use_all_cores()
    options = Options(workers=available_cores(), strict=True)
    extractors = {features: speech_encoder.of_shipped_tables(features, ()) for features in shipped.FEATURE_SETS}
    for name, features in itertools.product(shipped.SHIPPED, shipped.FEATURE_SETS):
        path = shipped.shipped(name, features)
        table = extract(adapters.scan(name, folder / "audio" / name), path, extractors[features], options)
        if features == "whisper":
            # Half the bytes; rounding is 1,000 times smaller than a column's standard deviation.
            table = dataclasses.replace(table, features=table.features.astype(np.float16))
            write_table(path, table)
        write_text(path.with_suffix(".md"), card(name, features, table, path))
        print(f"{path}: {len(table)} clips, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

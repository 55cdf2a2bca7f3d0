"""The error of accepted labels on degraded recordings: a table in Markdown.

    python scripts/check_degraded.py --target=ravdess --table=noise=noise.npz --table=telephone=telephone.npz

Each draw enrols 8 clean clips of two speakers in the recogniser with its default settings and predicts all other
speakers' clips from each table (`scripts/degrade_recordings.py`, then `siamese-jax extract --features=whisper`), and
from the clean shipped table. A draw whose clips are all unsure for their features is counted as "none trusted".
"""

import jax
import numpy as np
from absl import app, flags

from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.datasets.draws import few_shot_draws
from siamese_jax.datasets.table_files import read_table
from siamese_jax.protocols import familiarity
from siamese_jax.recognizer import confidence, sources
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.model import enrol
from siamese_jax.recognizer.predictions import MODES

TARGET = flags.DEFINE_enum("target", "ravdess", shipped.SHIPPED, "The shipped table of the enrolled clips.")
TABLES = flags.DEFINE_multi_string("table", [], "NAME=TABLE.npz of the same clips, degraded.")
DRAWS = flags.DEFINE_integer("draws", 20, "Draws of two speakers.", lower_bound=2)
EMOTIONS = ("anger", "fear", "happiness", "sadness")


def main(_: list[str]) -> None:
    clean = read_table(shipped.shipped(TARGET.value, "whisper"))
    tables = {"clean": clean} | {name: read_table(path) for name, path in (t.split("=", 1) for t in TABLES.value)}
    rows = np.flatnonzero(np.isin(clean.emotion, EMOTIONS))
    label = np.searchsorted(EMOTIONS, clean.emotion[rows])
    _, speaker = np.unique(clean.speaker[rows], return_inverse=True)
    draws = few_shot_draws(jax.random.key(0), label, speaker, len(EMOTIONS), DRAWS.value)
    source = next(name for name in shipped.SHIPPED if name != TARGET.value)
    recipe = FewShotEmotion(source)._recipe
    made = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
    read = sources.read([source], made.feature_names, made.made)
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for support in draws.support(2):
        own = rows[support]
        names = clean.emotion[own].tolist()
        model = enrol(
            clean.features[own], names, clean.speaker[own].tolist(), read, recipe, made.made, made.feature_names
        )
        known = familiarity.reference(model.enrolled.x, [s.clips.x for s in read])
        others = rows[~np.isin(speaker, speaker[support])]
        for name, table in tables.items():
            place = {clip: i for i, clip in enumerate(table.clip.tolist())}
            x = table.features[[place[clip] for clip in clean.clip[others]]]
            right_label = np.array([model.classes.index(word) for word in clean.emotion[others]])
            for mode in MODES:
                p = np.exp(model.log_probabilities(x, mode))
                unsure, _ = confidence.unsure(p.max(axis=1), mode, model.held_out, confidence.STATED_ERROR)
                wrong, inside = p.argmax(axis=1) != right_label, ~unsure
                trusted = inside & ~familiarity.far(x, known, scaled_together=mode == "folder")
                errors = [float(wrong[chosen].mean()) if chosen.any() else np.nan for chosen in (inside, trusted)]
                found.setdefault((name, mode), []).append(
                    (wrong.mean(), errors[0], inside.mean(), errors[1], trusted.mean())
                )
    print("| recordings | mode | error of all | error of the accepted, without the check | accepted | "
          "error of the accepted, with the check | accepted | draws in which none is trusted |")  # fmt: skip
    print("|---" * 8 + "|")
    for (name, mode), values in found.items():
        v = np.array(values)
        mean, sd = 100 * np.nanmean(v, axis=0), 100 * np.nanstd(v, axis=0)
        cells = " | ".join(f"{m:.1f} +- {s:.1f}" for m, s in zip(mean, sd))
        print(f"| {name} | {mode} | {cells} | {int((v[:, 4] == 0).sum())} of {len(v)} |")


if __name__ == "__main__":
    app.run(main)

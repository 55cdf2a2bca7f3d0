"""FaceNet beside the systems on features: what is kept of its runs, and the table and text of docs/results.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.numbers import records
from scripts.numbers.claim import Claim, size_of
from scripts.numbers.records import CORPORA, Table
from siamese_jax import load_config
from siamese_jax.errors import InputError
from siamese_jax.features import is09

AUDIO = "--audio=ravdess=FOLDER --audio=emodb=FOLDER"
COMMANDS = {
    "facenet_ravdess": f"siamese-jax facenet --workdir=results/facenet_ravdess {AUDIO} "
    "--config.cells=\"('comparison',)\"",
    "facenet_emodb": f"siamese-jax facenet --workdir=results/facenet_emodb {AUDIO} "
    "--config.cells=\"('comparison',)\" --config.target=emodb",
    "facenet_encoder": f"siamese-jax facenet --workdir=results/facenet_encoder {AUDIO} "
    "--config.cells=\"('none to ravdess/waveform',)\" --config.fine_tuning.epochs=1 "
    '--config.features.data.features=whisper --config.features.data.layers="(2,)"',
}
"""The commands of the record by work directory, in the order of the page."""

COMPARED = (
    "target", "emotions", "cells", "split", "segments", "images", "network", "augment", "pretraining", "fine_tuning",
    "decision", "level", "seed",
)  # fmt: skip
"""The settings of a work directory that must be its command's."""

NOT_KEPT = ("recalls", "confusion", "training_seconds", "pretraining_seconds", "images_per_second", "ms_per_clip")
ENCODER, FEATURES = "facenet_encoder", "facenet_ravdess"
"""The runs that the rows of the systems on features come from; both hold both corpora."""

Row = dict[str, Any]


def of_runs(folder: Path) -> dict[str, Table]:
    """Every row and paired difference of the three work directories in `folder`."""
    rows, differences = [], []
    for name in COMMANDS:
        rows += [{"run": name} | row for row in records.read_json(folder / name / "summary.json")]
        differences += [{"run": name} | row for row in records.read_json(folder / name / "differences.json")]
    return {"rows": Table.of(rows, NOT_KEPT), "differences": Table.of(differences)}


def check(folder: Path, _: str) -> None:
    """Raises InputError where one of the three was made with other settings than its command's."""
    for run, command in COMMANDS.items():
        path = folder / run / "config.json"
        expected, given = json.loads(records.configuration(command, "facenet").to_json()), records.read_json(path)
        for name in COMPARED:
            if given[name] != expected[name]:
                raise InputError(f"{path}: {name} is {given[name]}; expected {expected[name]}, as of {command}")


def kept(table: str, **fields: Any) -> list[Row]:
    """The rows of a table of the record that have these fields."""
    return [row for row in records.read("facenet").tables[table].dicts() if fields.items() <= row.items()]


def system(method: str, run: str = FEATURES, source_alone: bool = False) -> dict[str, Row]:
    """The row of a method on features by corpus: in domain, scaled by training speakers, or of the source alone."""
    scaling = "corpus" if source_alone else "train"
    return {
        row["corpus"]: row
        for row in kept("rows", run=run, system=method, scaling=scaling)
        if (row["trained_on"] != "folds") == source_alone
    }


def facenet(pretrained: bool) -> dict[str, Row]:
    """FaceNet's row on the waveform by corpus, with the decision of the configuration."""
    chosen = {"system": "facenet", "view": "waveform", "decision": load_config("facenet").decision}
    return {
        row["corpus"]: row
        for corpus in CORPORA
        for row in kept("rows", run=f"facenet_{corpus}", corpus=corpus, **chosen)
        if (row["pretraining"] is not None) == pretrained
    }


def pretraining() -> dict[str, Row]:
    """The difference of spectrogram pre-training to none by corpus."""
    return {
        row["corpus"]: row
        for corpus in CORPORA
        for row in kept("differences", run=f"facenet_{corpus}", corpus=corpus, family="pre-training")
    }


def table() -> Table:
    """UAR of every system by corpus, and the sizes of the systems."""
    seeds = system("siamese")["ravdess"]["n_runs"]
    (layer,) = records.configuration(COMMANDS[ENCODER], "facenet").features.data.layers
    of_encoder = f"speech encoder's layer {layer}, in domain, scaled by training speakers"
    of_features = f"{len(is09.FEATURE_NAMES)} features, in domain, scaled by training speakers"
    pooled = f"{seeds} seeds pooled"
    shown = {
        f"logistic regression, {of_encoder}": system("logistic_regression", ENCODER),
        f"RBF SVM, {of_encoder}": system("svm", ENCODER),
        f"Siamese network, {of_encoder}, {pooled}": system("siamese", ENCODER),
        f"RBF SVM, {of_features}": system("svm"),
        f"logistic regression, {of_features}": system("logistic_regression"),
        f"Siamese network, {of_features}, {pooled}": system("siamese"),
        "FaceNet on the waveform, after the other corpus's spectrogram": facenet(True),
        "FaceNet on the waveform, not pre-trained": facenet(False),
        f"Siamese network, source alone (the other corpus), scaled by corpus, {pooled}": system(
            "siamese", source_alone=True
        ),
    }
    lines = []
    for title, of in shown.items():
        sizes = dict.fromkeys(f"{of[corpus]['parameters']:,}" for corpus in CORPORA)
        cells = (f"{row['uar']:.1f} [{row['uar_low']:.1f}, {row['uar_high']:.1f}]" for row in map(of.get, CORPORA))
        lines.append((title, *cells, "; ".join(sizes)))
    gains = (
        f"{row['difference']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]" for row in map(pretraining().get, CORPORA)
    )
    lines.append(("spectrogram pre-training, paired difference", *gains, ""))
    return Table(("UAR %", *CORPORA.values(), "parameters"), tuple(lines))


def claims() -> Iterator[Claim]:
    given = load_config("facenet")
    for corpus, name in CORPORA.items():
        n_clips, n_speakers, _ = size_of(corpus)
        row = system("svm")[corpus]
        yield Claim(
            f"{row['n_folds']} on {name} ({n_clips} clips of {n_speakers} speakers)",
            (row["n_clips"], row["n_speakers"]) == (n_clips, n_speakers),
        )
    size, network, learning = given.images.size, given.network, given.fine_tuning
    yield Claim(
        f"width {network.width:g}, depth {network.depth:g}, {size} x {size} images, {learning.epochs} epochs, all "
        f"triplets at margin {learning.margin:g}"
    )
    yield Claim(f"{100 * given.level:g} % jackknife t intervals **over the tested speakers**")
    gain = pretraining()
    by_corpus = [f"{gain[corpus]['difference']:+.1f}" for corpus in CORPORA]
    yield Claim(f"changes the waveform's UAR by {by_corpus[0]} points on RAVDESS and by {by_corpus[1]} on EMO-DB's")
    yield Claim("Both intervals contain 0.", all(gain[corpus]["low"] < 0 < gain[corpus]["high"] for corpus in CORPORA))
    best = {corpus: max(facenet(of)[corpus]["uar"] for of in (False, True)) for corpus in CORPORA}
    yield Claim(
        "FaceNet is better than the Siamese network that saw no target clip.",
        all(best[corpus] > system("siamese", source_alone=True)[corpus]["uar"] for corpus in CORPORA),
    )
    in_domain = [system(method) for method in ("siamese", "logistic_regression", "svm")]
    yield Claim(
        "It is worse than every system on features that was trained on the same folds.",
        all(best[corpus] < of[corpus]["uar"] for corpus in CORPORA for of in in_domain),
    )
    ahead = [system("svm")[corpus]["uar"] - best[corpus] for corpus in CORPORA]
    yield Claim(f"wins by {ahead[0]:.1f} points on RAVDESS and {ahead[1]:.1f} on EMO-DB.")

"""Labels recordings and says how sure each label is.

siamese-jax predict clip.wav
siamese-jax predict FOLDER --model=mymodel --output=labels.csv --page=labels.html
siamese-jax predict recordings.csv --model=mymodel --mode=folder

Without --model the model that ships gives the labels anger, fear, happiness or sadness. It is for non-commercial use
only (CC BY-NC-SA 4.0), since it is computed from RAVDESS (Livingstone & Russo 2018); cite also EMO-DB (Burkhardt et al.
2005) and Whisper (Radford et al. 2022). siamese-jax enrol makes a model of a few recordings of your own.

A CSV has the column file and, where they are known, speaker, start and end (seconds). --mode=clip labels each recording
on its own, by the statistics of the model. --mode=folder uses the statistics of all recordings given, so that a label
may change with its neighbours. --mode=auto takes clip where the model has enrolled recordings, or where one recording
is given, else folder; every row has the mode, and why.

A recording of more than 8 s is cut at its pauses into segments of 1 to 8 s; --segments gives the segments instead.

Recordings that cannot be read are named, counted and left out. Exit status: 0, or 2 if none can be read. Compiled
programs are kept in JAX_COMPILATION_CACHE_DIR, by default siamese_jax/xla in the user's cache folder;
JAX_ENABLE_COMPILATION_CACHE=false turns this off.
"""

import itertools
from collections import Counter
from collections.abc import Iterator

from absl import app, flags

from siamese_jax.corpora.spelling import stored_path
from siamese_jax.errors import InputError
from siamese_jax.recognizer import prediction_files, recordings, segment_lists
from siamese_jax.recognizer.card import card, notices
from siamese_jax.recognizer.few_shot import FewShotEmotion
from siamese_jax.recognizer.labelling import Labelled
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.recognizer.recordings import Recordings
from siamese_jax.report.predictions import page, sounds, terminal

from . import common

MODEL, MODE, STATED_ERROR = common.define_recognizer()
OUTPUT = common.define_path("output", None, "The list to write: .csv for spreadsheets, .jsonl for programs.")
PAGE = common.define_path("page", None, "A page to write (.html), with a list to sort and filter, and the sound.")
SOUND = flags.DEFINE_enum("sound", "link", sounds.MODES, "The sound on the page: linked, embedded, or none.")
SEGMENTS = common.define_path("segments", None, "A CSV with file, start, end (seconds): the segments of recordings.")
STRICT, WORKERS = common.define_extraction()


def main(paths: list[str]) -> None:
    if not paths:
        raise app.UsageError("give a sound file, a folder or a CSV")
    if PAGE.value:
        page.check(PAGE.value, SOUND.value)
    found = recordings.given(paths)
    listed = segment_lists.read_segments(SEGMENTS.value, found.root) if SEGMENTS.value else {}
    given = segment_lists.cut(found, listed, STRICT.value)
    recognizer = FewShotEmotion.load(MODEL.value, WORKERS.value, STRICT.value)
    labelled = _some(recognizer.label(given, MODE.value, STATED_ERROR.value), given)
    counts = Counter[tuple[str, bool]]()
    modes = Counter[tuple[str, str]]()
    kept: list[Labelled] = []
    predictions = _kept(labelled, counts, modes, kept)
    if OUTPUT.value:
        prediction_files.write(OUTPUT.value, predictions, recognizer.model.classes)
    for _ in predictions:
        pass
    common.show(terminal.table([row.prediction for row in kept[: terminal.MOST]], total=counts.total()))
    common.show(_summary(counts, modes, len(given.left_out)))
    if PAGE.value:
        _write_page(recognizer, given, kept, counts)
    for line in notices(recognizer.model):
        common.show(line)


def _some(labelled: Iterator[Labelled], given: Recordings) -> Iterator[Labelled]:
    """Returns the predictions. Raises InputError where no recording can be used."""
    first = next(labelled, None)
    if first is None:
        reasons = "; ".join(f"{file}: {reason}" for file, reason in given.left_out[:3])
        raise InputError(f"none of {len(given.left_out)} recordings can be used. {reasons}")
    return itertools.chain([first], labelled)


def _kept(
    labelled: Iterator[Labelled],
    counts: Counter[tuple[str, bool]],
    modes: Counter[tuple[str, str]],
    kept: list[Labelled],
) -> Iterator[Prediction]:
    """Yields the predictions, counts them, and keeps those that are shown: the first few, and all that a page lists."""
    for row in labelled:
        counts[row.prediction.label, row.prediction.unsure] += 1
        modes[row.prediction.mode, row.prediction.mode_reason] += 1
        if PAGE.value or len(kept) < terminal.MOST:
            kept.append(row)
        if len(kept) >= 2 * page.MOST_CLIPS:
            kept[:] = [kept[i] for i in page.least_certain([row.prediction for row in kept], page.MOST_CLIPS)]
        yield row.prediction


def _summary(counts: Counter[tuple[str, bool]], modes: Counter[tuple[str, str]], n_left_out: int) -> str:
    of_labels = Counter[str]()
    for (label, _), count in counts.items():
        of_labels[label] += count
    labels = ", ".join(f"{name} {count}" for name, count in sorted(of_labels.items()))
    unsure = sum(count for (_, unsure), count in counts.items() if unsure)
    left_out = f"; {n_left_out} recordings could not be used" if n_left_out else ""
    taken = "; ".join(f"mode {name} ({reason})" for name, reason in modes)
    return f"{counts.total()} labels: {labels}; {unsure} of them unsure{left_out}\n{taken}"


def _write_page(
    recognizer: FewShotEmotion, given: Recordings, kept: list[Labelled], counts: Counter[tuple[str, bool]]
) -> None:
    model = recognizer.model
    content = page.Content(
        predictions=[row.prediction for row in kept], paths=[stored_path(given.root, row.clip.file) for row in kept],
        classes=model.classes, card=card(model), notes=notices(model), left_out=given.left_out,
        counts=counts,
    )  # fmt: skip
    page.write(PAGE.value, content, SOUND.value)
    common.show(f"{PAGE.value}: a page of {min(counts.total(), page.MOST_CLIPS)} labels")


if __name__ == "__main__":
    common.run(main, folders=True)

"""The scores of a model on labelled recordings: recall, confusion, calibration, with intervals over speakers."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese_jax.corpora.csv_files import some
from siamese_jax.errors import InputError
from siamese_jax.recognizer.labelling import Labelled, LeftOut
from siamese_jax.recognizer.model import Model
from siamese_jax.stats import calibration, metrics
from siamese_jax.stats import evaluation as probabilities
from siamese_jax.stats.records import Interval

log = logging.getLogger(__name__)

LEVEL = 0.95
_SEED = 0  # of the simulated labels of the ideal calibration error


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The scores on labelled recordings; shares are in 0..1.

    Fields:
      classes, mode, n_clips, n_speakers: what was tested; n_speakers is 0 where speakers are unknown.
      confusion: [C, C] counts, rows the true class.
      uar: unweighted average recall over the classes with a clip, and `interval` over speakers, None without speakers.
      wa: weighted accuracy, the share of right labels.
      log_loss, brier: mean proper scores of the probabilities.
      calibration_error, ideal_calibration_error: expected calibration error, and the value that perfectly calibrated
        probabilities of as many clips would show.
      accepted, accepted_error: the share of clips that are not unsure, and the share of wrong labels among them.
      measures: the same with intervals over speakers, the bins of the reliability diagram, and risk against coverage.
      left_out: (file, reason).
      mode_reason: why the mode was taken.
    """

    classes: tuple[str, ...]
    mode: str
    n_clips: int
    n_speakers: int
    confusion: np.ndarray
    uar: float
    interval: Interval | None
    wa: float
    log_loss: float
    brier: float
    calibration_error: float
    ideal_calibration_error: float
    accepted: float
    accepted_error: float
    measures: probabilities.Evaluation
    left_out: LeftOut
    mode_reason: str = ""


def evaluate(model: Model, labelled: Sequence[Labelled], left_out: LeftOut) -> Evaluation:
    """Returns the scores of predictions of labelled clips.

    Enrolled recordings and labels that the model lacks are left out and logged. Raises InputError where none is left.
    """
    rows, left_out = _tested(model, labelled, left_out)
    if not rows:
        reasons = "; ".join(f"{file}: {reason}" for file, reason in left_out[:3])
        raise InputError(f"none of {len(left_out)} recordings can be tested. {reasons}")
    classes = model.classes
    label = np.array([classes.index(row.clip.emotion) for row in rows])
    p = np.array([[row.prediction.probabilities[name] for name in classes] for row in rows])
    unsure = np.array([row.prediction.unsure for row in rows])
    result = scored(classes, rows[0].prediction.mode, p, label, _speakers(model, rows), unsure, left_out)
    return dataclasses.replace(result, mode_reason=rows[0].prediction.mode_reason)


def scored(
    classes: tuple[str, ...], mode: str, p_NxC: np.ndarray, label: np.ndarray, speakers: Sequence[str],
    unsure: np.ndarray, left_out: LeftOut,
) -> Evaluation:  # fmt: skip
    """Returns the scores of probabilities of clips with known labels; `speakers` is empty where they are unknown."""
    measures = probabilities.evaluate(p_NxC, label, np.array([*speakers] or [""] * len(label)), LEVEL, _SEED)
    recalls = np.asarray(metrics.recalls(measures.confusion))
    complete = len(set(speakers)) > 1 and not np.isnan(recalls).any()
    right, sure = p_NxC.argmax(axis=1) == label, ~unsure
    return Evaluation(
        classes=classes, mode=mode, n_clips=len(label), n_speakers=len(set(speakers)), confusion=measures.confusion,
        uar=float(np.nanmean(recalls)), interval=measures.uar if complete else None, wa=float(measures.wa.estimate),
        log_loss=float(measures.log_loss.estimate), brier=float(measures.brier.estimate),
        calibration_error=float(measures.ece.estimate), ideal_calibration_error=measures.ideal_ece,
        accepted=float(sure.mean()), accepted_error=float(1 - right[sure].mean()) if sure.any() else float("nan"),
        measures=measures, left_out=left_out,
    )  # fmt: skip


def _tested(model: Model, labelled: Sequence[Labelled], left_out: LeftOut) -> tuple[list[Labelled], LeftOut]:
    """Returns the clips to test, and the others with their reasons added to `left_out`."""
    enrolled = set(model.audio_hashes) - {""}
    again = [row for row in labelled if row.audio_hash in enrolled]
    unknown = [row for row in labelled if row.audio_hash not in enrolled and row.clip.emotion not in model.classes]
    if again:
        log.warning("%d recordings are among those that the model was enrolled on and are left out", len(again))
    if unknown:
        counts = Counter(row.clip.emotion for row in unknown)
        words = some([f"{name!r} ({count})" for name, count in counts.most_common()])
        log.warning("labels that the model does not have, left out: %s; it has %s", words, ", ".join(model.classes))
    out = [(row.clip.file, "was enrolled") for row in again]
    out += [(row.clip.file, f"label {row.clip.emotion!r} is not one of the model's") for row in unknown]
    dropped = {id(row) for row in (*again, *unknown)}
    return [row for row in labelled if id(row) not in dropped], [*left_out, *out]


def _speakers(model: Model, rows: Sequence[Labelled]) -> list[str]:
    """Returns the speaker of each clip; nothing where one is unknown."""
    names = [row.clip.speaker for row in rows]
    if not all(names):
        return []
    enrolled = set() if model.enrolled.speaker is None else set(map(str, model.enrolled.speaker))
    if same := sum(name in enrolled for name in names):
        log.warning(
            "%d of %d recordings are of enrolled speakers; the scores say less about other people", same, len(rows)
        )
    return names


def as_text(result: Evaluation) -> str:
    """Returns the scores as lines for a terminal."""
    people = f"{result.n_speakers} speakers" if result.n_speakers else "speakers unknown"
    interval = "no interval: it needs two speakers or more, by name, and clips of every class"
    if result.interval is not None:
        low, high = 100 * float(result.interval.low), 100 * float(result.interval.high)
        interval = f"{100 * LEVEL:.0f} % interval over speakers {low:.1f} to {high:.1f}"
    width = max(map(len, result.classes))
    table = [
        f"  {name:>{width}}  " + " ".join(f"{count:{max(width, 5)}d}" for count in row)
        for name, row in zip(result.classes, result.confusion)
    ]
    heading = " " * (width + 4) + " ".join(f"{name:>{max(width, 5)}}" for name in result.classes)
    return "\n".join([
        f"{result.n_clips} clips, {people}, {len(result.left_out)} left out",
        f"mode {result.mode} ({result.mode_reason})",
        f"unweighted average recall (UAR) {100 * result.uar:.1f} % ({interval})",
        f"weighted accuracy (WA) {100 * result.wa:.1f} %",
        f"log loss {result.log_loss:.3f}, Brier score {result.brier:.3f}",
        f"expected calibration error {result.calibration_error:.3f} ({calibration.N_BINS} bins of equal mass; "
        f"perfectly calibrated probabilities of as many clips show {result.ideal_calibration_error:.3f})",
        f"most confident clips, share wrong: {_risks(result)}",
        f"sure of {100 * result.accepted:.0f} % of the clips, {100 * result.accepted_error:.1f} % of these are wrong",
        "confusion (rows: true label, columns: predicted)",
        heading,
        *table,
    ])  # fmt: skip


def _risks(result: Evaluation) -> str:
    """Returns the error of the most confident shares of the clips, in per cent."""
    risks = zip(result.measures.coverage, np.asarray(result.measures.risk.estimate))
    return ", ".join(f"{100 * risk:.1f} % of {100 * share:.0f} %" for share, risk in risks)


def as_json(result: Evaluation) -> dict[str, Any]:
    """Returns the scores as JSON values; what cannot be computed is null."""
    values: dict[str, Any] = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    values |= {"confusion": result.confusion.tolist(), "interval": None}
    values["measures"] = probabilities.as_record(result.measures)
    if result.interval is not None:
        limits = {"low": float(result.interval.low), "high": float(result.interval.high)}
        values["interval"] = limits | {"level": LEVEL, "over": "speakers", "kind": "jackknife t"}
    return {name: None if value != value else value for name, value in values.items()}

"""The records of summary.json and differences.json of a cross-training."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """One system on one corpus, all folds pooled. Scores are in per cent, null where not computable.

    Fields:
      name: the system in words, unique within a corpus. system: facenet, siamese, logistic_regression or svm.
      corpus: the tested one. view: of FaceNet's fine-tuning. decision: FaceNet's.
      pretraining: FaceNet's, as "emodb/spectrogram"; null for none and for others.
      trained_on: "folds" of the corpus, or another corpus. scaling: whose clips scaled the features; null for FaceNet.
      split, n_folds, n_speakers, n_clips: of the tests. n_runs: trainings pooled (seeds of the Siamese network).
      interval: the kind of the intervals, over speakers. recalls: of the emotions, each with its limits.
      confusion: counts, rows the true emotion, over all runs.
      parameters: of one network, or numbers that a classifier keeps.
      training_seconds: of one training in each fold, together; pretraining_seconds: of all pre-trainings that the
        cell uses. Null if a training was stopped, and had too few steps left to time one.
      images_per_second: FaceNet's, of a training step (median).
      ms_per_clip: to classify a decoded clip: images and network, or the features (with decoding) and the classifier.
    """

    name: str
    system: str
    corpus: str
    view: str | None
    pretraining: str | None
    trained_on: str
    scaling: str | None
    decision: str | None
    split: str
    n_folds: int
    n_speakers: int
    n_clips: int
    n_runs: int
    uar: float | None
    uar_low: float | None
    uar_high: float | None
    wa: float | None
    wa_low: float | None
    wa_high: float | None
    interval: str
    recalls: list[list[float | None]]
    confusion: list[list[int]]
    parameters: int
    training_seconds: float | None
    pretraining_seconds: float | None
    images_per_second: float | None
    ms_per_clip: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A paired difference of UAR in points, `name` minus `minus`, on the same clips of a corpus.

    Fields:
      family: "pre-training" (against none, same folds and batches) or "systems".
      p, p_adjusted: of the t test over speakers, and the same by Holm's method within the corpus's family.
    """

    family: str
    corpus: str
    name: str
    minus: str
    n_speakers: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    interval: str

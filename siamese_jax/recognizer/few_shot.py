"""`FewShotEmotion`: recordings of one's own, a few of them labelled, to labels with probabilities."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets import extraction, speech_encoder
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.datasets.feature_table import FeatureTable
from siamese_jax.errors import InputError
from siamese_jax.recognizer import model_folder, recordings, sources
from siamese_jax.recognizer.methods import METHODS, Settings
from siamese_jax.recognizer.model import Model, enrol
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.recognizer.transfer import Recipe
from siamese_jax.runtime.devices import available_cores

log = logging.getLogger(__name__)

File = str | Path


class FewShotEmotion:
    """A recogniser of emotions, or of any labels, from a source corpus and a few labelled recordings.

    Args:
      source: names of shipped tables ("emodb", "ravdess") and paths of feature tables, with commas; "" for none.
      method: the transfer method, of `METHODS`.
      c: C of the logistic regression.
      scale_floor: least standard deviation of a feature, as a share of the corpora's own.
      workers: threads that decode and compute; None for all cores.
      strict: whether a recording that cannot be read is an error; otherwise it is logged and left out.
    """

    def __init__(
        self, source: str = "emodb", method: str = "logistic_regression", c: float = 0.01, scale_floor: float = 1e-3,
        workers: int | None = None, strict: bool = False,
    ):  # fmt: skip
        if method not in METHODS:
            raise InputError(f"method {method!r:.80}; expected one of {', '.join(METHODS)}")
        self._sources = sources.parse(source)
        self._recipe = Recipe(method, Settings(c), scale_floor)
        self._options = extraction.Options(workers or available_cores(), strict)
        self._extractor: Extractor | None = None
        self._model: Model | None = None

    def fit(
        self, files: Sequence[File], labels: Sequence[str], speakers: Sequence[str] | None = None
    ) -> "FewShotEmotion":
        """Learns from labelled recordings; speakers, where known, by name. Returns itself.

        Raises InputError where no recording can be read, or the labels are of one class.
        """
        return self.fit_manifest(recordings.of_files(files, labels, speakers or [""] * len(files)))

    def fit_manifest(self, manifest: Manifest) -> "FewShotEmotion":
        """As `fit`, from a manifest of labelled clips (`recordings.labelled`)."""
        extractor = self._features()
        table = extraction.compute_table(manifest, extractor, self._options)
        read = sources.read(self._sources, extractor.feature_names, extractor.made)
        self._model = enrol(
            table.features, table.emotion.tolist(), table.speaker.tolist(), read, self._recipe, extractor.made,
            extractor.feature_names,
        )  # fmt: skip
        return self

    @property
    def model(self) -> Model:
        """The fitted model. Raises InputError before `fit` and `load`."""
        if self._model is None:
            raise InputError("the recogniser has learned nothing yet; call fit(files, labels), or load a model")
        return self._model

    @property
    def classes_(self) -> np.ndarray:
        """The labels [C], in the order of the probabilities."""
        return np.asarray(self.model.classes)

    def predict_proba(self, files: Sequence[File], mode: str = "clip") -> np.ndarray:
        """Returns probabilities [N, C]; rows of recordings that cannot be read are NaN, and the log names them."""
        manifest = recordings.of_files(files, [""] * len(files), [""] * len(files))
        table = self.features(manifest)
        probabilities = np.full((len(files), len(self.model.classes)), np.nan)
        probabilities[table.clip.astype(int)] = np.exp(self.model.log_probabilities(table.features, mode))
        return probabilities

    def predict(self, files: Sequence[File], mode: str = "clip") -> np.ndarray:
        """Returns the most probable label of each recording, "" for one that cannot be read."""
        probabilities = self.predict_proba(files, mode)
        readable = ~np.isnan(probabilities).any(axis=1)
        labels = self.classes_[np.argmax(np.nan_to_num(probabilities), axis=1)]
        return np.where(readable, labels, "")

    def label(self, manifest: Manifest, mode: str) -> list[Prediction]:
        """Returns the predictions of the readable clips of a manifest, in its order."""
        table = self.features(manifest)
        speaker = table.speaker if (table.speaker != "").all() else None
        probabilities = np.exp(self.model.log_probabilities(table.features, mode, speaker))
        clips = {clip.name: clip for clip in manifest}
        rows = []
        for name, p_C in zip(table.clip.tolist(), probabilities):
            clip = clips[name]
            shares = dict(zip(self.model.classes, p_C.tolist()))
            label = self.model.classes[int(np.argmax(p_C))]
            rows.append(Prediction(clip.file, clip.start or 0.0, clip.end or 0.0, label, shares, False, "", mode))
        return rows

    def features(self, manifest: Manifest) -> FeatureTable:
        """Returns the features of recordings; unusable ones are logged, and listed in `made["left_out"]`."""
        return extraction.compute_table(manifest, self._features(), self._options)

    def save(self, folder: File) -> None:
        """Writes the model to a folder, see `model_folder.save`."""
        model_folder.save(folder, self.model)

    @classmethod
    def load(cls, folder: File, workers: int | None = None, strict: bool = False) -> "FewShotEmotion":
        """Returns the recogniser of a model folder. Raises InputError for a folder that cannot be used."""
        loaded = cls("", workers=workers, strict=strict)
        loaded._model = model_folder.load(folder, loaded._features())
        loaded._recipe = loaded._model.recipe
        loaded._sources = tuple(source.name for source in loaded._model.sources)
        return loaded

    def _features(self) -> Extractor:
        if self._extractor is None:
            self._extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
        return self._extractor

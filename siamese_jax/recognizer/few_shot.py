"""`FewShotEmotion`: recordings of one's own, a few of them labelled, to labels with probabilities."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siamese_jax.corpora.manifest import Manifest
from siamese_jax.datasets import extraction, shipped, speech_encoder
from siamese_jax.datasets.dataset import layer_columns
from siamese_jax.datasets.extractors import Extractor
from siamese_jax.errors import InputError
from siamese_jax.recognizer import labelling, model_folder, modes, networks, recipes, recordings, sources
from siamese_jax.recognizer.confidence import STATED_ERROR
from siamese_jax.recognizer.labelling import Labelled
from siamese_jax.recognizer.model import Model, enrol
from siamese_jax.recognizer.recordings import Recordings
from siamese_jax.recognizer.sources import Source
from siamese_jax.runtime.devices import available_cores

if TYPE_CHECKING:
    from siamese_jax.recognizer.evaluation import Evaluation

log = logging.getLogger(__name__)

File = str | Path


class FewShotEmotion:
    """A recogniser of emotions, or of any labels, from a source corpus and a few labelled recordings.

    Args:
      source: names of shipped tables ("emodb", "ravdess") and paths of feature tables, with commas; "" for none.
      method: the transfer method, of `METHODS`.
      adaptation: of `ADAPTATIONS`, to the recordings of a folder (mode "folder" alone). None is "balanced", or "none"
        for the method "siamese", which has no adaptation.
      c: C of the logistic regression.
      scale_floor: least standard deviation of a feature, as a share of the corpora's own.
      loss: of "siamese", the update after each cross-entropy step of fine-tuning: "none", "ratio" (the paper's),
        "ratio_bounded" or "cross_entropy_twice".
      seed: of the networks' initial parameters and batches.
      workers: threads that decode and compute; None for all cores.
      strict: whether a recording that cannot be read is an error; otherwise it is logged and left out.
      extractor: the feature set (`siamese_jax.speech_encoder`); None for the shipped encoder's, as in shipped tables.
    """

    def __init__(
        self, source: str = "emodb", method: str = "logistic_regression", adaptation: str | None = None,
        c: float = 0.01, scale_floor: float = 1e-3, workers: int | None = None, strict: bool = False,
        extractor: Extractor | None = None, loss: str = "none", seed: int = 0,
    ):  # fmt: skip
        self._sources = sources.parse(source)
        self._recipe = recipes.recipe(method, adaptation, c, scale_floor, loss, seed)
        if not self._sources:
            networks.check(method, [], ())
        self._options = extraction.Options(workers or available_cores(), strict)
        self._extractor = extractor
        self._model: Model | None = None
        self._loaded: tuple[Source, ...] | None = None

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
        recipe = dataclasses.replace(self._recipe, layers=layer_columns(extractor.feature_names))
        read = self._loaded
        if read is None:
            read = sources.read(self._sources, extractor.feature_names, extractor.made)
        self._model = enrol(
            table.features, table.emotion.tolist(), table.speaker.tolist(), read, recipe, extractor.made,
            extractor.feature_names, table.audio_hash.tolist(),
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

    def predict_proba(
        self, files: Sequence[File], mode: str = "auto", speakers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Returns probabilities [N, C]; rows of recordings that cannot be read are NaN, and the log names them.

        `mode` is one of `predictions.ASKED`; mode "folder" uses the speakers where all are known.
        """
        manifest = recordings.of_files(files, [""] * len(files), speakers or [""] * len(files))
        kinds = Counter[str]()
        rows, _ = extraction.compute_rows(manifest, self._features(), self._options, kinds)
        extraction.log_left_out(kinds, len(files))
        probabilities = np.full((len(files), len(self.model.classes)), np.nan)
        if rows:
            indices = sorted(rows)
            x = np.stack([rows[i].features for i in indices])
            of_clips = [manifest.clips[i].speaker for i in indices]
            speaker = np.array(of_clips, object) if all(of_clips) else None
            taken = modes.decided(mode, self.model, len(x), speaker)
            log.info("mode %s (%s)", *taken)
            probabilities[indices] = np.exp(self.model.log_probabilities(x, taken.name, speaker))
        return probabilities

    def predict(self, files: Sequence[File], mode: str = "auto", speakers: Sequence[str] | None = None) -> np.ndarray:
        """Returns the most probable label of each recording, "" for one that cannot be read."""
        probabilities = self.predict_proba(files, mode, speakers)
        readable = ~np.isnan(probabilities).any(axis=1)
        labels = self.classes_[np.argmax(np.nan_to_num(probabilities), axis=1)]
        return np.where(readable, labels, "")

    def label(self, given: Recordings, mode: str = "auto", stated_error: float = STATED_ERROR) -> Iterator[Labelled]:
        """Yields the predictions of recordings, in order; `given.left_out` grows by those that cannot be read."""
        return labelling.label(
            self.model, self._features(), self._options, given.root, given.clips, mode, given.left_out, stated_error
        )

    def evaluate(self, manifest: Manifest, mode: str = "auto", stated_error: float = STATED_ERROR) -> "Evaluation":
        """Returns the scores on labelled recordings, without those that the model was enrolled on.

        Raises InputError where none is left.
        """
        from siamese_jax.recognizer import evaluation  # its intervals bring scipy.stats, which takes half a second

        given = Recordings(manifest.root, iter(manifest), list(manifest.left_out))
        return evaluation.evaluate(self.model, list(self.label(given, mode, stated_error)), given.left_out)

    def save(self, folder: File) -> None:
        """Writes the model to a folder, see `model_folder.save`."""
        model_folder.save(folder, self.model)

    @classmethod
    def load(
        cls, folder: File | None = None, workers: int | None = None, strict: bool = False,
        extractor: Extractor | None = None,
    ) -> "FewShotEmotion":  # fmt: skip
        """Returns the recogniser of a model folder, by default of the model that ships (four emotions).

        The shipped model is for non-commercial use. `fit` then learns other recordings, by the model's recipe and from
        its sources. Raises InputError for a folder that cannot be used.
        """
        loaded = cls("", workers=workers, strict=strict, extractor=extractor)
        loaded._model = model_folder.load(shipped.RECOGNIZER if folder is None else folder, loaded._features())
        loaded._recipe, loaded._loaded = loaded._model.recipe, loaded._model.sources
        return loaded

    def _features(self) -> Extractor:
        if self._extractor is None:
            self._extractor = speech_encoder.extractor("tiny.en", speech_encoder.SHIPPED)
        return self._extractor

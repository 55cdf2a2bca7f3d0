"""`TransferClassifier`: the transfer methods on arrays, as a scikit-learn estimator."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data

from siamese_jax.errors import InputError
from siamese_jax.protocols import calibration
from siamese_jax.recognizer import confidence, networks, recipes, transfer
from siamese_jax.recognizer.transfer import OTHER, Clips, Recipe

LARGEST = float(np.finfo(np.float32).max)

PRIOR_CLIPS = transfer.PRIOR_CLIPS._replace(sources=0.0)
"""Of arrays: a source's features may have another origin and unit than the target's, so they count for no clip."""


class TransferClassifier(ClassifierMixin, BaseEstimator):
    """A classifier from a source corpus and a few labelled clips of the target, each standardised by itself.

    It is inductive, so a clip's label does not depend on the other clips of `predict`, unless `transductive` is set.
    It fits without a source too.

    Args:
      method: "logistic_regression", "layer_ensemble" (one regression a layer), "adapted_discriminant", or the networks
        "siamese" and "metric_network", which need a source.
      transductive: standardise the clips of `predict` by their own statistics, together with the labelled clips, and
        adapt to them.
      adaptation: with `transductive`: "none"; "balanced", class proportions pulled to equal ones; or "self_trained".
        None is "balanced", or "none" for "siamese", which has no adaptation.
      c: C of the logistic regression.
      scale_floor: least standard deviation of a feature, as a share of the corpora's own.
      layers: for "layer_ensemble", a list with the columns of each layer.
      loss: of "siamese", the update after each cross-entropy step of fine-tuning: "none", "ratio" (the paper's),
        "ratio_bounded" or "cross_entropy_twice".
      seed: of the networks' initial parameters and batches.
      calibrated: divide log-probabilities by a temperature from clips of `fit` that a fit on the others scores, by
        speaker where `groups` are given. No label changes. It takes up to five fits more, of a transductive model in
        each `predict_proba`.

    Attributes:
      classes_: the sorted labels of the target's clips.
      temperature_: of clips on their own, where they are calibrated.
      n_features_in_: the number of features.
    """

    def __init__(
        self, method: str = "logistic_regression", transductive: bool = False, adaptation: str | None = None,
        c: float = 0.01, scale_floor: float = 1e-3, layers: Any = None, loss: str = "none", seed: int = 0,
        calibrated: bool = True,
    ):  # fmt: skip
        self.method = method
        self.transductive = transductive
        self.adaptation = adaptation
        self.c = c
        self.scale_floor = scale_floor
        self.layers = layers
        self.loss = loss
        self.seed = seed
        self.calibrated = calibrated

    def fit(
        self, X: Any, y: Any, groups: Any = None, X_source: Any = None, y_source: Any = None, groups_source: Any = None
    ) -> Self:
        """Fits on labelled clips of the target [M, F], their labels [M] and speakers `groups` [M].

        `X_source` [N, F] and `y_source` [N] are the source's; lists of arrays are several sources. Source clips whose
        label is not in `y` serve the statistics alone. Speakers matter to `transductive` alone, which scales by speaker
        where the speakers of every corpus are given. Raises InputError for a single class and for unusable settings.
        """
        recipe = self._recipe()
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, label = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            only = self.classes_[0].item() if hasattr(self.classes_[0], "item") else self.classes_[0]
            raise InputError(f"one class only, {only!r:.80}, among {len(y)} clips; expected two or more")
        self._enrolled = Clips(_floats(X), label, _groups(groups, X))
        self._sources = self._source_clips(X_source, y_source, groups_source)
        names = [str(name) for name in self.classes_]
        networks.check(self.method, [source.label for source in self._sources], names)
        problem = self._sources, self._enrolled, len(self.classes_), recipe
        self._fitted = transfer.fit(*problem)
        if self.calibrated and not self.transductive:
            start = transfer.start_of(self._fitted)
            self.temperature_, _ = confidence.single_temperature(*problem, start, calibration.UNKNOWN)
        return self

    def predict_log_proba(self, X: Any, groups: Any = None) -> np.ndarray:
        """Returns log-probabilities [Q, C], in the order of `classes_`; `groups` [Q] are speakers."""
        return self._log_probabilities(X, groups, self.calibrated)

    def predict_proba(self, X: Any, groups: Any = None) -> np.ndarray:
        """Returns probabilities [Q, C], in the order of `classes_`; `groups` [Q] are speakers."""
        return np.exp(self.predict_log_proba(X, groups))

    def predict(self, X: Any, groups: Any = None) -> np.ndarray:
        """Returns the most probable labels [Q]."""
        log_p = self._log_probabilities(X, groups, False)
        return self.classes_[np.argmax(log_p, axis=1)]

    def _log_probabilities(self, X: Any, groups: Any, calibrated: bool) -> np.ndarray:
        check_is_fitted(self)
        X = _floats(validate_data(self, X, dtype=np.float64, reset=False))
        if not self.transductive:
            log_p = transfer.single_log_probabilities(self._fitted, X)
            return confidence.tempered(log_p, self.temperature_) if calibrated else log_p
        folder = Clips(X, np.full(len(X), OTHER), _groups(groups, X))
        n_classes, recipe = len(self.classes_), self._recipe()
        together = transfer.joined(self._enrolled, folder)
        learned = transfer.of_sources(self._sources, together, n_classes, recipe, self._fitted)
        problem = self._sources, self._enrolled, folder, n_classes, recipe, learned
        log_p = transfer.joint_log_probabilities(*problem)
        if not calibrated:
            return log_p
        return confidence.tempered(log_p, confidence.joint_temperature(*problem, calibration.UNKNOWN))

    def _recipe(self) -> Recipe:
        recipe = recipes.recipe(
            self.method, self.adaptation, self.c, self.scale_floor, self.loss, self.seed, self.layers or ()
        )
        return dataclasses.replace(recipe, prior_clips=PRIOR_CLIPS)

    def _source_clips(self, X_source: Any, y_source: Any, groups_source: Any) -> list[Clips]:
        if X_source is None or y_source is None:
            if X_source is not y_source:
                raise InputError("X_source and y_source belong together; give both or none")
            return []
        several = isinstance(X_source, list | tuple) and all(np.ndim(x) == 2 for x in X_source)
        features, labels = (X_source, y_source) if several else ([X_source], [y_source])
        groups = [None] * len(features) if groups_source is None else groups_source if several else [groups_source]
        if not len(features) == len(labels) == len(groups):
            raise InputError(
                f"{len(features)} sources, labels of {len(labels)}, speakers of {len(groups)}; expected as many"
            )
        return [self._source(x, y, g) for x, y, g in zip(features, labels, groups)]

    def _source(self, X: Any, y: Any, groups: Any) -> Clips:
        X, y = check_array(X, dtype=np.float64, input_name="X_source"), column_or_1d(y)
        check_consistent_length(X, y)
        if X.shape[1] != self.n_features_in_:
            raise InputError(f"X_source has {X.shape[1]} features, X has {self.n_features_in_}; expected the same")
        label = np.full(len(y), OTHER)
        for i, name in enumerate(self.classes_.tolist()):
            label[y == name] = i
        return Clips(_floats(X), label, _groups(groups, X))


def _floats(X: np.ndarray) -> np.ndarray:
    """Returns float32. Raises InputError where a value is beyond its range."""
    if np.abs(X).max(initial=0.0) > LARGEST:
        raise InputError(f"X holds values beyond {LARGEST:.1e}; scale these features first")
    return X.astype(np.float32)


def _groups(groups: Any, X: Sequence[Any]) -> np.ndarray | None:
    if groups is None:
        return None
    speaker = column_or_1d(groups)
    check_consistent_length(X, speaker)
    return np.asarray([str(name) for name in speaker], object)

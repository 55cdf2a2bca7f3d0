"""The validation of embeddings on held-out speakers: triplet loss, and recall by the nearest class centre."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.datasets.segments import SegmentSource
from siamese_jax.errors import InputError
from siamese_jax.losses.triplet import triplet_loss
from siamese_jax.models.embedding_classifiers import squared_distances
from siamese_jax.models.facenet import Variables
from siamese_jax.stats.scoring import average_recall
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import embed_all


@dataclasses.dataclass(frozen=True)
class Validation:
    """The segments evaluated after every epoch.

    Fields:
      train, held_out: segments to learn the class centres from, and to classify.
      train_rows: [<= validation_segments] rows of `train`, up to an equal share of each class.
      loss_rows: [<= validation_segments] rows of `held_out` for the triplet loss.
    """

    train: SegmentSource
    held_out: SegmentSource
    train_rows: np.ndarray
    loss_rows: np.ndarray


def plan(config: TrainConfig, train: SegmentSource, held_out: SegmentSource, key: jax.Array) -> Validation:
    """Chooses the segments. The key is consumed here.

    Raises: InputError where nothing is held out, a speaker or a clip's duplicate is in both, or an emotion is held out
      that is not trained on.
    """
    if not len(held_out):
        raise InputError("validation: no segments are held out; give speakers to validate on, or None")
    shared = np.intersect1d(train.speaker, held_out.speaker)
    if len(shared):
        raise InputError(f"validation: speakers {', '.join(shared[:5])} are trained on too; hold out whole speakers")
    unknown = np.setdiff1d(held_out.emotion, train.emotion)
    if len(unknown):
        raise InputError(f"validation: {', '.join(unknown)} held out, but not trained on; map or leave out the emotion")
    train_key, loss_key = jax.random.split(key)
    share = max(1, config.validation_segments // len(np.unique(train.emotion)))
    loss_rows = np.sort(_rng(loss_key).permutation(len(held_out))[: config.validation_segments])
    return Validation(train, held_out, balanced_rows(train_key, train.emotion, share), loss_rows)


def balanced_rows(key: jax.Array, emotion: np.ndarray, share: int) -> np.ndarray:
    """At most `share` rows of each emotion, at random, ascending. The key is consumed here."""
    rng = _rng(key)
    chosen = [rng.permutation(np.flatnonzero(emotion == name))[:share] for name in np.unique(emotion)]
    return np.sort(np.concatenate(chosen))


def _rng(key: jax.Array) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key)))


def score(config: TrainConfig, variables: Variables, validation: Validation) -> dict[str, float]:
    """{"validation_loss", "segment_uar", "clip_uar", "training_uar"}: triplet loss over `loss_rows`, and UARs in 0..1.

    The UARs are of held-out segments, of held-out clips by the mean of their segments' squared distances to the class
    centres, and of the training segments behind the centres.
    """
    train_emb = embed_all(config, variables, validation.train, validation.train_rows)
    held_emb = embed_all(config, variables, validation.held_out)
    emotion = validation.train.emotion[validation.train_rows]
    names = np.unique(emotion)
    centres_CxD = np.stack([train_emb[emotion == name].mean(axis=0) for name in names])
    distance_NxC = squared_distances(held_emb, centres_CxD)
    training_N = squared_distances(train_emb, centres_CxD).argmin(axis=1)
    true_N = np.searchsorted(names, validation.held_out.emotion)
    clips, first, which_N = np.unique(validation.held_out.clip, return_index=True, return_inverse=True)
    clip_distance = np.zeros((len(clips), len(names)))
    np.add.at(clip_distance, which_N, distance_NxC)
    clip_distance /= np.bincount(which_N)[:, None]
    chosen = validation.loss_rows
    valid = jnp.ones(len(chosen), bool)
    loss = triplet_loss(held_emb[chosen], true_N[chosen], valid, config.margin, config.mining).loss
    return {
        "validation_loss": float(loss),
        "segment_uar": average_recall(true_N, distance_NxC.argmin(axis=1)),
        "clip_uar": average_recall(true_N[first], clip_distance.argmin(axis=1)),
        "training_uar": average_recall(np.searchsorted(names, emotion), training_N),
    }

"""Siamese networks and FaceNet for speech emotion recognition across corpora, in JAX."""

__version__ = "0.1.0"

"""Fixtures of the tests of extraction: clips, their table, and the files that were decoded."""

from pathlib import Path

import pytest
from extraction_for_tests import IS09, OPTIONS, write_clips

from siamese_jax.corpora import audio
from siamese_jax.datasets import extraction


@pytest.fixture(scope="module")
def manifest(request, tmp_path_factory):
    """A manifest of N_CLIPS clips, a constant of the module of the test."""
    return write_clips(tmp_path_factory.mktemp("clips"), request.module.N_CLIPS)


@pytest.fixture(scope="module")
def table(manifest):
    """The table of the manifest's features."""
    return extraction.compute_table(manifest, IS09, OPTIONS)


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded, without their suffix."""
    names = []

    def decode(path, *arguments):
        names.append(Path(path).stem)
        return audio.decode(path, *arguments)

    monkeypatch.setattr(extraction, "decode", decode)
    return names

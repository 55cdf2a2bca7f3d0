"""The order and the names of the matrix's cells."""

import pytest

from siamese_jax.errors import InputError
from siamese_jax.experiments.cross_training.matrix import Cell, Material, chosen, matrix

VIEWS = ("waveform", "spectrogram")


def test_the_whole_matrix_holds_every_combination_once_and_the_comparison_first():
    cells = matrix(["ravdess", "emodb"], VIEWS)
    assert len(cells) == len(set(cells)) == 5 * 4
    assert [str(cell) for cell in cells[:4]] == [
        "none to ravdess/waveform",
        "emodb/spectrogram to ravdess/waveform",
        "none to emodb/waveform",
        "ravdess/spectrogram to emodb/waveform",
    ]
    assert all(cell.fine_tuning.view == "waveform" for cell in cells[:10])


def test_one_corpus_alone_is_compared_with_its_own_spectrogram():
    assert [str(c) for c in chosen(("comparison",), ["mine"], VIEWS)] == [
        "none to mine/waveform",
        "mine/spectrogram to mine/waveform",
    ]


def test_cells_are_chosen_by_name_in_order_each_once():
    found = chosen(("b/waveform  to a/spectrogram", "comparison", "none to a/waveform"), ["a", "b"], VIEWS)
    assert [str(c) for c in found] == [
        "b/waveform to a/spectrogram",
        "none to a/waveform",
        "b/spectrogram to a/waveform",
    ]


def test_who_shares_a_corpus():
    wave, other = Material("a", "waveform"), Material("b", "spectrogram")
    assert Cell(Material("a", "spectrogram"), wave).shares_corpus
    assert not Cell(other, wave).shares_corpus
    assert not Cell(None, wave).shares_corpus


@pytest.mark.parametrize("name", ["none to c/waveform", "a/waveform", "a/pictures to b/waveform", ""])
def test_unknown_cells_are_refused_with_an_example(name):
    with pytest.raises(InputError, match=r"config\.cells holds .*expected 'comparison', 'matrix' or a cell such as"):
        chosen((name,), ["a", "b"], VIEWS)


def test_nothing_to_run_is_refused():
    with pytest.raises(InputError, match="no cell to run"):
        chosen((), ["a"], VIEWS)
    with pytest.raises(InputError, match="no cell to run"):
        chosen(("comparison",), ["a"], ("spectrogram",))

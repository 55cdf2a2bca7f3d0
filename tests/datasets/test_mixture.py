"""Several sources as one: each corpus scaled by itself, with its share of the weight; and sources that do not mix."""

import dataclasses

import jax
import numpy as np
import pytest
from tables_for_tests import EMOTIONS, make_table

from siamese_jax.datasets import dataset, scaling_scopes
from siamese_jax.datasets.draws import balanced_batch, source_index
from siamese_jax.datasets.mixture import mixture, source_names
from siamese_jax.errors import InputError

TABLES = {"b": make_table("b", 4, seed=1), "a": make_table("a", 5, per_cell=3, seed=2, shift=5.0)}
TARGET = dataset.from_table(make_table("target", seed=3), EMOTIONS, "target")


def mixed(tables=None, weights=()):
    tables = TABLES if tables is None else tables
    return mixture([dataset.from_table(t, EMOTIONS, name) for name, t in tables.items()], list(tables), weights)


def poisoned(table):
    return dataclasses.replace(table, features=table.features * np.float32(1e5) - 7)


def test_a_mixture_keeps_the_clips_of_each_corpus_in_the_order_of_the_names():
    data = mixed()
    assert (data.name, data.corpora, data.weights) == ("a+b", ("a", "b"), (0.5, 0.5))
    assert [len(data), len(data.speakers)] == [5 * 4 * 3 + 4 * 4 * 2, 9]
    assert data.table.speaker.tolist() == [data.speakers[s] for s in data.speaker]
    assert data.table.emotion.tolist() == [EMOTIONS[c] for c in data.label]
    assert data.table.corpus.tolist() == [data.corpora[k] for k in data.corpus[data.rows]]
    assert len(set(data.duplicate.tolist())) == len(data)


@pytest.mark.parametrize("scope", ["corpus", "speaker"])
def test_each_corpus_is_scaled_by_itself(scope):
    clean, bad = (
        scaling_scopes.source_features(mixed({**TABLES, "b": table}), scope, 1e-3)
        for table in (TABLES["b"], poisoned(TABLES["b"]))
    )
    alone = scaling_scopes.source_features(dataset.from_table(TABLES["a"], EMOTIONS, "a"), scope, 1e-3)
    np.testing.assert_array_equal(clean[:60], alone)
    np.testing.assert_array_equal(bad[:60], alone)
    np.testing.assert_allclose(clean, bad, atol=1e-3)  # an affine map of a whole corpus is undone


def test_the_source_scope_takes_the_weighted_mean_of_the_sources_scales():
    x = scaling_scopes.target_features(mixed(weights=(1.0, 3.0)), TARGET, "source", 1e-3)
    b, a = (table.features.astype(np.float64) for table in TABLES.values())
    shift, scale = ((f(b) + 3 * f(a)) / 4 for f in (lambda t: t.mean(axis=0), lambda t: t.std(axis=0)))
    np.testing.assert_allclose(x, (TARGET.table.features - shift) / scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("weights", "shares"), [((), (0.5, 0.5)), ((3.0, 1.0), (0.25, 0.75))])
def test_each_corpus_has_its_share_of_the_weight(weights, shares):
    fewer = TABLES["b"].select(np.arange(5, len(TABLES["b"])))  # of the first emotions
    data = mixed({**TABLES, "b": fewer}, weights)
    corpus = data.corpus[data.rows]
    np.testing.assert_allclose(np.bincount(corpus, data.clip_weight), np.array(shares) * len(data))
    for c in range(4):
        own = data.label == c
        np.testing.assert_allclose(
            np.bincount(corpus[own], data.clip_weight_in_class[own]), np.array(shares) * own.sum(), rtol=1e-12
        )


def test_a_single_source_is_unchanged_and_weighs_every_clip_one():
    data = mixed({"a": TABLES["a"]})
    assert data.corpora == ("a",)
    np.testing.assert_array_equal(data.clip_weight, np.ones(60))
    np.testing.assert_array_equal(data.clip_weight_in_class, np.ones(60))


def test_batches_are_balanced_over_classes_and_corpora():
    data = mixed(weights=(1.0, 3.0))  # of b and a
    index = source_index(data, 4)
    draw = jax.jit(jax.vmap(lambda key: balanced_batch(key, index, 24)))
    batches = draw(jax.random.split(jax.random.key(0), 400))
    np.testing.assert_array_equal(data.label[np.asarray(batches)], np.tile(np.repeat(np.arange(4), 6), (400, 1)))
    of_b = (data.corpus[data.rows][np.asarray(batches)] == 1).reshape(400, 4, 6).sum(axis=2)
    assert set(of_b.ravel().tolist()) == {1, 2}  # a quarter of six
    assert abs(of_b.mean() - 1.5) < 0.05
    counts = np.bincount(np.asarray(batches).ravel(), minlength=len(data))
    assert counts.min() > 0.5 * 9600 * 0.25 / 32  # every clip is drawn


def test_sources_are_named_in_one_text(tmp_path, monkeypatch):
    names = source_names("emodb, ravdess,mine.npz", ",,lab", "")
    assert [tuple(name) for name in names] == [
        ("emodb", "", "", "emodb"), ("ravdess", "", "", "ravdess"), ("mine.npz", "lab", "", "mine.npz (lab)")
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.npz").touch()
    assert source_names("a,b.npz", "x,y", "c,d")[0] == ("a,b.npz", "x,y", "c,d", "a,b.npz")
    both = source_names("both.npz,both.npz", "a,b", "")
    assert [name.label for name in both] == ["both.npz (a)", "both.npz (b)"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("a,,b", "", ""), "config.data.source is 'a,,b': a name is empty"),
        (("a,b,a", "", ""), "config.data.source gives a more than once; give each source once"),
        (("a,b", "x", ""), "source_corpus is 'x', 1 for 2 sources .a,b.; give one for each source in the same order"),
        (("a,b", "", "x.csv,,"), "source_companion is 'x.csv,,', 3 for 2 sources"),
    ],
)
def test_names_that_do_not_fit_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        source_names(*given)


def renamed(corpus):
    table = TABLES["a"]
    return dataclasses.replace(
        table, corpus=np.full(len(table), corpus), clip=np.char.add(corpus, table.clip),
        speaker=np.char.add(f"{corpus}_", table.speaker),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "weights", "message"),
    [
        (TABLES, (1.0,), r"source_weights holds 1 for 2 sources \(b, a\); give one for each source"),
        ({"a": TABLES["a"]}, (1.0, 2.0), "source_weights holds 2 for 1 sources"),
        (
            {"one.npz": TABLES["a"], "two.npz": make_table("a", seed=9)}, (),
            "the sources one.npz and two.npz both hold clips of corpus 'a'",
        ),
        ({"a": TABLES["a"], "c": renamed("c")}, (), "the source c holds 75 recordings of the source a"),
        ({**TABLES, "c": renamed("c")}, (), "the source c holds 75 recordings of the source a"),
        (
            {"a": TABLES["a"], "c": make_table("c", n_features=4)}, (),
            r"the tables of a \(5 features\) and c \(4\) do not match",
        ),
    ],
)  # fmt: skip
def test_sources_that_do_not_mix_are_refused(tables, weights, message):
    with pytest.raises(InputError, match=message):
        mixed(tables, weights)


def test_a_mixture_came_scaled_if_one_of_its_tables_did():
    both = {name: dataclasses.replace(table, made={"scaled": "corpus"}) for name, table in TABLES.items()}
    data = [mixed(), mixed({**TABLES, "a": both["a"]}), mixed(both)]
    assert [(d.scaled, d.already_scaled) for d in data] == [("none", False), ("in part", True), ("corpus", True)]
    target = dataclasses.replace(TARGET, full_table=dataclasses.replace(TARGET.full_table, made={"scaled": "corpus"}))
    assert [scaling_scopes.least_support_deviation(d, target, 0.1) for d in data] == [0.0, 0.0, 0.1]


def test_speakers_of_two_corpora_are_two_people_even_if_their_ids_are_equal():
    tables = {name: make_table(name, 2, seed=seed) for seed, name in enumerate(("a", "a_b"))}
    same = {name: dataclasses.replace(table, speaker=np.full(len(table), "a_b_c")) for name, table in tables.items()}
    data = mixed(same)
    assert sorted(set(zip(data.speaker.tolist(), data.corpus[data.rows].tolist()))) == [(0, 0), (1, 1)]

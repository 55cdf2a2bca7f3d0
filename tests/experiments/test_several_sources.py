"""Experiments on several sources: their weight in every system, rows that name them, and inputs that do not fit."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LogisticRegression
from tables_for_tests import EMOTIONS, make_table

from configs import smoke
from siamese_jax import load_config
from siamese_jax.datasets import dataset
from siamese_jax.datasets.draws import FewShotDraws
from siamese_jax.datasets.mixture import mixture
from siamese_jax.datasets.table_files import write_table
from siamese_jax.errors import InputError
from siamese_jax.experiments import reproduce, run_context, source_ranking, summary
from siamese_jax.protocols import baselines, config, runs
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.report.loading import reproduction
from siamese_jax.report.paper import results, several_sources
from siamese_jax.report.sections import provenance

TABLES = {"a": make_table("a", 3, per_cell=3, seed=1, shift=4.0), "b": make_table("b", 4, seed=2, apart=1.0)}
TARGET = make_table("target", 4, seed=3, apart=0.7)


@pytest.fixture
def folder(tmp_path):
    for name, table in {**TABLES, "target": TARGET}.items():
        write_table(tmp_path / f"{name}.npz", table)
    return tmp_path


def experiment(folder, source="{0}/a.npz,{0}/b.npz", **changes):
    given = smoke.get_config()
    given.training.update({"source_steps": 4, "in_domain_steps": 2})
    given.protocol.update({"n_speakers": (2,), "steps": (0, 2), "baselines": ("logistic_regression",)})
    given.report.update({"fixed_n_speakers": 2, "fixed_steps": 2, "level": 0.9})
    settings = config.resolve(given).replace(n_draws=2, n_seeds=1, n_in_domain_seeds=1, losses=("none",), frozen=(0,))
    return settings.replace(source=source.format(folder), target=f"{folder}/target.npz", **changes)


NO_DRAWS = FewShotDraws(np.zeros((0, 0), int), np.zeros((0, 0, 0), int))


def plan_of(folder, tables, weights=()):
    sources = [dataset.from_table(table, EMOTIONS, name) for name, table in tables.items()]
    target = dataset.from_table(TARGET, EMOTIONS, "target")
    return Plan(experiment(folder), mixture(sources, list(tables), weights), target, NO_DRAWS, 0)


def doubled(table):
    """Every clip twice, under another name."""
    both = table.select(np.tile(np.arange(len(table)), 2))
    return dataclasses.replace(both, clip=np.char.add(both.clip, np.repeat(["", "x"], len(table))))


def fitted(plan, c):
    task = baselines.source_task(plan, "corpus")
    model = LogisticRegression(C=c, tol=1e-10, max_iter=20000)
    return model.fit(task.x.astype(np.float64), task.label, sample_weight=task.weight).coef_


def test_clips_that_are_doubled_in_one_corpus_do_not_change_the_regression(tmp_path):
    tables = {**TABLES, "b": doubled(TABLES["b"])}
    once, twice = plan_of(tmp_path, TABLES), plan_of(tmp_path, tables)
    # The sum of the weights is the number of clips, which C counts against.
    c = len(once.source) / len(twice.source)
    np.testing.assert_allclose(fitted(once, 1.0), fitted(twice, c), atol=1e-4)
    assert np.abs(fitted(plan_of(tmp_path, tables, weights=(1.0, 2.0)), c) - fitted(once, 1.0)).max() > 0.02


@pytest.mark.long
def test_both_solvers_give_each_corpus_its_share(tmp_path, monkeypatch):
    exact = {"logistic_regression": lambda c: LogisticRegression(C=c, tol=1e-8, max_iter=20000)}
    monkeypatch.setattr(baselines, "CLASSIFIERS", exact)
    plan = plan_of(tmp_path, TABLES, weights=(1.0, 5.0))
    plan = Plan.make(plan.experiment, plan.source, plan.target)
    task = baselines.source_task(plan, "corpus")
    corpus = plan.source.corpus[plan.source.rows]
    np.testing.assert_allclose(np.bincount(corpus, task.weight), np.array([1, 5]) / 6 * len(corpus))
    few_shot = baselines.joint(task, task.query[:8], np.tile(np.arange(4, dtype=np.int32), 2))
    np.testing.assert_allclose(few_shot.weight[:-8].sum(), few_shot.weight[-8:].sum())
    np.testing.assert_allclose(np.bincount(corpus, few_shot.weight[:-8])[1] / few_shot.weight[:-8].sum(), 5 / 6)
    found = [
        baselines.run(
            dataclasses.replace(plan, experiment=plan.experiment.replace(logistic_solver=solver)), "corpus",
            baselines.PARTS, lambda _: None, 1,
        )
        for solver in ("jax", "scikit-learn")
    ]  # fmt: skip
    for part in ("source_only", "few_shot"):
        assert (found[0][part].values == found[1][part].values).mean() > 0.99, part
    rows = list(summary.baseline_rows(plan, "corpus", found[0]))
    assert {row.source for row in rows} == {"a+b"}
    assert all(row.remarks.startswith("weights of the sources: a 0.167, b 0.833") for row in rows)


def test_the_order_of_the_sources_does_not_matter(folder):
    one, other = (
        run_context.load(experiment(folder, source, source_weights=weights))[0]
        for source, weights in (("{0}/a.npz,{0}/b.npz", (1.0, 3.0)), ("{0}/b.npz, {0}/a.npz", (3.0, 1.0)))
    )
    assert run_context.digests(one, one) == run_context.digests(other, other)
    assert (one.corpora, one.weights) == (other.corpora, other.weights)
    np.testing.assert_array_equal(one.clip_weight, other.clip_weight)


def test_the_clips_of_each_corpus_are_at_hand(folder):
    plan = plan_of(folder, TABLES, weights=(1.0, 3.0))
    shared = TransferDraws(plan, "speaker", None).sources
    assert shared.weights == plan.source.weights == (0.25, 0.75)
    assert [len(label) for _, label in shared.corpora] == [36, 32]
    for name, clips, alone in zip("ab", plan.source_corpora("speaker"), TABLES.values()):
        single = plan_of(folder, {name: alone})
        np.testing.assert_array_equal(clips.x, single.source_clips("speaker").x)
        (whole,) = single.source_corpora("speaker")
        np.testing.assert_array_equal(clips.label, whole.label)
        assert len(np.unique(clips.speaker)) == len(single.source.speakers)


def test_sources_that_are_read_alone_have_their_weights(folder):
    source = run_context.read_source(experiment(folder, source_weights=(1.0, 3.0)))
    assert (source.corpora, source.weights) == (("a", "b"), (0.25, 0.75))


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ("{0}/a.npz,{0}/target.npz", {}, "the source .*target.npz holds 32 of the 32 recordings of the target"),
        ("{0}/a.npz,{0}/c.npz", {}, r"the tables of c \(4 features\) and target \(5\) do not match"),
        ("{0}/a.npz,{0}/d.npz", {}, "d.npz: no clip of 'fear'; it holds anger"),
        ("{0}/a.npz,{0}/a.npz", {}, "a.npz more than once"),
        ("{0}/a.npz,{0}/b.npz", {"source_weights": (1.0,)}, "source_weights holds 1 for 2 sources"),
        ("{0}/a.npz,{0}/none.npz", {}, "none.npz: no such file"),
    ],
)
def test_sources_that_do_not_fit_are_refused(folder, source, changes, message):
    write_table(folder / "c.npz", make_table("c", n_features=4))
    table = make_table("d")
    write_table(folder / "d.npz", table.select(table.emotion != "fear"))
    with pytest.raises(InputError, match=message):
        run_context.load(experiment(folder, source, **changes))


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, -1.0)])
def test_weights_that_are_not_positive_are_refused(tmp_path, weights):
    with pytest.raises(InputError, match=r"config.data.source_weights is .*; expected positive numbers"):
        experiment(tmp_path, source_weights=weights)


@pytest.mark.long
def test_a_run_names_its_sources_everywhere(folder):
    settings = experiment(folder)
    reproduce.run(settings, folder / "run")
    results.write(folder / "run")
    for name in ("summary", "differences"):
        rows = json.loads((folder / "run" / f"{name}.json").read_text())
        assert {row["source"] for row in rows} == {"a+b"}
    stored = json.loads((folder / "run" / "config.json").read_text())
    assert set(stored["tables"]) == {"source", "source a", "source b", "target"}
    assert (folder / "run" / "table1.md").read_text().startswith("# a+b to target")
    loaded = reproduction.load(folder / "run", "run")
    assert loaded.source is not None
    assert loaded.source.corpora == ("a", "b")
    html = str(provenance.section([loaded], ["report"]))
    assert all(f"{folder}/{name}.npz" in html for name in "ab")


@pytest.mark.long
def test_each_source_alone_all_together_and_the_nearest(folder):
    settings = experiment(folder, baselines=("logistic_regression", "svm"))
    rows = source_ranking.run(settings, folder / "ranked")
    names = {"a", "b", "a+b", "nearest of a+b"}
    for method in ("logistic_regression", "svm"):
        both = {row.source for row in rows if (row.method, row.data) == (method, "source+target")}
        assert both == names
        assert {row.source for row in rows if (row.method, row.data) == (method, "target")} == {"a+b"}
    page = several_sources.write(folder / "ranked")
    assert page.startswith("# Sources for target: a+b")
    assert all(f"| {name} | " in page for name in names)
    # A draw's prediction is that of its nearest source.
    arrays = {n: xr.load_dataset(folder / f"ranked/arrays/baselines/corpus/{n}.nc") for n in ("source_0", "source_1")}
    nearest = xr.load_dataset(folder / "ranked/arrays/ratios/corpus.nc").ratio.values[0].argmin(axis=1)
    source, target = run_context.load(settings)
    plan = Plan.make(settings, source, target)
    chosen = np.stack([arrays[f"source_{k}"].few_shot.values[0, 1, 0, i] for i, k in enumerate(nearest)])
    scored = summary.score_few_shot(plan, chosen[None])["speaker_disjoint"]
    (row,) = (
        row for row in rows
        if (row.source, row.method, row.split, row.selection)
        == ("nearest of a+b", "logistic_regression", "speaker_disjoint", "cell")
    )  # fmt: skip
    np.testing.assert_allclose(row.uar_mean, scored.uar.mean(), rtol=1e-5)
    assert row.remarks.startswith("draws by source: ")
    # A difference is that of the rows: the source's minus all sources'.
    uar = {
        (row.source, row.method, row.split): row.uar_mean
        for row in rows if (row.data, row.selection) == ("source+target", "cell")
    }  # fmt: skip
    for record in json.loads((folder / "ranked" / "source_ranking.json").read_text()):
        own, everything = (uar[record[name], record["method"], record["split"]] for name in ("source", "minus"))
        assert record["interval"].startswith("90 % t over draws")
        assert record["uar_difference"] == pytest.approx(own - everything, abs=1e-4)
    before = (folder / "ranked" / "summary.json").read_bytes()
    source_ranking.run(settings, folder / "ranked")  # resumes: nothing is computed again
    assert (folder / "ranked" / "summary.json").read_bytes() == before


def ranked(folder):
    """Two numbers of speakers, draws and classifiers, and sources "a" and "b"."""
    plan = plan_of(folder, TABLES)
    settings = plan.experiment.replace(n_speakers=(2, 3), baselines=("logistic_regression", "svm"))
    return dataclasses.replace(plan, experiment=settings)


def test_the_nearest_source_of_each_draw_is_compared_on_source_and_target_clips(folder, monkeypatch):
    nearest, seen = np.array([[0, 1], [1, 1]]), []  # by number of speakers and draw
    ratio = np.where(np.arange(2) == nearest[:, :, None], 0.5, 0.8)
    axes = (2, 2, 2, 2)  # classifier, data, number of speakers, draw
    classes = {part: (n + np.arange(16).reshape(axes))[..., None] for part, n in (("all", 0), ("0", 100), ("1", 200))}

    class Run:
        def baselines(self, plan, scope, parts, part):
            own = classes[part.removeprefix("/").removeprefix("source_")]
            return xr.Dataset({"few_shot": (("method", "data", "n_speakers", "draw", "clip"), own)})

        def arrays(self, plan, name, make):
            return xr.Dataset({"ratio": (("n_speakers", "draw", "source"), ratio)})

    def differences(plan, scope, method, other, both):
        seen.append((method, other, both[..., 0]))
        return ({"source": other, "n_speakers": k} for k in (2, 3))

    monkeypatch.setattr(source_ranking, "_differences", differences)
    for name in ("baseline_rows", "few_shot_rows", "score_few_shot"):
        monkeypatch.setattr(summary, name, lambda *_: [])
    _, records = source_ranking._scope(Run(), ranked(folder), "corpus")
    whole = np.arange(16).reshape(axes)
    for i, method in enumerate(("logistic_regression", "svm")):
        of_method = {other: both for name, other, both in seen if name == method}
        expected = {"a": 100, "b": 200, "nearest of a+b": 100 * (1 + nearest)}
        for other, offset in expected.items():
            np.testing.assert_array_equal(of_method[other], np.stack([whole[i, 1] + offset, whole[i, 1]], axis=1))
    chosen = {record["n_speakers"]: record["share_nearest"] for record in records}
    assert chosen == {2: {"a": 0.5, "b": 0.5}, 3: {"a": 0.0, "b": 1.0}}
    assert records[0]["mean_ratio"] == pytest.approx({"a": 0.65, "b": 0.65})
    assert records[1]["mean_ratio"] == pytest.approx({"a": 0.8, "b": 0.5})


def test_one_source_is_nothing_to_rank(folder):
    with pytest.raises(InputError, match=r"a.npz: one source; give several, separated by commas"):
        source_ranking.run(experiment(folder, "{0}/a.npz"), folder / "ranked")


@pytest.mark.long
def test_leaving_each_corpus_out_gives_rows_and_a_column_for_each(folder, monkeypatch):
    given = load_config("leave_one_corpus_out")
    flat = experiment(folder)
    given.data.update({"source": flat.data.source, "target": flat.data.target})
    given.training.update({"source_steps": 4, "in_domain_steps": 2})
    given.protocol.update({"n_speakers": (2,), "n_draws": 2, "n_seeds": 1, "n_in_domain_seeds": 1, "steps": (0, 2)})
    given.protocol.update({"losses": ("none",), "baselines": ("logistic_regression",)})
    given.protocol.logistic_solver = "scikit-learn"
    given.report.update({"fixed_n_speakers": 2, "fixed_steps": 2})
    folders = {}
    for name, settings in runs.resolve_each(given).items():
        folders[name] = folder / "out" / name
        reproduce.run(settings, folders[name])
    pairs = {
        name: {(row["source"], row["target"]) for row in json.loads((path / "summary.json").read_text())}
        for name, path in folders.items()
    }
    assert pairs == {"a": {("b+target", "a")}, "b": {("a+target", "b")}, "target": {("a+b", "target")}}
    page = results.write_side_by_side(folder / "out", folders)
    assert page.startswith("# b+target to a; a+target to b; a+b to target")
    assert "| UAR %, a | UAR %, b | UAR %, target |" in page


ENCODER = {"features": "whisper", "speech_encoder": "tiny.en", "layers": [1, 2], "deepest_layer": 2, "loudness": -23.0}


def encoded(name, seed, **made):
    """A synthetic corpus with the columns of two layers of a speech encoder."""
    table = make_table(name, 4, seed=seed, n_features=8)
    columns = [f"whisper.tiny.en.layer{n}.{kind}.{i:03d}" for n in (1, 2) for kind in ("mean", "std") for i in range(2)]
    return dataclasses.replace(table, feature_names=tuple(columns), made={**ENCODER, **made})


def test_several_sources_of_a_speech_encoders_features(tmp_path):
    for seed, name in enumerate(("a", "b", "target")):
        write_table(tmp_path / f"{name}.npz", encoded(name, seed))
    source, _ = run_context.load(experiment(tmp_path, layers=(2,)))
    assert source.corpora == ("a", "b")
    assert source.full_table.made == {**ENCODER, "layers": [2], "scaled": "none"}
    assert [name.split(".")[3] for name in source.full_table.feature_names] == ["layer2"] * 4
    whole = Plan(experiment(tmp_path), *run_context.load(experiment(tmp_path)), NO_DRAWS, 0)
    shared = TransferDraws(whole, "corpus", None).sources
    assert [columns.tolist() for columns in shared.layers] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    for x, _ in shared.corpora:
        assert abs(float(np.mean(x))) < 0.5  # each is centred by itself
    # Two sources that disagree are refused, even where the target does not say how it was made.
    plain = {key: value for key, value in ENCODER.items() if key != "loudness"}
    write_table(tmp_path / "target.npz", dataclasses.replace(encoded("target", 2), made=plain))
    write_table(tmp_path / "b.npz", encoded("b", 1, loudness=-30.0))
    with pytest.raises(InputError, match=r"do not match: loudness -23.0 of a and -30.0 of b"):
        run_context.load(experiment(tmp_path))

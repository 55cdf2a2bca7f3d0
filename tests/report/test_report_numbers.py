"""The numbers behind the report's tables and figures, computed again by other means."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import scipy.stats
import xarray as xr
from matplotlib.figure import Figure
from report_blocks import tables_of
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from siamese_jax.experiments import source_effect
from siamese_jax.protocols import config
from siamese_jax.report.loading import reproduction
from siamese_jax.report.loading import workdir as stored_workdir
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Document, Paragraph, Section, Table
from siamese_jax.report.sections import compare, confusion, curves, distances, embeddings, overview, paired, speakers
from siamese_jax.stats import estimands, intervals, paired_tests, records, scoring


@pytest.fixture(scope="module")
def run(workdir):
    return reproduction.load(workdir, "run")


@pytest.fixture(scope="module")
def setting(run):
    return reproduction.settings(run.experiment)[0]


@pytest.fixture(scope="module")
def arrays(workdir):
    with xr.open_dataset(workdir / "arrays/abs_difference/corpus/fine_tuning_04.nc", engine="h5netcdf") as found:
        return found.load()


def predicted(arrays, loss, draw, step=4):
    return arrays.predictions.sel(loss=loss, frozen=0, step=step, draw=draw).values


def test_differences_are_of_the_same_draws_and_clips(run, setting, arrays):
    found = paired.loss_pairs(*run.tuned(setting, "speaker_disjoint"))
    pair = next(p for p in found if p.name == "ratio loss − fine-tuning")
    truth, speaker = run.target.label, run.target.speaker
    for draw in range(4):
        tested = ~np.isin(speaker, speaker[arrays.support.values[draw]])
        both = [100 * balanced_accuracy_score(truth[tested], predicted(arrays, loss, draw)[tested])
                for loss in ("ratio", "none")]  # fmt: skip
        np.testing.assert_allclose(pair.difference.by_draw[draw], both[0] - both[1], atol=1e-4)
    assert pair.difference.counts.shape == (2, 7, 2, 4, 4)
    np.testing.assert_array_equal(pair.difference.counts.sum(axis=0), pair.difference.by_speaker)


def with_counts(run):
    """The run with other counts [D, S, C, C] in every cell, and the function that gives them."""
    report, kept = run.experiment.report, {}

    def tuned(setting, split, n_speakers=None, steps=None):
        key = split, n_speakers or report.fixed_n_speakers, report.fixed_steps if steps is None else steps
        if key not in kept:
            rng = np.random.default_rng(len(kept))
            kept[key] = {loss: rng.integers(1, 9, (4, 7, 4, 4)) for loss in run.experiment.protocol.losses}
        return kept[key], np.array([0, 1, 0, 1])

    other = dataclasses.replace(run)
    object.__setattr__(other, "tuned", tuned)
    return other, tuned


def test_paired_tables_are_of_their_split_steps_speakers_and_level(run, setting, monkeypatch):
    monkeypatch.setattr(figures, "png", lambda draw: b"")
    other, tuned = with_counts(run)
    made = tables_of(Document("", "", [Section("", list(paired._loss_blocks(other, setting, "0")))]))

    def expected(*cell):
        counts, _ = tuned(setting, *cell)
        ratio, none = (scoring.uar(counts[loss].sum(axis=1)) for loss in ("ratio", "none"))
        limits = scipy.stats.ttest_rel(ratio, none).confidence_interval(0.9)
        return text.bounded((ratio - none).mean(), *limits, signed=True)

    for split, words in paired.SPLIT_NAMES.items():
        table, claims = (t for t in made if words in t.caption and t.caption.startswith(("Over draws", "For a claim")))
        shown = {row[0]: row[1] for row in table.rows}
        for steps in (2, 4):
            assert shown[f"ratio loss − fine-tuning, {steps} steps"] == expected(split, 4, steps)
        assert table.header[1] == "90 % t over draws"
        # A drawn speaker is not tested on the split of other speakers, so the crossing has gaps there.
        assert ("speakers+seeds" in " ".join(claims.header)) == (split == "paper")
    table = next(t for t in made if t.caption.startswith("Points of UAR at 4 steps") and "over draws" in t.caption)
    column = [*table.header].index("ratio loss − fine-tuning")
    assert [(row[0], row[column]) for row in table.rows] == [(str(k), expected("paper", k)) for k in (2, 4)]


def test_every_interval_has_the_configured_level(report):
    words = [t.caption + " ".join(t.header) for t in tables_of(report[1])]
    words += [picture.caption for picture in report[1].pictures()]
    assert sum("90 %" in of_block for of_block in words) > 20
    assert not [of_block for of_block in words if "95 %" in of_block]


def test_classifiers_are_those_on_source_and_target_clips_on_either_split(run, setting, arrays):
    kept = run.arrays("baselines/corpus").few_shot.sel(n_speakers=4)
    for split, by_speaker in (("paper", False), ("speaker_disjoint", True)):
        for method, counts in zip(kept.method.values, run.few_shot(setting, split).values(), strict=True):
            for draw, support in enumerate(arrays.support.values):
                speaker = run.target.speaker
                drawn = np.isin(speaker, speaker[support]) if by_speaker else np.isin(np.arange(len(speaker)), support)
                classes = kept.sel({"method": method, "data": "source+target"}).isel(draw=draw).values
                expected = confusion_matrix(run.target.label[~drawn], classes[~drawn], labels=range(4))
                np.testing.assert_array_equal(counts[draw].sum(axis=0), expected)


def test_a_contrast_is_the_second_directory_minus_the_first(run, monkeypatch):
    rng = np.random.default_rng(4)
    counts = {label: {"OODT": rng.integers(1, 9, (7, 4, 4))} for label in ("run", "other")}
    monkeypatch.setattr(compare, "_pooled", lambda of_run: counts[of_run.label])
    (table,) = compare._contrasts([run, dataclasses.replace(run, label="other")])
    assert table.caption.startswith("other minus run: ")
    assert table.header[1] == "90 % jackknife t over speakers"
    ((name, cell, _),) = table.rows
    other, first = (scoring.uar(counts[label]["OODT"].sum(axis=0)) for label in ("other", "run"))
    assert (name, cell.split(" ")[0]) == ("OODT", text.number(float(other - first), signed=True))


def test_directories_of_other_target_clips_or_emotions_are_not_subtracted(run):
    relabelled = run.experiment.replace(emotions=tuple(reversed(run.experiment.data.emotions)))
    for changes in (
        {"digests": {**run.digests, "target": "another"}}, {"experiment": relabelled}, {"missing": "it is gone"}
    ):  # fmt: skip
        for pair in ([run, dataclasses.replace(run, **changes)], [dataclasses.replace(run, **changes), run]):
            (block,) = compare._contrasts(pair)
            assert "are not computed" in block.text


def test_other_tables_and_settings_are_named(run):
    digests = {**run.digests, "target": "a" * 64}
    rows = compare.differing_table([run, dataclasses.replace(run, digests=digests)]).rows
    assert rows == [("checksum of the target table", run.digests["target"][:12], "a" * 12)]
    digests = {**run.digests, "source": "b" * 64}
    rows = compare.differing_table([run, dataclasses.replace(run, digests=digests)]).rows
    assert rows == [("checksum of the source table", run.digests["source"][:12], "b" * 12)]


def test_the_difference_of_the_sexes_is_female_minus_male():
    counts = np.random.default_rng(2).integers(1, 9, (3, 9, 4, 4))
    sexes = np.array(["male", "female", "", "male", "female", "female", "male", "male", "female"])
    shown = speakers._sex_difference(reproduction.Counted("idt", "IDT", counts, "seeds"), sexes, 0.9)
    uar = scoring.uar(counts.sum(axis=0))
    female, male = uar[sexes == "female"], uar[sexes == "male"]
    limits = scipy.stats.ttest_ind(female, male, equal_var=False).confidence_interval(0.9)
    assert shown == text.bounded(female.mean() - male.mean(), *limits, signed=True)


def test_a_verdict_needs_an_interval_that_is_offered_and_leaves_out_0():
    pair, level = tiny_pairs(15), 0.9
    back = dataclasses.replace(pair, a=pair.b, b=pair.a)
    better = dataclasses.replace(pair, a=pair.b + 20 * np.eye(4, dtype=int))
    worse = dataclasses.replace(better, a=better.b, b=better.a)
    cases = ((pair, overview.OPEN), (back, overview.OPEN), (better, overview.YES), (worse, overview.NO))
    for case, expected in cases:
        # Of two seeds no interval over both is offered.
        value = text.estimate(case.difference.over_speakers(level), factor=100, signed=True)
        assert overview._verdict(case, level) == (expected, value)


def test_tests_over_draws_agree_with_scipy_and_holm_with_its_definition(run):
    values = np.random.default_rng(0).normal(0.5, 1, (3, 12))
    flips, wilcoxon = paired_tests.over_draws(values, jax.random.key(0), paired.N_SIGN_PATTERNS)
    for i in range(3):
        signs = scipy.stats.permutation_test((values[i],), np.mean, permutation_type="samples", n_resamples=np.inf)
        np.testing.assert_allclose(flips.p_value[i], signs.pvalue, rtol=1e-4)
        np.testing.assert_allclose(wilcoxon.p_value[i], scipy.stats.wilcoxon(values[i]).pvalue, rtol=1e-4)
    order = np.argsort(flips.p_value)
    stepped = np.maximum.accumulate(np.array(flips.p_value)[order] * [3, 2, 1])
    np.testing.assert_allclose(np.array(paired_tests.holm(flips.p_value))[order], np.minimum(stepped, 1), rtol=1e-6)


def tiny_pairs(n_draws, seed=0, spread=True, n_speakers=6):
    """Two methods' counts on random predictions of 4 classes."""
    rng = np.random.default_rng(seed)
    made = rng.integers(1, 5, (2, n_draws, n_speakers, 4, 4)).astype(np.int32)
    if not spread:
        made[1] = made[0]
    return paired.Pair("a − b", made[0], made[1], np.arange(n_draws) % 2)


@pytest.mark.parametrize("n_draws", [4, 10, 15, 30])
def test_a_test_is_offered_only_where_its_error_rate_holds(run, n_draws):
    over_draws, claims = paired.tested(run.experiment, [tiny_pairs(n_draws)], "here", "paper")
    for test in (2, 3):
        assert ("not offered" in over_draws.rows[0][test]) == (n_draws < 15)
    assert "not offered" not in claims.rows[0][1]
    assert "so few units" in claims.caption
    # Two seeds: a crossed interval is not offered below eight of each.
    assert "not offered at 2 units" in claims.rows[0][3]


def test_equal_methods_have_no_variance_and_no_p_value(run):
    over_draws, claims = paired.tested(run.experiment, [tiny_pairs(15, spread=False)], "here", "paper")
    for cell in (*over_draws.rows[0][1:], *claims.rows[0][1:3]):
        assert "not computable: no variance between the units" in cell


def test_a_class_without_clips_is_not_computable_instead_of_wrong(run):
    pair = tiny_pairs(15)
    lost = dataclasses.replace(pair, a=pair.a * np.array([1, 1, 1, 0])[:, None], b=pair.b)
    over_draws, claims = paired.tested(run.experiment, [lost], "here", "paper")
    assert all("not computable" in cell for cell in (*over_draws.rows[0][1:], *claims.rows[0][1:3]))


def test_claims_table_holds_the_jackknife_interval(run):
    pair = tiny_pairs(15)
    claims = list(paired.tested(run.experiment, [pair], "here", "paper"))[1]
    sums, level = pair.difference.by_speaker, run.experiment.report.level
    interval = intervals.jackknife_interval(sums, estimands.uar_difference, level, over="speakers")
    low, high = 100 * float(interval.low), 100 * float(interval.high)
    assert claims.rows[0][1].endswith(f"[{low:+.1f}, {high:+.1f}]")
    assert "over speakers" in claims.header[1]


def test_confusion_shares_and_recalls(run, setting, arrays):
    found = run.fixed_cell(setting, "paper")
    ratio = next(one for one in found if one.key == "ratio")
    total = np.zeros((4, 4))
    for draw in range(4):
        tested = ~np.isin(np.arange(len(run.target)), arrays.support.values[draw])
        total += confusion_matrix(run.target.label[tested], predicted(arrays, "ratio", draw)[tested], labels=range(4))
    expected = 100 * total / total.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(confusion.shares(ratio.pooled.sum(axis=0)), expected)
    table = confusion.recall_table(run, found, setting)
    row = next(row for row in table.rows if row[0] == "+ ratio loss")
    assert [cell.split(" ")[0] for cell in row[1:]] == [text.number(v) for v in np.diag(expected)]
    empty = dataclasses.replace(ratio, per_run=ratio.per_run * np.array([0, 1, 1, 1])[:, None])
    assert np.isnan(confusion.shares(empty.pooled.sum(axis=0))[0]).all()
    assert np.isfinite(confusion.shares(empty.pooled.sum(axis=0))[1:]).all()


def test_speakers_and_sexes(run, setting):
    one = run.references(setting)[1]
    interval = speakers.by_speaker(one, 0.95)
    predictions = run.arrays("abs_difference/corpus/in_domain").predictions.values
    for s in range(len(run.target.speakers)):
        mine = run.target.speaker == s
        expected = [100 * balanced_accuracy_score(run.target.label[mine], p[mine]) for p in predictions]
        np.testing.assert_allclose(interval.estimate[s], np.mean(expected), rtol=1e-5)
    sexes = speakers.sex_of_speakers(run)
    assert sexes.tolist() == ["female", "male", "female", "male", "", "female", "male"]
    table = next(speakers.sex_blocks(run, [one]))
    assert "1 speaker is not known" in table.caption
    female = run.target.speaker[:, None] == np.flatnonzero(sexes == "female")[None, :]
    rows = female.any(axis=1)
    pooled = balanced_accuracy_score(np.tile(run.target.label[rows], len(predictions)), predictions[:, rows].ravel())
    assert table.rows[0][1].startswith(text.number(100 * pooled))
    # Three speakers of each: too few for the interval of a difference.
    assert "interval not offered at 3 speakers" in table.rows[0][3]


def test_without_sexes_there_is_a_sentence_instead_of_a_table(run, setting):
    full_table = dataclasses.replace(run.target.full_table, sex=np.full(len(run.target.full_table), ""))
    blank = dataclasses.replace(run, target=dataclasses.replace(run.target, full_table=full_table))
    (block,) = speakers.sex_blocks(blank, run.references(setting))
    assert "names no speaker's sex" in block.text


def test_the_pole():
    r = np.array([0.5, 0.97, 1.0, 1.2])
    mean, beyond, near = curves.pole_cells(r, 0.95)
    assert mean.startswith("0.918 [")
    assert (beyond, near) == ("2 of 4", "2 of 4")
    many = curves.pole_cells(np.tile(r, 25), 0.95)
    expected = scipy.stats.binomtest(50, 100).proportion_ci(method="wilson")
    assert many[1] == f"50.0 [{100 * expected.low:.1f}, {100 * expected.high:.1f}] %, 50 of 100"
    assert curves.pole_cells(r[:1], 0.95)[0] == "0.500 (interval not computable: fewer than two units)"
    lost = curves.pole_cells(np.array([0.5, np.nan, 1.2]), 0.95)
    assert lost[0].startswith("not computable")
    assert lost[1] == lost[2] == "not computable: r is not a number in 1 draw"


def test_the_ratio_of_collapsed_embeddings_is_not_a_number():
    log = xr.Dataset({"d_same": ("draw", [1.0, 0.0]), "d_different": ("draw", [2.0, 0.0])})
    np.testing.assert_array_equal(curves.quantity(log, "ratio").values, [0.5, np.nan])


def test_the_plane_is_that_of_a_principal_component_analysis():
    x = np.random.default_rng(3).normal(size=(50, 6)) * np.arange(1, 7)
    plane, share = embeddings.principal_plane(x)
    other = PCA(2).fit(x)
    np.testing.assert_allclose(share, other.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(plane), np.abs(other.transform(x)), atol=1e-9)
    flat, none = embeddings.principal_plane(np.ones((5, 3)))
    assert not flat.any()
    assert not none.any()
    narrow, all_of_it = embeddings.principal_plane(np.arange(4.0)[:, None])
    assert narrow.shape == (4, 2)
    np.testing.assert_allclose(all_of_it, [1, 0])


def test_the_example_is_the_run_s_own_first_draw_and_is_kept(run, setting, report, arrays):
    file = run.path / "report" / "example_abs_difference_corpus.nc"
    before = file.stat().st_mtime_ns
    example = embeddings.example(run, setting)
    assert file.stat().st_mtime_ns == before
    assert example.attrs["seed"] == arrays.seed_of_draw.values[0]
    np.testing.assert_array_equal(np.flatnonzero(example.labelled.values), np.sort(arrays.support.values[0]))
    assert (example.agreement.values[1:] >= 0.98).all()
    # D_s of the labelled clips, from the kept embeddings, is what the run logged.
    rows, label = arrays.support.values[0], run.target.label
    for loss in run.experiment.protocol.losses:
        x = example.embedding.sel(state=loss).values[rows].astype(np.float64)
        gap = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=-1))
        same = (label[rows][:, None] == label[rows][None]) & ~np.eye(len(rows), dtype=bool)
        logged = float(arrays.d_same.sel(loss=loss, frozen=0, step=4, draw=0))
        np.testing.assert_allclose(gap[same].mean(), logged, rtol=1e-3)


def test_an_example_of_other_results_is_computed_again(run, setting, report, tmp_path):
    file = run.path / "report" / "example_abs_difference_corpus.nc"
    good = file.read_bytes()
    other = dataclasses.replace(run, provenance={**run.provenance, "revision": "another"})
    try:
        assert embeddings.example(other, setting).attrs["made_from"] != embeddings._fingerprint(run)
        file.write_bytes(b"not a table of arrays")
        assert embeddings.example(run, setting).attrs["made_from"] == embeddings._fingerprint(run)
        # Arrays of this run that were changed in place are not those of their digest.
        mended = xr.load_dataset(file, engine="h5netcdf")
        (mended.assign(embedding=mended.embedding + 1)).to_netcdf(file, engine="h5netcdf")
        np.testing.assert_array_equal(embeddings.example(run, setting).embedding, mended.embedding)
        with xr.open_dataset(file, engine="h5netcdf") as mended:
            assert mended.attrs["made_from"] == embeddings._fingerprint(run)
    finally:
        file.write_bytes(good)


def test_distances_between_emotions(run, setting, report, arrays):
    table = next(t for t in tables_of(report[1]) if t.caption.startswith("Distances"))
    values = arrays[distances.NAME].sel(loss="ratio", frozen=0, step=4).values[:, 0, 1]
    interval = scipy.stats.t.interval(0.9, 3, values.mean(), scipy.stats.sem(values))
    row = next(row for row in table.rows if row[0] == "anger – happiness")
    column = [*table.header].index("after ratio loss")
    assert row[column] == f"{values.mean():.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
    assert len(table.rows) == 11
    given = np.array([[[1.0, 4.0], [4.0, 3.0]], [[0.0, 4.0], [4.0, 0.0]]])
    np.testing.assert_array_equal(distances.separation(given), [2.0, np.nan])


def test_runs_that_kept_no_distances_have_no_such_section(run):
    def without(head, scope, n_speakers):
        with reproduction.Loaded.fine_tuning(run, head, scope, n_speakers) as arrays:
            return arrays.drop_vars(distances.NAME)

    old = dataclasses.replace(run)
    object.__setattr__(old, "fine_tuning", without)
    assert distances.section([old]) is None
    assert distances.section([run]) is not None


def test_words_never_hide_what_is_missing():
    interval = intervals.t_interval(np.array([[1.0, 2.0, 4.0], [1.0, np.nan, 2.0], [3.0, 3.0, 3.0]]), over="draws")
    assert text.estimate(interval, (0,)) == "2.3 [-1.5, 6.1]"
    assert text.estimate(interval, (1,)) == "not computable: NaN or infinite values"
    assert text.estimate(interval, (2,)) == "3.0 (interval not computable: no variance between the units)"
    assert text.number(-0.04, signed=True) == "0.0"
    assert text.number(float("nan")) == "not computable"
    assert [text.p_value(p) for p in (0.0004, 0.049, 1.0, float("nan"))] == [
        "< 0.001", "0.049", "1.000", "not computable"
    ]  # fmt: skip
    assert text.listed([]) == ""
    assert text.listed(["a", "b", "c"]) == "a, b and c"


def test_the_brief_claims_nothing_where_the_interval_holds_zero(run):
    (table,) = (block for block in overview.section([run]).blocks if isinstance(block, Table))
    found = [row for row in table.rows if row[0].startswith("Is ")]
    assert len(found) >= 5
    for _, verdict in found:
        if "not " in verdict.partition("(")[2]:  # the interval is not computable or not offered
            assert verdict.startswith("No claim can be made")
            continue
        low, high = (float(v) for v in verdict.partition("[")[2].partition("]")[0].split(", "))
        expected = "Yes: " if low > 0 else "No, it is behind: " if high < 0 else "No difference can be claimed: "
        assert verdict.startswith(expected)
    assert "over speakers" in table.caption


def test_several_runs_have_one_verdict_a_question_and_say_who_won(run):
    runs = [dataclasses.replace(run, label=label) for label in ("a", "b", "c")]
    blocks = overview.section(runs).blocks
    (table,) = (block for block in blocks if isinstance(block, Table))
    questions = [row[0] for row in table.rows]
    assert len(set(questions)) == len(questions)
    alone = next(block for block in overview.section([run]).blocks if isinstance(block, Table))
    assert questions == [row[0] for row in alone.rows]
    for (_, several), (_, single) in zip(table.rows, alone.rows, strict=True):
        answer, value = single.removesuffix(".").split(": ", 1)
        where = ("in all 3 runs", "in any of the 3 runs")
        assert several.startswith(tuple(f"{answer} {words}: a {value}; b {value}" for words in where))
    assert table.rows[0][0] == "Which method scores highest?"
    # Runs of one description share a sentence.
    assert len([block for block in blocks if isinstance(block, Paragraph)]) == 2
    assert blocks[0].text.startswith("a, b and c: ")


def test_the_highest_score_is_that_of_the_summary(run):
    (table,) = (block for block in overview.section([run]).blocks if isinstance(block, Table))
    fixed = [row for row in run.rows if (row.split, row.selection) == ("paper", "fixed") and row.uar_mean is not None]
    steps = run.experiment.report.fixed_steps
    shown = [
        row for row in fixed if (row.method == "fine_tuning" and row.steps == steps) or row.data == "source+target"
    ]
    best = max(row.uar_mean for row in shown)
    assert f": {best:.1f} [" in table.rows[0][1]


def test_verdicts_differ_by_run_where_the_runs_do():
    runs_of = {"yes": ["a +1.0", "b +2.0"], "no, it is behind": ["c -1.0"]}
    shown = "Yes in 2 of 3 runs (a +1.0; b +2.0). No, it is behind in 1 of 3 runs (c -1.0)."
    assert overview._joined(runs_of, 3) == shown


def test_a_stage_is_opened_once_for_a_page(workdir, setting, monkeypatch):
    fresh, opened = reproduction.load(workdir, "run"), []
    real = stored_workdir.stored_arrays
    monkeypatch.setattr(stored_workdir, "stored_arrays", lambda *a: (opened.append(a[1]), real(*a))[1])
    for split in ("paper", "speaker_disjoint", "paper"):
        fresh.tuned(setting, split)
        fresh.few_shot(setting, split)
    source_effect.read(workdir, "run", setting.head, setting.scope, "none", 4, fresh.arrays)
    assert len(opened) == len(set(opened)) > 2


def test_a_figure_is_drawn_once(monkeypatch):
    drawn, real = [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: (drawn.append(1), real(self, renderer))[1])
    image = figures.png(lambda: figures.panel(2.0)[0])
    assert len(drawn) == 1
    assert image.startswith(b"\x89PNG")
    assert int.from_bytes(image[16:20], "big") == round(figures.WIDTH * figures.DPI)


def test_provenance_names_every_setting(run, report):
    table = next(t for t in tables_of(report[1]) if t.caption == "Every setting.")
    assert {row[0] for row in table.rows} == set(config.flat(run.experiment))
    made = next(t for t in tables_of(report[1]) if t.caption.startswith("How these results"))
    kept = json.loads((run.path / "provenance.json").read_text())
    assert any(kept["revision"] in row[1] for row in made.rows)
    assert any(kept["packages"]["jax"] in row[1] for row in made.rows)


@pytest.mark.parametrize(
    ("n_units", "with_interval", "with_test"), [(9, False, False), (10, True, False), (12, True, True)]
)
def test_an_interval_and_its_test_are_offered_each_from_its_own_number_of_units(n_units, with_interval, with_test):
    numbers = [np.float32(value) for value in (0.02, 0.01, 0.03, 0.005, 9.0)]
    interval = records.Interval(
        *numbers, np.int32(n_units), np.int32(0), np.False_, 0.95, "two-way jackknife t", "speakers+seeds"
    )
    ((shown, test),) = paired._claim_column([interval])
    assert (shown == "+2.0 [+1.0, +3.0]") == with_interval
    assert ("not offered" in shown + test) != with_test
    assert ("→" in test) == with_test

"""The Markdown of a work directory: each cell is that of its own setting, of records whose numbers all differ."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import smoke
from siamese_jax.experiments.calibration import AcceptedRow, CalibrationRow
from siamese_jax.experiments.cross_training import records as cross_training_records
from siamese_jax.experiments.cross_training.matrix import MATRIX, cell_name, chosen, comparison
from siamese_jax.experiments.records import Difference, Row
from siamese_jax.experiments.transfer import TransferRow
from siamese_jax.protocols import config
from siamese_jax.report.cross_training import tables
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.paper import calibration, claims, differences, figure2, several_sources, table1, transfer
from siamese_jax.report.paper import crossed as crossed_page
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Fold, Table
from siamese_jax.report.sections import overview

SCOPES, SPLITS = ("corpus", "speaker"), ("paper", "speaker_disjoint")


@pytest.fixture(scope="module")
def experiment():
    given: ConfigDict = smoke.get_config()
    given.data.scalings = SCOPES
    given.network.heads = ("abs_difference", "extra_layer")
    given.protocol.baselines = ("logistic_regression",)
    return config.resolve(given)


def row(uar, **fields):
    given = {
        "source": "a", "target": "b", "loss": None, "head": None, "frozen": None, "n_speakers": None, "steps": None,
        "selection": "cell", "interval": "t", "n_seeds": 2, "n_draws": 3, "uar_sd": 1.0, "ci_low": uar - 2,
        "ci_high": uar + 1, "wa_mean": 1.0, "n_speaker_sets": None, "remarks": "", "seconds": 0.0,
    }  # fmt: skip
    return Row(**{**given, **fields, "uar_mean": uar})


@pytest.fixture(scope="module")
def rows(experiment):
    """A row for each setting; every UAR differs from all others by 0.1 or more."""
    protocol, uar, found = experiment.protocol, itertools.count(100), []
    for head, scope, split in itertools.product(experiment.network.heads, SCOPES, SPLITS):
        shared = {"head": head, "scaling": scope, "split": split}
        for method, data in (("oodt", "source"), ("idt", "loso")):
            found.append(row(next(uar) / 10, **shared, method=method, data=data, loss="none", n_draws=0))
        cells = itertools.product(protocol.losses, protocol.frozen, protocol.n_speakers, protocol.steps[1:])
        for loss, frozen, n_speakers, steps in cells:
            cell = {**shared, "loss": loss, "frozen": frozen, "n_speakers": n_speakers, "steps": steps}
            for selection in ("cell", "best", "fixed"):
                if selection == "cell" or (frozen == 0 and n_speakers == 4):
                    cell |= {"method": "fine_tuning", "data": "source+target", "selection": selection}
                    found.append(row(next(uar) / 10, **cell))
    for scope, split in itertools.product(SCOPES, SPLITS):
        shared = {"method": "logistic_regression", "scaling": scope, "split": split}
        for data, selection in itertools.product(("source+target", "target"), ("cell", "best", "fixed")):
            for n_speakers in protocol.n_speakers if selection == "cell" else (4,):
                cell = {**shared, "data": data, "selection": selection, "n_speakers": n_speakers}
                found.append(row(next(uar) / 10, **cell))
    return found


def of(rows, **fields):
    (found,) = (r for r in rows if all(getattr(r, name) == value for name, value in fields.items()))
    return found.uar_mean


def test_table_1_has_the_rows_of_its_head_scope_steps_and_split(experiment, rows):
    keys = itertools.product(experiment.network.heads, SCOPES, SPLITS, experiment.protocol.losses, (5, 10))
    optimism = [
        {"method": "fine_tuning", "data": "source+target", "head": head, "scaling": scope, "split": split,
         "loss": loss, "steps": steps, "best_chosen_on_other_draws": 500.0 + i}
        for i, (head, scope, split, loss, steps) in enumerate(keys)
    ]  # fmt: skip
    for head, scope in itertools.product(experiment.network.heads, SCOPES):
        lines = {line[0] + line[2][:4]: line for line in table1.lines(experiment, rows, optimism, head, scope)}
        setting = {"scaling": scope, "head": head}
        for name, method in (("OODT, Siamese", "oodt"), ("IDT, Siamese", "idt")):
            expected = [of(rows, **setting, method=method, split=split) for split in SPLITS]
            assert [float(cell.split(" ")[0]) for cell in lines[name][3:5]] == expected
        for loss, selection in itertools.product(experiment.protocol.losses, ("best", "fixed")):
            line = lines[table1.LOSS_NAMES[loss] + selection[:4]]
            cell = {**setting, "loss": loss, "steps": 10, "selection": selection}
            expected = [of(rows, **cell, split=split) for split in SPLITS]
            assert [float(shown.split(" ")[0]) for shown in line[3:5]] == expected
            assert f"[{expected[0] - 2:.1f}, {expected[0] + 1:.1f}], sd 1.0" in line[3]
            key = {**setting, "loss": loss, "steps": 10, "split": "paper"}
            chosen = next(r for r in optimism if key.items() <= r.items())["best_chosen_on_other_draws"]
            assert line[5] == (f"{chosen:.1f}" if selection == "best" else "")
        for line in table1.lines(experiment, rows, optimism, head, scope):
            if line[0] == "logistic regression":
                data = next(name for name, words in table1.DATA_NAMES.items() if words == line[1])
                cell = {"method": "logistic_regression", "scaling": scope, "data": data, "selection": line[2][:5]}
                cell["selection"] = cell["selection"].partition(":")[0]
                expected = [of(rows, **cell, split=split) for split in SPLITS]
                assert [float(shown.split(" ")[0]) for shown in line[3:5]] == expected


def test_figure_2_draws_the_cells_and_references_of_its_head_scope_and_depth(experiment, rows):
    axes = iter(figure2.draw(experiment, rows).axes)
    n_speakers = experiment.protocol.n_speakers
    for head, scope, frozen in itertools.product(experiment.network.heads, SCOPES, experiment.protocol.frozen):
        axis, setting = next(axes), {"scaling": scope, "split": "paper"}
        drawn = {line.get_label(): line[0].get_ydata().tolist() for line in axis.containers}
        for loss in experiment.protocol.losses:
            cell = {**setting, "head": head, "loss": loss, "frozen": frozen, "steps": 10, "selection": "cell"}
            cell |= {"method": "fine_tuning"}
            assert drawn[figure2.SHORT_NAMES[loss]] == [of(rows, **cell, n_speakers=k) for k in n_speakers]
        cell = {**setting, "method": "logistic_regression", "data": "source+target", "selection": "cell"}
        assert drawn["logistic regression, source + target"] == [of(rows, **cell, n_speakers=k) for k in n_speakers]
        levels = {line.get_label(): line.get_ydata()[0] for line in axis.get_lines()}
        for name, method in (("OODT", "oodt"), ("IDT", "idt")):
            assert levels[name] == of(rows, **setting, head=head, method=method)
        limits = figure2.panel(experiment, rows, head, scope, frozen).axes[0].get_ylim()
        shown = [r for r in rows if r.scaling == scope and r.split == "paper" and r.selection == "cell"]
        shown = [r for r in shown if r.head in (head, None) and r.steps in (10, None) and r.data != "target"]
        lowest = min(r.ci_low if r.n_draws else r.uar_mean for r in shown)
        assert limits[0] == pytest.approx(lowest - 1)


def test_the_highest_score_is_of_the_fixed_cells_of_the_first_setting(experiment, rows):
    found = {name: r.uar_mean for name, r in overview._scores(SimpleNamespace(experiment=experiment, rows=rows))}
    setting = {"scaling": "corpus", "split": "paper", "selection": "fixed", "data": "source+target"}
    tuned = {"head": "abs_difference", "method": "fine_tuning", "steps": 10}
    names = {loss: figure2.SHORT_NAMES[loss].removeprefix("+ ") for loss in experiment.protocol.losses}
    expected = {name: of(rows, **setting, **tuned, loss=loss) for loss, name in names.items()}
    assert found == {**expected, "logistic regression": of(rows, **setting, method="logistic_regression")}


def test_several_sources_are_those_of_the_classifier_and_scaling(experiment):
    uar, rows, ranked = itertools.count(100), [], []
    for method, scope, split in itertools.product(("logistic_regression", "svm"), SCOPES, SPLITS):
        shared = {"method": method, "scaling": scope, "split": split}
        for source in ("a", "b"):
            rows.append(row(next(uar) / 10, **shared, source=source, data="source", n_draws=0))
            for k in (2, 4):
                rows.append(row(next(uar) / 10, **shared, source=source, data="source+target", n_speakers=k))
                numbers = {
                    name: next(uar) / 10
                    for name in ("uar_difference", "ci_low", "ci_high", "speakers_low", "speakers_high")
                }
                shares = {"share_nearest": {"a": next(uar) / 1000}}
                ranked.append({**shared, "source": source, "minus": "a+b", "n_speakers": k, **numbers, **shares})
    pages = list(several_sources.blocks(rows, ranked))
    settings = list(itertools.product(("logistic_regression", "svm"), SCOPES))
    for (method, scope), scores, gains in zip(settings, pages[::2], pages[1::2], strict=True):
        setting = {"method": method, "scaling": scope, "split": "speaker_disjoint"}
        for line in scores.rows:
            expected = [of(rows, **setting, source=line[0], data="source")]
            expected += [of(rows, **setting, source=line[0], data="source+target", n_speakers=k) for k in (2, 4)]
            assert [float(cell.split(" ")[0]) for cell in line[1:]] == expected
        of_setting = [r for r in ranked if setting.items() <= r.items()]
        for line in gains.rows[:2]:
            for k, cell in zip((2, 4), line[1:], strict=True):
                r = next(r for r in of_setting if (r["source"], r["n_speakers"]) == (line[0], k))
                assert cell == (
                    f"+{r['uar_difference']:.1f} [{r['ci_low']:.1f}, {r['ci_high']:.1f}] "
                    f"[{r['speakers_low']:.1f}, {r['speakers_high']:.1f}]"
                )


def plain(estimate, method, over, n_units):
    limits = {"estimate": estimate, "low": estimate - 0.5, "high": estimate + 2, "note": ""}
    return {**limits, "kind": f"95 % {method}", "method": method, "over": over, "n_units": n_units}


@pytest.mark.parametrize(
    ("n_speakers", "n_both", "offered"),
    [(14, 9, (False, False)), (15, 10, (True, True)), (14, 10, (False, True)), (15, 9, (True, False))],
)
def test_claims_are_offered_each_by_its_own_units(n_speakers, n_both, offered):
    gain = {
        "method": "ratio", "minus": "none", "n_speakers": 4, "frozen": 0, "steps": 10,
        "over_draws": plain(1.0, "t", "draws", 1000),
        "over_speakers": plain(2.0, "jackknife t", "speakers", n_speakers),
        "over_speakers_and_seeds": plain(3.0, "two-way jackknife t", "speakers+seeds", n_both),
        "sign_flip_p": 0.011, "sign_flip_p_holm": 0.022, "speakers_sign_flip_p": 0.033,
        "speakers_sign_flip_p_holm": 0.044,
    }  # fmt: skip
    ((_, draws, speakers, both, p_draws, p_speakers),) = claims._gains("", [gain]).rows
    assert (draws, p_draws) == ("+1.00 [+0.50, +3.00]", "0.011 → 0.022")
    assert speakers == "+2.00 [+1.50, +4.00]"
    assert (p_speakers == "0.033 → 0.044", both == "+3.00 [+2.50, +5.00]") == offered
    assert [words.startswith("not offered at ") for words in (p_speakers, both)] == [not known for known in offered]


def test_repeated_trainings_have_each_interval_under_its_name():
    kinds = {"over_seeds": ("t", "seeds"), "over_speakers": ("jackknife t", "speakers"),
             "over_speakers_and_seeds": ("two-way jackknife t", "speakers+seeds")}  # fmt: skip
    value = itertools.count(10)
    records = [
        {
            "source": "a", "target": "b", "protocol": "in_domain", "n_trainings": 20, "remarks": "", "head": head,
            "scaling": "corpus", "sd": next(value) / 10,
            "uar": {kind: plain(next(value), *method, 20) for kind, method in kinds.items()},
            "against_baselines": [{
                "minus": "svm", "minus_uar": 33.3,
                **{kind: plain(next(value), *kinds[kind], 20) for kind in ("over_speakers", "over_speakers_and_seeds")},
            }],
        } for head in ("x", "y")
    ]  # fmt: skip
    scores, gains = [block for block in claims.trainings(records) if isinstance(block, Table)]
    for r, of_head, gain in zip(records, scores.rows, gains.rows, strict=True):
        shown = [f"{r['uar'][kind]['estimate']:.2f}" for kind in kinds]
        assert [cell.split(" ")[0] for cell in of_head[1:4]] == shown
        assert (of_head[0], of_head[4]) == (f"{r['head']}, corpus", f"{r['sd']:.2f}")
        (other,) = r["against_baselines"]
        assert gain[0] == f"{r['head']}, corpus: network minus svm (33.3 %)"
        assert [float(cell.split(" ")[0]) for cell in gain[1:]] == [other[kind]["estimate"] for kind in list(kinds)[1:]]


def test_planning_and_trade_off_stand_under_their_points_and_speakers():
    gain = {"method": "ratio", "minus": "none", "n_speakers": 4, "frozen": 0, "steps": 10, "planning_note": "",
            "draws_needed_for_1_point": 37, "effect_size": plain(0.5, "t", "draws", 99)}  # fmt: skip
    gain |= {f"chance_of_{points}_points_in_ten_unpaired_draws": share for points, share in ((2, 0.123), (7, 0.045))}
    best = {"method": "ratio", "minus": "none", "steps": 10, "n_cells": 5, "note": "too few"}
    first, second = next(claims._planning([gain], [best])).blocks
    assert dict(zip(first.header[1:4], first.rows[0][1:4], strict=True)) == {
        "2 points by chance": "12.3 %", "7 points by chance": "4.5 %", "draws for 1 point": "37"
    }  # fmt: skip
    assert second.rows[0][1:] == ("too few", "too few")
    cells = list(itertools.product(("none", "ratio"), (0, 1), (5, 10), ((2, 4), (4, 8))))
    rows = [
        {"loss": loss, "frozen": frozen, "steps": steps, "from": a, "to": b,
         "gain_per_speaker": plain(10.0 + i, "t", "draws", 99)}
        for i, (loss, frozen, steps, (a, b)) in enumerate(cells)
    ]  # fmt: skip
    (table,) = claims._trade_off(rows)
    assert table.header[1:] == ("2 to 4 speakers", "4 to 8 speakers")
    for (key, *shown), i in zip(table.rows, range(0, len(rows), 2), strict=True):
        assert key == ", ".join(map(str, cells[i][:3]))
        assert [float(cell.split(" ")[0]) for cell in shown] == [10.0 + i, 11.0 + i]


def test_variance_components_stand_under_their_factors(monkeypatch):
    monkeypatch.setattr(figures, "png", lambda draw: b"")
    shares = {"frozen": 10.0, "speakers": 20.0, "draw": 5.0, "seed": 30.0, "frozen x seed": 15.0, "draw x seed": 20.0}
    record = {
        "source": "a", "target": "b", "levels": {"frozen": 2, "speakers": 3, "draw": 4, "seed": 5}, "remarks": "",
        "head": "h", "scaling": "corpus", "loss": "none", "steps": 10, "shares": shares, "components": shares,
        "note": "", "n_draws": 4, "n_seeds": 5,
    }  # fmt: skip
    said, table = list(crossed_page.blocks([record]))
    assert "2 depths of freezing x 3 numbers of speakers x 4 draws x 5 source seeds" in said.text
    assert dict(zip(table.header[1:], map(float, table.rows[0][1:]), strict=True)) == shares
    alt = crossed_page.picture(record, "p").alt
    assert alt.endswith("frozen 10.0 %, speakers 20.0 %, draw 5.0 %, seed 30.0 %, interactions 35.0 %.")


def test_bars_reach_from_the_estimate_down_and_up_to_the_limits():
    interval = SimpleNamespace(estimate=[3.0, 3.0], low=[-1.0, np.nan], high=[9.0, np.nan])
    value, lengths = figures.bars(interval, 2.0)
    assert value.tolist() == [6, 6]
    assert lengths.tolist() == [[8, 0], [12, 0]]


TRANSFER = TransferRow(
    source="a", target="b", features="is09", method="logistic_regression", loss="", c=0.1, mode="inductive",
    adaptation="none", within="", strength=0.0, proportions="", thinned=1.0, scaling="corpus", split="speaker_disjoint",
    n_speakers=2, n_labelled=8, n_draws=3, uar_mean=40.0, uar_sd=1.0, wa_mean=41.0, ci_low=39.0, ci_high=42.0,
    speakers_low=33.0, speakers_high=44.0, interval="t", baseline_c=0.1, gain=3.0, gain_low=2.5, gain_high=3.5,
    gain_speakers_low=-1.0, gain_speakers_high=5.0, p_value=0.01, p_holm=0.06, remarks="", seconds=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({}, "40.0 [33.0, 44.0]; +3.0 [-1.0, +5.0]"),
        ({"p_holm": 0.049}, "40.0 [33.0, 44.0]; +3.0 [-1.0, +5.0]*"),
        ({"p_holm": None}, "40.0 [33.0, 44.0]; +3.0 [-1.0, +5.0]"),
        ({"gain": None}, "40.0 [33.0, 44.0] (reference)"),
    ],
)
def test_a_transfer_row_has_its_intervals_over_speakers_and_a_star_by_the_adjusted_p(changes, cell):
    assert transfer._cell(dataclasses.replace(TRANSFER, **changes)) == cell


def test_tables_of_transfer_hold_the_rows_of_their_scaling_mode_ratio_and_labelled_clips():
    uar = itertools.count(100)
    rows = [
        dataclasses.replace(TRANSFER, uar_mean=next(uar) / 10, thinned=thinned, scaling=scaling, n_labelled=n, c=c)
        for thinned, scaling, n, c in itertools.product((1.0, 2.0), SCOPES, (8, 80), (0.1, 1.0))
    ]
    parts = transfer.markdown(rows).split("\n## ")[1:]
    for part, (thinned, scaling) in zip(parts, itertools.product((1.0, 2.0), SCOPES), strict=True):
        assert part.startswith(f"Scaled by {scaling}, inductive")
        assert ("2 : 1" in part) == (thinned == 2)
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if "C = " in line]
        for line, c in zip(lines, (0.1, 1.0), strict=True):
            cell = {"thinned": thinned, "scaling": scaling, "c": c}
            expected = [of(rows, **cell, n_labelled=n) for n in (8, 80)]
            assert [float(shown.split(" ")[0]) for shown in line[1:]] == expected


def numbered(kind, **fields):
    """A record whose numbers all differ."""
    value = itertools.count(11)
    made = {"str": "x", "int": 0, "float": 0.0, "float | None": 0.0}
    given = {}
    for field in dataclasses.fields(kind):
        given[field.name] = {} if "dict" in str(field.type) else [] if "list" in str(field.type) else "x"
        if (field.type in made and field.type != "str") or field.type in (int, float, float | None):
            given[field.name] = next(value) if field.type in ("int", int) else next(value) / 1000
    return kind(**{**given, **fields})


def cells_of(lines):
    header, _, *body = [line for line in "".join(lines).splitlines() if line.startswith("|")]
    names, *shown = ([cell.strip() for cell in line.strip("|").split("|")] for line in (header, *body))
    return [dict(zip(names, row, strict=True)) for row in shown]


def test_each_number_of_calibration_stands_under_its_name():
    r = numbered(CalibrationRow, c=0.1, adaptation="none")
    (found,) = cells_of(calibration._calibration_table([r]))
    assert found == {
        "target": "x", "method": "x, C = 0.1", "scaled by": "x", "clips": str(r.n_labelled), "draws": str(r.n_draws),
        "n": str(r.n), "T (prior)": f"{r.temperature:.2f} ({r.prior:.2f})", "ECE before": f"{r.ece_before:.3f}",
        "ECE (ideal)": f"{r.ece:.3f} ({r.ece_ideal:.3f}, {r.ece_ideal_clips:.3f})",
        "log loss before": f"{r.log_loss_before:.3f}", "log loss": f"{r.log_loss:.3f}",
        "Brier before": f"{r.brier_before:.3f}", "Brier": f"{r.brier:.3f}", "labels changed": str(r.labels_changed),
    }  # fmt: skip
    r = numbered(AcceptedRow, c=0.1, adaptation="none", rule="set")
    (found,) = cells_of(calibration._accepted_table([r]))
    assert found == {
        "target": "x", "method": "x, C = 0.1", "scaled by": "x", "clips": str(r.n_labelled), "rule": "set",
        "stated error": f"{100 * r.stated:.0f}", "error": f"{100 * r.error:.1f} +- {100 * r.error_sd:.1f}",
        "share accepted": f"{100 * r.share:.1f} +- {100 * r.share_sd:.1f}", "oracle's share": f"{100 * r.oracle:.1f}",
        "draws that accept none": str(r.n_none), "error of all": f"{100 * r.error_all:.1f}",
    }  # fmt: skip


def test_differences_are_those_of_the_fewest_frozen_layers_by_speakers_and_steps():
    value, rows = itertools.count(100), []
    for split, frozen, n_speakers, steps in itertools.product(SPLITS, (1, 0), (2, 4), (5, 10)):
        cell = {"split": split, "frozen": frozen, "n_speakers": n_speakers, "steps": steps, "uar_difference": 0.0}
        made = numbered(Difference, **cell, remarks="")
        rows.append(dataclasses.replace(made, uar_difference=next(value) / 10))
    for part, split in zip(differences.markdown(rows).split("\n## ")[1:], SPLITS, strict=True):
        for line in cells_of([part]):
            for steps in (5, 10):
                cell = {"split": split, "frozen": 0, "n_speakers": int(line["speakers"]), "steps": steps}
                (r,) = (r for r in rows if all(getattr(r, key) == v for key, v in cell.items()))
                assert line[f"{steps} steps"].startswith(f"+{r.uar_difference:.1f} [")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.5, 2.0, "leaves out 0"), (-0.5, 2.0, "no difference can be claimed"), (-2.0, -0.5, "leaves out 0"),
     (-2.0, 0.5, "no difference can be claimed"), (None, None, "no claim can be made")],
)  # fmt: skip
def test_a_difference_of_cross_trainings_is_claimed_where_its_interval_leaves_out_0(low, high, words):
    found = numbered(cross_training_records.Difference, difference=0.7, low=low, high=high)
    assert words in tables._claim(found)


def test_a_corpus_of_a_cross_training_is_shown_under_the_configured_decision(tmp_path):
    decisions = [("ravdess", "svm"), ("ravdess", "mean"), ("ravdess", None), ("emodb", "mean")]
    rows = [numbered(cross_training_records.Row, corpus=corpus, decision=decision) for corpus, decision in decisions]
    run = Matrix(tmp_path, "run", {"decision": "mean"}, (), {"ravdess": {}, "emodb": {}}, rows, [], {}, ())
    assert [r.decision for r in run.chosen("ravdess")] == ["mean", None]
    assert [r.corpus for r in run.chosen("emodb")] == ["emodb"]


@pytest.fixture
def crossed(tmp_path):
    """A cross-training of two corpora and views whose rows are under two decisions; every score differs."""
    score, names = itertools.count(100), ("ravdess", "emodb")
    views, config_of = ("waveform", "spectrogram"), {"decision": "vote", "split": "speakers"}
    rows = []
    for cell, decision in itertools.product(chosen((MATRIX,), names, views), ("vote", "mean")):
        scores = {name: next(score) / 10 for name in ("uar", "uar_low", "uar_high", "wa", "wa_low", "wa_high")}
        named = {"name": cell_name(cell), "system": "facenet", "corpus": cell.fine_tuning.corpus, "split": "speakers"}
        rows.append(numbered(cross_training_records.Row, **named, decision=decision, trained_on="folds", **scores))
    for corpus in names:
        for name in ("worse", "better"):
            named = {"name": name, "system": "svm", "corpus": corpus, "split": "speakers", "uar": next(score) / 10}
            rows.append(numbered(cross_training_records.Row, **named, decision=None, trained_on="folds"))
    differences_of = []
    for family, corpus in itertools.product(("pre-training", "systems"), names):
        for cell in comparison(names, corpus)[::-1]:
            other = next(c for c in comparison(names, corpus) if c != cell)
            named = {"family": family, "corpus": corpus, "name": cell_name(cell), "minus": cell_name(other)}
            scores = {"difference": next(score) / 10, "low": 1.0, "high": 99.0, "p": 0.01, "p_adjusted": 0.02}
            differences_of.append(numbered(cross_training_records.Difference, **named, **scores))
    config_of |= {"views": views, "images": {"size": 1}, "segments": {"seconds": 1}, "network": {"width": 1}}
    return Matrix(tmp_path, "run", config_of, ("a", "b"), {name: {} for name in names}, rows, differences_of, {}, ())


def test_the_matrix_has_each_cell_under_the_configured_decision(crossed):
    uar, wa, decided = tables.matrix(crossed, 0)
    for table, measure in ((uar, "uar"), (wa.blocks[0], "wa")):
        for before, *cells in table.rows:
            for after, shown in zip(table.header[1:], cells, strict=True):
                corpus, view = after.split("/")
                name = f"FaceNet on the {view}, {'not ' * (before == 'none')}pre-trained"
                name += "" if before == "none" else f" on {before}"
                (r,) = (r for r in crossed.rows if (r.corpus, r.name, r.decision) == (corpus, name, "vote"))
                low, high = (getattr(r, f"{measure}_{end}") for end in ("low", "high"))
                assert shown == f"{getattr(r, measure):.1f} [{low:.1f}, {high:.1f}]"
    for cell, *shown in decided.blocks[0].rows:
        corpus, _, name = cell.partition(": ")
        for decision, value in zip(decided.blocks[0].header[1:], shown, strict=True):
            (r,) = (r for r in crossed.rows if (r.corpus, r.name, r.decision) == (corpus, name, decision))
            assert value.startswith(f"{r.uar:.1f} [")


def test_a_corpus_is_summed_up_by_its_own_comparison_best_system_and_differences(crossed):
    said = [block.text for block in tables.brief(crossed, 0)]
    made = [block for block in tables.differences(crossed, 0) if isinstance(block, Table | Fold)]
    for corpus, pretraining in zip(crossed.described, made[: len(crossed.described)], strict=True):
        before, after = comparison(list(crossed.described), corpus)
        own = {r.name: r for r in crossed.rows if r.corpus == corpus and r.decision in ("vote", None)}
        for cell in (before, after):
            r = own[cell_name(cell)]
            assert any(text.startswith(f"{r.name}: UAR {r.uar:.1f} [") and f"WA {r.wa:.1f} [" in text for text in said)
        assert any(f"better, UAR {own['better'].uar:.1f}" in text for text in said)
        assert not any("worse" in text for text in said)
        found = [d for d in crossed.differences if (d.family, d.corpus) == ("pre-training", corpus)]
        (gain,) = (d for d in found if (d.name, d.minus) == (cell_name(after), cell_name(before)))
        assert any(text.startswith(f"Spectrogram pre-training, paired: +{gain.difference:.1f} ") for text in said)
        assert [row[1].split(" ")[0] for row in pretraining.rows] == [f"+{d.difference:.1f}" for d in found]
        assert {row[2] for row in pretraining.rows} == {"0.010 → 0.020"}


def test_systems_are_sorted_with_each_number_under_its_name(crossed):
    for block, corpus in zip([b for b in tables.systems(crossed, 0) if isinstance(b, Table)], crossed.described):
        own = {r.name: r for r in crossed.rows if r.corpus == corpus and r.decision in ("vote", None)}
        assert [row[0] for row in block.rows] == sorted(own, key=lambda name: -own[name].uar)
        for row in block.rows:
            shown, r = dict(zip(block.header, row, strict=True)), own[row[0]]
            assert shown["parameters"] == f"{r.parameters:,}"
            assert shown["trainings pooled"] == str(r.n_runs * r.n_folds)
            assert shown["training, s"] == f"{r.training_seconds:.1f} + {r.pretraining_seconds:.1f}"
            assert (shown["images/s"], shown["ms a clip"]) == (f"{r.images_per_second:.0f}", f"{r.ms_per_clip:.2f}")


def test_a_p_value_stands_before_its_adjustment():
    assert text.adjusted_p(0.0123, 0.0456) == "0.012 → 0.046"
    assert text.adjusted_p(0.0001, None) == "not computable"

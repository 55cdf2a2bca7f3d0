"""The first section: a verdict on each question, over all runs at once and no stronger than the numbers."""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from siamese_jax.experiments.records import Row
from siamese_jax.experiments.summary import COMPARISONS
from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.paper.figure2 import SHORT_NAMES
from siamese_jax.report.paper.table1 import CLASSIFIER_NAMES
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Alert, Block, Paragraph, Section, Table
from siamese_jax.report.sections.paired import Pair
from siamese_jax.stats import coverage

YES, NO, OPEN, NONE = "yes", "no, it is behind", "no difference can be claimed", "no claim can be made"
NAMES = {
    "none": "plain fine-tuning", "ratio": "the ratio loss", "ratio_bounded": "the bounded ratio loss",
    "cross_entropy_twice": "the control (a second update of the cross entropy)",
}  # fmt: skip
VERDICTS = (YES, NO, OPEN, NONE)


def section(runs: list[Loaded]) -> Section:
    """In short."""
    blocks: list[Block] = [Alert(f"{run.label}: {note}") for run in runs for note in run.notes]
    blocks += [Alert(f"{run.label}: per-clip results are left out: {run.missing}.") for run in runs if run.missing]
    tuned = [run for run in runs if settings(run.experiment)]
    if tuned:
        blocks += [Paragraph(sentence) for sentence in _described(tuned)]
        blocks.append(_verdicts(tuned))
    blocks.append(Paragraph(
        "The paper's split tests all clips that were not drawn, the drawn speakers' others among them; the scores on "
        "other speakers only are given below. If features are scaled by corpus or by speaker, the unlabelled test "
        "clips were seen. Intervals over draws or seeds are Monte Carlo error; only intervals over speakers speak "
        "about other people. A verdict is on one of several comparisons: see the corrected tests."
    ))  # fmt: skip
    return Section("In short", blocks)


def _described(runs: list[Loaded]) -> Iterator[str]:
    """What was run, runs of one description together."""
    labels_of: dict[str, list[str]] = {}
    for run in runs:
        what = f"{run.corpora}, {', '.join(run.experiment.data.emotions)} ({_first(run).name}; {run.fixed_name})"
        draws = text.plural(run.experiment.protocol.n_draws, "draw")
        labels_of.setdefault(f"{what}, {draws}", []).append(run.label)
    for what, labels in labels_of.items():
        yield f"{text.listed(labels)}: {what}." if len(runs) > 1 else f"{what}."


def _first(run: Loaded) -> Setting:
    return settings(run.experiment)[0]


def _verdicts(runs: list[Loaded]) -> Table:
    whole = [run for run in runs if not run.missing]
    rows = [("Which method scores highest?", _winners(runs))]
    for a, b in COMPARISONS:
        answers = _answers(whole, functools.partial(_loss_pair, a=a, b=b))
        rows += [(f"Is {NAMES[a]} ahead of {NAMES[b]}?", answers)] if answers else []
    for classifier in CLASSIFIER_NAMES.values():
        for loss in ("ratio", "none"):
            answers = _answers(whole, functools.partial(_classifier_pair, loss=loss, classifier=classifier))
            rows += [(f"Is {NAMES[loss]} ahead of {classifier}?", answers)] if answers else []
    level = 100 * runs[0].experiment.report.level
    caption = (
        "One verdict a question, on the paper's split and the fixed cell. Scores: UAR in per cent with the "
        f"{level:g} % t interval over draws. Differences: points of UAR with the interval over speakers and source "
        "seeds, or over speakers where that is not offered; a verdict needs an interval that leaves out 0."
    )
    return Table(caption, ("question", "verdict"), rows)


def _winners(runs: list[Loaded]) -> str:
    """The best method of each run, with its score and the next best's."""
    runs_of: dict[str, list[str]] = {}
    for run in runs:
        scores = sorted(_scores(run), key=lambda pair: -pair[1].uar_mean)  # type: ignore[operator]  # only numbers
        if not scores:
            runs_of.setdefault("not computable", []).append(_in(run, runs, ""))
            continue
        (best, row), *others = scores
        ahead = f" before {others[0][0]} {_score(others[0][1])}" if others else ""
        runs_of.setdefault(best, []).append(_in(run, runs, _score(row) + ahead))
    return _joined(runs_of, len(runs))


def _scores(run: Loaded) -> Iterator[tuple[str, Row]]:
    setting, steps = _first(run), run.experiment.report.fixed_steps
    for row in run.rows:
        if (row.split, row.selection, row.scaling) != ("paper", "fixed", setting.scope) or row.uar_mean is None:
            continue
        if (row.method, row.head, row.steps) == ("fine_tuning", setting.head, steps):
            yield SHORT_NAMES[str(row.loss)].removeprefix("+ "), row
        elif row.method in CLASSIFIER_NAMES and row.data == "source+target":
            yield CLASSIFIER_NAMES[row.method], row


def _score(row: Row) -> str:
    return text.bounded(row.uar_mean, row.ci_low, row.ci_high)


def _loss_pair(run: Loaded, a: str, b: str) -> Pair | None:
    by_loss, seeds = run.tuned(_first(run), "paper")
    return Pair("", by_loss[a], by_loss[b], seeds) if a in by_loss and b in by_loss else None


def _classifier_pair(run: Loaded, loss: str, classifier: str) -> Pair | None:
    if not run.experiment.protocol.baselines:
        return None
    (by_loss, seeds), few_shot = run.tuned(_first(run), "paper"), run.few_shot(_first(run), "paper")
    if loss not in by_loss or classifier not in few_shot:
        return None
    return Pair("", by_loss[loss], few_shot[classifier], seeds)


def _answers(runs: list[Loaded], pair_of: Callable[[Loaded], Pair | None]) -> str:
    """The verdict on a comparison, with the runs' differences; "" where no run makes it."""
    pairs = [(run, pair) for run in runs if (pair := pair_of(run)) is not None]
    runs_of: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
    for run, pair in pairs:
        verdict, value = _verdict(pair, run.experiment.report.level)
        runs_of[verdict].append(_in(run, [run for run, _ in pairs], value))
    return _joined({verdict: found for verdict, found in runs_of.items() if found}, len(pairs))


def _verdict(pair: Pair, level: float) -> tuple[str, str]:
    interval = pair.difference.over_speakers_and_seeds(level)
    n = int(interval.n_units)
    if n < 2 or interval.kind not in coverage.offered_methods(n, "speakers+seeds"):
        interval = pair.difference.over_speakers(level)
    low, high = float(interval.low), float(interval.high)
    value = text.estimate(interval, factor=100, signed=True)
    if not np.isfinite(low + high):
        return NONE, value
    return (YES if low > 0 else NO if high < 0 else OPEN), value


def _in(run: Loaded, runs: list[Loaded], value: str) -> str:
    return f"{run.label} {value}".strip() if len(runs) > 1 else value


def _joined(runs_of: dict[str, list[str]], n_runs: int) -> str:
    """ "Yes in all 3 runs: a +1.0 [...]; b ...", or the runs of each answer."""
    if n_runs == 1:
        ((answer, values),) = runs_of.items()
        sentence = f"{answer}: {values[0]}"
    elif len(runs_of) == 1:
        ((answer, values),) = runs_of.items()
        where = f"in any of the {n_runs} runs" if answer in (OPEN, NONE) else f"in all {n_runs} runs"
        sentence = f"{answer} {where}: {'; '.join(values)}"
    else:
        parts = [f"{answer} in {len(values)} of {n_runs} runs ({'; '.join(values)})"
                 for answer, values in sorted(runs_of.items(), key=lambda pair: -len(pair[1]))]  # fmt: skip
        sentence = ". ".join(part[0].upper() + part[1:] for part in parts)
    return sentence[:1].upper() + sentence[1:] + "." if runs_of else ""

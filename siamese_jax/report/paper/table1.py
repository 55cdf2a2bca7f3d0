"""Table 1 of Feng & Chaspari 2020 as this run finds it, in Markdown, compared with the paper's own numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.experiments.records import Row, joined
from siamese_jax.protocols.config import Experiment
from siamese_jax.report.render import text
from siamese_jax.report.render.markdown import escape

PAPER = {  # the paper's Table 1 (UAR, per cent) by source and target; fine-tuning by loss, best of its grid
    ("enterface05", "ravdess"): {"oodt": 32.8, "idt": 50.0, "none": 32.9, "ratio": 39.9},
    ("cremad", "ravdess"): {"oodt": 29.3, "idt": 50.0, "none": 37.8, "ratio": 43.4},
}

LOSS_NAMES = {
    "none": "Siamese fine-tuning",
    "ratio": "Siamese fine-tuning + ratio loss",
    "ratio_bounded": "Siamese fine-tuning + bounded ratio loss",
    "cross_entropy_twice": "Siamese fine-tuning + second cross-entropy update (control)",
}
CLASSIFIER_NAMES = {"logistic_regression": "logistic regression", "svm": "RBF SVM"}
DATA_NAMES = {
    "source": "source",
    "loso": "target, leave one speaker out",
    "target": "target clips",
    "source+target": "source + target clips",
}
COLUMNS = ("method", "training data", "cell", "UAR %, paper's split", "UAR %, other speakers only",
           "best cell chosen on other draws", "the paper")  # fmt: skip


def markdown(experiment: Experiment, rows: list[Row], optimism: list[dict[str, Any]]) -> str:
    """One table for each head and scaling scope, as Markdown, of all rows; `optimism`: see `summary.optimism`."""
    parts = [f"# {escape(f'{rows[0].source} to {rows[0].target}')}\n\n{preamble(experiment)}"]
    shown = columns(rows)
    header = f"| {' | '.join(shown)} |\n" + "|---" * len(shown) + "|\n"
    for scope in experiment.data.scalings:
        for head in experiment.network.heads:
            cells = (line[: len(shown)] for line in lines(experiment, rows, optimism, head, scope))
            body = "".join(f"| {' | '.join(line)} |\n" for line in cells)
            parts.append(f"## head {head}, features scaled by {scope}\n\n{header}{body}")
    return "\n".join(parts)


def columns(rows: list[Row]) -> tuple[str, ...]:
    """The first of COLUMNS: all, or without the paper's if it has no numbers for these corpora."""
    return COLUMNS if (rows[0].source, rows[0].target) in PAPER else COLUMNS[:-1]


def side_by_side(experiments: Mapping[str, Experiment], rows: Mapping[str, list[Row]]) -> str:
    """Table 1 of several experiments by name, as Markdown: UAR on other speakers' clips, a column each."""
    names, first = list(experiments), next(iter(experiments))
    corpora = {name: f"{rows[name][0].source} to {rows[name][0].target}" for name in names}
    title = "; ".join(dict.fromkeys(corpora.values()))
    parts = [f"# {escape(title)}\n\n{preamble(experiments[first])}"]
    titles = ["method", "training data", "cell", *(f"UAR %, {escape(name)}" for name in names)]
    for scope in experiments[first].data.scalings:
        for head in experiments[first].network.heads:
            body: dict[tuple[str, str, str], dict[str, str]] = {}
            for name in names:
                for method, data, cell, _, uar, *_ in lines(experiments[name], rows[name], [], head, scope):
                    selection, _, detail = cell.partition(": ")
                    value = f"{uar}; {detail}" if selection == "best" else uar
                    body.setdefault((method, data, selection), {})[name] = value
            header = f"| {' | '.join(titles)} |\n" + "|---" * len(titles) + "|\n"
            table = "".join(
                f"| {' | '.join([*key, *(values.get(name, '') for name in names)])} |\n" for key, values in body.items()
            )
            parts.append(f"## head {head}, features scaled by {scope}, other speakers' clips\n\n{header}{table}")
    return "\n".join(parts)


def preamble(experiment: Experiment) -> str:
    """The meaning of Table 1's numbers."""
    protocol, report = experiment.protocol, experiment.report
    return (
        f"Emotions: {', '.join(experiment.data.emotions)}. {text.ABBREVIATIONS} Means over {protocol.n_draws} draws of "
        f"labelled clips, each starting from one of {protocol.n_seeds} source trainings; OODT over those, IDT over "
        f"{protocol.n_in_domain_seeds} seeds. In brackets the {100 * report.level:g} % t interval over draws or seeds "
        "(Monte Carlo error on these speakers, not the spread over other speakers); for a classifier with a single set "
        "of predictions, the jackknife t interval over the target's speakers. Fine-tuning is evaluated at "
        f'{report.fixed_steps} steps. "Best" is the best cell of the grid, chosen on the test clips as in the paper; '
        "the column after it chooses the cell on the other draws. Scaling by corpus or by speaker sees the unlabelled "
        "test clips (transductive).\n"
    )


def lines(
    experiment: Experiment, rows: list[Row], optimism: list[dict[str, Any]], head: str, scope: str
) -> Iterator[tuple[str, ...]]:
    """The lines of one setting, a cell for each of COLUMNS; the paper's values only under its own corpora."""
    protocol, steps = experiment.protocol, experiment.report.fixed_steps
    paper = PAPER.get((rows[0].source, rows[0].target), {})
    of_head = of_scope([row for row in rows if row.head == head], scope)

    def reference(key: str) -> str:
        return f"{paper[key]}" if key in paper else ""

    for method, name, data in (("oodt", "OODT, Siamese", "source"), ("idt", "IDT, Siamese", "loso")):
        cell_rows = [row for row in of_head if row.method == method]
        if cell_rows:
            yield _line(name, DATA_NAMES[data], _scaled(cell_rows, scope), cell_rows, "", reference(method))
    for loss in protocol.losses:
        tuned = [row for row in of_head if (row.method, row.loss, row.steps) == ("fine_tuning", loss, steps)]
        for selection in ("best", "fixed"):
            cell_rows = [row for row in tuned if row.selection == selection]
            if cell_rows:
                best = selection == "best"
                chosen = _chosen_elsewhere(optimism, head=head, scaling=scope, loss=loss, steps=steps) if best else ""
                data, value = DATA_NAMES["source+target"], reference(loss) if best else ""
                yield _line(LOSS_NAMES[loss], data, selection, cell_rows, chosen, value)
    for method in protocol.baselines:
        for data in DATA_NAMES:
            for selection in ("cell",) if data in ("source", "loso") else ("best", "fixed"):
                key = method, data, selection
                cell_rows = of_scope([row for row in rows if (row.method, row.data, row.selection) == key], scope)
                if cell_rows:
                    cell = _scaled(cell_rows, scope) if selection == "cell" else selection
                    best = selection == "best"
                    chosen = _chosen_elsewhere(optimism, method=method, data=data, scaling=scope) if best else ""
                    yield _line(CLASSIFIER_NAMES[method], DATA_NAMES[data], cell, cell_rows, chosen, "")


def of_scope(rows: list[Row], scope: str) -> list[Row]:
    """The rows under an experiment's scope; OODT and IDT rows carry their substitute for that scope."""
    substitutes = {
        "loso": (IN_DOMAIN_SCOPE[scope],),
        "source": ("source", "corpus") if scope == "support" else (scope,),
    }
    picked = [row for row in rows if row.scaling in substitutes.get(row.data, (scope,))]
    preferred = {row.data for row in picked if row.scaling == "source"}  # "support": "source" before "corpus"
    return [row for row in picked if row.scaling == "source" or row.data not in preferred or scope != "support"]


def _scaled(rows: list[Row], scope: str) -> str:
    return "" if rows[0].scaling == scope else f"scaled by {rows[0].scaling}"


def _line(name: str, data: str, cell: str, rows: list[Row], chosen: str, paper: str) -> tuple[str, ...]:
    by_split = {row.split: row for row in rows}
    if cell in ("best", "fixed"):
        cells = {split: _cell(row) for split, row in by_split.items()}
        same = len(set(cells.values())) == 1
        named = {"paper": "the paper's split", "speaker_disjoint": "other speakers"}
        cell += ": " + (cells["paper"] if same else "; ".join(f"{cells[s]} ({named[s]})" for s in cells))
    cell = joined(cell, *dict.fromkeys(row.remarks for row in rows))
    scores = (_score(by_split.get(split)) for split in ("paper", "speaker_disjoint"))
    return name, data, cell, *scores, chosen, paper


def _cell(row: Row) -> str:
    frozen = "" if row.frozen is None else f"{row.frozen} frozen, "
    return f"{frozen}{row.n_speakers} speakers"


def _score(row: Row | None) -> str:
    if row is None or row.uar_mean is None:
        return "not computable"
    spread = "" if row.uar_sd is None else f", sd {row.uar_sd:.1f}"
    if row.ci_low is None:
        return f"{row.uar_mean:.1f} (interval not computable{spread})"
    return f"{row.uar_mean:.1f} [{row.ci_low:.1f}, {row.ci_high:.1f}]{spread}"


def _chosen_elsewhere(optimism: list[dict[str, Any]], **setting: str | int) -> str:
    key = setting | {"split": "paper"}
    chosen = [record["best_chosen_on_other_draws"] for record in optimism if key.items() <= record.items()]
    return f"{chosen[0]:.1f}" if chosen else ""

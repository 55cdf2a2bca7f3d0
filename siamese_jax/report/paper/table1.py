"""Table 1 of Feng & Chaspari 2020 as this run finds it, in Markdown, beside the paper's own numbers."""

from collections.abc import Iterator
from typing import Any

from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.experiments.rows import Row
from siamese_jax.protocols.config import Experiment

PAPER = {
    ("enterface05", "ravdess"): {"oodt": 32.8, "idt": 50.0, "none": 32.9, "ratio": 39.9},
    ("cremad", "ravdess"): {"oodt": 29.3, "idt": 50.0, "none": 37.8, "ratio": 43.4},
}
"""The paper's Table 1 (UAR, per cent) by source and target; fine-tuning by loss, best of its grid."""

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
COLUMNS = (
    "method",
    "learnt from",
    "cell",
    "UAR %, paper's split",
    "UAR %, other speakers only",
    "best cell chosen on other draws",
    "the paper",
)


def markdown(e: Experiment, rows: list[Row], optimism: list[dict[str, Any]]) -> str:
    """One table for each head and scaling scope, as Markdown.

    Args:
      e: the experiment.
      rows: all its rows.
      optimism: see `summary.optimism`.
    """
    source, target = rows[0].source, rows[0].target
    parts = [f"# {source} to {target}\n\n{preamble(e)}"]
    header = f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|\n"
    for scope in e.data.scalings:
        for head in e.network.heads:
            found = lines(e, rows, optimism, head, scope)
            parts.append(
                f"## head {head}, features scaled by {scope}\n\n{header}"
                + "".join(f"| {' | '.join(line)} |\n" for line in found)
            )
    return "\n".join(parts)


def preamble(e: Experiment) -> str:
    """What the numbers of Table 1 are."""
    return (
        f"Emotions: {', '.join(e.data.emotions)}. Means over {e.protocol.n_draws} draws of labelled clips, each "
        "starting from one "
        f"of {e.protocol.n_seeds} source trainings; OODT over those, IDT over {e.protocol.n_in_domain_seeds} seeds. "
        "In brackets "
        f"the {100 * e.report.level:g} % t interval over draws or seeds (Monte Carlo error on these speakers, not "
        "what other "
        "speakers would give); where a classifier gives one set of predictions, the jackknife t interval over the "
        f'target\'s speakers. Fine-tuning is read at {e.report.fixed_steps} steps. "Best" is the best cell of the '
        "grid, "
        "chosen on the test clips as in the paper; the column after it chooses the cell on the other draws. Scaling by "
        "corpus or by speaker sees the unlabelled test clips (transductive).\n"
    )


def lines(
    e: Experiment, rows: list[Row], optimism: list[dict[str, Any]], head: str, scope: str
) -> Iterator[tuple[str, ...]]:
    """The lines of one setting, a cell for each of COLUMNS; the paper's values only under its own corpora."""
    paper = PAPER.get((rows[0].source, rows[0].target))
    mine = _pick([r for r in rows if r.head == head], scope)

    def reference(key: str) -> str:
        return f"{paper[key]}" if paper and key in paper else "not in the paper"

    for method, name, data in (("oodt", "OODT, Siamese", "source"), ("idt", "IDT, Siamese", "loso")):
        found = [r for r in mine if r.method == method]
        if found:
            yield _line(name, DATA_NAMES[data], _scaled(found, scope), found, "", reference(method))
    for loss in e.protocol.losses:
        for selection in ("best", "fixed"):
            found = [r for r in mine if r.method == "fine_tuning" and r.loss == loss and r.selection == selection
                     and r.steps == e.report.fixed_steps]  # fmt: skip
            if found:
                best = selection == "best"
                other = _chosen_elsewhere(optimism, head, scope, loss, e.report.fixed_steps) if best else ""
                value = reference(loss) if best else ""
                yield _line(LOSS_NAMES[loss], DATA_NAMES["source+target"], selection, found, other, value)
    for method in e.protocol.baselines:
        for data in DATA_NAMES:
            for selection in ("cell",) if data in ("source", "loso") else ("best", "fixed"):
                matching = [r for r in rows if (r.method, r.data, r.selection) == (method, data, selection)]
                found = _pick(matching, scope)
                if found:
                    cell = _scaled(found, scope) if selection == "cell" else selection
                    yield _line(CLASSIFIER_NAMES[method], DATA_NAMES[data], cell, found, "", "")


def _pick(rows: list[Row], scope: str) -> list[Row]:
    """The rows under an experiment's scope; OODT and IDT rows carry the scope that stands in for it there."""
    standing_in = {
        "loso": (IN_DOMAIN_SCOPE[scope],),
        "source": ("source", "corpus") if scope == "support" else (scope,),
    }
    found = [row for row in rows if row.scaling in standing_in.get(row.data, (scope,))]
    # Under "support" the source's own scale stands in where it is known, and the corpora's where it is not.
    preferred = {row.data for row in found if row.scaling == "source"}
    return [row for row in found if row.scaling == "source" or row.data not in preferred or scope != "support"]


def _scaled(rows: list[Row], scope: str) -> str:
    return "" if rows[0].scaling == scope else f"scaled by {rows[0].scaling}"


def _line(name: str, data: str, cell: str, rows: list[Row], chosen: str, paper: str) -> tuple[str, ...]:
    by_split = {row.split: row for row in rows}
    if cell in ("best", "fixed"):
        cells = {split: _cell(row) for split, row in by_split.items()}
        same = len(set(cells.values())) == 1
        named = {"paper": "the paper's split", "speaker_disjoint": "other speakers"}
        cell += ": " + (cells["paper"] if same else "; ".join(f"{cells[s]} ({named[s]})" for s in cells))
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


def _chosen_elsewhere(optimism: list[dict[str, Any]], head: str, scope: str, loss: str, steps: int) -> str:
    wanted = {"head": head, "scaling": scope, "split": "paper", "loss": loss, "steps": steps}
    found = [o for o in optimism if all(o[key] == value for key, value in wanted.items())]
    return f"{found[0]['best_chosen_on_other_draws']:.1f}" if found else ""

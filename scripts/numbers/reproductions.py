"""Tables of reproductions, reruns and rankings of sources, from their records."""

from collections.abc import Iterable, Sequence
from typing import Any

from scripts.numbers import records
from scripts.numbers.records import Table
from siamese_jax.datasets.scaling_scopes import IN_DOMAIN_SCOPE
from siamese_jax.report.paper import claims, table1
from siamese_jax.report.render import text

Rows = list[dict[str, Any]]


def rows_of(name: str, table: str = "rows", **chosen: Any) -> Rows:
    """The rows of a record's table with these values."""
    rows = records.read(name).tables[table].dicts()
    unknown = set(chosen) - set(rows[0])
    assert not unknown, f"{name} has no fields {unknown}"
    return [row for row in rows if all(row[key] == value for key, value in chosen.items())]


def one(name: str, table: str = "rows", **chosen: Any) -> dict[str, Any]:
    """The one row of a record's table with these values."""
    rows = rows_of(name, table, **chosen)
    assert len(rows) == 1, f"{name}: {len(rows)} rows with {chosen}"
    return rows[0]


def interval(row: dict[str, Any]) -> str:
    """UAR with its limits."""
    return text.bounded(row["uar_mean"], row["ci_low"], row["ci_high"])


SPEAKERS = {"split": "speaker_disjoint"}
"""Of rows on other speakers' clips."""


def few_shot(name: str, method: str, n_speakers: int, steps: int | None = None, **chosen: Any) -> dict[str, Any]:
    """A method's cell on source and target clips, on the draws of this many speakers."""
    key = {"data": "source+target", "selection": "cell", "n_speakers": n_speakers, "steps": steps}
    named = {"method": "fine_tuning", "loss": method} if method in table1.LOSS_NAMES else {"method": method}
    return one(name, **{**SPEAKERS, **key, **named, **chosen})


def method_name(method: str) -> str:
    return table1.LOSS_NAMES.get(method) or table1.CLASSIFIER_NAMES[method]


ENCODER_METHODS = ("logistic_regression", "svm", "none", "ratio")


def encoder_clips() -> Table:
    """By number of labelled clips: methods on both feature sets and scalings."""
    experiment, rows = records.experiment(records.read("speech_encoder").command), []
    for features in ("is09", "whisper"):
        for scaling in experiment.data.scalings:
            for method in ENCODER_METHODS:
                steps = experiment.report.fixed_steps if method in table1.LOSS_NAMES else None
                cells = (
                    interval(few_shot("speech_encoder", method, k, steps, features=features, scaling=scaling))
                    for k in experiment.protocol.n_speakers
                )
                rows.append((method_name(method), features, scaling, *cells))
    first, *others = (4 * k for k in experiment.protocol.n_speakers)
    return Table(("method", "features", "scaled by", f"{first} clips", *map(str, others)), tuple(rows))


def differences(name: str, method: str, minus: str) -> Table:
    """Differences of UAR: the numbers of speakers that the pages show down, evaluation steps across."""
    rows = rows_of(name, "differences", method=method, minus=minus, **SPEAKERS)
    steps = sorted({row["steps"] for row in rows} - {0})
    lines = []
    for k in (2, 4, 8, 12, 20):
        own = {row["steps"]: row for row in rows if row["n_speakers"] == k}
        cells = (
            text.bounded(own[s]["uar_difference"], own[s]["ci_low"], own[s]["ci_high"], signed=True) for s in steps
        )
        lines.append((k, *cells))
    return Table(("speakers", *(f"{s} steps" for s in steps)), tuple(lines))


def layers(name: str) -> Table:
    """Logistic regression on each layer: source alone, labelled clips, leave one speaker out."""
    rows = rows_of(name)
    counts = sorted({row["n_speakers"] for row in rows if row["n_speakers"]})
    lines = []
    for layer in dict.fromkeys(row["layers"] for row in rows):
        for scaling in ("corpus", "speaker"):
            own = [row for row in rows if (row["layers"], row["scaling"]) == (layer, scaling)]
            few = [row for k in counts for row in own if (row["data"], row["n_speakers"]) == ("source+target", k)]
            alone, within = ([row for row in own if row["data"] == data] for data in ("source", "loso"))
            lines.append((layer, scaling, *map(interval, [*alone, *few, *within])))
    titles = (f"{4 * k} clips" for k in counts)
    return Table(("layers", "scaled by", "source only", *titles, "leave one speaker out"), tuple(lines))


KINDS = ("over_draws", "over_speakers", "over_speakers_and_seeds")
NAMES = {
    "none": "plain fine-tuning", "ratio": "ratio loss", "cross_entropy_twice": "control",
    "logistic_regression": "logistic regression",
}  # fmt: skip


def rerun() -> Table:
    """The differences of a rerun, with each kind of interval."""
    order = (("ratio", "none"), ("cross_entropy_twice", "none"), ("ratio", "cross_entropy_twice"),
             ("ratio", "logistic_regression"))  # fmt: skip
    gains = {(row["method"], row["minus"]): row for row in rows_of("rerun", "gains")}
    lines = (
        (f"{NAMES[method]} minus {NAMES[minus]}", *(claims.estimate(gains[method, minus][kind]) for kind in KINDS))
        for method, minus in order
    )
    return Table(("", *(kind.replace("_", " ") for kind in KINDS)), tuple(lines))


def out_and_in() -> Table:
    """Out of domain, in domain, fine-tuning and logistic regression, on the paper's split, from two sources."""
    runs, paper = ("paired_enterface05", "paired"), table1.PAPER["enterface05", "ravdess"]
    of_run = [records.experiment(records.read(name).command) for name in runs]
    protocol, steps = of_run[0].protocol, of_run[0].report.fixed_steps
    drawn = {"split": "paper", "data": "source+target"}

    def line(title: str, reference: str = "", **chosen: Any) -> tuple[str, ...]:
        return (
            title,
            *(interval(one(name, **{"split": "paper", "selection": "cell", **chosen})) for name in runs),
            reference,
        )

    def tuned(loss: str, k: int) -> dict[str, Any]:
        return {**drawn, "method": "fine_tuning", "loss": loss, "n_speakers": k, "steps": steps}

    lines = [
        line(f"OODT, Siamese, {protocol.n_seeds} seeds", f"{paper['oodt']}", method="oodt"),
        line(f"IDT, Siamese, {protocol.n_in_domain_seeds} seeds", f"{paper['idt']}", method="idt"),
    ]
    for k in (4, 20):
        best = [f"{paper[loss]} (best of its grid)" if k == 4 else "" for loss in ("none", "ratio")]
        draws = f", {protocol.n_draws} draws" if k == 4 else ""
        lines.append(line(f"fine-tuning, {k} speakers, {steps} steps{draws}", best[0], **tuned("none", k)))
        lines.append(line("+ ratio loss", best[1], **tuned("ratio", k)))
        title = f"logistic regression, source + target clips, {k} speakers"
        lines.append(line(title, **drawn, method="logistic_regression", n_speakers=k))
    title = "logistic regression, leave one speaker out (jackknife t over speakers)"
    lines.append(line(title, method="logistic_regression", data="loso"))
    return Table(("", "eNTERFACE'05 to RAVDESS", "EMO-DB to RAVDESS", "the paper, eNTERFACE'05"), tuple(lines))


def heads() -> Table:
    """Both heads and scalings on the paper's split: best and fixed cells."""
    experiment = records.experiment(records.read("heads").command)
    losses, fixed = ("none", "ratio", "cross_entropy_twice"), experiment.report.fixed_n_speakers
    lines = []
    for head in experiment.network.heads:
        for scaling in experiment.data.scalings:
            key = {"split": "paper", "head": head}
            undrawn = [one("heads", **key, method="oodt", scaling=scaling)]
            undrawn += [one("heads", **key, method="idt", scaling=IN_DOMAIN_SCOPE[scaling])]
            tuned = {**key, "scaling": scaling, "steps": experiment.report.fixed_steps}
            cells = (
                one("heads", **tuned, selection=selection, loss=loss)
                for selection in ("best", "fixed") for loss in losses
            )  # fmt: skip
            lines.append((f"{head}, {scaling}", *map(interval, [*undrawn, *cells])))
    names = ("fine-tuning", "+ ratio", "+ control")
    cells = [f"{name}, {cell}" for cell in ("best", f"{fixed} speakers") for name in names]
    return Table(("head, scaling", "OODT", "IDT", *cells), tuple(lines))


def cremad() -> Table:
    """CREMA-D to RAVDESS on log-mel statistics, on the paper's split, compared with the paper's numbers."""
    paper, key = table1.PAPER["cremad", "ravdess"], {"split": "paper", "selection": "cell"}

    def line(title: str, reference: str = "", **chosen: Any) -> tuple[str, ...]:
        return title, interval(one("cremad", **key, **chosen)), reference

    lines = [
        line("OODT, Siamese", f"{paper['oodt']}", method="oodt"),
        line("OODT, logistic regression (jackknife t over speakers)", method="logistic_regression", data="source"),
        line("IDT, Siamese", f"{paper['idt']}", method="idt"),
    ]
    steps = records.experiment(records.read("cremad").command).report.fixed_steps
    tuned = {"method": "fine_tuning", "steps": steps}
    lines += [
        line("fine-tuning, 4 speakers", **tuned, loss="none", n_speakers=4),
        line("+ ratio loss, 4 speakers", **tuned, loss="ratio", n_speakers=4),
        line("fine-tuning, 20 speakers", f"{paper['none']} (best of its grid)", **tuned, loss="none", n_speakers=20),
        line("+ ratio loss, 20 speakers", f"{paper['ratio']} (best of its grid)", **tuned, loss="ratio", n_speakers=20),
        line("+ control, 20 speakers", **tuned, loss="cross_entropy_twice", n_speakers=20),
        line("logistic regression, source + target clips, 20 speakers", method="logistic_regression",
             data="source+target", n_speakers=20),
    ]  # fmt: skip
    return Table(("", "UAR %", "the paper, from audio"), tuple(lines))


def source_names(sources: Iterable[str]) -> dict[str, str]:
    """The sources as the page names them."""
    names = {"emodb": "EMO-DB", "enterface05": "eNTERFACE'05", "emodb+enterface05": "both"}
    return {source: names.get(source, source.split()[0]) for source in sources}


def several_sources() -> Table:
    """UAR by source and number of labelled clips."""
    rows = rows_of("several_sources", method="logistic_regression", selection="cell", **SPEAKERS)
    counts = sorted({row["n_speakers"] for row in rows if row["n_speakers"]})
    few = [row for row in rows if row["n_speakers"]]
    names = source_names(dict.fromkeys(row["source"] for row in few))
    lines = [("none (target clips alone)", "", *_across(row for row in few if row["data"] == "target"))]
    for source, name in names.items():
        alone = [row for row in rows if (row["data"], row["source"]) == ("source", source)]
        own = (row for row in few if (row["data"], row["source"]) == ("source+target", source))
        lines.append((name, interval(alone[0]) if alone else "", *_across(own)))
    titles = [str(4 * k) for k in counts]
    return Table(("source", "no labelled clip", f"{titles[0]} clips", *titles[1:]), tuple(lines))


def _across(rows: Iterable[dict[str, Any]]) -> Sequence[str]:
    by_speakers = {row["n_speakers"]: interval(row) for row in rows}
    return [by_speakers[k] for k in sorted(by_speakers)]


def minus_both() -> Table:
    """Each source minus both, with the interval over draws and that over speakers."""
    rows = rows_of("several_sources", "ranking", method="logistic_regression", **SPEAKERS)
    counts, lines = sorted({row["n_speakers"] for row in rows}), []
    for source, name in source_names(dict.fromkeys(row["source"] for row in rows)).items():
        own = {row["n_speakers"]: row for row in rows if row["source"] == source}
        cells = []
        for k in counts:
            over_draws = text.bounded(own[k]["uar_difference"], own[k]["ci_low"], own[k]["ci_high"])
            limits = [text.number(own[k][name]) for name in ("speakers_low", "speakers_high")]
            cells.append(f"{over_draws} [{limits[0]}, {limits[1]}]")
        lines.append((name, *cells))
    titles = [str(4 * k) for k in counts]
    return Table(("source", f"{titles[0]} clips", *titles[1:]), tuple(lines))


MAIN = ("seed", "draw", "speakers x draw")


def crossed() -> Table:
    """Standard deviations of UAR in points: roots of variance components, after the fixed number of steps."""
    rows = rows_of("crossed", "components", loss="none", steps=50)
    lines = []
    for row in rows:
        of_seed = sum(value for name, value in row["components"].items() if "seed" in name and name != "seed")
        values = [*(row["components"][name] for name in MAIN), of_seed]
        lines.append((row["scaling"], *(text.number(max(value, 0) ** 0.5) for value in values)))
    titles = ("source seed", "draw", "speakers x draw", "all interactions with the seed")
    return Table(("scaling", *titles), tuple(lines))

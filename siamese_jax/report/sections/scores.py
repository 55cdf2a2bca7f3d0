"""Sections on scores: Table 1 compared with the paper, and Figure 2 with its intervals."""

from collections.abc import Iterator

from siamese_jax.report.loading.reproduction import Loaded, Setting
from siamese_jax.report.paper import figure2, table1
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Heading, Paragraph, Picture, Section, Table
from siamese_jax.report.sections.per_setting import headed_settings


def table_section(runs: list[Loaded]) -> Section:
    """Table 1 of each work directory, a table for every head and scaling scope."""
    blocks = [block for run in runs for block in _tables(run, len(runs) > 1)]
    return Section("Table 1, compared with the paper", blocks)


def _tables(run: Loaded, several: bool) -> Iterator[Block]:
    if several:
        yield Heading(f"{run.label}: {run.corpora}")
    yield Paragraph(table1.preamble(run.experiment).strip())
    for scope in run.experiment.data.scalings:
        for head in run.experiment.network.heads:
            # Method, training data and cell in one table cell: a phone shows the scores beside them.
            columns = table1.columns(run.rows)
            lines = [("; ".join(part for part in line[:3] if part), *line[3 : len(columns)])
                     for line in table1.lines(run.experiment, run.rows, run.optimism, head, scope)]  # fmt: skip
            name, known = Setting(head, scope).name, columns == table1.COLUMNS
            paper = (
                "the paper is Feng & Chaspari 2020, Table 1"
                if known
                else "these corpora are not in the paper's Table 1"
            )
            caption = f"{run.corpora}, {name}: UAR in per cent; {paper}."
            yield Table(caption, ("; ".join(columns[:3]), *columns[3:]), lines)


def figure_section(runs: list[Loaded]) -> Section:
    """Figure 2: UAR over the number of target speakers, a panel for each number of frozen layers."""
    blocks = list(headed_settings(runs, _gallery)) or [Paragraph("Nothing was fine-tuned here.")]
    return Section("Figure 2: UAR by number of target speakers", blocks)


def _gallery(run: Loaded, setting: Setting, number: str) -> Iterator[Block]:
    yield Gallery([_panel(run, setting, frozen, number) for frozen in run.experiment.protocol.frozen])


def _panel(run: Loaded, setting: Setting, frozen: int, number: str) -> Picture:
    protocol, report = run.experiment.protocol, run.experiment.report
    image = figures.png(lambda: figure2.panel(run.experiment, run.rows, setting.head, setting.scope, frozen))
    layers, draws = text.plural(frozen, "frozen layer"), text.plural(protocol.n_draws, "draw")
    gaps = "" if protocol.n_draws > 1 else ", not computable from one draw"
    return Picture(
        f"figure2_{number}_{frozen}",
        image,
        f"UAR against the number of target speakers with {layers}, {run.corpora}. {_ends(run, setting, frozen)}",
        f"{layers}: mean UAR (%) of {draws} at {report.fixed_steps} steps, bars {100 * report.level:g} % t interval "
        f"over draws (Monte Carlo error){gaps}; all clips not drawn; OODT and IDT as lines.",
    )


def _ends(run: Loaded, setting: Setting, frozen: int) -> str:
    protocol, parts = run.experiment.protocol, []
    for loss in protocol.losses:
        key = (setting.head, setting.scope, loss, frozen, run.experiment.report.fixed_steps, "cell", "paper")
        means = {
            row.n_speakers: row.uar_mean for row in run.rows if row.method == "fine_tuning"
            and (row.head, row.scaling, row.loss, row.frozen, row.steps, row.selection, row.split) == key
        }  # fmt: skip
        first, last = min(protocol.n_speakers), max(protocol.n_speakers)
        ends = [("not computable" if means[k] is None else f"{means[k]:.1f} %") for k in (first, last)]
        parts.append(f"{figure2.SHORT_NAMES[loss]}: {ends[0]} at {first} speakers, {ends[1]} at {last}")
    return "; ".join(parts) + "."

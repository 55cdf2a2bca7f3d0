"""Sections on scores: Table 1 beside the paper, Figure 2 with its intervals, in short."""

from collections.abc import Iterator

from siamese_jax.report.loading import counts
from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.paper import figure2, table1
from siamese_jax.report.render import figures, text
from siamese_jax.report.render.document import Block, Gallery, Heading, Paragraph, Picture, Section, Table


def table_section(runs: list[Loaded]) -> Section:
    """Table 1 of each work directory, a table for every head and scaling scope."""
    return Section("Table 1, beside the paper", [block for run in runs for block in _tables(run, len(runs) > 1)])


def _tables(run: Loaded, several: bool) -> Iterator[Block]:
    e = run.experiment
    if several:
        yield Heading(f"{run.label}: {run.corpora}")
    yield Paragraph(table1.preamble(e).strip())
    for scope in e.data.scalings:
        for head in e.network.heads:
            # Method, training clips and cell in one cell: a phone shows the scores beside them.
            lines = [
                ("; ".join(part for part in line[:3] if part), *line[3:])
                for line in table1.lines(e, run.rows, run.optimism, head, scope)
            ]
            name = Setting(head, scope).name
            yield Table(f"{run.corpora}, {name}: UAR in per cent; the paper is Feng & Chaspari 2020, Table 1.",
                        ("method; learnt from; cell", *table1.COLUMNS[3:]), lines)  # fmt: skip


def figure_section(runs: list[Loaded]) -> Section:
    """Figure 2: UAR over the number of target speakers, a panel for each number of frozen layers."""
    blocks: list[Block] = []
    for i, run in enumerate(runs):
        for j, setting in enumerate(settings(run.experiment)):
            if len(runs) > 1 or len(settings(run.experiment)) > 1:
                blocks.append(Heading(f"{run.label}: {run.corpora}, {setting.name}"))
            blocks.append(
                Gallery([_panel(run, setting, frozen, f"{i}_{j}") for frozen in run.experiment.protocol.frozen])
            )
    if not blocks:
        blocks.append(Paragraph("Nothing was fine-tuned here."))
    return Section("Figure 2: UAR by number of target speakers", blocks)


def _panel(run: Loaded, setting: Setting, frozen: int, number: str) -> Picture:
    e = run.experiment
    image = figures.png(lambda: figure2.panel(e, run.rows, setting.head, setting.scope, frozen))
    layers = text.plural(frozen, "frozen layer")
    gaps = "" if e.protocol.n_draws > 1 else ", not computable from one draw"
    return Picture(
        f"figure2_{number}_{frozen}",
        image,
        f"UAR against the number of target speakers with {layers}, {run.corpora}. {_ends(run, setting, frozen)}",
        f"{layers}: mean UAR (%) of {text.plural(e.protocol.n_draws, 'draw')} at {e.report.fixed_steps} steps, bars "
        f"{100 * e.report.level:g} % t interval over draws (Monte Carlo error){gaps}; all clips not drawn; OODT "
        "and IDT as lines.",
    )


def _ends(run: Loaded, setting: Setting, frozen: int) -> str:
    """Each line's first and last mean, in words."""
    e, parts = run.experiment, []
    for loss in e.protocol.losses:
        found = {
            r.n_speakers: r.uar_mean for r in run.rows
            if r.method == "fine_tuning" and (r.head, r.scaling, r.loss, r.frozen, r.steps, r.selection, r.split)
            == (setting.head, setting.scope, loss, frozen, e.report.fixed_steps, "cell", "paper")
        }  # fmt: skip
        first, last = min(e.protocol.n_speakers), max(e.protocol.n_speakers)
        ends = [("not computable" if found[k] is None else f"{found[k]:.1f} %") for k in (first, last)]
        parts.append(f"{counts.SHORT_NAMES[loss]}: {ends[0]} at {first} speakers, {ends[1]} at {last}")
    return "; ".join(parts) + "."

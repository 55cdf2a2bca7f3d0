"""The paper's second claim: does the source matter more than the number of frozen layers?"""

from collections.abc import Iterator
from typing import Any

from siamese_jax.errors import InputError
from siamese_jax.experiments import source_effect
from siamese_jax.report.loading.reproduction import Loaded, settings
from siamese_jax.report.paper import claims
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Block, Heading, Paragraph, Section, Table


def section(runs: list[Loaded]) -> Section | None:
    """Contrasts between sources, and their variance compared with that of the depths; None for one source alone."""
    if len({run.digests.get("source") for run in runs}) < 2:
        return None
    blocks: list[Block] = [
        Paragraph(
            "Each target speaker's UAR, averaged over the draws that did not draw them and over the numbers of "
            "speakers drawn. Sources may differ in their features as well as in their speech, and they are few: a "
            "contrast is about these sources, not about sources at large."
        )
    ]
    shared = set.intersection(*({(s.head, s.scope) for s in settings(run.experiment)} for run in runs))
    protocol, report = runs[0].experiment.protocol, runs[0].experiment.report
    losses = [loss for loss in protocol.losses if all(loss in run.experiment.protocol.losses for run in runs)]
    for head, scope, loss in [(*setting, loss) for setting in sorted(shared) for loss in losses]:
        blocks.append(Heading(f"Head {head}, scaled by {scope}, {loss}, {text.plural(report.fixed_steps, 'step')}"))
        try:
            scores = [source_effect.read(run.path, head, scope, loss, report.fixed_steps) for run in runs]
            blocks.extend(_tables(source_effect.compare(scores, report.level)))
        except InputError as error:
            blocks.append(Paragraph(f"Not compared: {error}."))
    if not shared:
        blocks.append(Paragraph("Not compared: no head and scaling scope is common to all of these directories."))
    return Section("The source, or the number of frozen layers?", blocks)


def _tables(compared: dict[str, Any]) -> Iterator[Block]:
    means = [(f"source {name}", text.number(value)) for name, value in compared["source_means"].items()]
    means += [(text.plural(int(name), "frozen layer"), text.number(value))
              for name, value in compared["frozen_means"].items()]  # fmt: skip
    caption = f"Mean UAR (%) over {text.plural(compared['speakers'], 'target speaker')}."
    yield Table(caption, ("level", "UAR %"), means)
    contrasts = compared["source_contrasts"]
    rows = [(f"{contrast['first']} minus {contrast['second']}", claims.estimate(contrast)) for contrast in contrasts]
    caption = f"Contrasts between sources, points of UAR; {contrasts[0]['kind']} (Bonferroni over the contrasts)."
    yield Table(caption, ("contrast", "points"), rows)
    difference = compared.get("source_variance_minus_frozen_variance")
    if difference is not None:
        caption = (
            "The variance of UAR between the sources minus that between the depths of freezing, squared points; above "
            f"0 the source matters more; {difference['kind']}."
        )
        yield Table(caption, ("", "squared points"), [("sources minus frozen layers", claims.estimate(difference))])

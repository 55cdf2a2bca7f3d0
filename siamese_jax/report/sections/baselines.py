"""What a user would pick instead: each loss against the classifiers on the same draws and clips."""

from collections.abc import Iterator

from siamese_jax.report.loading import counts
from siamese_jax.report.loading.reproduction import Loaded, Setting, settings
from siamese_jax.report.render.document import Alert, Block, Fold, Heading, Paragraph, Section
from siamese_jax.report.sections import paired


def section(runs: list[Loaded]) -> Section:
    """Differences between fine-tuning and the classifiers of scikit-learn, tested."""
    blocks: list[Block] = [
        Paragraph(
            "Logistic regression and an RBF SVM with their library's defaults, trained on the source's clips and the "
            "same labelled target clips; positive differences mean that the Siamese network is better. Their own "
            "scores, on other training data too, stand in Table 1."
        )
    ]
    for run in runs:
        if run.missing:
            blocks.append(Alert(f"{run.label}: no tests, since {run.missing}."))
        elif not run.experiment.protocol.baselines:
            blocks.append(Paragraph(f"{run.label}: no classifier was run."))
        else:
            for setting in settings(run.experiment):
                if len(runs) > 1 or len(settings(run.experiment)) > 1:
                    blocks.append(Heading(f"{run.label}: {run.corpora}, {setting.name}"))
                blocks.extend(_tables(run, setting))
    return Section("The alternatives", blocks)


def _tables(run: Loaded, setting: Setting) -> Iterator[Block]:
    e = run.experiment
    for split, words in paired.SPLIT_NAMES.items():
        losses, seeds = counts.tuned(
            run, setting, e.report.fixed_n_speakers, e.report.fixed_frozen, e.report.fixed_steps, split
        )
        pairs = [
            paired.Pair(f"{counts.SHORT_NAMES[loss].removeprefix('+ ')} − {name}", ours, theirs, seeds)
            for name, theirs in counts.few_shot(run, setting, split).items()
            for loss, ours in losses.items()
        ]
        tables = list(paired.tested(e, pairs, f"{counts.cell_name(run)}, {words}", split))
        if split == "paper":
            yield from tables
        else:
            yield Fold(f"The same on {words}", tables)

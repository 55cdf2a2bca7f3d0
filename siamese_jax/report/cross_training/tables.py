"""Tables of a cross-training: the findings, both systems side by side, the matrix, differences, corpora and cost."""

from collections.abc import Iterator, Sequence

from siamese_jax.experiments.cross_training.matrix import MATRIX, cell_name, chosen, comparison
from siamese_jax.experiments.cross_training.records import Difference, Row
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Block, Fold, Heading, Paragraph, Table

SPLITS = {
    "speakers": "speaker-independent folds (nobody who is tested was trained on or validated with)",
    "random": "a RANDOM split (people who are tested were trained on: no result for other people)",
}

_PERCENT = "\N{NO-BREAK SPACE}%"


def uar(row: Row) -> str:
    """A row's UAR with its interval."""
    return text.bounded(row.uar, row.uar_low, row.uar_high, note="no interval")


def wa(row: Row) -> str:
    """A row's WA with its interval."""
    return text.bounded(row.wa, row.wa_low, row.wa_high, note="no interval")


def _points(row: Difference) -> str:
    return text.bounded(row.difference, row.low, row.high, note="no interval", signed=True)


def tested(run: Matrix, corpus: str) -> str:
    """The clips, speakers and folds behind the numbers of a corpus, in words."""
    row = run.chosen(corpus)[0]
    return (
        f"{corpus}: {text.plural(row.n_clips, 'clip')} of {text.plural(row.n_speakers, 'speaker')}, "
        f"{row.n_folds} folds, {SPLITS[row.split]}, all folds pooled"
    )


def brief(run: Matrix, number: int) -> Iterator[Block]:
    """The comparison in sentences."""
    size, emotions = run.config["images"]["size"], text.listed(run.emotions)
    yield Paragraph(
        f"Emotions: {emotions}. FaceNet sees segments of {run.config['segments']['seconds']:g} s as {size} x {size} "
        f"images; width {run.config['network']['width']:g}; an utterance is decided by the mean of its segments' "
        f"scores ({run.config['decision']})."
    )
    yield Paragraph(
        "UAR (unweighted average recall) is the mean of the emotions' recalls, WA (weighted accuracy) the share of all "
        "clips; in brackets the jackknife t interval over the tested speakers: how far the value may lie for other "
        "people. Each network was trained once; the variation over seeds is not in it."
    )
    for corpus in run.described:
        own = {row.name: row for row in run.chosen(corpus)}
        names = [cell_name(cell) for cell in comparison(list(run.described), corpus)]
        yield Paragraph(f"{tested(run, corpus)}. Chance is {100 / len(run.emotions):.0f} %.")
        for name in names:
            score = f"UAR {uar(own[name])}{_PERCENT}, WA {wa(own[name])}{_PERCENT}" if name in own else "not run yet"
            yield Paragraph(f"{name}: {score}.")
        for row in run.differences:
            if row.family == "pre-training" and (row.corpus, row.name, row.minus) == (corpus, names[1], names[0]):
                yield Paragraph(f"Spectrogram pre-training, paired: {_claim(row)}")
        baselines = [row for row in own.values() if row.system != "facenet" and row.uar is not None]
        if baselines:
            best = max(baselines, key=lambda row: row.uar or 0.0)
            yield Paragraph(f"The best system on features: {best.name}, UAR {uar(best)}{_PERCENT}.")


def _claim(row: Difference) -> str:
    value = f"{_points(row)} points of UAR ({row.interval})"
    if row.low is None or row.high is None:
        return f"{value}; no claim can be made."
    if row.low <= 0 <= row.high:
        return f"{value}; no difference can be claimed."
    return f"{value}; the interval leaves out 0."


def systems(run: Matrix, number: int) -> Iterator[Block]:
    """One table a corpus: every system on the same tested clips."""
    yield Paragraph(
        "In domain, all systems are trained and tested on the same folds; those on features, which need no early "
        "stopping, train on the validation speakers too. Features scaled by corpus saw the unlabelled test clips "
        "(transductive); by train, source or speaker otherwise as named. Training is the time of one training in each "
        "fold, all folds together: for FaceNet all its steps at the median step's time (not timed where it was stopped "
        "right at its end), pre-training after a plus sign; for the others the wall time. Classifying a clip: images "
        "and network from decoded samples for FaceNet; decoding, features and classifier for the others."
    )
    for corpus in run.described:
        rows = sorted(run.chosen(corpus), key=lambda row: -(row.uar or 0.0))
        yield Table(
            f"{tested(run, corpus)}; per cent, {rows[0].interval}. Sorted by UAR.",
            ("system", "UAR", "WA", "parameters", "trainings pooled", "training, s", "images/s", "ms a clip"),
            [_system_cells(row) for row in rows],
        )


def _system_cells(row: Row) -> tuple[str, ...]:
    stages = [row.training_seconds]
    if row.pretraining_seconds != 0:
        stages.append(row.pretraining_seconds)
    training = " + ".join("not timed" if seconds is None else f"{seconds:.1f}" for seconds in stages)
    speed = "" if row.images_per_second is None else f"{row.images_per_second:.0f}"
    trainings = row.n_runs * (row.n_folds if row.trained_on == "folds" else 1)
    size, inference = f"{row.parameters:,}", f"{row.ms_per_clip:.2f}"
    return row.name, uar(row), wa(row), size, str(trainings), training, speed, inference


def matrix(run: Matrix, number: int) -> Iterator[Block]:
    """The matrix: pre-training down, fine-tuning and test across."""
    cells = chosen((MATRIX,), list(run.described), run.config["views"])
    across = list(dict.fromkeys(sorted(cell.fine_tuning for cell in cells)))
    down = list(dict.fromkeys(cell.pretraining for cell in cells))
    by_name = {(cell.fine_tuning.corpus, cell_name(cell)): cell for cell in cells}
    rows = [(by_name[corpus, row.name], row) for corpus in run.described for row in run.chosen(corpus)
            if (corpus, row.name) in by_name]  # fmt: skip
    for measure, score in (("UAR", uar), ("WA", wa)):
        scores = {(cell.pretraining, cell.fine_tuning): score(row) for cell, row in rows}
        body = [(str(before or "none"), *(scores.get((before, after), "not run yet") for after in across))
                for before in down]  # fmt: skip
        caption = (
            f"{measure} in per cent by pre-training (down) and fine-tuning (across), jackknife t interval over "
            f"speakers; decision: {run.config['decision']}; {SPLITS[run.config['split']]}. A corpus and view "
            "pre-trained on itself is the control: as many steps, no other material."
        )
        table = Table(caption, ("pre-trained on", *map(str, across)), body)
        yield table if measure == "UAR" else Fold("The same as WA", [table])
    decided = [row for row in run.rows if row.decision is not None]
    kinds = list(dict.fromkeys(str(row.decision) for row in decided))
    by_cell: dict[tuple[str, str], dict[str, str]] = {}
    for row in decided:
        by_cell.setdefault((row.corpus, row.name), {})[str(row.decision)] = uar(row)
    lines = [(f"{corpus}: {name}", *(scores[kind] for kind in kinds)) for (corpus, name), scores in by_cell.items()]
    table = Table("UAR in per cent, jackknife t interval over speakers.", ("cell", *kinds), lines)
    yield Fold("The same embeddings under each decision", [table])


def differences(run: Matrix, number: int) -> Iterator[Block]:
    """Paired differences, in tables by family and corpus."""
    yield Paragraph(
        "Both networks of a pair are fine-tuned on the same folds and batches and tested on the same clips; positive "
        "means that the first is better. A pre-trained network has seen more steps in all: its gain speaks for its "
        "pre-training data only if it exceeds that of the control, pre-trained on the very images that it is "
        "fine-tuned on."
    )
    for family, title in (("pre-training", "Pre-training against none"), ("systems", "FaceNet against other systems")):
        for corpus in run.described:
            rows = [row for row in run.differences if (row.family, row.corpus) == (family, corpus)]
            if rows:
                table, heading = _difference_table(rows, corpus), f"{title}: {corpus}"
                blocks: list[Block] = [Heading(heading), table]
                yield from blocks if family == "pre-training" else [Fold(heading, [table])]


def _difference_table(rows: Sequence[Difference], corpus: str) -> Table:
    caption = (
        f"Points of UAR on {corpus}; {rows[0].interval}, n = {text.plural(rows[0].n_speakers, 'speaker')}; p of the t "
        f"test over speakers, after the arrow adjusted by Holm's method for {text.plural(len(rows), 'comparison')}."
    )
    lines = [(f"{row.name} − {row.minus}", _points(row), text.adjusted_p(row.p, row.p_adjusted)) for row in rows]
    return Table(caption, ("difference", "points of UAR", "p"), lines)


def corpora(run: Matrix, number: int) -> Iterator[Block]:
    """The clips and folds of training and test."""
    rows = [
        (
            name, f"{corpus['clips']:,}", f"{len(corpus['speakers'])}", f"{corpus['segments']:,}",
            _counts(corpus["by_emotion"]), _counts(corpus["other_emotions"]) or "none", str(len(corpus["left_out"]))
        )
        for name, corpus in run.described.items()
    ]  # fmt: skip
    header = ("corpus", "clips", "speakers", "segments", "by emotion", "other emotions, not used", "left out")
    yield Table("The corpora.", header, rows)
    columns = (
        "fold",
        "tested speakers",
        "validation speakers",
        "train / validation / test clips",
        "duplicates omitted",
    )
    for name, corpus in run.described.items():
        if corpus["left_out"]:
            yield Fold(f"{name}: clips left out", [Table("File and reason.", ("file", "reason"), corpus["left_out"])])
        lines = [
            (
                str(i), ", ".join(fold["test_speakers"]), ", ".join(fold["validation_speakers"]) or "none",
                f"{fold['train_clips']} / {fold['validation_clips']} / {fold['test_clips']}",
                str(fold["duplicates_clips"])
            )
            for i, fold in enumerate(corpus["folds"])
        ]  # fmt: skip
        yield Fold(f"{name}: the folds", [Table(f"{SPLITS[run.config['split']]}.", columns, lines)])


def _counts(by_emotion: dict[str, int]) -> str:
    return ", ".join(f"{emotion} {count}" for emotion, count in by_emotion.items())

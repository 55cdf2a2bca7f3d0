"""Tables of a cross-training: what was found, both systems side by side, the matrix, differences, corpora and cost."""

from collections.abc import Iterator, Sequence

from siamese_jax.experiments.cross_training.matrix import MATRIX, cell_name, chosen, comparison
from siamese_jax.experiments.cross_training.records import Difference, Row
from siamese_jax.report.loading.cross_training import Matrix
from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Block, Fold, Heading, Paragraph, Table

SPLITS = {
    "speakers": "speaker-independent folds (nobody who is tested was trained on or validated with)",
    "random": "a RANDOM split (people who are tested were trained on: no result for other people)",
}

_PERCENT = "\N{NO-BREAK SPACE}%"


def score(value: float | None, low: float | None, high: float | None, signed: bool = False) -> str:
    """ "61.2 [55.0, 67.4]", or in words what is missing."""
    if value is None:
        return "not computable"
    if low is None or high is None:
        return f"{words.number(value, signed=signed)} (no interval)"
    limits = f"[{words.number(low, signed=signed)}, {words.number(high, signed=signed)}]"
    return f"{words.number(value, signed=signed)} {limits}"


def uar(row: Row) -> str:
    """A row's UAR with its interval."""
    return score(row.uar, row.uar_low, row.uar_high)


def tested(run: Matrix, corpus: str) -> str:
    """What the numbers of a corpus are over, in words."""
    row = run.chosen(corpus)[0]
    return (
        f"{corpus}: {words.plural(row.n_clips, 'clip')} of {words.plural(row.n_speakers, 'speaker')}, "
        f"{row.n_folds} folds, {SPLITS[row.split]}, all folds pooled"
    )


def brief(run: Matrix, number: int) -> Iterator[Block]:
    """The comparison in sentences."""
    yield Paragraph(
        f"Emotions: {words.listed(run.emotions)}. FaceNet sees segments of {run.config['segments']['seconds']:g} s as "
        f"{run.config['images']['size']} x {run.config['images']['size']} images; width "
        f"{run.config['network']['width']:g}; an utterance is decided by the mean of its segments' scores "
        f"({run.config['decision']})."
    )
    for corpus in run.described:
        own = {row.name: row for row in run.chosen(corpus)}
        names = [cell_name(cell) for cell in comparison(list(run.described), corpus)]
        yield Paragraph(f"{tested(run, corpus)}. Chance is {100 / len(run.emotions):.0f} %.")
        for name in names:
            if name in own:
                yield Paragraph(f"{name}: UAR {uar(own[name])}{_PERCENT}, WA {score(*_wa(own[name]))}{_PERCENT}.")
            else:
                yield Paragraph(f"{name}: not run yet.")
        for one in run.differences:
            if one.family == "pre-training" and (one.corpus, one.name, one.minus) == (corpus, names[1], names[0]):
                yield Paragraph(f"Spectrogram pre-training, paired: {_claim(one)}")
        best = [row for row in own.values() if row.system != "facenet" and row.uar is not None]
        if best:
            top = max(best, key=lambda row: row.uar or 0.0)
            yield Paragraph(f"The best system on 64 features: {top.name}, UAR {uar(top)}{_PERCENT}.")
    yield Paragraph(
        "UAR is the mean of the emotions' recalls, WA the share of all clips; in brackets the jackknife t interval "
        "over the tested speakers: how far the value may lie for other people. Each network was trained once; what "
        "another seed would give is not in it."
    )


def _wa(row: Row) -> tuple[float | None, float | None, float | None]:
    return row.wa, row.wa_low, row.wa_high


def _claim(one: Difference) -> str:
    value = f"{score(one.difference, one.low, one.high, signed=True)} points of UAR ({one.interval})"
    if one.low is None or one.high is None:
        return f"{value}; no claim can be made."
    if one.low <= 0 <= one.high:
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
        "and network from decoded samples for FaceNet; decoding, 64 features and classifier for the others."
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
    trainings = row.n_runs * (row.n_folds if row.learnt_from == "folds" else 1)
    size, inference = f"{row.parameters:,}", f"{row.ms_per_clip:.2f}"
    return row.name, uar(row), score(*_wa(row)), size, str(trainings), training, speed, inference


def matrix(run: Matrix, number: int) -> Iterator[Block]:
    """The matrix: what was pre-trained on down, what was fine-tuned and tested on across."""
    cells = chosen((MATRIX,), list(run.described), run.config["views"])
    across = list(dict.fromkeys(sorted(cell.fine_tuning for cell in cells)))
    down = list(dict.fromkeys(cell.pretraining for cell in cells))
    names = {(cell.fine_tuning.corpus, cell_name(cell)): cell for cell in cells}
    for what in ("UAR", "WA"):
        found = {
            names[corpus, row.name]: uar(row) if what == "UAR" else score(*_wa(row))
            for corpus in run.described for row in run.chosen(corpus) if (corpus, row.name) in names
        }  # fmt: skip
        by_place = {(cell.pretraining, cell.fine_tuning): text for cell, text in found.items()}
        body = [(str(before or "none"), *(by_place.get((before, after), "not run yet") for after in across))
                for before in down]  # fmt: skip
        table = Table(
            f"{what} in per cent by pre-training (down) and fine-tuning (across), jackknife t interval over speakers; "
            f"decision: {run.config['decision']}; {SPLITS[run.config['split']]}. A corpus and view pre-trained on "
            "itself is the control: as many steps, no other material.",
            ("pre-trained on", *map(str, across)),
            body,
        )
        yield table if what == "UAR" else Fold("The same as WA", [table])
    decided = [row for row in run.rows if row.decision is not None]
    kinds = list(dict.fromkeys(str(row.decision) for row in decided))
    by_cell: dict[tuple[str, str], dict[str, str]] = {}
    for row in decided:
        by_cell.setdefault((row.corpus, row.name), {})[str(row.decision)] = uar(row)
    lines = [(f"{corpus}: {name}", *(texts[kind] for kind in kinds)) for (corpus, name), texts in by_cell.items()]
    yield Fold("The same embeddings under each decision", [
        Table("UAR in per cent, jackknife t interval over speakers.", ("cell", *kinds), lines)
    ])  # fmt: skip


def differences(run: Matrix, number: int) -> Iterator[Block]:
    """Paired differences, in tables by family and corpus."""
    yield Paragraph(
        "Both networks of a pair are fine-tuned on the same folds and batches and tested on the same clips; positive "
        "means that the first is better. A pre-trained network has seen more steps in all: its gain speaks for what it "
        "was pre-trained on only where it exceeds that of the control, pre-trained on the very images that it is "
        "fine-tuned on."
    )
    for family, title in (("pre-training", "Pre-training against none"), ("systems", "FaceNet against other systems")):
        for corpus in run.described:
            found = [one for one in run.differences if (one.family, one.corpus) == (family, corpus)]
            if found:
                table, heading = _difference_table(found, corpus), f"{title}: {corpus}"
                if family == "pre-training":
                    yield Heading(heading)
                    yield table
                else:
                    yield Fold(heading, [table])


def _difference_table(found: Sequence[Difference], corpus: str) -> Table:
    rows = [
        (f"{one.name} − {one.minus}", score(one.difference, one.low, one.high, signed=True), _p(one)) for one in found
    ]
    return Table(
        f"Points of UAR on {corpus}; {found[0].interval}, n = {words.plural(found[0].n_speakers, 'speaker')}; p of "
        "the t test over speakers, after the arrow adjusted by Holm's method for "
        f"{words.plural(len(found), 'comparison')}.",
        ("difference", "points of UAR", "p"),
        rows,
    )


def _p(one: Difference) -> str:
    if one.p is None or one.p_adjusted is None:
        return "not computable"
    return f"{words.p_value(one.p)} → {words.p_value(one.p_adjusted)}"


def corpora(run: Matrix, number: int) -> Iterator[Block]:
    """What was trained and tested on."""
    rows = [
        (
            name, f"{one['clips']:,}", f"{len(one['speakers'])}", f"{one['segments']:,}",
            ", ".join(f"{emotion} {count}" for emotion, count in one["by_emotion"].items()),
            ", ".join(f"{emotion} {count}" for emotion, count in one["other_emotions"].items()) or "none",
            str(len(one["left_out"]))
        )
        for name, one in run.described.items()
    ]  # fmt: skip
    header = ("corpus", "clips", "speakers", "segments", "by emotion", "other emotions, not used", "left out")
    yield Table("The corpora.", header, rows)
    for name, one in run.described.items():
        if one["left_out"]:
            yield Fold(f"{name}: clips left out", [Table("File and reason.", ("file", "reason"), one["left_out"])])
        lines = [
            (
                str(i), ", ".join(fold["test_speakers"]), ", ".join(fold["validation_speakers"]) or "none",
                f"{fold['train_clips']} / {fold['validation_clips']} / {fold['test_clips']}",
                str(fold["duplicates_clips"])
            )
            for i, fold in enumerate(one["folds"])
        ]  # fmt: skip
        columns = (
            "fold",
            "tested speakers",
            "validation speakers",
            "clips to train / validate / test",
            "duplicates left out",
        )
        split = SPLITS[run.config["split"]]
        yield Fold(f"{name}: the folds", [Table(f"{split}.", columns, lines)])

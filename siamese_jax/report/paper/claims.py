"""Tests of the paper's claims by reruns, as blocks: for `claims.md` in a work directory, and for the page."""

from collections.abc import Iterator, Sequence
from typing import Any

from siamese_jax.experiments.records import joined
from siamese_jax.report.render import text
from siamese_jax.report.render.document import Alert, Block, Fold, Heading, Paragraph, Table
from siamese_jax.stats.records import CLIPPED

GAPS = "not computable: some seeds never test"  # start of the note of an interval without its full crossing

PROTOCOL_NAMES = {
    "out_of_domain": "trained on the source alone (OODT)",
    "in_domain": "trained on the target, leave one speaker out (IDT)",
}

CHANCES = {f"chance_of_{points}_points_in_ten_unpaired_draws": f"{points} points by chance" for points in ("2", "7")}

KINDS = ("over_draws", "over_speakers", "over_speakers_and_seeds")

NEEDED = (
    "which more repetitions shrink; a claim about other people and source trainings needs the intervals over speakers, "
    "and over speakers and seeds, which they do not shrink."
)


def blocks(records: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """The claims of every setting of a rerun, see `claims.examine`."""
    for record in records:
        yield Heading(f"{record['source']} to {record['target']}, head {record['head']}, scaled by {record['scaling']}")
        yield Paragraph(
            f"Other speakers' clips only; {text.plural(record['n_draws'], 'draw')} over "
            f"{text.plural(record['n_seeds'], 'source seed')}. The interval over draws is Monte Carlo error on "
            f"these speakers and seeds, {NEEDED}"
        )
        yield from remark(record["remarks"])
        yield _gains("The ratio loss and its control: paired differences of UAR in points.", record["gains"])
        if record["against_baselines"]:
            n = text.plural(record["n_baseline_draws"], "draw")
            caption = f"The network minus each baseline, on source plus target clips; the first {n}."
            yield _gains(caption, record["against_baselines"])
        yield from _planning(record["gains"], record["best_cell"])
        yield from _trade_off(record["trade_off"])
        beyond = record["beyond_the_pole"]
        if beyond:
            shares = "; ".join(f"{point['n_speakers']} speakers: {_share(point['share'])}" for point in beyond)
            yield Paragraph(
                f"Draws that start at or beyond the loss's pole (D_s ≥ D_d on the labelled clips), per cent with the "
                f"{beyond[0]['share']['kind']} interval: {shares}."
            )


def remark(text: str) -> Iterator[Block]:
    """A warning of what a reader must know beside the numbers; none for ""."""
    if text:
        yield Alert(f"Mind: {text}.")


def _words(kinds: Sequence[str]) -> list[str]:
    return [kind.replace("_", " ") for kind in kinds]


def _labels(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> str:
    """The kinds of intervals of all rows, and their units; a kind says so if a row's limit was clipped."""

    def label(kind: str) -> str:
        return max((row[kind]["kind"] for row in rows), key=lambda name: name.endswith(CLIPPED))

    return "; ".join(f"{label(kind)} (n = {rows[0][kind]['n_units']:,})" for kind in kinds)


def _gains(caption: str, gains: Sequence[dict[str, Any]]) -> Table:
    tests = (("sign_flip_p", "over_draws"), ("speakers_sign_flip_p", "over_speakers"))
    rows = [
        (_name(gain), *(estimate(gain[kind]) for kind in KINDS), *(_p_values(gain, *test) for test in tests))
        for gain in gains
    ]
    gaps = [gain[kind]["note"] for gain in gains for kind in KINDS if gain[kind]["note"].startswith(GAPS)]
    caption = (
        f"{caption} Intervals: {_labels(gains, KINDS) if gains else ''}. p values of sign-flip permutation tests, "
        f"as computed → after Holm's correction over the rows. {text.NOT_OFFERED}"
        f"{' Gaps: ' + gaps[0] + '.' if gaps else ''}"
    )
    return Table(caption, ("comparison", *_words(KINDS), "p over draws", "p over speakers"), rows)


def _name(gain: dict[str, Any]) -> str:
    cell = f"{text.plural(gain['frozen'], 'frozen layer')}, {text.plural(gain['steps'], 'step')}"
    return f"{gain['method']} − {gain['minus']}; {gain['n_speakers']} speakers, {cell}"


def _p_values(gain: dict[str, Any], test: str, interval: str) -> str:
    reason = text.not_offered("sign-flip sampled", gain[interval]["n_units"], gain[interval]["over"])
    return reason or text.adjusted_p(gain[test], gain[f"{test}_holm"])


def _planning(gains: Sequence[dict[str, Any]], best_cell: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """How often ten draws show a gain by chance, how many draws one point needs, and how large the gain is."""
    if not gains:
        return
    rows = []
    for gain in gains:
        needed, note = gain.get("draws_needed_for_1_point"), gain["planning_note"]
        rows.append((_name(gain), *_chances(gain, note), note if needed is None else str(needed),
                     estimate(gain["effect_size"])))  # fmt: skip
    caption = (
        "How often an experiment of ten draws, other draws for either method, shows this gain or more if there is "
        "none; draws on the same clips after which a true gain of 1 point is shown with a power of 80 %; standardised "
        f"size of the gain ({gains[0]['effect_size']['kind']}). Computed from the reruns themselves."
    )
    tables = [Table(caption, ("comparison", *CHANCES.values(), "draws for 1 point", "standardised gain"), rows)]
    if best_cell:
        caption = (
            f"The same for the best of {best_cell[0]['n_cells']} cells of either method, as the paper reports it, "
            "chosen on the test clips: how often ten draws show this gain if the best cells are equal."
        )
        rows = [(f"{best['method']} minus {best['minus']}, {best['steps']} steps", *_chances(best, best["note"]))
                for best in best_cell]  # fmt: skip
        tables.append(Table(caption, ("comparison", *CHANCES.values()), rows))
    yield Fold("The power of ten draws", tables)


def _chances(record: dict[str, Any], note: str) -> list[str]:
    return [f"{100 * record[key]:.1f} %" if key in record else note for key in CHANCES]


def _trade_off(rows: Sequence[dict[str, Any]]) -> Iterator[Block]:
    if not rows:
        return
    spans = list(dict.fromkeys((row["from"], row["to"]) for row in rows))
    cells: dict[tuple[Any, ...], dict[tuple[int, int], str]] = {}
    for row in rows:
        key = row["loss"], row["frozen"], row["steps"]
        cells.setdefault(key, {})[row["from"], row["to"]] = estimate(row["gain_per_speaker"])
    yield Table(
        "The trade-off: points of UAR gained for each speaker more, with the "
        f"{rows[0]['gain_per_speaker']['kind']} interval (Monte Carlo error).",
        ("loss, frozen, steps", *(f"{a} to {b} speakers" for a, b in spans)),
        [(", ".join(map(str, key)), *(by_span[span] for span in spans)) for key, by_span in cells.items()],
    )


def trainings(records: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """OODT or IDT over many trainings, see `retrain.examine`."""
    first = records[0]
    yield Paragraph(
        f"{first['source']} to {first['target']}, {PROTOCOL_NAMES[first['protocol']]}; all clips of the target; "
        f"{text.plural(first['n_trainings'], 'training')} from different seeds. The interval over seeds is Monte "
        f"Carlo error on these speakers, {NEEDED}"
    )
    yield from remark(joined(*dict.fromkeys(record["remarks"] for record in records)))
    kinds = ("over_seeds", *KINDS[1:])
    names = [f"{record['head']}, {record['scaling']}" for record in records]
    rows = [
        (name, *(estimate(record["uar"][kind], False) for kind in kinds), _sd(record["sd"]))
        for name, record in zip(names, records)
    ]
    labels = _labels([record["uar"] for record in records], kinds)
    caption = f"UAR in per cent of the Siamese network. Intervals: {labels}. {text.NOT_OFFERED}"
    yield Table(caption, ("head, scaling", *_words(kinds), "standard deviation over seeds"), rows)
    rows = [
        (f"{name}: network minus {baseline['minus']} ({baseline['minus_uar']:.1f} %)",
         *(estimate(baseline[kind]) for kind in kinds[1:]))
        for name, record in zip(names, records) for baseline in record["against_baselines"]
    ]  # fmt: skip
    if rows:
        caption = "The network minus a classifier trained on the same clips once, points of UAR; intervals as above."
        yield Table(caption, ("difference", *_words(kinds[1:])), rows)


def _sd(value: float | None) -> str:
    return "not computable" if value is None else text.number(value, 2)


def estimate(interval: dict[str, Any], signed: bool = True) -> str:
    """An interval of `claims.plain` in points: "+1.28 [+1.09, +1.46]", or in words why a part of it is missing."""
    note = interval["note"] or "not computable"
    if interval["estimate"] is None:
        return note
    if reason := text.not_offered(interval["method"], interval["n_units"], interval["over"]):
        return reason
    note = f"interval {'not computable: gaps' if note.startswith(GAPS) else note}"
    return text.bounded(interval["estimate"], interval["low"], interval["high"], note=note, digits=2, signed=signed)


def _share(interval: dict[str, Any]) -> str:
    return f"{100 * interval['estimate']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"

"""What reruns say of the paper's claims, as blocks: for `claims.md` in a work directory, and for the page."""

from collections.abc import Iterator, Sequence
from typing import Any

from siamese_jax.report.render import text as words
from siamese_jax.report.render.document import Block, Fold, Heading, Paragraph, Table
from siamese_jax.stats import coverage

GAPS = "not computable: some seeds never test"
"""How the note of an interval begins that needs a full crossing and has none."""

NOT_OFFERED = "Not offered is what does not hold its nominal error rate or coverage at so few units."

PROTOCOL_NAMES = {
    "out_of_domain": "trained on the source alone (OODT)",
    "in_domain": "trained on the target, leave one speaker out (IDT)",
}

CHANCES = {f"chance_of_{points}_points_in_ten_unpaired_draws": f"{points} points by chance" for points in ("2", "7")}

TWO_KINDS = (
    "The interval over draws is Monte Carlo error on these speakers and seeds, which more draws shrink; the ones over "
    "speakers, and over speakers and seeds, are what a claim about other people and source trainings needs, which they "
    "do not."
)


def blocks(claimed: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """The claims of every setting of a rerun, see `claims.examine`."""
    for one in claimed:
        yield Heading(f"{one['source']} to {one['target']}, head {one['head']}, scaled by {one['scaling']}")
        yield Paragraph(
            f"Other speakers' clips only; {words.plural(one['n_draws'], 'draw')} over "
            f"{words.plural(one['n_seeds'], 'source seed')}. {TWO_KINDS}"
        )
        yield _gains("The ratio loss and its control: paired differences of UAR in points.", one["gains"])
        if one["against_alternatives"]:
            n = words.plural(one["n_alternative_draws"], "draw")
            yield _gains(
                f"The network minus what one would use instead, on source plus target clips; the first {n}.",
                one["against_alternatives"],
            )
        yield from _planning(one["gains"], one["best_cell"])
        yield from _trade_off(one["trade_off"])
        if one["beyond_the_pole"]:
            each = "; ".join(f"{s['n_speakers']} speakers: {_share(s['share'])}" for s in one["beyond_the_pole"])
            yield Paragraph(
                f"Draws that start at or beyond the loss's pole (D_s ≥ D_d on the labelled clips), per cent with the "
                f"{one['beyond_the_pole'][0]['share']['kind']} interval: {each}."
            )


def _gains(caption: str, gains: Sequence[dict[str, Any]]) -> Table:
    kinds = ("over_draws", "over_speakers", "over_speakers_and_seeds")
    header = ("comparison", *(kind.replace("_", " ") for kind in kinds), "p over draws", "p over speakers")
    tests = (("sign_flip_p", "over_draws"), ("speakers_sign_flip_p", "over_speakers"))
    rows = [
        (_name(g), *(estimate(g[kind]) for kind in kinds), *(_p_values(g, test, over) for test, over in tests))
        for g in gains
    ]
    labels = [f"{gains[0][kind]['kind']} (n = {gains[0][kind]['n_units']:,})" for kind in kinds] if gains else []
    gaps = [g[kind]["note"] for g in gains for kind in kinds if g[kind]["note"].startswith(GAPS)]
    text = (
        f"{caption} Intervals: {'; '.join(labels)}. p values of sign-flip permutation tests, as computed → after "
        f"Holm's correction over the rows. {NOT_OFFERED}{' Gaps: ' + gaps[0] + '.' if gaps else ''}"
    )
    return Table(text, header, rows)


def _name(gain: dict[str, Any]) -> str:
    what = f"{gain['method']} − {gain['minus']}; {gain['n_speakers']} speakers"
    return f"{what}, {words.plural(gain['frozen'], 'frozen layer')}, {words.plural(gain['steps'], 'step')}"


def _p_values(gain: dict[str, Any], test: str, interval: str) -> str:
    n, over = gain[interval]["n_units"], gain[interval]["over"]
    if n >= 2 and "sign-flip sampled" not in coverage.offered_methods(n, over):
        return _not_offered(n)
    p, adjusted = gain[test], gain[f"{test}_holm"]
    return "not computable" if p is None else f"{words.p_value(p)} → {words.p_value(adjusted)}"


def _planning(gains: Sequence[dict[str, Any]], best_cell: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """How often ten draws show a gain by chance, how many draws one point needs, and how large the gain is."""
    if not gains:
        return
    rows = []
    for gain in gains:
        needed = gain.get("draws_needed_for_1_point")
        needed_text = gain["planning_note"] if needed is None else str(needed)
        rows.append((
            _name(gain), *_chances(gain, gain["planning_note"]), needed_text,
            estimate(gain["effect_size"])
        ))  # fmt: skip
    tables = [Table(
        "How often an experiment of ten draws, other draws for either method, shows this gain or more where there is "
        "none; draws on the same clips after which a true gain of 1 point is shown with a power of 80 %; standardised "
        f"size of the gain ({gains[0]['effect_size']['kind']}). Read from the reruns themselves.",
        ("comparison", *CHANCES.values(), "draws for 1 point", "standardised gain"),
        rows
    )]  # fmt: skip
    if best_cell:
        tables.append(Table(
            f"The same for the best of {best_cell[0]['n_cells']} cells of either method, as the paper reports it, "
            "chosen on the test clips: how often ten draws show this gain where the best cells are equal.",
            ("comparison", *CHANCES.values()),
            [
                (f"{one['method']} minus {one['minus']}, {one['steps']} steps", *_chances(one, one["note"]))
                for one in best_cell
            ]
        ))  # fmt: skip
    yield Fold("What ten draws can show", tables)


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
        [(", ".join(map(str, key)), *(found[span] for span in spans)) for key, found in cells.items()],
    )


def trainings(found: Sequence[dict[str, Any]]) -> Iterator[Block]:
    """OODT or IDT over many trainings, see `retraining.examine`."""
    first = found[0]
    yield Paragraph(
        f"{first['source']} to {first['target']}, {PROTOCOL_NAMES[first['protocol']]}; all clips of the target; "
        f"{words.plural(first['n_trainings'], 'training')} from different seeds. The interval over seeds is Monte "
        "Carlo error on these speakers, which more seeds shrink; the ones over speakers, and over speakers and seeds, "
        "are what a claim about other people needs, which they do not."
    )
    kinds = ("over_seeds", "over_speakers", "over_speakers_and_seeds")
    header = ("head, scaling", *(kind.replace("_", " ") for kind in kinds), "standard deviation over seeds")
    rows = [
        (f"{one['head']}, {one['scaling']}", *(estimate(one["uar"][kind], False) for kind in kinds), _sd(one["sd"]))
        for one in found
    ]
    labels = "; ".join(f"{first['uar'][kind]['kind']} (n = {first['uar'][kind]['n_units']:,})" for kind in kinds)
    yield Table(f"UAR in per cent of the Siamese network. Intervals: {labels}. {NOT_OFFERED}", header, rows)
    rows = [
        (f"{one['head']}, {one['scaling']}: network minus {d['minus']} ({d['minus_uar']:.1f} %)",
         *(estimate(d[kind]) for kind in kinds[1:]))
        for one in found for d in one["against_alternatives"]
    ]  # fmt: skip
    if rows:
        caption = "The network minus a classifier trained on the same clips once, points of UAR; intervals as above."
        yield Table(caption, ("difference", *(kind.replace("_", " ") for kind in kinds[1:])), rows)


def _sd(value: float | None) -> str:
    return "not computable" if value is None else words.number(value, 2)


def estimate(interval: dict[str, Any], signed: bool = True) -> str:
    """An interval of `claims.plain` in points: "+1.28 [+1.09, +1.46]", or in words why a part of it is missing."""
    if interval["estimate"] is None:
        return interval["note"] or "not computable"
    n = interval["n_units"]
    if n >= 2 and interval["method"] not in coverage.offered_methods(n, interval["over"]):
        return _not_offered(n)
    value = words.number(interval["estimate"], 2, signed)
    if interval["low"] is None:
        note = interval["note"] or "not computable"
        return f"{value} (interval {'not computable: gaps' if note.startswith(GAPS) else note})"
    return f"{value} [{words.number(interval['low'], 2, signed)}, {words.number(interval['high'], 2, signed)}]"


def _not_offered(n: int) -> str:
    return f"not offered at {n} units"


def _share(interval: dict[str, Any]) -> str:
    return f"{100 * interval['estimate']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"

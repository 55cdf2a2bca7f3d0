"""What docs/recognizer.md says in numbers, from the card of the model that ships, which scripts/make_model.py makes."""

import json
from collections.abc import Iterator
from typing import Any

from scripts.numbers.claim import Claim, experiment, span
from scripts.numbers.records import Table
from scripts.numbers.reproductions import rows_of
from scripts.numbers.transfers import pick
from siamese_jax.datasets import shipped
from siamese_jax.recognizer.methods import SETTINGS as METHOD_SETTINGS
from siamese_jax.recognizer.network_settings import SETTINGS, MetricSettings, SiameseSettings
from siamese_jax.recognizer.segments import SegmentSettings
from siamese_jax.recognizer.transfer import PRIOR_CLIPS


def evidence(trained_on: str, tested_on: str, mode: str) -> dict[str, Any]:
    """The scores of a model of one corpus on another."""
    config = json.loads((shipped.RECOGNIZER / "config.json").read_text(encoding="utf-8"))
    key = {"trained_on": trained_on, "tested_on": tested_on, "mode": mode}
    (row,) = (row for row in config["evidence"] if key.items() <= row.items())
    return dict(row)


def scores(trained_on: str, tested_on: str, mode: str) -> tuple[str, str]:
    """UAR in per cent, and its limits."""
    row = evidence(trained_on, tested_on, mode)
    return f"{100 * row['uar']:.1f} %", f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"


def claims() -> Iterator[Claim]:
    (clip, limits), (folder, of_folder) = (scores("EMO-DB", "RAVDESS", mode) for mode in ("clip", "folder"))
    yield Claim(
        f"In mode clip a model of EMO-DB reaches {clip} on RAVDESS (95 % interval over speakers {limits}), in mode "
        f"folder {folder} ({of_folder})."
    )
    (clip, limits), (folder, of_folder) = (scores("RAVDESS", "EMO-DB", mode) for mode in ("clip", "folder"))
    yield Claim(f"A model of RAVDESS reaches {clip} ({limits}) and {folder} ({of_folder}) on EMO-DB.")
    known = [scores(*pair, "folder, known speakers") for pair in (("EMO-DB", "RAVDESS"), ("RAVDESS", "EMO-DB"))]
    yield Claim("Where the speakers are known, mode folder reaches " + " and ".join(f"{u} ({of})" for u, of in known))
    yield Claim(f"Recordings of more than {SegmentSettings().longest:g} s are cut at pauses")
    yield from of_networks()
    yield from of_modes()


WAYS = {
    "clip": "clip",
    "folder, balanced": "folder",
    "folder, speakers, balanced": "folder, known speakers",
    "own statistics": "the folder's own statistics, not balanced",
}
"""The ways of `scripts/mode_study.py` that the page shows, and their titles."""

PROPORTIONS = {1: "all alike", 3: "two thinned to a third", 10: "two thinned to a tenth", 0: "a single label"}


def by_folder(name: str = "modes") -> dict[tuple[int, int], dict[str, dict[str, float]]]:
    """UAR in per cent by tested corpus, by way, by (recordings, ratio); 0 recordings are all."""
    found: dict[tuple[int, int], dict[str, dict[str, float]]] = {}
    for row in rows_of(name):
        of_folder = found.setdefault((row["n_clips"], row["ratio"]), {})
        of_folder.setdefault(row["way"], {})[row["tested"]] = 100 * row["uar"]
    return found


def modes() -> Table:
    """UAR of each mode on folders of RAVDESS / EMO-DB, by number of recordings and proportions of labels."""
    lines = []
    for (n_clips, ratio), ways in by_folder().items():
        cells = (f"{ways[way]['ravdess']:.1f} / {ways[way]['emodb']:.1f}" for way in WAYS)
        lines.append((n_clips or "all", PROPORTIONS[ratio], *cells))
    return Table(("recordings", "labels", *WAYS.values()), tuple(lines))


def modes_enrolled() -> Table:
    """UAR of each mode with eight enrolled clips, by number of recordings and proportions of labels."""
    shown = [way for way in WAYS if way != "own statistics"]
    lines = [
        (n_clips or "all", PROPORTIONS[ratio], *(f"{ways[way]['ravdess']:.1f}" for way in shown))
        for (n_clips, ratio), ways in by_folder("modes_enrolled").items()
    ]
    return Table(("recordings", "labels", *(WAYS[way] for way in shown)), tuple(lines))


def of_modes() -> Iterator[Claim]:
    (own,) = {(row["n_enrolled"], row["n_draws"]) for row in rows_of("modes_enrolled")}
    yield Claim(f"With {own[0]} enrolled clips ({own[1]} draws, RAVDESS alone, UAR in per cent)")
    rows, folders = rows_of("modes"), by_folder()
    (n_draws,) = {row["n_draws"] for row in rows}
    yield Claim(f"{n_draws} draws of each folder")
    gains = {
        tested: {key: of["folder, balanced"][tested] - of["clip"][tested] for key, of in folders.items()}
        for tested in ("ravdess", "emodb")
    }
    several = [gain for (_, ratio), gain in gains["ravdess"].items() if ratio]
    yield Claim(f"On RAVDESS mode folder gains {span(several)} points over mode clip in folders of several labels.")
    even = [gain for (_, ratio), gain in gains["emodb"].items() if ratio == 1]
    rare = [-gain for (n, ratio), gain in gains["emodb"].items() if ratio == 10 and n != 5]
    yield Claim(f"On EMO-DB it gains {span(even)} where the labels are alike")
    yield Claim(f"it loses {span(rare)} where two of them are rare in folders of 20 recordings or more.", min(rare) > 0)
    single = {tested: [-gain for (_, ratio), gain in of.items() if not ratio] for tested, of in gains.items()}
    yield Claim(
        f"In a folder of a single label it loses {span(single['ravdess'])} points on RAVDESS and "
        f"{span(single['emodb'])} on EMO-DB."
    )
    yield Claim(f"as if these were {PRIOR_CLIPS.sources:g} of them")
    yield Claim(f"(strength {METHOD_SETTINGS.balance.strength:g})")


NETWORKS = (
    ("logistic regression, C = 1", {"method": "logistic_regression", "c": 1.0, "adaptation": "none"}),
    ("`metric_network`", {"method": "metric_network", "adaptation": "none"}),
    ("`siamese`, `--loss=none`", {"method": "siamese", "loss": "none"}),
    ("`siamese`, `--loss=ratio`", {"method": "siamese", "loss": "ratio"}),
)
RECORD = "transfer_ravdess_whisper"


def methods() -> Table:
    """UAR of the recogniser's networks and of logistic regression, by corpus / by speaker."""

    def cell(chosen: dict[str, Any], n: int) -> str:
        rows = (pick(RECORD, scaling=scaling, n_labelled=n, **chosen)[0] for scaling in ("corpus", "speaker"))
        return " / ".join(f"{row.uar_mean:.1f}" for row in rows)

    lines = ((name, cell(chosen, 8), cell(chosen, 80)) for name, chosen in NETWORKS)
    return Table(("method", "8 clips", "80 clips"), tuple(lines))


def of_networks() -> Iterator[Claim]:
    yield Claim(f"mean of {experiment(RECORD).protocol.n_draws} draws, scaled by corpus / by speaker")
    paper, metric = SETTINGS["siamese"], SETTINGS["metric_network"]
    assert isinstance(paper, SiameseSettings)
    assert isinstance(metric, MetricSettings)
    yield Claim(f"{paper.source_steps} steps on the source, then {paper.fine_tuning_steps} on the enrolled recordings")
    yield Claim(
        f"{metric.network.pretraining_steps} steps on the source, then {metric.network.joint_steps} on source and "
        "enrolled recordings"
    )

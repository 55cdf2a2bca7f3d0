"""What docs/recognizer.md says in numbers, from the card of the model that ships, which scripts/make_model.py makes."""

import json
from collections.abc import Iterator
from typing import Any

from scripts.numbers.claim import Claim, experiment
from scripts.numbers.records import Table
from scripts.numbers.transfers import pick
from siamese_jax.datasets import shipped
from siamese_jax.recognizer.network_settings import SETTINGS, MetricSettings, SiameseSettings
from siamese_jax.recognizer.segments import SegmentSettings


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
    yield Claim(f"Recordings of more than {SegmentSettings().longest:g} s are cut at pauses")
    yield from of_networks()


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

"""What docs/recognizer.md says in numbers, from the card of the model that ships, which scripts/make_model.py makes."""

import json
from collections.abc import Iterator
from typing import Any

from scripts.numbers.claim import Claim
from siamese_jax.datasets import shipped
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

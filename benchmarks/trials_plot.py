"""The picture of `trials.py`: trials per second of each way, and the bound."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {"siamese_jax": "siamese_jax", "torch_vmap": "torch.func.vmap", "torch_loop": "PyTorch loop"}


def draw(record: dict[str, Any], path: str) -> None:
    """Writes a bar a way and number of labelled clips, on a logarithmic axis, with its value."""
    sizes = record["sizes"]
    ways = [way for way in NAMES if way in sizes[0]["ways"]]
    figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    width = 0.8 / len(ways)
    for i, way in enumerate(ways):
        place = [n + (i - (len(ways) - 1) / 2) * width for n in range(len(sizes))]
        bars = axis.bar(place, [s["ways"][way]["trials_per_second"] for s in sizes], 0.92 * width, label=NAMES[way])
        axis.bar_label(bars, fmt="%.0f", fontsize=8, padding=1)
    for n, size in enumerate(sizes):
        label = "bound of the encoder's products" if n == 0 else None
        axis.hlines(size["bound_trials_per_second"], n - 0.42, n + 0.42, "black", "dashed", lw=1, label=label)
    axis.set_yscale("log")
    axis.set_ylim(1, 4 * max(s["bound_trials_per_second"] for s in sizes))
    axis.set_xticks(range(len(sizes)), [f"{s['clips']} clips ({s['speakers']} speakers)" for s in sizes])
    axis.set_ylabel(f"fine-tuning trials per second\n({record['steps']} steps, both losses)")
    axis.legend(fontsize=8, ncols=2, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)

"""The PyTorch side of `trials.py`, as this program sees it: a process that runs commands."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese_jax.runtime.devices import available_cores


class Torch:
    """The PyTorch side, in a process of its own that ends with this one."""

    def __init__(self, interpreter: str, folder: Path):
        script = Path(__file__).with_name("trials_torch_worker.py")
        # Passive waiting: idle OpenMP threads would otherwise take the cores from the other program's turn.
        self._process = subprocess.Popen(
            [interpreter, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip
        self._interpreter, self._folder = interpreter, folder

    def __call__(self, task: str, **order: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        defaults = {"pairs": "all", "batch": 1, "threads": 1, "out": ""}
        print(json.dumps({**defaults, **order, "task": task}), file=stdin, flush=True)
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._interpreter} ended with code {self._process.wait()}; its error is above")
        return json.loads(answer)

    def results(self, task: str, **order: Any) -> dict[str, np.ndarray]:
        """What the trials gave."""
        out = self._folder / "out.npz"
        self(task, out=str(out), **order)
        with np.load(out) as arrays:
            return {name: arrays[name] for name in arrays.files}


def best_forms(
    torch: Torch, task: str, n_trials: int, batches: Sequence[int], loop_trials: int
) -> dict[str, dict[str, Any]]:
    """The fastest way to loop (on one thread) and to vmap, of those tried; a form's first call warms it."""
    tried: dict[str, list[dict[str, Any]]] = {"loop": [], "vmap": []}
    for pairs in ("all", "half"):
        tried["loop"].append({"way": "loop", "pairs": pairs, "trials": min(2, n_trials)})
        for threads in sorted({1, available_cores()}):
            for batch in sorted({min(batch, n_trials) for batch in batches}):
                form = {"way": "vmap", "pairs": pairs, "threads": threads, "batch": batch, "trials": batch}
                tried["vmap"].append(form)
    best = {}
    for way, forms in tried.items():
        seconds = []
        for form in forms:
            torch(task, **{**form, "trials": 1, "batch": 1})
            seconds.append(min(torch(task, **form)["wall"] for _ in range(2)) / form["trials"])
        best[way] = forms[int(np.argmin(seconds))]
    best["loop"]["trials"] = min(loop_trials, n_trials)
    return best

"""The other programs of `speech_encoder.py`, as seen from it."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Torch:
    """transformers and CTranslate2 in a process of their own, which ends with this one."""

    def __init__(
        self, interpreter: str, encoder: Path, ctranslate2: str, clips: Sequence[np.ndarray], layers: Sequence[int],
        threads: int, scratch: Path,
    ):  # fmt: skip
        np.savez(scratch / "clips.npz", **{f"{i:05d}": clip_L for i, clip_L in enumerate(clips)})
        script = Path(__file__).with_name("speech_encoder_torch_worker.py")
        command = [interpreter, str(script), f"--encoder={encoder}", f"--clips={scratch / 'clips.npz'}"]
        command += [f"--layers={','.join(map(str, layers))}", f"--threads={threads}"]
        command += [f"--ctranslate2={ctranslate2}"] * bool(ctranslate2)
        # Passive waiting: idle OpenMP threads would otherwise take the cores from the other program's turn.
        environment = os.environ | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._interpreter, self._scratch = interpreter, scratch
        started = self._answer()
        self.ways, self.version = started["ways"], started["torch"]

    def run(self, way: str, clips: int, save: str = "") -> dict[str, float]:
        """Returns the seconds of a pass, by the clock ("wall") and of the processor ("cpu")."""
        assert self._process.stdin is not None
        print(json.dumps({"way": way, "clips": clips, "save": save}), file=self._process.stdin, flush=True)
        return self._answer()

    def results(self, way: str, clips: int) -> np.ndarray:
        """Returns the statistics of the first clips, [N, F] in the order of the features."""
        path = self._scratch / "results.npy"
        self.run(way, clips, str(path))
        return np.load(path).reshape(clips, -1)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._interpreter} ended with code {self._process.wait()}; its error is above")
        return json.loads(line)

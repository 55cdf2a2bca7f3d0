"""Computes openSMILE's own values for the sounds of is09_sounds.py and writes opensmile_is09.npz beside this file.

python tests/golden/make_opensmile.py

Needs the extra `reference`. Run it again when a sound changes; nothing in the package itself is a reason to.
"""

import sys
from pathlib import Path

import numpy as np
import opensmile

sys.path.insert(0, str(Path(__file__).parent))
import is09_sounds


def values(samples: np.ndarray, level: opensmile.FeatureLevel) -> tuple[np.ndarray, list[str]]:
    """The package's table for int16 samples: [rows, columns] float32 and the columns' names."""
    smile = opensmile.Smile(opensmile.FeatureSet.IS09, level)
    table = smile.process_signal((samples / 32768.0).astype(np.float32), is09_sounds.RATE)
    return table.to_numpy(np.float32), list(table.columns)


def main() -> None:
    arrays: dict[str, np.ndarray] = {}
    for name, samples in is09_sounds.sounds().items():
        row, columns = values(samples, opensmile.FeatureLevel.Functionals)
        wanted = [i for i, column in enumerate(columns) if column.endswith(("_amean", "_stddev"))]
        arrays[f"{name}/features"] = row[0, wanted]
        arrays["feature_names"] = np.asarray([columns[i] for i in wanted])
        if name in ("speech_with_digital_silence", "lone_bursts", "pitch_jumps"):
            arrays[f"{name}/smoothed"], _ = values(samples, opensmile.FeatureLevel.LowLevelDescriptors)
    arrays["opensmile"] = np.asarray(opensmile.__version__)
    np.savez_compressed(Path(__file__).with_name("opensmile_is09.npz"), **arrays)


if __name__ == "__main__":
    main()

"""Writes the speech encoder that ships: the first layers of a whole Whisper encoder, float16, and its config.json.

python scripts/make_speech_encoder.py --whole=FOLDER

FOLDER holds config.json and model.safetensors in the published layout.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from siamese_jax.datasets import shipped

LAYERS = 3  # the deepest that the shipped tables use
ORIGIN = "Whisper tiny.en encoder (OpenAI, MIT licence), float16, from a CTranslate2 conversion, renamed; layers 1 to 3"


def ships(name: str) -> bool:
    """Whether a tensor belongs to the convolutions, the positions or the first layers."""
    parts = name.removeprefix("model.encoder.").split(".")
    return parts[0] != "layer_norm" and (parts[0] != "layers" or int(parts[1]) < LAYERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", type=Path, required=True, help="the folder of the whole encoder")
    whole, folder = parser.parse_args().whole, shipped.speech_encoder("tiny.en")
    folder.mkdir(exist_ok=True)
    with safe_open(whole / "model.safetensors", framework="numpy") as tensors:
        kept = {name: tensors.get_tensor(name).astype(np.float16) for name in tensors.keys() if ships(name)}  # noqa: SIM118
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt", "origin": ORIGIN})
    shutil.copyfile(whole / "config.json", folder / "config.json")
    print(f"{folder}: {len(kept)} tensors, {(folder / 'model.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()

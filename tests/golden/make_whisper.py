"""Writes whisper.npz: log-mel spectrograms and hidden states of transformers, for the encoders of `whisper_recipe`.

Runs in an environment of its own, with torch and transformers; the golden file that ships was made with torch 2.13.0
(CPU) and transformers 5.24.0:

    python tests/golden/make_whisper.py tests/golden/whisper.npz
"""

import sys

import numpy as np
import torch
import whisper_recipe as recipe
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder


def hidden_states(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """The log-mel spectrogram [M, 3000] and the hidden states [1500, D] of the sound in a 30 s window."""
    values = recipe.config(name)
    extractor = WhisperFeatureExtractor(feature_size=values["num_mel_bins"])
    mel = extractor(recipe.sound(), sampling_rate=16000, return_tensors="pt").input_features
    encoder = WhisperEncoder(WhisperConfig(**values)).eval()
    for key, tensor in encoder.state_dict().items():
        tensor.copy_(torch.from_numpy(recipe.weight(key, tuple(tensor.shape))))
    with torch.no_grad():
        states = encoder(mel, output_hidden_states=True).hidden_states
    return mel[0].numpy(), [state[0].numpy() for state in states]


def main() -> None:
    arrays = {}
    for name in recipe.SIZES:
        mel, states = hidden_states(name)
        arrays[f"{name}_mel"] = mel[:, ::25]
        arrays[f"{name}_hidden"] = np.stack([state[list(recipe.SHOWN)] for state in states])
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()

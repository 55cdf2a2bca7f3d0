"""Whisper encoders of small and odd sizes with given weights, and a sound: the input of the golden hidden states."""

import facenet_recipe
import numpy as np

_FIELDS = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins")
SIZES = {"tiny": (24, 2, 3, 40, 80), "bands": (16, 3, 1, 64, 128), "heads": (42, 1, 7, 21, 80)}
"""Sizes by name, in the order of `_FIELDS`: three heads, 128 mel bands, seven heads of width 6."""

POSITIONS = 1500
SHOWN = (0, 1, 74, 148, 149, 150, 700, 1499)
"""Positions whose hidden states are stored: the sound's beginning and end, and the silence after it."""


def config(name: str) -> dict:
    """config.json of a size."""
    common = {"model_type": "whisper", "activation_function": "gelu", "max_source_positions": POSITIONS}
    return {**common, **dict(zip(_FIELDS, SIZES[name]))}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 values of a tensor, by its name without prefix."""
    values = facenet_recipe.uniform(name, shape)
    if name.endswith("layer_norm.weight"):
        return (1 + 0.3 * values).astype(np.float32)
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 4.0
    return (values * np.sqrt(6 / fan_in) / 2).astype(np.float32)


def sound() -> np.ndarray:
    """Three seconds of a gliding tone in noise at 16 kHz, [48000] float32."""
    time = np.arange(48000) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (150 * time + 60 * time**2)) * np.exp(-((time - 1.2) ** 2))
    return (tone + 0.02 * facenet_recipe.uniform("sound", (48000,))).astype(np.float32)

"""The other programs of `speech_encoder.py`: takes a pass over the clips on command and reports its time.

Runs under an interpreter with torch and transformers, and CTranslate2 if a model for it is given. Reads a JSON object a
line from standard input, {"way": name, "clips": count, "save": file or ""}, and writes one a line: {"wall": seconds,
"cpu": processor seconds}. `save` receives the statistics of the clips, [N, K, 2, D].
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.pop(0)  # this folder, whose modules could hide those that torch imports

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

RATE, HOP = 16000, 160


def statistics(states: list[np.ndarray], samples: int) -> np.ndarray:
    """Mean and standard deviation [K, 2, D] over a clip's own positions of states [P, D]."""
    positions = -(-(samples // HOP) // 2)
    own = [state[:positions] for state in states]
    return np.stack([[state.mean(axis=0), state.std(axis=0)] for state in own])


class Work:
    """The encoder, the clips (float32 [L]) and the ways to go from these to statistics of hidden states."""

    def __init__(self, encoder: Path, clips: list[np.ndarray], layers: list[int], threads: int, ctranslate2: str):
        config = json.loads((encoder / "config.json").read_text())
        tensors = load_file(encoder / "model.safetensors")
        names = [name for name in tensors if "encoder." in name]
        self.encoder = WhisperEncoder(WhisperConfig(**config)).eval()
        self.encoder.load_state_dict({name.split("encoder.", 1)[1]: tensors[name].float() for name in names})
        self.mel = WhisperFeatureExtractor(feature_size=config["num_mel_bins"])
        self.clips, self.layers, self.threads = clips, layers, threads
        self.last = config["encoder_layers"]
        self.pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self.whisper = None
        if ctranslate2:
            import ctranslate2 as library

            self.storage = library.StorageView.from_array
            self.whisper = library.models.Whisper(ctranslate2, compute_type="float32", intra_threads=threads)

    def windows(self, clips: list[np.ndarray], batch: int) -> list[np.ndarray]:
        """transformers as it comes: every clip in a window of 30 s, all layers."""
        results = []
        for start in range(0, len(clips), batch):
            part = clips[start : start + batch]
            states = self.encoder(self._mel_windows(part, "pt"), output_hidden_states=True).hidden_states
            for row, clip in enumerate(part):
                results.append(statistics([states[layer][row].numpy() for layer in self.layers], len(clip)))
        return results

    def own_length(self, clip: np.ndarray) -> np.ndarray:
        """The layers of transformers that are needed, on the clip's own frames."""
        with torch.inference_mode():
            mel = self.mel(clip, sampling_rate=RATE, return_tensors="pt", padding=False, truncation=False)
            x = gelu(self.encoder.conv2(gelu(self.encoder.conv1(mel.input_features)))).permute(0, 2, 1)
            x = x + self.encoder.embed_positions.weight[: x.shape[1]]
            states = {0: x}
            for number in range(1, max(self.layers) + 1):
                x = self.encoder.layers[number - 1](x, None)
                states[number] = x
            return statistics([states[layer][0].numpy() for layer in self.layers], len(clip))

    def ctranslate2(self, clips: list[np.ndarray], batch: int) -> list[np.ndarray]:
        """CTranslate2 in windows of 30 s; it gives the last layer alone, after the final norm."""
        results = []
        for start in range(0, len(clips), batch):
            part = clips[start : start + batch]
            mel = np.ascontiguousarray(self._mel_windows(part, "np"), np.float32)
            states = np.array(self.whisper.encode(self.storage(mel), to_cpu=True))
            results += [statistics([state], len(clip)) for state, clip in zip(states, part)]
        return results

    def _mel_windows(self, clips: list[np.ndarray], tensors: str):
        return self.mel(clips, sampling_rate=RATE, return_tensors=tensors).input_features

    def ways(self) -> dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]]:
        """Each way, from clips to statistics; forms of one way end in /clips at once or /threads."""
        ways = {
            "transformers/1": lambda clips: self.windows(clips, 1),
            "transformers/8": lambda clips: self.windows(clips, 8),
            "torch_own_length/inner": lambda clips: [self.own_length(clip) for clip in clips],
            "torch_own_length/outer": lambda clips: list(self.pool.map(self.own_length, clips)),
        }
        if self.whisper is not None:
            ways["ctranslate2/1"] = lambda clips: self.ctranslate2(clips, 1)
            ways["ctranslate2/8"] = lambda clips: self.ctranslate2(clips, 8)
        return ways


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True, help="npz of float32 arrays, one a clip, in order")
    parser.add_argument("--layers", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--ctranslate2", default="")
    given = parser.parse_args()
    with np.load(given.clips) as file:
        clips = [file[name] for name in file.files]
    torch.set_num_threads(given.threads)
    work = Work(
        given.encoder, clips, [int(layer) for layer in given.layers.split(",")], given.threads, given.ctranslate2
    )
    ways = work.ways()
    print(json.dumps({"ways": list(ways), "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            results = ways[asked["way"]](clips[: asked["clips"]])
        taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        if asked["save"]:
            np.save(asked["save"], np.stack(results))
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()

"""The PyTorch side of `facenet_cpu.py`: takes a step on command and reports its time.

Runs under an interpreter with torch and facenet-pytorch. Reads "infer" or "train" a line from standard input, writes
one JSON object a line: {"wall": seconds, "cpu": processor seconds}.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

# In place of this folder, whose modules could hide the standard library's (torch imports `statistics`).
sys.path[0] = str(Path(__file__).resolve().parents[1] / "tests" / "golden")
import public_facenet  # noqa: E402
import torch  # noqa: E402


def steps(batch: int, size: int, embedding: int, channels_last: bool) -> dict[str, Callable[[], None]]:
    """One step of inference and one of training (a squared error, Adam), as functions without arguments."""
    network = public_facenet.load().InceptionResnetV1()
    images = torch.randn(batch, 3, size, size)
    target = torch.nn.functional.normalize(torch.randn(batch, embedding))
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)

    def infer() -> None:
        network.eval()
        with torch.no_grad():
            network(images)

    def train() -> None:
        network.train()
        optimizer.zero_grad()
        ((network(images) - target) ** 2).sum().backward()
        optimizer.step()

    return {"infer": infer, "train": train}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--channels_last", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    do = steps(arguments.batch, arguments.size, 512, arguments.channels_last)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        do[line.strip()]()
        taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()

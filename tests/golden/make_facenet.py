"""Writes facenet.npz: what facenet-pytorch answers to given weights and images.

Runs in an environment of its own, with torch and facenet-pytorch (installed without its dependencies); the golden
file that ships was made with torch 2.13.0 (CPU) and facenet-pytorch 2.6.0:

    python tests/golden/make_facenet.py tests/golden/facenet.npz

Weights and images come from `facenet_recipe`, so that only the answers are stored. The public network has fixed
widths, but its layers compute by the arrays they hold: these are put in at 1/8 of the width, and the repeats are cut
to 1, 2 and 1. With --full, for checks that keep nothing: full width and depth at 160 x 160. Make the file anew only if
the recipe or this file changes.
"""

import argparse
from typing import Any

import facenet_recipe
import numpy as np
import public_facenet
import torch


def network(divisor: int, embedding: int, repeats: tuple[int, int, int]) -> Any:
    """The public network with recipe weights at width 1 / divisor."""
    net = public_facenet.load().InceptionResnetV1(dropout_prob=0.0)
    for i, count in enumerate(repeats, 1):
        setattr(net, f"repeat_{i}", getattr(net, f"repeat_{i}")[:count])
    for name, tensor in list(net.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        shape = facenet_recipe.scaled_shape(name, tuple(tensor.shape), divisor, embedding)
        *path, leaf = name.split(".")
        module = net.get_submodule(".".join(path))
        value = torch.from_numpy(facenet_recipe.weight(name, shape))
        setattr(module, leaf, value if leaf.startswith("running_") else torch.nn.Parameter(value))
    return net


def answers(net: Any, images: np.ndarray, embedding: int) -> dict[str, np.ndarray]:
    """Embeddings of both modes, the length of every parameter's gradient, and some running statistics."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    net.eval()
    with torch.no_grad():
        evaluated = net(x).numpy()
    net.train()
    trained = net(x)
    (trained * torch.from_numpy(facenet_recipe.uniform("target", (len(images), embedding)))).sum().backward()
    names = [name for name, _ in net.named_parameters()]
    return {
        "evaluated": evaluated,
        "trained": trained.detach().numpy(),
        "parameters": np.array(names),
        "gradient_lengths": np.array([float(p.grad.norm()) for p in net.parameters()], np.float32),
        "running_mean": net.conv2d_4b.bn.running_mean.numpy(),
        "running_var": net.last_bn.running_var.numpy(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    divisor, embedding, repeats, shape = (1, 512, (5, 10, 5), (4, 160, 160, 3))
    if not arguments.full:
        divisor, embedding, repeats, shape = (8, 16, (1, 2, 1), (8, 80, 80, 3))
    net = network(divisor, embedding, repeats)
    images = facenet_recipe.uniform("images", shape)
    np.savez_compressed(arguments.path, **answers(net, images, embedding))


if __name__ == "__main__":
    main()

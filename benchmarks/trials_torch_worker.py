"""The PyTorch side of `trials.py`: fine-tuning trials as a loop and as torch.func.vmap, when told to.

Runs under an interpreter with torch and NumPy. Reads one JSON object a line: {"task": an .npz with the trials' inputs,
"way": "loop" or "vmap", "pairs": "all" or "half", "trials", "batch", "threads", "out": an .npz to write, or ""}.
Answers with {"wall": seconds, "cpu": processor seconds, "peak_mib"}.

The loop is the best form found on CPU: fused Adam, products with the bias inside, distances by torch's own kernels
(`cdist`, `pdist`), masks made once a trial. vmap's Adam is the same fused one on stacked parameters, which is
elementwise and so the same trial by trial. "half" takes every unordered pair once.
"""

import argparse
import functools
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

N_ENCODER = 6  # three kernels and biases; after them the head's


class Weights(NamedTuple):
    """Of the pairs, [M, M] or [P]: shares of the same and of the different ones, and which are the same."""

    same: Tensor
    different: Tensor
    target: Tensor


def pair_weights(label: Tensor, half: bool, dtype: torch.dtype) -> Weights:
    size = len(label)
    same = (label[:, None] == label[None, :]) & ~torch.eye(size, dtype=torch.bool)
    different = label[:, None] != label[None, :]
    if half:
        first, second = torch.triu_indices(size, size, 1)
        same, different = same[first, second], different[first, second]
    return Weights(same.to(dtype) / same.sum(), different.to(dtype) / different.sum(), same.to(dtype))


def encode(params: Any, x: Tensor) -> Tensor:
    for i in range(0, N_ENCODER, 2):
        x = torch.relu(torch.addmm(params[i + 1], x, params[i]))
    return x


def gaps(emb: Tensor, half: Any) -> Tensor:
    """Differences of the pairs, [M, M, D], or [P, D] for the index pair `half`."""
    if half is None:
        return emb[:, None, :] - emb[None, :, :]
    return emb.index_select(0, half[0]) - emb.index_select(0, half[1])


def cross_entropy(params: Any, x: Tensor, weights: Weights, half: Any) -> Tensor:
    logit = (gaps(encode(params, x), half).abs() @ params[N_ENCODER])[..., 0] + params[N_ENCODER + 1]
    each = F.binary_cross_entropy_with_logits(logit, weights.target, reduction="none")
    return ((weights.same + weights.different) / 2 * each).sum()


def mean_distances(emb: Tensor, weights: Weights, half: Any, own_kernels: bool) -> tuple[Tensor, Tensor]:
    if own_kernels:
        exact = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(emb, emb, compute_mode=exact) if half is None else F.pdist(emb)
    else:
        squared = gaps(emb, half).square().sum(-1)
        apart = squared > 0
        distance = torch.where(apart, torch.where(apart, squared, 1).sqrt(), 0)
    return (weights.same * distance).sum(), (weights.different * distance).sum()


def ratio(params: Any, x: Tensor, weights: Weights, half: Any, own_kernels: bool) -> Tensor:
    d_same, d_different = mean_distances(encode(params, x), weights, half, own_kernels)
    return (d_different + d_same) / (d_different - d_same)


class Task(NamedTuple):
    """The inputs of the trials, see `trials.torch_task`."""

    params: list[Tensor]
    x: Tensor
    label: Tensor
    support: Tensor
    probe: Tensor
    steps: int
    rates: tuple[float, float]
    clip_norm: float

    @classmethod
    def read(cls, path: str) -> "Task":
        with np.load(path) as arrays:
            tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        params = [tensors[f"param_{i}"] for i in range(N_ENCODER + 2)]
        rates = (float(tensors["learning_rate"]), float(tensors["second_learning_rate"]))
        return cls(
            params, tensors["x"], tensors["label"].long(), tensors["support"].long(), tensors["probe"].long(),
            int(tensors["steps"]), rates, float(tensors["clip_norm"]),
        )  # fmt: skip


def read_out(task: Task, params: list[Tensor], support: Tensor) -> dict[str, Tensor]:
    """What a trial gives back: classes of all clips, the support set's losses, distances between emotions."""
    x, label = task.x[support], task.label[support]
    emb = encode(params, x)
    classes = torch.arange(int(task.label.max()) + 1)
    member = (label[:, None] == classes[None, :]).to(emb.dtype)
    similar = (encode(params, task.x)[:, None, :] - emb[None, :, :]).abs() @ params[N_ENCODER]
    scores = F.logsigmoid(similar[..., 0] + params[N_ENCODER + 1]) @ member / member.sum(0)
    weights = pair_weights(label, False, emb.dtype)
    d_same, d_different = mean_distances(emb, weights, None, False)
    seen = (task.probe[:, None] == support[None, :]).any(1)
    unseen = (task.label[task.probe][:, None] == classes[None, :]).to(emb.dtype) * ~seen[:, None]
    squared = gaps(encode(params, task.x[task.probe]), None).square().sum(-1)
    total, count = unseen.T @ squared.sqrt() @ unseen, unseen.sum(0)
    return {
        "predictions": scores.argmax(1).to(torch.int8),
        "cross_entropy": cross_entropy(params, x, weights, None),
        "d_same": d_same,
        "d_different": d_different,
        "emotion_distances": total / (count[:, None] * count[None, :] - torch.diag(count)),
    }


def loop(task: Task, rows: range, pairs: str) -> list[dict[str, Tensor]]:
    """One trial after the other."""
    found = []
    for row in rows:
        params = [p[row].clone().requires_grad_() for p in task.params]
        encoder = params[:N_ENCODER]
        support = task.support[row]
        x, size = task.x[support], len(support)
        half = torch.triu_indices(size, size, 1) if pairs == "half" else None
        weights = pair_weights(task.label[support], half is not None, x.dtype)
        first = torch.optim.Adam(params, task.rates[0], fused=True)
        second = torch.optim.Adam(encoder, task.rates[1], fused=True)
        for _ in range(task.steps):
            first.zero_grad()
            cross_entropy(params, x, weights, half).backward()
            first.step()
            second.zero_grad()
            ratio(params, x, weights, half, True).backward()
            norm = torch.nn.utils.get_total_norm([p.grad for p in encoder])
            if not torch.isfinite(norm):
                continue
            torch._foreach_mul_([p.grad for p in encoder], torch.clamp(task.clip_norm / norm, max=1.0))
            second.step()
        with torch.no_grad():
            found.append(read_out(task, params, support))
    return found


def mapped_gradient(loss: Callable[..., Tensor]) -> Callable[..., Any]:
    return torch.func.vmap(torch.func.grad(loss))


def vmapped(task: Task, rows: range, pairs: str, batch: int) -> list[dict[str, Tensor]]:
    """`batch` trials at once."""
    found = []
    for start in range(rows.start, rows.stop, batch):
        some = slice(start, min(start + batch, rows.stop))
        params = [p[some].clone() for p in task.params]
        encoder = params[:N_ENCODER]
        support = task.support[some]
        x, size = task.x[support], support.shape[1]
        half = torch.triu_indices(size, size, 1) if pairs == "half" else None
        each = [pair_weights(label, half is not None, x.dtype) for label in task.label[support]]
        weights = Weights(*map(torch.stack, zip(*each)))
        first = torch.optim.Adam(params, task.rates[0], fused=True)
        second = torch.optim.Adam(encoder, task.rates[1], fused=True)
        entropy_grad = mapped_gradient(functools.partial(cross_entropy, half=half))
        ratio_grad = mapped_gradient(functools.partial(ratio, half=half, own_kernels=False))
        for _ in range(task.steps):
            for p, grad in zip(params, entropy_grad(params, x, weights)):
                p.grad = grad
            first.step()
            grads = ratio_grad(encoder, x, weights)
            norm = torch.stack([g.flatten(1).norm(dim=1) for g in grads]).norm(dim=0)
            if not torch.isfinite(norm).all():
                raise FloatingPointError("a trial met the ratio loss's pole; vmap's Adam cannot skip one trial")
            scale = torch.clamp(task.clip_norm / norm, max=1.0)
            for p, grad in zip(encoder, grads):
                p.grad = grad * scale.view(-1, *[1] * (grad.dim() - 1))
            second.step()
        last = torch.func.vmap(lambda p, s: read_out(task, p, s))(params, support)
        found += [{name: value[i] for name, value in last.items()} for i in range(len(support))]
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for line in sys.stdin:
        order = json.loads(line)
        torch.set_num_threads(order["threads"])
        task, rows = Task.read(order["task"]), range(order["trials"])
        wall, cpu = time.perf_counter(), time.process_time()
        if order["way"] == "loop":
            found = loop(task, rows, order["pairs"])
        else:
            found = vmapped(task, rows, order["pairs"], order["batch"])
        taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        if order["out"]:
            np.savez(order["out"], **{name: np.stack([one[name].numpy() for one in found]) for name in found[0]})
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**taken, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()

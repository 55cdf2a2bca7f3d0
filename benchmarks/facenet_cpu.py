"""Images per second of the full-width FaceNet on CPU, compared with facenet-pytorch, in one run.

    python -m benchmarks.facenet_cpu --torch_python=/path/to/python --json=facenet_cpu.json

The two programs take turns, step by step, so that whatever else the machine does meets both alike. Each is held to the
same `--threads` cores. The reference interpreter has the CPU build of torch and facenet-pytorch (installed without its
dependencies); it runs in both memory layouts, and the faster one counts. Reported: the median of the steps, by the
clock and per second of processor time (on a busy machine the second is the steadier one).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

_TORCH = flags.DEFINE_string("torch_python", "", "interpreter with torch and facenet-pytorch; empty: ours alone")
_JSON = flags.DEFINE_string("json", "", "file to write the results to, as JSON")
_THREADS = flags.DEFINE_integer("threads", 2, "cores for each program")
_BATCH = flags.DEFINE_integer("batch", 16, "images in a step")
_SIZE = flags.DEFINE_integer("size", 160, "pixels a side")
_STEPS = flags.DEFINE_integer("steps", 5, "steps of each kind that are timed, after one that is not")
_FORMS = flags.DEFINE_list(
    "forms",
    ["mixed/products"],
    "forms of our network, each convolution/sums, with /default at the end for XLA's own choice of library",
)

Timer = Callable[[str], dict[str, float]]


def ours(form: str, batch: int, size: int) -> Timer:
    """A function of "infer" or "train" that does one step of our network and says how long it took."""
    # Imported here: JAX counts its cores when it starts, which must come after they are limited.
    import jax
    import jax.numpy as jnp
    import optax

    from siamese_jax.models import facenet
    from siamese_jax.models.convolution import compile_options

    convolution, sums, *library = form.split("/")
    config = facenet.FaceNetConfig(3, 512, 1.0, 1.0, 0.6, 0.9, "valid", 2, convolution, sums, "float32")
    variables = jax.jit(lambda key: facenet.init(key, config))(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (batch, size, size, 3))
    target = facenet.on_sphere(jax.random.normal(jax.random.key(2), (batch, 512)))
    optimizer = optax.adam(1e-3)

    def step(state: Any, images: jax.Array, key: jax.Array) -> Any:
        params, stats, moments = state

        def loss(params: Any) -> Any:
            emb, new = facenet.embed_train(config, {"params": params, "batch_stats": stats}, images, key)
            return jnp.sum((emb - target) ** 2), new

        grads, new = jax.grad(loss, has_aux=True)(params)
        updates, moments = optimizer.update(grads, moments)
        return optax.apply_updates(params, updates), new, moments

    options = {} if library == ["default"] else compile_options(jax.default_backend())
    infer = jax.jit(lambda v, images: facenet.embed(config, v, images), compiler_options=options)
    train = jax.jit(step, donate_argnums=0, compiler_options=options)
    # Training overwrites its state, inference keeps its own.
    own = jax.tree.map(jnp.copy, variables)
    state = (own["params"], own["batch_stats"], optimizer.init(own["params"]))

    def run(kind: str) -> dict[str, float]:
        nonlocal state
        wall, cpu = time.perf_counter(), time.process_time()
        if kind == "infer":
            jax.block_until_ready(infer(variables, images))
        else:
            state = train(state, images, jax.random.key(3))
            jax.block_until_ready(state)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

    return run


def theirs(interpreter: str, threads: int, batch: int, size: int, channels_last: bool) -> Timer:
    """The same of facenet-pytorch, in a process of its own that ends with this one."""
    script = Path(__file__).with_name("facenet_torch_worker.py")
    command = [interpreter, str(script), f"--threads={threads}", f"--batch={batch}", f"--size={size}"]
    # Passive waiting: idle OpenMP threads would otherwise take the cores from the other program's turn.
    worker = subprocess.Popen(
        command + ["--channels_last"] * channels_last,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    stdin, stdout = worker.stdin, worker.stdout

    def run(kind: str) -> dict[str, float]:
        print(kind, file=stdin, flush=True)
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"{interpreter} ended with code {worker.wait()}; its error is above")
        return json.loads(answer)

    return run


def measure(programs: dict[str, Timer], batch: int, steps: int) -> dict[str, dict[str, float]]:
    """Images per second of every program, taking turns: {program: {kind_clock: rate}}."""
    rates: dict[str, dict[str, float]] = {name: {} for name in programs}
    for kind in ("infer", "train"):
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for turn in range(steps + 1):
            for name, run in programs.items():
                seconds = run(kind)
                if turn:
                    taken[name].append(seconds)
        for name, times in taken.items():
            for clock in ("wall", "cpu"):
                rates[name][f"{kind}_{clock}"] = batch / float(np.median([t[clock] for t in times]))
    return rates


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: _THREADS.value])
    programs: dict[str, Timer] = {}
    for form in _FORMS.value:
        programs[f"siamese_jax {form}"] = ours(form, _BATCH.value, _SIZE.value)
    for layout in ("channels_last", "channels_first") if _TORCH.value else ():
        last = layout == "channels_last"
        programs[f"facenet-pytorch {layout}"] = theirs(_TORCH.value, _THREADS.value, _BATCH.value, _SIZE.value, last)
    rates = measure(programs, _BATCH.value, _STEPS.value)
    columns = list(next(iter(rates.values())))
    best = {c: max([r[c] for name, r in rates.items() if "pytorch" in name], default=0.0) for c in columns}
    print(f"{'images a second':34}" + "".join(f"{c:>13}" for c in columns))
    for name, row in rates.items():
        shares = {c: f" ({row[c] / best[c]:.2f})" if best[c] else "" for c in columns}
        print(f"{name:34}" + "".join(f"{row[c]:6.1f}{shares[c]:>7}" for c in columns))
    if _JSON.value:
        from siamese_jax.runtime.files import write_json

        setting = {"batch": _BATCH.value, "size": _SIZE.value, "threads": _THREADS.value, "steps": _STEPS.value}
        write_json(_JSON.value, {"setting": setting, "images_per_second": rates, "python": sys.version})


if __name__ == "__main__":
    app.run(main)

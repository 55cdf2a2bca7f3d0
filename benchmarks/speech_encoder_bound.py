"""Operations of the features of a speech encoder, and the rate of large products that bounds them."""

import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from siamese_jax.datasets import shipped, speech_encoder
from siamese_jax.features import log_mel
from siamese_jax.models import whisper_weights

SHAPES = ((2048, 2048, 2048), (1024, 1024, 1024), (1600, 384, 1536))
"""Rows, inner size and columns of the bound's products: large ones, and the largest of four clips of 4 s."""

STREAM = 2e10  # operations of a stream


def _products(jaxpr: Any) -> float:
    """Returns the operations of the matrix products in a traced program: a multiplication and an addition each."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            shape = equation.invars[0].aval.shape
            total += 2.0 * np.prod([shape[i] for i in contracted]) * np.prod(equation.outvars[0].aval.shape)
        total += sum(_products(value.jaxpr) for value in equation.params.values() if hasattr(value, "jaxpr"))
    return total


class Operations:
    """Counts the operations of a piece of a number of frames."""

    def __init__(self, encoder: str, options: speech_encoder.Options):
        folder = shipped.speech_encoder(encoder)
        config = whisper_weights.read_config(folder)
        self._params = whisper_weights.load(folder, config, max(options.layers))
        heads, bands = config.encoder_attention_heads, config.num_mel_bins
        self._program = functools.partial(speech_encoder.piece_statistics, n_heads=heads, bands=bands, options=options)
        # Convolutions and layers grow with the frames, attention with their square.
        widths = (200, 400, 800)
        self._own = np.polynomial.Polynomial.fit(widths, [_products(self._traced(width)) for width in widths], 2)

    def _operands(self, width: int) -> tuple[Any, ...]:
        sound = jax.ShapeDtypeStruct((1, log_mel.sample_count(width)), np.float32)
        return self._params, sound, jax.ShapeDtypeStruct((1,), np.int32)

    def _traced(self, width: int) -> Any:
        return jax.make_jaxpr(self._program)(*self._operands(width)).jaxpr

    def products(self, samples: int) -> float:
        """Returns the operations of products that a clip of so many samples needs, without padding."""
        pieces = -(-samples // speech_encoder.WINDOW)
        return pieces * float(self._own(log_mel.frame_count(samples // pieces)))

    def compiled(self, width: int) -> dict[str, float]:
        """Returns all operations of the compiled program by XLA's count, and those of its products, for one piece."""
        analysis = jax.jit(self._program).lower(*self._operands(width)).compile().cost_analysis()
        return {"all": analysis["flops"], "products": _products(self._traced(width))}


def bound(precision: str) -> Callable[[], dict[str, float]]:
    """Returns a function that measures the operations per second of large products, a stream on each local device.

    It gives the rate by the clock, of all devices together, and by the processor, of one core: the best of `SHAPES`.
    """
    devices = jax.local_devices()
    rows = 1 if devices[0].platform == "cpu" else 16  # times as many on an accelerator
    product = jax.jit(functools.partial(jnp.matmul, precision="highest"))
    pool = ThreadPoolExecutor(len(devices))

    def pair(device: jax.Device, m: int, k: int, n: int) -> tuple[jax.Array, jax.Array]:
        return tuple(jax.device_put(jnp.ones(shape, precision), device) for shape in ((rows * m, k), (k, n)))

    operands = {shape: [pair(device, *shape) for device in devices] for shape in SHAPES}

    def stream(pair: tuple[jax.Array, jax.Array], times: int) -> None:
        for _ in range(times):
            product(*pair).block_until_ready()

    def rates(shape: tuple[int, int, int]) -> dict[str, float]:
        one = 2.0 * rows * math.prod(shape)
        times = max(1, round(STREAM * rows / one))
        wall, cpu = time.perf_counter(), time.process_time()
        list(pool.map(functools.partial(stream, times=times), operands[shape]))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {"wall": len(devices) * times * one / wall, "cpu": len(devices) * times * one / cpu}

    def measure() -> dict[str, float]:
        measured = [rates(shape) for shape in SHAPES]
        return {clock: max(rate[clock] for rate in measured) for clock in ("wall", "cpu")}

    measure()
    return measure

"""Images per second of FaceNet's training step and embedding, from samples to update, in the forms one can choose.

    python -m benchmarks.facenet_training --json=facenet_training.json

The forms take turns, step by step, so that whatever else the machine does meets all alike. Each is
convolution/sums/devices, for instance mixed/products/1. Reported: the median of the steps, by the clock and per second
of processor time, and what an epoch of RAVDESS takes: 3,743 sounding segments of four emotions, of which two
folds of six are held out, with 1,024 segments for class centres and a sixth to validate on.
"""

import dataclasses
import sys
import time

import jax
import numpy as np
from absl import app, flags

from siamese_jax.features.augment import AugmentConfig
from siamese_jax.features.images import ImageConfig
from siamese_jax.features.segments import SegmentConfig
from siamese_jax.models.facenet import FaceNetConfig, init
from siamese_jax.runtime.files import write_json
from siamese_jax.training.facenet.config import TrainConfig
from siamese_jax.training.facenet.step import Programs

_JSON = flags.DEFINE_string("json", "", "file to write the results to, as JSON")
_FORMS = flags.DEFINE_list("forms", ["mixed/products/1", "mixed/products/2"], "convolution/sums/devices each")
_CPU_DEVICES = flags.DEFINE_integer("cpu_devices", 2, "devices that the cores are made into")
_VIEW = flags.DEFINE_string("view", "spectrogram", "waveform or spectrogram")
_WIDTH = flags.DEFINE_float("width", 0.25, "of the network")
_SIZE = flags.DEFINE_integer("size", 64, "pixels a side")
_DEPTH = flags.DEFINE_float("depth", 0.4, "of the network")
_STRIDE = flags.DEFINE_integer("stem_stride", 2, "of the first layer")
_PADDING = flags.DEFINE_string("padding", "same", "same or valid")
_DTYPE = flags.DEFINE_string("dtype", "float32", "of the activations")
_BATCH = flags.DEFINE_integer("batch", 64, "images in a step, a multiple of four")
_STEPS = flags.DEFINE_integer("steps", 8, "steps of each kind that are timed, after two that are not")


def config(form: str) -> TrainConfig:
    """The training that a form stands for."""
    convolution, sums, devices = form.split("/")
    return TrainConfig(
        view=_VIEW.value,
        segments=SegmentConfig(16000, 1.0, 0.5, 0.25, 25.0),
        images=ImageConfig(16000, _SIZE.value, 1.0, 0.025, 1024 if _SIZE.value <= 80 else 2048, 0, 8000, -100, -10),
        network=FaceNetConfig(
            1, 128, _WIDTH.value, _DEPTH.value, 0.4, 0.9, _PADDING.value, _STRIDE.value, convolution, sums, _DTYPE.value
        ),
        augment=AugmentConfig(0.1, 0.3, 10, 30, 1, 0.2, 1, 0.2),
        classes_per_batch=4,
        segments_per_class=_BATCH.value // 4,
        margin=0.5,
        mining="all",
        learning_rate=1e-3,
        weight_decay=1e-4,
        clip_norm=1.0,
        warmup=0.0,
        schedule="constant",
        epochs=1,
        patience=1,
        validation_segments=1000,
        embed_batch=_BATCH.value,
        devices=int(devices),
        frozen=(),
    )


def measure(forms: list[str]) -> dict[str, dict[str, float]]:
    """{form: {kind_clock: images per second}}, and the seconds that its programs took to compile."""
    rng = np.random.default_rng(0)
    segments = rng.normal(0, 0.1, (_BATCH.value, 16000)).astype(np.float32)
    classes = np.repeat(np.arange(4), _BATCH.value // 4)
    ready, rates = {}, {}
    for form in forms:
        program = Programs(config(form))
        start = time.perf_counter()
        variables = init(jax.random.key(0), config(form).network)
        state, _ = program.step(program.start(variables), segments, classes, 1e-3, jax.random.key(1))
        jax.block_until_ready(program.embed(program.place(variables), segments))
        ready[form] = [program, state, program.place(variables)]
        rates[form] = {"compile_seconds": time.perf_counter() - start}
    for kind in ("train", "embed"):
        taken: dict[str, list[tuple[float, float]]] = {form: [] for form in forms}
        for turn in range(_STEPS.value + 1):
            for form, (program, state, variables) in ready.items():
                wall, cpu = time.perf_counter(), time.process_time()
                if kind == "train":
                    ready[form][1], result = program.step(state, segments, classes, 1e-3, jax.random.key(turn))
                    jax.block_until_ready(result)
                else:
                    jax.block_until_ready(program.embed(variables, segments))
                if turn:
                    taken[form].append((time.perf_counter() - wall, time.process_time() - cpu))
        for form, times in taken.items():
            for clock, seconds in zip(("wall", "cpu"), np.median(times, axis=0)):
                rates[form][f"{kind}_{clock}"] = _BATCH.value / float(seconds)
    return rates


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    jax.config.update("jax_num_cpu_devices", _CPU_DEVICES.value)
    rates = measure(_FORMS.value)
    print(f"{'images a second':26}" + "".join(f"{name:>17}" for name in next(iter(rates.values()))))
    for form, row in rates.items():
        print(f"{form:26}" + "".join(f"{value:17.1f}" for value in row.values()))
        seconds = 2495 / row["train_wall"] + (1024 + 624) / row["embed_wall"]
        print(f"{'':26} an epoch on RAVDESS: {seconds:.1f} s")
    if _JSON.value:
        setting = dataclasses.asdict(config(_FORMS.value[0]))
        device = jax.devices()[0]
        made = {"device": device.device_kind, "jax": jax.__version__, "python": sys.version}
        write_json(_JSON.value, {"setting": setting, "rates": rates, **made})


if __name__ == "__main__":
    app.run(main)

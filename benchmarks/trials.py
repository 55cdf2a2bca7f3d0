"""Times fine-tuning trials, compared with the same work in PyTorch, as a loop and as torch.func.vmap.

    python -m benchmarks.trials --torch_python=VENV/bin/python --record=trials.json --plot=trials.png
    python -m benchmarks.trials --scale=1000,10000,100000 --speakers=8 --record=scale.json

A trial is one whole fine-tuning of the tables that ship: every step a cross-entropy and a ratio-loss update on all
pairs of the labelled clips, at the end the classes of all clips of the target, the losses and the distances between
emotions. Ours runs through `stages.FineTuning`, as the launchers do. Each number of speakers has processes of its own;
in it the ways take turns, and the median over the repeats counts. The interpreter VENV has torch and NumPy.
"""

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import trials_plot
from benchmarks.trials_torch import Torch, best_forms
from configs import rerun as rerun_config
from siamese_jax.datasets.draws import evaluation_masks
from siamese_jax.experiments import run_context, workdir
from siamese_jax.losses import pair_masks
from siamese_jax.models import siamese
from siamese_jax.protocols import config, stages, trials
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime import files, vectorize
from siamese_jax.runtime.devices import use_all_cores
from siamese_jax.stats.scoring import score
from siamese_jax.training import siamese as training

_TORCH = flags.DEFINE_string("torch_python", "", "Interpreter with torch; without it ours runs alone.")
_SPEAKERS = flags.DEFINE_list("speakers", ["2", "8", "20"], "Numbers of labelled speakers, four clips each.")
_STEPS = flags.DEFINE_integer("steps", 100, "Steps of a trial, both updates each.", lower_bound=1)
_TRIALS = flags.DEFINE_integer("trials", 2000, "Trials of ours in one timing.", lower_bound=1)
_LOOP_TRIALS = flags.DEFINE_integer("loop_trials", 8, "Trials of the PyTorch loop in one timing.", lower_bound=1)
_VMAP_BATCHES = flags.DEFINE_list(
    "vmap_batches", ["8", "32", "128", "512", "1024"], "Trials at once tried for vmap; the best counts."
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timings of each way; the median counts.", lower_bound=1)
_AGREE = flags.DEFINE_integer("agree", 200, "Trials of which the mean UAR is compared; 0 compares none.", lower_bound=0)
_SOURCE_STEPS = flags.DEFINE_integer("source_steps", 200, "Steps of the source trainings that trials start from.")
_SCALE = flags.DEFINE_list("scale", [], "Numbers of trials to run one after the other, with their time and memory.")
_PROFILE = flags.DEFINE_string("profile", None, "Folder for a profile of one block of --scale (jax.profiler).")
_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_PLOT = flags.DEFINE_string("plot", None, "PNG to draw the rates into.")
_WORKER = flags.DEFINE_string("worker", None, "For the program's own use: the part to run in this process.")

SEEDS = 10
BLOCK = 500
"""Trials of a block of --scale."""

MOST_PAIRS = 2**19
"""Pairs of all trials that are tried at once for vmap; more gain nothing, and take gigabytes."""

FEW_STEPS, FEW_TRIALS = 5, 4
"""Of the comparison in float64."""


class Work:
    """The trials of one number of speakers: their plan, starting parameters and compiled program."""

    def __init__(self, speakers: int, n_trials: int):
        given = rerun_config.get_config()
        given.protocol.update({"n_draws": n_trials, "n_seeds": SEEDS, "losses": ("ratio",)})
        given.training.update({"source_steps": _SOURCE_STEPS.value})
        given.protocol.update({"n_speakers": (speakers,)})
        given.report.update({"fixed_n_speakers": speakers})
        given.protocol.update({"steps": (_STEPS.value,)})
        given.report.update({"fixed_steps": _STEPS.value})
        settings = config.resolve(given)
        self.speakers, self.n_trials = speakers, n_trials
        self.plan = Plan.make(settings, *run_context.load(settings))
        trained = stages.source_training(self.plan, "abs_difference", "corpus", lambda _: None)
        self.params = stages.params_from_arrays(trained)
        start = time.perf_counter()
        with ThreadPoolExecutor(1) as executor:
            self.tuning = stages.FineTuning(self.plan, "abs_difference", (speakers,), executor)
        self.compile_seconds = time.perf_counter() - start

    def run(self) -> Any:
        return self.tuning.run(self.plan, self.speakers, "corpus", self.params, lambda _: None)

    def arguments(self, n_trials: int) -> Any:
        """Of the first trials: (params, few_shot) and what they share."""
        params, few_shot, *shared = self.tuning.arguments(self.plan, self.speakers, "corpus", self.params)
        return jax.tree.map(lambda leaf: leaf[:n_trials], (params, few_shot)), shared


def write_task(work: Work, path: Path, n_trials: int, steps: int, dtype: type) -> str:
    """Writes what a trial takes, for the other program."""
    (params, few_shot), (target, probe) = work.arguments(n_trials)
    e = work.plan.experiment
    parts = [params["encoder"][f"layer_{i}"][name] for i in range(3) for name in ("kernel", "bias")]
    parts += [params["head"]["kernel"], params["head"]["bias"]]
    arrays = {f"param_{i}": part.astype(dtype) for i, part in enumerate(parts)}
    np.savez(
        path, **arrays, x=target.x.astype(dtype), label=target.label, support=few_shot.support, probe=probe,
        steps=steps, learning_rate=e.training.learning_rate,
        second_learning_rate=e.training.second_learning_rate, clip_norm=e.training.clip_norm,
    )  # fmt: skip
    return str(path)


def agreement(work: Work, torch: Torch, folder: Path, forms: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How far the ways' results are apart: in float64 after few steps, and in mean UAR of the real trials."""
    found: dict[str, Any] = {}
    n_few, n_many = min(FEW_TRIALS, work.n_trials), min(_AGREE.value, work.n_trials)
    task = write_task(work, folder / "few.npz", n_few, FEW_STEPS, np.float64)
    ours = _in_float64(work, n_few)
    for way in ("loop", "vmap"):
        form = {**forms[way], "trials": n_few, "batch": n_few}
        theirs = torch.results(task, **form)
        found[f"{way}_float64"] = max(float(np.abs(ours[k] - theirs[k]).max()) for k in ours)
    task = write_task(work, folder / "many.npz", n_many, _STEPS.value, np.float32)
    predictions = {"ours": work.run().predictions.values[0, 0, :n_many, 0]}
    for way in ("loop", "vmap"):
        predictions[way] = torch.results(task, **{**forms[way], "trials": n_many})["predictions"]
    masks = evaluation_masks(work.plan.target, work.plan.draws.support(work.speakers)[:n_many])["paper"]
    uar = {way: score(found_GxN, work.plan.target.label, masks).uar for way, found_GxN in predictions.items()}
    found["uar"] = {way: float(values.mean()) for way, values in uar.items()}
    found["uar_trials"] = n_many
    return found


def _in_float64(work: Work, n_trials: int) -> dict[str, np.ndarray]:
    with jax.enable_x64(True):
        (params, few_shot), (target, probe) = jax.tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, work.arguments(n_trials)
        )
        trial = trials.make_fine_tuning_trial(work.plan.spec("abs_difference"), ("ratio",), (FEW_STEPS,))
        program = vectorize.TrialProgram(trial, (0, 0, None, None, None), n_trials)
        result = program(params, few_shot, target, probe, np.int32(0))
    log = {name: value[:, 0] for name, value in result.log._asdict().items()}
    return {**log, "emotion_distances": result.emotion_distances[:, 0]}


def products(work: Work) -> float:
    """Floating-point operations of a trial's matrix products with the encoder's kernels, counted by hand.

    Each of the two updates of a step: forward, gradients of the kernels, and gradients of all inputs but the clips.
    At the end the target's clips, the support set and the probes, forward.
    """
    widths = (work.plan.target.table.features.shape[1], *work.plan.experiment.network.encoder_widths)
    sizes = [a * b for a, b in itertools.pairwise(widths)]
    clips = work.plan.draws.support(work.speakers).shape[1]
    step = 2 * clips * (2 * sum(sizes) + sum(sizes[1:]))
    _, (target, probe) = work.arguments(1)
    return 2.0 * _STEPS.value * step + 2.0 * sum(sizes) * (len(target.x) + 2 * clips + len(probe))


def counted(work: Work) -> float:
    """Floating-point operations of a trial, all of them, as XLA counts those of the compiled program.

    XLA counts the body of a loop once, so the other rounds of a step are added, from a program of one step alone.
    """
    spec, n_frozen = work.plan.spec("abs_difference"), np.int32(0)
    mapped, (target, probe) = work.arguments(1)
    params, few_shot = jax.tree.map(lambda leaf: leaf[0], mapped)
    x, label, speaker = (values[few_shot.support] for values in target)

    def step(params: Any, x_BxF: jax.Array) -> training.TrainState:
        masks = pair_masks.pair_masks(label, few_shot.support, speaker, few_shot.valid, spec.training.pairs_within)
        mask, state = siamese.trainable_mask(params, n_frozen), training.init_state(params)
        state = training.cross_entropy_step(spec.network, spec.training, state, x_BxF, masks, mask)
        return training.second_step(spec.network, spec.training, "ratio", state, x_BxF, masks, mask)

    whole = jax.jit(work.tuning.trial).lower(params, few_shot, target, probe, np.int32(0)).compile()
    once = jax.jit(step).lower(params, x).compile()
    return whole.cost_analysis()["flops"] + (_STEPS.value - 1) * once.cost_analysis()["flops"]


def sgemm_rate() -> float:
    """Floating-point operations per second of large products, one on each device at a time."""
    size, devices = 1024, jax.local_devices()
    product = jax.jit(lambda a: a @ a)
    blocks = [jax.device_put(jnp.ones((size, size)), device) for device in devices]
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        jax.block_until_ready([product(block) for block in blocks])
        seconds.append(time.perf_counter() - start)
    return 2.0 * size**3 * len(devices) / min(seconds)


def _timed(call: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def side_by_side(speakers: int) -> dict[str, Any]:
    """All ways at one number of speakers, in this process and its child."""
    jax.config.update("jax_enable_compilation_cache", False)
    work = Work(speakers, _TRIALS.value)
    found: dict[str, Any] = {"speakers": speakers, "clips": 4 * speakers, "compile_seconds": work.compile_seconds}
    ways: dict[str, tuple[int, Callable[[], dict[str, float]]]] = {
        "siamese_jax": (work.n_trials, lambda: _timed(work.run))
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if _TORCH.value:
            torch = Torch(_TORCH.value, folder)
            task = write_task(work, folder / "task.npz", work.n_trials, _STEPS.value, np.float32)
            short = write_task(work, folder / "short.npz", work.n_trials, -(-_STEPS.value // 4), np.float32)
            most = max(1, MOST_PAIRS // (4 * speakers) ** 2)
            batches = [min(int(batch), most) for batch in _VMAP_BATCHES.value]
            forms = best_forms(torch, short, work.n_trials, batches, _LOOP_TRIALS.value)
            found["forms"] = forms
            if _AGREE.value:
                found["agreement"] = agreement(work, torch, folder, forms)
            for way, form in forms.items():
                ways[f"torch_{way}"] = (form["trials"], lambda form=form: torch(task, **form))
        work.run()
        timings: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        sgemm = []
        for _ in range(_REPEATS.value):
            for way, (_, call) in ways.items():
                timings[way].append(call())
            sgemm.append(sgemm_rate())
    found["ways"] = {
        way: {
            "trials": n,
            "trials_per_second": n / statistics.median(t["wall"] for t in timings[way]),
            "trials_per_cpu_second": n / statistics.median(t["cpu"] for t in timings[way]),
            "peak_mib": timings[way][-1].get("peak_mib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        for way, (n, _) in ways.items()
    }
    flops, rate = products(work), statistics.median(sgemm)
    found |= {"flops_of_products": flops, "flops_of_all": counted(work)}
    found |= {"sgemm_flops_per_second": rate, "bound_trials_per_second": rate / flops}
    return found


def many(n_trials: int) -> dict[str, Any]:
    """Runs trials in blocks, as `siamese-jax rerun` does, and keeps one score of each; in this process alone."""
    work = Work(int(_SPEAKERS.value[0]), min(BLOCK, n_trials))
    e, start, scores = work.plan.experiment, time.perf_counter(), []
    first = 0.0
    for block in range(0, n_trials, BLOCK):
        plan = Plan.make(e, work.plan.source, work.plan.target, block)
        found = work.tuning.run(plan, work.speakers, "corpus", work.params, lambda _: None)
        masks = evaluation_masks(plan.target, found.support.values)["paper"]
        scores.append(score(found.predictions.values[0, 0, :, 0], plan.target.label, masks).uar)
        first = first or time.perf_counter() - start
    seconds = time.perf_counter() - start
    if _PROFILE.value:
        with jax.profiler.trace(_PROFILE.value):
            work.run()
    uar = np.concatenate(scores)[:n_trials]
    return {
        "trials": n_trials, "seconds": seconds, "trials_per_second": n_trials / seconds, "first_block_seconds": first,
        "compile_seconds": work.compile_seconds, "uar_mean": float(uar.mean()),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    use_all_cores()
    if _WORKER.value:
        part, number = _WORKER.value.split(":")
        print(json.dumps({"size": side_by_side, "scale": many}[part](int(number))))
        return
    record: dict[str, Any] = {"provenance": workdir.provenance(), "steps": _STEPS.value, "repeats": _REPEATS.value}
    if _SCALE.value:
        parts, show, field = [f"scale:{number}" for number in _SCALE.value], json.dumps, "scale"
    else:
        parts, show, field = [f"size:{speakers}" for speakers in _SPEAKERS.value], summary, "sizes"
    record[field] = []
    for part in parts:
        record[field].append(_in_process(part))
        print(show(record[field][-1]), flush=True)
        # After each, so that one that fails takes nothing with it.
        if _RECORD.value:
            files.write_json(_RECORD.value, record)
        if _PLOT.value and field == "sizes":
            trials_plot.draw(record, _PLOT.value)


def _in_process(part: str) -> dict[str, Any]:
    """A part in a process of its own, so that its memory is its own too."""
    command = [sys.executable, "-m", "benchmarks.trials", *sys.argv[1:], f"--worker={part}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def summary(size: dict[str, Any]) -> str:
    """A few lines on one number of speakers."""
    ours = size["ways"]["siamese_jax"]["trials_per_second"]
    lines = [f"{size['clips']} clips: compiled in {size['compile_seconds']:.1f} s"]
    for way, row in size["ways"].items():
        rate = row["trials_per_second"]
        lines.append(f"  {way:12s} {rate:8.1f} trials/s, ours {ours / rate:6.1f} x; peak {row['peak_mib']:.0f} MiB")
    bound = size["bound_trials_per_second"]
    lines.append(f"  bound of the encoder's products {bound:8.1f} trials/s, ours {ours / bound:.2f} of it")
    if "agreement" in size:
        lines.append(f"  agreement: {json.dumps(size['agreement'])}")
    return "\n".join(lines)


if __name__ == "__main__":
    app.run(main)

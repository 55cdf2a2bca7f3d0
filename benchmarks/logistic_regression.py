"""The few-shot logistic regression of the baselines: all draws at once in JAX, and scikit-learn's, in one run.

    python -m benchmarks.logistic_regression --record=logistic_regression.json

EMO-DB to RAVDESS on the shipped encoder features of layer 2 (768 columns), scaled by corpus: 200 draws of 2, 4, 8 and
20 speakers, source and target clips with half of the weight each. scikit-learn fits a draw on one thread, as many at
a time as there are cores, as the baselines do. Both times include the classes of all target clips. Some draws are
fitted to the minimum in float64 too, for the excess of both objectives.
"""

import json
import platform
import statistics
import time
from typing import Any

import jax
import numpy as np
from absl import app, flags
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from siamese_jax import load_config
from siamese_jax.experiments import run_context
from siamese_jax.protocols import baselines, config, logistic
from siamese_jax.protocols.plan import Plan
from siamese_jax.runtime.devices import available_cores, use_all_cores
from siamese_jax.runtime.files import write_json

_RECORD = flags.DEFINE_string("record", None, "JSON file for the measurements; none is written without it.")
_DRAWS = flags.DEFINE_integer("draws", 200, "Draws of each number of speakers.", lower_bound=5)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Timings of ours; the median counts.", lower_bound=1)
_LAYERS = flags.DEFINE_multi_integer("layers", [2], "Layers of the speech encoder, 768 columns each.")

SCOPE = "corpus"
CHECKED = 5  # draws of each number of speakers that are fitted to the minimum


def plan_of(n_draws: int, layers: tuple[int, ...]) -> Plan:
    given = load_config("speech_encoder")
    given.data.layers = layers
    given.protocol.n_draws = n_draws
    given.protocol.baselines = ("logistic_regression",)
    experiment = config.resolve(given)
    return Plan.make(experiment, *run_context.load(experiment))


def joint_tasks(plan: Plan, n_speakers: int) -> list[baselines.Task]:
    source, target = baselines.source_task(plan, SCOPE), plan.target_clips(SCOPE)
    return [baselines.joint(source, target.x[rows], target.label[rows]) for rows in plan.draws.support(n_speakers)]


def objective(task: baselines.Task, model: LogisticRegression) -> float:
    logits = task.x.astype(np.float64) @ model.coef_.T + model.intercept_
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return float(-np.sum(task.weight * log_p[np.arange(len(task.x)), task.label]) + np.sum(model.coef_**2) / 2)


def fitted(task: baselines.Task, **options: float) -> LogisticRegression:
    model = LogisticRegression(max_iter=20000, **options)
    return model.fit(task.x.astype(np.float64), task.label, sample_weight=task.weight)


def scikit_learn(tasks: list[baselines.Task]) -> np.ndarray:
    with threadpool_limits(limits=1):
        fits = Parallel(n_jobs=available_cores(), prefer="threads")(
            delayed(lambda task: fitted(task).predict(task.query.astype(np.float64)))(task) for task in tasks
        )
    return np.stack(fits)


def timed(call: Any, repeats: int) -> tuple[float, Any]:
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def main(_: Any) -> None:
    use_all_cores()
    plan = plan_of(_DRAWS.value, tuple(_LAYERS.value))
    few_shot = logistic.FewShot(plan, SCOPE, logistic.source_fit(plan, SCOPE))
    records = []
    for n_speakers in plan.experiment.protocol.n_speakers:
        start = time.perf_counter()
        few_shot.fits(n_speakers)
        first = time.perf_counter() - start
        ours, fits = timed(lambda k=n_speakers: few_shot.fits(k), _REPEATS.value)
        tasks = joint_tasks(plan, n_speakers)
        theirs, classes = timed(lambda t=tasks: scikit_learn(t), 2)
        excess = []
        with threadpool_limits(limits=1):
            for i in range(CHECKED):
                least = objective(tasks[i], fitted(tasks[i], tol=1e-10))
                excess.append((fits.objective[i] / least - 1, objective(tasks[i], fitted(tasks[i])) / least - 1))
        records.append(
            {
                "n_speakers": n_speakers, "seconds_jax": ours, "seconds_first_call": first,
                "seconds_scikit_learn": theirs,
                "iterations": float(np.mean(fits.iterations)), "excess_jax": float(np.max(excess, axis=0)[0]),
                "excess_scikit_learn": float(np.max(excess, axis=0)[1]),
                "same_classes": float(np.mean(fits.classes == classes)),
            }
        )  # fmt: skip
        print(json.dumps(records[-1]), flush=True)
    total = {
        name: sum(r[name] for r in records) for name in ("seconds_jax", "seconds_first_call", "seconds_scikit_learn")
    }
    machine = {
        "processor": platform.processor() or platform.machine(), "cores": available_cores(), "jax": jax.__version__
    }  # fmt: skip
    if _RECORD.value:
        write_json(_RECORD.value, {"machine": machine, "draws": _DRAWS.value, "total": total, "by_n_speakers": records})
    print(f"{total}; {total['seconds_scikit_learn'] / total['seconds_jax']:.1f} times scikit-learn's speed")


if __name__ == "__main__":
    app.run(main)

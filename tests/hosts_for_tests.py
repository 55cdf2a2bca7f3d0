"""A run of one process or of one among several, for tests: python hosts_for_tests.py KIND OUTPUT SECONDS [flags].

KIND "trials": small trainings, the results saved to OUTPUT by process 0.
KIND "work": two stages in the work directory OUTPUT, the second from the results of the first, SECONDS between chunks.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from absl import app

from siamese_jax import config, hosts, launching, trials
from siamese_jax.workdir import WorkDir

N_TRIALS, CHUNK = 22, 6


def run_trials(output, seconds):
    def fit(key, x_NxF):
        """A small network trained for a few steps: products, reductions and a random start."""
        kernel = jax.random.normal(key, (x_NxF.shape[1], 4))

        def step(kernel, _):
            value, slope = jax.value_and_grad(lambda k: jnp.mean(jax.nn.softplus(x_NxF @ k) ** 2))(kernel)
            return kernel - 0.1 * slope, value

        kernel, losses = jax.lax.scan(step, kernel, length=30)
        return {"kernel": kernel, "losses": losses, "class": jnp.argmax(kernel, axis=1).astype(jnp.int8)}

    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    found = trials.TrialProgram(fit, (0, None), CHUNK)(jax.random.split(jax.random.key(1), N_TRIALS), x)
    if hosts.is_writer():
        np.savez(output, **found)


def run_work(output, seconds):
    from configs import smoke

    def on_chunk(n):
        print(n, flush=True)
        time.sleep(seconds)

    def walk(key, start):
        return start + jax.random.normal(key, (3,)).cumsum()

    program = trials.TrialProgram(walk, (0, 0), CHUNK)
    keys = jax.random.split(jax.random.key(0), N_TRIALS)
    experiment = config.resolve(smoke.get_config())
    with WorkDir(output, experiment, {"source": os.environ.get("DIGEST", "")}, "test") as work:

        def stage(name, start):
            def make():
                return xr.Dataset({"walk": (("trial", "step"), program(keys, start, on_chunk=on_chunk))})

            return work.arrays(name, make).walk.values

        first = stage("first", np.zeros((N_TRIALS, 3), np.float32))
        second = stage("second", first)
        alone = work.arrays("alone", lambda: xr.Dataset({"sum": second.sum() + hosts.index()}), alone=True)
        print("sum", float(alone["sum"]), flush=True)


def main(argv):
    trials.use_all_cores()
    with launching.exit_codes():
        launching.join_hosts()
        {"trials": run_trials, "work": run_work}[argv[1]](Path(argv[2]), float(argv[3]))


def start(kind, output, n_processes, devices, seconds=0.0, port=0, **environment):
    """The processes of one run, started; those of several share the coordinator at `port`."""
    root = Path(__file__).parent.parent
    variables = {
        "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "SIAMESE_JAX_SAVE_SECONDS": "0",
        "JAX_COMPILATION_CACHE_DIR": str(root / ".pytest_cache" / "xla"),
        "SIAMESE_JAX_LOST_SECONDS": "10", "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
    }  # fmt: skip
    processes = []
    for i in range(n_processes):
        given = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={n_processes}", f"--process_id={i}"]
        command = [sys.executable, __file__, kind, str(output), str(seconds), *(given if n_processes > 1 else [])]
        own = {**variables, **{name: value[i] for name, value in environment.items()}}
        processes.append(
            subprocess.Popen(
                command, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    return processes


if __name__ == "__main__":
    launching.define_hosts()
    app.run(main)

"""A run of one process or of one among several, for tests: python hosts_for_tests.py KIND OUTPUT SECONDS [flags].

KIND "trials": small trainings in float32 and float64, process 0 saves OUTPUT_32.npz and OUTPUT_64.npz.
KIND "fine_tuning": the same of fine-tuning trials.
KIND "work": two stages in the work directory OUTPUT, the second from the results of the first, SECONDS between chunks.
"""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from absl import app

from launch import common
from siamese_jax.errors import InputError
from siamese_jax.experiments.workdir import WorkDir
from siamese_jax.protocols import config
from siamese_jax.runtime import distributed, interrupt, vectorize
from siamese_jax.runtime.devices import use_all_cores

N_TRIALS, CHUNK = 22, 6

N_WALKS = 46
"""Trials of a run that is interrupted: two processes are not done with the two rounds that are in flight at once."""


def run_trials(output, seconds):
    def fit(key, x_NxF):
        """A small network trained for a few steps: products, reductions and a random start."""
        kernel = jax.random.normal(key, (x_NxF.shape[1], 4))

        def step(kernel, _):
            value, slope = jax.value_and_grad(lambda k: jnp.mean(jax.nn.softplus(x_NxF @ k) ** 2))(kernel)
            return kernel - 0.1 * slope, value

        kernel, losses = jax.lax.scan(step, kernel, length=30)
        return {"kernel": kernel, "losses": losses, "class": jnp.argmax(kernel, axis=1).astype(jnp.int8)}

    x = np.random.default_rng(0).normal(size=(50, 6))
    keys = jax.random.split(jax.random.key(1), N_TRIALS)
    single = vectorize.TrialProgram(fit, (0, None), CHUNK)(keys, x.astype(np.float32))
    with jax.enable_x64(True):
        double = vectorize.TrialProgram(fit, (0, None), CHUNK)(keys, x)
    save(output, single, double)


def run_fine_tuning(output, seconds):
    """The trials of test_trials.py, all three losses."""
    import test_trials as small

    from siamese_jax.protocols import trials

    def tuned(dtype):
        trial = trials.make_fine_tuning_trial(small.SPEC, small.LOSSES, small.READOUTS)
        program = vectorize.TrialProgram(trial, (0, 0, None, None, None), CHUNK)
        few_shot, params = small.few_shot_trials(N_TRIALS), small.start(N_TRIALS)
        params, scaling = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (params, few_shot.scaling))
        few_shot, target = few_shot._replace(scaling=scaling), small.corpus(dtype)
        found = [program(params, few_shot, target, small.PROBE, np.int32(i)) for i in range(len(small.LOSSES))]
        return {
            f"{loss} {jax.tree_util.keystr(path)}": leaf
            for loss, one in zip(small.LOSSES, found)
            for path, leaf in jax.tree_util.tree_leaves_with_path(one)
        }

    single = tuned(np.float32)
    with jax.enable_x64(True):
        double = tuned(np.float64)
    save(output, single, double)


def save(output, single, double):
    """What process 0 found in float32 and in float64."""
    assert {leaf.dtype for leaf in double.values()} > {np.dtype(np.float64)}
    assert np.dtype(np.float64) not in {leaf.dtype for leaf in single.values()}
    if distributed.is_writer():
        np.savez(f"{output}_32.npz", **single)
        np.savez(f"{output}_64.npz", **double)


def run_work(output, seconds):
    from configs import smoke

    def on_chunk(n):
        print(n, flush=True)
        time.sleep(seconds)
        if code := int(os.environ.get("ENDS_WITH", "0")):
            raise interrupt.Stopped(code - 128) if code > 128 else InputError("an error of its own")

    def walk(key, start):
        return start + jax.random.normal(key, (3,)).cumsum()

    program = vectorize.TrialProgram(walk, (0, 0), CHUNK)
    keys = jax.random.split(jax.random.key(0), N_WALKS)
    experiment = config.resolve(smoke.get_config())
    with WorkDir(output, experiment, {"source": os.environ.get("DIGEST", "")}, "test") as work:

        def stage(name, start):
            def make():
                return xr.Dataset({"walk": (("trial", "step"), program(keys, start, on_chunk=on_chunk))})

            return work.arrays(name, make).walk.values

        first = stage("first", np.zeros((N_WALKS, 3), np.float32))
        second = stage("second", first)

        def make_alone():
            print("alone", flush=True)
            limit = time.monotonic() + float(os.environ.get("ALONE_SECONDS", "0"))
            while time.monotonic() < limit:
                interrupt.check()
                time.sleep(0.1)
            return xr.Dataset({"sum": second.sum() + distributed.index()})

        alone = work.arrays("alone", make_alone, alone=True)
        print("sum", float(alone["sum"]), flush=True)


def main(argv):
    use_all_cores()
    with common.exit_codes():
        common.join_hosts()
        {"trials": run_trials, "fine_tuning": run_fine_tuning, "work": run_work}[argv[1]](Path(argv[2]), float(argv[3]))


def start(kind, output, n_processes, devices, seconds=0.0, **how):
    """The processes of one run of this file, started; see `start_all`."""
    return start_all([__file__, kind, str(output), str(seconds)], n_processes, devices, **how)


def start_all(command, n_processes, devices, cluster=None, environment=None, only=None, hidden=()):
    """Python's `command` in so many processes that find one another, by flags or by what a cluster tells them.

    Args:
      devices: of each process.
      cluster: `slurm_step` or `open_mpi_rank`; None for flags. One process alone needs neither.
      environment: further variables of each process.
      only: which processes are started; None for all.
      hidden: variables that none of them has.
    """
    root = Path(__file__).parent.parent
    variables = {
        "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "SIAMESE_JAX_SAVE_SECONDS": "0",
        "SIAMESE_JAX_LOST_SECONDS": "10",
        "PYTHONPATH": os.pathsep.join(str(root / folder) for folder in (".", "tests", "tests/protocols")),
    }  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    port, processes = free_port(), []
    for i in range(n_processes) if only is None else only:
        given, own = [], {**os.environ, **variables}
        if cluster and n_processes > 1:
            given, own = ["--distributed=auto"], {**own, **cluster(i, n_processes, port)}
        elif n_processes > 1:
            given = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={n_processes}", f"--process_id={i}"]
        own |= environment[i] if environment else {}
        own = {name: value for name, value in own.items() if name not in hidden}
        processes.append(subprocess.Popen([sys.executable, *command, *given], cwd=root, env=own, **pipes))
    return processes


EPHEMERAL = range(61440, 65536)
"""JAX takes one of these ports, by the number of the cluster's job."""


def slurm_step(process, processes, port):
    """What Slurm tells a process of a step of job `port` - 61440 that runs on this machine alone."""
    return {
        "SLURM_JOB_ID": str(port - EPHEMERAL[0]), "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NTASKS": str(processes),
        "SLURM_STEP_NUM_TASKS": str(processes), "SLURM_PROCID": str(process), "SLURM_LOCALID": str(process),
    }  # fmt: skip


def open_mpi_rank(process, processes, port):
    """What Open MPI's mpirun tells a process of job `port` - 61440 that runs on this machine alone."""
    job = (port - EPHEMERAL[0]) * 2**12
    return {
        "OMPI_MCA_orte_hnp_uri": f"{job}.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": str(processes),
        "OMPI_COMM_WORLD_RANK": str(process), "OMPI_COMM_WORLD_LOCAL_RANK": str(process),
    }  # fmt: skip


def free_port():
    """A free port that a cluster's job can have too."""
    for port in random.sample(EPHEMERAL, 100):
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port in {EPHEMERAL}")


def ends(processes, seconds=300):
    """(exit code, standard output, standard error) of every process; none is left running."""
    limit = time.monotonic() + seconds
    try:
        # All are read at once: one whose pipe is full would wait, and the others for it.
        with ThreadPoolExecutor(len(processes)) as reading:
            found = list(reading.map(lambda p: p.communicate(timeout=max(1, limit - time.monotonic())), processes))
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, found)]


if __name__ == "__main__":
    common.define_hosts()
    app.run(main)

"""Times of the transfer methods on the shipped tables, EMO-DB to RAVDESS, scaled by corpus; compiling included.

    python -m benchmarks.transfer

The adapted discriminant on 10,000 draws of 8 labelled clips with the 64 features; logistic regression on 1,000 draws
of 8, 16, 32 and 80 clips with the 768 columns of layer 2; and self-training on 1,000 draws of 8 clips with 2,304
columns, beside the logistic regression that it starts from.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import app, flags

from siamese_jax import load_config
from siamese_jax.experiments import run_context
from siamese_jax.protocols import config
from siamese_jax.protocols.plan import Plan
from siamese_jax.protocols.transfer import settings
from siamese_jax.protocols.transfer.draws import TransferDraws
from siamese_jax.runtime.devices import use_all_cores

_SHARE = flags.DEFINE_float("share", 1.0, "Share of the draws to run.", lower_bound=0.001)


def draws_of(name: str, n_draws: int, n_speakers: tuple[int, ...], layers: tuple[int, ...] = ()) -> TransferDraws:
    given = load_config(name)
    given.data.layers = layers
    given.protocol.update({"n_draws": max(5, int(_SHARE.value * n_draws)), "n_speakers": n_speakers})
    given.report.fixed_n_speakers = n_speakers[0]
    experiment = config.resolve(given)
    plan = Plan.make(experiment, *run_context.load(experiment))
    return TransferDraws(plan, "corpus", settings.of_config(experiment.transfer, "speaker", 1.0, 1.0))


def timed(what: str, call: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = call()
    print(f"{what}: {time.perf_counter() - start:.1f} s", flush=True)
    return result


def main(_: list[str]) -> None:
    use_all_cores()
    draws = draws_of("transfer_is09", 10_000, (2,))
    timed("adapted discriminant, 10,000 draws of 8 clips", lambda: draws.inductive("adapted_discriminant", 2))
    draws = draws_of("transfer", 1_000, (2, 4, 8, 20), (2,))
    for k in (2, 4, 8, 20):
        timed(
            f"logistic regression, 1,000 draws of {4 * k} clips",
            lambda k=k: draws.inductive("logistic_regression", k),
        )
    draws = draws_of("transfer", 1_000, (2,))
    log_p = timed("logistic regression, 2,304 columns", lambda: draws.inductive("logistic_regression", 2))
    timed("self-training", lambda: draws.adapted("self_trained", log_p, 2, np.full(4, 0.25)))


if __name__ == "__main__":
    app.run(main)

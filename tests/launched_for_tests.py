"""A launcher, its trials in small chunks of one shape on every device: python launched_for_tests.py MODULE [flags].

Tests have so few trials that one chunk would hold them all, and all but the first process would have nothing to do.
"""

import runpy
import sys

import jax

from siamese_jax.runtime import vectorize

ON_A_DEVICE = 2


def main():
    vectorize.chunk_size = lambda n_trials, floats_per_trial: ON_A_DEVICE * len(jax.local_devices())
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()

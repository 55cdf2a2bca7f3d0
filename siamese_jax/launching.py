"""What every launcher does around its one call: signals ask for a clean stop, and what ends a run is an exit code."""

import contextlib
import sys
from collections.abc import Iterator

from absl import logging

from siamese_jax import interrupt
from siamese_jax.errors import InputError

FAILED = 2
"""Exit code where something given cannot be used, or the disk will not do; the message says what to do."""


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Exits with `FAILED` on an error that a user can mend, and with 143 or 130 when stopped by SIGTERM or SIGINT.

    Anything else is a defect of the program, and keeps its traceback.
    """
    try:
        with interrupt.watch():
            yield
    except (InputError, OSError) as error:
        logging.error("%s", error)
        logging.debug("", exc_info=error)
        sys.exit(FAILED)
    except interrupt.Stopped as stopped:
        logging.warning("%s", stopped)
        sys.exit(stopped.exit_code)

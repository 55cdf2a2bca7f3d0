"""What every launcher does around its one call: signals ask for a clean stop, and what ends a run is an exit code.

Also the flags of a run on several processes (`runtime.distributed`), the same on every launcher that takes part.
"""

import contextlib
import sys
import traceback
from collections.abc import Iterator

from absl import flags, logging

from siamese_jax.errors import InputError, LostError
from siamese_jax.runtime import distributed, interrupt, peers, shares

FAILED = 2
"""Exit code where something given cannot be used, or the disk will not do; the message says what to do."""


def define_hosts() -> None:
    """Defines the flags of a run on several processes; to be called by a launcher, beside its own flags."""
    flags.DEFINE_enum(
        "distributed", "off", ["off", "auto"],
        "auto: one of several processes, started by Slurm, Open MPI, Kubernetes or on a TPU pod.",
    )  # fmt: skip
    flags.DEFINE_string("coordinator", None, "Of several processes: where process 0 is reached, as host:port.")
    flags.DEFINE_integer("num_processes", None, "Of several processes: how many.", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "Of several processes: which this is, from 0.", lower_bound=0)


def join_hosts() -> None:
    """Makes this process one of several where the flags of `define_hosts` say so. Raises InputError as `hosts.join`."""
    given = flags.FLAGS
    if given.distributed == "auto":
        distributed.join(None, given.num_processes, given.process_id)
    elif (given.coordinator, given.num_processes, given.process_id) != (None, None, None):
        if given.coordinator is None:
            raise InputError("num_processes and process_id need coordinator=host:port too, or distributed=auto")
        distributed.join(given.coordinator, given.num_processes, given.process_id)


def share() -> shares.Share:
    """This process's share by the flags of `define_hosts`, where none needs to reach another; as `shares.share`."""
    return shares.share(flags.FLAGS.distributed == "auto", flags.FLAGS.num_processes, flags.FLAGS.process_id)


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Exits with `FAILED` on an error that a user can mend, and with 143 or 130 when stopped by SIGTERM or SIGINT.

    In a run of several processes also with `peers.LOST`, where another one was lost or failed. Anything else is a
    defect of the program, and keeps its traceback.
    """
    code, why = 1, "a defect: see its traceback"
    try:
        with interrupt.watch():
            yield
        code = 0
    except (InputError, OSError) as error:
        logging.error("%s", error)
        logging.debug("", exc_info=error)
        code, why = FAILED, str(error)
    except LostError as error:
        logging.error("%s", error)
        code, why = peers.LOST, str(error)
    except interrupt.Stopped as stopped:
        logging.warning("%s", stopped)
        code = stopped.exit_code
    except BaseException:
        if distributed.count() > 1:
            # Nothing comes after `hosts.leave` there.
            traceback.print_exc()
        raise
    finally:
        distributed.leave(code, why)
    if code:
        sys.exit(code)

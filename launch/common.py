"""The common part of all launchers: flags for paths, configurations and processes, the run, and its exit code."""

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from logging import LogRecord

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from siamese_jax.errors import InputError, LostError, first_line
from siamese_jax.protocols.config import new_place
from siamese_jax.recognizer.confidence import STATED_ERROR
from siamese_jax.recognizer.predictions import ASKED
from siamese_jax.runtime import config_files, distributed, environment, interrupt
from siamese_jax.runtime.devices import available_cores, require_platforms, use_all_cores
from siamese_jax.runtime.terminal import printable

FAILED = 2
"""Exit code for an input that cannot be used, or a disk that fails; the message names the remedy."""


def _make_printable(record: LogRecord) -> bool:
    """Cleans a message of the log, which may quote names from files."""
    record.msg, record.args = printable(record.getMessage()), None
    return True


# The handler sees every logger's messages, but only from app.run on.
logging.get_absl_handler().addFilter(_make_printable)
logging.get_absl_logger().addFilter(_make_printable)

# --help shows the flags that are defined here as flags of the launcher.
flags.disclaim_key_flags()


def _expanded(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 - Path would change `./x` and refuse `~nobody`


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return _expanded(argument)


def define_path(name: str, default: str | None, text: str, required: bool = False) -> flags.FlagHolder:
    """Defines a flag that holds a path. Expands `~`, which a shell does not expand after `=`."""
    return flags.DEFINE(_PathParser(), name, default, text, required=required)


def define_config(default: str, text: str) -> flags.FlagHolder:
    """Defines --config, a configuration by name or path, and --config.KEY for each of its values."""
    text += f" One of {', '.join(config_files.names())}, or a path; --config.KEY=VALUE changes a value."
    with exit_codes():
        # Flags of a configuration read the command line when they are defined.
        _check_overrides(_with_config_files(sys.argv[1:]), default)
    return config_flags.DEFINE_config_file("config", str(config_files.find(default)), text)


def define_extraction() -> tuple[flags.FlagHolder, flags.FlagHolder]:
    """Defines and returns --strict and --workers, for a launcher that reads recordings."""
    strict = flags.DEFINE_bool("strict", False, "Stop at the first recording that cannot be used.")
    return strict, flags.DEFINE_integer(
        "workers", available_cores(), "Threads that decode and compute.", lower_bound=1
    )  # fmt: skip


def define_recognizer() -> tuple[flags.FlagHolder, flags.FlagHolder, flags.FlagHolder]:
    """Defines and returns --model, --mode and --stated_error, for a launcher that labels recordings."""
    model = define_path("model", None, "A model folder, as siamese-jax enrol writes it; by default the shipped one.")
    mode = flags.DEFINE_enum(
        "mode", "auto", ASKED,
        "Whose statistics scale a recording: the model's (clip) or the folder's; auto takes the folder's where the "
        "model has no enrolled recordings and two recordings or more are given.",
    )  # fmt: skip
    return model, mode, flags.DEFINE_float(
        "stated_error", STATED_ERROR, "Share of wrong labels that is accepted among those that are not unsure.",
        lower_bound=0.0, upper_bound=1.0,
    )  # fmt: skip


def define_hosts() -> None:
    """Defines the flags of a run on several processes, for a launcher that takes part in one."""
    flags.DEFINE_enum(
        "distributed", "off", ["off", "auto"],
        "auto: take address and numbers of the processes from Slurm, Open MPI, Kubernetes or a TPU pod.",
    )  # fmt: skip
    flags.DEFINE_string("coordinator", None, "For several processes: the address of process 0, as host:port.")
    flags.DEFINE_integer("num_processes", None, "For several processes: their number.", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "For several processes: this process's number, from 0.", lower_bound=0)


def join_hosts() -> None:
    """Joins the other processes of the run by the flags of `define_hosts`. Raises InputError as `distributed.join`."""
    given = flags.FLAGS
    if given.distributed == "auto":
        distributed.join(None, given.num_processes, given.process_id)
    elif (given.coordinator, given.num_processes, given.process_id) != (None, None, None):
        if given.coordinator is None:
            raise InputError("--num_processes and --process_id need --coordinator=host:port too, or --distributed=auto")
        distributed.join(given.coordinator, given.num_processes, given.process_id)


def share() -> distributed.Share:
    """Returns this process's share by the flags, for processes that do not communicate; as `distributed.share`."""
    return distributed.share(flags.FLAGS.distributed == "auto", flags.FLAGS.num_processes, flags.FLAGS.process_id)


def show(text: str, end: str = "\n") -> None:
    """Prints text from data to standard output, without what would steer a terminal."""
    print(printable(text), end=end)


def run(main: Callable[..., int | None], folders: bool = False, joins: bool = False, one_pass: bool = True) -> None:
    """Parses the flags of a launcher, calls its `main`, and exits with the returned code or as `exit_codes` says.

    Args:
      folders: whether the arguments that are no flags are paths for `main`; otherwise they are refused.
      joins: whether the process joins the others of its run first, see `join_hosts`.
      one_pass: see `use_all_cores`.
    """

    def guarded(argv: list[str]) -> int | None:
        if len(argv) > 1 and not folders:
            raise app.UsageError(f"unexpected arguments: {argv[1:]}; flags start with --, see --help")
        with exit_codes():
            environment.check()
            use_all_cores(one_pass)
            if joins:
                join_hosts()
            require_platforms()
            return main([_expanded(folder) for folder in argv[1:]]) if folders else main()

    # absl's --help prints this docstring, also for the console command.
    sys.modules["__main__"].__doc__ = main.__globals__["__doc__"]
    with exit_codes():
        arguments = _with_config_files(sys.argv[1:])
    app.run(guarded, [sys.argv[0], *arguments], flags_parser=_parsed)


def _parsed(arguments: list[str]) -> list[str]:
    """Returns the arguments that are no flags; exits with `FAILED` for a flag that is unknown, or of a wrong value."""
    with exit_codes():
        try:
            return list(flags.FLAGS(arguments))
        except (flags.Error, ValueError) as error:
            raise InputError(f"{error}. --help lists the flags of this command") from error
    raise AssertionError  # exit_codes has ended the process


def _with_config_files(arguments: list[str]) -> list[str]:
    """Returns the arguments with the path of the --config file instead of its name."""
    changed = list(arguments)
    for i, argument in enumerate(arguments):
        flag, equals, name = argument.partition("=")
        if flag in ("--config", "-config"):
            if equals:
                changed[i] = f"--config={config_files.find(name)}"
            elif i + 1 < len(arguments):
                changed[i + 1] = str(config_files.find(arguments[i + 1]))
    return changed


def _config_files(arguments: list[str]) -> list[str]:
    """The values of --config, as one word or two, up to "--"."""
    files = []
    arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        if re.match(r"--?config(=|$)", argument):
            files.append(argument.partition("=")[2] if "=" in argument else following)
    return files


def _check_overrides(arguments: list[str], default: str) -> None:
    """Raises InputError for a --config that cannot be loaded, and for --config.KEY=VALUE with an unknown key.

    The message names the key to give.
    """
    overrides = [match for argument in arguments if (match := re.match(r"--?config\.([\w.]+)", argument))]
    files = _config_files(arguments)
    if not overrides and not files:
        return
    config = config_files.load(files[-1] if files else default)
    if not isinstance(config, ConfigDict):
        raise InputError(f"{files[-1]}: get_config() returns a {type(config).__name__}; expected a ConfigDict")
    for match in overrides:
        group = config
        *parents, last = match[1].split(".")
        for i, name in enumerate([*parents, last]):
            if isinstance(group, ConfigDict) and name in group:
                group = group[name]
                continue
            prefix = "".join(f"{parent}." for parent in parents[:i])
            place = new_place(name)
            if place and isinstance(group, ConfigDict) and place.partition(".")[0] in group:
                raise InputError(f"--config.{match[1]}: configurations are nested; give --config.{prefix}{place}")
            known = f"one of {', '.join(group)}" if isinstance(group, ConfigDict) else "no key below a value"
            raise InputError(f"--config.{match[1]}: no key {name!r} there; expected {known}")


def print_last(line: str) -> None:
    """Prints what must be on the last line of a run, if anything."""
    if line:
        show(line)


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Exits with `FAILED` on an error that the user can fix, and with 143 or 130 when stopped by SIGTERM or SIGINT.

    In a run of several processes also exits with `distributed.LOST` when another process was lost or failed. Any other
    error is a defect of the program and keeps its traceback.
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
    except MemoryError as error:
        why = f"out of memory ({first_line(error)}); give smaller settings, or a machine with more memory"
        logging.error("%s", why)
        code = FAILED
    except LostError as error:
        logging.error("%s", error)
        code, why = distributed.LOST, str(error)
    except interrupt.Stopped as stopped:
        logging.warning("%s", stopped)
        code = stopped.exit_code
    except BaseException:
        if distributed.count() > 1:
            # `distributed.leave` ends the process in such a run.
            traceback.print_exc()
        raise
    finally:
        distributed.leave(code, why)
    if code:
        sys.exit(code)

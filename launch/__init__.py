"""The launchers: a file for each command. Variables that would end an import with a traceback are dealt with first."""

import os
import sys

# Figures go to files: no launcher opens a window.
os.environ.pop("MPLBACKEND", None)


def check_jax() -> None:
    """Exits with status 2 where JAX, which reads its variables when it is imported, refuses one."""
    if any(name.startswith("JAX_") for name in os.environ):
        try:
            import jax  # noqa: F401
        except ValueError as error:
            print(f"JAX cannot be imported ({error}); correct the environment variable of this name", file=sys.stderr)
            sys.exit(2)


# python -m launch.COMMAND imports this package first; the console checks when it knows its command.
if sys.argv[0] == "-m" and f"{__name__}.console" not in sys.orig_argv:
    check_jax()

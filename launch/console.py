"""The program `siamese-jax COMMAND ...`. Its commands are the launchers in this folder."""

import ast
import runpy
import sys
from pathlib import Path

from . import check_jax

_NOT_COMMANDS = ("__init__", "common", "console")


def commands() -> dict[str, str]:
    """Returns each command with the first line of its docstring, read without importing it."""
    files = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem not in _NOT_COMMANDS}
    docs = {name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for name, path in files.items()}
    return {name: (doc or "").partition("\n")[0] for name, doc in docs.items()}


def main() -> int:
    """Runs the command in sys.argv; returns the exit code, 2 without a known command."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    known = commands()
    if command in known:
        check_jax()
        sys.argv[:2] = [f"siamese-jax {command}"]
        runpy.run_module(f"{__package__}.{command}", run_name="__main__")
        return 0
    if command == "--version":
        from importlib.metadata import version

        print(f"siamese-jax {version('siamese_jax')}")
        return 0
    lines = [f"  {name:{max(map(len, known))}}  {line}" for name, line in known.items()]
    usage = "\n".join(["usage: siamese-jax COMMAND [flags]", "", *lines, "", "siamese-jax COMMAND --help: its flags"])
    if command in ("--help", "-h", "help"):
        print(usage)
        return 0
    print(
        f"siamese-jax: no command {command!r}; expected one of {', '.join(known)}" if command else usage,
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""Writes a report on one work directory, or on several side by side: an HTML page, the same as Markdown, figures.

python -m launch.report results/reproduce --output=report.html

The page needs nothing but itself. Exit status: 0 with a report, 2 where a folder cannot be used.
"""

import shlex

from absl import app, flags

from launch import common
from siamese_jax.report import page
from siamese_jax.runtime.devices import use_all_cores

OUTPUT = flags.DEFINE_string("output", "report.html", "The page to write; .md and _figures/ go beside it.")


def main(argv: list[str]) -> None:
    use_all_cores()
    command = ["launch.report", *argv[1:], f"--output={OUTPUT.value}"]
    with common.exit_codes():
        document = page.write(argv[1:], OUTPUT.value, command)
    print(f"{shlex.quote(OUTPUT.value)}: {len(document.sections)} sections, {len(document.pictures())} figures")


if __name__ == "__main__":
    app.run(main)

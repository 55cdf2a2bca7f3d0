"""Writes a report on one work directory, or on several side by side: an HTML page, the same as Markdown, figures.

python -m launch.report results/reproduce --output=report.html

The page needs nothing but itself. Exit status: 0 with a report, 2 where a folder cannot be used.
"""

import shlex
import sys

from absl import app, flags, logging

from siamese_jax import trials
from siamese_jax.errors import InputError
from siamese_jax.report import page

OUTPUT = flags.DEFINE_string("output", "report.html", "The page to write; .md and _figures/ go beside it.")


def main(argv: list[str]) -> None:
    trials.use_all_cores()
    command = ["launch.report", *argv[1:], f"--output={OUTPUT.value}"]
    try:
        document = page.write(argv[1:], OUTPUT.value, command)
    except InputError as error:
        logging.error("%s", error)
        sys.exit(2)
    print(f"{shlex.quote(OUTPUT.value)}: {len(document.sections)} sections, {len(document.pictures())} figures")


if __name__ == "__main__":
    app.run(main)

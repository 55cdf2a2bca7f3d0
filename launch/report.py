"""Writes a report on one work directory, or on several side by side: an HTML page, the same as Markdown, figures.

siamese-jax report results/reproduce --output=report.html

The page needs no other file. Exit status: 0 with a report, 2 when a folder cannot be used.
"""

import shlex

from siamese_jax.report import page

from . import common

OUTPUT = common.define_path("output", "report.html", "The page to write; .md and _figures/ go beside it.")


def main(workdirs: list[str]) -> None:
    document = page.write(workdirs, OUTPUT.value, ["siamese-jax", "report", *workdirs, f"--output={OUTPUT.value}"])
    print(f"{shlex.quote(OUTPUT.value)}: {len(document.sections)} sections, {len(document.pictures())} figures")


if __name__ == "__main__":
    common.run(main, folders=True)

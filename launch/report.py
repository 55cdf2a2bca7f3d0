"""Writes a report on one or more work directories: an HTML page, a Markdown file of the same content, figures.

siamese-jax report results/reproduce --output=report.html

The page needs no other file. Exit status: 0 with a report, 2 when a folder cannot be used.
"""

import shlex

from siamese_jax.report import page
from siamese_jax.runtime.devices import compile_quickly

from . import common

OUTPUT = common.define_path("output", "report.html", "The page to write, NAME.html; also NAME.md and NAME_figures/.")


def main(workdirs: list[str]) -> None:
    compile_quickly()
    document = page.write(workdirs, OUTPUT.value, ["siamese-jax", "report", *workdirs, f"--output={OUTPUT.value}"])
    common.show(f"{shlex.quote(OUTPUT.value)}: {len(document.sections)} sections, {len(document.pictures())} figures")


if __name__ == "__main__":
    common.run(main, folders=True)

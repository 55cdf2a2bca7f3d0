"""Runs notebooks from their text form and keeps them, outputs included, as .ipynb beside it.

    python scripts/run_notebooks.py                            # all of notebooks/*.py
    python scripts/run_notebooks.py notebooks/ratio_loss.py

Edit the text form (or the .ipynb in Jupyter with the jupytext extension, which writes both), then run this. A notebook
that fails, or that prints on standard error, is not written. Where prose alone has changed, no run is needed:

    jupytext --update --to ipynb notebooks/*.py
"""

import argparse
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

from siamese_jax.runtime.files import write_text

FOLDER = Path(__file__).parent.parent / "notebooks"


def run(text: Path) -> nbformat.NotebookNode:
    """The notebook of a text form with its outputs. Raises CellExecutionError, or RuntimeError for standard error."""
    notebook = jupytext.read(text)
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        # Counted, not random, so that a change of one cell is a difference of one cell.
        cell.id = f"cell-{number:02d}"
    # Times of execution would differ in every run.
    options = {"timeout": 900, "record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, resources={"metadata": {"path": str(text.parent)}}, **options).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"{text.name}: a cell prints on standard error:\n{output.text}")
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path, default=sorted(FOLDER.glob("*.py")))
    for text in parser.parse_args(arguments).texts:
        start = time.perf_counter()
        output = text.with_suffix(".ipynb")
        write_text(output, nbformat.writes(run(text)) + "\n")
        print(f"{output.name}: {time.perf_counter() - start:.0f} s, {output.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

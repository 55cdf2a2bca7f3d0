"""The notebooks: paired with their text, nothing but the public interface, executed from the first cell to the last."""

import ast
import json
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient

from siamese_jax.report.render.notebook import Markdown, Picture

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = ("own_corpus", "ratio_loss", "reproduce", "reruns", "transfer")
PUBLIC = {"siamese_jax", "jax", "numpy", "matplotlib", "xarray"}
LARGEST = 400_000
"""Bytes of a notebook that a code host still shows."""


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(name):
    return [cell.source for cell in read(name).cells if cell.cell_type == "code"]


def imported(source):
    """(module, names) of every import; names are None for `import module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def test_every_notebook_has_its_text_and_every_text_its_notebook():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_text_agree(name):
    text = jupytext.read(FOLDER / f"{name}.py")
    assert [(c.cell_type, c.source) for c in read(name).cells] == [(c.cell_type, c.source) for c in text.cells]


@pytest.mark.parametrize("name", NAMES)
def test_only_the_public_interface_is_imported(name):
    for module, names in imported("\n".join(code(name))):
        top = module.partition(".")[0]
        assert top in PUBLIC or top in sys.stdlib_module_names, f"{name} imports {module}"
        if top == "siamese_jax":
            hidden = [part for part in [*module.split("."), *(names or [])] if part.startswith("_")]
            assert not hidden, f"{name} imports {hidden} of {module}"
    for source in code(name):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                assert not re.match(r"_(?!_)", node.attr), f"{name} uses .{node.attr}"
            assert not (isinstance(node, ast.Name) and node.id == "__import__")


@pytest.mark.parametrize("name", NAMES)
def test_kept_outputs_are_whole_small_and_tell_nothing_of_the_machine(name):
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < LARGEST
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") >= 2
    assert {"text/html", "text/markdown"} & set(kinds)
    for output in outputs:
        shown = {k: v for k, v in output.get("data", {}).items() if k != "image/png"}
        said = json.dumps([shown, output.get("text", "")])
        assert not re.search(r"/(home|root|Users|tmp|work|var)/|[A-Z]:\\\\|site-packages|Warning", said), said[:300]


@pytest.fixture
def environment(tmp_path, monkeypatch, pytestconfig):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(pytestconfig.rootpath / ".pytest_cache" / "xla"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return monkeypatch


def executed(name):
    """The outputs of a notebook that is run now."""
    notebook = read(name)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Its own folder is where Jupyter starts a notebook, so the modules must be found from there.
    client = NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    drawn = sum("image/png" in output.get("data", {}) for output in outputs)
    kept = sum("image/png" in o.get("data", {}) for c in read(name).cells for o in c.get("outputs", []))
    assert drawn == kept
    return outputs


@pytest.mark.notebook
@pytest.mark.parametrize("name", NAMES)
def test_runs_from_the_first_cell_to_the_last(name, environment):
    if name in ("own_corpus", "transfer"):
        # A visible constant of the notebook: fewer draws show every cell to work.
        environment.setenv("NOTEBOOK_DRAWS", "10")
    executed(name)


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("name", "draws"),
    [
        *(("reruns", draws) for draws in (1, 2, 5, 20, 100)),
        *(("ratio_loss", draws) for draws in (1, 5, 20)),
        *(("reproduce", draws) for draws in (1, 2)),
        ("own_corpus", 1),
    ],
)
def test_runs_with_the_number_of_draws_that_a_reader_sets_and_holds_as_many(name, draws, environment):
    environment.setenv("NOTEBOOK_DRAWS", str(draws))
    said = "".join(output.get("text", "") for output in executed(name))
    if name in ("reruns", "reproduce"):  # they print an array of all draws
        assert re.search(rf"\bdraw: {draws}\b", said)


def test_markdown_shows_itself_as_markdown():
    shown = Markdown("| a |\n|---|\n")
    assert shown._repr_markdown_() == repr(shown) == "| a |\n|---|\n"


def test_a_picture_shows_itself_as_png():
    shown = Picture(Figure(figsize=(2, 1)), dpi=50)._repr_png_()
    assert shown.startswith(b"\x89PNG\r\n")
    # Width and height stand in the first chunk.
    assert [int.from_bytes(shown[at : at + 4], "big") for at in (16, 20)] == [100, 50]

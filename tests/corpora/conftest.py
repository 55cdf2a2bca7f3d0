from collections.abc import Iterable
from pathlib import Path

import pytest
from corpus_trees import MakeTree, write_sound


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """A function from relative paths to the folder that holds such sound files."""

    def make(files: Iterable[str]) -> Path:
        root = tmp_path / "corpus"
        root.mkdir(exist_ok=True)
        for file in files:
            write_sound(root / file)
        return root

    return make

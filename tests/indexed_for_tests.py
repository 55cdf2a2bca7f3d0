"""Changes of a work directory that its index agrees with, as if a run had written them."""

import json

from siamese_jax.runtime.file_index import FileIndex


def reindex(folder):
    """Writes the index anew, with the files as they are; those that are gone leave it."""
    names = [name for name in FileIndex.load(folder).files if (folder / name).exists()]
    index = FileIndex(folder, {})
    for name in names:
        index.write(name, (folder / name).read_bytes())


def change(file, **values):
    """Changes values of a JSON file at a work directory's top."""
    found = json.loads(file.read_text())
    found.update(values)
    rewrite(file, json.dumps(found))


def rewrite(file, text):
    """Replaces the text of a file at a work directory's top."""
    file.write_text(text)
    reindex(file.parent)

"""For tests: what stands in a document."""

from siamese_jax.report.render.document import Fold, Table


def tables_of(document):
    """All tables, folded ones too."""
    return [table for section in document.sections for table in _tables(section.blocks)]


def _tables(blocks):
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Fold):
            yield from _tables(block.blocks)

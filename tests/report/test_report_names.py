"""Names of corpora in the tables that a run writes beside its numbers, and prints."""

import dataclasses

from siamese_jax.experiments.records import Difference
from siamese_jax.report.loading import reproduction
from siamese_jax.report.loading.workdir import read_records
from siamese_jax.report.paper import differences, table1


def test_names_in_table_1_and_in_the_differences_are_escaped(workdir):
    settings = reproduction.load(workdir, "run").experiment
    hostile = "<script>|\n# [x](javascript:1) \x1b[2J"
    rows = [dataclasses.replace(row, source=hostile) for row in reproduction.rows_of(workdir)]
    drawn = read_records(workdir / "differences.json", Difference)
    table = table1.markdown(settings, rows, [])
    paired = differences.markdown([dataclasses.replace(row, source=hostile, minus=hostile) for row in drawn])
    for text in (table, paired):
        first = text.splitlines()[0]
        assert "&lt;script&gt;\\|" in first
        assert "\\[x\\](javascript:1)" in first
        assert "<script>" not in text
        assert "\x1b" not in text
        assert [line for line in text.splitlines() if line.startswith("# ")] == [first]

"""The terminal's text: at most 120 columns, nothing lost, no control character."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.report.render import markdown, terminal
from siamese_jax.report.render.document import Paragraph, Table


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(max_size=60), min_size=4, max_size=4), min_size=1, max_size=4))
def test_a_table_of_any_text_fits_120_columns_and_holds_every_character(rows):
    page = markdown.page("title", [Table("caption", ("a", "b", "c", "d"), rows)])
    shown = terminal.fit(page)
    assert max(map(len, shown.splitlines())) <= terminal.WIDTH
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    for cell in (cell for row in rows for cell in row):
        for character in re.sub(r"[^!-~]", "", cell):
            assert character in shown


def test_estimates_are_not_broken():
    score = "36.6 [35.7, 37.5], sd 4.5"
    rows = [("a long name of a method " * 3, "training data " * 4, score, score)]
    shown = terminal.fit(markdown.page("t", [Table("caption", ("method", "data", "one split", "other"), rows)]))
    assert any(line.count(score) == 2 for line in shown.splitlines())


def test_long_paragraphs_are_wrapped_and_control_characters_shown():
    shown = terminal.fit(markdown.page("t", [Paragraph("\x1b[31m" + "many words " * 40)]))
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 120

"""HTML and Markdown: text stays text, whatever it holds."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_jax.datasets import shipped
from siamese_jax.report.render import html, markdown
from siamese_jax.report.render.document import Alert, Code, Document, Fold, Gallery, Paragraph, Picture, Section, Table
from siamese_jax.report.sections import provenance


def document(text):
    blocks = [Paragraph(text), Alert(text), Table(text, ("a", text), [(text, text)]), Fold(text, [Paragraph(text)])]
    return Document(text, text, [Section("One", [*blocks, Gallery([Picture("p", b"png", text, text)])])])


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "img":
            self.found.append(dict(attributes)["alt"])

    def handle_data(self, text):
        self.found.append(text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1))
def test_any_text_comes_back_out_of_the_page(text):
    plain, reader = Texts(), Texts()
    plain.feed(html.render(document("x")))
    reader.feed(html.render(document(text)))
    assert reader.tags == plain.tags
    # title, h1, subtitle, p, alert, captions, th, cells, summary, folded p, alt, figcaption
    assert sum(found == text for found in reader.found) == sum(found == "x" for found in plain.found)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1))
def test_no_text_makes_a_tag_or_a_column_in_markdown(text):
    written = markdown.render(document(text), "figures")
    assert "<" not in written
    rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert len(rows) == 2
    for row in rows:
        # A pipe counts unless an odd number of backslashes stands before it.
        bare = row.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 3


def test_control_characters_do_not_reach_the_page():
    assert "\x00" not in html.render(document("a\x00\x1b[31mb"))


def test_code_cannot_end_its_own_fence():
    text = markdown.render(Document("t", "s", [Section("One", [Code("```\n# not a heading\n```")])]), "f")
    assert text.count("````") == 2


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_a_card_keeps_licence_citation_and_checksums(name):
    blocks = list(provenance.card(shipped.shipped(name).with_suffix(".md").read_text(encoding="utf-8")))
    facts = dict(blocks[1].rows)
    assert {"Licence", "Citation", "Speakers", "Recordings"} <= set(facts)
    assert not [value for value in facts.values() if "**" in value or "`" in value]
    folded = [block.blocks[0] for block in blocks[2:]]
    assert any(table.header[0] == "emotion" for table in folded)
    assert any(len(row[1]) == 64 for table in folded for row in table.rows)


def test_the_command_of_a_run_is_shown_as_it_is_typed():
    assert provenance.rerun(["siamese-jax reproduce", "--workdir=a b"]) == "siamese-jax reproduce '--workdir=a b'"
    assert provenance.rerun(["reproduce.py", "--workdir=w"]) == "python -m launch.reproduce --workdir=w"
    assert provenance.rerun([]) == "(the command was not kept)"

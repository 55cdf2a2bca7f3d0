"""The page and its Markdown version: whole, self-contained, and deaf to what names in the data try to say."""

import base64
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_cross_training import CORPUS, EMOTION, SHORT_FILE, SPEAKER
from report_blocks import tables_of

from siamese_jax.errors import InputError
from siamese_jax.report import page

TAGS = {
    "html", "head", "meta", "link", "title", "style", "body", "header", "main", "nav", "section", "h1", "h2", "h3", "p",
    "ol", "li", "a", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img", "div", "details",
    "summary", "pre", "code",
}  # fmt: skip


class Reader(HTMLParser):
    """Every tag with its attributes, the text, and whether all tags are closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(params=["report", pytest.param("crosstraining", marks=pytest.mark.long)])
def made(request):
    """(path, document) of each kind of page."""
    return request.getfixturevalue(request.param)


def test_page_markdown_and_figures_are_written_and_small(report):
    path, document = report
    assert path.stat().st_size < 5_000_000
    assert path.with_suffix(".md").exists()
    names = [picture.name for picture in document.pictures()]
    assert len(set(names)) == len(names)
    assert {file.stem for file in (path.parent / "report_figures").iterdir()} == set(names)
    titles = [section.title for section in document.sections]
    assert titles[0] == "In short"
    assert titles[-1] == "Provenance"
    for word in (
        "Table 1",
        "Figure 2",
        "Paired",
        "Baselines",
        "Confusion",
        "speaker",
        "curves",
        "Embeddings",
        "Distances",
    ):
        assert any(word in title for title in titles), word


def test_page_needs_nothing_but_itself(made):
    reader = read(made[0])
    for _, attributes in reader.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    text = made[0].read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_names_from_data_are_text_and_nothing_else(made):
    reader = read(made[0])
    assert {tag for tag, _ in reader.tags} <= TAGS
    assert not [a for _, attributes in reader.tags for a in attributes if a.startswith("on")]


def test_names_from_data_are_shown_as_they_are(report):
    shown = "".join(read(report[0]).text)
    assert '<script>alert("corpus")</script>&$x_1$|*b*`c`source to ' in shown
    assert '"><img src=x onerror=alert(1)>0' in shown


@pytest.mark.long
def test_names_of_a_cross_training_are_shown_as_they_are(crosstraining):
    reader = read(crosstraining[0])
    shown = "".join(reader.text)
    for name in (EMOTION, f"{CORPUS}_{SPEAKER}s05", SHORT_FILE):
        assert name in shown
    # In an attribute too: a figure's words for those who cannot see it.
    assert any(EMOTION in attributes["alt"] for tag, attributes in reader.tags if tag == "img")


def test_markdown_holds_no_tag_and_no_broken_table(made):
    text = made[0].with_suffix(".md").read_text(encoding="utf-8")
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "<" not in outside
    lines = outside.splitlines()
    for above, rule in itertools.pairwise(lines):
        if rule.startswith("|---"):
            assert len(re.findall(r"(?<!\\)\|", above)) == len(re.findall(r"\|", rule))
    for line in lines:
        if line.startswith("!["):
            name = line.rpartition("](")[2].rstrip(")")
            assert (made[0].parent / name).stat().st_size > 1000


def test_page_and_markdown_say_the_same(made):
    reader, text = read(made[0]), made[0].with_suffix(".md").read_text(encoding="utf-8")
    images = [a for tag, a in reader.tags if tag == "img"]
    assert len(images) == text.count("\n![") == len(made[1].pictures())
    assert sum(tag == "table" for tag, _ in reader.tags) == text.count("\n|---")
    for image, picture in zip(images, made[1].pictures()):
        assert base64.b64decode(image["src"].partition(",")[2]) == picture.png
        assert len(image["alt"]) > 40
        assert re.search(r"n = |over draws", picture.caption), picture.name


@pytest.mark.parametrize("kind", ["report", "comparison", pytest.param("crosstraining", marks=pytest.mark.long)])
def test_every_table_is_rectangular_and_has_no_raw_number(request, kind):
    tables = list(tables_of(request.getfixturevalue(kind)[1]))
    assert tables
    for table in tables:
        assert table.rows
        for row in table.rows:
            assert len(row) == len(table.header), table.caption
            assert not [cell for cell in row if re.search(r"\bnan\b|\binf\b", cell)], row


def test_scores_are_those_of_the_summary(report, workdir):
    rows = json.loads((workdir / "summary.json").read_text())
    row = next(r for r in rows if (r["loss"], r["selection"], r["split"], r["steps"]) == ("ratio", "fixed", "paper", 4))
    table = next(t for t in tables_of(report[1]) if "Table 1" in t.caption)
    line = next(r for r in table.rows if "+ ratio loss" in r[0] and "fixed" in r[0])
    assert line[1].startswith(f"{row['uar_mean']:.1f} [{row['ci_low']:.1f}, {row['ci_high']:.1f}]")
    assert line[-1] == ""


@pytest.mark.long
def test_one_draw_gives_no_interval_and_no_test(comparison):
    mine = [t for t in tables_of(comparison[1]) if "n = 1 draw" in t.caption and "Over draws" in t.caption]
    assert mine
    for table in mine:
        for row in table.rows:
            assert "interval not computable: fewer than two units" in row[1]
            assert row[2] == row[3] == "not computable: fewer than two units"
    claims = [t for t in tables_of(comparison[1]) if "1 source seed" in t.caption and "paper's split" in t.caption]
    assert claims
    assert all("not computable: fewer than two units" in row[3] for table in claims for row in table.rows)


@pytest.mark.long
def test_several_work_directories_stand_side_by_side(comparison, report):
    table = next(t for t in tables_of(comparison[1]) if "What differs" in t.caption)
    assert {row[0] for row in table.rows} == {"protocol.n_draws", "protocol.n_seeds"}
    assert table.header[1:] == ("run", "one_draw")
    scores = next(t for t in tables_of(comparison[1]) if t.caption.startswith("UAR %, paper's split"))
    alone = next(t for t in tables_of(report[1]) if "Table 1" in t.caption)
    assert [row[1].split(" (")[0] for row in scores.rows] == [row[1] for row in alone.rows]
    contrast = next(t for t in tables_of(comparison[1]) if "one_draw minus run" in t.caption)
    assert {row[0] for row in contrast.rows} >= {"OODT", "IDT", "fine-tuning", "+ ratio loss"}
    # Both trained on the target alone, from the same seeds.
    idt = next(row for row in contrast.rows if row[0] == "IDT")
    assert float(idt[1].split()[0]) == 0


def test_a_name_without_html_is_refused(workdir, tmp_path):
    with pytest.raises(InputError, match=r"expected a name ending in \.html"):
        page.write([workdir], tmp_path / "report.pdf", [])


def test_the_launcher_says_what_is_wrong_and_fails(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "launch.report", str(tmp_path / "nowhere"), f"--output={tmp_path / 'r.html'}"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert not (tmp_path / "r.html").exists()

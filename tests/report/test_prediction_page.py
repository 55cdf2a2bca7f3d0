"""The page of predictions as text: what it holds, what it never holds, and what is refused."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from predictions_for_tests import CLASSES, predicted

from siamese_jax.errors import InputError
from siamese_jax.recognizer.predictions import Prediction
from siamese_jax.report.predictions import card, clips, page, sounds, terminal, words
from siamese_jax.report.predictions.page import Content
from siamese_jax.report.render.document import Table

ATTACK = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>'


class Tags(HTMLParser):
    """All tags with their attributes, and the texts of `tag` elements."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def attributes(self, tag, name):
        return [attrs[name] for t, attrs in self.tags if t == tag and name in attrs]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The user's home folder, whose name must not be told."""
    folder = tmp_path / "home" / "alicia"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def recorded(folder, names, seconds=1.0):
    t = np.arange(round(16000 * seconds)) / 16000
    paths = []
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, (0.3 * np.sin(2 * np.pi * (200 + 10 * i) * t)).astype(np.float32), 16000)
        paths.append(path)
    return paths


def written(output, paths, sound="link", files=None, **content):
    made = predicted(files or [path.name for path in paths], seconds=1.0)
    given = Content(made, paths, CLASSES, content.pop("text", "# A model\n\nNon-commercial."), **content)
    page.write(output, given, sound)
    return output.read_text(encoding="utf-8")


def test_linked_sounds_have_relative_quoted_paths_with_their_times(home):
    paths = recorded(home / "rec", ["a b#1%.wav", "sub/c.wav", "é.wav"])
    text = written(home / "labels.html", paths)
    assert Tags(text).attributes("button", "data-src") == [
        "rec/a%20b%231%25.wav#t=0.000,1.000", "rec/sub/c.wav#t=0.000,1.000", "rec/%C3%A9.wav#t=0.000,1.000",
    ]  # fmt: skip
    assert [name for name in Tags(text).texts["span"] if name.endswith(".wav")] == ["a b#1%.wav", "sub/c.wav", "é.wav"]


@pytest.mark.parametrize("sound", sounds.MODES)
def test_no_absolute_path_and_no_user_name_is_in_the_page(home, tmp_path, sound):
    paths = recorded(home / "rec", ["a.wav", "b.wav"])
    text = written(
        home / "out" / "labels.html",
        paths,
        sound,
        files=[str(path) for path in paths],
        notes=[f"Model {home}/models/mine, non-commercial."],
        left_out=[(str(home / "rec" / "bad.wav"), f"missing: a broken link to {home}/else/x.wav; fetch it")],
        text=f"Trained on {home}/rec/table.npz. See https://example.org/a/b.",
    )
    assert "alicia" not in text
    assert str(tmp_path) not in text
    assert "https://example.org/a/b" in text
    assert "missing: a broken link to x.wav" in text
    assert "Model mine, non-commercial." in text


def test_a_page_away_from_the_recordings_links_none_since_the_link_would_name_the_user(home, tmp_path, caplog):
    paths = recorded(home / "rec", ["a.wav"])
    text = written(tmp_path / "elsewhere" / "labels.html", paths)
    assert "alicia" not in text
    assert Tags(text).attributes("button", "data-src") == []
    assert "1 clip not linked" in text


def test_a_page_with_embedded_sounds_says_that_it_holds_voices_and_holds_them(home):
    paths = recorded(home / "rec", ["a.wav", "b.aiff"])
    text = written(home / "labels.html", paths, "embed")
    assert "This page holds the voices of 2 clips." in text
    sources = Tags(text).attributes("button", "data-src")
    assert len(sources) == 2
    for source in sources:
        kind, data = source.split(";base64,")
        assert kind == "data:audio/flac"
        assert base64.b64decode(data)[:4] == b"fLaC"


def test_embedding_stops_at_its_limit_with_the_least_certain_clips_first(home, monkeypatch):
    paths = recorded(home / "rec", [f"{i}.wav" for i in range(6)])
    made = predicted([path.name for path in paths], seconds=1.0)
    sizes = [len(sounds.flac(paths[i], 0.0, 1.0)) for i in sounds.least_certain_first(made)]
    monkeypatch.setattr(sounds, "MOST_EMBEDDED", sum(sizes[:3]) - 1)
    prepared = sounds.prepare("embed", made, paths, home / "labels.html")
    held = {i for i, source in enumerate(prepared.sources) if source}
    assert held == set(np.argsort([max(p.probabilities.values()) for p in made])[:2])
    assert any("4 clips not embedded" in note for note in prepared.notes)


def test_a_sound_that_is_gone_is_left_without_a_button(home):
    paths = recorded(home / "rec", ["a.wav", "b.wav"])
    paths[0].unlink()
    text = written(home / "labels.html", paths, "embed")
    assert len(Tags(text).attributes("button", "data-src")) == 1
    assert "1 clip not embedded: their sound cannot be read" in text


def test_formats_that_browsers_do_not_play_are_not_linked_and_the_page_says_so(home):
    paths = recorded(home / "rec", ["a.wav", "b.aiff"])
    text = written(home / "labels.html", paths)
    assert len(Tags(text).attributes("button", "data-src")) == 1
    assert "1 clip in formats that browsers do not play" in text


@pytest.mark.parametrize("sound", sounds.MODES)
def test_the_policy_allows_this_script_and_style_and_no_network(home, sound):
    text = written(home / "labels.html", recorded(home, ["a.wav"]), sound)
    (policy,) = (attrs["content"] for tag, attrs in Tags(text).tags if "http-equiv" in attrs)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["media-src"] == {"link": "'self' file:", "embed": "data:", "none": "'none'"}[sound]
    assert "http" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not re.search(r" style=| on\w+=", text.replace("&quot;", ""))


def test_texts_from_data_are_escaped_everywhere(home):
    classes = (ATTACK, "b")
    made = predicted([f"{ATTACK.replace('/', '')}.wav", "a.wav"], classes, reason=ATTACK)
    paths = [home / prediction.file for prediction in made]
    content = Content(made, paths, classes, ATTACK, [ATTACK], [(ATTACK, ATTACK)])
    page.write(home / "labels.html", content, "link")
    tags = Tags((home / "labels.html").read_text(encoding="utf-8"))
    assert sum(tag == "script" for tag, _ in tags.tags) == 1
    assert not [attrs for tag, attrs in tags.tags if tag == "img" or any(name.startswith("on") for name in attrs)]


def test_a_page_of_2000_clips_is_small_and_of_more_than_fit_lists_the_least_certain(home, monkeypatch):
    made = predicted([f"{i}.wav" for i in range(2000)])
    paths = [home / prediction.file for prediction in made]
    page.write(home / "labels.html", Content(made, paths, CLASSES, ""), "link")
    assert (home / "labels.html").stat().st_size < 5e6
    monkeypatch.setattr(page, "MOST_CLIPS", 10)
    page.write(home / "labels.html", Content(made, paths, CLASSES, ""), "none")
    text = (home / "labels.html").read_text(encoding="utf-8")
    assert "<h1>Labels of 2,000 clips</h1>" in text
    assert "the 10 least certain of 2,000 clips" in text
    shown = [float(max(p.split(), key=float)) for p in Tags(text).attributes("li", "data-p")]
    assert max(shown) == pytest.approx(sorted(max(p.probabilities.values()) for p in made)[9], abs=1e-4)


@pytest.mark.long
def test_2000_clips_of_12_classes_with_all_the_sound_that_fits_are_under_20_mb(home, monkeypatch):
    monkeypatch.setattr(sounds, "flac", lambda path, start, end: "data:audio/flac;base64," + "A" * 10_000)
    classes = tuple(f"emotion {i:02d}" for i in range(12))
    made = predicted([f"speaker_{i % 40:02d}/recording of the day {i}.wav" for i in range(2000)], classes)
    page.write(home / "labels.html", Content(made, [home / p.file for p in made], classes, ""), "embed")
    assert 15e6 < (home / "labels.html").stat().st_size < 20e6


def test_a_page_of_a_part_of_the_clips_counts_them_all(home):
    made = predicted(["a.wav", "b.wav"])
    counts = {("anger", False): 70_000, ("fear", True): 30_000}
    content = Content(made, [home / p.file for p in made], CLASSES, "", counts=counts)
    page.write(home / "labels.html", content, "none")
    text = (home / "labels.html").read_text(encoding="utf-8")
    assert "<h1>Labels of 100,000 clips</h1>" in text
    assert "the 2 least certain of 100,000 clips" in text
    assert "70,000" in text


def test_an_entry_and_a_row_have_the_label_numbers_and_reason_of_their_own_clip():
    p = {"sadness": 0.1, "anger": 0.25, "fear": 0.62, "happiness": 0.03}  # in another order than the classes
    sure = Prediction("a.wav", 61.0, 63.5, "fear", p, False, "", "clip", "asked for")
    text = clips.entry(sure, "a.wav", "", CLASSES, False)
    assert "<strong>fear</strong> 62.0\N{NARROW NO-BREAK SPACE}%</p>" in text
    assert 'data-c="3" data-p="0.2500 0.0300 0.1000 0.6200"' in text
    assert "1:01.0\N{EN DASH}1:03.5" in text
    bars = re.findall(r"<div( class=.top.)?><dt>(\w+)</dt><dd><i class=w(\d+)></i></dd><dd>([\d.]+)", text)
    assert [(name, int(width), float(percent)) for _, name, width, percent in bars] == [
        (name, round(100 * p[name]), 100 * p[name]) for name in CLASSES
    ]
    assert [name for top, name, *_ in bars if top] == ["fear"]
    unsure = dataclasses.replace(sure, unsure=True, reason="silent")
    assert re.search(
        r' data-u .*>unsure</span> <span class="why">silent<', clips.entry(unsure, "a", "", CLASSES, False)
    )
    for row, words_of in ((sure, "no"), (unsure, "yes: silent")):
        assert terminal.table([row]).splitlines()[-1].split(maxsplit=4) == [
            "a.wav",
            "61.00-63.50",
            "fear",
            "0.62",
            words_of,
        ]


def test_the_page_counts_all_and_the_unsure_clips_of_each_label(home):
    made = predicted([f"{i}.wav" for i in range(60)])
    prepared = sounds.Sounds([""] * 60, "'none'")
    (table,) = (b for b in page._top(Content(made, [], CLASSES, ""), prepared, ()) if isinstance(b, Table))
    for name, n, unsure in table.rows[:-1]:
        assert (int(n), int(unsure)) == (
            sum(p.label == name for p in made), sum(p.label == name and p.unsure for p in made)
        )  # fmt: skip
    assert table.rows[-1] == ("all", "60", str(sum(p.unsure for p in made)))
    assert table.caption == "Clips by label. Mode: folder (asked for)."


def test_many_classes_have_bars_of_the_most_probable_and_a_sum_of_the_rest(home):
    classes = tuple(f"class {i}" for i in range(50))
    made = predicted(["a.wav"], classes)
    page.write(home / "labels.html", Content(made, [home / "a.wav"], classes, ""), "none")
    text = (home / "labels.html").read_text(encoding="utf-8")
    assert text.count("<dt") == 12
    assert "38 other classes" in text


@pytest.mark.parametrize("unsure", [True, False])
def test_a_page_without_a_sure_label_says_that_none_can_be_trusted(home, unsure):
    made = [dataclasses.replace(p, unsure=True, reason="silent") for p in predicted(["a.wav", "b.wav"])]
    made[1] = dataclasses.replace(made[1], unsure=unsure)
    page.write(home / "labels.html", Content(made, [home / p.file for p in made], CLASSES, ""), "none")
    text = (home / "labels.html").read_text(encoding="utf-8")
    assert ("No label on this page can be trusted" in text) == unsure


@pytest.mark.parametrize("name", ["labels.htm", "labels", "labels.csv"])
def test_a_page_of_another_suffix_is_refused(home, name):
    with pytest.raises(InputError, match=r"expected a name ending in \.html"):
        page.write(home / name, Content([], [], CLASSES, ""), "none")


def test_an_unknown_kind_of_sound_is_refused(home):
    with pytest.raises(InputError, match="sound = 'play': expected one of link, embed, none"):
        page.write(home / "labels.html", Content([], [], CLASSES, ""), "play")


def test_a_card_loads_nothing_and_keeps_its_tables_and_links():
    text = (
        "---\nlicense: x\n---\n# Model\n\n![pixel](https://example.org/p.png)\n\n[doi](https://doi.org/1) "
        "[bad](javascript:alert(1))\n\n<iframe src='https://example.org'></iframe>\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    made = Tags(card.html(text))
    assert {tag for tag, _ in made.tags} <= {"h3", "p", "a", "div", "table", "thead", "tbody", "tr", "th", "td"}
    # An image becomes a link, which loads nothing before it is followed.
    assert made.attributes("a", "href") == ["https://example.org/p.png", "https://doi.org/1"]
    assert "license" not in card.html(text)


def test_the_terminal_shows_the_first_clips_and_how_many_more_without_control_characters():
    made = predicted(["\x1b[2Jevil.wav", *(f"{i}.wav" for i in range(40))])
    drawn = terminal.table(made, 80, most=5)
    assert "\x1b" not in drawn
    assert drawn.splitlines()[-1] == "and 36 more rows"
    assert max(map(len, drawn.splitlines())) <= 80
    assert "more" not in terminal.table(made[:5], 80, most=5).splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00.0"), (59.96, "1:00.0"), (3661.24, "1:01:01.2"), (3599.99, "1:00:00.0")]
)
def test_times_are_shown_as_a_clock(seconds, text):
    assert words.clock(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see /home/a/b.wav, then", "see b.wav, then"),
        ("C:\\Users\\a\\b.wav", "b.wav"),
        ("~/rec/b.wav", "b.wav"),
        ("https://example.org/a/b and CC BY-NC/SA", "https://example.org/a/b and CC BY-NC/SA"),
        ("sub/a.wav 1/2", "sub/a.wav 1/2"),
    ],
)
def test_folders_of_absolute_paths_are_taken_out_of_texts(text, shown):
    assert words.without_folders(text) == shown


def test_names_are_shown_below_their_common_folder():
    assert words.short_names([Path("/r/a/x.wav"), Path("/r/b/y.wav")]) == ["a/x.wav", "b/y.wav"]
    assert words.short_names([Path("/r/a/x.wav")]) == ["x.wav"]
    assert words.short_names([]) == []

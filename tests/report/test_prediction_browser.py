"""The page of predictions in Chromium: seen, sorted, filtered and played with the keyboard alone.

Screenshots go into the folder that SIAMESE_JAX_SCREENSHOTS names, to be looked at.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser_for_tests import CHROMIUM, CONTRASTS, DRIVER, REQUESTS
from predictions_for_tests import CLASSES, predicted

from siamese_jax.report.predictions import page, sounds
from siamese_jax.report.predictions.page import Content

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")

WIDE, NARROW = (1200, 900), (400, 844)

CARD = "# Four emotions\n\nNon-commercial.\n\n| corpus | UAR |\n|---|---|\n| RAVDESS | 61.2 [58.1, 64.0] |\n"
SHOWN = "return [...document.querySelectorAll('.clip:not([hidden]) .file')].map(e => e.textContent)"
PLAYING = "const a = document.querySelector('audio'); return [!a.paused, a.error && a.error.message, a.currentTime]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages by number of clips and kind of sound."""
    folder = tmp_path_factory.mktemp("predicted")
    t = np.arange(3 * 16000) / 16000
    for i in range(5):
        soundfile.write(folder / f"clip {i}.wav", (0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32), 16000)

    def write(clips, sound):
        path = folder / f"{clips}_{sound}.html"
        if not path.exists():
            made = predicted([f"clip {i % 5}.wav" for i in range(clips)])
            content = Content(made, [folder / p.file for p in made], CLASSES, CARD, ["Non-commercial."], [("x", "y")])
            page.write(path, content, sound)
        return path

    return write


def seen_for(browser, script, wanted, seconds=10):
    """The script's value as soon as `wanted` holds, else its last value."""
    end = time.monotonic() + seconds
    while not wanted(value := browser.run(script)) and time.monotonic() < end:
        time.sleep(0.05)
    return value


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("clips", "sound"),
    [(5, "link")] + [pytest.param(n, s, marks=LONG) for n in (5, 2000) for s in sounds.MODES if (n, s) != (5, "link")],
)
def test_page_opens_whole_at_every_size_and_in_both_schemes(browser, pages, clips, sound):
    path = pages(clips, sound)
    assert path.stat().st_size < 20e6
    for size in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            browser.open(path, size, scheme)
            browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            assert len(browser.run(SHOWN)) == clips
            assert browser.run("return document.getElementById('shown').textContent") == f"{clips:,} clips"
            assert browser.too_wide() <= 0
            assert browser.run(REQUESTS) == []
            assert [entry["message"] for entry in browser.console()] == []
            for tag, contrast in browser.run(CONTRASTS):
                assert contrast >= 4.5, (tag, scheme, contrast)
            # The bars' widths are rules of the style sheet, which the policy allows by its digest.
            bars = browser.run("return [...document.querySelectorAll('.top i')].slice(0, 5).map(b => b.clientWidth)")
            assert min(bars) > 10
            if folder := os.environ.get("SIAMESE_JAX_SCREENSHOTS"):
                browser.screenshot(Path(folder) / f"predictions_{clips}_{sound}_{size[0]}_{scheme}.png")


@pytest.mark.parametrize("sound", ["link", pytest.param("embed", marks=LONG)])
def test_the_keyboard_alone_filters_sorts_and_plays(browser, pages, sound):
    browser.open(pages(5, sound), WIDE)
    browser.run("document.getElementById('search').focus()")
    browser.type("clip 3")
    assert browser.run(SHOWN) == ["clip 3.wav"]
    browser.press("Tab", "Tab", "Tab")
    assert browser.run("return document.activeElement.id") == "sort"
    browser.press("Tab", "Enter")
    playing, error, _ = seen_for(browser, PLAYING, lambda value: value[0] and value[2] > 0)
    assert (playing, error) == (True, None)
    assert "clip 3.wav" in browser.run("return document.getElementById('playing').textContent")
    browser.press("Escape")
    assert browser.run(PLAYING)[0] is False
    assert [entry["message"] for entry in browser.console()] == []


def test_arrow_keys_move_between_the_clips_that_are_shown(browser, pages):
    browser.open(pages(5, "link"), WIDE)
    focused = "return document.activeElement.closest('.clip').querySelector('.file').textContent"
    browser.run("document.querySelector('.play').focus()")
    browser.press("ArrowDown", "ArrowDown")
    assert browser.run(focused) == "clip 2.wav"
    browser.press("End", "ArrowDown")
    assert browser.run(focused) == "clip 4.wav"
    browser.press("Home")
    assert browser.run(focused) == "clip 0.wav"


def test_lists_are_sorted_by_certainty_and_filtered_by_label(browser, pages):
    browser.open(pages(5, "none"), WIDE)
    made = predicted([f"clip {i}.wav" for i in range(5)])
    chosen = "const s = document.getElementById('{}'); s.value = '{}'; s.dispatchEvent(new Event('input'))"
    browser.run(chosen.format("sort", "least"))
    certain = sorted(made, key=lambda p: p.probabilities[p.label])
    assert browser.run(SHOWN) == [p.file for p in certain]
    browser.run(chosen.format("sort", "1"))
    assert browser.run(SHOWN) == [p.file for p in sorted(made, key=lambda p: -p.probabilities["happiness"])]
    browser.run(chosen.format("sort", "given"))
    label = made[0].label
    browser.run(chosen.format("label", CLASSES.index(label)))
    assert browser.run(SHOWN) == [p.file for p in made if p.label == label]
    browser.run(chosen.format("label", ""))
    browser.run(chosen.format("certainty", "unsure"))
    assert browser.run(SHOWN) == [p.file for p in made if p.unsure]


@LONG
def test_a_sound_that_has_moved_is_named_in_words(browser, pages, tmp_path):
    lost = tmp_path / "5_link.html"
    lost.write_bytes(pages(5, "link").read_bytes())
    browser.open(lost, NARROW)
    browser.run("document.querySelector('.play').focus()")
    browser.press("Enter")  # a script's click may play nothing
    words = "return document.getElementById('playing').textContent"
    assert "cannot be played here" in seen_for(browser, words, lambda text: "cannot" in text)


@LONG
def test_nothing_but_the_page_runs_where_a_script_is_slipped_in(browser, pages, tmp_path):
    text = pages(5, "none").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<main>", '<main><script>document.title = "run"</script>'), encoding="utf-8")
    browser.open(broken, WIDE)
    assert browser.run("return document.title") == "Labels of 5 clips"
    assert any("Content Security Policy" in entry["message"] for entry in browser.console())


@LONG
def test_long_names_and_many_classes_widen_no_page(browser, tmp_path):
    classes = ("x" * 60, "ضحك", *(f"class {i}" for i in range(40)))
    made = predicted(["n" * 200 + ".wav", "a/" * 60 + "b.wav"], classes, reason="r" * 150)
    paths = [tmp_path / prediction.file for prediction in made]
    card = "# " + "w" * 300 + "\n\n```\n" + "c" * 400 + "\n```\n\n" + "|a" * 30 + "|\n" + "|-" * 30 + "|\n"
    page.write(tmp_path / "long.html", Content(made, paths, classes, card, ["n" * 300], [("f" * 200, "r")]), "link")
    for width in (1200, 400, 320):
        browser.open(tmp_path / "long.html", (width, 800))
        browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        # The list is laid out where it is seen.
        browser.run("document.getElementById('clips').scrollIntoView()")
        assert browser.too_wide() <= 0
        assert browser.run("return document.querySelector('.bars').clientHeight") > 50

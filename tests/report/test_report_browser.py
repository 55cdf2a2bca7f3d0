"""The page in a real browser: Chromium through its driver's HTTP interface; skipped where either is absent.

Screenshots, wide and narrow, light and dark, go into the folder that SIAMESE_JAX_SCREENSHOTS names, to be looked at.
"""

import os
from pathlib import Path

import pytest
from browser_for_tests import CHROMIUM, CONTRASTS, DRIVER, NARROW, REQUESTS, WIDE

from siamese_jax.report.render import figures

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")


@pytest.fixture(
    params=["report", *(pytest.param(name, marks=pytest.mark.long) for name in ("comparison", "crosstraining"))]
)
def path(request):
    return request.getfixturevalue(request.param)[0]


def test_the_checks_see_a_broken_page(browser, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text(
        '<!doctype html><img src="data:image/png;base64,AAAA" alt="lost"><div style="width:3000px">wide</div>'
        "<script>console.error('bad')</script>"
    )
    browser.open(broken, NARROW)
    assert browser.broken_images() == ["lost"]
    assert browser.too_wide() > 0
    assert any("bad" in entry["message"] for entry in browser.console())


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_opens_whole(browser, path, size, scheme):
    browser.open(path, size, scheme)
    assert browser.run("return document.images.length") > 10
    assert browser.broken_images() == []
    assert browser.too_wide() <= 0
    assert browser.run("return document.scripts.length") == 0
    # Not one request beyond the page itself.
    assert browser.run(REQUESTS) == []
    assert [entry["message"] for entry in browser.console()] == []
    for tag, contrast in browser.run(CONTRASTS):
        assert contrast >= 4.5, (tag, scheme, contrast)
    light = browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    if folder := os.environ.get("SIAMESE_JAX_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"{path.stem}_{size[0]}_{scheme}.png")


def test_figures_are_legible_on_a_phone(browser, path):
    browser.open(path, NARROW)
    widths = browser.run("return [...document.images].map(i => [i.clientWidth, i.naturalWidth])")
    for shown, drawn in widths:
        # 8-point text at 150 dots an inch is 16.7 pixels high; at this width it keeps 10.
        assert shown / drawn * 8 * figures.DPI / 72 >= 10


@pytest.mark.long
def test_a_table_that_is_wider_than_a_phone_says_that_it_scrolls_and_no_other_does(browser, comparison):
    browser.open(comparison[0], NARROW)
    tables = browser.run(
        # What is folded is not drawn, and has no animation yet.
        "return [...document.querySelectorAll('.scroll')].filter(box => !box.closest('details'))"
        ".map(box => [box.scrollWidth > box.clientWidth,"
        " getComputedStyle(box, '::before').maxHeight, getComputedStyle(box, '::before').content])"
    )
    assert {wide for wide, _, _ in tables} == {True, False}
    for wide, height, content in tables:
        assert "Scroll sideways" in content
        assert (height != "0px") == wide


def test_nothing_is_hidden_on_paper(browser, report):
    browser.open(report[0], WIDE, "dark", "print")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    heights = browser.run(
        "return [...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)"
    )
    assert len(heights) > 3
    assert min(heights) > 20

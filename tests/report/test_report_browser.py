"""The page in a real browser: Chromium through its driver's HTTP interface; skipped where either is absent.

Screenshots, wide and narrow, light and dark, go into the folder that SIAMESE_JAX_SCREENSHOTS names, to be looked at.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from siamese_jax.report.render import figures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
WIDE, NARROW = (1280, 900), (390, 844)

CONTRASTS = """
const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
  .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (!/, 0\\)$/.test(c) && c !== 'transparent') return c; } return 'rgb(255, 255, 255)'; };
return ['p', 'th', 'td', 'figcaption', 'a', 'summary', 'h2', 'code', '.alert'].map(s => document.querySelector(s))
  .filter(e => e).map(e => { const a = light(getComputedStyle(e).color), b = light(ground(e));
  return [e.tagName, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
"""


REQUESTS = "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))"


class Browser:
    """One page at a time, through the WebDriver protocol."""

    def __init__(self, address, profile):
        self.address = address
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"], "binary": CHROMIUM}
        asked = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._post("/session", {"capabilities": {"alwaysMatch": asked}})
        self.address += f"/session/{made['sessionId']}"

    def _post(self, path, body):
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]

    def cdp(self, command, **params):
        return self._post("/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, path, size, scheme="light", media="screen"):
        self.cdp("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1,
                 mobile=size[0] < 600)  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", media=media, features=features)
        self.console()
        self._post("/url", {"url": path.as_uri()})

    def run(self, script):
        return self._post("/execute/sync", {"script": script, "args": []})

    def console(self):
        return [entry for entry in self._post("/se/log", {"type": "browser"}) if entry["level"] != "DEBUG"]

    def broken_images(self):
        return self.run("return [...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt)")

    def too_wide(self):
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def screenshot(self, path):
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def quit(self):
        urllib.request.urlopen(urllib.request.Request(self.address, method="DELETE"), timeout=30).close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(address + "/status", timeout=5).close()
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        opened = Browser(address, tmp_path_factory.mktemp("profile"))
        yield opened
        opened.quit()
    finally:
        driver.terminate()
        driver.wait(timeout=30)


@pytest.fixture(params=["report", "comparison", pytest.param("crosstraining", marks=pytest.mark.long)])
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
    assert (
        browser.run(
            "return performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))"
        )
        == []
    )
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

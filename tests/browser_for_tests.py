"""Chromium through its driver's HTTP interface, for tests of pages; absent where either is."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
KEY_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40}
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

    def type(self, text):
        """Types into the element that has the focus."""
        self.cdp("Input.insertText", text=text)

    def press(self, *keys):
        """Presses keys by their names ("Tab", "ArrowDown")."""
        for key in keys:
            text = {"text": "\r"} if key == "Enter" else {}
            codes = {"key": key, "code": key, "windowsVirtualKeyCode": KEY_CODES[key]}
            self.cdp("Input.dispatchKeyEvent", type="keyDown", **codes, **text)
            self.cdp("Input.dispatchKeyEvent", type="keyUp", **codes)

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


@contextlib.contextmanager
def opened_browser(profile):
    """Yields a browser, whose profile is a new folder."""
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
        opened = Browser(address, profile)
        yield opened
        opened.quit()
    finally:
        driver.terminate()
        driver.wait(timeout=30)

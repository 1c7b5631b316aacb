"""Headless Chromium over its DevTools protocol: open a page, look, click like a person, take a picture."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
    # Nothing but this machine can be reached, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)
MARGIN = 4  # pixels left around the boxes of a clipped picture
# Visible elements whose own text, or title, is the one asked for; the innermost and last drawn first.
FIND = """
(wanted, selector) => [...document.querySelectorAll(selector)].filter(e => {
  const text = (e.innerText || e.value || '').trim();
  const box = e.getBoundingClientRect();
  return (text === wanted || e.getAttribute('aria-label') === wanted || e.placeholder === wanted)
    && box.width > 0 && box.height > 0 && !e.disabled && getComputedStyle(e).visibility !== 'hidden';
}).reverse()[0]
"""


class BrowserError(AssertionError):
    """The page did not do what was expected of it in time; the message quotes what it showed."""


def chromium_path() -> str | None:
    """Where Chromium is installed, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """One tab. Every wait is bounded and says at its end what the page showed instead."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.requested: set[str] = set()
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, timeout: float = 30.0, **params: Any) -> dict[str, Any]:
        """Call a DevTools method and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        deadline = time.monotonic() + timeout
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.1, deadline - time.monotonic())))
            if message.get("id") == self._number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Network.requestWillBeSent":
            url = urlsplit(event["params"]["request"]["url"])
            if url.scheme in {"http", "https", "ws", "wss"}:
                self.requested.add(str(url.hostname))
        elif event.get("method") == "Network.webSocketCreated":
            self.requested.add(str(urlsplit(event["params"]["url"]).hostname))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(event["params"]["exceptionDetails"].get("text")))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression (a promise is awaited)."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait_for(self, expression: str, timeout: float = 30.0) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = self.evaluate(expression)
            if value:
                return value
            time.sleep(0.1)
        raise BrowserError(f"not within {timeout:.0f} s: {expression}\nthe page shows:\n{self.text()[:1500]}")

    def goto(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        self.send("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({url!r}) && document.readyState === 'complete'")

    def text(self) -> str:
        """What a person could read on the page."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for_text(self, text: str, timeout: float = 30.0) -> None:
        """Wait until the page shows ``text``."""
        self.wait_for(f"document.body && document.body.innerText.includes({json.dumps(text)})", timeout)

    def box(self, text: str, selector: str = "*") -> dict[str, float] | None:
        """Where the element with exactly this text is, in pixels, scrolled to; None if there is none."""
        return self.evaluate(
            f"(e => e && (e.scrollIntoViewIfNeeded(), b => ({{x: b.x, y: b.y, width: b.width, height: b.height}}))"
            f"(e.getBoundingClientRect()))(({FIND})({json.dumps(text)}, {json.dumps(selector)}))"
        )

    def click(self, text: str, selector: str = "button, a, [role]", timeout: float = 30.0) -> None:
        """Press the mouse on the element with exactly this text, once it is there and has come to rest."""
        deadline = time.monotonic() + timeout
        before = None
        while time.monotonic() < deadline:
            box = self.box(text, selector)
            if box and box == before:
                x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
                self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
                for kind in ("mousePressed", "mouseReleased"):
                    self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
                return
            before = box
            time.sleep(0.15)
        raise BrowserError(f"nothing to click called {text!r}; the page shows:\n{self.text()[:1500]}")

    def click_until(self, text: str, expression: str, timeout: float = 30.0) -> None:
        """Press as a person would: again, where the page was drawn anew under the mouse and nothing came of it."""
        deadline = time.monotonic() + timeout
        while True:
            self.click(text, timeout=max(1.0, deadline - time.monotonic()))
            try:
                self.wait_for(expression, timeout=5.0)
            except BrowserError:
                if time.monotonic() > deadline or self.box(text) is None:
                    raise
            else:
                return

    def replace_text(self, selector: str, text: str) -> None:
        """Type over what a text field holds."""
        self.wait_for(f"(e => e && (e.focus(), e.select(), true))(document.querySelector({selector!r}))")
        self.send("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        """Press and release a key, e.g. ("Enter", 13)."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, around: Iterable[Mapping[str, Any]] = ()) -> Path:
        """A picture as PNG: of what the window shows, or of the part of it around some boxes."""
        clip = {}
        if edges := [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in around]:
            left, top = (min(edge[side] for edge in edges) - MARGIN for side in (0, 1))
            right, bottom = (max(edge[side] for edge in edges) + MARGIN for side in (2, 3))
            clip["clip"] = {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": 1}
        data = self.send("Page.captureScreenshot", format="png", **clip)["data"]
        path.write_bytes(base64.b64decode(data))
        return path


@contextmanager
def open_page(profile: Path, *, width: int = 1600, height: int = 1000) -> Iterator[Page]:
    """Chromium with a fresh profile directory and one tab; the process is gone at the end."""
    executable = chromium_path()
    if executable is None:
        raise FileNotFoundError(f"none of {', '.join(NAMES)} is installed")
    profile.mkdir(parents=True, exist_ok=True)
    with (profile / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [
                executable,
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        # No keepalive: a page left alone for a minute would be taken for dead.
        address = _page_address(profile, process)
        with connect(address, max_size=None, ping_interval=None, close_timeout=2) as socket:
            page = Page(socket)
            page.send(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=1, mobile=False,
            )  # fmt: skip
            yield page
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _page_address(profile: Path, process: subprocess.Popen[bytes], timeout: float = 30.0) -> str:
    """The web socket of the first tab; Chromium writes its debugging port into the profile."""
    deadline = time.monotonic() + timeout
    port_file = profile / "DevToolsActivePort"
    while time.monotonic() < deadline and process.poll() is None:
        if port_file.exists() and port_file.read_text().strip():
            port = port_file.read_text().split()[0]
            with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                pages = [target for target in json.load(answer) if target["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.1)
    log = (profile / "chromium.log").read_text(errors="replace")[-1500:]
    raise BrowserError(f"Chromium did not start within {timeout:.0f} s: {log}")

"""A real browser without a network, driven over a pipe by the DevTools protocol: no driver and no library needed."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A Chromium in a snap sees neither temporary files nor pipes, so it comes last.
NAMES = ("google-chrome", "google-chrome-stable", "chrome", "chromium", "chromium-browser")
_PATIENCE = 30
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # as root, as in a container, it has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
# The protocol is spoken over the descriptors 3 and 4, whatever has these numbers here.
_STARTER = """
import fcntl, os, sys
high = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, wanted in zip(high, (3, 4)):
    os.dup2(number, wanted)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "ArrowRight": ("ArrowRight", 39, ""),
    " ": ("Space", 32, " "),
}


def find_browser() -> str | None:
    """The program of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab of a running Chromium."""

    def __init__(self, process: subprocess.Popen, orders: int, answers: int) -> None:
        self._process, self._orders, self._answers = process, orders, answers
        self._number, self._buffer, self._session = 0, b"", None
        self.events: list[dict] = []

    def start(self) -> None:
        """Open the tab, with everything on that a page could complain about."""
        tab = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.send(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.send("Network.emulateNetworkConditions", **offline)

    def send(self, method: str, **parameters: object) -> dict:
        """One order, and what it gives."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def open(self, page: Path, *, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        """Load a page from its file, and wait until it is there."""
        self.show(width=width, height=height, scheme=scheme)
        self.events.clear()
        self.send("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def show(self, *, width: int = 1200, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """What the page is shown on."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)

    def ask(self, expression: str) -> object:
        """What a JavaScript expression is worth on the page; the page's own policy does not bind the debugger."""
        given = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in given, given
        return given["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until something holds on the page."""
        end = time.monotonic() + _PATIENCE
        while not self.ask(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def press(self, key: str, *, times: int = 1) -> None:
        """A key, as a person presses it."""
        code, number, text = _KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        for _ in range(times):
            self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
            self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def complaints(self) -> list[dict]:
        """What the page has printed, thrown, violated or asked of a network."""
        bad = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded")
        return [
            event
            for event in self.events
            if event["method"] in bad
            or (
                event["method"] == "Network.requestWillBeSent"
                and not event["params"]["request"]["url"].startswith(("file:", "data:"))
            )
        ]

    def _read(self) -> dict:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def running(program: str, folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, ended afterwards with all that it started."""
    orders_out, orders = os.pipe()
    answers, answers_in = os.pipe()
    starter = [sys.executable, "-c", _STARTER, str(orders_out), str(answers_in)]
    command = [*starter, program, *_ARGUMENTS, f"--user-data-dir={folder}"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, pass_fds=(orders_out, answers_in), start_new_session=True, **quiet)
    os.close(orders_out)
    os.close(answers_in)
    try:
        browser = Browser(process, orders, answers)
        browser.start()
        yield browser
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(orders)
        os.close(answers)

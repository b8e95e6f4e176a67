"""Chromium without a window, for tests of pages: opened, looked at, and asked what it fetched and complained of.

Debian's package is spoken to by its own protocol (DevTools, https://chromedevtools.github.io/devtools-protocol/) on a
pipe: JSON that ends with a NUL, on descriptors 3 and 4. It gets a folder of its own and no network is asked for.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def _chromium() -> str | None:
    """Its program, if it runs: Ubuntu's package of this name may only say where it is to be had."""
    for name in filter(None, map(shutil.which, ("chromium", "chromium-browser"))):
        with suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run([name, "--version"], capture_output=True, timeout=20, check=False).returncode == 0:
                return name
    return None


CHROMIUM = _chromium()
MISSING = "chromium is not installed (sudo apt-get install chromium)"
_PATIENCE_S = 60
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of one Chromium. `requests` are the addresses that the page asked for, `complaints` what stands on its console."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._number, self._buffer = 0, b""
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._events: list[str] = []

    def start(self) -> None:
        """Attach to a page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser; its answer."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            asked["sessionId"] = self._session
        left = json.dumps(asked).encode() + b"\0"
        while left:
            left = left[os.write(self._writing, left) :]
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result
            self._hear(said)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, end - time.monotonic()))
            assert ready, "chromium says nothing"
            more = os.read(self._reading, 1 << 20)
            assert more, "chromium has ended"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def _hear(self, said: dict[str, Any]) -> None:
        method, told = said.get("method", ""), said.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(told))
        self._events.append(method)

    def open(self, file: Path, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Show a file in a window so many pixels wide."""
        self.requests.clear()
        self.complaints.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._hear(self._next())

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page; the page's own policy does not hold for the debugger."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])

    def printed(self) -> bytes:
        """The page on paper (A4) as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)["data"])


def _pipe(far: int) -> tuple[int, int]:
    """The ends of a pipe; that of these which goes to the browser is no descriptor that it expects something else on."""
    ends = list(os.pipe())
    high = fcntl.fcntl(ends[far], fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(ends[far])
    ends[far] = high
    return ends[0], ends[1]


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium of its own, gone at the end."""
    assert CHROMIUM is not None
    (to_it, writing), (reading, from_it) = _pipe(0), _pipe(1)
    with tempfile.TemporaryDirectory(prefix="netprobe-chromium-", ignore_cleanup_errors=True) as home:
        words = [CHROMIUM, *_OPTIONS, f"--user-data-dir={home}", "about:blank"]
        shell = ["bash", "-c", f'exec 3<&{to_it} 4>&{from_it}; exec "$@"', "bash", *words]  # its descriptors are 3 and 4
        environment = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            shell, pass_fds=(to_it, from_it), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip
        os.close(to_it)
        os.close(from_it)
        try:
            made = Browser(reading, writing)
            made.start()
            yield made
        finally:
            os.close(writing)  # the end of the pipe is the end of the browser
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(reading)

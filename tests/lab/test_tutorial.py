"""The tutorial's network works, as real ping and arping see it."""

from __future__ import annotations

import pytest

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("red", "8.8.8.8"), ("red", "2001:4860:4860::8888"), ("red", "10.0.0.1"), ("red", "172.17.0.2"), ("red", "fd00:172:17::3"),
        ("c1", "172.17.0.3"), ("c1", "8.8.8.8"), ("c1", "2001:4860:4860::8888"), ("c2", "fd00:172:17::2"),
        ("host", "8.8.8.8"), ("host", "10.0.0.2"), ("host", "fd00:10::2"), ("host", "172.17.0.2"),
    ],
)  # fmt: skip
def test_ping(lab: Lab, source: str, destination: str) -> None:
    done = lab.run(["ping", "-c1", "-W2", destination], namespace=source)
    assert done.returncode == 0, done.stdout + done.stderr

"""The wire between controller and host, for tests: `relay.py RATE COMMAND...` runs the command and carries its input and output,
RATE bytes a second in each direction. Stopped (SIGSTOP) it is a cut wire: nothing passes, and nobody is told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

PIECE = 256


def carry(reading: int, writing: int, rate: float) -> None:
    """All bytes from one descriptor to another, up to the end."""
    while data := os.read(reading, PIECE if rate < 1e6 else 1 << 16):
        time.sleep(len(data) / rate)
        while data:
            data = data[os.write(writing, data) :]
    os.close(writing)


if __name__ == "__main__":
    rate = float(sys.argv[1])
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        forth = threading.Thread(target=carry, args=(0, os.dup(process.stdin.fileno()), rate), daemon=True)
        process.stdin.close()
        forth.start()
        carry(process.stdout.fileno(), 1, rate)

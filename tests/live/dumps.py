"""What tcpdump writes and tshark reads: an eye of somebody else on the same frames."""

from __future__ import annotations

import shlex
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from netprobe.lab.lab import Lab, Program
from netprobe.render.pcapng import Capture, Frame

TCPDUMP, TSHARK = shutil.which("tcpdump", path="/usr/sbin:/usr/bin:/sbin:/bin"), shutil.which("tshark")
NANOSECONDS = 0xA1B23C4D  # the magic number of a pcap file with nanoseconds, pcap-savefile(5)
FIELDS = ("frame.interface_name", "frame.time_epoch", "frame.len", "frame.comment", "frame.packet_flags_direction", "frame.protocols")


@dataclass(frozen=True)
class Seen:
    """A frame as tcpdump saw it."""

    stamp_ns: int
    data: bytes


class Dump:
    """A tcpdump on one interface."""

    def __init__(self, program: Program, file: Path) -> None:
        self.program = program
        self.file = file

    def frames(self) -> list[Seen]:
        """Stop, and read what it wrote."""
        self.program.stop()
        data = self.file.read_bytes()
        assert struct.unpack_from("=I", data)[0] == NANOSECONDS
        return list(_records(data))


def _records(data: bytes) -> Iterator[Seen]:
    at = 24
    while at < len(data):
        seconds, rest, size, _ = struct.unpack_from("=IIII", data, at)
        yield Seen(seconds * 1_000_000_000 + rest, data[at + 16 : at + 16 + size])
        at += 16 + size


@contextmanager
def dumping(lab: Lab, interfaces: list[tuple[str, str]], expression: str) -> Iterator[dict[tuple[str, str], Dump]]:
    """A tcpdump on each of the interfaces, all of them at work inside the block."""
    with ExitStack() as stack:
        dumps = {}
        for namespace, interface in interfaces:
            file = Path(lab.folder, f"{namespace}-{interface}.pcap")
            command = shlex.join(["tcpdump", "-U", "--immediate-mode", "-s0", "--nano", "-w", "-", "-i", interface, expression])
            # the shell opens the file: a tcpdump of a single-user lab cannot give it to another user, and would not go on
            program = lab.start(["sh", "-c", f"exec {command} >{shlex.quote(str(file))}"], namespace=namespace)
            stack.callback(program.stop)
            dumps[namespace, interface] = Dump(program, file)
        for dump in dumps.values():
            dump.program.until("listening on")
        yield dumps


def of_the_probe(capture: Capture) -> list[Frame]:
    """The frames of a capture without those by which neighbours were found, which may come or not."""
    return [frame for frame in capture.frames if not frame.comment.startswith("not the probe")]


def tshark(file: Path, *fields: str) -> list[list[str]]:
    """The fields of every frame of a capture, as tshark prints them."""
    wanted = fields or FIELDS
    argv = [
        TSHARK or "tshark",
        "-n",
        "-r",
        str(file),
        "-Tfields",
        "-Eseparator=\x1f",
        *(part for field in wanted for part in ("-e", field)),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\x1f") for line in done.stdout.splitlines()]

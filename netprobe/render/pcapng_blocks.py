"""The pcapng format: a capture as a value, to bytes and back (draft-ietf-opsawg-pcapng). Pure.

Written: one section, an interface block for each tap, an enhanced packet block for each frame with
nanoseconds, direction and a comment. The whole run stands in custom options of the section header; in a
custom block, Wireshark would list it as a frame. Read: these, and what other programs write.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from netprobe.errors import WrongQuestion

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 0x0A0D0D0A, 1, 2, 3, 6
MAGIC = 0x1A2B3C4D  # shows the byte order
# bytes of an enterprise; a program that edits the file drops them, as they would no longer fit the frames
CUSTOM = 19373
ENTERPRISE = struct.pack("<I", 32473)  # RFC 5612: for examples; the name below makes the option ours
NAME = b"netprobe.run/1\0\0"
CUSTOM_ROOM = 65000  # bytes of the run in one option
COMMENT, FLAGS, IF_NAME, IF_DESCRIPTION, IF_TSRESOL, IF_TSOFFSET = 1, 2, 2, 3, 9, 14
HARDWARE, SYSTEM, APPLICATION = 2, 3, 4
DIRECTIONS = {"in": 1, "out": 2, "other": 1}
PROMISCUOUS = 4 << 2  # reception type: a frame to another station
SNAPLEN = 262144
LONGEST_TEXT = 4000  # bytes of an option's text; the format ends at 65535
LARGEST_RUN = 1 << 27  # bytes of an unpacked run, so that a crafted file cannot fill the memory
PACKED = 100  # times smaller than the run are its bytes in the file at most; zlib can do 1000
SMALL_RUN = 1 << 23  # bytes that may be packed as densely as they can
MOST_BLOCKS, MOST_INTERFACES = 1 << 20, 1 << 16


class InterfaceBlock(Struct, frozen=True):
    """Where frames were captured. `link_type` is pcap's LINKTYPE_: 1 Ethernet, 101 a bare IP packet."""

    name: str
    link_type: int = 1
    description: str = ""


class Frame(Struct, frozen=True):
    """One captured frame: the index of its interface, its time since the epoch in ns, and what is said about
    it.

    `bound` is "in", "out", "other" (to another station), or None where the file does not say.
    """

    interface: int
    time_ns: int
    data: bytes
    wire_length: int
    bound: str | None = None
    comment: str = ""


class Capture(Struct, frozen=True):
    """A capture file. `run` is the content of our own block, None in a file of another program."""

    interfaces: tuple[InterfaceBlock, ...] = ()
    frames: tuple[Frame, ...] = ()
    comment: str = ""
    application: str = ""
    hardware: str = ""
    system: str = ""
    run: bytes | None = None


def write(capture: Capture) -> bytes:
    """The bytes of a capture file. Texts must be safe to show; they are cut to what an option can hold."""
    texts = (
        (COMMENT, capture.comment),
        (HARDWARE, capture.hardware),
        (SYSTEM, capture.system),
        (APPLICATION, capture.application),
    )
    options = _texts(texts) + (_kept(capture.run) if capture.run is not None else [])
    parts = [_block(SECTION, struct.pack("<IHHq", MAGIC, 1, 0, -1) + _options(options))]
    parts += [_interface(interface) for interface in capture.interfaces]
    parts += [_packet(frame) for frame in capture.frames]
    return b"".join(parts)


def _kept(run: bytes) -> list[tuple[int, bytes]]:
    """The options that hold the run, compressed, as many as it takes."""
    data = NAME + _packed(run)
    return [
        (CUSTOM, ENTERPRISE + data[start : start + CUSTOM_ROOM]) for start in range(0, len(data), CUSTOM_ROOM)
    ]


def _packed(run: bytes) -> bytes:
    """The run compressed as far as `_unpacked` takes it: less where there is little in it."""
    for level in (6, 1):
        data = zlib.compress(run, level)
        if len(run) <= _room(data):
            return data
    return zlib.compress(run, 0)


def _room(packed: bytes) -> int:
    """How many bytes these may unpack to."""
    return min(LARGEST_RUN, max(SMALL_RUN, PACKED * len(packed)))


def _interface(interface: InterfaceBlock) -> bytes:
    options = _texts(((IF_NAME, interface.name), (IF_DESCRIPTION, interface.description)))
    return _block(
        INTERFACE,
        struct.pack("<HHI", interface.link_type, 0, SNAPLEN) + _options([*options, (IF_TSRESOL, b"\x09")]),
    )


def _packet(frame: Frame) -> bytes:
    head = struct.pack(
        "<IIIII",
        frame.interface,
        frame.time_ns >> 32,
        frame.time_ns & 0xFFFFFFFF,
        len(frame.data),
        frame.wire_length,
    )
    options = _texts(((COMMENT, frame.comment),))
    if frame.bound in DIRECTIONS:
        flags = DIRECTIONS[frame.bound] | (PROMISCUOUS if frame.bound == "other" else 0)
        options.append((FLAGS, struct.pack("<I", flags)))
    return _block(PACKET, head + _padded(frame.data) + _options(options))


def _texts(pairs: tuple[tuple[int, str], ...]) -> list[tuple[int, bytes]]:
    """The options of the texts that say something."""
    return [(code, _cut(text)) for code, text in pairs if text]


def _cut(text: str) -> bytes:
    """UTF-8 of at most LONGEST_TEXT bytes, no character cut in two."""
    data = text.encode("utf-8", "backslashreplace")
    return (
        data
        if len(data) <= LONGEST_TEXT
        else data[: LONGEST_TEXT - 3].decode("utf-8", "ignore").encode() + "…".encode()
    )


def _options(options: list[tuple[int, bytes]]) -> bytes:
    packed = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options]
    return b"".join(packed) + b"\0" * 4 if packed else b""


def _block(kind: int, body: bytes) -> bytes:
    body = _padded(body)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def read(data: bytes) -> Capture:
    """The capture in the bytes of a file.

    Raises WrongQuestion, with the place, for what is not well-formed pcapng.
    """
    if data[:4] != struct.pack("<I", SECTION):
        raise WrongQuestion(
            "this is not a pcapng file",
            "netprobe reads pcapng; `editcap -F pcapng IN OUT` converts a pcap file.",
        )
    reading = _Reading()
    for number, (offset, order, kind, body) in enumerate(_blocks(data)):
        if number >= MOST_BLOCKS or len(reading.interfaces) > MOST_INTERFACES:
            raise WrongQuestion(
                f"the capture has more than {MOST_BLOCKS} blocks or {MOST_INTERFACES} interfaces"
            )
        try:
            reading.block(order, kind, body)
        except (struct.error, IndexError, zlib.error, OverflowError) as error:
            raise WrongQuestion(
                f"the capture is damaged: block {kind:#x} at byte {offset}: {error}"
            ) from error
    return reading.capture()


def _blocks(data: bytes) -> Iterator[tuple[int, str, int, bytes]]:
    """Offset, byte order, type and body of each block."""
    offset, order = 0, "<"
    while offset < len(data):
        head = data[offset : offset + 12]
        if len(head) < 12:
            raise WrongQuestion(f"the capture is cut off at byte {offset}")
        if head[:4] == struct.pack("<I", SECTION):
            order = "<" if head[8:] == struct.pack("<I", MAGIC) else ">"
        kind, length = struct.unpack_from(order + "II", head)
        if length < 12 or length % 4 or offset + length > len(data):
            raise WrongQuestion(
                f"the capture is cut off or damaged: block {kind:#x} at byte {offset} claims {length} bytes"
            )
        yield offset, order, kind, data[offset + 8 : offset + length - 4]
        offset += length


@dataclass(slots=True)
class _Reading:
    """A capture while its blocks are read. Interfaces count from 0 in each section of a file."""

    interfaces: list[InterfaceBlock] = field(default_factory=list)
    # a second's, and the offset in seconds, of each interface
    ticks: list[tuple[int, int]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    section: dict[int, str] = field(default_factory=dict)
    first: int = 0  # the section's first interface
    run: bytes | None = None

    def capture(self) -> Capture:
        text = self.section.get
        return Capture(
            tuple(self.interfaces), tuple(self.frames), text(COMMENT, ""), text(APPLICATION, ""),
            text(HARDWARE, ""), text(SYSTEM, ""),
            self.run,
        )  # fmt: skip

    def block(self, order: str, kind: int, body: bytes) -> None:
        """One block. Those we do not know are passed over, as the format wants it."""
        match kind:
            case 0x0A0D0D0A:
                self.begin(order, body)
            case 1:
                self.interface(order, body)
            case 6 | 2:
                self.packet(order, body, "IIIII" if kind == PACKET else "HxxIIII")
            case 3:
                (wire,) = struct.unpack_from(order + "I", body)
                self.frames.append(Frame(self.known(0), 0, body[4 : 4 + wire], wire))

    def begin(self, order: str, body: bytes) -> None:
        _, major, _, _ = struct.unpack_from(order + "IHHq", body)
        if major != 1:
            raise WrongQuestion(f"the capture has version {major} of pcapng; netprobe reads version 1")
        self.first = len(self.interfaces)
        options = list(_read_options(order, body[16:]))
        for code, value in options:
            if code in (COMMENT, HARDWARE, SYSTEM, APPLICATION):
                self.section.setdefault(code, _text(value))
        kept = b"".join(value[4:] for code, value in options if code == CUSTOM and value[:4] == ENTERPRISE)
        if kept.startswith(NAME):
            self.run = _unpacked(kept[len(NAME) :])

    def interface(self, order: str, body: bytes) -> None:
        (link_type,) = struct.unpack_from(order + "H", body)
        options = dict(_read_options(order, body[8:]))
        self.interfaces.append(
            InterfaceBlock(
                _text(options.get(IF_NAME, b"")), link_type, _text(options.get(IF_DESCRIPTION, b""))
            )
        )
        resolution = options.get(IF_TSRESOL, b"\x06")[0]
        second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        offset = options.get(IF_TSOFFSET, b"")
        self.ticks.append((second, struct.unpack(order + "q", offset)[0] if len(offset) == 8 else 0))

    def known(self, number: int) -> int:
        """The index of the section's interface `number`."""
        index = self.first + number
        if index >= len(self.interfaces):
            raise IndexError(f"no interface {number}")
        return index

    def packet(self, order: str, body: bytes, layout: str) -> None:
        number, high, low, size, wire = struct.unpack_from(order + layout, body)
        index = self.known(number)
        if 20 + size > len(body):
            raise IndexError(f"{size} bytes of a frame in a block of {len(body)}")
        second, offset = self.ticks[index]
        stamp = ((high << 32 | low) * 1_000_000_000) // second + offset * 1_000_000_000
        options = dict(_read_options(order, body[20 + size + -size % 4 :]))
        flags = struct.unpack(order + "I", options[FLAGS])[0] if len(options.get(FLAGS, b"")) == 4 else 0
        self.frames.append(
            Frame(index, stamp, body[20 : 20 + size], wire, _bound(flags), _text(options.get(COMMENT, b"")))
        )


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    run = unpacker.decompress(data, _room(data) + 1)
    if not unpacker.eof or len(run) > _room(data):
        raise OverflowError("the run in it is incomplete, or larger than any run")
    return run


def _read_options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, offset)
        if code == 0:
            return
        yield code, data[offset + 4 : offset + 4 + length]
        offset += 4 + length + -length % 4


def _bound(flags: int) -> str | None:
    if flags & 3 == 1 and flags & 0x1C == PROMISCUOUS:
        return "other"
    return {1: "in", 2: "out"}.get(flags & 3)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")

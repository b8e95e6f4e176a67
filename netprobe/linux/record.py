"""A message of the kernel as its readers see it, and how its bytes become one.

pyroute2 decodes an interface in a millisecond, a route in seventy microseconds, and large machines have
thousands. What its classes declare of those (the fields, and of each attribute the number, name and type) is
read here and followed by hand, in a tenth of the time; an attribute of an unusual type has the whole message
decoded by pyroute2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from .attribute_values import address, malformed, text

_ATTRIBUTE, _TYPE_MASK = struct.Struct("=HH"), 0x3FFF  # struct nlattr, NLA_TYPE_MASK
_HEADER_SIZE = 16  # of a struct nlmsghdr


class Record:
    """A message of the kernel, or the attributes nested in one, by their names of the kernel's headers.

    Attributes are decoded when they are asked for. Of a repeated one the last counts. One of no record is
    absent. `body` is what follows the header of a message, as it came; empty in one that is nested.
    """

    __slots__ = ("_attributes", "_slots", "body", "fields")

    def __init__(self, message: dict[str, Any], body: bytes = b"") -> None:
        self.fields, self.body = message, body
        self._slots = dict.get(message, "attrs", ())  # pyroute2's own get looks for attributes
        self._attributes = {slot.name: slot for slot in self._slots}

    def __getitem__(self, field: str) -> Any:
        return self.fields[field]

    def __contains__(self, attribute: str) -> bool:
        return attribute in self._attributes

    def __len__(self) -> int:
        """How many attributes it has, those that have no name here among them as one."""
        return len(self._attributes)

    def get(self, attribute: str, default: Any = None) -> Any:
        """The value of an attribute: a number, an address as text, or bytes; `default` where it is
        absent.
        """
        slot = self._attributes.get(attribute)
        return default if slot is None else slot.value

    def text(self, attribute: str) -> str:
        """A name; "" where it is absent. Bytes that are not UTF-8 become surrogates, as in file names."""
        return text(self.get(attribute, ""))

    def nest(self, attribute: str) -> Record:
        """The attributes nested in an attribute, and its fields; none where it is absent."""
        found = self.get(attribute)
        return Record(found) if isinstance(found, dict) else Record({})

    def array(self, attribute: str) -> list[Record]:
        """The records of an attribute that holds several."""
        found = self.get(attribute)
        return [Record(each) for each in found] if isinstance(found, list) else []

    def nested(self) -> list[Record]:
        """The records in the attributes of this one, in order: of a list whose attributes are numbered."""
        return [Record(value) for slot in self._slots if isinstance(value := slot.value, dict)]

    def texts(self) -> list[str]:
        """The names in the attributes of this record, in order: of a list of names."""
        return [text(slot.value) for slot in self._slots]


def _reader(layout: str) -> Callable[[bytes], Any]:
    wanted = struct.Struct(layout)

    def read(value: bytes) -> Any:
        try:
            return wanted.unpack_from(value)[0]
        except struct.error:
            raise malformed("is too short for a number") from None

    return read


def _name(value: bytes) -> str | bytes:
    """A name; bytes where it is not UTF-8."""
    bare = value.rstrip(b"\0")
    try:
        return bare.decode()
    except UnicodeDecodeError:
        return bare


def _bytes_of(layout: str) -> str:
    """The layout of a field; bytes where it is in network order, which one struct cannot mix."""
    return f"{struct.calcsize(layout)}s" if layout[0] in ">!" else layout


class _Declared:
    """What a class of pyroute2 declares of a message or of a nested attribute."""

    def __init__(self, declared: Any) -> None:
        self._class = declared
        fields = [(name, layout) for name, layout in declared.fields]
        self.names = [name for name, layout in fields if not layout.endswith("x")]
        self.layout = struct.Struct("=" + "".join(_bytes_of(layout) for _, layout in fields))
        self._turned = [name for name, layout in fields if layout[0] in ">!"]
        self.numbers: dict[str, int] = {}
        self.types: dict[int, str] = {}
        self.readers: dict[int, Callable[[bytes], Any]] = {}  # of numbers, names, addresses and bytes
        for place, attribute in enumerate(declared.nla_map or ()):
            number, name, kind = attribute if len(attribute) == 3 else (place, *attribute)
            self.numbers[name], self.types[number] = number, kind
            if kind in _READERS:
                self.readers[number] = _READERS[kind]

    def values(self, data: bytes, at: int) -> dict[str, Any]:
        """The fields of a message or attribute that begins there, by name."""
        found = dict(zip(self.names, self.layout.unpack_from(data, at)))  # noqa: B905 - of a layout
        for name in self._turned:
            found[name] = int.from_bytes(found[name], "big")
        return found

    def inner(self, number: int, outer: Record) -> _Declared | None:
        """What is declared of the attributes nested in this one, which may depend on others (`outer`)."""
        found = getattr(self._class, self.types[number], None)
        if found is not None and not isinstance(found, type):
            found = found(outer) or _Nothing
        return declared(found) if _is_simple(found) else None


class _Nothing:
    """What is declared of an attribute of which nothing is asked: of most kinds of interfaces."""

    fields: tuple[tuple[str, str], ...] = ()
    nla_map: tuple[tuple[int, str, str], ...] = ()


@lru_cache(maxsize=256)
def _is_simple(found: Any) -> bool:
    """Whether it is a class of ours that only declares."""
    if not isinstance(found, type) or not found.__module__.startswith(__package__ or ""):
        return False
    own = [base for base in found.__mro__ if base.__module__.startswith(__package__ or "")]
    return not any("decode" in vars(base) for base in own)


@lru_cache(maxsize=256)
def declared(answer: type) -> _Declared:
    """What a class of pyroute2 declares."""
    return _Declared(answer)


_READERS: dict[str, Callable[[bytes], Any]] = {
    "uint8": _reader("=B"), "uint16": _reader("=H"), "uint32": _reader("=I"), "uint64": _reader("=Q"),
    "int32": _reader("=i"), "sbe32": _reader(">i"), "be16": _reader(">H"),
    "be32": _reader(">I"), "be64": _reader(">Q"),
    "asciiz": _name, "cdata": bytes,
    "ipaddr": address, "ip4addr": address, "ip6addr": address,
}  # fmt: skip


class _Lean(Record):
    """A record that is decoded by hand, each attribute when it is asked for. `whole` is it as pyroute2
    decodes it.
    """

    __slots__ = ("_declared", "_found", "_whole")
    cdata = None  # where pyroute2's classes have the class of what is not declared

    def __init__(self, says: _Declared, data: bytes, at: int, whole: Callable[[], Record]) -> None:
        self.fields, self.body = says.values(data, at), data[at:] if at else b""
        self._declared, self._whole = says, whole
        self._found = attributes(data, at + says.layout.size)

    def __contains__(self, attribute: str) -> bool:
        return self._declared.numbers.get(attribute) in self._found

    def __len__(self) -> int:
        return len(self._found)

    def get(self, attribute: str, default: Any = None) -> Any:
        number = self._declared.numbers.get(attribute)
        if number is None or number not in self._found:
            return default
        reads = self._declared.readers.get(number)
        return reads(self._found[number]) if reads is not None else self._whole().get(attribute, default)

    get_attr = get  # as pyroute2 calls it, for its functions that tell the class of an attribute

    def nest(self, attribute: str) -> Record:
        number = self._declared.numbers.get(attribute)
        if number is None or number not in self._found:
            return Record({})
        inner, value = self._declared.inner(number, self), self._found[number]
        if inner is None or len(value) < inner.layout.size:
            return self._whole().nest(attribute)
        found = _nests.get((inner, value))
        if found is None:
            found = _Lean(inner, value, 0, lambda: self._whole().nest(attribute))
            if len(value) <= _SHORT and not inner.names:
                _keep(inner, value, found)
        return found

    def array(self, attribute: str) -> list[Record]:
        return self._whole().array(attribute)

    def nested(self) -> list[Record]:
        return self._whole().nested()

    def texts(self) -> list[str]:
        return self._whole().texts()


_SHORT, _MOST_NESTS = 256, 256
_nests: dict[tuple[_Declared, bytes], _Lean] = {}  # those of most interfaces are the same


def _keep(inner: _Declared, value: bytes, found: _Lean) -> None:
    if len(_nests) >= _MOST_NESTS:
        _nests.clear()
    _nests[inner, value] = found


def lean(answer: type, message: bytes) -> Record:
    """A message, its header included, decoded by hand as far as that goes."""
    says = declared(answer)
    if len(message) < _HEADER_SIZE + says.layout.size:
        return whole(answer, message)
    return _Lean(says, message, _HEADER_SIZE, lambda: whole(answer, message))


def whole(answer: type, message: bytes) -> Record:
    """A message, its header included, decoded by pyroute2; of the same bytes behind it the same record."""
    body = message[_HEADER_SIZE:]
    found = _wholes.get((answer, body))
    if found is None:
        decoding = answer(message)
        try:
            decoding.decode()
        except (struct.error, ValueError, LookupError, TypeError) as error:
            raise malformed(f"cannot be decoded: {error}") from error
        found = Record(decoding, body)
        if len(_wholes) >= _MOST_WHOLES:
            _wholes.clear()
        if len(body) <= _LONG:
            _wholes[answer, body] = found
    return found


_LONG, _MOST_WHOLES = 2048, 256
_wholes: dict[tuple[type, bytes], Record] = {}  # what has not changed since the last question


def attributes(body: bytes, at: int) -> dict[int, bytes]:
    """The attributes of a message, or of an attribute that holds others, from an offset on: values by type.

    Of a repeated one the last counts. As `each_attribute`, which as a generator takes twice as long.
    """
    known = _layouts.get(len(body) - at)
    if known is not None:
        parts = known.split(body, at)
        if parts[::2] == known.headers:
            return dict(zip(known.types, parts[1::2], strict=True))
    found: dict[int, bytes] = {}
    unpack, begin, end = _ATTRIBUTE.unpack_from, at, len(body)
    while at + 4 <= end:
        length, kind = unpack(body, at)
        after = at + length
        if length < 4 or after > end:
            break
        found[kind & _TYPE_MASK] = body[at + 4 : after]
        at += length + 3 & ~3
    if at >= end and len(found) >= _MANY:
        _learn(body, begin)
    return found


class _Layout(NamedTuple):
    """Where the attributes of a message begin and end: those of most interfaces are of the same types and
    lengths, and one struct takes them apart.
    """

    split: Callable[[bytes, int], tuple[Any, ...]]
    headers: tuple[bytes, ...]
    types: tuple[int, ...]


_MANY, _MOST_LAYOUTS = 16, 64
_layouts: dict[int, _Layout] = {}  # by the length of all attributes together


def _learn(body: bytes, at: int) -> None:
    """Take down the layout of these attributes, which reach to the end."""
    length, parts, headers, types = len(body) - at, "=", list[bytes](), list[int]()
    while at < len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        padded = min(size + 3 & ~3, len(body) - at)
        parts += f"4s{size - 4}s{padded - size}x"
        headers.append(body[at : at + 4])
        types.append(kind & _TYPE_MASK)
        at += padded
    if len(_layouts) >= _MOST_LAYOUTS:
        _layouts.clear()
    _layouts[length] = _Layout(struct.Struct(parts).unpack_from, tuple(headers), tuple(types))


class Chosen:
    """Some attributes of messages of one kind, of which there are thousands: those of the same types and
    lengths are taken out at once. The attributes begin `at` in a message, or in an attribute that holds them.
    """

    def __init__(self, at: int, *wanted: int) -> None:
        self._at, self._wanted = at, wanted
        self._shapes: dict[int, list[_Shape]] = {}  # by the length of a message

    def of(self, body: bytes) -> tuple[bytes | None, ...]:
        """Their values in the order in which they were named; None of one that is absent. Of a repeated one
        the last counts.
        """
        shapes = self._shapes.get(len(body), ())
        for split, heads, known, chosen in shapes:
            parts = split(body, self._at)
            if heads(parts) == known:
                return chosen((*parts, None))
        if len(shapes) < _MOST_SHAPES:
            self._learn(body)
        return tuple(map(attributes(body, self._at).get, self._wanted))

    def _learn(self, body: bytes) -> None:
        """Take down the shape of a message whose attributes reach to its end."""
        at, end, layout, places, heads = self._at, len(body), "=", dict[int, int](), list[int]()
        count = 0
        while at + _ATTRIBUTE.size <= end:
            size, kind = _ATTRIBUTE.unpack_from(body, at)
            after = at + (size + 3 & ~3)
            if size < _ATTRIBUTE.size or at + size > end:
                return
            heads.append(count)
            padding = min(after, end) - at - size
            if kind & _TYPE_MASK in self._wanted:
                layout += f"I{size - _ATTRIBUTE.size}s{padding}x"
                places[kind & _TYPE_MASK] = count + 1
                count += 2
            else:
                layout += f"I{size - _ATTRIBUTE.size + padding}x"
                count += 1
            at = after
        if at >= end and heads:
            if len(self._shapes) >= _MOST_LAYOUTS:
                self._shapes.clear()
            split, of_heads = struct.Struct(layout).unpack_from, those(heads)
            chosen = those([places.get(kind, -1) for kind in self._wanted])
            known = _Shape(split, of_heads, of_heads(split(body, self._at)), chosen)
            self._shapes.setdefault(end, []).append(known)


class _Shape(NamedTuple):
    """How a message is taken apart: into the headers of all its attributes, and the values of those that are
    wanted; which parts are headers, and what they are; which are values, where None stands behind all.
    """

    split: Callable[[bytes, int], tuple[Any, ...]]
    heads: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    known: tuple[Any, ...]
    chosen: Callable[[tuple[Any, ...]], tuple[Any, ...]]


def those(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """What takes the parts at these places out of a tuple, as a tuple also of one."""
    if len(places) == 1:
        return lambda parts: (parts[places[0]],)
    return itemgetter(*places)


_MOST_SHAPES = 4  # of one length


def each_attribute(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The same one by one, (type, value); a length that cannot be true ends them."""
    header, unpack, end = _ATTRIBUTE.size, _ATTRIBUTE.unpack_from, len(body)
    while at + header <= end:
        length, kind = unpack(body, at)
        after = at + length
        if length < header or after > end:
            break
        yield kind & _TYPE_MASK, body[at + header : after]
        at += length + 3 & ~3

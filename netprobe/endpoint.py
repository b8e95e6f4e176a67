"""The grammar of endpoints: what a user writes for SRC and DST, taken apart.

Pure text, no look at the machine.

    endpoint := [KIND ":"] NAME ["//" NAME]... ["/" INTERFACE] ["@" ADDRESS] [":" PORT ["/" PROTOCOL]]
              | ADDRESS [":" PORT] ["/" PROTOCOL] | "[" ADDRESS "]" ...

Names come from users, file systems and container engines: any text may arrive, and only WrongQuestion may
come of it.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model.pattern import pattern

from .errors import WrongQuestion
from .model import Protocol
from .model.protocol import ASKED
from .model.runtime import BY_KIND

KINDS = ("netns", *BY_KIND, "pid", "path")
PROTOCOLS = ASKED
INTERFACE_BYTES = 15  # IFNAMSIZ without its NUL, include/uapi/linux/if.h
NAME_BYTES = 255  # NAME_MAX, a file name in /run/netns
EXAMPLES = (
    "Write one of: red  red:80  c1/eth0  c1@10.0.0.2  docker:c1  pid:123  10.0.0.5:5432/tcp "
    " [2001:db8::1]:443  example.org"
)

# where namespaces are kept as files: what follows such a path is no longer the path
_NAMESPACE_FILE = pattern(r"/proc/[^/]+/(?:task/[^/]+/)?ns/net|(?:/var)?/run/(?:docker/)?netns/[^/:@]+")
# resolvers take 1.2.3 and 0x7f.1 for addresses: inet_aton(3)
_NUMBER = pattern(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z")
_HOST_NAME = pattern(
    r"(?=.{1,254}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+(?:[A-Za-z0-9-]{1,63})?\Z"
)


class Named(Struct, frozen=True):
    """An endpoint as written.

    Either `ip` is set (a bare address), or `name` is (of a namespace or container, or a host name:
    `may_be_host`). `kind` is the prefix, None without one. `nested` are the names after `//`, outermost
    first. `interface`, `address` (a source address), `port` and `protocol` are what was written behind the
    name, else None.
    """

    text: str
    kind: str | None = None
    name: str = ""
    nested: tuple[str, ...] = ()
    interface: str | None = None
    address: str | None = None
    port: int | None = None
    protocol: Protocol | None = None
    ip: str | None = None

    @property
    def may_be_host(self) -> bool:
        """Whether the name can be one that a resolver knows: it has a dot (`nas.` for a short one) and does
        not end in a number.
        """
        behind = (self.kind, self.nested, self.interface, self.address)
        plain = behind == (None, (), None, None)
        known = self.name == "localhost" or _HOST_NAME.match(self.name) is not None
        return plain and known and _NUMBER.match(self.name) is None


def parse(text: str) -> Named:
    """What `text` says. Raises WrongQuestion with what to write instead."""
    if not text:
        raise WrongQuestion("an endpoint is missing", EXAMPLES)
    if "\0" in text or not _is_encodable(text):
        raise WrongQuestion("the endpoint holds a character that no name can have", EXAMPLES)
    bare = _address_first(text)
    if bare is not None:
        return bare
    kind, rest = _kind(text)
    named = Named(text, kind)
    if kind == "path":
        return _path(named, rest)
    return _name_first(named, rest)


def _is_encodable(text: str) -> bool:
    """Whether the kernel can be told this text: surrogates may stand for bytes that are not UTF-8, and for
    nothing else.
    """
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _address_first(text: str) -> Named | None:
    """`text` as an address with its port and protocol, or None when it does not begin with an address."""
    if text.startswith("["):
        inner, bracket, tail = text[1:].partition("]")
        if not bracket:
            raise _wrong(text, "the bracket is not closed", "[2001:db8::1]:443")
        return _with_port(_bare(text, inner, must=True), tail)
    whole = _bare(text, text)
    if whole is not None:
        return whole
    head, slash, tail = text.partition("/")
    if slash and (found := _bare(text, head)):
        return _with_protocol(found, tail)
    head, colon, tail = text.partition(":")
    if colon and (found := _bare(text, head)):
        return _with_port(found, ":" + tail)
    return None


def _bare(text: str, address: str, must: bool = False) -> Named | None:
    found = _ip(address.partition("%")[0])
    if found is None:
        if must or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", address):
            raise _wrong(text, f"{address} is not an IP address")
        return None
    return Named(text, ip=found, interface=_zone(text, found, address))


def _zone(text: str, ip: str, address: str) -> str | None:
    """The interface behind the % of a link-local address."""
    _, percent, zone = address.partition("%")
    if not percent:
        return None
    if not ipaddress.ip_address(ip).is_link_local or ":" not in ip:
        raise _wrong(text, f"an interface stands behind a link-local address only, and {ip} is none", ip)
    return _interface(text, zone)


def _ip(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def source_address(text: str) -> tuple[str, str | None]:
    """The address that `--source-address` gives, and the interface behind its %, if any.

    Raises WrongQuestion.
    """
    ip = _ip(text.partition("%")[0])
    if ip is None:
        raise WrongQuestion(
            f"{text!r} is not an IP address to send from", "Write one that SRC has: --source-address 10.0.0.2"
        )
    return ip, _zone(text, ip, text)


def check_pair(source: str | None, destination: str, whom: str) -> None:
    """Raises WrongQuestion unless a packet can go from one station of these addresses to one other; `whom` is
    the second as written.
    """
    told = destination if whom == destination else f"{whom} ({destination})"
    if kind := _no_station(destination):
        raise WrongQuestion(
            f"{told} is {kind}: one station is asked for",
            "Write the address of one; the sender itself is 127.0.0.1 or ::1",
        )
    if source is None:
        return
    if kind := _no_station(source):
        raise WrongQuestion(f"{source} is {kind}: no packet is sent from it", "Write an address of SRC's.")
    if (":" in source) is not (":" in destination):
        raise WrongQuestion(
            f"{source} cannot send to {told}: one is IPv4 and the other IPv6",
            "Write two of a kind, or -4 / -6.",
        )


def _no_station(address: str) -> str | None:
    """What an address is that belongs to no single station; RFC 6890, and RFC 4291 for the last."""
    known = ipaddress.ip_address(address)
    if known.is_multicast:
        return "a multicast address"
    if known.is_unspecified:
        return "the unspecified address"
    if address == "255.255.255.255":
        return "the broadcast address"
    mapped = known.ipv4_mapped if isinstance(known, ipaddress.IPv6Address) else None
    return f"{mapped} written as IPv6" if mapped is not None else None


def _with_port(found: Named | None, tail: str) -> Named:
    """`found` with what follows it: nothing, `:port`, `/protocol` or `:port/protocol`."""
    assert found is not None
    if tail.startswith("/"):
        return _with_protocol(found, tail[1:])
    if not tail:
        return found
    port, slash, protocol = tail.removeprefix(":").partition("/")
    if not tail.startswith(":"):
        raise _wrong(found.text, f"{tail!r} does not belong behind an address")
    with_port = replace(found, port=_port(found.text, port))
    return _with_protocol(with_port, protocol) if slash else with_port


def _with_protocol(found: Named, word: str) -> Named:
    if word.isdigit():
        raise _wrong(found.text, "that is a network; one address is asked for", str(found.ip))
    if word not in PROTOCOLS:
        raise _wrong(found.text, f"{word!r} is not a protocol: {', '.join(PROTOCOLS)}")
    return replace(found, protocol=PROTOCOLS[word])


def _port(text: str, digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 0 < int(digits) < 65536:
        raise _wrong(
            text,
            f"{digits!r} is not a port (1 to 65535), nor is what precedes it a kind ({', '.join(KINDS)})",
        )
    return int(digits)


def _kind(text: str) -> tuple[str | None, str]:
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS:
        if not rest:
            raise _wrong(text, "a name is missing behind the colon")
        return kind, rest
    if rest.startswith("//"):
        raise _wrong(text, "that is a URL", rest.strip("/").partition("/")[0] or None)
    return None, text


def _path(named: Named, rest: str) -> Named:
    if not rest.startswith("/"):
        raise _wrong(named.text, "a path begins with a slash", "path:/proc/7/ns/net")
    known = _NAMESPACE_FILE.match(rest)
    if known:
        return _behind_name(replace(named, name=known[0]), rest[known.end() :])
    return replace(named, name=rest)


def _name_first(named: Named, rest: str) -> Named:
    slashes = 1 if named.kind == "pod" else 0  # a pod is called namespace/name
    name = re.match(rf"(?:[^/:@]*/){{{slashes}}}[^/:@]*", rest)
    if name is None or not name[0].strip("/"):
        raise _wrong(named.text, "a name is missing", "pod:default/web" if slashes else None)
    return _behind_name(replace(named, name=_checked_name(named, name[0])), rest[name.end() :])


def _checked_name(named: Named, name: str) -> str:
    if name in (".", "..") or len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES:
        raise _wrong(named.text, "no namespace or container can have that name")
    if named.kind == "pid" and not re.fullmatch(r"[0-9]{1,10}", name):
        raise _wrong(named.text, f"{name!r} is not a process id", "pid:123")
    return name


def _behind_name(named: Named, tail: str) -> Named:
    """`named` with what follows the name: nested names, interface, source address, port and protocol."""
    where, at, source = tail.partition("@")
    where, colon, port = where.partition(":")
    if at and colon:
        raise _wrong(named.text, "the port stands last", "c1@10.0.0.2:80")
    found = _inward(named, where)
    if not at:
        return _with_port(found, colon + port)
    address, rest = _split_source(source)
    if (ip := _ip(address.partition("%")[0])) is None:
        instead = (
            named.text.partition("@")[0] if re.fullmatch("if[0-9]+|[a-z]+[0-9]*", address) else "c1@10.0.0.2"
        )
        raise _wrong(named.text, f"behind @ stands a source address, and {address!r} is none", instead)
    zone = _zone(named.text, ip, address)
    if zone is not None and found.interface not in (None, zone):
        raise _wrong(named.text, f"{found.interface} and {zone} are two interfaces")
    return _with_port(replace(found, address=ip, interface=zone or found.interface), rest)


def _split_source(source: str) -> tuple[str, str]:
    """(address, the rest from the colon on) of what stands behind the @; an IPv6 address with a port stands
    in brackets.
    """
    if source.startswith("["):
        inner, _, rest = source[1:].partition("]")
        return inner, rest
    if _ip(source):
        return source, ""
    address, colon, rest = source.partition(":")
    return address, colon + rest


def _inward(named: Named, where: str) -> Named:
    """`named` with the nested names (`//red`) and the interface (`/eth0`) of `where`."""
    nested = []
    while where.startswith("//"):
        name, slash, rest = where[2:].partition("/")
        if not name:
            raise _wrong(named.text, "a name is missing behind //", "c1//red")
        nested.append(_checked_name(replace(named, kind=None), name))
        where = slash + rest
    interface = _interface(named.text, where.removeprefix("/")) if where else None
    return replace(named, nested=tuple(nested), interface=interface)


def _interface(text: str, name: str) -> str:
    size = len(name.encode("utf-8", "surrogateescape"))
    if name in ("", ".", "..") or size > INTERFACE_BYTES or re.search(r"[\s/:]", name, re.ASCII):
        raise _wrong(text, f"{name!r} cannot be the name of an interface")
    return name


def _wrong(text: str, why: str, instead: str | None = None) -> WrongQuestion:
    return WrongQuestion(f"{text}: {why}", f"Write {instead}" if instead else EXAMPLES)

"""The commands that mend a cause; none is made of a name that its tool would read as something else. Pure.

A word is quoted for the shell where it is shown; here it is about the second reader. ip(8), bridge(8) and
tc(8) take any name behind `dev`; sysctl(8) splits at `=` and expands patterns, iptables(8) reads a `+` at the
end of an interface as "and so on", nft(8) joins its words and parses them as its own language, which has no
quotes for names.
"""

from __future__ import annotations

from netprobe.model import Blank, Command, InterfaceAddress, Link, Object, Ruleset
from netprobe.model.pattern import pattern
from netprobe.rules import naming
from netprobe.rules.read.arguments import tokens

Fix = tuple[Command, ...]
BRIDGE, GATEWAY, INTERFACE = Blank("BRIDGE"), Blank("GATEWAY"), Blank("INTERFACE")
REMOTE, ADDRESS = Blank("REMOTE"), Blank("ADDRESS")
RIGHT_LENGTH = "RIGHT-LENGTH"

_NFT_NAME = pattern(r"[A-Za-z_.][A-Za-z0-9_./-]*")  # nftables, src/scanner.l: string
_NFT_INTERVALS = pattern(r"\{[^}]*[0-9a-f:](?:/[0-9]|-[0-9a-f:])")  # elements of a set without a name
_XT_NAME = pattern(r"[^\s!-]\S*")  # iptables, xshared.c: parse_chain
_SYSCTL_NAME = pattern(r"[^=*?\[\]\\\s]+")  # procps, src/sysctl.c: the first = divides, glob(7) is applied

NO_NFT_NAME = Command.advice(
    "change it with a program that speaks netlink: its table or chain has a name that cannot be written in"
    " nft's language"
)
NO_XT_NAME = Command.advice(
    "change it with a program that speaks netlink: its chain has a name that iptables(8) does not accept"
)
_NO_SYSCTL_NAME = Command.advice(
    "write the value into its file below /proc/sys: the name has a character that sysctl(8) does not take as"
    " it is"
)
_FIRST_NAMESPACE = Command.advice(
    "raise the limit in the machine's first network namespace, that of its process 1: it holds for all, and"
    " cannot be set in this one"
)
NO_INTERFACE = Command.advice(
    "rename the interface first: iptables(8) takes a + at the end of a name for any characters"
)


def option(word: str, value: object) -> tuple[str, ...]:
    """`WORD VALUE`; nothing where there is no value."""
    return (word, str(value)) if value else ()


def link_set(link: Link, *words: str | Blank) -> Command:
    """`ip link set dev IFACE …`."""
    return Command.of("ip", "link", "set", "dev", link.name, *words)


def cable(end: str, name: str) -> Command:
    """`ip link add type veth peer name END netns NAME`: the kernel names the near end, veth0 or the next one
    that is free (drivers/net/veth.c, veth_newlink).
    """
    return Command.of("ip", "link", "add", "type", "veth", "peer", "name", end, "netns", name)


def bridge_port(link: Link, *words: str) -> Command:
    """`bridge link set dev PORT …`."""
    return Command.of("bridge", "link", "set", "dev", link.name, *words)


def until_it_forwards(seconds: int) -> dict[str, Fix]:
    """The time that a port of each state takes with STP, a forward delay of these seconds for each step;
    disabled is one that has just been switched on (br_forward_delay_timer_expired).
    """
    listens = Command.of("sleep", str(seconds), note="while the port listens")
    learns = Command.of("sleep", str(seconds), note="while the port learns")
    return {"disabled": (listens, learns), "listening": (listens, learns), "learning": (learns,)}


def ip(about: str, *words: str | Blank) -> Command:
    """`ip …`, or `ip -6 …` where `about` is an address or prefix of IPv6:

    "default" alone does not say which; nor does it by a gateway of IPv6, which a route of IPv4 may have.
    """
    if ":" in about:
        return Command.of("ip", "-6", *words)
    at = words.index("via") + 1 if "via" in words else 0
    if at and ":" in str(words[at]):
        return Command.of("ip", "-4", *words[:at], "inet6", *words[at:])
    return Command.of("ip", *words)


def forget_paths(about: str, namespace: str | None) -> Command:
    """`ip route flush cache`: a sender remembers a path's MTU for 10 minutes (ip-sysctl, mtu_expires), and a
    tunnel's entry the source from which it sent, for a processor each (udp_tunnel_dst_lookup).
    """
    return Command.of("ip", *(["-6"] if ":" in about else []), "route", "flush", "cache", namespace=namespace)


def address(what: str, own: InterfaceAddress, link: Link) -> Command:
    """`ip address add|del ADDRESS/LENGTH dev IFACE`; with its peer, whose the length is, where it has one."""
    named = (own.address, "peer", f"{own.peer}/{own.prefixlen}") if own.peer else (own.written,)
    return Command.of("ip", "address", what, *named, "dev", link.name)


def with_address(link: Link | None, wanted: str = "ADDRESS") -> Command:
    """`ip address add ADDRESS/LENGTH dev IFACE`: the length, and perhaps the address, is for the reader to
    say.
    """
    written = Blank("LENGTH", f"{wanted}/") if wanted != ADDRESS.name else Blank("ADDRESS/LENGTH")
    return Command.of("ip", "address", "add", written, "dev", link.name if link is not None else INTERFACE)


def with_right_length(own: InterfaceAddress, link: Link) -> Fix:
    """The address with another prefix length in the place of the one that it has."""
    right = Blank(RIGHT_LENGTH, f"{own.address}/")
    return exchanged(own, Command.of("ip", "address", "add", right, "dev", link.name), link)


def with_length(own: InterfaceAddress, length: int, link: Link) -> Fix:
    """The address with this prefix length in the place of the one that it has."""
    return exchanged(own, address("add", InterfaceAddress(own.index, own.address, length), link), link)


def exchanged(own: InterfaceAddress, added: Command, link: Link) -> Fix:
    """The address as `added` gives it, and no more as it is: IPv4 may have it twice for that while, and loses
    its routes without any; IPv6 knows it by itself, and has it once (ipv6_chk_addr_and_flags).
    """
    gone = address("del", own, link)
    return (added, gone) if own.version == 4 else (gone, added)


def with_another(own: InterfaceAddress, link: Link | None) -> Fix:
    """Another address in the place of one that a second station has: added again, it would be refused
    again.
    """
    if link is None:
        return ()
    other = Blank(f"RIGHT-ADDRESS/{own.prefixlen}")
    return (Command.of("ip", "address", "add", other, "dev", link.name), address("del", own, link))


def forget_neighbour(address: str, link: Link) -> Command:
    """`ip neigh del ADDRESS dev IFACE`: it is asked anew."""
    return Command.of("ip", "neigh", "del", address, "dev", link.name)


def forget_what_was_told(address: str, link: Link) -> Command:
    """`ip neigh flush to ADDRESS dev IFACE`: the same where nobody may have asked yet, and by hand nothing
    was entered.
    """
    return Command.of("ip", "neigh", "flush", "to", address, "dev", link.name)


def sysctl(key: str, value: int | str) -> Fix:
    """`sysctl -w KEY=VALUE`; a key has the name of an interface in it."""
    if not _SYSCTL_NAME.fullmatch(key):
        return (_NO_SYSCTL_NAME,)
    return (Command.of("sysctl", "-w", f"{key}={value}"),)


def machine_wide(key: str, value: int, cookie: int) -> Fix:
    """A sysctl that the first network namespace alone may set, for all of them (nf_conntrack_standalone.c):
    the one whose cookie is 1. 0: not known.
    """
    return sysctl(key, value) if cookie in (0, 1) else (_FIRST_NAMESPACE,)


def xdp_off(link: Link) -> Command:
    """`ip link set dev IFACE xdp off`, or `xdpgeneric off` for a program that the kernel runs in the place of
    the driver: each takes away its own alone.
    """
    generic = link.xdp is not None and link.xdp.startswith("xdpgeneric")
    return link_set(link, "xdpgeneric" if generic else "xdp", "off")


def without_policy_rule(about: str, text: str) -> Command:
    """`ip rule del pref N SELECTOR ACTION`, of a rule as ip-rule(8) prints it: several may have one
    priority.
    """
    priority, _, selector = text.partition(": ")
    return ip(about, "rule", "del", "pref", priority, *selector.split())


def masquerade(tool: str, network: str | None, out: Link | None, how: str = "-A") -> Fix:
    """The rule of iptables(8), or one of its kin, that translates `network` (None: all) where it leaves by
    `out`; `how` "-I": before all others.
    """
    if out is not None and out.name.endswith("+"):
        return (NO_INTERFACE,)
    name = out.name if out is not None else INTERFACE
    where = ("-t", "nat", how, "POSTROUTING")
    whose = ("-s", network) if network is not None else ()
    return (Command.of(tool, *where, *whose, "-o", name, "-j", "MASQUERADE"),)


def iptables(about: str) -> str:
    """The tool for rules about this address or network."""
    return "ip6tables" if ":" in about else "iptables"


def without(thing: Object | None, ruleset: Ruleset | None = None) -> Fix:
    """What takes away a rule that its object names by `words`; nothing for other objects.

    A rule of the iptables family is named by its text: its number changes with the rules before it. One that
    stands several times in its chain, which `ruleset` tells, is taken away as often.
    """
    if thing is None:
        return ()
    match thing.line:
        case ("nft", family, table, chain, "handle", handle) if handle.isdigit():
            return nft((table, chain), "delete", "rule", family, table, chain, "handle", handle)
        case (tool, table, chain, number) if number.isdigit():
            words = () if _is_inhibited(tool, table, thing.text) else xt_words(chain, thing.text)
            if not words:
                return xtables(tool, table, chain, "-D", chain, number)
            times = _times(ruleset, tool, table, chain, thing.text)
            return xtables(tool, table, chain, "-D", chain, *words) * times
    return ()


def _is_inhibited(tool: str, table: str, text: str) -> bool:
    """Whether the tool takes no rule like this one, not even to delete it: nft has made it (iptables(8):

    "the use of DROP is therefore inhibited").
    """
    words = (tool.partition("-")[0], table, *text.split()[-2:])
    return words in (("iptables", "nat", "-j", "DROP"), ("ip6tables", "nat", "-j", "DROP"))


def _times(ruleset: Ruleset | None, tool: str, table: str, chain: str, text: str) -> int:
    """How often a rule with this text stands in the chain; at least once."""
    tables = ruleset.tables if ruleset is not None else ()
    meant = (each for each in tables if (naming.tool(each), each.name) == (tool, table))
    chains = filter(None, (each.chain(chain) for each in meant))
    return max(1, *(sum(rule.text == text for rule in each.rules) for each in chains), 1)


def xt_words(chain: str, text: str) -> tuple[str, ...]:
    """The words of a rule as iptables-save(8) prints it, behind those that name its chain; none where it is
    not so printed, or where iptables does not find the rule by them: `recent` compares what it has counted.
    """
    start = f"-A {chain} "
    if not text.startswith(start) or " -m recent " in text:
        return ()
    words = [word for word, _ in tokens(text[len(start) :])]
    if "-c" in words:  # ebtables-save and arptables-save print counters among them
        at = words.index("-c")
        del words[at : at + 3]
    return tuple(words)


def with_all_ports(thing: Object) -> Fix:
    """The source translation without its range of ports, in its own place; nothing where iptables did not
    make it.
    """
    tool, table, chain, *number = thing.words or ("", "", "")
    words = list(xt_words(chain, thing.text))
    if not number or not tool.startswith(("iptables", "ip6tables")):
        return ()
    if "--to-ports" in words:
        at = words.index("--to-ports")
        del words[at : at + 2]
    elif "--to-source" in words:
        at = words.index("--to-source") + 1
        words[at] = words[at].rpartition(":")[0].strip("[]")
    return (Command.of(tool, "-t", table, "-R", chain, number[0], *words),) if words else ()


# what is one part of one command of nft, whoever chose the names in it; what we put in braces is ours
_NFT_WORD = pattern(r"(?s:\{.*)|[^;\n]*")


def nft(names: tuple[str, ...], *words: str | Blank) -> Fix:
    """`nft WORDS`, unless one of these names cannot be written in its language, or a rule that is written
    again has one that ends it. One with a set of networks or ranges of its own is not replaced, but put
    beside itself and deleted: nft 1.0.6 aborts at the former (src/evaluate.c, interval_set_eval).
    """
    single = all((*map(_NFT_NAME.fullmatch, names), *map(_NFT_WORD.fullmatch, map(str, words))))
    if single and words[:2] == ("replace", "rule") and _NFT_INTERVALS.search(str(words[-1])):
        *at, _, handle, text = words[2:]
        made = Command.of("nft", "insert", "rule", *at, "position", handle, text)
        return (made, Command.of("nft", "delete", "rule", *at, "handle", handle))
    return (Command.of("nft", *words),) if single else (NO_NFT_NAME,)


def xtables(tool: str, table: str, chain: str, *words: str) -> Fix:
    """`TOOL [-t TABLE] WORDS`, unless it does not accept the name of the table or chain."""
    if not _XT_NAME.fullmatch(table) or not _XT_NAME.fullmatch(chain):
        return (NO_XT_NAME,)
    return (Command.of(tool, *([] if table == "filter" else ["-t", table]), *words),)

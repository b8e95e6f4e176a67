"""Random rulesets for every engine, made so that their rules match the packets of the oracle now and then."""

from __future__ import annotations

from random import Random

PORTS = (22, 53, 80, 443, 1005, 8080)
SOURCES = tuple(f"10.1.0.{n}" for n in range(2, 8))
TARGETS = tuple(f"10.2.0.{n}" for n in range(2, 8))
LOCAL = "10.1.0.1"
IN_MAC = "02:00:00:00:01:02"


def _sample(rng: Random, values: tuple[object, ...], most: int = 3) -> list[str]:
    return [str(value) for value in rng.sample(values, rng.randint(1, most))]


# --- nft ---------------------------------------------------------------------------------------------------------------------


def nft_match(rng: Random) -> str:
    """One match of nft(8)."""
    op = rng.choice(("", "", "!= "))
    return rng.choice((
        lambda: f"ip saddr {op}{rng.choice(SOURCES)}",
        lambda: f"ip saddr {op}10.1.0.{rng.choice((0, 4))}/30",
        lambda: f"ip daddr {op}{rng.choice(TARGETS)}-10.2.0.9",
        lambda: f"ip daddr {op}{{ {', '.join(_sample(rng, (*TARGETS, LOCAL)))} }}",
        lambda: f"ip saddr & 0.0.0.3 == 0.0.0.{rng.randint(0, 3)}",
        lambda: f"meta l4proto {op}{rng.choice(('icmp', 'tcp', 'udp', '{ tcp, udp }'))}",
        lambda: f"ip protocol {op}{rng.choice(('icmp', 'tcp', 'udp'))}",
        lambda: f"tcp dport {op}{rng.choice(PORTS)}",
        lambda: f"tcp dport {op}{{ {', '.join(_sample(rng, PORTS))}, 1000-1010 }}",
        lambda: f"udp dport {op}{rng.choice(PORTS)}-9000",
        lambda: f"udp sport {rng.choice(('<', '>', '<=', '>='))} {rng.randint(20000, 40000)}",
        lambda: f"meta l4proto {{ tcp, udp }} th dport {op}{rng.choice(PORTS)}",
        lambda: f"icmp type {op}{rng.choice(('echo-request', 'echo-reply', '{ echo-request, timestamp-request }'))}",
        lambda: f"iifname {op}{rng.choice(('in0', 'out0', '{ in0, out0 }', chr(34) + 'in*' + chr(34)))}",
        lambda: f"oifname {op}{rng.choice(('in0', 'out0', chr(34) + 'o*' + chr(34)))}",
        lambda: f"meta mark {op}{rng.choice(('0', '1', '2', '1-2'))}",
        lambda: f"meta mark & 0x3 == {rng.randint(0, 3)}",
        lambda: f"ct state {rng.choice(('new', 'established', 'invalid', 'new,established', '!= new', 'untracked', '{ new, related }'))}",
        lambda: f"ct status {rng.choice(('dnat', 'snat', '!= dnat'))}",
        lambda: f"ct direction {rng.choice(('original', 'reply'))}",
        lambda: f"ct original ip daddr {rng.choice(TARGETS)}",
        lambda: f"ct mark {rng.randint(0, 2)}",
        lambda: f"ip ttl {rng.choice(('<', '>', '==', '!='))} {rng.choice((2, 9, 10, 63, 64))}",
        lambda: f"ip length {rng.choice(('<', '>', '==', ''))} {rng.choice((28, 40, 60, 100, 500))}",
        lambda: f"meta length {rng.choice(('<', '>'))} {rng.choice((28, 40, 60, 100, 500))}",
        lambda: f"ip dscp {op}{rng.choice(('cs0', 'cs1', 'ef', '{ cs1, ef }'))}",
        lambda: f"ip frag-off & 0x4000 {rng.choice(('==', '!='))} 0",
        lambda: f"fib daddr type {op}{rng.choice(('local', 'unicast', '{ local, broadcast }'))}",
        lambda: f"fib saddr type {rng.choice(('local', 'unicast'))}",
        lambda: f"tcp flags {rng.choice(('syn', 'ack', 'fin', '!= syn', '& (syn|ack) == syn', '& (syn|ack) == syn|ack'))}",
        lambda: "tcp flags syn / syn,ack,fin,rst",
        lambda: f"ether saddr {op}{IN_MAC}",
        lambda: f"meta pkttype {rng.choice(('host', 'broadcast', 'multicast'))}",
        lambda: f"ip saddr . tcp dport {op}{{ {rng.choice(SOURCES)} . {rng.choice(PORTS)}, 10.1.0.0/29 . 80-443 }}",
        lambda: f"meta l4proto . th dport {{ tcp . {rng.choice(PORTS)}, udp . {rng.choice(PORTS)} }}",
        lambda: f"ip saddr {op}@sources",
        lambda: f"meta l4proto {{ tcp, udp }} ip daddr . th dport {op}@pairs",
        lambda: f"ip ecn {rng.choice(('', '!= '))}{rng.choice(('ce', 'ect1', 'not-ect'))}",
        lambda: "meta skuid 0",
        lambda: "meta nfproto ipv4",
        lambda: "meta ipsec missing",
        lambda: f"iifname . meta l4proto {{ in0 . {rng.choice(('tcp', 'udp'))}, out0 . icmp }}",
    ))()  # fmt: skip


def nft_effect(rng: Random) -> str:
    """One statement that changes the packet and goes on."""
    return rng.choice(
        (
            f"meta mark set {rng.randint(0, 3)}", f"meta mark set meta mark or {rng.randint(1, 2)}", "meta mark set meta mark xor 0x3",
            f"ct mark set {rng.randint(0, 2)}", f"ip dscp set {rng.choice(('cs1', 'ef'))}", "ip ttl set 10", "meta mark set ct mark",
            f"ip ecn set {rng.choice(('ce', 'not-ect'))}",
            f"meta mark set ip saddr map {{ {rng.choice(SOURCES[:2])} : 1, 10.1.0.4/30 : 2 }}",
        )
    )  # fmt: skip


def _rule(rng: Random, chains: list[str], hook: str) -> str:
    parts = [nft_match(rng) for _ in range(rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.15:
        parts.append(nft_effect(rng))
    parts.append("counter")
    ends = ["", "", "accept", "return", "continue", "drop"]
    ends += [f"jump {chain}" for chain in chains] + [f"goto {chain}" for chain in chains[:1]]
    ends += [f"meta l4proto vmap {{ icmp : {rng.choice(('accept', 'continue'))}, tcp : {_end(rng, chains)}, udp : return }}"]
    ends += [f"ip saddr vmap {{ {rng.choice(SOURCES[:2])} : {_end(rng, chains)}, 10.1.0.4/30 : accept }}", "ip daddr vmap @verdicts"]
    if hook == "forward":
        ends.append("reject with icmp type admin-prohibited")
    end = rng.choice(ends)
    if end in ("drop",) and not parts[:-1]:
        end = ""
    return " ".join([*parts, end]).strip()


def _end(rng: Random, chains: list[str]) -> str:
    return rng.choice(("accept", "drop", "return", *(f"jump {chain}" for chain in chains)))


def nft(rng: Random) -> str:
    """Two tables of filter chains at several priorities, perhaps one of NAT."""
    lines = []
    for number, family in enumerate(rng.choice((("inet",), ("ip", "inet"), ("ip", "ip")))):
        lines += [f"table {family} t{number} {{"]
        lines += ["set sources { type ipv4_addr; flags interval; elements = { 10.1.0.2, 10.1.0.5-10.1.0.6 }\n}"]
        lines += ["set pairs { type ipv4_addr . inet_service; elements = { 10.2.0.3 . 80, 10.2.0.4 . 53, 10.2.0.2 . 22 }\n}"]
        lines += ["chain low {"] + [_rule(rng, [], "") for _ in range(rng.randint(0, 3))] + ["}"]
        lines += ["chain mid {"] + [_rule(rng, ["low"], "") for _ in range(rng.randint(0, 4))] + ["}"]
        lines += ["map verdicts { type ipv4_addr : verdict; elements = { 10.2.0.5 : drop, 10.2.0.6 : jump low }\n}"]
        for hook in ("prerouting", "input", "forward", "output", "postrouting"):
            if rng.random() < 0.7:
                priority = rng.choice((-310, -300, -250, -150, -50, 0, 0, 10, 120))
                policy = "drop" if rng.random() < 0.15 else "accept"
                lines += [f"chain {hook}_{number} {{ type filter hook {hook} priority {priority}; policy {policy};"]
                lines += [_rule(rng, ["low", "mid"], hook) for _ in range(rng.randint(0, 6))] + ["}"]
        if rng.random() < 0.3:
            lines += ["chain early { type filter hook prerouting priority raw;", f"{nft_match_early(rng)} counter notrack", "}"]
        lines += ["}"]
    if rng.random() < 0.7:
        lines += _nft_nat(rng)
    return "\n".join(lines)


def nft_match_early(rng: Random) -> str:
    """A match that needs no connection tracking."""
    return rng.choice((f"ip saddr {rng.choice(SOURCES)}", f"tcp dport {rng.choice(PORTS)}", "meta l4proto icmp"))


def _nft_nat(rng: Random) -> list[str]:
    def one(kind: str) -> str:
        matches = " ".join(nft_match(rng) for _ in range(rng.randint(0, 1)))
        ends = {
            "dnat": (f"dnat to {rng.choice(TARGETS)}", f"meta l4proto tcp dnat to {rng.choice(TARGETS)}:{rng.choice(PORTS)}",
                     f"dnat to ip saddr map {{ {rng.choice(SOURCES[:2])} : 10.2.0.7, 10.1.0.4/30 : 10.2.0.6 }}", "accept", "return", "",
                     f"meta l4proto {{ tcp, udp }} dnat to 10.2.0.7:{rng.choice(('7000', '1000-1010'))}"),
            "snat": ("masquerade", "snat to 10.9.9.9", "meta l4proto tcp snat to 10.9.9.8:30000", "accept", ""),
        }[kind]  # fmt: skip
        return f"{matches} counter {rng.choice(ends)}".strip()

    lines = ["table ip n {"]
    for name, hook, kind in (
        ("pre", "prerouting", "dnat"),
        ("pre2", "prerouting", "dnat"),
        ("out", "output", "dnat"),
        ("post", "postrouting", "snat"),
    ):
        if rng.random() < 0.7:
            priority = rng.choice((-100, -101, 50)) if kind == "dnat" else rng.choice((100, 90))
            lines += [f"chain {name} {{ type nat hook {hook} priority {priority};", *(one(kind) for _ in range(rng.randint(0, 3))), "}"]
    return [*lines, "}"]


# --- iptables ----------------------------------------------------------------------------------------------------------------


def xt_matches(rng: Random, table: str, chain: str) -> str:
    """Some matches of iptables-extensions(8), in the order that the tool wants: -p before what needs it."""
    no = rng.choice(("", "", "! "))
    parts = []
    if rng.random() < 0.4:
        parts.append(f"{no}-s {rng.choice((*SOURCES, '10.1.0.4/30', '10.1.0.0/255.255.0.3'))}")
    if rng.random() < 0.3:
        parts.append(f"{rng.choice(('', '! '))}-d {rng.choice((*TARGETS, '10.2.0.0/16', LOCAL))}")
    if chain in ("PREROUTING", "INPUT", "FORWARD") and rng.random() < 0.3:
        parts.append(f"{no}-i {rng.choice(('in0', 'out0', 'in+'))}")
    if chain in ("OUTPUT", "POSTROUTING", "FORWARD") and rng.random() < 0.3:
        parts.append(f"{no}-o {rng.choice(('in0', 'out0', 'o+'))}")
    parts.append(
        rng.choice((
            "", "", "-p tcp", "! -p udp", f"-p tcp --dport {rng.choice(PORTS)}", f"-p udp {no}--dport 50:90", "-p tcp ! --syn",
            "-p tcp --tcp-flags SYN,ACK,FIN SYN", f"-p udp -m multiport {no}--dports 53,80:443,8080", "-p tcp -m multiport --ports 22,80",
            f"-p icmp {no}--icmp-type echo-request", "-p icmp --icmp-type any", "-p icmp --icmp-type 0/0", "-p icmp",
            f"-p tcp --sport {(no and '1:') or ''}30000:", f"-p tcp -m tcp {no}--sport 20000:30000",
        ))
    )  # fmt: skip
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        parts.append(_xt_extension(rng, table, chain))
    if rng.random() < 0.1:
        parts.append('-m comment --comment "it\'s a \\"quoted\\" -j DROP"')
    return " ".join(part for part in parts if part)


def _xt_extension(rng: Random, table: str, chain: str) -> str:
    no = rng.choice(("", "", "! "))
    choices = [
        f"-m mark {no}--mark {rng.choice(('0x1', '0x0', '0x2/0x3', '0x0/0x1'))}", f"-m connmark {no}--mark 0x{rng.randint(0, 2)}",
        f"-m length {no}--length {rng.choice(('28', '40:60', '100:', ':100'))}", f"-m ttl --ttl-{rng.choice(('eq', 'lt', 'gt'))} 63",
        f"-m dscp {no}--dscp {rng.choice(('0x00', '0x08', '0x2e'))}", f"-m tos {no}--tos 0x20/0xfc",
        f"-m tos {no}--tos {rng.choice(('0x00', '0x01', '0x02/0x03'))}",
        f"-m ecn {no}--ecn-ip-ect {rng.choice((0, 1, 2))}",
        f"-m iprange {no}--src-range 10.1.0.3-10.1.0.5", f"-m iprange {no}--dst-range 10.2.0.3-10.2.0.5",
        f"-m pkttype {no}--pkt-type unicast", f"-m addrtype {no}--dst-type LOCAL", "-m addrtype --src-type UNICAST",
        "-m addrtype --dst-type LOCAL,BROADCAST",
    ]  # fmt: skip
    if table != "raw":
        states = rng.choice(("NEW", "ESTABLISHED,RELATED", "INVALID", "NEW,UNTRACKED", "DNAT", "SNAT"))
        choices += [f"-m conntrack {no}--ctstate {states}"] * 3
        choices += ["-m conntrack --ctdir ORIGINAL", f"-m conntrack {no}--ctorigdst 10.2.0.0/29", "-m conntrack --ctproto 6",
                    f"-m conntrack {no}--ctstatus SEEN_REPLY", "-m conntrack --ctorigdstport 80", "-m state --state NEW"]  # fmt: skip
    if chain in ("PREROUTING", "INPUT", "FORWARD"):
        choices.append(f"-m mac {no}--mac-source {IN_MAC}")
    if chain in ("OUTPUT", "POSTROUTING"):
        choices += [f"-m owner {no}--uid-owner 0", f"-m owner {no}--gid-owner 0", f"-m owner {no}--socket-exists"]
    return rng.choice(choices)


def xt_target(rng: Random, table: str, chain: str, chains: list[str]) -> str:
    """A target that this table and chain allow."""
    ends = ["", "", "-j ACCEPT", "-j RETURN", *(f"-j {name}" for name in chains), *(f"-g {name}" for name in chains[:1])]
    if table == "filter":
        ends += ["-j DROP"] + (["-j REJECT", "-j REJECT --reject-with icmp-admin-prohibited"] if chain == "FORWARD" else [])
    if table == "mangle":
        ends += ["-j DROP", "-j MARK --set-mark 1", "-j MARK --set-xmark 0x2/0x3", "-j MARK --or-mark 1", "-j MARK --and-mark 2",
                 "-j CONNMARK --set-mark 2", "-j CONNMARK --save-mark", "-j CONNMARK --restore-mark", "-j TTL --ttl-set 10",
                 "-j TTL --ttl-inc 1", "-j DSCP --set-dscp 0x08", "-j TOS --set-tos 0x20/0x3f",
                 "-j TOS --set-tos 0x01", "-j TOS --xor-tos 0x02", "-j TCPMSS --set-mss 1000"]  # fmt: skip
    if table == "raw":
        ends += ["-j CT --notrack", "-j NOTRACK", "-j DROP", "-j TRACE"]
    if table == "nat" and chain in ("PREROUTING", "OUTPUT"):
        ends += [f"-j DNAT --to-destination {rng.choice(TARGETS)}", "-j NETMAP --to 10.2.1.0/24"]
    if table == "nat" and chain == "POSTROUTING":
        ends += ["-j MASQUERADE", "-j SNAT --to-source 10.9.9.9", "-j NETMAP --to 10.9.8.0/24"]
    return rng.choice(ends)


HOOKS = {
    "raw": ("PREROUTING", "OUTPUT"), "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT"),
}  # fmt: skip


def iptables(rng: Random) -> str:
    """Tables as iptables-restore reads them."""
    lines = []
    for table in rng.sample(tuple(HOOKS), rng.randint(1, 4)):
        lines.append(f"*{table}")
        drops = table == "filter"
        lines += [f":{chain} {'DROP' if drops and rng.random() < 0.15 else 'ACCEPT'} [0:0]" for chain in HOOKS[table]]
        for hook in HOOKS[table]:  # user chains of one hook each, so that what they say is allowed there
            lines += [f":{hook}-mid - [0:0]", f":{hook}-low - [0:0]"]
        for hook in HOOKS[table]:
            for chain, below, most in (
                (f"{hook}-low", [], 3),
                (f"{hook}-mid", [f"{hook}-low"], 3),
                (hook, [f"{hook}-mid", f"{hook}-low"], 5),
            ):
                for _ in range(rng.randint(0, most)):
                    words = [f"-A {chain}", xt_matches(rng, table, hook), xt_target(rng, table, hook, below)]
                    line = " ".join(word for word in words if word)
                    if "TCPMSS" in line:
                        line = f"-A {chain} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1000"
                    if "-j DROP" in line and line.count("-") < 4:
                        continue
                    lines.append(line)
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"

"""Networks with many of one thing, as texts for `sh`: what grows on large machines beside a probe.

They are put into a lab whose `host` is empty otherwise (`EMPTY`), by `fill`.
"""

from __future__ import annotations

from collections.abc import Iterable

from .lab import Lab
from .topology import Topology

EMPTY = Topology(namespaces=())
PATIENCE_S = 600.0


def fill(lab: Lab, text: str) -> None:
    """Run a text of this file in the lab. Raises CalledProcessError."""
    lab.run(["sh", "-e"], text=text, check=True, timeout=PATIENCE_S)


def _batch(namespace: str | None, lines: Iterable[str]) -> str:
    """Lines for ip(8), in `host` or in a namespace, as one process."""
    inside = f" -n {namespace}" if namespace else ""
    return f"ip{inside} -batch - <<END\n" + "\n".join(lines) + "\nEND\n"


def station(n: int) -> str:
    """The address of the n-th station, from 1 on."""
    return f"10.9.{n >> 8}.{n & 255}"


def stations(count: int, first: int = 1) -> str:
    """`count` namespaces s1, s2, ... on the bridge br0 of `host`, as containers are on an engine's; the
    gateway is 10.9.255.254.
    """
    numbers = range(first, first + count)
    made = [] if first > 1 else [
        "link add br0 address 02:00:00:00:ff:fe type bridge forward_delay 0",
        "addr add 10.9.255.254/16 dev br0", "link set br0 up", "link set lo up",
    ]  # fmt: skip
    for n in numbers:
        mac = f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"
        made += [
            f"netns add s{n}",
            f"link add p{n} type veth peer name eth0 netns s{n} address {mac}",
            f"link set p{n} master br0 up",
        ]
    inside = (
        _batch(
            f"s{n}",
            [
                "link set lo up",
                "link set eth0 up",
                f"addr add {station(n)}/16 dev eth0",
                "route add default via 10.9.255.254",
            ],
        )
        for n in numbers
    )
    forwarding = "while bridge link | grep -q 'state disabled'; do sleep 0.05; done\n"
    return _batch(None, made) + "".join(inside) + forwarding


def pair() -> str:
    """The namespaces `a` (10.8.1.2) and `b` (10.8.2.2) with `host` as the router between them."""
    made = ["link set lo up", "netns add a", "netns add b"]
    for n, name in ((1, "a"), (2, "b")):
        made += [
            f"link add v{name} type veth peer name eth0 netns {name}",
            f"addr add 10.8.{n}.1/24 dev v{name}",
            f"link set v{name} up",
        ]
    inside = (
        _batch(
            name,
            [
                "link set lo up",
                "link set eth0 up",
                f"addr add 10.8.{n}.2/24 dev eth0",
                f"route add default via 10.8.{n}.1",
            ],
        )
        for n, name in ((1, "a"), (2, "b"))
    )
    return _batch(None, made) + "".join(inside) + "sysctl -qw net.ipv4.ip_forward=1\n"


def routes(count: int) -> str:
    """So many routes of `host` to networks that nobody asks for."""
    lines = (f"route add {20 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24 via 10.8.2.2" for n in range(count))
    return _batch(None, lines)


def fdb(count: int) -> str:
    """A bridge in `host` with so many forwarding entries."""
    made = [
        "link add br9 type bridge",
        "link add d9 type veth peer name e9",
        "link set d9 master br9 up",
        "link set br9 up",
    ]
    entries = (
        f"fdb add 06:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x} dev d9 master" for n in range(count)
    )
    return _batch(None, made) + "bridge -batch - <<END\n" + "\n".join(entries) + "\nEND\n"


def neighbours(count: int) -> str:
    """So many permanent neighbours of `host`; a kernel allows a thousand (gc_thresh3)."""
    lines = (
        f"neigh add {60 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.9 lladdr 06:00:00:00:00:01 dev vb"
        for n in range(count)
    )
    return _batch(None, lines)


def bridges(count: int) -> str:
    """The namespaces s1 and s2 with so many bridges of `host` in a row between them."""
    made = ["netns add s1", "netns add s2", "link set lo up"]
    made += [f"link add b{n} type bridge forward_delay 0" for n in range(count)]
    made += [f"link set b{n} up" for n in range(count)]
    for n in range(count - 1):
        made += [
            f"link add l{n} type veth peer name r{n}",
            f"link set l{n} master b{n} up",
            f"link set r{n} master b{n + 1} up",
        ]
    for n, bridge in ((1, 0), (2, count - 1)):
        made += [f"link add p{n} type veth peer name eth0 netns s{n}", f"link set p{n} master b{bridge} up"]
    inside = (
        _batch(f"s{n}", ["link set lo up", "link set eth0 up", f"addr add {station(n)}/16 dev eth0"])
        for n in (1, 2)
    )
    return _batch(None, made) + "".join(inside)


def routers(count: int) -> str:
    """The namespaces r0 to r`count` in a row, each the router between its neighbours: from r0 to the address
    10.7.255.1 of the last.
    """
    made = [f"netns add r{n}" for n in range(count + 1)]
    made += [f"link add u{n} netns r{n} type veth peer name d{n} netns r{n + 1}" for n in range(count)]
    text = _batch(None, made)
    for n in range(count + 1):
        lines = ["link set lo up"]
        if n < count:
            lines += [
                f"addr add 10.7.{n}.1/24 dev u{n}",
                f"link set u{n} up",
                f"route add default via 10.7.{n}.2",
            ]
        if n > 0:
            lines += [f"addr add 10.7.{n - 1}.2/24 dev d{n - 1}", f"link set d{n - 1} up"]
            lines += [f"route add 10.7.{m}.0/24 via 10.7.{n - 1}.1" for m in range(min(1, n - 1))]
        if n == count:
            lines += ["addr add 10.7.255.1/32 dev lo"]
        text += (
            _batch(f"r{n}", lines)
            + f"ip netns exec r{n} sysctl -qw net.ipv4.ip_forward=1 net.ipv4.ip_default_ttl=255\n"
        )
    return text


def kube_iptables(services: int) -> str:
    """Rules of `host` for so many services, in the shape that kube-proxy writes for iptables."""
    lines = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-MARK-MASQ - [0:0]"]
    rules = [
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-A POSTROUTING -j KUBE-POSTROUTING",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    ]
    for n in range(services):
        cluster, pod = f"10.96.{n >> 8}.{n & 255}", "10.8.2.2" if n == 0 else f"10.244.{n >> 8}.{n & 255}"
        lines += [f":KUBE-SVC-{n:016X} - [0:0]", f":KUBE-SEP-{n:016X} - [0:0]"]
        rules += [
            f"-A KUBE-SERVICES -d {cluster}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-{n:016X}",
            f"-A KUBE-SVC-{n:016X} -j KUBE-SEP-{n:016X}",
            f"-A KUBE-SEP-{n:016X} -s {pod}/32 -j KUBE-MARK-MASQ",
            f"-A KUBE-SEP-{n:016X} -p tcp -m tcp -j DNAT --to-destination {pod}:8080",
        ]
    text = "\n".join([*lines, *rules, "COMMIT"])
    return f"iptables-nft-restore <<END\n{text}\nEND\n"


def published(count: int) -> str:
    """The stations of a bridge as Docker publishes port 80 of each, as 10001 and on of `host` (203.0.113.2),
    with a way out to the namespace `w`, where 8.8.8.8 is; port 10001 leads to an address that nobody has.
    """
    out = [
        "netns add w",
        "link add w0 type veth peer name eth0 netns w",
        "addr add 203.0.113.2/24 dev w0",
        "link set w0 up",
        "route add default via 203.0.113.1",
    ]
    beyond = [
        "link set lo up",
        "link set eth0 up",
        "addr add 203.0.113.1/24 dev eth0",
        "addr add 8.8.8.8/32 dev lo",
    ]
    homes = [*enumerate([station(0xC801), *(station(n) for n in range(2, count + 1))], 10001)]
    nat = ["*nat", ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"]
    nat += ["-A POSTROUTING -s 10.9.0.0/16 ! -o br0 -j MASQUERADE"]
    nat += [
        f"-A DOCKER ! -i br0 -p tcp --dport {port} -j DNAT --to-destination {home}:80" for port, home in homes
    ]
    plain = ["*filter", ":FORWARD DROP [0:0]", ":DOCKER - [0:0]", "-A FORWARD -o br0 -j DOCKER"]
    plain += ["-A FORWARD -i br0 -j ACCEPT", "-A DOCKER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
    plain += [f"-A DOCKER -d {home}/32 ! -i br0 -o br0 -p tcp --dport 80 -j ACCEPT" for _, home in homes]
    text = "\n".join([*nat, "COMMIT", *plain, "-A DOCKER ! -i br0 -o br0 -j DROP", "COMMIT"])
    loaded = f"iptables-nft-restore <<END\n{text}\nEND\nsysctl -qw net.ipv4.ip_forward=1\n"
    return stations(count) + _batch(None, out) + _batch("w", beyond) + loaded


def kube_nft(services: int) -> str:
    """Rules of `host` for so many services, in the shape that kube-proxy writes for nftables."""
    lines = [
        "table ip kube-proxy {",
        "  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }",
        "  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }",
        "  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }",
        "  chain nat-output { type nat hook output priority -100; jump services; }",
    ]
    elements = []
    for n in range(services):
        cluster, pod = f"10.96.{n >> 8}.{n & 255}", "10.8.2.2" if n == 0 else f"10.244.{n >> 8}.{n & 255}"
        lines += [
            f"  chain endpoint-{n} {{ meta l4proto tcp dnat to {pod}:8080; }}",
            f"  chain service-{n} {{ numgen random mod 1 vmap {{ 0 : goto endpoint-{n} }}; }}",
        ]
        elements.append(f"{cluster} . tcp . 80 : goto service-{n}")
    lines.append("}")
    lines.append("add element ip kube-proxy service-ips { " + ", ".join(elements) + " }")
    return "nft -f - <<END\n" + "\n".join(lines) + "\nEND\n"


def interfaces(count: int) -> str:
    """So many more interfaces of `host`."""
    return _batch(None, (f"link add x{n} type veth peer name y{n}" for n in range((count + 1) // 2)))


def addresses(count: int) -> str:
    """So many addresses of `host` that nobody asks for."""
    return _batch(None, (f"addr add 10.77.{n >> 8}.{n & 255}/32 dev lo" for n in range(count)))


def policy_rules(count: int) -> str:
    """So many policy rules of `host` for sources that nobody has."""
    lines = (f"rule add from 10.66.{n >> 8}.{n & 255} lookup 99 pref {1000 + n}" for n in range(count))
    return _batch(None, lines)


def namespaces(count: int) -> str:
    """So many more namespaces, with nothing in them."""
    return _batch(None, (f"netns add z{n}" for n in range(count)))


def set_elements(count: int) -> str:
    """A set of nft with so many elements, and a small one that drops what goes to `b`."""
    elements = ", ".join(f"100.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count))
    return f"""nft -f - <<END
table ip t {{
  set many {{ type ipv4_addr; elements = {{ {elements} }}; }}
  set few {{ type ipv4_addr; elements = {{ 10.8.2.2 }}; }}
  chain f {{ type filter hook forward priority 0; ip saddr @many accept; ip daddr @few drop; }}
}}
END
"""


MANY = {
    "stations": stations, "bridges": bridges, "routers": routers, "routes": routes, "neighbours": neighbours,
    "forwarding entries": fdb, "services, iptables": kube_iptables, "services, nft": kube_nft,
    "interfaces": interfaces, "addresses": addresses, "policy rules": policy_rules,
    "namespaces": namespaces, "set elements": set_elements,
}  # fmt: skip
"""What there can be many of; routes and what stands below them are beside the way of `pair`."""

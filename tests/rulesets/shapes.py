"""Rulesets in the shape in which programs write them, for the tutorial's host; nothing in them is anybody's.

Each function takes a generator of random numbers and gives what is to be loaded; ports, stations and policies differ with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from questions import C1, C2, P1, P2, RED, Probe

BRIDGED = ("net.bridge.bridge-nf-call-iptables=1",)


@dataclass(frozen=True)
class Loaded:
    """What is loaded into the host: sysctls, iptables-restore's input, nft's, ipset's, and commands; and what to ask beside the usual."""

    save: str = ""
    nft: str = ""
    ipset: str = ""
    sysctls: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()


def table(name: str, policies: dict[str, str], chains: list[str], rules: list[str]) -> str:
    heads = [f":{chain} {policy} [0:0]" for chain, policy in policies.items()] + [f":{chain} - [0:0]" for chain in chains]
    return "\n".join([f"*{name}", *heads, *(f"-A {rule}" for rule in rules), "COMMIT", ""])


FILTER = {"INPUT": "ACCEPT", "FORWARD": "ACCEPT", "OUTPUT": "ACCEPT"}
NAT = {"PREROUTING": "ACCEPT", "INPUT": "ACCEPT", "OUTPUT": "ACCEPT", "POSTROUTING": "ACCEPT"}
MASQUERADED = [f"POSTROUTING -s {net} -o eth0 -j MASQUERADE" for net in ("10.0.0.0/16", "172.17.0.0/16")]


def service_proxy_iptables(rng: Random) -> Loaded:
    """A chain a service, a chain an endpoint, marks for what is to be masqueraded (kube-proxy)."""
    chains = ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
    rules = ["PREROUTING -j KUBE-SERVICES", "OUTPUT -j KUBE-SERVICES", "POSTROUTING -j KUBE-POSTROUTING"]
    rules += [
        "KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        "KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ]
    real = rng.randrange(20)
    for n in range(20):
        service, endpoint = f"KUBE-SVC-{n:04X}", f"KUBE-SEP-{n:04X}"
        chains += [service, endpoint]
        target = C2 if n == real else f"172.17.9.{n + 1}"
        rules += [
            f"KUBE-SERVICES -d 10.96.0.{n + 1}/32 -p tcp -m tcp --dport 8080 -j {service}",
            f"{service} ! -s 172.17.0.0/16 -d 10.96.0.{n + 1}/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ",
            f"{service} -j {endpoint}",
            f"{endpoint} -s {target}/32 -j KUBE-MARK-MASQ",
            f"{endpoint} -p tcp -m tcp -j DNAT --to-destination {target}:80",
        ]
    forward = [
        "FORWARD -m conntrack --ctstate INVALID -j DROP",
        "FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
        "FORWARD -d 10.96.0.99/32 -p tcp -m tcp --dport 8080 -j REJECT --reject-with icmp-port-unreachable",
    ]
    vip = f"10.96.0.{real + 1}"
    probes = tuple(Probe(who, vip, "tcp", 8080) for who in ("c1", "c2", "red", "host"))
    return Loaded(
        table("nat", NAT, chains, [*rules, *MASQUERADED]) + table("filter", FILTER, [], forward),
        sysctls=BRIDGED if rng.random() < 0.7 else (),
        probes=(*probes, Probe("c1", "10.96.0.99", "tcp", 8080)),
    )


def service_proxy_nft(rng: Random) -> Loaded:
    """Services in maps of address, protocol and port (kube-proxy's nft mode)."""
    count = rng.choice((5, 100))
    real = rng.randrange(count)
    chains, elements = [], []
    for n in range(count):
        address = f"10.96.{n // 50}.{n % 50 + 1}"
        target = C2 if n == real else f"172.18.{n // 50}.{n % 50 + 1}"
        elements.append(f"{address} . tcp . 8080 : goto service-{n}")
        chains.append(
            f"chain service-{n} {{ ip daddr {address} tcp dport 8080 ip saddr != 172.17.0.0/16 jump mark-for-masquerade\n"
            f"numgen random mod 1 vmap {{ 0 : goto endpoint-{n} }}; }}"
        )
        chains.insert(0, f"chain endpoint-{n} {{ ip saddr {target} jump mark-for-masquerade\nmeta l4proto tcp dnat to {target}:80; }}")
    vip = f"10.96.{real // 50}.{real % 50 + 1}"
    text = f"""table ip kube-proxy {{
  chain mark-for-masquerade {{ meta mark set meta mark or 0x4000; }}
  {chr(10).join(chains)}
  map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; elements = {{ {", ".join(elements)} }} }}
  map no-endpoint-services {{ type ipv4_addr . inet_proto . inet_service : verdict
    elements = {{ 10.96.9.9 . tcp . 8080 : goto reject-chain }} }}
  chain reject-chain {{ reject; }}
  chain services {{ ip daddr . meta l4proto . th dport vmap @service-ips; }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
  chain nat-output {{ type nat hook output priority -100; jump services; }}
  chain nat-postrouting {{ type nat hook postrouting priority srcnat; jump masquerading; }}
  chain masquerading {{ meta mark & 0x4000 == 0 return
    meta mark set meta mark xor 0x4000
    masquerade fully-random; }}
  chain endpoints {{ ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }}
  chain filter-forward {{ type filter hook forward priority -110; jump endpoints; }}
  chain filter-output {{ type filter hook output priority -110; jump endpoints; }}
}}"""
    probes = (*(Probe(who, vip, "tcp", 8080) for who in ("c1", "c2", "red", "host")), Probe("c1", "10.96.9.9", "tcp", 8080))
    ordered = text.replace("chain reject-chain { reject; }", "").replace(
        "  chain mark-for", "  chain reject-chain { reject; }\n  chain mark-for", 1
    )
    return Loaded(nft=ordered, sysctls=BRIDGED if rng.random() < 0.5 else (), probes=probes)


def workload_policy(rng: Random) -> Loaded:
    """Dispatch by interface, policies by ipset, a mark for what is allowed (Calico)."""
    allowed = rng.choice((C1, RED, "172.17.0.0/24", "192.0.2.1"))
    port = rng.choice((80, 443))
    chains = ["cali-FORWARD", "cali-from-wl-dispatch", "cali-to-wl-dispatch", "cali-fw-c1", "cali-tw-c2", "cali-pi-web", "cali-pro-ns"]
    rules = [
        "FORWARD -j cali-FORWARD",
        "cali-FORWARD -j MARK --set-xmark 0x0/0xe0000",
        "cali-FORWARD -i docker0 -j cali-from-wl-dispatch",
        "cali-FORWARD -o docker0 -j cali-to-wl-dispatch",
        f"cali-from-wl-dispatch -s {C1} -g cali-fw-c1",
        f"cali-to-wl-dispatch -d {C2} -g cali-tw-c2",
        "cali-fw-c1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "cali-fw-c1 -m conntrack --ctstate INVALID -j DROP",
        "cali-fw-c1 -j MARK --set-xmark 0x0/0x10000",
        "cali-fw-c1 -j cali-pro-ns",
        "cali-fw-c1 -m mark --mark 0x10000/0x10000 -j RETURN",
        "cali-fw-c1 -j DROP",
        "cali-tw-c2 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "cali-tw-c2 -m conntrack --ctstate INVALID -j DROP",
        "cali-tw-c2 -j MARK --set-xmark 0x0/0x10000",
        "cali-tw-c2 -j cali-pi-web",
        "cali-tw-c2 -m mark --mark 0x10000/0x10000 -j RETURN",
        "cali-tw-c2 -j DROP",
        f"cali-pi-web -p tcp -m set --match-set s-web src -m multiport --dports {port},8443 -j MARK --set-xmark 0x10000/0x10000",
        "cali-pro-ns -j MARK --set-xmark 0x10000/0x10000",
    ]
    sets = f"create s-web hash:net family inet\nadd s-web {allowed}\nadd s-web 198.51.100.0/24\n"
    return Loaded(table("nat", NAT, [], MASQUERADED) + table("filter", FILTER, chains, rules), ipset=sets, sysctls=BRIDGED)


def port_security(rng: Random) -> Loaded:
    """A chain each port and direction, found by physdev; addresses bound to MACs (neutron's hybrid driver)."""
    mac = rng.choice(("02:42:ac:11:00:02", "02:42:ac:11:00:99"))
    port = rng.choice((80, 22))
    chains = ["sg-chain", "i-c2", "o-c1", "s-c1", "sg-fallback"]
    rules = [
        f"FORWARD -m physdev --physdev-out {P2} --physdev-is-bridged -j sg-chain",
        f"FORWARD -m physdev --physdev-in {P1} --physdev-is-bridged -j sg-chain",
        f"sg-chain -m physdev --physdev-out {P2} --physdev-is-bridged -j i-c2",
        f"sg-chain -m physdev --physdev-in {P1} --physdev-is-bridged -j o-c1",
        "sg-chain -j ACCEPT",
        "i-c2 -m state --state RELATED,ESTABLISHED -j RETURN",
        f"i-c2 -p tcp -m tcp --dport {port} -j RETURN",
        "i-c2 -s 172.17.0.1/32 -p udp -m udp --sport 67 --dport 68 -j RETURN",
        "i-c2 -m state --state INVALID -j DROP",
        "i-c2 -j sg-fallback",
        "o-c1 -j s-c1",
        "o-c1 -p udp -m udp --sport 67 --dport 68 -j DROP",
        "o-c1 -m state --state RELATED,ESTABLISHED -j RETURN",
        "o-c1 -j RETURN",
        f"s-c1 -s {C1}/32 -m mac --mac-source {mac} -j RETURN",
        "s-c1 -j DROP",
        "sg-fallback -j DROP",
    ]
    return Loaded(table("nat", NAT, [], MASQUERADED) + table("filter", FILTER, chains, rules), sysctls=BRIDGED)


def engine_iptables(rng: Random) -> Loaded:
    """Published ports, isolation in two stages, a chain for the user (Docker)."""
    policy, hairpin = rng.choice(("DROP", "ACCEPT")), rng.random() < 0.5
    user = rng.choice(
        ("DOCKER-USER -j RETURN", f"DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j {rng.choice(('DROP', 'RETURN'))}")
    )
    chains = ["DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"]
    rules = [
        "FORWARD -j DOCKER-USER",
        "FORWARD -j DOCKER-ISOLATION-STAGE-1",
        "FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "FORWARD -o docker0 -j DOCKER",
        "FORWARD -i docker0 ! -o docker0 -j ACCEPT",
        f"FORWARD -i docker0 -o docker0 -j {rng.choice(('ACCEPT', 'DROP'))}",
        f"DOCKER -d {C2}/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
        "DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
        "DOCKER-ISOLATION-STAGE-1 -j RETURN",
        f"DOCKER-ISOLATION-STAGE-2 -o {rng.choice(('br0', 'br-other'))} -j DROP",
        "DOCKER-ISOLATION-STAGE-2 -j RETURN",
        user,
    ]
    local = "" if hairpin else "! -d 127.0.0.0/8 "
    nat = [
        "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        f"OUTPUT {local}-m addrtype --dst-type LOCAL -j DOCKER",
        "POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        f"POSTROUTING -s {C2}/32 -d {C2}/32 -p tcp -m tcp --dport 80 -j MASQUERADE",
        *(() if hairpin else ("DOCKER -i docker0 -j RETURN",)),
        f"DOCKER {'' if hairpin else '! -i docker0 '}-p tcp -m tcp --dport 8080 -j DNAT --to-destination {C2}:80",
        "POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE",
    ]
    probes = tuple(Probe(who, "203.0.113.2", "tcp", 8080) for who in ("internet", "red", "c1", "c2", "host"))
    return Loaded(
        table("nat", NAT, ["DOCKER"], nat) + table("filter", {**FILTER, "FORWARD": policy}, chains, rules),
        sysctls=BRIDGED if rng.random() < 0.7 else (),
        probes=probes,
    )


def simple_host(rng: Random) -> Loaded:
    """Chains before, in and after the user's, limits for logs, a policy of its own (ufw)."""
    routed = rng.choice(("ACCEPT", "DROP"))
    chains = [
        "before-input",
        "before-forward",
        "user-input",
        "user-forward",
        "after-input",
        "skip-to-policy",
        "not-local",
        "logging-deny",
        "user-limit",
    ]
    opened = rng.choice((80, 22, 53))
    rules = [
        "INPUT -j before-input",
        "INPUT -j after-input",
        "FORWARD -j before-forward",
        "before-input -i lo -j ACCEPT",
        "before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "before-input -m conntrack --ctstate INVALID -j logging-deny",
        "before-input -m conntrack --ctstate INVALID -j DROP",
        f"before-input -p icmp -m icmp --icmp-type 8 -j {rng.choice(('ACCEPT', 'DROP'))}",
        "before-input -j not-local",
        "before-input -j user-input",
        "not-local -m addrtype --dst-type LOCAL -j RETURN",
        "not-local -m addrtype --dst-type BROADCAST -j RETURN",
        "not-local -m limit --limit 3/min --limit-burst 10 -j logging-deny",
        "not-local -j DROP",
        "logging-deny -m conntrack --ctstate INVALID -m limit --limit 3/min --limit-burst 10 -j RETURN",
        'logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[BLOCK] "',
        f"user-input -p tcp -m tcp --dport {opened} -m conntrack --ctstate NEW -m recent --set --name DEFAULT --rsource",
        f"user-input -p tcp -m tcp --dport {opened} -m conntrack --ctstate NEW -m recent --update --seconds 30 "
        "--hitcount 20 --name DEFAULT --rsource -j user-limit",
        f"user-input -p tcp -m tcp --dport {opened} -j ACCEPT",
        "user-limit -j REJECT --reject-with icmp-port-unreachable",
        "after-input -m addrtype --dst-type BROADCAST -j skip-to-policy",
        "skip-to-policy -j DROP",
        "before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "before-forward -j user-forward",
        f"user-forward -i br0 -o eth0 -p tcp -m multiport --dports {opened},443 -j ACCEPT",
    ]
    return Loaded(
        table("nat", NAT, [], MASQUERADED) + table("filter", {"INPUT": "DROP", "FORWARD": routed, "OUTPUT": "ACCEPT"}, chains, rules),
        probes=(Probe("red", "10.0.0.1", "tcp", opened), Probe("red", "10.0.0.1", "tcp", 9)),
    )


def zones(rng: Random) -> Loaded:
    """Zones by interface in verdict maps, policies before and after them (firewalld)."""
    services = ", ".join(map(str, sorted(rng.sample((22, 53, 80, 443), 2))))
    target = rng.choice(("reject with icmpx admin-prohibited", "drop", "accept"))
    text = f"""table inet fw {{
  chain filter_IN_public_allow {{ tcp dport {{ {services} }} accept; }}
  chain filter_IN_public {{ jump filter_IN_public_allow; meta l4proto {{ icmp, ipv6-icmp }} accept; {target}; }}
  chain filter_IN_trusted {{ accept; }}
  chain filter_INPUT_ZONES {{ iifname vmap {{ "docker0" : goto filter_IN_trusted, "br0" : goto filter_IN_public }}
    goto filter_IN_public; }}
  chain filter_INPUT {{ type filter hook input priority filter + 10; policy accept;
    ct state {{ established, related }} accept; ct status dnat accept; iifname "lo" accept; ct state invalid drop; jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited; }}
  chain filter_FWD_int_ext_allow {{ {rng.choice(("accept", "tcp dport 80 accept", "ip protocol icmp accept"))}; }}
  chain filter_FWD_int_ext {{ jump filter_FWD_int_ext_allow; {rng.choice(("reject with icmpx admin-prohibited", "drop", "continue"))}; }}
  chain filter_FORWARD_POLICIES {{ iifname . oifname vmap {{ "br0" . "eth0" : jump filter_FWD_int_ext,
    "docker0" . "eth0" : jump filter_FWD_int_ext,
    "docker0" . "docker0" : accept }}; }}
  chain filter_FORWARD {{ type filter hook forward priority filter + 10; policy accept;
    ct state {{ established, related }} accept; ct status dnat accept; ct state invalid drop; jump filter_FORWARD_POLICIES
    reject with icmpx admin-prohibited; }}
  chain mangle_PREROUTING {{ type filter hook prerouting priority mangle + 10; meta nfproto ipv4 fib saddr . iif oif missing drop; }}
  chain nat_POSTROUTING {{ type nat hook postrouting priority srcnat + 10; oifname "eth0" masquerade; }}
}}"""
    return Loaded(nft=text, sysctls=BRIDGED if rng.random() < 0.5 else ())


def bans(rng: Random) -> Loaded:
    """Sets of banned addresses before everything else (fail2ban), beside a plain firewall that keeps rates."""
    banned = rng.choice((RED, C1, "203.0.113.1", "192.0.2.9"))
    text = f"""table inet f2b {{
  set addr-set-sshd {{ type ipv4_addr; elements = {{ {banned}, 192.0.2.1 }} }}
  chain f2b-chain {{ type filter hook input priority filter - 1; policy accept;
    tcp dport {{ 22, 80 }} ip saddr @addr-set-sshd reject with icmp port-unreachable
    icmp type echo-request ip saddr @addr-set-sshd {rng.choice(("drop", "accept"))}; }}
}}
table inet plain {{
  chain input {{ type filter hook input priority filter; policy drop;
    ct state vmap {{ established : accept, related : accept, invalid : drop }}
    iif lo accept
    icmp type echo-request limit rate 400/second accept
    tcp dport {{ 22, 80 }} ct count over 50 reject with tcp reset
    tcp dport {{ 22, 80 }} accept; }}
  chain post {{ type nat hook postrouting priority srcnat; oif eth0 masquerade; }}
}}"""
    return Loaded(
        nft=text, probes=tuple(Probe(who, "10.0.0.1" if who == "red" else "172.17.0.1", "tcp", 80) for who in ("red", "c1", "c2"))
    )


def zone_pairs(rng: Random) -> Loaded:
    """A chain for each pair of zones, checks of flags and smurfs before (Shorewall)."""
    chains = ["loc2net", "net2loc", "net2fw", "loc2fw", "loc_frwd", "net_frwd", "tcpflags", "smurfs", "dynamic", "logdrop"]
    rules = [
        "INPUT -i br0 -j loc2fw",
        "INPUT -i docker0 -j loc2fw",
        "INPUT -i eth0 -j net2fw",
        "INPUT -i lo -j ACCEPT",
        "INPUT -j logdrop",
        "FORWARD -i br0 -j loc_frwd",
        "FORWARD -i docker0 -j loc_frwd",
        "FORWARD -i eth0 -j net_frwd",
        "FORWARD -j logdrop",
        "loc_frwd -m conntrack --ctstate INVALID,NEW,UNTRACKED -j dynamic",
        "loc_frwd -p tcp -j tcpflags",
        "loc_frwd -o eth0 -j loc2net",
        f"loc_frwd -o docker0 -j {rng.choice(('ACCEPT', 'logdrop'))}",
        "net_frwd -m conntrack --ctstate INVALID,NEW,UNTRACKED -j smurfs",
        "net_frwd -j net2loc",
        "loc2net -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"loc2net -p tcp -m tcp --dport 80 -j {rng.choice(('ACCEPT', 'REJECT', 'DROP'))}",
        "loc2net -j ACCEPT",
        "net2loc -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"net2loc -j {rng.choice(('logdrop', 'DROP'))}",
        "net2fw -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "net2fw -j logdrop",
        "loc2fw -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        f"loc2fw -p icmp -j {rng.choice(('ACCEPT', 'logdrop'))}",
        "loc2fw -j logdrop",
        "tcpflags -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,PSH,URG -g logdrop",
        "tcpflags -p tcp -m tcp --tcp-flags SYN,RST SYN,RST -g logdrop",
        "tcpflags -p tcp -m tcp --sport 0 --tcp-flags FIN,SYN,RST,ACK SYN -g logdrop",
        "smurfs -s 0.0.0.0/32 -j RETURN",
        "smurfs -m addrtype --src-type BROADCAST -g logdrop",
        "smurfs -s 224.0.0.0/4 -g logdrop",
        "logdrop -m hashlimit --hashlimit-upto 1/sec --hashlimit-burst 10 --hashlimit-mode srcip --hashlimit-name lg -j LOG",
        "logdrop -j DROP",
    ]
    return Loaded(
        table("nat", NAT, [], MASQUERADED) + table("filter", {"INPUT": "DROP", "FORWARD": "DROP", "OUTPUT": "ACCEPT"}, chains, rules)
    )


def virtual_networks(rng: Random) -> Loaded:
    """Chains in, out and across of a network of guests, and a second one alone (libvirt)."""
    chains = ["LIBVIRT_FWX", "LIBVIRT_FWI", "LIBVIRT_FWO", "LIBVIRT_INP"]
    isolated = rng.random() < 0.5
    rules = [
        "INPUT -j LIBVIRT_INP",
        "FORWARD -j LIBVIRT_FWX",
        "FORWARD -j LIBVIRT_FWI",
        "FORWARD -j LIBVIRT_FWO",
        "LIBVIRT_INP -i docker0 -p udp -m udp --dport 53 -j ACCEPT",
        "LIBVIRT_FWX -i docker0 -o docker0 -j ACCEPT",
        *(() if isolated else ("LIBVIRT_FWI -d 172.17.0.0/16 -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",)),
        "LIBVIRT_FWI -o docker0 -j REJECT --reject-with icmp-port-unreachable",
        *(() if isolated else ("LIBVIRT_FWO -s 172.17.0.0/16 -i docker0 -j ACCEPT",)),
        "LIBVIRT_FWO -i docker0 -j REJECT --reject-with icmp-port-unreachable",
    ]
    nat = [
        "POSTROUTING -s 172.17.0.0/16 -d 224.0.0.0/24 -j RETURN",
        "POSTROUTING -s 172.17.0.0/16 -d 255.255.255.255/32 -j RETURN",
        "POSTROUTING -s 172.17.0.0/16 ! -d 172.17.0.0/16 -p tcp -j MASQUERADE --to-ports 1024-65535",
        "POSTROUTING -s 172.17.0.0/16 ! -d 172.17.0.0/16 -p udp -j MASQUERADE --to-ports 1024-65535",
        "POSTROUTING -s 172.17.0.0/16 ! -d 172.17.0.0/16 -j MASQUERADE",
        "POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE",
    ]
    return Loaded(table("nat", NAT, [], nat) + table("filter", FILTER, chains, rules), sysctls=BRIDGED if rng.random() < 0.5 else ())


SHAPES: tuple[Callable[[Random], Loaded], ...] = (
    service_proxy_iptables,
    service_proxy_nft,
    workload_policy,
    port_security,
    engine_iptables,
    simple_host,
    zones,
    bans,
    zone_pairs,
    virtual_networks,
)

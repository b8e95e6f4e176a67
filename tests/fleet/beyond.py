"""Other labs of hosts than `netprobe.lab.fleet`: one that publishes a port, and one whose underlay is routed by who nobody sees."""

from __future__ import annotations

from netprobe.lab import fleet
from netprobe.lab.fleet import TUNNEL, VNI, WIRE
from netprobe.lab.namespaces import HOST
from netprobe.lab.topology import Interface, LabBridge, LabFdbEntry, LabRoute, LabVxlan, Rules, Service, Sysctl, Topology, Veth

ALL = "00:00:00:00:00:00"


def published() -> Topology:
    """Two hosts that forward for their one container each; h2 publishes port 80 of its container as 8080."""
    links: list[object] = [LabBridge(Interface(WIRE, "br0"))]
    routes, sysctls, rules = [], [], []
    for number, name in enumerate(fleet.names(2), 1):
        home, inner = f"{name}:{HOST}", f"{name}:red"
        gateway = f"172.{16 + number}.0.1"
        cable = Veth(Interface(home, "eth0", (f"{fleet.underlay(number)}/24",)), Interface(WIRE, name, master="br0"))
        bridge = LabBridge(Interface(home, "br0", (f"{gateway}/24",)))
        links += [bridge, cable, Veth(Interface(inner, "eth0", (f"172.{16 + number}.0.2/24",)), Interface(home, "v-red", master="br0"))]
        routes.append(LabRoute(inner, via=gateway))
        sysctls.append(Sysctl(home, "net.ipv4.ip_forward", "1"))
        nat = f"-A POSTROUTING -s 172.{16 + number}.0.0/24 -o eth0 -j MASQUERADE"
        port = "-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80\n" if number == 2 else ""
        rules.append(Rules(home, "iptables", f"*nat\n{port}{nat}\nCOMMIT\n"))
    names = (WIRE, *(f"{name}:{inner}" for name in fleet.names(2) for inner in (HOST, "red")))
    return Topology(
        names, tuple(links), routes=tuple(routes), sysctls=tuple(sysctls), rules=tuple(rules), services=(Service("h2:red", "tcp", 80),),
    )  # type: ignore[arg-type]  # fmt: skip


def routed() -> Topology:
    """Two hosts in networks of their own, which `wire` joins as a router; their VXLAN goes through it."""
    links: list[object] = []
    routes, fdb = [], []
    for number, name in enumerate(fleet.names(2), 1):
        home, inner, router = f"{name}:{HOST}", f"{name}:red", f"10.{number}.0.1"
        links += [
            Veth(Interface(home, "eth0", (f"10.{number}.0.11/24",)), Interface(WIRE, name, (f"{router}/24",))),
            LabBridge(Interface(home, "br0", mtu=1450)),
            LabVxlan(Interface(home, TUNNEL, master="br0", mtu=1450), VNI, f"10.{number}.0.11"),
            Veth(Interface(inner, "eth0", (f"10.88.{number}.1/16",), mtu=1450), Interface(home, "v-red", master="br0", mtu=1450)),
        ]
        routes.append(LabRoute(home, via=router))
        fdb.append(LabFdbEntry(home, TUNNEL, ALL, f"10.{3 - number}.0.11"))
    names = (WIRE, *(f"{name}:{inner}" for name in fleet.names(2) for inner in (HOST, "red")))
    quiet = (Sysctl(name, "net.ipv6.conf.default.disable_ipv6", "1") for name in names)
    return Topology(
        names, tuple(links), routes=tuple(routes), fdb=tuple(fdb), sysctls=(Sysctl(WIRE, "net.ipv4.ip_forward", "1"), *quiet),
    )  # type: ignore[arg-type]  # fmt: skip


def bridged() -> Topology:
    """Two hosts whose uplink is a port of a bridge, and the container too: all stations are of one segment."""
    links: list[object] = [LabBridge(Interface(WIRE, "br0"))]
    for number, name in enumerate(fleet.names(2), 1):
        home, inner = f"{name}:{HOST}", f"{name}:red"
        links += [
            LabBridge(Interface(home, "br0", (f"{fleet.underlay(number)}/24",))),
            Veth(Interface(home, "eth0", master="br0"), Interface(WIRE, name, master="br0")),
            Veth(Interface(inner, "eth0", (f"192.168.77.{20 + number}/24",)), Interface(home, "v-red", master="br0")),
        ]
    names = (WIRE, *(f"{name}:{inner}" for name in fleet.names(2) for inner in (HOST, "red")))
    return Topology(names, tuple(links))  # type: ignore[arg-type]

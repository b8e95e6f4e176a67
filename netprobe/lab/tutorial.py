"""The tutorial's network: a namespace behind a bridge behind NAT, and two containers, with an `internet` that
owns 8.8.8.8.

The picture is `WIRING`; the values below it say the same to `build`.
"""

from __future__ import annotations

from .topology import Interface, LabBridge, LabRoute, Masquerade, Service, Sysctl, Topology, Veth

WIRING = """\
    red                  host                                   internet
    eth0 10.0.0.2/32 --- veth0 -------- br0 10.0.0.1/16
                                        eth0 203.0.113.2/24 --- eth0 203.0.113.1
    c1                                                          lo   8.8.8.8
    eth0 172.17.0.2 ---- veth4f1d2a6 -- docker0 172.17.0.1/16
    c2                                  |
    eth0 172.17.0.3 ---- veth9b03c7e ---'

    The host forwards, and masquerades what leaves through br0 and eth0.
    IPv6 runs beside: red is fd00:10::2, c1 and c2 are fd00:172:17::2 and ::3,
    and internet has 2001:4860:4860::8888.
"""

C1_PORT = "veth4f1d2a6"  # a name as Docker makes them: veth and seven hexadecimal digits
C2_PORT = "veth9b03c7e"

TUTORIAL = Topology(
    namespaces=("red", "internet", "c1", "c2"),
    links=(
        # A bridge without a MAC of its own takes its port's, as the tutorial's does. Said here, it is so from
        # the beginning.
        LabBridge(Interface("host", "br0", ("10.0.0.1/16", "fd00:10::1/64"), mac="02:00:0a:00:00:01")),
        LabBridge(
            Interface("host", "docker0", ("172.17.0.1/16", "fd00:172:17::1/64"), mac="02:42:ac:11:00:01")
        ),
        Veth(
            Interface("host", "veth0", master="br0", mac="02:00:0a:00:00:01"),
            Interface("red", "eth0", ("10.0.0.2/32", "fd00:10::2/64"), mac="02:00:0a:00:00:02"),
        ),
        Veth(
            Interface("host", "eth0", ("203.0.113.2/24", "fd00:203::2/64"), mac="02:00:cb:00:71:02"),
            Interface("internet", "eth0", ("203.0.113.1/24", "fd00:203::1/64"), mac="02:00:cb:00:71:01"),
        ),
        Veth(
            Interface("host", C1_PORT, master="docker0", mac="02:42:ac:11:00:f2"),
            Interface("c1", "eth0", ("172.17.0.2/16", "fd00:172:17::2/64"), mac="02:42:ac:11:00:02"),
        ),
        Veth(
            Interface("host", C2_PORT, master="docker0", mac="02:42:ac:11:00:f3"),
            Interface("c2", "eth0", ("172.17.0.3/16", "fd00:172:17::3/64"), mac="02:42:ac:11:00:03"),
        ),
    ),
    loopback=(Interface("internet", "lo", ("8.8.8.8/32", "2001:4860:4860::8888/128")),),
    routes=(
        # 10.0.0.2/32 has no neighbours, so no route leads to 10.0.0.1 and the kernel refuses it as a gateway
        # unless told: onlink.
        LabRoute("red", via="10.0.0.1", device="eth0", onlink=True),
        LabRoute("red", via="fd00:10::1", device="eth0"),
        LabRoute("c1", via="172.17.0.1", device="eth0"),
        LabRoute("c1", via="fd00:172:17::1", device="eth0"),
        LabRoute("c2", via="172.17.0.1", device="eth0"),
        LabRoute("c2", via="fd00:172:17::1", device="eth0"),
        LabRoute("host", via="203.0.113.1", device="eth0"),
        LabRoute("host", via="fd00:203::1", device="eth0"),
    ),
    sysctls=(Sysctl("host", "net.ipv4.ip_forward", "1"), Sysctl("host", "net.ipv6.conf.all.forwarding", "1")),
    masquerade=(Masquerade("host", "br0"), Masquerade("host", "eth0")),
    services=(
        Service("c2", "tcp", 80),
        Service("c2", "udp", 53),
        Service("internet", "tcp", 80),
        Service("internet", "udp", 53),
    ),
)

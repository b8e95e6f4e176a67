"""Programs of Debian that write rulesets, and what they are told to write for the tutorial's host.

Each script is run with the programs of an unpacked root (`machine`), in the host's network namespace. What a program writes is not kept.
"""

from __future__ import annotations

from firewalls import ARNO, FAIL2BAN, FERM, FIREHOL, FIREWALLD, SHOREWALL, SSHGUARD, UFW
from questions import C1, C2, FAR, P1, P2, RED, Probe
from writers import AWAIT, BASE, BRIDGE, OUTSIDE, SERVE_DBUS, Writer, published, server

PACKAGES = (
    *BASE, "ufw", "firewalld", "dbus", "shorewall", "ferm", "fail2ban", "arno-iptables-firewall", "firehol",
    "sshguard", "lxc", "netavark", "containernetworking-plugins", "sshuttle", "nftlb", "filtergen", "pyroman", "apf-firewall", "net-tools",
)  # fmt: skip


def lxc(name: str, settings: str) -> Writer:
    """The bridge of the containers is LXC's own, in the place of the other one."""
    script = f"""
ip link del docker0
cat >/etc/default/lxc-net <<EOF
USE_LXC_BRIDGE=true
LXC_ADDR={BRIDGE}
LXC_NETMASK=255.255.0.0
LXC_NETWORK=172.17.0.0/16
LXC_DHCP_RANGE=172.17.9.2,172.17.9.9
{settings}
EOF
/usr/libexec/lxc/lxc-net start
for port in {P1} {P2}; do ip link set $port master lxcbr0; done
"""
    return Writer(f"lxc-{name}", script, (Probe("c1", BRIDGE, "tcp", 53), Probe("c1", RED)))


LXC = (lxc("nft", "LXC_USE_NFT=true"), lxc("iptables", "LXC_USE_NFT=false"))


def netavark(name: str, network: str, ports: str = "", *probes: Probe) -> Writer:
    """A container engine's network, whose container is c2."""
    script = f"""
cat >/tmp/net.json <<EOF
{{"container_id": "0123456789abcdef", "container_name": "web", "port_mappings": [{ports}],
 "networks": {{"pods": {{"static_ips": ["10.88.0.2"], "interface_name": "pod0"}}}},
 "network_info": {{"pods": {{"name": "pods", "id": "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
  "driver": "bridge", "network_interface": "podman1", "subnets": [{{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}}],
  "ipv6_enabled": false, "dns_enabled": false, {network}, "ipam_options": {{"driver": "host-local"}}}}}}}}
EOF
ip netns exec c2 ip route del default
mkdir /run/netavark
/usr/lib/podman/netavark --config /run/netavark setup /run/netns/c2 </tmp/net.json
"""
    return Writer(f"netavark-{name}", script, (Probe("c2", FAR), Probe("red", "10.88.0.2", "tcp", 80), *probes))


PORT = '{"host_port": 8080, "container_port": 80, "protocol": "tcp", "range": 1, "host_ip": ""}'
NETAVARK = (
    netavark("published", '"internal": false, "options": {}', PORT, *published()),
    netavark("isolated", '"internal": false, "options": {"isolate": "true"}', "", Probe("c2", C1)),
)


def cni(name: str, bridge: str, *plugins: str, probes: tuple[Probe, ...] = ()) -> Writer:
    """The reference plugins, one after the other as a runtime would call them, for c2."""
    conf = f"""'{{"cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "cni0", "isGateway": true, {bridge},
 "ipam": {{"type": "host-local", "subnet": "10.89.0.0/24", "routes": [{{"dst": "0.0.0.0/0"}}]}}}}'"""
    calls = "\n".join(
        f"""
printf '%s' "$result" | python3 -c 'import json, sys
plugin = json.loads(sys.argv[1]); print(json.dumps(plugin | {{"cniVersion": "0.4.0", "name": "pods", "prevResult": json.load(sys.stdin)}}))
' '{plugin}' >/tmp/conf
result=$(/usr/lib/cni/$(python3 -c 'import json; print(json.load(open("/tmp/conf"))["type"])') </tmp/conf)"""
        for plugin in plugins
    )
    script = f"""
export CNI_COMMAND=ADD CNI_CONTAINERID=web CNI_NETNS=/run/netns/c2 CNI_IFNAME=pod0 CNI_PATH=/usr/lib/cni
ip netns exec c2 ip route del default
result=$(printf '%s' {conf} | /usr/lib/cni/bridge)
{calls}
"""
    return Writer(f"cni-{name}", script, (Probe("c2", FAR), Probe("red", "10.89.0.2", "tcp", 80), *probes))


PORTMAP = (
    '{"type": "portmap", "capabilities": {"portMappings": true}, "snat": true, '
    '"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}'
)
CNI = (
    cni("plain", '"ipMasq": true'),
    cni("portmap", '"ipMasq": true', PORTMAP, probes=published()),
    cni("firewall", '"ipMasq": true, "hairpinMode": true', PORTMAP, '{"type": "firewall", "backend": "iptables"}', probes=published()),
)


def sshuttle(method: str, *probes: Probe) -> Writer:
    """The half of sshuttle that runs as root: it is told over a socket what to lead into the tunnel, and takes all back when that ends."""
    script = f"""
exec python3 - <<EOF
import socket, subprocess
near, far = socket.socketpair()
child = subprocess.Popen(["sshuttle", "--method", "{method}", "--firewall"], stdin=far, stdout=far)
with near.makefile("rw") as talk:
    talk.readline()
    talk.write("ROUTES\\n2,24,0,203.0.113.0,0,0\\n2,32,0,8.8.8.8,80,80\\n2,32,1,203.0.113.1,0,0\\n")
    talk.write("NSLIST\\nPORTS 0,12300,0,0\\nGO 0 - 0x01 1\\n")
    talk.flush()
    assert talk.readline() == "STARTED\\n"
    child.kill()
EOF
"""
    return Writer(f"sshuttle-{method}", script, probes)


SSHUTTLE = (
    sshuttle("nat", Probe("host", FAR, "tcp", 80), Probe("host", "203.0.113.1", "tcp", 80)),
    sshuttle("nft", Probe("host", FAR, "tcp", 80), Probe("host", FAR, "udp", 53)),
)


def nftlb(name: str, farm: str) -> Writer:
    script = f"""
cat >/tmp/farms.json <<EOF
{{"farms": [{{"name": "web", "family": "ipv4", "virtual-addr": "{OUTSIDE}", "virtual-ports": "8080", "protocol": "tcp", "state": "up",
 "log": "none", "backends": [{{"name": "one", "ip-addr": "{C2}", "port": "80", "weight": "5", "priority": "1", "state": "up"}}], {farm}}}]}}
EOF
nftlb -e -c /tmp/farms.json
"""
    return Writer(f"nftlb-{name}", script, published())


NFTLB = (
    nftlb("dnat", '"mode": "dnat", "scheduler": "rr"'),
    nftlb("snat", '"mode": "snat", "scheduler": "weight"'),
)

FILTERGEN = tuple(
    Writer(
        f"filtergen-{example}",
        f"cd /usr/share/doc/filtergen/examples\nsed 's/eth1/br0/g' {example}.filter >/tmp/x.filter\n"
        "filtergen -o /tmp/x.sh /tmp/x.filter\nsh /tmp/x.sh",
        server(22),
    )
    for example in ("host-sample", "router-sample", "proxy-fw-sample")
)

PYROMAN = (Writer("pyroman-base", "pyroman --safe=0 || pyroman", server(80)),)

EXAMPLES = tuple(
    Writer(
        f"nft-{example}",
        "cp -r /usr/share/doc/nftables/examples /tmp/x && cd /tmp/x\n"
        f"sed -i 's/eth1/br0/g; s/eth2/docker0/g; s/eth3/veth0/g; s/bond0/br0/g; s/bond1/docker0/g' {example}.nft\n"
        f"nft add table filter\nnft -I /tmp/x -f {example}.nft",
        server(22),
    )
    for example in ("workstation", "overview", "sets_and_maps", "nat")
)

APF = (
    Writer(
        "apf",
        """
touch /etc/crontab
cat >>/etc/apf-firewall/conf.apf <<EOF
DEVEL_MODE="0"
SET_MONOKERN="1"
IFACE_IN="eth0"
IFACE_OUT="eth0"
IFACE_TRUSTED="br0"
IG_TCP_CPORTS="22,80"
EOF
apf --start
""",
        server(80),
    ),
)

VIRTUAL_PACKAGES = (*BASE, "libvirt-daemon", "libvirt-daemon-config-nwfilter", "libvirt-clients", "dnsmasq-base")


def libvirt(name: str, commands: str, *probes: Probe) -> Writer:
    """libvirt's daemon without a hypervisor."""
    script = f"""
cd /usr/lib/x86_64-linux-gnu/libvirt/connection-driver
rm -f libvirt_driver_qemu.so libvirt_driver_nodedev.so libvirt_driver_storage.so
mkdir -p /etc/libvirt/nwfilter
cp /usr/share/libvirt/nwfilter/* /etc/libvirt/nwfilter/
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
printf 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n' >/etc/libvirt/libvirtd.conf
libvirtd -f /etc/libvirt/libvirtd.conf >/tmp/log 2>&1 &
{AWAIT.format("virsh -c network:///system net-list")}
{commands}
"""
    return Writer(f"libvirt-{name}", script, probes)


def guests(name: str, forward: str) -> Writer:
    """A network whose guests are the containers, in the place of their own bridge."""
    commands = f"""
ip link del docker0
cat >/tmp/net.xml <<EOF
<network><name>guests</name><bridge name="virbr0" stp="off"/>{forward}<ip address="{BRIDGE}" netmask="255.255.0.0"/></network>
EOF
virsh -c network:///system net-create /tmp/net.xml
for port in {P1} {P2}; do ip link set $port master virbr0; done
"""
    return libvirt(name, commands, Probe("c1", BRIDGE, "tcp", 53), Probe("c1", RED), Probe("c1", FAR))


def filtered(name: str, filters: str, address: str = C1, mac: str = "02:42:ac:11:00:02", before: str = "") -> Writer:
    """Filters on the port of c1."""
    commands = f"""
{before}
cat >/tmp/binding.xml <<EOF
<filterbinding><owner><name>c1</name><uuid>d54df46f-1ab5-4a22-8618-4560ef5fac2c</uuid></owner><portdev name="{P1}"/>
<mac address="{mac}"/><filterref filter="{filters}"><parameter name="IP" value="{address}"/></filterref></filterbinding>
EOF
virsh -c nwfilter:///system nwfilter-binding-create /tmp/binding.xml
"""
    return libvirt(name, commands, Probe("c1", FAR), Probe("c2", C1), Probe("c1", BRIDGE), Probe("c1", C2, "udp", 53))


OWN_FILTER = """
sysctl -qw net.bridge.bridge-nf-call-iptables=1
cat >/tmp/filter.xml <<EOF
<filter name="own" chain="root">
 <rule action="accept" direction="out" priority="100"><tcp dstportstart="80"/></rule>
 <rule action="accept" direction="out" priority="110"><icmp type="8"/></rule>
 <rule action="accept" direction="in" priority="120"><icmp type="8"/></rule>
 <rule action="drop" direction="inout" priority="500"><all/></rule>
</filter>
EOF
virsh -c nwfilter:///system nwfilter-define /tmp/filter.xml
"""
LIBVIRT = (
    guests("nat", '<forward mode="nat"/>'),
    guests("routed", '<forward mode="route" dev="eth0"/>'),
    guests("isolated", ""),
    filtered("clean", "clean-traffic"),
    filtered("spoofed", "no-ip-spoofing", address="172.17.0.9"),
    filtered("other-mac", "clean-traffic", mac="02:42:ac:11:00:99"),
    filtered("own", "own", before=OWN_FILTER),
)

NETWORK_MANAGER = (
    Writer(
        "networkmanager-shared",
        f"""
{SERVE_DBUS}
printf '[main]\\nplugins=keyfile\\n[keyfile]\\nunmanaged-devices=*,except:interface-name:nmbr0\\n' >/etc/NetworkManager/NetworkManager.conf
NetworkManager --no-daemon >/tmp/log 2>&1 &
{AWAIT.format("nmcli general status")}
ip link del docker0
nmcli connection add type bridge con-name shared ifname nmbr0 bridge.stp no \\
 ipv4.method shared ipv4.addresses {BRIDGE}/16 ipv6.method disabled
{AWAIT.format("(nft list ruleset; iptables-save) | grep -qi masquerade")}
for port in {P1} {P2}; do ip link set $port master nmbr0; done
""",
        (Probe("c1", BRIDGE, "tcp", 53), Probe("c1", RED)),
    ),
)

GROUPS: tuple[tuple[str, tuple[str, ...], tuple[Writer, ...]], ...] = (
    (
        "bookworm",
        PACKAGES,
        (
            *UFW, *FIREWALLD, *SHOREWALL, *FERM, *FAIL2BAN, *ARNO, *FIREHOL, *SSHGUARD, *LXC, *NETAVARK, *CNI, *SSHUTTLE, *NFTLB,
            *FILTERGEN, *PYROMAN, *EXAMPLES, *APF,
        ),
    ),
    ("bookworm", VIRTUAL_PACKAGES, LIBVIRT),
    ("bookworm", (*BASE, "network-manager", "dbus", "dnsmasq-base"), NETWORK_MANAGER),
    # whose programs write rules of nft where those before wrote iptables'
    ("trixie", (*BASE, "python3", "netavark", "containernetworking-plugins"), (*NETAVARK, *CNI)),
    ("trixie", (*VIRTUAL_PACKAGES, "libvirt-daemon-driver-network", "libvirt-daemon-driver-nwfilter"), LIBVIRT),
)  # fmt: skip
"""The release, and the packages of it to unpack together, and what their programs are to write."""

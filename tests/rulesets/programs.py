"""Programs of Debian that write rulesets, and what they are told to write for the tutorial's host.

Each script is run with the programs of an unpacked root (`machine`), in the host's network namespace. What a program writes is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from shapes import C1, C2, FAR, P1, P2, RED, Probe

OUTSIDE, INSIDE, BRIDGE = "203.0.113.2", "10.0.0.1", "172.17.0.1"

BASE = (
    "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "gawk", "grep", "gzip", "hostname", "libc-bin", "perl-base",
    "sed", "util-linux", "iptables", "nftables", "ipset", "ebtables", "iproute2", "procps", "kmod", "netbase",
)  # fmt: skip
PACKAGES = (
    *BASE, "ufw", "firewalld", "dbus", "shorewall", "ferm", "fail2ban", "arno-iptables-firewall", "firehol",
    "sshguard", "lxc", "netavark", "containernetworking-plugins", "sshuttle", "nftlb", "filtergen", "pyroman", "apf-firewall", "net-tools",
)  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """A program at work: a shell script, and what to ask afterwards beside the usual; `legacy`: its iptables is the old engine's."""

    name: str
    script: str
    probes: tuple[Probe, ...] = ()
    legacy: bool = False


def published(port: int = 8080) -> tuple[Probe, ...]:
    """A port of the host that leads to a station, asked from all sides."""
    return tuple(Probe(who, OUTSIDE, "tcp", port) for who in ("internet", "red", "c1", "c2", "host"))


def server(port: int, protocol: str = "tcp") -> tuple[Probe, ...]:
    """A port of the host itself."""
    return tuple(Probe(who, where, protocol, port) for who, where in (("red", INSIDE), ("c1", BRIDGE), ("internet", OUTSIDE)))


def ufw(name: str, commands: str, *probes: Probe, legacy: bool = False, before: str = "") -> Writer:
    script = f"""
cp /usr/share/ufw/iptables/*.rules /etc/ufw/
cp /usr/share/ufw/ufw.conf /etc/ufw/
{before}
ufw --force enable
{commands}
"""
    return Writer(f"ufw-{name}", script, probes, legacy)


UFW = (
    ufw("default", "ufw allow 22/tcp", *server(22)),
    ufw(
        "routed",
        f"""
ufw route allow in on br0 out on eth0
ufw route allow proto tcp from any to {C2} port 80
ufw route reject in on docker0 out on eth0
ufw allow from 10.0.0.0/16
""",
        *server(80),
    ),
    ufw("limited", f"ufw default reject incoming\nufw limit 22/tcp\nufw insert 1 deny from {C1}\nufw logging high", *server(22)),
    ufw(
        "translating",
        "ufw default allow routed\nufw allow 80/tcp",
        *published(),
        before=f"""
cat - /etc/ufw/before.rules >/tmp/rules <<EOF
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination {C2}:80
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
COMMIT
EOF
cp /tmp/rules /etc/ufw/before.rules
""",
    ),
    ufw("silent", "ufw default deny outgoing\nufw allow out 53/udp\nufw allow out on docker0\nufw allow in on br0", legacy=True),
    ufw("old", f"ufw default allow routed\nufw deny from {RED} to any port 80\nufw allow 80,443/tcp", *server(80), legacy=True),
)

SERVE_DBUS = "mkdir -p /run/dbus\ndbus-daemon --system --fork --nopidfile\n"
AWAIT = 'n=0\nuntil {0}; do n=$((n + 1)); [ "$n" -lt 200 ] || exit 9; sleep 0.1; done\n'


def firewalld(name: str, zones: str, *probes: Probe, backend: str = "nftables", afterwards: str = "") -> Writer:
    script = f"""
sed -i 's/^FirewallBackend=.*/FirewallBackend={backend}/' /etc/firewalld/firewalld.conf
tell() {{ firewall-offline-cmd "$@"; }}
{zones}
{SERVE_DBUS}
firewalld --nofork --nopid &
{AWAIT.format("firewall-cmd --state")}
{afterwards}
"""
    return Writer(f"firewalld-{name}", script, probes)


ZONES = "tell --zone=public --add-interface=eth0\ntell --zone=internal --add-interface=br0\ntell --zone=trusted --add-interface=docker0\n"
FIREWALLD = (
    firewalld("zones", ZONES + "tell --zone=public --add-masquerade\ntell --zone=public --add-service=http", *server(80)),
    firewalld(
        "closed",
        "tell --zone=drop --add-interface=eth0\ntell --zone=block --add-interface=br0\ntell --zone=home --add-interface=docker0\n"
        "tell --zone=home --add-port=80/tcp\ntell --zone=home --add-forward",
        *server(80),
    ),
    firewalld(
        "policies",
        ZONES
        + """
tell --new-policy=out
tell --policy=out --add-ingress-zone=internal
tell --policy=out --add-egress-zone=public
tell --policy=out --set-target=ACCEPT
tell --policy=out --add-masquerade
tell --new-policy=across
tell --policy=across --add-ingress-zone=trusted
tell --policy=across --add-egress-zone=internal
tell --policy=across --set-target=DROP
""",
        Probe("c1", RED),
    ),
    firewalld(
        "rich",
        ZONES
        + f"""
tell --zone=internal --add-rich-rule='rule family="ipv4" source address="{RED}" port port="80" protocol="tcp" reject type="tcp-reset"'
tell --zone=internal --add-rich-rule='rule protocol value="icmp" drop'
tell --zone=public --add-forward-port=port=8080:proto=tcp:toport=80:toaddr={C2}
tell --zone=public --add-icmp-block=echo-request
tell --set-log-denied=all
""",
        *server(80),
        *published(),
    ),
    firewalld(
        "sets",
        ZONES
        + f"""
tell --new-ipset=bad --type=hash:ip
tell --ipset=bad --add-entry={RED}
tell --ipset=bad --add-entry=198.51.100.9
tell --zone=drop --add-source=ipset:bad
""",
        *server(80),
    ),
    firewalld(
        "iptables", ZONES + "tell --zone=public --add-masquerade\ntell --zone=internal --add-port=80/tcp", *server(80), backend="iptables"
    ),
    firewalld(
        "direct",
        ZONES
        + f"tell --direct --add-rule ipv4 filter FORWARD 0 -s {RED} -p icmp -j DROP\n"
        + f"tell --direct --add-rule ipv4 nat PREROUTING 0 -i eth0 -p tcp --dport 8080 -j DNAT --to-destination {C2}:80",
        *published(),
        backend="iptables",
    ),
    firewalld("panic", ZONES, afterwards="firewall-cmd --panic-on"),
)


def shorewall(example: str, commands: str, *probes: Probe, name: str = "", legacy: bool = False) -> Writer:
    script = f"""
cp /usr/share/doc/shorewall/examples/{example}/* /etc/shorewall/
cd /etc/shorewall
sed -i 's/STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/; s/^DOCKER=.*/DOCKER=No/' shorewall.conf
sed -i 's/physical=eth1/physical=br0/; s/physical=eth2/physical=docker0/; s/,dhcp//; s/dhcp,//' interfaces
{commands}
shorewall start
"""
    return Writer(f"shorewall-{name or example}", script, probes, legacy)


SHOREWALL = (
    shorewall("one-interface", "echo 'ACCEPT net fw tcp 80' >>rules", *server(80)),
    shorewall("two-interfaces", "", Probe("red", INSIDE, "tcp", 22)),
    shorewall(
        "three-interfaces",
        f"echo 'DNAT net dmz:{C2}:80 tcp 8080' >>rules\necho 'REJECT loc net tcp 80' >>rules\necho 'Ping(ACCEPT) dmz loc' >>rules",
        *published(),
        Probe("c1", RED),
    ),
    shorewall(
        "three-interfaces",
        f"sed -i 's/DROP.*$/REJECT/' policy\necho 'DROP:info loc:{RED} fw icmp 8' >>rules\necho 'Web(ACCEPT) loc fw' >>rules",
        *server(80),
        name="rejecting",
        legacy=True,
    ),
    shorewall("Universal", "echo 'ACCEPT net fw icmp 8' >>rules"),
)


def ferm(example: str, edit: str = "", *probes: Probe, legacy: bool = False) -> Writer:
    script = f"""
mkdir -p /run/x && cp -r /usr/share/doc/ferm/examples/. /run/x && cd /run/x
sed -i 's/ppp0/eth0/g; s/eth1/br0/g; s/eth2/docker0/g; {edit}' {example}.ferm
ferm {example}.ferm
"""
    return Writer(f"ferm-{example}", script, probes, legacy)


FERM = (
    ferm("workstation", "", *server(22)),
    ferm("webserver", "", *server(80)),
    ferm("fileserver", "", *server(445), legacy=True),
    ferm("mailserver", "s/imap3/220/", *server(25)),
    ferm("dmz_router"),
    ferm("dsl_router", "", *published(80)),
)


def fail2ban(action: str, banned: str, more: str = "", legacy: bool = False, port: str = "80,22") -> Writer:
    script = f"""
mkdir -p /run/fail2ban /var/log
touch /var/log/auth.log
cat >/etc/fail2ban/jail.local <<EOF
[DEFAULT]
backend = polling
banaction = {action}
{more}
[sshd]
enabled = true
logpath = /var/log/auth.log
port = {port}
EOF
fail2ban-client start
fail2ban-client set sshd banip {banned} 192.0.2.77
sleep 1
"""
    name = f"fail2ban-{action}{'-legacy' if legacy else ''}"
    return Writer(name, script, (*server(80), *server(9), Probe("red", INSIDE)), legacy)


FAIL2BAN = (
    fail2ban("iptables-multiport", RED),
    fail2ban("iptables-allports", C1, "blocktype = DROP"),
    fail2ban("nftables-multiport", RED),
    fail2ban("nftables-allports", C1),
    fail2ban("iptables-ipset-proto6", RED),
    fail2ban("iptables-multiport", "203.0.113.1", "chain = FORWARD", legacy=True),
)


def arno(name: str, settings: str, *probes: Probe, legacy: bool = False) -> Writer:
    script = f"""
cat >/etc/arno-iptables-firewall/conf.d/99local.conf <<EOF
EXT_IF="eth0"
INT_IF="br0 docker0"
INTERNAL_NET="10.0.0.0/16 172.17.0.0/16"
EXT_IF_DHCP_IP=0
{settings}
EOF
arno-iptables-firewall start || true  # it minds a sysctl that the kernel has not
"""
    return Writer(f"arno-{name}", script, probes, legacy)


ARNO = (
    arno("nat", 'NAT=1\nNAT_INTERNAL_NET="10.0.0.0/16"\nOPEN_TCP="22"\nOPEN_ICMP=1', *server(22)),
    arno("forward", f'NAT=1\nNAT_INTERNAL_NET="10.0.0.0/16 172.17.0.0/16"\nNAT_FORWARD_TCP="8080>{C2}~80"', *published()),
    arno("strict", f'NAT=0\nOPEN_TCP="80"\nHOST_DENY_TCP="{RED}~80"\nLAN_INET_DENY_UDP="53"\nDROP_PRIVATE_ADDRESSES=1', *server(80)),
)


def firehol(name: str, text: str, *probes: Probe, legacy: bool = False) -> Writer:
    script = f"""
cat >/etc/firehol/firehol.conf <<EOF
version 6
{text}
EOF
sed -i 's/START_FIREHOL=.*/START_FIREHOL=YES/' /etc/default/firehol 2>/dev/null || true
firehol start
"""
    return Writer(f"firehol-{name}", script, probes, legacy)


FIREHOL = (
    firehol(
        "gateway",
        """
interface eth0 world
  protection strong
  policy drop
  server ssh accept
  client all accept
interface "br0 docker0" lan
  policy reject
  server "http icmp" accept
  client all accept
router out inface br0 outface eth0
  masquerade
  route all accept
router back inface docker0 outface eth0
  route dns accept
""",
        *server(80),
    ),
    firehol(
        "forwarding",
        f"""
dnat4 to {C2}:80 inface eth0 proto tcp dport 8080
interface any host
  policy accept
router4 in inface eth0 outface docker0
  server http accept dst {C2}
router lan inface br0 outface eth0
  masquerade
  client "http ping" accept
router between inface br0 outface docker0
  server http deny
""",
        *published(),
        legacy=True,
    ),
    firehol(
        "blacklist",
        f"""
ipset4 create bad hash:ip
ipset4 add bad {RED}
ipset4 add bad 198.51.100.7
blacklist4 full ipset:bad
interface any host
  policy accept
router all
  policy accept
""",
    ),
)


def sshguard(backend: str, blocked: str, protection: str = "") -> Writer:
    """The backend reads what to block, and takes all back when it ends by itself."""
    script = f"""
{protection}
mkfifo /tmp/in
/usr/libexec/sshguard/sshg-fw-{backend} </tmp/in &
exec 3>/tmp/in
printf 'block {blocked} 4 32\\nblock 192.0.2.0 4 24\\n' >&3
{AWAIT.format(f"(nft list ruleset; ipset list) | grep -q {blocked}")}
kill -KILL $!
"""
    return Writer(f"sshguard-{backend}", script, server(80))


IPTABLES_GUARD = "iptables -N sshguard\nip6tables -N sshguard\niptables -I INPUT -j sshguard\niptables -I FORWARD -j sshguard\n"
SSHGUARD = (
    sshguard("nft-sets", RED),
    sshguard("iptables", C1, IPTABLES_GUARD),
    sshguard("ipset", RED, "iptables -I INPUT -m set --match-set sshguard4 src -j DROP 2>/dev/null || ipset create sshguard4 hash:net\n"
             "iptables -I INPUT -m set --match-set sshguard4 src -j DROP"),
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
/usr/lib/podman/netavark setup /run/netns/c2 </tmp/net.json
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
rm libvirt_driver_qemu.so libvirt_driver_nodedev.so libvirt_driver_storage.so
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

GROUPS: tuple[tuple[tuple[str, ...], tuple[Writer, ...]], ...] = (
    (
        PACKAGES,
        (
            *UFW, *FIREWALLD, *SHOREWALL, *FERM, *FAIL2BAN, *ARNO, *FIREHOL, *SSHGUARD, *LXC, *NETAVARK, *CNI, *SSHUTTLE, *NFTLB,
            *FILTERGEN, *PYROMAN, *EXAMPLES, *APF,
        ),
    ),
    (VIRTUAL_PACKAGES, LIBVIRT),
)  # fmt: skip
"""The packages to unpack together, and what their programs are to write."""

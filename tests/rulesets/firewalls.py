"""Firewalls and guards of Debian, and what they are told to write for the tutorial's host."""

from __future__ import annotations

from questions import C1, C2, RED, Probe
from writers import AWAIT, INSIDE, SERVE_DBUS, Writer, published, server


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

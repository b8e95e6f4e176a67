"""The numbers by which headers name each other, as the filter and the dissector both need them."""

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
VLAN_TYPES = (0x8100, 0x88A8)
TRANSPARENT_ETHERNET = 0x6558  # a whole frame inside GRE or GENEVE
# ARPHRD_ETHER, ARPHRD_LOOPBACK: the devices whose frames begin with an Ethernet header
ETHERNET_DEVICES = (1, 772)
VXLAN_PORTS = (4789, 8472)  # IANA's, and the kernel's old default that flannel uses
GENEVE_PORT = 6081
ERRORS = (3, 4, 5, 11, 12)  # ICMP types that quote a packet (RFC 792)
ERRORS_V6 = (1, 2, 3, 4)  # RFC 4443
NEIGHBOUR_DISCOVERY = (135, 136)
IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: next header, length in 8 bytes - 1
IPV6_FRAGMENT = 44

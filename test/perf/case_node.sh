#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client's pod and a server's pod of one node: node_l7.py does the rest. For the path that kube-proxy would make the server
# has a second interface on another subnet, so that both directions pass the node and its address translation.
. "$(dirname "$0")/peers.sh"
. "$(dirname "$0")/../lib/net.sh"

pod_add client
pod_add server
ip link add br1 type bridge forward_delay 0 mcast_snooping 0
ip addr add 10.245.0.254/24 dev br1
ip link add veth-s1 type veth peer name eth1 netns server
ip link set br1 up
ip link set veth-s1 master br1 up
ip -n server link set eth1 up
ip -n server addr add 10.245.0.2/24 dev eth1
ip -n server rule add from 10.245.0.2 lookup 100
ip -n server route add 10.245.0.0/24 dev eth1 table 100
ip -n server route add default via 10.245.0.254 table 100
for f in all eth1; do nsenter --net=/run/netns/server sysctl -qw "net.ipv4.conf.$f.rp_filter=0"; done
nft -f - <<-NFT
	table ip weft_bench {
		chain services { type nat hook prerouting priority dstnat; ip daddr 10.97.0.10 tcp dport 80 dnat to 10.245.0.2:9001; }
	}
NFT

python3 "$SRC/test/perf/node_l7.py" --build "$B" --scratch "$T" --cgroup "$CG"

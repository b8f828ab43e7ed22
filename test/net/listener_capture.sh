#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the client wanted to go, before nftables sent it to a listener: the example of docs/listeners.md as it stands, by
# redirect, and by tproxy for TCP, UDP and IPv6.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

# A block of the page's section on capture.
block() {
	awk -v lang="\`\`\`$1" '/^## /{ here = $0 == "## Capture" } !here { next } $0 == lang { on = 1; next } /^```$/ { on = 0 } on' \
		"$SRC/docs/listeners.md"
}
pod_add client
{
	echo 'kernel: {mode: "off"}'
	echo 'workers: 2'
	block yaml
} > "$T/weft.yaml"
block nft | nft -f - || skip "no nftables here"
# shellcheck disable=SC1090
. <(block sh)
# Bridged packets are shown to IP's hooks where br_netfilter is loaded; doctor tells.
doctor() { "$B/weft" doctor | grep 'transparent sockets'; }
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
	sysctl -qw net.bridge.bridge-nf-call-iptables=1
	like "$(doctor)" "NO .*bridge-nf-call-iptables is 1" "doctor: tproxy and br_netfilter"
	sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
fi
like "$(doctor)" "^ *yes" "doctor: tproxy"

for i in 1 2; do
	bg "host$i.log" python3 -c "
import socket, threading
l = socket.create_server(('127.0.0.1', 900$i)); print('ready', flush=True)
while True:
    s, _ = l.accept(); s.sendall(b'$i'); s.close()"
	wait_line 20 "$T/host$i.log" ready
done
bg dns.log python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 9053)); print('ready', flush=True)
while True:
    data, who = s.recvfrom(2000); s.sendto(b'dns ' + data, who)"
wait_line 20 "$T/dns.log" ready
weftd_start
ask() { in_pod client python3 -c "
import socket
try:
    s = socket.create_connection(('$1', $2), 60)
    assert s.getpeername()[:2] == ('$1', $2)
    print(s.recv(1).decode() or 'FIN')
except ConnectionResetError: print('RST')"; }
is "$(ask 10.99.0.1 80)" 1 "redirect: address and port"
is "$(ask 10.99.0.1 81)" 2 "redirect: another port"
is "$(ask 10.99.0.9 80)" 2 "redirect: another address"
is "$(ask 10.244.0.254 7001)" RST "who dials the listener itself is in neither rule"
is "$(ask 10.99.1.1 80)" 1 "tproxy: address and port"
is "$(ask 10.99.1.1 81)" 2 "tproxy: another port"
is "$(ask 10.99.1.9 80)" 2 "tproxy: another address"
is "$(ask fd00:99::1 80)" 2 "tproxy: IPv6"
is "$(ask 10.244.0.254 7002)" RST "tproxy: who dials the listener itself is in neither rule"

# Answers come from the address that was asked: a connected socket takes no others.
is "$(in_pod client python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(60); s.connect(('10.99.1.1', 53))
s.send(b'who'); print(s.recv(100).decode())")" "dns who" "tproxy: UDP, and the answer comes from the address that was asked"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the client wanted to go, before nftables sent it to the listener by redirect.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

pod_add client
cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- name: redirected
  address: 0.0.0.0:7001
  protocol: tcp
  capture: redirect
  rules: [{destinations: [10.99.0.1], port: 80, backends: [{cluster: a}]}, {destinations: [10.99.0.0/24], backends: [{cluster: b}]}]
clusters:
- {name: a, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: b, endpoints: [{address: "127.0.0.1:9002"}]}
YAML
nft -f - <<'NFT' || skip "no nftables here"
table ip t {
	chain nat { type nat hook prerouting priority dstnat; ip daddr 10.99.0.0/24 tcp dport 1-65535 redirect to :7001; }
}
NFT
for i in 1 2; do
	bg "host$i.log" python3 -c "
import socket, threading
l = socket.create_server(('127.0.0.1', 900$i)); print('ready', flush=True)
while True:
    s, _ = l.accept(); s.sendall(b'$i'); s.close()"
	wait_line 20 "$T/host$i.log" ready
done
weftd_start
ask() { in_pod client python3 -c "
import socket
try:
    s = socket.create_connection(('$1', $2), 20)
    print(s.recv(1).decode() or 'FIN')
except ConnectionResetError: print('RST')"; }
is "$(ask 10.99.0.1 80)" 1 "redirect: address and port"
is "$(ask 10.99.0.1 81)" 2 "redirect: another port"
is "$(ask 10.99.0.9 80)" 2 "redirect: another address"
is "$(ask 10.244.0.254 7001)" RST "who dials the listener itself is in neither rule"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A service with routes: connect() of a client on the node is sent to the proxy, which routes each request; while there
# is no proxy the fail mode decides, in the kernel.
. "$(dirname "$0")/../lib/net.sh"

D=$T/services.d
mkdir "$D"
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workers: 2
registries: [{name: files, type: file, path: $D}]
routes:
- name: shop
  hosts: ["*"]
  rules:
  - {matches: [{path: {type: PathPrefix, value: /b}}], backends: [{cluster: b}]}
  - {backends: [{cluster: a}]}
clusters:
- {name: a, endpoints: [{address: "127.0.0.1:9001"}, {address: "[::1]:9001"}]}
- {name: b, endpoints: [{address: "127.0.0.1:9002"}, {address: "[::1]:9002"}]}
YAML
services() {
	write_file "$D/services.yaml" <<-YAML
	services:
	- {name: shop, addresses: [10.96.0.10, "fd00:96::10"], ports: [{port: 80}], cluster: a, routes: [shop]}
	- {name: safe, addresses: [10.96.0.11], ports: [{port: 80}], cluster: a, routes: [shop], failMode: closed}
	- {name: plain, addresses: [10.96.0.12], ports: [{port: 80}], cluster: b}
	$1
	YAML
}
bg host.log python3 "$SRC/test/lib/l7_hosts.py" 127.0.0.1 9001 a ::1 9001 a 127.0.0.1 9002 b ::1 9002 b
wait_line 20 "$T/host.log" ready
services ''
weftd_start
# Without the host's word of where it was called from.
get() { in_cg "$CG/client" curl -sS --max-time 20 "$@" | sed 's/ [^ ]*//'; }
answers() { [ "$(get "http://$1")" = "$2" ]; }
wait_for 30 answers 10.96.0.10/x "a 10.96.0.10 proxied"
is "$(get http://10.96.0.10/x)" "a 10.96.0.10 proxied" "a request goes by the proxy"
is "$(get http://10.96.0.10/b/x)" "b 10.96.0.10 proxied" "its path decides"
is "$(get 'http://[fd00:96::10]/b/x')" "b [fd00:96::10] proxied" "over IPv6 too"
is "$(get http://10.96.0.12/x)" "b 10.96.0.12 direct" "a service without routes does not"
like "$(weft listeners)" '^outbound +127.0.0.1:15001 +- +listening' "its clients' listener is shown"
like "$(weft listeners)" '^l7/shop:80 +10.96.0.10:80,\[fd00:96::10\]:80 +http +served' "and the one that serves them"
like "$(weft explain tcp 10.96.0.10:80)" 'l7_proxy' "explain says so"
is "$(in_cg "$CG/client" python3 -c "import socket; s = socket.create_connection(('10.96.0.10', 80)); print(s.getpeername()[0])")" 10.96.0.10 "the client sees whom it dialled"

weftd_kill
is "$(get http://10.96.0.10/b/x)" "b 10.96.0.10 proxied" "without an agent it goes on"
weftd_start
wait_for 20 answers 10.96.0.10/b "b 10.96.0.10 proxied"

# Without an agent, which would put another in its place.
proxy=$(admin /ready | sed -n 's/.*process \([0-9]*\), 2 workers.*/\1/p')
weftd_kill
kill -STOP "$proxy"
closed() { local rc=0; get --max-time 1 -o /dev/null http://10.96.0.11/ || rc=$?; [ $rc = 7 ]; }
wait_for 20 closed
is "$(get http://10.96.0.10/b/x)" "a 10.96.0.10 direct" "a proxy that stands still: open, by the kernel to the port's cluster"
echo "  ok: closed, refused"
kill -CONT "$proxy"
wait_for 20 answers 10.96.0.11/b "b 10.96.0.11 proxied"
echo "  ok: until it goes on"
weftd_start

pod_add pod
in_pod pod python3 -c "
import socket
s = socket.socket(); s.settimeout(10)
try:
    s.connect(('10.96.0.11', 80)); print('connected')
except OSError as e: print(e.strerror)" > "$T/pod.out"
like "$(cat "$T/pod.out")" 'refused' "a pod's namespace has no listener yet: its fail mode"

services '- {name: more, addresses: [10.96.0.13], ports: [{port: 80}, {port: 8080}], cluster: b, routes: [shop]}'
wait_for 20 answers 10.96.0.13:8080/x "a 10.96.0.13:8080 proxied"
echo "  ok: a service that comes later"
services ''
gone() { ! weft listeners | grep -q l7/more; }
wait_for 20 gone
echo "  ok: and goes again"

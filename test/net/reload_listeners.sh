#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Listeners that move: a configuration whose listener would not get its address is refused whole, and what served goes on.
. "$(dirname "$0")/../lib/net.sh"

mkdir "$T/two.d"
conf() {  # a cluster, a further line
	write_file "$T/weft.yaml" <<-YAML
	kernel: {mode: off}
	clusters:
	- {name: $1, endpoints: [{address: "10.0.0.1:80"}]}
	${2:-}
	YAML
}
conf g
weftd_start

# A listener at an address that somebody else has: refused whole, and served where it was.
bg stranger.log python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('127.0.0.1', 7002)); s.listen(); print('ready', flush=True); time.sleep(1000)"
stranger=$BG_PID
wait_line 60 "$T/stranger.log" ready
listeners() { conf g "listeners: [$(IFS=,; echo "$*")]"; }
flow() { echo "{name: $1, address: \"$2\", routes: [{rules: [{filters: [{type: DirectResponse, status: 200, body: $1}]}]}]}"; }
body() { curl -s --max-time 60 "http://$1/" || true; }
says() { [ "$(body "$1")" = "$2" ]; }
reload_ok() { weft reload > "$T/out" 2>&1 || fail "$1: $(cat "$T/out")"; echo "  ok: $1"; }
listeners "$(flow one 127.0.0.1:7001)" "$(flow two 127.0.0.1:7003)"
reload_ok "two listeners"
wait_for 60 says 127.0.0.1:7001 one
listeners "$(flow one 127.0.0.1:7002)" "$(flow two 127.0.0.1:7004)"
rc=0
weft reload > "$T/out" 2>&1 || rc=$?
is $rc 2 "moved to a taken address: exit code 2"
like "$(cat "$T/out")" 'weft.yaml:4: listener one: cannot listen on tcp 127.0.0.1:7002: Address already in use' "with its line and the reason"
like "$(admin /ready)" 'listener one: cannot listen' "/ready too"
is "$(body 127.0.0.1:7001) $(body 127.0.0.1:7003)$(body 127.0.0.1:7004)" "one two" "all serve where they did"
listeners "$(flow one 127.0.0.1:7001)" "$(flow two 127.0.0.1:7003)" "$(flow more 127.0.0.1:7002)"
fails "a new one at that address is refused as well" weft reload
kill "$stranger"
wait "$stranger" 2>/dev/null || true
reload_ok "free, it is taken"
wait_for 60 says 127.0.0.1:7002 more
listeners "$(flow one 127.0.0.1:7003)" "$(flow two 127.0.0.1:7001)"
reload_ok "two change places"
wait_for 60 says 127.0.0.1:7003 one
wait_for 60 says 127.0.0.1:7001 two
listeners "$(flow one 0.0.0.0:7003)" "$(flow two 127.0.0.1:7001)"
reload_ok "one moves to every address of its port"
wait_for 60 says 127.0.0.1:7003 one
conf g
reload_ok "none"

# A registry's cannot be refused whole: it is closed where it was, and said.
printf 'listeners: [%s]\n' "$(flow r 127.0.0.1:7005)" > "$T/two.d/l.yaml"
conf h "registries: [{name: files, type: file, path: $T/two.d}]"
reload_ok "a registry with a listener"
wait_for 60 says 127.0.0.1:7005 r
bg stranger.log python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', 7002)); print('ready', flush=True); time.sleep(1000)"
stranger=$BG_PID
wait_line 60 "$T/stranger.log" ready
printf 'listeners: [%s]\n' "$(flow r 127.0.0.1:7002)" | write_file "$T/two.d/l.yaml"
closed() { ! curl -s --max-time 60 -o /dev/null http://127.0.0.1:7005/; }
wait_for 60 closed
like "$(weft listeners)" '^r +127.0.0.1:7002 +http +refused' "a registry's: closed at the old address, refused at the new"
kill "$stranger"
wait "$stranger" 2>/dev/null || true
wait_for 60 says 127.0.0.1:7002 r
conf g
reload_ok "without it again"
weftd_stop

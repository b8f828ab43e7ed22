#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A registry (a plugin's) that watches a control plane over HTTP/1.1: the proxy's hosts follow what it says, whatever becomes
# of it. It comes late, dies, comes back, talks nonsense, says too much, hangs, and has other certificates.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
. "$SRC/test/lib/certs.sh"
. "$SRC/test/lib/control.sh"

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_ca other
make_cert plane ca DNS:plane.example
cd "$T"
registry_hosts 9001 9002
plane() { # PORT [CERT KEY]
	bg plane.log python3 "$SRC/test/lib/control.py" http "$1" "$T/state" "${@:2}"
	PLANE=$BG_PID
	wait_line 60 "$T/plane.log" '^ready$'
}
# A name of two addresses, at the first of which nobody ever is.
{ cat /etc/hosts; printf '127.0.0.9 plane.test\n127.0.0.1 plane.test\n'; } > "$T/hosts"
mount --bind "$T/hosts" /etc/hosts
conf 'url: "http://plane.test:9100/facts", idle: 3s, bound: 20KiB'
bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
wait_line 60 "$T/weftd.log" 'warn .*plane: watching http://plane.test:9100/facts: .*:9100: Connection refused'
wait_for 60 watching failing
like "$(weft registries plane)" 'plane +control +no .*:9100: Connection refused' "weft registries says whom it watches and what fails"
case_pass nobody_is_there

says 1 127.0.0.1:9001
plane 9100
wait_for 60 weftd_ready
goes_to 9001
wait_line 60 "$T/plane.log" '^asked /facts.seen=0$'
says 2 127.0.0.1:9002
goes_to 9002
wait_line 60 "$T/weftd.log" 'info .*plane: watching .*: answered'
shown() {
	admin /registries | jq -ce '.registries[] | select(.name == "plane") | .watches | length == 1 and (.[0] | .url ==
		"http://plane.test:9100/facts" and .state == "answered" and (.error | endswith("Connection refused")) and .tries > 1 and .seconds >= 0)'
}
wait_for 60 shown
is "$(metric 'weft_client_watches{registry="plane"}')" 1 "one watch is counted"
case_pass it_comes

kill -KILL "$PLANE"
wait_for 60 watching failing
goes_to 9002
plane 9100
wait_line 60 "$T/plane.log" '^asked /facts.seen=2$'
says 3 127.0.0.1:9001
goes_to 9001
[ "$(metric 'weft_client_reconnects_total{registry="plane"}')" -ge 2 ] || fail "tries are not counted"
case_pass it_dies_and_comes_back

says nonsense
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: no state: want VERSION'
goes_to 9001
says 4 127.0.0.1:9002
goes_to 9002
case_pass nonsense

says "5 $(printf '127.0.0.1:9001,%.0s' {1..3000})"
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: the answer is over its bound'
goes_to 9002
[ "$(metric weft_client_errors_too_large_total)" -ge 1 ] || fail "what is too large is not counted"
says 6 127.0.0.1:9001
goes_to 9001
case_pass too_much

kill -STOP "$PLANE"
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: no byte of the answer for 3000 ms'
says 7 127.0.0.1:9002
kill -CONT "$PLANE"
goes_to 9002
kill -KILL "$PLANE"
case_pass it_hangs

# Files are read at each connect: the one that trusts is not the one that shows yet.
conf "url: \"https://127.0.0.1:9143/facts\", serverName: plane.example, ca: $T/tls/trust.crt"
cp "$T/tls/other.crt" "$T/tls/trust.crt"
says 8 127.0.0.1:9001
plane 9143 "$T/tls/plane.crt" "$T/tls/plane.key"
weft reload > "$T/reload.out" || true
wait_line 60 "$T/weftd.log" "warn .*plane: watching https://.*: .*certificate is refused"
write_file "$T/tls/trust.crt" < "$T/tls/ca.crt"
goes_to 9001
like "$(weft registries plane)" 'https://127.0.0.1:9143/facts: answered' "over TLS"
case_pass tls_with_another_ca
kill -KILL "$PLANE"
(cd "$T/tls" && make_cert plane other DNS:wrong.example)
write_file "$T/tls/trust.crt" < "$T/tls/other.crt"
plane 9143 "$T/tls/plane.crt" "$T/tls/plane.key"
wait_line 60 "$T/weftd.log" "warn .*plane: watching https://.*: .*it is not for this name.*plane.example"
kill -KILL "$PLANE"
(cd "$T/tls" && make_cert plane other DNS:plane.example)
says 9 127.0.0.1:9002
plane 9143 "$T/tls/plane.crt" "$T/tls/plane.key"
goes_to 9002
wait_line 60 "$T/plane.log" '^asked /facts.seen=8$'
case_pass tls_with_another_certificate
weftd_stop

# What docs/extending.md shows, at a unix socket.
page_block c registry_poll.c | plugin_text registry_poll
cat > "$T/polls.py" <<'PY'
import os, socketserver, sys, time
top = sys.argv[1]
class H(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().split()
        seen = line[1].partition(b"seen=")[2]
        print(line, flush=True)
        while (now := open(top + "/state", "rb").read().strip()) == seen:
            time.sleep(0.02)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(now), now))
class S(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
S(top + "/plane.sock", H).serve_forever()
PY
says 127.0.0.1:9001
bg polls.log python3 "$T/polls.py" "$T"
wait_for 60 test -S "$T/plane.sock"
sed -i "s|registry_control.so|registry_poll.so|; s|^registries:.*|registries: [{name: plane, type: poll, cluster: fleet, url: 'unix:$T/plane.sock:/host'}]|" "$T/weft.yaml"
weftd_start
goes_to 9001
wait_line 60 "$T/polls.log" "/host.seen=127.0.0.1:9001'"
says 127.0.0.1:9002
goes_to 9002
wait_line 60 "$T/polls.log" "/host.seen=127.0.0.1:9002'"
case_pass the_example_of_the_page
weftd_stop

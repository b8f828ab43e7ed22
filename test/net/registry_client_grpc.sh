#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same by a gRPC stream, whose server is Debian's python3-grpcio: it comes late, is asked with what was seen, hears each
# version back, dies, hangs, drains, talks nonsense, and has another certificate.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"
. "$SRC/test/lib/certs.sh"
. "$SRC/test/lib/control.sh"
PY=/usr/bin/python3
$PY -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed"

registry_hosts 9001 9002
plane() { # PORT [CERT KEY]
	rm -f "$T/state.drain"
	bg plane.log $PY "$SRC/test/lib/control.py" grpc "$1" "$T/state" "${@:2}"
	PLANE=$BG_PID
	wait_line 60 "$T/plane.log" '^ready$'
}
WATCH=weft.test.Control/Watch REPORT=weft.test.Control/Report
conf "url: \"http://127.0.0.1:9100/$WATCH\", grpc: true, ping: 1s, report: \"http://127.0.0.1:9100/$REPORT\""
bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
wait_line 60 "$T/weftd.log" 'warn .*plane: watching http://127.0.0.1:9100/.*: .*:9100: Connection refused'
says 1 127.0.0.1:9001
plane 9100
wait_for 60 weftd_ready
goes_to 9001
wait_line 60 "$T/plane.log" "^asked watch 0 \['user-agent'\]"
wait_line 60 "$T/plane.log" '^heard ack 1'
wait_line 60 "$T/plane.log" '^report has 1 True'
wait_line 60 "$T/weftd.log" 'reported version 1: 0 0 $'
says 2 127.0.0.1:9002
goes_to 9002
wait_line 60 "$T/plane.log" '^heard ack 2'
case_pass a_stream

kill -KILL "$PLANE"
wait_for 60 watching failing
goes_to 9002
plane 9100
wait_line 60 "$T/plane.log" '^asked watch 2 '
says 3 127.0.0.1:9001
goes_to 9001
case_pass it_dies_and_comes_back

says nonsense
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: no state: want VERSION'
goes_to 9001
wait_line 60 "$T/plane.log" '^gone '
says 4 127.0.0.1:9002
goes_to 9002
case_pass nonsense

kill -STOP "$PLANE"
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: the server answers no PING'
says 5 127.0.0.1:9001
kill -CONT "$PLANE"
goes_to 9001
case_pass it_hangs

touch "$T/state.drain"
wait_line 60 "$T/weftd.log" 'warn .*plane: watching .*: the server drains the connection \(GOAWAY\)'
wait "$PLANE" || fail "the server did not end well"
says 6 127.0.0.1:9002
plane 9100
goes_to 9002
wait_line 60 "$T/plane.log" '^asked watch 5 '
[ "$(metric weft_client_errors_closed_total)" -ge 2 ] || fail "what was closed is not counted"
[ "$(metric weft_client_errors_timeout_total)" -ge 1 ] || fail "what took too long is not counted"
kill -KILL "$PLANE"
case_pass it_drains

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_ca other
make_cert plane ca DNS:plane.example
cp ca.crt trust.crt
cd "$T"
conf "url: \"https://127.0.0.1:9143/$WATCH\", grpc: true, serverName: plane.example, ca: $T/tls/trust.crt"
says 7 127.0.0.1:9001
plane 9143 "$T/tls/plane.crt" "$T/tls/plane.key"
ok "reload" weft reload
goes_to 9001
wait_line 60 "$T/plane.log" '^heard ack 7'
kill -KILL "$PLANE"
(cd "$T/tls" && make_cert plane other DNS:plane.example)
says 8 127.0.0.1:9002
plane 9143 "$T/tls/plane.crt" "$T/tls/plane.key"
wait_line 60 "$T/weftd.log" "warn .*plane: watching https://.*: .*certificate is refused"
write_file "$T/tls/trust.crt" < "$T/tls/other.crt"
goes_to 9002
wait_line 60 "$T/plane.log" '^asked watch 7 '
case_pass tls_with_another_ca
weftd_stop

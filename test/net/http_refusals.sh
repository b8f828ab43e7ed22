#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that send what cannot be read: a line of the log with the rule and the client, once a second at most, and counters by why.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners: [{name: web, address: "127.0.0.1:8080", protocol: http, routes: [all], limits: {headBytes: 1KiB, targetBytes: 100}}]
routes:
- name: all
  rules:
  - {matches: [{path: {value: /cut}}], filters: [{type: URLRewrite, path: {type: ReplaceRegularExpression, pattern: "(a+)+b\$", value: x}}], backends: [{cluster: app}]}
  - {filters: [{type: DirectResponse, status: 200}]}
clusters: [{name: app, endpoints: [{address: "127.0.0.1:9"}]}]
YAML
weftd_start
cat > "$T/send.py" <<'PY'
import sys
from http_rig import *
for text in sys.argv[1:]:
    c = Client()
    c.send(text.encode().decode("unicode_escape"))
    print(c.sock.getsockname()[1], c.head()[0])
    c.close()
PY
send() { PYTHONPATH=$SRC/test/lib python3 "$T/send.py" "$@"; }
counts() { admin /metrics | grep -qE "^weft_http_$1_total\{worker=\"0\"\} $2\$"; }
HEAD='GET / HTTP/1.1\r\nHost: a\r\n'

got=$(send "${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
is "${got#* }" 400 "both lengths are refused"
wait_line 60 "$T/weftd.log" "info  web: client 127.0.0.1:${got% *}: both Content-Length and Transfer-Encoding \(0 more in the seconds before\)"
echo "  ok: the log names the listener, the client and the rule"
send "GET /$(printf 'a%.0s' {1..200}) HTTP/1.1\r\n\r\n" "${HEAD}x: $(printf 'a%.0s' {1..2000})\r\n\r\n" 'GET / HTTP/3.1\r\n\r\n' \
	'NONE / HTTP/1.1\r\nHost: a\r\n\r\n' "${HEAD}a b: c\r\n\r\n" "${HEAD}\r\n" > "$T/out"
is "$(cut -d' ' -f2 "$T/out" | xargs)" "414 431 505 501 400 200" "each with its status"
for want in "malformed 6" "malformed_syntax 2" "malformed_large 2" "malformed_unsupported 2" "malformed_abuse 0"; do
	wait_for 60 counts $want
	echo "  ok: $want"
done
lines=$(grep -c 'web: client' "$T/weftd.log")
[ "$lines" -lt 6 ] || fail "a line for each: $lines"
# What was held back is counted by the line that comes after a second.
later() { send "${HEAD}a b: c\r\n\r\n" > /dev/null; grep -qE 'web: client .* \([1-9][0-9]* more' "$T/weftd.log"; }
wait_for 60 later
echo "  ok: lines that were not written are counted"

out=$(curl -s -w '%{http_code}' "http://127.0.0.1:8080/cut/$(printf "a%.0s" {1..40})bx")
is "${out: -3}" 400 "what a rewrite gives up at its bound goes to no host"
like "$out" "reached its bound with this path" "and its client is told why"
wait_line 60 "$T/weftd.log" 'info  routes: route all: an expression is given up at its bound'
weftd_stop

weftd_start --log-level debug
send "${HEAD}a b: c\r\n\r\n" "${HEAD}a b: c\r\n\r\n" "${HEAD}a b: c\r\n\r\n" > /dev/null
all() { [ "$(grep -cE '(info|debug) +web: client .*: space in or behind a header name' "$T/weftd.log")" = 3 ]; }
wait_for 60 all
echo "  ok: with --log-level debug each has its line"
weftd_stop

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sessions of clients resume with the next proxy, and with the next agent's next proxy: the keys of tickets outlive both, in
# memory that no dump holds and that the agent does not look at.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_cert web ca DNS:web.example
cd "$T"
cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: tls, address: "127.0.0.1:8443", protocol: http, routes: [all], tls: {certificates: [{cert: $T/tls/web.crt, key: $T/tls/web.key}]}}
routes:
- {name: all, rules: [{filters: [{type: DirectResponse, status: 200, body: ok}]}]}
YAML
weftd_start
shake() {	# what s_client says of a request over TLS; arguments are s_client's
	openssl s_client -connect 127.0.0.1:8443 -servername web.example -CAfile "$T/tls/ca.crt" -ign_eof "$@" \
		<<< $'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r' 2>&1 || true
}
proxy() { pgrep -P "${1:-$WEFTD_PID}" -f role=proxy || pgrep -f role=proxy; }
another() { local now; now=$(proxy) && [ "$now" != "$1" ] && shake | grep -q '^HTTP/1.1 200'; }
kill_proxy() {
	local was
	was=$(proxy)
	kill -9 "$was"
	wait_for 60 another "$was"
}
resumes() { # VERSION WHAT
	local i
	for i in 1 2 3 4; do like "$(shake -"$1" -sess_in "$T/$1")" '^Reused, TLS' "$1 $2, try $i"; done
}
for v in tls1_2 tls1_3; do
	like "$(shake -$v -sess_out "$T/$v")" '^New, TLS' "$v begins"
	resumes $v "with the same proxy"
done
kill_proxy
wait_line 60 "$T/weftd.log" "info .*proxy: 1 keys of session tickets are a former process's; the next one is made in 14[0-9]{3} s"
for v in tls1_2 tls1_3; do resumes $v "after the proxy was killed"; done
taken() { admin /metrics | grep -q '^weft_tickets_taken_over_total{.*} 1$'; }
wait_for 60 taken
case_pass a_killed_proxy

weftd_kill
weftd_start
for v in tls1_2 tls1_3; do resumes $v "with a new agent"; done
kill_proxy
for v in tls1_2 tls1_3; do resumes $v "with a new agent and a new proxy"; done
case_pass a_new_agent

# The page is in the proxy's memory, marked not to be dumped; and not in the agent's.
flags() { awk '/memfd:weft-tickets/ {f = 1} f && /^VmFlags/ {print; f = 0}' "/proc/$1/smaps"; }
like "$(flags "$(proxy)")" ' dd( |$)' "no dump of the proxy holds the page"
is "$(flags "$WEFTD_PID")" "" "the agent has not mapped it"
is "$(ls -l "/proc/$WEFTD_PID/fd" | grep -c memfd:weft-tickets)" 1 "the agent keeps it"
case_pass in_no_dump
weftd_stop

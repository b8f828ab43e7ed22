#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Active checks by grpc.health.v1.Health, plain and over TLS: real servers (python3-grpcio), what they say, how it changes.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
PY=/usr/bin/python3                             # Debian's, whose package it is
$PY -c 'import grpc' 2> /dev/null || skip "python3-grpcio is not installed"

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_ca other
make_cert web ca DNS:web.example
cd "$T"
cat > "$T/host.py" <<'PY'
"""Answers Check with what the file $T/says-PORT has: per line a service, and a word or a number of grpc-status."""
import os, sys
from concurrent import futures
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc
top, port, safe = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "tls"
WORDS = {"UNKNOWN": b"", "SERVING": b"\x08\x01", "NOT_SERVING": b"\x08\x02", "SERVICE_UNKNOWN": b"\x08\x03", "NONSENSE": b"\xff"}
CODES = {c.value[0]: c for c in grpc.StatusCode}


def check(ask, context):
    service = ask[2:].decode()
    says = dict(x.rstrip("\n").split("=") for x in open(f"{top}/says-{port}"))
    print("asked", service, sorted(k for k, _ in context.invocation_metadata()), flush=True)
    word = says.get(service, "5")
    if word.isdigit():
        context.abort(CODES[int(word)], f"no \u263a {service}")
    return WORDS[word]


server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[grpc.method_handlers_generic_handler(
    "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})] if os.path.exists(f"{top}/says-{port}") else [])
if safe:
    key, cert = open(f"{top}/tls/web.key", "rb").read(), open(f"{top}/tls/web.crt", "rb").read()
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, cert)]))
else:
    server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
PY
check() { # NAME PORT CHECK [TLS]
	echo "- {name: $1, panicThreshold: 0, endpoints: [{address: \"127.0.0.1:$2\"}],"
	echo "   ${4:+tls: {$4\},} healthCheck: {type: grpc, interval: 100ms, timeout: 20s, unhealthyThreshold: 1, healthyThreshold: 1${3:+, $3}}}"
}
WEB="sni: web.example, trustedCA: $T/tls/ca.crt"
cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [{rules: [{backends: [{cluster: whole}]}]}]}
clusters:
$(check whole 9001 "")
$(check orders 9001 "service: shop.Orders")
$(check away 9001 "service: shop.Away")
$(check nobody 9001 "service: shop.Nobody")
$(check odd 9001 "service: shop.Odd")
$(check tired 9001 "service: shop.Tired")
$(check without 9002 "")
$(check safe 9443 "" "$WEB")
$(check wrong 9443 "" "sni: web.example, trustedCA: $T/tls/other.crt")
$(check http1 9004 "")
$(check down 9005 "")
YAML
printf '=SERVING\nshop.Orders=SERVING\nshop.Away=NOT_SERVING\nshop.Odd=NONSENSE\nshop.Tired=8\n' > "$T/says-9001"
echo '=SERVING' > "$T/says-9443"
for p in "9001 plain" "9002 plain" "9443 tls"; do
	bg "host-${p% *}.log" $PY "$T/host.py" "$T" $p
done
bg plain.log python3 -m http.server -b 127.0.0.1 9004
for p in 9001 9002 9443 9004; do wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$p"; done
weftd_start
health() { admin /clusters | jq -r --arg n "$1" '.clusters[] | select(.name == $n) | .hosts[0].health'; }
says() { health "$1" | grep -qE "^$2\$"; }
turns_out() { wait_for 60 says "$1" "$2" || fail "$1: $(health "$1")"; echo "  ok: $1: $2"; }

turns_out whole healthy
turns_out orders healthy
turns_out away 'unhealthy: status NOT_SERVING'
turns_out nobody 'unhealthy: the host does not know service "shop.Nobody"'
turns_out odd 'unhealthy: the answer is no HealthCheckResponse'
turns_out tired 'unhealthy: grpc-status 8, resource-exhausted: no ☺ shop.Tired'
turns_out without 'unhealthy: the host has no grpc.health.v1.Health'
turns_out safe healthy
turns_out wrong 'unhealthy: .*certificate.*'
turns_out http1 'unhealthy: the answer is not HTTP/2'
turns_out down 'unhealthy: Connection refused'
like "$(cat "$T/host-9001.log")" "^asked shop.Orders .*'user-agent'" "a host knows who asks"

# Its word changes, and with it who gets requests.
no_host() { curl -s -m 60 http://127.0.0.1:8080/ | grep -aq "no usable host (UH)"; }
fails "a good host is asked" no_host
sed -i 's/^=.*/=NOT_SERVING/' "$T/says-9001"
turns_out whole 'unhealthy: status NOT_SERVING'
wait_for 60 no_host
sed -i 's/^=.*/=SERVING/' "$T/says-9001"
turns_out whole healthy
wait_for 60 eval '! no_host'
like "$(weft clusters orders)" 'healthy' "weft clusters says so"
weftd_stop

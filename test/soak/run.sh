#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hours of everything at once: HTTP on kept and on fresh connections, TLS, TCP, UDP, configurations that change, hosts that are
# killed. At its end memory is flat, descriptors are as before, no stream is stuck, the log says nothing unexpected.
# SOAK: seconds; --short takes 20. soak.py says what is judged and by which bounds.
. "$(dirname "$0")/../lib/net.sh"
SOAK=${SOAK:-600}
[ "${1:-}" != --short ] || SOAK=20
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=web.test \
	-addext "subjectAltName=DNS:web.test" -keyout "$T/web.key" -out "$T/web.crt" 2> /dev/null

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
telemetry: {accessLog: [{path: $T/access.json, format: json}]}
listeners:
- {name: web, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: secure, address: "127.0.0.1:8443", protocol: http, routes: [all], tls: {certificates: [{cert: $T/web.crt, key: $T/web.key}]}}
- {name: tcp, address: "127.0.0.1:7001", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
- {name: udp, address: "127.0.0.1:7002", protocol: udp, timeouts: {idle: 10s}, rules: [{backends: [{cluster: echo}]}]}
routes:
- {name: all, rules: [{matches: [{path: {value: /stall}}], timeouts: {request: 3s}, backends: [{cluster: app}]}, {backends: [{cluster: app}]}]}
clusters:
- {name: echo, endpoints: [{address: "127.0.0.1:9010"}]}
- {name: app, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}]}
YAML
weftd_start
rc=0
PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1 python3 "$SRC/test/soak/soak.py" "$SOAK" "$T" "$B/weft" "$WEFTD_PID" || rc=$?
[ -z "${SOAK_SAMPLES:-}" ] || cp "$T/samples.tsv" "$SOAK_SAMPLES"
weftd_stop
exit $rc

# SPDX-License-Identifier: Apache-2.0
# A test of one RPC protocol through the daemon with Java on both sides: PROTO=bolt; . rpc_java.sh. Cases: rpc_java.py.
#   hosts of one Java program:  a 9001, b 9002, stranger 9003 (knows no such service), safe 9004 (TLS, wants certificates),
#   few 9006 and grouped 9007 (Dubbo: one thread; another group);  of another, which is killed: mortal 9005
. "$(dirname "${BASH_SOURCE[0]}")/java_tool.sh"
PEERS=$(java_tool peers) || exit 1
export PEERS PROTO
. "$(dirname "${BASH_SOURCE[0]}")/net.sh"
. "$(dirname "${BASH_SOURCE[0]}")/certs.sh"
export T B

# What routes go by: calls say in header "case" which rule they mean.
java_mesh() { # the port of a host that nobody uses, for changes
	cat > "$T/weft.yaml.new" <<-YAML
	workers: 2
	kernel: {mode: off}
	proxy: {drain: 60s}
	telemetry: {accessLog: [{path: $T/access.json, format: json}]}
	listeners:
	- {name: rpc, address: "127.0.0.1:8080", protocol: $PROTO, routes: [cases]}
	- {name: named, address: "127.0.0.1:8081", protocol: $PROTO, routes: [names]}
	- name: any
	  address: "127.0.0.1:8082"
	  protocol: auto
	  routes: [cases]
	  tls: {mode: permissive, certificates: [{cert: $T/weft.crt, key: $T/weft.key}]}
	- name: safe
	  address: "127.0.0.1:8443"
	  protocol: $PROTO
	  routes: [cases]
	  tls: {certificates: [{cert: $T/weft.crt, key: $T/weft.key}], clientCA: $T/ca.crt, requireClientCertificate: true}
	routes:
	- name: names
	  rules:
	  - {matches: [{service: {value: $A_NAME}, rpcMethod: {value: $A_METHOD}}], backends: [{cluster: b}]}
	  - {matches: [{service: {value: $A_NAME}}], backends: [{cluster: a}]}
	  - {matches: [{service: {value: "g/$A_NAME:2.0"}}], backends: [{cluster: grouped}]}
	  - {matches: [{service: {value: weft.peers.Bean}}], backends: [{cluster: both}]}
	- name: cases
	  rules:
	  - {matches: [{headers: [{name: case, value: one}]}], backends: [{cluster: a}]}
	  - {matches: [{headers: [{name: case, value: both}]}], backends: [{cluster: both}]}
	  - {matches: [{headers: [{name: case, value: weights}]}], backends: [{cluster: a, weight: 3}, {cluster: b, weight: 1}]}
	  - {matches: [{headers: [{name: case, value: subset}, {name: zone, value: blue}]}], backends: [{cluster: parts, subset: {zone: blue}}]}
	  - {matches: [{headers: [{name: case, value: subset}]}], backends: [{cluster: parts, subset: {zone: green}}]}
	  - matches: [{headers: [{name: case, value: retry}]}]
	    backends: [{cluster: strange}]
	    retry: {attempts: 3, on: [5xx], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	  - matches: [{headers: [{name: case, value: again}]}]
	    backends: [{cluster: both}]
	    retry: {attempts: 2, on: [5xx, reset], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	  - {matches: [{headers: [{name: case, value: short}]}], backends: [{cluster: a}], timeouts: {request: 300ms}}
	  - {matches: [{headers: [{name: case, value: judged}]}], backends: [{cluster: judged}]}
	  - {matches: [{headers: [{name: case, value: safe}]}], backends: [{cluster: safe}]}
	  - {matches: [{headers: [{name: case, value: beats}]}], backends: [{cluster: beats}]}
	  - {matches: [{headers: [{name: case, value: few}]}], backends: [{cluster: few}]}
	  - matches: [{headers: [{name: case, value: spare}]}]
	    backends: [{cluster: fewer}]
	    retry: {attempts: 2, on: [retriable-status-codes], codes: ["503"], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	  - matches: [{headers: [{name: case, value: mortal}]}]
	    backends: [{cluster: mortal}]
	    retry: {attempts: 5, on: [reset, connect-failure], backoff: 1ms, budget: {percent: 100, minPerSecond: 1000}}
	  - {matches: [{headers: [{name: case, value: dead}]}], backends: [{cluster: dead}]}
	clusters:
	- {name: a, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9001"}], outlierDetection: {consecutive5xx: 0, consecutiveLocal: 0}}
	- {name: b, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9002"}]}
	- {name: grouped, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9007"}]}
	- {name: both, protocol: $PROTO, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}], outlierDetection: {consecutive5xx: 0, consecutiveLocal: 0}}
	- name: parts
	  protocol: $PROTO
	  subsets: {keys: [[zone]]}
	  endpoints: [{address: "127.0.0.1:9001", metadata: {zone: green}}, {address: "127.0.0.1:9002", metadata: {zone: blue}}]
	- {name: strange, protocol: $PROTO, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9003"}], outlierDetection: {consecutive5xx: 0}}
	- name: judged
	  protocol: $PROTO
	  loadBalancer: round-robin
	  panicThreshold: 0
	  outlierDetection: {consecutive5xx: 3, maxEjectionPercent: 100, baseEjection: 1h}
	  endpoints: [{address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}]
	- name: safe
	  protocol: $PROTO
	  endpoints: [{address: "127.0.0.1:9004"}]
	  tls: {sni: host.test, trustedCA: $T/ca.crt, certificates: [{cert: $T/weft.crt, key: $T/weft.key}]}
	- {name: beats, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9002"}], connectionPool: {pingInterval: 100ms, pingTimeout: 5m}}
	- {name: few, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9006"}]}
	- {name: fewer, protocol: $PROTO, loadBalancer: round-robin, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9006"}], outlierDetection: {consecutive5xx: 0}}
	- {name: mortal, protocol: $PROTO, loadBalancer: round-robin, connectionPool: {maxRetries: 1000}, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9005"}]}
	- {name: dead, protocol: $PROTO, endpoints: [{address: "127.0.0.1:9"}]}
	- {name: unused, endpoints: [{address: "127.0.0.1:$1"}]}
	YAML
	mv "$T/weft.yaml.new" "$T/weft.yaml"
}

java_main() { # CASES...
	(
		cd "$T"
		make_ca ca
		make_cert weft ca DNS:weft.test,IP:127.0.0.1
		make_cert host ca DNS:host.test,IP:127.0.0.1
	)
	java_mesh 10
	weftd_start
	WEFTD=$WEFTD_PID PYTHONPATH=$SRC/test/lib python3 "$SRC/test/lib/rpc_java.py" "$@"
	# The last case tells it to go.
	local rc=0
	kill -TERM "$WEFTD_PID" 2> /dev/null || true
	wait "$WEFTD_PID" || rc=$?
	WEFTD_PID=
	is $rc 0 "weftd ends with 0 on SIGTERM"
}

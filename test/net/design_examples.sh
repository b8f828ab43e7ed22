#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The design's two examples of a configuration: the smallest runs as it stands; of the whole, what this release does not
# have is refused by name, and the rest runs.
. "$(dirname "$0")/../lib/net.sh"

E=$SRC/test/net/examples
host() { mkdir -p "$T/$1"; echo "from $1" > "$T/$1/index.html"; bg "$1.log" python3 -m http.server "$1" --bind 127.0.0.1 --directory "$T/$1"; wait_for 20 curl -s "http://127.0.0.1:$1/"; }

cp "$E/smallest.yaml" "$T/weft.yaml"
echo 'kernel: {mode: off}' >> "$T/weft.yaml"    # the proxy alone: the kernel side would be the whole machine's
host 9001
host 9002
weftd_start
seen() { for _ in {1..20}; do curl -s http://127.0.0.1:8080/; done | sort -u | tr '\n' ' '; }
is "$(seen)" "from 9001 from 9002 " "the smallest: both hosts answer"
weftd_stop

# Nothing else is refused than what is known to be missing.
cp "$E/whole.yaml" "$T/whole.yaml"
weft config check "$T/whole.yaml" > "$T/refused" 2>&1 && fail "the whole is not refused"
sed -i "s|^$T/||" "$T/refused"
! grep -vxFf "$E/whole.refused" "$T/refused" || fail "more of the whole example is refused than $E/whole.refused says"
! grep -vxFf "$T/refused" "$E/whole.refused" || fail "less of the whole example is refused than $E/whole.refused says: good, and it is to say so"
echo "  ok: the whole: what this release does not have is refused by name"

# The registry that is left gives what the example asks of another.
mkdir -p "$T/services.d"
cat > "$T/services.d/orders.yaml" <<YAML
services: [{name: orders.files, addresses: [10.96.0.99], cluster: o, ports: [{port: 8080}]}]
clusters: [{name: o, endpoints: [{address: "10.0.0.8:8080", metadata: {version: v1}}]}]
YAML
mkdir -p "$T/tls" "$T/services.d" "$T/log"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=weft -keyout "$T/tls/tls.key" -out "$T/tls/tls.crt" 2> /dev/null
cp "$T/tls/tls.crt" "$T/tls/ca.crt"
python3 - "$E/whole.yaml" "$T" > "$T/weft.yaml" <<'PY'
import re, sys
text, t = open(sys.argv[1]).read(), sys.argv[2]

def without(what):
    global text
    new = re.sub(what, "", text, flags=re.M)
    assert new != text, what
    text = new

without(r"^  xdp:.*\n")
without(r"^- \{name: k8s.*\n")
without(r"^- \{name: sc,.*\n   register:.*\n")
without(r"^- \{name: istio.*\n")
without(r"^policies:\n.*\n")
without(r"^  tracing:.*\n")
without(r"^plugins:.*\n")
# Of two services of one name only one can be.
text = text.replace("discovery: {registry: k8s, service: orders.default", "discovery: {registry: files, service: orders.files")
text = text.replace("  mode: auto ", '  mode: "off" ')
# Names that the example takes for given.
text = text.replace("clusters:\n", 'clusters:\n- {name: web, endpoints: [{address: "127.0.0.1:9001"}]}\n- {name: shadow, endpoints: [{address: "127.0.0.1:9002"}]}\n')
text = text.replace("/etc/weft/tls/", t + "/tls/").replace("/etc/weft/services.d", t + "/services.d").replace("/var/log/weft/", t + "/log/")
print(text, end="")
PY
weft config check "$T/weft.yaml" > "$T/check.log" 2>&1 || fail "the rest is not good: $(cat "$T/check.log")"
weftd_start
like "$(weft listeners)" '^rpc +0\.0\.0\.0:12200 +bolt +listening' "and runs"
is "$(admin /clusters | python3 -c 'import json,sys; print(*sorted(h["address"] for c in json.load(sys.stdin)["clusters"] if c["name"] == "orders" for h in c["hosts"]))')" \
	"10.0.0.7:8080 10.0.0.8:8080" "its hosts are its own and those of the registry's service"
like "$(weft explain http GET 'http://a.example:12200/v2/x?debug=1' -H 'x-user: bob' -H 'cookie: group=canary')" 'to orders, weight 90, subset version=v1' "its route is met"
like "$(weft explain rpc com.example.OrderService:1.0 create)" 'to orders, weight 90, subset version=v1' "and by service and method"
weftd_stop

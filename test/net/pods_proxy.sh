#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proxy's connections to hosts for clients in pods: by sockets of the client's own namespace, never shared by two pods,
# waited for while there is none, through an agent's and a proxy's end; and large bodies beside the short-circuit.
. "$(dirname "$0")/../lib/net.sh"

D=$T/services.d
mkdir "$D"
configure() { # ASSUMENOSPLICE [WORKLOAD]
	cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG, shortCircuit: {assumeNoSplice: $1}}
workers: 1
registries: [{name: files, type: file, path: $D}]
workloads:
- {name: one, cgroup: /one}
- {name: two, cgroup: /two}
${2:-}
routes:
- name: shop
  rules:
  - {matches: [{path: {type: PathPrefix, value: /patient}}], backends: [{cluster: patient}]}
  - {backends: [{cluster: a}]}
clusters:
- {name: a, endpoints: [{address: "10.244.0.3:9001"}]}
- {name: patient, connectTimeout: 60s, endpoints: [{address: "10.244.0.3:9001"}]}
telemetry: {accessLog: [{path: $T/access.log, format: json}]}
YAML
}
services() { # the proxy's part
	printf 'services:\n- {name: shop, addresses: [10.96.0.10, "fd00:96::10"], ports: [{port: 80}], cluster: a, failMode: closed%s}\n' \
		"$1" | write_file "$D/services.yaml"
}
configure false
services ', routes: [shop]'
cat > "$T/host.py" <<'PY'
import hashlib, http.server, itertools, os, socketserver, sys, threading, time
numbers = itertools.count(1)
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def setup(self):
        super().setup()
        self.number = next(numbers)
    def answer(self, text):
        body = f"{self.client_address[0]} {self.number} {text}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        if self.path.endswith("close"):
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/slow":
            open(sys.argv[1] + "/slow.begun", "w").close()
            while not os.path.exists(sys.argv[1] + "/slow.end"):
                time.sleep(0.02)
        if self.path.startswith("/down"):
            n = int(self.path.rsplit("/", 1)[1])
            self.send_response(200)
            self.send_header("content-length", str(n << 20))
            self.end_headers()
            for i in range(n):
                self.wfile.write(bytes([i]) * (1 << 20))
            return
        self.answer("ok")
    def do_POST(self):
        h, left = hashlib.sha256(), int(self.headers["content-length"])
        while left:
            d = self.rfile.read1(min(left, 1 << 20))
            h.update(d)
            left -= len(d)
        self.answer(h.hexdigest())
    def log_message(self, *args):
        pass
s = Server(("0.0.0.0", 9001), Handler)
threading.Thread(target=s.serve_forever, daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
PY
pod_add one
pod_add two
pod_add host
bg host.log in_pod host python3 "$T/host.py" "$T"
wait_line 20 "$T/host.log" ready
bg one.log in_pod one sleep infinity
bg two.log in_pod two sleep infinity
weftd_start

get() { local pod=$1; shift; in_pod "$pod" curl -sS --max-time 90 "$@"; }
answers() { like_it "$(get "$1" http://10.96.0.10/x 2> /dev/null)" "$2"; }
like_it() { [[ $1 =~ $2 ]]; }
wait_for 60 answers one '^10.244.0.1 '
wait_for 60 answers two '^10.244.0.2 '
echo "  ok: a host sees each pod's own address"
metric() { admin /metrics | awk -v n="$1{" 'index($0, n) == 1 {s += $NF} END {print s + 0}'; }

# Many requests of both, at a time and one after the other, on kept connections and fresh ones.
cat > "$T/ask.py" <<'PY'
import http.client, sys, threading
own, all_, bad = sys.argv[1], set(), []
def work(n):
    c = None
    for i in range(40):
        if not c or i % 7 == 0:
            c = http.client.HTTPConnection("10.96.0.10", 80, timeout=90)
        c.request("GET", "/x/close" if i % 5 == 4 else "/x")
        a = c.getresponse()
        text = a.read().decode().split()
        if a.status != 200 or text[0] != own:
            bad.append((a.status, text))
        all_.add(text[1])
ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in ts]
[t.join() for t in ts]
assert not bad, bad[:3]
print(*sorted(all_))
PY
bg ask1.log in_pod one python3 "$T/ask.py" 10.244.0.1
ASK1=$BG_PID
bg ask2.log in_pod two python3 "$T/ask.py" 10.244.0.2
wait "$BG_PID" || fail "requests of two: $(tail -3 "$T/ask2.log")"
wait "$ASK1" || fail "requests of one: $(tail -3 "$T/ask1.log")"
is "$(tr ' ' '\n' < "$T/ask1.log" | sort > "$T/a1"; tr ' ' '\n' < "$T/ask2.log" | sort > "$T/a2"; comm -12 "$T/a1" "$T/a2")" "" \
	"no connection to a host serves two pods"
[ "$(wc -l < "$T/a1")" -lt 120 ] || fail "connections are not kept: $(wc -l < "$T/a1") for 160 requests"
echo "  ok: each pod's are kept for its next requests"
logged() { grep -q '"original":"10.96.0.10:80"' "$T/access.log"; }
wait_for 20 logged
echo "  ok: the access log says what was dialled"
asked() { [ "$(metric weft_stock_asked_total)" -gt 0 ] && [ "$(metric weft_stock_taken_total)" -gt 0 ]; }
wait_for 20 asked
is "$(metric weft_stock_late_total)" 0 "nobody waited in vain for a socket"

# Large bodies, both ways: of a pod, and of a client on the node that is no workload. Its connections are not paired, so they
# go past the process.
cat > "$T/bulk.py" <<'PY'
import hashlib, http.client, os, sys, time
c = http.client.HTTPConnection("10.96.0.10", 80, timeout=90)
while not os.path.exists(sys.argv[1]):
    c.request("GET", "/x")
    c.getresponse().read()
    time.sleep(0.02)
for n in (20, 1, 30):
    body = b"".join(bytes([i]) * (1 << 20) for i in range(n))
    c.request("POST", "/up", body)
    assert c.getresponse().read().decode().split()[2] == hashlib.sha256(body).hexdigest(), n
    c.request("GET", f"/down/{n}")
    assert hashlib.sha256(c.getresponse().read()).digest() == hashlib.sha256(body).digest(), n
print("good")
PY
: > "$T/go"
is "$(in_pod one python3 "$T/bulk.py" "$T/go")" good "large bodies both ways"
PASSED=$(metric weft_http_spliced_bytes_total)
is "$(in_cg "$CG/nobody" python3 "$T/bulk.py" "$T/go")" good "from the node too"
passed_by() { [ "$(metric weft_http_spliced_bytes_total)" -gt $((PASSED + (80 << 20))) ]; }
wait_for 20 passed_by
echo "  ok: they go past the process, with the short-circuit on"

# The agent is gone: what is at hand serves, then who finds none waits for connectTimeout.
weftd_kill
out_of_stock() { get two http://10.96.0.10/close | grep -q UF; }
wait_for 60 out_of_stock
like "$(get two -w ' %{http_code} %{time_total}' http://10.96.0.10/close | tr -d '\n')" 'UF.* 503 [1-9]' "no agent, no socket left: UF after connectTimeout"
bg patient.log in_pod two curl -sS --max-time 90 http://10.96.0.10/patient/close
PATIENT=$BG_PID
weftd_start
wait "$PATIENT" || fail "$(cat "$T/patient.log")"
like "$(cat "$T/patient.log")" '^10.244.0.2 ' "who may wait longer is served by the next agent's sockets"
is "$(get two http://10.96.0.10/x/close | cut -d' ' -f1)" 10.244.0.2 "and all others too"

# The proxy is killed under load, with requests on their way; the agent puts another one in its place.
cat > "$T/load.py" <<'PY'
import http.client, os, sys, threading, time
own, good, failed = sys.argv[1], [0], [0]
def work():
    c = None
    while not os.path.exists(sys.argv[2]):
        try:
            c = c or http.client.HTTPConnection("10.96.0.10", 80, timeout=90)
            c.request("GET", "/x")
            a = c.getresponse()
            text = a.read().decode().split()
            assert a.status != 200 or text[0] == own, text
            good[0] += a.status == 200
        except (OSError, http.client.HTTPException):
            c, failed[0] = None, failed[0] + 1
            time.sleep(0.02)
ts = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in ts]
last = 0
while any(t.is_alive() for t in ts):
    time.sleep(0.1)
    if good[0] > last + 50:
        last = good[0]
        print("good", last, flush=True)
print("end", good[0], flush=True)
PY
for pod in one two; do
	bg "load-$pod.log" in_pod $pod python3 "$T/load.py" "10.244.0.$([ $pod = one ] && echo 1 || echo 2)" "$T/stop"
done
goes_on() { # FILES have each a line more than they had
	local f
	for f in "$@"; do [ "$(grep -c good "$f")" -gt "${had[$f]:-0}" ] || return 1; done
}
declare -A had=()
wait_for 60 goes_on "$T/load-one.log" "$T/load-two.log"
proxy() { admin /ready | sed -n 's/.*process \([0-9]*\), 1 workers.*/\1/p'; }
for round in 1 2 3; do
	OLD=$(proxy)
	kill -KILL "$OLD"
	another() { local p; p=$(proxy) && [ -n "$p" ] && [ "$p" != "$OLD" ]; }
	wait_for 60 another
	for f in "$T/load-one.log" "$T/load-two.log"; do had[$f]=$(grep -c good "$f"); done
	wait_for 60 goes_on "$T/load-one.log" "$T/load-two.log"
done
: > "$T/stop"
for f in one two; do wait_line 60 "$T/load-$f.log" '^end'; done
fails "every answer came to the pod that asked" grep -q Error "$T/load-one.log" "$T/load-two.log"
echo "  ok: a proxy that is killed under load, three times: the next one goes on"

# The service loses its routes: a request on its way is answered, and its connection ends.
wait_for 60 answers one '^10.244.0.1 '
bg slow.log in_pod one curl -sSi --max-time 90 http://10.96.0.10/slow
SLOW=$BG_PID
begun() { [ -e "$T/slow.begun" ]; }
wait_for 60 begun
services ''
no_l7() { ! weft listeners | grep -q '^l7/'; }
wait_for 60 no_l7
: > "$T/slow.end"
wait "$SLOW" || fail "$(cat "$T/slow.log")"
like "$(tr -d '\r' < "$T/slow.log" | tr '\n' ' ')" '^HTTP/1.1 200.* [Cc]onnection: close .*10.244.0.1 ' "a listener that goes is drained"
services ', routes: [shop]'
wait_for 60 answers one '^10.244.0.1 '

# Everybody promised not to splice, the proxy among them: who is redirected to is not spliced from, and nothing is missed.
weftd_stop
configure true '- {name: weft, cgroup: /weftd}'
weftd_start
wait_for 60 answers one '^10.244.0.1 '
full() { admin /kernel | grep -q '"rung":"full"'; }
wait_for 60 full
rm "$T/go"
bg bulk.log in_pod one python3 "$T/bulk.py" "$T/go"
BULK=$BG_PID
redirected() { like_it "$(weft connections)" 'one +weft +shop .* redirect .* redirect '; }
wait_for 60 redirected
: > "$T/go"
wait "$BULK" || fail "$(tail -3 "$T/bulk.log")"
is "$(cat "$T/bulk.log")" good "large bodies past the stack"

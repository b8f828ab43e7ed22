#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# TLS of listeners and towards hosts, with curl and openssl as peers: certificates by name, mutual TLS, plain and TLS on
# one port, certificates replaced while connections live.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

ID=spiffe://td.example/ns/a/sa/client
mkdir "$T/tls"
cd "$T/tls"

make_ca ca
make_ca other
make_cert web ca DNS:web.example
make_cert second ca 'DNS:second.example,DNS:*.wild.example'
make_cert meshed ca 'DNS:web.example,URI:spiffe://td.example/ns/a/sa/web'
make_cert client ca "URI:$ID"
make_cert stranger ca URI:spiffe://td.example/ns/a/sa/x
make_cert forged other "URI:$ID"
cd "$T"

cat > "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off}
listeners:
- {name: tls, address: "127.0.0.1:8443", protocol: http, xff: append, routes: [all], tls: {mode: strict, alpn: [http/1.1], certificates: [
    {cert: $T/tls/web.crt, key: $T/tls/web.key}, {cert: $T/tls/second.crt, key: $T/tls/second.key}]}}
- {name: both, address: "127.0.0.1:8444", protocol: http, xff: append, routes: [all], tls: {mode: permissive,
    certificates: [{cert: $T/tls/web.crt, key: $T/tls/web.key}]}}
- {name: mutual, address: "127.0.0.1:8445", protocol: http, xff: append, routes: [all], tls: {mode: strict, clientCA: $T/tls/ca.crt,
    requireClientCertificate: true, sans: ["$ID"], certificates: [{cert: $T/tls/web.crt, key: $T/tls/web.key}]}}
- {name: meshed, address: "127.0.0.1:8447", protocol: http, xff: append, routes: [all], tls: {mode: strict,
    certificates: [{cert: $T/tls/meshed.crt, key: $T/tls/meshed.key}]}}
- {name: out, address: "127.0.0.1:8080", protocol: http, xff: append, routes: [out]}
- {name: raw, address: "127.0.0.1:8446", protocol: tcp, rules: [{backends: [{cluster: plain}]}],
    tls: {mode: strict, certificates: [{cert: $T/tls/web.crt, key: $T/tls/web.key}]}}
routes:
- {name: all, rules: [{backends: [{cluster: plain}]}]}
- name: out
  rules:
  - {matches: [{path: {value: /named}}], backends: [{cluster: named}]}
  - {matches: [{path: {value: /asked}}], backends: [{cluster: asked}]}
  - {matches: [{path: {value: /wrong}}], backends: [{cluster: wrong}]}
  - {matches: [{path: {value: /mesh}}], backends: [{cluster: mesh}]}
  - {matches: [{path: {value: /right}}], backends: [{cluster: right}]}
  - {matches: [{path: {value: /strange}}], backends: [{cluster: strange}]}
clusters:
- {name: plain, endpoints: [{address: "127.0.0.1:9001"}]}
- {name: named, endpoints: [{address: "127.0.0.1:8443"}], tls: {sni: second.example, trustedCA: $T/tls/ca.crt}}
- {name: asked, endpoints: [{address: "127.0.0.1:8443"}], tls: {trustedCA: $T/tls/ca.crt}}
- {name: wrong, endpoints: [{address: "127.0.0.1:8443"}], tls: {sni: web.example, trustedCA: $T/tls/other.crt}}
- {name: mesh, endpoints: [{address: "127.0.0.1:8445"}], tls: {sni: web.example, trustedCA: $T/tls/ca.crt,
    certificates: [{cert: $T/tls/client.crt, key: $T/tls/client.key}]}}
- {name: right, endpoints: [{address: "127.0.0.1:8447"}], tls: {sni: web.example, trustedCA: $T/tls/ca.crt,
    verify: {san: ["spiffe://td.example/ns/a/sa/web"]}}}
- {name: strange, endpoints: [{address: "127.0.0.1:8447"}], tls: {sni: web.example, trustedCA: $T/tls/ca.crt,
    verify: {san: ["spiffe://td.example/ns/a/sa/db"]}}}
YAML
cat > "$T/host.py" <<'PY'
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (self.headers["Host"] + " " + self.headers.get("X-Forwarded-Proto", "none") + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 9001), H).serve_forever()
PY
bg host.log python3 "$T/host.py"
weftd_start
like "$(weft listeners tls)" '^tls +127\.0\.0\.1:8443 +http +listening +strict ' "the view says how TLS is taken"
get() { curl -sS -m 20 --cacert "$T/tls/ca.crt" --resolve '*:8443:127.0.0.1' --resolve '*:8444:127.0.0.1' --resolve '*:8445:127.0.0.1' \
	--resolve '*:8446:127.0.0.1' "$@" 2>&1; }
wait_for 30 curl -sf -o /dev/null http://127.0.0.1:9001/

is "$(get https://web.example:8443/)" "web.example:8443 https" "TLS is terminated, and the host is told so"
is "$(get https://second.example:8443/)" "second.example:8443 https" "the second certificate by its name"
is "$(get https://a.wild.example:8443/)" "a.wild.example:8443 https" "a wildcard"
like "$(get https://other.example:8443/ || true)" "no alternative certificate subject name" "the first certificate for others"
is "$(get --tls-max 1.2 https://web.example:8443/)" "web.example:8443 https" "TLS 1.2"
fails "TLS 1.1" get --tls-max 1.1 https://web.example:8443/
is "$(get https://web.example:8446/)" "web.example:8446 none" "TLS ends at a tcp listener"
case_pass certificates_by_name

is "$(get https://web.example:8444/)" "web.example:8444 https" "TLS on a permissive port"
is "$(get http://web.example:8444/)" "web.example:8444 http" "plain on a permissive port"
fails "plain on a strict port" get http://web.example:8443/
case_pass permissive

cert() { echo --cert "$T/tls/$1.crt" --key "$T/tls/$1.key"; }
is "$(get $(cert client) https://web.example:8445/)" "web.example:8445 https" "a client of the mesh"
fails "no certificate" get https://web.example:8445/
fails "another identity" get $(cert stranger) https://web.example:8445/
fails "another CA" get $(cert forged) https://web.example:8445/
wait_line 20 "$T/weftd.log" 'info .*mutual: 127.0.0.1:[0-9]+ was not let in: Protocol error: '
refused() { admin /listeners | jq -e '.listeners[] | select(.name == "mutual") | .tls >= 1 and .tls_failed >= 3' > /dev/null; }
wait_for 20 refused
case_pass mutual

out() { curl -sS -m 20 -H "Host: $1" "http://127.0.0.1:8080$2"; }
is "$(out web.example /named)" "web.example https" "the cluster's name"
is "$(out web.example /asked)" "web.example https" "the name that was asked for"
is "$(out second.example:80 /asked)" "second.example:80 https" "another one, without its port"
is "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -H 'Host: nobody.example' http://127.0.0.1:8080/asked)" 503 "a name that the host does not have"
is "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -H 'Host: web.example' http://127.0.0.1:8080/wrong)" 503 "a CA that is not trusted"
is "$(out web.example /mesh)" "web.example https" "mutual TLS towards a host"
is "$(out web.example /right)" "web.example https" "a host with the identity that is wanted"
is "$(curl -s -m 20 -o /dev/null -w '%{http_code}' -H 'Host: web.example' http://127.0.0.1:8080/strange)" 503 "one with another, though its name is right"
wait_line 20 "$T/weftd.log" "upstream: cluster .* the peer's certificate is refused"
case_pass towards_hosts

for v in tls1_2 tls1_3; do
	openssl s_client -connect 127.0.0.1:8443 -servername web.example -CAfile "$T/tls/ca.crt" -"$v" -sess_out "$T/sess" -ign_eof \
		< <(printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') > /dev/null 2>&1 || true
	for i in 1 2 3 4; do
		like "$(openssl s_client -connect 127.0.0.1:8443 -servername web.example -CAfile "$T/tls/ca.crt" -"$v" -sess_in "$T/sess" -ign_eof \
			< <(printf 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') 2>&1)" "^Reused, TLS" "$v resumes on whichever worker, try $i"
	done
done
resumed() { admin /listeners | jq -e '.listeners[] | select(.name == "tls") | .tls_resumed >= 8' > /dev/null; }
wait_for 20 resumed
case_pass sessions_resume_on_all_workers

# A connection with requests before and after the change of its listener's certificate.
PYTHONPATH=$SRC/test/lib python3 - "$T" > "$T/live.log" 2>&1 <<'PY' &
import os, socket, ssl, sys, time
t = sys.argv[1]
c = ssl.create_default_context(cafile=t + "/tls/ca.crt")
s = c.wrap_socket(socket.create_connection(("127.0.0.1", 8443)), server_hostname="web.example")
def ask():
    s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    got = b""
    while b"a https\n" not in got:
        d = s.recv(4096)
        if not d: sys.exit("closed")
        got += d
ask()
open(t + "/asked", "w").close()
end = time.time() + 60
while not os.path.exists(t + "/changed"):
    ask()
    time.sleep(0.01)
    assert time.time() < end
ask()
PY
LIVE=$!
wait_for 20 test -e "$T/asked"
serial() { openssl s_client -connect 127.0.0.1:8443 -servername web.example < /dev/null 2>/dev/null | openssl x509 -noout -serial; }
before=$(serial)
(cd "$T/tls" && make_cert web ca DNS:web.example)
changed() { [ "$(serial)" != "$before" ]; }
wait_for 30 changed
touch "$T/changed"
wait "$LIVE" || fail "the connection from before: $(cat "$T/live.log")"
is "$(get https://web.example:8443/)" "web.example:8443 https" "the new certificate"
case_pass a_certificate_is_replaced_under_live_connections

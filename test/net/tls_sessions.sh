#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# TLS towards hosts is resumed: from the second connection on no certificates are exchanged, never under other settings,
# and a host that does not know its tickets any more is asked in full. The host, Python's OpenSSL, says what it saw.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_cert web ca DNS:web.example,DNS:other.example
make_cert one ca URI:spiffe://td.example/one
make_cert two ca URI:spiffe://td.example/two
cp one.crt mine.crt
cp one.key mine.key
cd "$T"

cat > "$T/host.py" <<'PY'
import http.server, ssl, sys
top, port, version = sys.argv[1], int(sys.argv[2]), sys.argv[3]
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(top + "/tls/web.crt", top + "/tls/web.key")
c.load_verify_locations(top + "/tls/ca.crt")
c.verify_mode = ssl.CERT_OPTIONAL
c.minimum_version = c.maximum_version = getattr(ssl.TLSVersion, version)
names = {}
c.sni_callback = lambda sock, name, ctx: names.__setitem__(sock, name)
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        cert = self.connection.getpeercert() or {}
        who = [v for k, v in cert.get("subjectAltName", ())]
        body = "%s %s %s %s\n" % (self.connection.version(), "resumed" if self.connection.session_reused else "full",
                                  names.get(self.connection, "-"), who[0] if who else "-")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer):
    def finish_request(self, sock, who):
        sock = c.wrap_socket(sock, server_side=True)
        super().finish_request(sock, who)
        sock.close()
S(("127.0.0.1", port), H).serve_forever()
PY

cluster() { # NAME PORT SNI MORE
	echo "- {name: $1, endpoints: [{address: \"127.0.0.1:$2\"}], connectionPool: {maxRequestsPerConnection: 1}, tls: {sni: $3, trustedCA: $T/tls/ca.crt${4:-}}}"
}
cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
listeners:
- {name: in, address: "127.0.0.1:8080", protocol: http, routes: [all]}
- {name: raw, address: "127.0.0.1:8081", protocol: tcp, rules: [{backends: [{cluster: new}]}]}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /new}}], backends: [{cluster: new}]}
  - {matches: [{path: {value: /old}}], backends: [{cluster: old}]}
  - {matches: [{path: {value: /name}}], backends: [{cluster: name}]}
  - {matches: [{path: {value: /mine}}], backends: [{cluster: mine}]}
  - {matches: [{path: {value: /asked}}], backends: [{cluster: asked}]}
clusters:
$(cluster new 9443 web.example)
$(cluster old 9442 web.example)
$(cluster name 9443 other.example)
$(cluster mine 9443 web.example ", certificates: [{cert: $T/tls/mine.crt, key: $T/tls/mine.key}]")
- {name: asked, endpoints: [{address: "127.0.0.1:9443"}], connectionPool: {maxRequestsPerConnection: 1}, tls: {trustedCA: $T/tls/ca.crt}}
YAML
host() { bg "host-$1.log" python3 "$T/host.py" "$T" "$1" "$2"; wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }
host 9443 TLSv1_3
NEW=$BG_PID
host 9442 TLSv1_2
weftd_start
get() { curl -sS -m 60 -H "Host: ${2:-web.example}" "http://127.0.0.1:8080/$1"; }
metric() { admin /metrics | sed -n "s/^weft_upstream_tls_$1{.*} //p"; }
counted() { [ "$(metric handshakes_total)" = "$1" ] && [ "$(metric resumed_total)" = "$2" ]; }

is "$(get new)" "TLSv1.3 full web.example -" "the first connection"
for i in 1 2 3; do is "$(get new)" "TLSv1.3 resumed web.example -" "one more, $i"; done
is "$(get old)" "TLSv1.2 full web.example -" "the first one of TLS 1.2"
for i in 1 2 3; do is "$(get old)" "TLSv1.2 resumed web.example -" "one more, $i"; done
wait_for 60 counted 8 6
like "$(curl -sS -m 60 http://127.0.0.1:8081/)" "TLSv1.3 resumed web.example" "a tcp listener's connection to the same host"
case_pass resumed

is "$(get name)" "TLSv1.3 full other.example -" "another server name"
is "$(get mine)" "TLSv1.3 full web.example spiffe://td.example/one" "another certificate"
is "$(get name)" "TLSv1.3 resumed other.example -" "its own session"
is "$(get mine)" "TLSv1.3 resumed web.example spiffe://td.example/one" "its own session, with whom it was given to"
is "$(get asked web.example)" "TLSv1.3 full web.example -" "settings without a name, which are others"
is "$(get asked other.example)" "TLSv1.3 full other.example -" "the name that a request asks for"
is "$(get asked web.example)" "TLSv1.3 resumed web.example -" "its session"
is "$(get asked other.example)" "TLSv1.3 resumed other.example -" "and the other's"
case_pass settings_are_kept_apart

cp "$T/tls/two.key" "$T/tls/mine.key.new"
cp "$T/tls/two.crt" "$T/tls/mine.crt.new"
mv "$T/tls/mine.key.new" "$T/tls/mine.key"
mv "$T/tls/mine.crt.new" "$T/tls/mine.crt"
second() { [ "$(get mine)" = "TLSv1.3 $1 web.example spiffe://td.example/two" ]; }
# A session of the first certificate would say "one" for ever.
wait_for 60 second resumed
case_pass a_new_certificate_begins_anew

kill "$NEW"
wait "$NEW" || true
host 9443 TLSv1_3
is "$(get new)" "TLSv1.3 full web.example -" "a host that does not know the ticket"
is "$(get new)" "TLSv1.3 resumed web.example -" "and its own"
case_pass a_new_host_is_asked_in_full
weftd_stop

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTP over TLS on both sides: curl to the listener, the listener to a host; who proved who it is, is told to the host.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

cd "$T"
make_ca good
make_ca other
make_cert web good DNS:web.example
make_cert app good DNS:app.example
make_cert bob good URI:spiffe://cluster.local/ns/default/sa/bob
make_cert 'mallory;URI=admin' good DNS:mallory
make_cert twice good 'URI:spiffe://x/y;URI=spiffe://admin'
make_cert lines good DER:30:0A:86:08:61:3A:2F:2F:62:0D:0A:63 # a URI of 8 bytes, "a://b\r\nc"
cat > weft.yaml <<YAML
workers: 2
kernel: {mode: off}
listeners:
- name: web
  address: 127.0.0.1:8443
  protocol: http
  routes: [all]
  tls: {certificates: [{cert: $T/web.crt, key: $T/web.key}], clientCA: $T/good.crt}
routes:
- name: all
  rules:
  - {matches: [{path: {value: /wrong}}], backends: [{cluster: wrong}]}
  - {matches: [{path: {value: /untrusted}}], backends: [{cluster: untrusted}]}
  - {matches: [{path: {value: /byhost}}], backends: [{cluster: byhost}]}
  - backends: [{cluster: app}]
clusters:
- {name: app, endpoints: [{address: "127.0.0.1:9443"}], tls: {sni: app.example, trustedCA: $T/good.crt}}
- {name: wrong, endpoints: [{address: "127.0.0.1:9443"}], tls: {sni: wrong.example, trustedCA: $T/good.crt}}
- {name: untrusted, endpoints: [{address: "127.0.0.1:9443"}], tls: {sni: app.example, trustedCA: $T/other.crt}}
- {name: byhost, endpoints: [{address: "127.0.0.1:9443"}], tls: {trustedCA: $T/good.crt}}
YAML
out=$("$B/weft" config check weft.yaml 2>&1)
like "$out" 'weft.yaml:[0-9]+: note: listener web: tls.alpn is not given, so clients that come by TLS get HTTP/1.1' "what is easily forgotten is said"
sed 's|clientCA|alpn: [h2, http/1.1], clientCA|' weft.yaml > both.yaml
out=$("$B/weft" config check both.yaml 2>&1)
[ "${out/tls.alpn/}" = "$out" ] || fail "a note about what is there: $out"
cat > host.py <<'PY'
import http.server, json, ssl
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        b = json.dumps({"headers": dict(self.headers), "sni": getattr(self.connection, "sni", None)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(b)))
        self.end_headers()
        self.wfile.write(b)
    do_POST = do_GET
    def log_message(self, *a):
        pass
def name(sock, sni, ctx):
    sock.sni = sni
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain("app.crt", "app.key")
ctx.sni_callback = name
s = http.server.ThreadingHTTPServer(("127.0.0.1", 9443), H)
s.socket = ctx.wrap_socket(s.socket, server_side=True)
print("ready", flush=True)
s.serve_forever()
PY
bg host.log python3 host.py
wait_line 20 "$T/host.log" ready
weftd_start

ask() { curl -sS --max-time 60 --cacert good.crt --resolve "web.example:8443:127.0.0.1" "$@"; }
like "$(ask https://web.example:8443/x)" '"sni": "app.example"' "TLS on both sides; the host is asked for by the cluster's name"
is "$(ask -H 'X-Forwarded-Client-Cert: URI=liar' https://web.example:8443/x | grep -c liar || true)" 0 "what nobody proved is not passed on"
like "$(ask --cert bob.crt --key bob.key https://web.example:8443/x)" 'Hash=[0-9a-f]{64};URI=spiffe://cluster.local/ns/default/sa/bob' \
	"a client that proved who it is, is named to the host"
# Names that a reader of the header would take for more than one field; a URI that is none for HTTP is not told at all.
named() { ask --cert "$1.crt" --key "$1.key" https://web.example:8443/x | python3 -c 'import json, sys
print(json.load(sys.stdin)["headers"]["x-forwarded-client-cert"].split(";", 1)[1])'; }
is "$(named 'mallory;URI=admin')" 'Subject="/CN=mallory;URI=admin"' "a subject is no URI, whatever it says"
is "$(named twice)" 'URI="spiffe://x/y;URI=spiffe://admin"' "a URI is one"
is "$(named lines)" 'Subject="/CN=lines"' "and none that would end the line"
is "$(ask -w '%{num_connects} ' -o /dev/null https://web.example:8443/x -o /dev/null https://web.example:8443/y)" "1 0 " "keep-alive"
like "$(ask https://web.example:8443/wrong)" 'UF' "a host whose certificate names another is not spoken to"
like "$(ask https://web.example:8443/untrusted)" 'UF' "nor one whose certificate nobody trusted signed"
like "$(ask -H 'Host: app.example:8443' https://web.example:8443/byhost)" '"sni": "app.example"' "without a name in the settings the request's host is asked for"
like "$(ask -H 'Host: else.example' https://web.example:8443/byhost)" 'UF' "and a connection to one name is not another's"
is "$(ask -o "$T/out" -w '%{http_code}' --data-binary @"$B/weft" https://web.example:8443/post)" 200 "a large body through TLS"
fails "plain text on a TLS port" curl -sf --max-time 10 http://127.0.0.1:8443/
weftd_stop

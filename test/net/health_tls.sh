#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Active checks of hosts that speak TLS, with the cluster's settings: server name, CA, client certificate. The hosts are
# Python's TLS and say what they were asked.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"

mkdir "$T/tls"
cd "$T/tls"
make_ca ca
make_ca other
make_cert web ca DNS:web.example
make_cert me ca URI:spiffe://td.example/me
cp other.crt late.crt
cd "$T"
cat > "$T/host.py" <<'PY'
import http.server, ssl, sys
top, port, ask, status = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain(top + "/tls/web.crt", top + "/tls/web.key")
c.load_verify_locations(top + "/tls/ca.crt")
c.verify_mode = ssl.CERT_REQUIRED if ask == "mutual" else ssl.CERT_NONE
c.set_alpn_protocols(["h2", "http/1.1"])
names = {}
c.sni_callback = lambda sock, name, ctx: names.__setitem__(sock, name)
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        who = [v for k, v in (self.connection.getpeercert() or {}).get("subjectAltName", ())]
        print("asked", names.get(self.connection), self.headers["Host"], self.path, self.connection.selected_alpn_protocol(),
              who[0] if who else "-", flush=True)
        self.send_response(status)
        self.end_headers()
    def log_message(self, *a): pass
class S(http.server.ThreadingHTTPServer):
    def finish_request(self, sock, who):
        try:
            with c.wrap_socket(sock, server_side=True) as sock:
                print("shaken", names.get(sock), flush=True)
                super().finish_request(sock, who)
        except OSError as e:
            print("failed", e, flush=True)
S(("127.0.0.1", port), H).serve_forever()
PY
check() { # NAME PORT CHECK TLS
	echo "- {name: $1, endpoints: [{address: \"127.0.0.1:$2\"}], tls: {$4},"
	echo "   healthCheck: {$3, interval: 100ms, timeout: 20s, unhealthyThreshold: 1, healthyThreshold: 1}}"
}
WEB="sni: web.example, trustedCA: $T/tls/ca.crt"
ME="certificates: [{cert: $T/tls/me.crt, key: $T/tls/me.key}]"
cat > "$T/weft.yaml" <<YAML
workers: 1
kernel: {mode: off}
clusters:
$(check good 9443 'type: http, path: /healthz' "$WEB")
$(check mine 9444 'type: http, path: /healthz' "$WEB, $ME, alpn: [h2]")
$(check nobody 9444 'type: http, path: /healthz' "$WEB")
$(check host 9443 'type: http, host: web.example' "trustedCA: $T/tls/ca.crt")
$(check name 9443 'type: http' "sni: wrong.example, trustedCA: $T/tls/ca.crt")
$(check late 9443 'type: http' "sni: web.example, trustedCA: $T/tls/late.crt")
$(check busy 9445 'type: http' "$WEB")
$(check okbusy 9445 "type: http, expect: ['500-599']" "$WEB")
$(check shake 9443 'type: tcp' "$WEB")
$(check plain 9446 'type: tcp' "$WEB")
$(check connect 9446 "type: tcp, tls: 'false'" "$WEB")
$(check own 9443 'type: http, port: 9446, path: /plain' "$WEB")
$(check ownshake 9446 "type: tcp, port: 9443, tls: 'true'" "$WEB")
$(check down 9447 'type: tcp' "$WEB")
YAML
host() { bg "host-$1.log" python3 "$T/host.py" "$T" "$@"; wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }
host 9443 open 200
host 9444 mutual 200
host 9445 open 503
bg plain.log python3 -c '
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("plain", self.path, flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 9446), H).serve_forever()'
wait_for 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/9446"
weftd_start
health() { admin /clusters | jq -r --arg n "$1" '.clusters[] | select(.name == $n) | .hosts[0].health'; }
says() { health "$1" | grep -qE "^$2\$"; }
turns_out() { wait_for 60 says "$1" "$2"; echo "  ok: $1: $2"; }

turns_out good healthy
turns_out mine healthy
turns_out host healthy
turns_out okbusy healthy
turns_out busy 'unhealthy: HTTP status 503'
wait_line 60 "$T/host-9443.log" 'asked web.example good /healthz None -'
wait_line 60 "$T/host-9443.log" 'asked web.example web.example / None -'
wait_line 60 "$T/host-9444.log" 'asked web.example mine /healthz http/1.1 spiffe://td.example/me'
case_pass https

turns_out nobody 'unhealthy: .*certificate required.*'
turns_out name "unhealthy: the peer's certificate is refused: .*wrong.example.*"
turns_out late "unhealthy: the peer's certificate is refused: .*"
wait_line 60 "$T/weftd.log" "warn .*late: host 127.0.0.1:9443 is unhealthy: the peer's certificate is refused"
case_pass refused_hosts

turns_out shake healthy
turns_out connect healthy
turns_out own healthy
turns_out ownshake healthy
turns_out plain 'unhealthy: .*(does not speak TLS|handshake).*'
turns_out down 'unhealthy: Connection refused'
wait_line 60 "$T/host-9443.log" 'shaken web.example'
wait_line 60 "$T/plain.log" 'plain /plain'
like "$(admin /metrics)" '^weft_health_handshakes_total [1-9]' "handshakes are counted"
case_pass handshake_only

cp "$T/tls/ca.crt" "$T/tls/late.new"
mv "$T/tls/late.new" "$T/tls/late.crt"
turns_out late healthy
wait_line 60 "$T/weftd.log" 'info .*late: host 127.0.0.1:9443 is healthy'
case_pass a_new_ca_file
weftd_stop

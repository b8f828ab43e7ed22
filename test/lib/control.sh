# SPDX-License-Identifier: Apache-2.0
# A registry that watches a control plane, for a test with test/lib/net.sh and plugins.sh.
#   conf SETTINGS                weft.yaml with one of type control, whose cluster the listener on 8080 sends to
#   registry_hosts PORT...       HTTP hosts that answer with their port
#   says STATE                   what test/lib/control.py says from now on
#   goes_to PORT                 until a request is answered by that host
#   watching STATE               whether its watch is "answered", "failing"
plugin_build "$SRC/test/plugins/registry_control.c"
conf() {
	cat > "$T/next.yaml" <<-YAML
	workers: 1
	kernel: {mode: off}
	plugins: [{path: $PLUGINS/registry_control.so}]
	registries: [{name: plane, type: control, cluster: fleet, wait: 50ms, $1}]
	listeners:
	- {name: web, address: "127.0.0.1:8080", routes: [{rules: [{backends: [{cluster: fleet}]}]}]}
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
registry_hosts() {
	cat > "$T/hosts.py" <<-'PY'
	import http.server, sys, threading
	class H(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        self.send_response(200)
	        self.end_headers()
	        self.wfile.write(b"%d" % self.server.server_port)
	    def log_message(self, *_): pass
	for p in sys.argv[1:]:
	    threading.Thread(target=http.server.ThreadingHTTPServer(("127.0.0.1", int(p)), H).serve_forever).start()
	PY
	bg hosts.log python3 "$T/hosts.py" "$@"
}
says() { write_file "$T/state" <<< "$*"; }
answers() { [ "$(curl -sS --max-time 60 http://127.0.0.1:8080/)" = "$1" ]; }
goes_to() {
	wait_for 60 answers "$1"
	echo "  ok: requests go to $1"
}
watching() { [ "$(admin /registries | jq -r '.registries[] | select(.name == "plane") | .watches[0].state')" = "$1" ]; }

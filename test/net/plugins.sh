#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shared objects of the configuration: a balancer's choices are seen at the hosts, a registry's facts are served; both are
# shown, and both are there again after the end of a proxy and of an agent.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"

plugin_build "$SRC/test/plugins/lb_nth.c"
plugin_build "$SRC/test/plugins/registry_fleet.c"
conf() {  # plugins, balancer of the cluster
	cat > "$T/next.yaml" <<-YAML
	workers: 2
	kernel: {mode: off}
	plugins: [$1]
	registries: [{name: ships, type: fleet, cluster: fleet, hosts: ["127.0.0.1:9004", "127.0.0.1:9005"], grow: 100ms}]
	clusters:
	- {name: app, loadBalancer: $2, endpoints: [{address: "127.0.0.1:9001"}, {address: "127.0.0.1:9002"}, {address: "127.0.0.1:9003"}]}
	listeners:
	- {name: web, address: "127.0.0.1:8080", routes: [{rules: [{backends: [{cluster: app}]}]}]}
	- {name: sea, address: "127.0.0.1:8081", routes: [{rules: [{backends: [{cluster: fleet}]}]}]}
	YAML
	mv "$T/next.yaml" "$T/weft.yaml"
}
NTH="{path: $PLUGINS/lb_nth.so}" FLEET="{path: $PLUGINS/registry_fleet.so}"
conf "$NTH, $FLEET" 'nth, loadBalancerSettings: {port: 9002, every: 5}'
is "$("$B/weftd" -c "$T/weft.yaml" --check 2>/dev/null | sed 's/.*good/good/')" "good: 10 facts, 1 registries" "config check loads them too"
weftd_start

is "$(weft plugins | tr -s ' ')" "NAME VERSION ABI BRINGS FILE
nth 1.2 $ABI load balancer nth $PLUGINS/lb_nth.so
fleet 0.9-beta $ABI registry fleet $PLUGINS/registry_fleet.so" "weft plugins shows them"
is "$(metric weft_plugins_loaded)$(metric weft_plugins_extensions)" 22 "counted"
like "$(weft version)" "ABI of plugins $ABI," "weft version says the ABI"
like "$(cat "$T/weftd.log")" "info +plugin: nth 1.2 \($PLUGINS/lb_nth.so\) brings load balancer nth" "the log says so"
like "$(admin /clusters | tr -d ' \n')" '"loadBalancer":"nth".*"loadBalancerSettings":\{"port":9002,"every":5\}' "settings in force are shown"
like "$(weft config dump | tr -d ' \n')" "\"plugins\":\[\{\"path\":\"$PLUGINS/lb_nth.so\"\}," "weft config dump names them"

cat > "$T/picks.py" <<'PY'
"""picks.py EVERY: requests on several connections, and what each host got."""
import sys
from http_rig import *

EVERY, CONNS, EACH = int(sys.argv[1]), 6, 25
hosts = {p: Host(p) for p in (9001, 9002, 9003, 9004, 9005)}


@case
def a_balancer_of_a_plugin_chooses():
    for _ in range(CONNS):
        c = Client(8080)
        for _ in range(EACH):
            c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert c.response().status == 200
        c.close()
    got = {p: len(hosts[p].requests) for p in hosts}
    # Each of two workers counts for itself, and goes on counting when settings are others.
    n = CONNS * EACH
    assert abs(got[9002] - n // EVERY) <= 2, got
    assert got[9001] + got[9003] == n - got[9002] and abs(got[9001] - got[9003]) <= 4, got


@case
def a_registry_of_a_plugin_is_served():
    until = time.monotonic() + LIMIT
    while not hosts[9005].requests and time.monotonic() < until:
        c = Client(8081)
        c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.response().status == 200
        c.close()
    assert hosts[9005].requests, "the host of its second transaction gets nothing"


run()
PY
picks() { PYTHONPATH=$SRC/test/lib python3 "$T/picks.py" "$1"; }
picks 5

proxy_pid() { admin /ready | sed -n 's/.*process \([0-9]*\), 2 workers.*/\1/p'; }
another() { [ -n "$(proxy_pid)" ] && [ "$(proxy_pid)" != "$1" ] && weftd_ready; }
first=$(proxy_pid)
kill -KILL "$first"
wait_for 60 another "$first"
is "$(grep -c 'proxy: has plugin' "$T/weftd.log")" 4 "each proxy loads them"
picks 5
second=$(proxy_pid)

# One that others may write by now is not loaded again, and that is said; until it is mended there is no proxy.
chmod 0666 "$PLUGINS/lb_nth.so"
kill -KILL "$second"
wait_line 60 "$T/weftd.log" "weftd: proxy: plugin $PLUGINS/lb_nth.so: everybody may write it"
chmod 0755 "$PLUGINS/lb_nth.so"
wait_for 60 another "$second"
picks 5
second=$(proxy_pid)

# What is read at the start alone is named, and the rest of the change is taken.
conf "$NTH" 'nth, loadBalancerSettings: {port: 9002, every: 3}'
is "$(weft reload | grep -o 'plugins$')" plugins "a change of plugins waits for a restart, and is named"
like "$(admin /clusters | tr -d ' \n')" '"every":3' "settings are another at once"
# Workers have it as soon as they can, and choose by it from then on.
adopted() { admin /stats | python3 -c 'import json,sys; s = json.load(sys.stdin); sys.exit(s["proxy"]["snapshot"] != s["publish"]["snapshot"])'; }
wait_for 60 adopted
picks 3
is "$(weft plugins | wc -l)" 3 "both are there still"
plugin_build "$SRC/test/plugins/lb_nth.c" other
conf "$NTH, $FLEET, {path: $PLUGINS/other.so}" other
fails "what only a restart brings is refused before" weft reload
like "$(cat "$T/ok.out")" "weft.yaml:6: clusters.0..loadBalancer: want one of: .*, nth; not other" "because it is unknown"
like "$(cat "$T/ok.out")" "weft.yaml:3: plugins.2.: $PLUGINS/other.so is loaded at the next start" "and why"

# The next agent: one with the same plugins keeps the proxy, another does not.
conf "$NTH, $FLEET" 'nth, loadBalancerSettings: {port: 9002, every: 5}'
weftd_kill
weftd_start
is "$(proxy_pid)" "$second" "an agent with the same plugins takes the proxy over"
weftd_kill
conf "$FLEET, $NTH" 'nth, loadBalancerSettings: {port: 9002, every: 4}'
weftd_start
wait_for 60 another "$second"
like "$(cat "$T/weftd.log")" "process $second has other plugins: it is replaced" "with others it starts a new one"
picks 4
weftd_stop

# SPDX-License-Identifier: Apache-2.0
# Another configuration while the daemon runs: whole or not at all, by SIGHUP, weft reload, and the change of a file.
. "$(dirname "$0")/../lib/net.sh"

mkdir -p "$T/etc" "$T/one.d" "$T/two.d"
W=$T/etc/weft.yaml
conf() {  # cluster of the route, further lines
	cat > "$T/next.yaml" <<-YAML
	kernel: {mode: off}
	clusters:
	- {name: $1, endpoints: [{address: "10.0.0.1:80"}]}
	routes:
	- {name: r, rules: [{backends: [{cluster: $1}]}]}
	${2:-}
	YAML
	mv "$T/next.yaml" "$W"
}
cluster_file() { printf 'clusters: [{name: %s, endpoints: [{address: "10.0.0.9:80"}]}]\n' "$1"; }
# By value: grep -q would end its writer early.
clusters() { admin /snapshot | python3 -c 'import json,sys; print(*sorted(c["name"] for c in json.load(sys.stdin)["clusters"]))'; }
are() { [ "$(clusters)" = "$1" ]; }
metric() { admin /metrics | sed -n "s/^weft_reload_$1 //p"; }
counted() { [ "$(metric "$1")" = "$2" ]; }
unready() { [ "$(admin_status /ready)" = 503 ]; }

# weftd_start reads $T/weft.yaml: here a link, as of a configuration that is managed elsewhere.
conf a
ln -s etc/weft.yaml "$T/weft.yaml"
weftd_start
is "$(clusters)" a "at the start"

# The file is replaced: seen through the link.
conf b
wait_for 10 are b
is "$(metric taken_total)" 1 "a change of the file is taken once"
is "$(clusters)" b "what is not in it any more is gone, what is new is there"

# A file beside it that is no part of the configuration.
echo x > "$T/etc/other"

# A folder in which something happens all the time does not put a change off.
bg busy.log bash -c 'while :; do : > "$1/busy"; sleep 0.05; done' - "$T/etc"
BUSY=$BG_PID
conf b2
wait_for 10 are b2
ok "a busy folder does not put it off" are b2
is "$(metric taken_total)" 2 "other files are no change"
kill "$BUSY"
conf b
wait_for 10 are b

# conf.d appears, and goes over it.
mkdir "$T/conf.d"
cluster_file c > "$T/conf.d/10-c.yaml"
wait_for 10 are "b c"
ok "conf.d is read when it appears" are "b c"

# Wrong: refused whole.
conf d 'listeners: [{name: l, address: "127.0.0.1:1", routes: [none]}]'
wait_for 10 unready
is "$(clusters)" "b c" "a wrong file: nothing of it is used"
like "$(admin /ready)" '"config","ok":false,"message":".*weft.yaml:6: listener l: routes.0.: no route' "/ready says where and what"
like "$(cat "$T/weftd.log")" 'error reload: .*weft.yaml:6: listener l: ' "the log too"
is "$(metric refused_total) $(metric unwell)" "1 1" "it is counted"
rc=0
weft reload > "$T/out" 2>&1 || rc=$?
is $rc 2 "weft reload: exit code 2"
like "$(cat "$T/out")" 'weft.yaml:6: listener l: routes.0.: no route "none"' "and prints what is wrong"
is "$(clusters)" "b c" "still nothing of it is used"
echo 'clusters: [{name: d, endpoint: 1}]' > "$W.new"
mv "$W.new" "$W"
rc=0
weft reload > "$T/out" 2>&1 || rc=$?
is $rc 2 "an unknown field: exit code 2"
like "$(cat "$T/out")" 'weft.yaml:1: clusters.0..endpoint: no such field, did you mean endpoints' "and says so"

# Good again.
conf e
wait_for 10 weftd_ready
is "$(clusters)" "c e" "mended, it is taken"
is "$(metric unwell)" 0 "and all is well"

# SIGHUP reads again even what did not change.
taken=$(metric taken_total)
kill -HUP "$WEFTD_PID"
wait_for 10 counted taken_total $((taken + 1))
ok "SIGHUP" counted taken_total $((taken + 1))

# What only a restart can change.
conf e 'workers: 7'
wait_for 10 counted taken_total $((taken + 2))
like "$(cat "$T/weftd.log")" 'reload: .*taken; these wait for a restart: workers' "the log names what waits for a restart"
like "$(weft reload)" 'waits for a restart: workers' "weft reload too"
like "$(weft config dump -o json)" '"workers": [^7]' "config dump shows what is in force"
conf e 'logging: {level: debug}'
weft reload > "$T/out"
weft reload > "$T/out"
like "$(cat "$T/weftd.log")" ' debug ' "the log's level follows at once"

# Registries: one more, other settings, one less.
cluster_file f > "$T/one.d/f.yaml"
cluster_file g > "$T/two.d/g.yaml"
conf e "registries: [{name: files, type: file, path: $T/one.d}]"
weft reload > "$T/out"
wait_for 10 are "c e f"
cluster_file h > "$T/one.d/h.yaml"
wait_for 10 are "c e f h"
ok "a registry that is new is started" are "c e f h"
rm "$T/one.d/h.yaml"
wait_for 10 are "c e f"
conf h "registries: [{name: files, type: file, path: $T/one.d}]"
weft reload > "$T/out"
rm "$T/one.d/f.yaml"
wait_for 10 are "c h"
ok "one that stays goes on" are "c h"
conf h "registries: [{name: files, type: file, path: $T/two.d}]"
weft reload > "$T/out"
wait_for 10 are "c g h"
ok "one with other settings: its old facts go, the new come" are "c g h"
conf g "registries: [{name: files, type: file, path: $T/two.d}]"
rc=0
weft reload > "$T/out" 2>&1 || rc=$?
is $rc 2 "what a registry gave already is refused"
like "$(cat "$T/out")" 'cluster g: given by another registry already' "and said"
conf g
weft reload > "$T/out"
is "$(clusters)" "c g" "unless that registry goes in the same moment"
fails "the registry is gone" grep -q files <<< "$(admin /registries)"

# State changes are the unix socket's.
is "$(curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:15000/reload)" 405 "no POST over TCP"
is "$(admin_status /reload)" 405 "no reload by GET"
weftd_stop

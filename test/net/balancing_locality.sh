# SPDX-License-Identifier: Apache-2.0
# Endpoints nearby first, priorities in order, and how the choice moves when the near ones or the first ones go.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 127.0.0.1{1..6}
wait_line 20 "$T/answer.log" ready
facts() {  # lines of endpoints on stdin
	{
		echo "services:"
		echo "- {name: zone, addresses: [10.96.0.10], cluster: zone, ports: [{port: 80}]}"
		echo "- {name: region, addresses: [10.96.0.11], cluster: region, ports: [{port: 80}]}"
		echo "- {name: any, addresses: [10.96.0.12], cluster: any, ports: [{port: 80}]}"
		echo "clusters:"
		local ends prefer
		ends=$(cat)
		for prefer in zone region any; do
			printf -- '- name: %s\n  loadBalancer: round-robin\n  locality: {prefer: %s}\n  endpoints:\n%s\n' "$prefer" "$prefer" "$ends"
		done
	} | write_file "$D/app.yaml"
}
at() { echo "  - {address: \"127.0.0.$1:7000\", locality: {region: $2, zone: $3}${4:+, $4}}"; }
cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
node: {name: n, locality: {region: r1, zone: z1}}
registries: [{name: files, type: file, path: $D}]
YAML
{ at 11 r1 z1; at 12 r1 z1; at 13 r1 z2; at 14 r2 z1; } | facts
weftd_start
who() { in_cg "$CG/client" python3 "$SRC/test/lib/dial.py" tcp "10.96.0.1$1" 80 12 | sed 's/127.0.0.//; s/ .*//' | xargs; }
goes() { [ "$(who "$1")" = "$2" ]; }
is "$(who 0)" "11 12" "zone: its own zone, of its own region"
is "$(who 1)" "11 12 13" "region: its own region"
is "$(who 2)" "11 12 13 14" "any: all"
is "$(weft explain tcp 10.96.0.10:80 --sample 200 -o json | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(*sorted(b["address"] for b in d["backends"] if b["slots"]))')" "127.0.0.11:7000 127.0.0.12:7000" "explain shows who takes part"

{ at 12 r1 z1; at 13 r1 z2; at 14 r2 z1; } | facts
wait_for 5 goes 0 "12"
echo "  ok: one of the zone goes: the other takes all"
{ at 12 r1 z1 "state: draining"; at 13 r1 z2; at 14 r2 z1; } | facts
wait_for 5 goes 0 "13 14"
is "$(who 1)" "13" "the last of the zone drains: all others, or those of the region"
{ at 11 r1 z1; at 13 r1 z2; at 14 r2 z1; } | facts
wait_for 5 goes 0 "11"
echo "  ok: one comes back: it takes all"

{ at 11 r1 z1 "priority: 1"; at 13 r1 z2; at 14 r2 z1; } | facts
wait_for 5 goes 2 "13 14"
is "$(who 0)" "13 14" "priority goes before place"
{ at 11 r1 z1 "priority: 1"; at 12 r1 z2 "priority: 1"; at 13 r1 z2 "weight: 0"; at 14 r2 z1 "state: draining"; } | facts
wait_for 5 goes 2 "11 12"
is "$(who 0)" "11" "nobody usable of the first priority: the next, nearby first"
weftd_stop

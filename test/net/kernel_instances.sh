# SPDX-License-Identifier: Apache-2.0
# A second instance works beside the first, on its own cgroup and pins; two agents on the same pins do not.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 127.0.0.11 127.0.0.12
mkdir -p "$CG/one" "$CG/two"
config() {  # file cgroup backend port socket
	cat > "$T/$1.yaml" <<-YAML
	kernel: {cgroup: $2}
	admin: {address: "127.0.0.1:$4", socket: $5}
	services: [{name: app, addresses: [10.96.0.10], cluster: app, ports: [{port: 80}]}]
	clusters: [{name: app, endpoints: [{address: "$3:7000"}]}]
	YAML
}
config weft "$CG/one" 127.0.0.11 15000 /run/weft/admin.sock
config two "$CG/two" 127.0.0.12 15100 /run/weft-two/admin.sock
wait_line 20 "$T/answer.log" ready
weftd_start
dial() { in_cg "$CG/$1" python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80; }
is "$(dial one/a)" "127.0.0.11 1" "the first instance translates in its cgroup"
is "$(dial two/a | grep -c 127)" 0 "and in no other" || true

bg two.log in_cg "$CG/weftd-two" "$B/weftd" -c "$T/two.yaml" --instance two
TWO=$BG_PID
two_ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/weft-two/admin.sock http://weft/ready)" = 200 ]; }
wait_for 30 two_ready
is "$(dial two/a)" "127.0.0.12 1" "the second instance translates in its own"
is "$(dial one/a)" "127.0.0.11 1" "and the first is as it was"
pins() { find /sys/fs/bpf -mindepth 1 -maxdepth 1 -name 'weft*' -printf '%f\n' | sort | xargs; }
is "$(pins)" "weft weft-two" "each has its own pins"
like "$("$B/weft" --socket /run/weft-two/admin.sock services)" '^app ' "the CLI asks the second by its socket"

refused() {  # what regex args...
	local rc=0
	in_cg "$CG/weftd-three" timeout 60 "$B/weftd" "${@:3}" > "$T/refused.out" 2>&1 || rc=$?
	is $rc 1 "$1: exit code 1"
	like "$(cat "$T/refused.out")" "$2" "$1: says why"
}
refused "the same configuration again" '/run/weft/admin.sock|127.0.0.1:15000' -c "$T/weft.yaml"
config three "$CG/one" 127.0.0.12 15200 /run/weft-three/admin.sock
refused "the same pins, another Admin API" '/sys/fs/bpf/weft: a weftd that runs holds these pins: stop it first' -c "$T/three.yaml"
refused "the second instance again" '/sys/fs/bpf/weft-two: a weftd that runs holds these pins' -c "$T/three.yaml" --instance two
is "$(dial one/a) $(dial two/a)" "127.0.0.11 1 127.0.0.12 1" "neither has noticed"

kill -TERM "$TWO"
rc=0; wait "$TWO" || rc=$?
is $rc 0 "the second ends"
is "$(dial two/a)" "127.0.0.12 1" "its links stay"
ok "detach of the second" weft kernel detach --instance two
is "$(pins)" weft "its pins are gone, the first one's are not"
is "$(dial one/a)" "127.0.0.11 1" "and the first works on"
weftd_stop

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proxy process: sandboxed, fed, restarted after kill -9, taken over by the next agent after the agent's kill -9.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
workers: 3
registries: [{name: files, type: file, path: $T/services.d}]
services: [{name: a.default, addresses: [10.96.0.1], cluster: a, ports: [{port: 80}]}]
clusters: [{name: a, endpoints: [{address: "10.0.0.1:80"}]}]
YAML

proxy_stat() { admin /stats | python3 -c "import json,sys; print(json.load(sys.stdin)['proxy']['$1'])"; }
proxy_pid() { admin /ready | sed -n 's/.*process \([0-9]*\), 3 workers.*/\1/p'; }
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
another() { [ -n "$(proxy_pid)" ] && [ "$(proxy_pid)" != "$1" ]; }
adopted() { [ "$(proxy_stat snapshot)" != 0 ]; }

mkdir "$T/services.d"
weftd_start
first=$(proxy_pid)
like "$first" '^[0-9]+$' "a proxy runs with three workers"
wait_for 5 adopted

is "$(status_of "$first" CapEff)" 0000000000000000 "it has no capabilities"
is "$(status_of "$first" Seccomp)" 2 "its system calls are filtered"
is "$(status_of "$first" NoNewPrivs)" 1 "it cannot gain privileges"
like "$(status_of "$first" Uid | cut -f1)" '^[1-9]' "it is not root"
is "$(cat "/proc/$first/task/"*/comm | grep -c '^worker-')" 3 "three workers"
is "$(ls "/proc/$first/task" | wc -l)" 5 "beside them the control thread and the journal"
ok "no descriptor of bpf is among its own but the heartbeat words" \
	test "$(ls -l "/proc/$first/fd" | grep -c 'bpf-')" -le 1

kill -KILL "$first"
wait_for 10 another "$first"
second=$(proxy_pid)
is "$(proxy_stat exits)" 1 "its end was counted"
is "$(proxy_stat starts)" 2 "and it was started again"
wait_for 5 adopted
like "$(cat "$T/weftd.log")" "process $first was ended by signal 9" "the log says how it ended"

weftd_kill
ok "the proxy outlives its agent" kill -0 "$second"
weftd_start
is "$(proxy_pid)" "$second" "the next agent takes the same process over"
is "$(proxy_stat adopted)" 1 "and counts it"
is "$(proxy_stat starts)" 0 "without starting another"
wait_for 5 adopted

kill -KILL "$second"
wait_for 10 another "$second"
is "$(proxy_stat exits)" 1 "an adopted proxy is watched too"

# One that is stopped says nothing and takes no facts; it is replaced, and they are not kept for it without end.
third=$(proxy_pid)
wait_for 5 adopted
kill -STOP "$third"
python3 - > "$T/many" <<'PY'
print("clusters:")
for i in range(400):
    print("- {name: c%d, endpoints: [%s]}" % (i, ", ".join('{address: "10.1.%d.%d:80"}' % (k, i % 250 + 1) for k in range(20))))
PY
write_file "$T/services.d/many.yaml" < "$T/many"
wait_for 20 another "$third"
is "$(proxy_stat hangs)" 1 "a proxy that says nothing is replaced"
like "$(cat "$T/weftd.log")" "process $third has not answered for 10 s" "the log says why"
wait_for 5 adopted

# A second daemon whose socket lies in the same folder has a proxy of its own.
mkdir -p "$CG/second"
sed "s|^kernel:.*|kernel: {cgroup: $CG/second}|" "$T/weft.yaml" > "$T/second.yaml"
echo 'admin: {address: "127.0.0.1:15100", socket: /run/weft/second.sock}' >> "$T/second.yaml"
running() { [ -n "$(proxy_pid)" ]; }
wait_for 20 running
first=$(proxy_pid)
bg second.log in_cg "$CG/weftd2" "$B/weftd" -c "$T/second.yaml" --instance second
second_pid=$BG_PID
second_ready() { curl -s --unix-socket /run/weft/second.sock http://weft/ready | grep -q '"ready":true'; }
wait_for 30 second_ready
wait_for 20 running
is "$(proxy_pid)" "$first" "another instance's proxy is left alone"
kill -TERM "$second_pid"
wait "$second_pid"
is "$(proxy_pid)" "$first" "also when that instance ends"

last=$(proxy_pid)
weftd_stop
fails "a stopping agent stops its proxy" kill -0 "$last"
fails "and removes its socket" test -e /run/weft/admin.sock.proxy

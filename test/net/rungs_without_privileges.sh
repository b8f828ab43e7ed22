# SPDX-License-Identifier: Apache-2.0
# What is left without privileges, without CAP_PERFMON, CAP_BPF, cgroup v2 or bpffs, and by configuration: the daemon
# starts, says which rung and why, and does the rest; kernel.mode required makes it an error.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

bg answer.log in_cg "$CG/server" python3 "$SRC/test/lib/answer.py" --port 7000 127.0.0.11
# Where an ordinary user may look.
R=/run/weft/any
mkdir "$R"
ADMIN=$R/run/admin.sock
mkdir -p "$CG/weftd"
config() {  # mode, more of kernel
	cat > "$R/weft.yaml" <<-YAML
	kernel: {mode: $1, cgroup: ${CAPTURED:-$CG}${2:+, $2}}
	admin: {socket: $ADMIN}
	services: [{name: app, addresses: [10.96.0.10], cluster: app, ports: [{port: 80}]}]
	clusters: [{name: app, endpoints: [{address: "127.0.0.11:7000"}]}]
	YAML
	chmod 644 "$R/weft.yaml"
	rm -rf "$R/run"
	mkdir "$R/run"
	chown 65534:65534 "$R/run"
}
NOBODY="setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all"
without() { echo "setpriv --bounding-set=-$(sed 's/ /,-/g' <<< "$*") --inh-caps=-all"; }
dial() { in_cg "$CG/client" timeout 60 python3 "$SRC/test/lib/dial.py" tcp 10.96.0.10 80; }
kernel() { admin /kernel | python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])"; }
asked() { [ "$(admin_status /live)" = 200 ]; }
judged() { ! kernel why | grep -q 'until the known-answer tests'; }

# NAME RUNG WHY-REGEX REACHED COMMAND...: COMMAND... weftd
rung() {
	local name=$1 want=$2 why=$3 reached=$4
	shift 4
	bg weftd.log in_cg "$CG/weftd" "$@" "$B/weftd" -c "$R/weft.yaml"
	WEFTD_PID=$BG_PID
	wait_for 20 asked
	wait_for 20 judged
	is "$(kernel rung)" "$want" "$name: rung"
	like "$(kernel why)" "$why" "$name: /kernel says why"
	like "$(weft --socket "$ADMIN" status)" "$want.*($why)" "$name: weft status says it too"
	like "$(weft --socket "$ADMIN" services)" '^app +10.96.0.10 +80' "$name: services are known"
	like "$(cat "$T/weftd.log")" "kernel: ($want|balance): .*" "$name: the log says it"
	like "$(dial)" "$reached" "$name: a connection to the service"
	[ "${STOPS:-yes}" = no ] || weftd_stop
}
required() {  # NAME WHY-REGEX COMMAND...
	local rc=0
	config required
	in_cg "$CG/weftd" timeout 60 "${@:3}" "$B/weftd" -c "$R/weft.yaml" > "$T/required.out" 2>&1 || rc=$?
	is $rc 1 "$1, required: exit code 1"
	like "$(cat "$T/required.out")" "kernel.mode is required.*($2)" "$1, required: says why"
}
UNREACHED='^E(NETUNREACH|HOSTUNREACH|CONNREFUSED|TIMEDOUT) 1$|^timed out 1$'
ip route add unreachable 10.96.0.0/16
wait_line 20 "$T/answer.log" ready

config off
rung "kernel.mode off" off 'kernel.mode is off' "$UNREACHED" env
is "$(find /sys/fs/bpf -name 'weft*')" "" "kernel.mode off: nothing in bpffs"

config auto
# shellcheck disable=SC2086
rung "an ordinary user" off 'BPF|bpf|permitted|permission|privilege' "$UNREACHED" $NOBODY
# shellcheck disable=SC2086
required "an ordinary user" 'BPF|bpf|permitted|permission|privilege' $NOBODY

config auto
# shellcheck disable=SC2046
rung "root without CAP_BPF" off 'BPF|bpf|permitted' "$UNREACHED" $(without bpf sys_admin)
# shellcheck disable=SC2046
required "root without CAP_BPF" 'BPF|bpf|permitted' $(without bpf sys_admin)

config auto
# shellcheck disable=SC2046
rung "without CAP_PERFMON" balance 'PERFMON' '^127.0.0.11 1$' $(without perfmon sys_admin)
# shellcheck disable=SC2046
required "without CAP_PERFMON" 'PERFMON' $(without perfmon sys_admin)
weft kernel detach > "$T/detach.out"

config auto "shortCircuit: {enabled: false}"
rung "the short-circuit switched off" balance 'kernel.shortCircuit.enabled' '^127.0.0.11 1$' env
weft kernel detach > "$T/detach.out"

config auto "connect: false"
rung "translation switched off" full '' "$UNREACHED" env
weft kernel detach > "$T/detach.out"

cat > "$T/no_cgroup" <<SH
#!/bin/bash
umount -l "$CGROUP2" && exec "\$@"
SH
cat > "$T/no_bpffs" <<SH
#!/bin/bash
while umount -l /sys/fs/bpf 2> /dev/null; do :; done
exec setpriv --bounding-set=-sys_admin --inh-caps=-all "\$@"
SH
chmod +x "$T/no_cgroup" "$T/no_bpffs"
CAPTURED=auto config auto
rung "without cgroup v2" off 'cgroup2 is not mounted' "$UNREACHED" unshare --mount --propagation private "$T/no_cgroup"
CAPTURED=auto required "without cgroup v2" 'cgroup2 is not mounted' unshare --mount --propagation private "$T/no_cgroup"
config auto
rung "a cgroup that does not exist" off 'is no cgroup2 folder' "$UNREACHED" unshare --mount --propagation private "$T/no_cgroup"
config auto
rung "without bpffs" off '/sys/fs/bpf is no BPF file system' "$UNREACHED" unshare --mount --propagation private "$T/no_bpffs"
required "without bpffs" '/sys/fs/bpf is no BPF file system' unshare --mount --propagation private "$T/no_bpffs"

# With all of it, the same configuration is at the top.
config required
rung "with everything" full '' '^127.0.0.11 1$' env

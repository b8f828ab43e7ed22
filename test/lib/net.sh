# SPDX-License-Identifier: Apache-2.0
# A small machine for one shell test. Source it first:  . "$(dirname "$0")/../lib/net.sh"
#
# The test is started again in mount, network and pid namespaces of its own: the shell is "the node", /sys/fs/bpf is a
# private bpffs, /run/netns and /run/weft are empty, and when the shell ends, however it ends, all its processes,
# namespaces, pins and interfaces are gone. Only cgroups outlive a namespace: the trap removes them, and the runner
# sweeps what a SIGKILL left.
#
# Set by this file:   $T scratch folder   $CG the test's own cgroup (v2)   $SRC the tree   $B absolute build folder
# Exit codes:         0 pass, 77 skipped (last line: the reason), anything else fail
#
#   pod_add NAME [IPV4 [IPV6]]     a network namespace on bridge br0 and a cgroup $CG/NAME (10.244.0.N, fd00:244::N)
#   in_pod NAME CMD...             run in that namespace and cgroup         in_cg PATH CMD...  in a cgroup of the node
#   serve POD NAME ARGS...         test/lib/serve.py in a pod, returns when it listens; PID in $SERVE_PID
#   bg LOG CMD...                  start in the background, output to $T/LOG; PID in $BG_PID
#   weftd_start [ARGS...]          weftd on $T/weft.yaml, returns when /ready answers 200; PID in $WEFTD_PID
#   weftd_stop | weftd_kill        SIGTERM and wait, must end with 0 | SIGKILL and wait
#   weft ARGS...                   the CLI          admin PATH [CURL ARGS]   the Admin API over the unix socket
#   tcp_mem_take | tcp_mem_back    net.ipv4.tcp_mem of the machine is this test's, or fails; as it was. NEEDS_TCP_MEM=1 first
#   tcp_mem "LOW PRESSURE HIGH"    sets it
#   metric PREFIX                  sum of the rows of /metrics that begin so; a prefix that no row has is a failure
#   wait_for SECONDS CMD...        until CMD succeeds; fails at the deadline
#   wait_line SECONDS FILE REGEX   until a line of a growing file matches
#   write_file PATH                stdin -> PATH by atomic rename
#   is GOT WANT WHAT | like GOT REGEX WHAT | ok WHAT CMD... | fails WHAT CMD... | fail WHAT | skip REASON
#   case_pass NAME | case_fail NAME WHY | case_skip NAME WHY   for scripts that hold several cases
set -euo pipefail

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=${WEFT_BUILD:-$SRC/build}
case $B in /*) ;; *) B=$SRC/$B ;; esac

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAIL: $* (line ${BASH_LINENO[$((${#BASH_LINENO[@]} - 2))]})" >&2; exit 1; }

[ "$(id -u)" = 0 ] || skip "needs root"
CGROUP2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[ -n "$CGROUP2" ] || skip "no cgroup v2 is mounted"

# Inside means: first process of a pid namespace that is not the one the test was started in.
PIDNS=$(readlink /proc/self/ns/pid)
if [ -n "${NEEDS_TCP_MEM:-}" ] && [ -z "${HOST_NET:-}" ]; then
	exec {HOST_NET}< /proc/self/ns/net {TCP_MEM_LOCK}> "${TMPDIR:-/tmp}/weft-tcp_mem.lock"
	export HOST_NET TCP_MEM_LOCK
fi
if [ $$ != 1 ] || [ "${WEFT_TEST_OUTER:-$PIDNS}" = "$PIDNS" ]; then
	export WEFT_TEST_OUTER=$PIDNS WEFT_TEST_NODE=${WEFT_TEST_ID:-$$}
	mkdir -p /run/netns /run/weft
	exec unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private -- \
		bash "$(realpath "$0")" "$@"
fi

T=$(mktemp -d "${TMPDIR:-/tmp}/weft-test.XXXXXX")
CG=$CGROUP2/weft-test-$WEFT_TEST_NODE
ADMIN=/run/weft/admin.sock
WEFTD_PID=
PODS=0

# A pipe that nobody writes to: reading it with a limit is a pause without a process.
exec {NEVER}<> <(:)
pause() { read -r -t "${1:-0.02}" -u "$NEVER" _ || true; }

cg_remove() {
	[ -d "$1" ] || return 0
	echo 1 > "$1/cgroup.kill" 2>/dev/null || true
	local i
	for ((i = 0; i < 250; i++)); do
		find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && return 0
		pause
	done
	echo "could not remove $1" >&2
}

# What a sanitizer said in any log fails a test that would pass. Leaks are looked for at a process's end, so it gets one.
sanitized() {
	case $B in *-address* | *-thread*) ;; *) return 0 ;; esac
	if [ -n "$WEFTD_PID" ] && kill -TERM "$WEFTD_PID" 2>/dev/null; then
		local until=$((SECONDS + 60))
		while kill -0 "$WEFTD_PID" 2>/dev/null && [ $SECONDS -lt $until ]; do pause 0.05; done
	fi
	! grep -aE -A 25 'ERROR: (Address|Leak)Sanitizer|Sanitizer has encountered a fatal error|WARNING: ThreadSanitizer|runtime error:' \
		"$T"/*.log /dev/null >&2
}

# net.ipv4.tcp_mem is the whole machine's: one test at a time, for as short as can be, and as it was whatever the end is.
TCP_MEM=
tcp_mem() { nsenter --net="/proc/self/fd/$HOST_NET" sysctl -qw net.ipv4.tcp_mem="$1"; }
tcp_mem_take() {
	flock "$TCP_MEM_LOCK"
	TCP_MEM=$(nsenter --net="/proc/self/fd/$HOST_NET" cat /proc/sys/net/ipv4/tcp_mem 2> /dev/null) || TCP_MEM=
	[ -n "$TCP_MEM" ]
}
tcp_mem_back() {
	[ -z "$TCP_MEM" ] || tcp_mem "$TCP_MEM"
	TCP_MEM=
	[ -z "${TCP_MEM_LOCK:-}" ] || flock -u "$TCP_MEM_LOCK"
}
cleanup() {
	local rc=$?
	trap '' INT TERM HUP
	trap - EXIT
	set +e
	tcp_mem_back
	if [ $rc -eq 0 ] && ! sanitized; then
		echo "FAIL: a sanitizer's report" >&2
		rc=1
	fi
	if [ $rc -ne 0 ] && [ $rc -ne 77 ]; then
		local f
		for f in "$T"/*.log; do
			[ -s "$f" ] && { echo "--- $(basename "$f")"; tail -n 40 "$f"; }
		done >&2
	fi
	# Everything else of this pid namespace: this shell is its first process.
	[ $BASHPID != 1 ] || { kill -KILL -1; wait; } 2>/dev/null
	cg_remove "$CG"
	[ -n "${KEEP:-}" ] || rm -rf "$T"
	exit $rc
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mount -t tmpfs -o mode=755 netns /run/netns
mount -t tmpfs -o mode=755 weft /run/weft
mount -t bpf -o mode=700 bpf /sys/fs/bpf || skip "no bpffs can be mounted"
mkdir -p "$CG"
ip link set lo up
# As large as a kernel gives by itself: how much a peer that does not read may take is known.
sysctl -qw net.ipv4.tcp_rmem="4096 131072 6291456" net.ipv4.tcp_wmem="4096 16384 4194304" 2>/dev/null || true
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 2>/dev/null || true

in_cg() {
	local cg=$1
	shift
	mkdir -p "$cg"
	# A shell of its own joins and then becomes the command. In the background it takes the place of bg's own shell,
	# so that $BG_PID is the command itself.
	${BG_EXEC:-} bash -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$cg" "$@"
}

bridge_up() {
	[ ! -e /proc/sys/net/ipv4/conf/br0 ] || return 0
	ip link add br0 type bridge forward_delay 0 mcast_snooping 0
	ip addr add 10.244.0.254/24 dev br0
	ip addr add fd00:244::fe/64 dev br0 nodad
	ip link set br0 up
}

pod_add() {
	local name=$1 n
	PODS=$((PODS + 1))
	n=$PODS
	local v4=${2:-10.244.0.$n} v6=${3:-fd00:244::$(printf '%x' "$n")}
	bridge_up
	ip netns add "$name"
	mkdir -p "$CG/$name"
	ip link add "veth-$n" type veth peer name eth0 netns "$name"
	ip link set "veth-$n" master br0 up
	ip -n "$name" link set lo up
	ip -n "$name" link set eth0 up
	ip -n "$name" addr add "$v4/24" dev eth0
	ip -n "$name" addr add "$v6/64" dev eth0 nodad
	ip -n "$name" route add default via 10.244.0.254
	ip -n "$name" route add default via fd00:244::fe
}

# nsenter, not `ip netns exec`: the latter hides the cgroup and bpffs mounts.
in_pod() {
	local name=$1
	shift
	in_cg "$CG/$name" nsenter "--net=/run/netns/$name" -- "$@"
}

bg() {
	local log=$T/$1 BG_EXEC=
	shift
	case $1 in in_cg | in_pod) BG_EXEC=exec ;; esac
	# Appended to: a proxy that outlives its agent still writes there.
	: > "$log"
	"$@" >> "$log" 2>&1 < /dev/null &
	BG_PID=$!
}

serve() {
	local pod=$1 name=$2
	shift 2
	local log=serve-$pod-$name.log
	bg "$log" in_pod "$pod" python3 "$SRC/test/lib/serve.py" --name "$name" "$@"
	SERVE_PID=$BG_PID
	wait_line 20 "$T/$log" '^ready$'
}

admin() {
	local path=$1
	shift
	curl -sS --max-time 60 --unix-socket "$ADMIN" "$@" "http://weft$path"
}

admin_status() { admin "$1" -o /dev/null -w '%{http_code}' 2>/dev/null; }
weftd_ready() { [ "$(admin_status /ready)" = 200 ]; }

weftd_start() {
	[ -x "$B/weftd" ] || fail "$B/weftd is not built"
	bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml" "$@"
	WEFTD_PID=$BG_PID
	local until=$((SECONDS + 60))
	until weftd_ready; do
		kill -0 "$WEFTD_PID" 2>/dev/null || fail "weftd ended before it was ready"
		[ $SECONDS -lt $until ] || fail "weftd is not ready after 60 s: $(admin /ready 2>&1)"
		pause 0.05
	done
}

weftd_stop() {
	local rc=0
	kill -TERM "$WEFTD_PID"
	wait "$WEFTD_PID" || rc=$?
	WEFTD_PID=
	is $rc 0 "weftd ends with 0 on SIGTERM"
}

weftd_kill() {
	kill -KILL "$WEFTD_PID"
	wait "$WEFTD_PID" 2>/dev/null || true
	WEFTD_PID=
}

weft() { "$B/weft" "$@"; }

metric() {
	admin /metrics > "$T/metrics.out"
	awk -v n="$1" 'index($1, n) == 1 {s += $2; found = 1} END {if (found) printf "%d\n", s; else exit 1}' "$T/metrics.out" ||
		fail "no metric begins with $1"
}

# At least a minute: a machine that stood still is no hang.
wait_for() {
	local until=$((SECONDS + ($1 < 60 ? 60 : $1)))
	shift
	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $until ] || fail "did not come true in time: $*"
		pause 0.05
	done
}

wait_line() { wait_for "$1" grep -qE -- "$3" "$2"; }

write_file() {
	mkdir -p "$(dirname "$1")"
	cat > "$1.new~"
	mv "$1.new~" "$1"
}

is() { [ "$1" = "$2" ] || fail "$3: got '$1', wanted '$2'"; echo "  ok: $3"; }
like() { grep -qE -- "$2" <<< "$1" || fail "$3: got '$1', wanted a match of /$2/"; echo "  ok: $3"; }
ok() { local what=$1; shift; "$@" > "$T/ok.out" 2>&1 || { cat "$T/ok.out" >&2; fail "$what: $* failed"; }; echo "  ok: $what"; }
fails() { local what=$1; shift; ! "$@" > "$T/ok.out" 2>&1 || { cat "$T/ok.out" >&2; fail "$what: $* succeeded"; }; echo "  ok: $what"; }

case_pass() { echo "case pass $1"; }
case_fail() { echo "case fail $1: ${*:2}"; }
case_skip() { echo "case skip $1: ${*:2}"; }

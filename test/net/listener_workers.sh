#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# New connections go to the worker that has fewest, those of clients of the same machine to one of their CPU while it has not
# many more; without BPF the kernel's hash chooses, and nothing else changes.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

config() {  # kernel, workers
	cat > "$T/weft.yaml" <<-YAML
	kernel: $1
	workers: ${2:-4}
	listeners:
	- {name: a, address: "127.0.0.1:7001", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
	- {name: b, address: "[::1]:7002", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
	clusters: [{name: echo, endpoints: [{address: "127.0.0.1:9001"}]}]
	YAML
}
cat > "$T/spread.py" <<'PY'
import daemon, json, os, relay_peers, socket, sys, time

MOST = 32                                # of 100 among four: n + n / 4 + 2 for clients of that CPU, n for the others

def listener(name):
    return [l for l in json.loads(daemon.admin("/listeners"))["listeners"] if l["name"] == name][0]

def settled(name, n):
    end = time.monotonic() + 60
    while listener(name).get("open") != n:
        assert time.monotonic() < end, listener(name)
        time.sleep(0.1)
    return listener(name)["busiest"]

def one_by_one(port, host, n):
    conns = []
    for _ in range(n):
        s = relay_peers.dial(port, b"ex", host)
        assert s.recv(1) == b"x"
        conns.append(s)
    return conns

def at_once(port, host, n):
    conns = []
    for _ in range(n):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.setblocking(False)
        s.connect_ex((host, port))
        conns.append(s)
    return conns

def check(what, worst, most):
    assert worst <= most, f"{what}: {worst} on one worker, at most {most} were wanted"
    print(f"  ok: {what}: {worst} on the busiest worker", flush=True)

def from_cpu(cpu, n):
    os.sched_setaffinity(0, {cpu})
    return one_by_one(7001, "127.0.0.1", n)

# Two workers, one on each of two CPUs: a few connections go to the client's CPU, many to both.
if sys.argv[1] == "cpus":
    end = time.monotonic() + 60            # a worker tells its CPU when it runs
    while True:
        conns = from_cpu(0, 2)
        first = settled("a", 2)
        conns += from_cpu(1, 2)
        if first == 2 and settled("a", 4) == 2:
            break
        assert time.monotonic() < end, "connections do not go to the worker of their CPU"
        for s in conns:
            s.close()
        settled("a", 0)
    conns += from_cpu(1, 96)
    check("100 connections, 98 of them from CPU 1", settled("a", 100), 58)
    for s in conns:
        s.close()
    settled("a", 0)
    sys.exit()

conns = one_by_one(7001, "127.0.0.1", 100)
if sys.argv[1] == "hash":
    check("100 connections among four workers by the hash", settled("a", 100), 100)
    sys.exit()
check("100 connections among four workers, one by one", settled("a", 100), MOST)
for s in conns[:60]:
    s.close()
left = settled("a", 40)
conns = conns[60:] + one_by_one(7001, "127.0.0.1", 60)
check("and after 60 of them are others", settled("a", 100), max(MOST, left))
more = one_by_one(7002, "::1", 100)
check("another listener, over IPv6, counts them with its own", settled("b", 100), MOST + max(MOST, left) - 25)
for s in conns + more:
    s.close()
settled("a", 0), settled("b", 0)
burst = at_once(7001, "127.0.0.1", 200)
check("200 connections at once", settled("a", 200), 75)
PY
bg echo.log python3 "$SRC/test/lib/relay_peers.py" serve 9001
wait_line 20 "$T/echo.log" ready
choice() { admin /listeners | python3 -c "import json,sys; print([l['workerChoice'] for l in json.load(sys.stdin)['listeners']])"; }

config "{cgroup: $CG}"
weftd_start
if [ "$(choice)" != "['least-loaded', 'least-loaded']" ]; then skip "this kernel attaches no reuseport program: $(choice)"; fi
ok "least loaded" python3 "$T/spread.py" least
cat "$T/ok.out"
weftd_kill
weftd_start
steered() { [ "$(choice)" = "['least-loaded', 'least-loaded']" ]; }
wait_for 20 steered
is "$(choice)" "['least-loaded', 'least-loaded']" "also after the agent was killed, with the same sockets"
ok "least loaded" python3 "$T/spread.py" least
weftd_stop

# Two workers, held on two CPUs. Where there is one CPU, all is least loaded.
config "{cgroup: $CG}" 2
weftd_start
wait_for 20 steered
if [ "$(nproc)" -ge 2 ]; then
	cpu=0
	for task in /proc/"$(pgrep -P "$WEFTD_PID" -f role=proxy)"/task/*; do
		case $(cat "$task/comm") in
		*worker*)
			taskset -pc $cpu "${task##*/}" > /dev/null
			cpu=$((cpu + 1))
			;;
		esac
	done
	is "$cpu" 2 "two workers are held on two CPUs"
	ok "the client's CPU" python3 "$T/spread.py" cpus
	cat "$T/ok.out"
fi
weftd_stop

config '{mode: "off"}'
weftd_start
is "$(choice)" "['hash', 'hash']" "without BPF"
ok "by the hash" python3 "$T/spread.py" hash
cat "$T/ok.out"

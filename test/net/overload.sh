#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The proxy sheds load before it has no memory, connections or descriptors left, says so, and takes everything again
# afterwards; and what slow readers cost it is bounded.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1
ulimit -n 20000

cat > "$T/host.py" <<'PY'
# Answers /big with 32 MiB, as far as somebody reads, anything else with a line.
import asyncio
PIECE = b"x" * 65536
async def serve(r, w):
    try:
        while True:
            head = await r.readuntil(b"\r\n\r\n")
            big = head.startswith(b"GET /big")
            w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * 512 if big else 3))
            if not big:
                w.write(b"ok\n")
            for _ in range(512 if big else 0):
                await w.drain()
                w.write(PIECE)
            await w.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    w.close()
async def main():
    s = await asyncio.start_server(serve, "127.0.0.1", 9001, backlog=4096)
    await s.serve_forever()
asyncio.run(main())
PY
# clients.py N: opens N connections; "ask" asks for /big on all and reads nothing, "close" closes them; "keep PATH" asks
# on one more connection, which was opened first, and prints the status and whether it is kept; "half" ends the head of a
# request that was begun at the start, and prints all of its answer.
cat > "$T/clients.py" <<'PY'
import http.client, socket, sys, time
n = int(sys.argv[1])
def dial():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    s.connect(("127.0.0.1", 8080))
    return s
first = http.client.HTTPConnection("127.0.0.1", 8080, timeout=120)
first.request("GET", "/small")
first.getresponse().read()
half = dial()
half.sendall(b"GET /small HTTP/1.1\r\nHost: a\r\n")
all = [dial() for _ in range(n)]
print("open", flush=True)
for line in sys.stdin:
    word = line.split()[0]
    if word == "ask":
        for s in all:
            s.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        for s in all:
            s.settimeout(120)
            s.recv(1)
    elif word == "close":
        for s in all:
            s.close()
        all = []
    elif word == "half":
        half.settimeout(120)
        half.sendall(b"\r\n")
        got = b""
        while True:
            d = half.recv(4096)
            if not d:
                break
            got += d
        print(got.decode().replace("\r\n", " ").strip(), flush=True)
        continue
    elif word == "keep":
        first.request("GET", "/small")
        a = first.getresponse()
        print(a.status, a.getheader("connection"), a.read().decode().strip(), flush=True)
        continue
    print("done", word, flush=True)
PY
config() {
	write_file "$T/weft.yaml" <<YAML
workers: 2
kernel: {mode: off, shortCircuit: {assumeNoSplice: true}}
overload: {$1}
listeners:
- {name: in, address: "127.0.0.1:8080", protocol: http, routes: [all], timeouts: {head: 10m}}
routes:
- {name: all, rules: [{backends: [{cluster: web}]}]}
clusters:
- {name: web, connectionPool: {maxConnections: 10000, maxRequests: 10000}, endpoints: [{address: "127.0.0.1:9001"}]}
telemetry: {accessLog: [{path: $T/access.txt}]}
YAML
}
config ''
bg host.log python3 "$T/host.py"
wait_for 60 bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001'
weftd_start
proxy() { pgrep -P "$WEFTD_PID" -f role=proxy; }
resident() { echo $(($(awk '{print $2}' "/proc/$(proxy)/statm") * 4)); }	# KiB
level() { [ "$(admin /overload | jq -r .level)" = "$1" ]; }
clients() {	# N: open them
	coproc CLIENTS { python3 "$T/clients.py" "$1" 2> "$T/clients.log"; }
	IN=${CLIENTS[1]} OUT=${CLIENTS[0]} CLIENTS_ID=$CLIENTS_PID
	answer
}
answer() { read -r -t 180 -u "$OUT" LINE || fail "the clients said nothing"; }
say() { echo "$*" >&"$IN"; answer; }
gone() { exec {IN}>&-; wait "$CLIENTS_ID" || true; }
metric() { admin /metrics | sed -n "s/^weft_overload_$1{.*} //p"; }

# 2,000 clients that do not read: what waits for them is bounded, and given back.
case $B in *-address*) EACH=400 ;; *-thread*) EACH=800 ;; *) EACH=112 ;; esac	# KiB: 64 of bytes, in chunks of 16, and the objects
before=$(resident)
clients 2000
say ask
[ "$(resident)" -le $((before + 2000 * EACH)) ] || fail "$(resident) KiB for 2,000 slow readers, $before before"
echo "  ok: 2,000 slow readers: $before KiB before, $(resident) KiB with them"
say close
gone
none() { [ "$(metric connections)" -lt 10 ]; }
wait_for 60 none
case_pass slow_readers_are_bounded

memory() {
	config "memory: 64MiB"
	weft reload > /dev/null
	clients 1500
	shown() { weft overload | grep -qE "^memory +none +[0-9]+ +67108864 +53687091 +63753420"; }
	wait_for 60 shown
	say keep
	is "$LINE" "200 None ok" "a request before, on a connection that is kept"
	say ask
	wait_for 60 level hard
	wait_line 60 "$T/weftd.log" 'warn .*overload: hard \(was [a-z]+\): memory [0-9]+ of 64 MiB'
	say half
	like "$LINE" '^HTTP/1.1 503 .*[Cc]onnection: close.* the proxy sheds load \(OM\)$' "a request that was begun before"
	wait_line 60 "$T/access.txt" ' 503 .*OM'
	fails "a new client has to wait" curl -s -m 2 http://127.0.0.1:8080/small
	wait_for 60 bash -c "curl -sS --unix-socket $ADMIN http://weft/listeners | jq -e '.listeners[0].held >= 1'"
	case_pass memory

	say close
	wait_for 90 level none
	wait_line 60 "$T/weftd.log" 'info .*overload: none \(was [a-z]+\)'
	is "$(curl -sS -m 60 http://127.0.0.1:8080/small)" ok "everything is taken again"
	gone
	[ "$(metric hard_total)" -ge 1 ] && [ "$(metric recovered_total)" -ge 1 ] || fail "levels are not counted"
	case_pass recovers
}
# A sanitizer's own memory counts as resident, and is not given back.
case $B in
*-address* | *-thread*) case_skip memory "a sanitizer's memory is not the proxy's" ;;
*) memory ;;
esac

config "connections: 100"
weft reload > /dev/null
clients 200
wait_for 60 level soft
full() { [ "$(metric connections)" -ge 100 ]; }
wait_for 60 full
[ "$(metric connections)" -le 100 ] || fail "$(metric connections) clients where 100 may be"
say close
is "$(curl -sS -m 60 http://127.0.0.1:8080/small)" ok "a client that waited"
gone
wait_for 60 level none
case_pass connections_wait

# A burst, faster than levels are looked at: neither limit is passed, by two workers together.
cat > "$T/burst.py" <<'PY'
import os, select, socket, sys, threading, time
pid, n = sys.argv[1], int(sys.argv[2])
most, ended = 0, False
def watch():
    global most
    while not ended:
        most = max(most, len(os.listdir(f"/proc/{pid}/fd")))
watcher = threading.Thread(target=watch)
watcher.start()
all = []
for _ in range(n):
    s = socket.create_connection(("127.0.0.1", 8080))
    s.sendall(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")
    all.append(s)
# Whoever is let in is answered; the others wait in the backlog.
answered, end = set(), time.monotonic() + 60
while time.monotonic() < end and len(answered) < 50:
    answered |= {s.fileno() for s in select.select(all, [], [], 1)[0]}
ended = True
watcher.join()
print(f"answered {min(len(answered), 50)} most {most}", flush=True)
PY
# A descriptor is known to be one too many by its number, so each worker may have one for as long as it takes to close it.
bursts() {	# what may be
	local i out
	for i in 1 2 3; do
		out=$(python3 "$T/burst.py" "$(proxy)" 600)
		like "$out" 'answered 50 most [0-9]+' "a burst of 600 clients: $out"
		[ "${out##* }" -le $(($1 + 2)) ] || fail "${out##* } descriptors where $1 may be"
		wait_for 60 level none
	done
}
config "descriptors: 300"
weft reload > /dev/null
taken_up() { [ "$(metric descriptors_limit)" = 300 ]; }
wait_for 60 taken_up
bursts 300
waits_counted() { [ "$(metric short_of_total)" -ge 1 ]; }
wait_for 60 waits_counted
case_pass bursts_keep_to_the_limit

config "descriptors: 300, soft: 50, hard: 90"
weft reload > /dev/null
clients 400
wait_line 60 "$T/weftd.log" 'warn .*overload: (soft|hard) .* of 300 descriptors'
say close
gone
wait_for 60 level none
is "$(curl -sS -m 60 http://127.0.0.1:8080/small)" ok "taken again"
case_pass descriptors
weftd_stop

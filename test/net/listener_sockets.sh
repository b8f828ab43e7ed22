#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The sockets of listeners: one a worker, kept by the agent whatever becomes of the proxy, opened again when they can be.
. "$(dirname "$0")/../lib/net.sh"
export PYTHONPATH=$SRC/test/lib PYTHONDONTWRITEBYTECODE=1

D=$T/services.d
mkdir "$D"
cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
registries: [{name: files, type: file, path: $D}]
listeners:
- {name: one, address: "127.0.0.1:7001", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
- {name: taken, address: "127.0.0.1:7002", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}
clusters: [{name: echo, endpoints: [{address: "127.0.0.1:9001"}]}]
YAML
proxy_pid() { admin /ready | sed -n 's/.*process \([0-9]*\), 2 workers.*/\1/p'; }
another() { [ -n "$(proxy_pid)" ] && [ "$(proxy_pid)" != "$1" ]; }
listener() { admin /listeners | python3 -c "import json,sys; print([l for l in json.load(sys.stdin)['listeners'] if l['name'] == '$1'][0]['$2'])"; }
is_now() { [ "$(listener "$1" "$2")" = "$3" ]; }
cookies() { ss -tlneH "sport = :$1" | grep -o 'sk:[0-9a-f]*' | sort; }
echo_on() { python3 -c "import relay_peers; assert relay_peers.echo($1) == b'hello'"; }
refused() { admin /ready | grep -q 'cannot\|127.0.0.1:7002: Address already in use'; }

bg echo.log python3 "$SRC/test/lib/relay_peers.py" serve 9001
wait_line 20 "$T/echo.log" ready
# A stranger of the same user, whose port is open to sharing, too.
bg stranger.log python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('127.0.0.1', 7002)); s.listen(); print('ready', flush=True); time.sleep(1000)"
stranger=$BG_PID
wait_line 20 "$T/stranger.log" ready

bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
wait_for 20 refused
is "$(admin_status /ready)" 503 "a listener that cannot be opened: not ready"
is "$(listener taken state)" refused "and the view says so"
like "$(listener taken message)" 'Address already in use' "and why"
like "$(cat "$T/weftd.log")" 'error taken: .*weft.yaml:[0-9]*: cannot listen on tcp 127.0.0.1:7002: Address already in use' "and the log, with the place"
is "$(grep -c 'cannot listen' "$T/weftd.log")" 1 "once, however often it is tried"
is "$(listener one state)" listening "the other one listens"
is "$(listener one sockets)" 2 "with one socket a worker"
kill "$stranger"
wait_for 20 is_now taken state listening
wait_for 20 weftd_ready
like "$(cat "$T/weftd.log")" 'taken: now listens on tcp 127.0.0.1:7002' "once its port is free it is opened"
ok "and serves" echo_on 7002

# kill -9: while there is no proxy, clients wait in the backlog.
before=$(cookies 7001)
is "$(wc -l <<< "$before")" 2 "two sockets"
cat > "$T/knock.py" <<'PY'
import socket, sys, time
import relay_peers
refused = served = 0
end = time.monotonic() + 6
while time.monotonic() < end:
    try:
        s = socket.create_connection(("127.0.0.1", 7001), timeout=30)
    except ConnectionRefusedError:
        refused += 1
        continue
    try:
        s.sendall(b"e!")
        served += s.recv(1) == b"!"
    except ConnectionResetError:
        pass                        # it was open when the proxy was killed
    s.close()
    time.sleep(0.002)
print(f"refused {refused} served {served}")
PY
bg knock.log python3 "$T/knock.py"
for _ in 1 2 3; do
	pid=$(proxy_pid)
	kill -KILL "$pid"
	wait_for 20 another "$pid"
done
wait_line 30 "$T/knock.log" refused
like "$(cat "$T/knock.log")" '^refused 0 served [0-9]{2,}$' "three proxies killed, and no client refused"
is "$(cookies 7001)" "$before" "the sockets are the same"

# kill -9 of the agent: the next one takes the proxy over, with its sockets.
pid=$(proxy_pid)
bg knock.log python3 "$T/knock.py"
weftd_kill
weftd_start
is "$(proxy_pid)" "$pid" "the next agent takes the proxy over"
wait_line 30 "$T/knock.log" refused
like "$(cat "$T/knock.log")" '^refused 0 served [0-9]{2,}$' "and no client is refused meanwhile"
is "$(cookies 7001)" "$before" "the sockets are the same again"
kill -KILL "$pid"
wait_for 20 another "$pid"
ok "they outlive that proxy, too" echo_on 7001
is "$(cookies 7001)" "$before" "as the agent has them"

# Listeners come, change, and go.
listeners() { write_file "$D/l.yaml"; }
listeners <<< 'listeners: [{name: two, address: "127.0.0.1:7003", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}]'
wait_for 20 is_now two state listening
ok "a listener that is added serves" echo_on 7003
two=$(cookies 7003)
listeners <<< 'listeners: [{name: renamed, address: "127.0.0.1:7003", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}]'
wait_for 20 is_now renamed state listening
is "$(cookies 7003)" "$two" "one that is renamed keeps its sockets"
ok "and serves" echo_on 7003
cat > "$T/long.py" <<'PY'
import relay_peers, sys
s = relay_peers.dial(7003, b"e")
for line in sys.stdin:
    s.sendall(b"x")
    print("got", len(s.recv(1)), flush=True)
PY
mkfifo "$T/pipe"
bg long.log bash -c "exec python3 $T/long.py < $T/pipe"
exec 9> "$T/pipe"
echo go >&9
wait_line 20 "$T/long.log" 'got 1'
listeners <<< 'listeners: [{name: renamed, address: "127.0.0.1:7004", protocol: tcp, rules: [{backends: [{cluster: echo}]}]}]'
closed() { ! echo_on "$1"; }
wait_for 20 echo_on 7004
wait_for 20 closed 7003
is "$(cookies 7003)" "" "one that moves leaves its old port"
echo go >&9
rm "$D/l.yaml"
wait_for 20 closed 7004
echo go >&9
three() { [ "$(grep -c 'got 1' "$T/long.log")" = 3 ]; }
wait_for 20 three
echo "  ok: and what was connected goes on, also when the listener is gone"
exec 9>&-
weftd_stop
is "$(cookies 7001)" "" "a stopping agent closes its sockets"

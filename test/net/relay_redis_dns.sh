#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real servers behind the TCP and the UDP proxy: redis with pipelines, large values and subscribers; dnsmasq by dig.
. "$(dirname "$0")/../lib/net.sh"
for tool in redis-server dnsmasq dig; do command -v $tool > /dev/null || skip "$tool is not installed"; done

cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- {name: redis, address: "127.0.0.1:7379", protocol: tcp, rules: [{backends: [{cluster: redis}]}]}
- {name: dns, address: "127.0.0.1:7053", protocol: udp, timeouts: {idle: 5s}, rules: [{backends: [{cluster: dns}]}]}
- {name: dns-tcp, address: "127.0.0.1:7053", protocol: tcp, rules: [{backends: [{cluster: dns}]}]}
clusters:
- {name: redis, endpoints: [{address: "127.0.0.1:6379"}]}
- {name: dns, endpoints: [{address: "127.0.0.1:5353"}]}
YAML
bg redis.log redis-server --port 6379 --bind 127.0.0.1 --save '' --dir "$T"
wait_line 20 "$T/redis.log" 'Ready to accept connections'
bg dns.log dnsmasq -k -u root -p 5353 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts --pid-file= \
	--log-facility=- --address=/web.test/10.1.2.3 $(for i in $(seq 200); do echo "--host-record=many.test,10.9.0.$i"; done)
dns_up() { dig +short +tries=1 +time=1 @127.0.0.1 -p 5353 web.test | grep -q 10.1.2.3; }
wait_for 20 dns_up
weftd_start

r() { redis-cli -p 7379 "$@"; }
is "$(r ping)" PONG "redis answers"
head -c 20000000 /dev/urandom | base64 -w 0 > "$T/value"
r -x set big < "$T/value" > "$T/set.out"
is "$(r get big | md5sum)" "$( (cat "$T/value"; echo) | md5sum)" "26 MB there and back"
bg sub.log redis-cli -p 7379 --raw subscribe news
wait_line 20 "$T/sub.log" subscribe
r publish news hello > "$T/pub.out"
wait_line 20 "$T/sub.log" '^hello$'
echo "  ok: a subscriber hears"
ok "50 clients, pipelines" redis-benchmark -p 7379 -n 40000 -c 50 -P 16 -q -t set,get,incr
is "$(r incr counter)" 1 "and redis is well"
redis_open() { admin /listeners | python3 -c "import json,sys; print([l for l in json.load(sys.stdin)['listeners'] if l['name'] == 'redis'][0]['open'])"; }
only_the_subscriber() { [ "$(redis_open)" = 1 ]; }
wait_for 20 only_the_subscriber
echo "  ok: of all these connections the subscriber's is left"

is "$(dig +short @127.0.0.1 -p 7053 web.test)" 10.1.2.3 "a name over UDP"
is "$(dig +short +tcp @127.0.0.1 -p 7053 web.test)" 10.1.2.3 "and over TCP"
is "$(dig +short +bufsize=512 +noedns @127.0.0.1 -p 7053 many.test | grep -c 10.9.0)" 200 "200 addresses: cut over UDP, whole over TCP"
for i in $(seq 100); do echo "web.test A"; done > "$T/queries"
is "$(dig +short @127.0.0.1 -p 7053 -f "$T/queries" | grep -c 10.1.2.3)" 100 "a hundred questions"

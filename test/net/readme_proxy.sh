#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README's files for the proxy and the commands below them, word by word. /etc is an overlay.
. "$(dirname "$0")/../lib/net.sh"

block() { # LANGUAGE N: the Nth block of it below "The proxy listens where"
	awk -v l="^\`\`\`$1\$" -v n="$2" '/^The proxy listens where/ {on = 1} on && $0 ~ l {code = ++seen == n; next}
		code && /^```$/ {exit} code' "$SRC/README.md"
}
try() { # NAME, commands on stdin: they succeed; what they print is in NAME.log
	PATH=$T/bin:$PATH bash -eo pipefail > "$T/$1.log" 2>&1 || { cat "$T/$1.log"; fail "every command of the block succeeds"; }
	sed 's/^/     /' "$T/$1.log"
}
mkdir -p "$T/etc.up" "$T/etc.work" "$T/bin" "$T/conf.d"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$T/etc.up,workdir=$T/etc.work" /etc
block yaml 1 > "$T/weft.yaml"
like "$(cat "$T/weft.yaml")" '^listeners:' "the README has the file"
ip link set lo up
for port in 8081 8082; do
	mkdir "$T/$port"
	echo "from $port" > "$T/$port/index.html"
	bg "$port.log" python3 -m http.server "$port" --bind 127.0.0.1 --directory "$T/$port"
	wait_for 20 curl -s "http://127.0.0.1:$port/"
done
echo 'kernel: {mode: off}' >> "$T/weft.yaml"    # the proxy alone
weftd_start
ln -s "$B/weft" "$T/bin/weft"
block sh 1 | try out
like "$(head -1 "$T/out.log")" '^from 808[12]$' "one of the two answers"
like "$(cat "$T/out.log")" '/new/page' "explain shows where the redirect leads"
is "$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' http://127.0.0.1:8080/old/page)" \
	"301 http://127.0.0.1:8080/new/page" "and so it is"
like "$(cat "$T/out.log")" 'web' "the listener is shown"

block sh 2 | try certificate
block yaml 2 > "$T/rpc.yaml"
like "$(cat "$T/rpc.yaml")" '^- name: secure' "the README has the second file"
mv "$T/rpc.yaml" "$T/conf.d/rpc.yaml"
block sh 3 | try rpc
is "$(grep -c '^from 808[12]$' "$T/rpc.log")" 2 "both listeners answer HTTP/2"
like "$(cat "$T/rpc.log")" '^  call +Get of service shop.Orders$' "explain knows the call"
like "$(cat "$T/rpc.log")" '^orders .*127.0.0.1:9001' "and the cluster is shown"
is "$(curl -s -o /dev/null -w %{http_version} --http2 --cacert /etc/weft/tls/tls.crt https://localhost:8443/)" 2 "it is HTTP/2"

block yaml 3 > "$T/bolt.yaml"
like "$(cat "$T/bolt.yaml")" '^- name: calls' "the README has the third file"
mv "$T/bolt.yaml" "$T/conf.d/bolt.yaml"
block sh 4 | try bolt
like "$(cat "$T/bolt.log")" '^create of service com.example.Orders:1.0 at listener calls$' "explain knows a call of bolt"
PYTHONPATH=$SRC/test/lib python3 - <<'PY'
from rpc_rig import *
BoltHost(9100, "orders")
eventually(lambda: BoltClient(12200).ask("com.example.Orders:1.0", "create", b"1").status == SUCCESS)
PY
called() { weft methods | grep -q '^com.example.Orders:1.0 *create '; }
wait_for 60 called
weftd_stop

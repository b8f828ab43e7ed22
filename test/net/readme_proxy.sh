#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README's file for the proxy and the commands below it, word by word.
. "$(dirname "$0")/../lib/net.sh"

block() { # LANGUAGE: the first block of it below "The proxy listens where"
	awk -v l="^\`\`\`$1\$" '/^The proxy listens where/ {on = 1} on && $0 ~ l {code = 1; next} code && /^```$/ {exit} code' "$SRC/README.md"
}
block yaml > "$T/weft.yaml"
block sh > "$T/try.sh"
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
mkdir "$T/bin"
ln -s "$B/weft" "$T/bin/weft"
PATH=$T/bin:$PATH bash -eo pipefail "$T/try.sh" > "$T/out.log" 2>&1 || { cat "$T/out.log"; fail "every command of the block succeeds"; }
sed 's/^/     /' "$T/out.log"
like "$(head -1 "$T/out.log")" '^from 808[12]$' "one of the two answers"
like "$(cat "$T/out.log")" '/new/page' "explain shows where the redirect leads"
is "$(curl -s -o /dev/null -w '%{http_code} %{redirect_url}' http://127.0.0.1:8080/old/page)" \
	"301 http://127.0.0.1:8080/new/page" "and so it is"
like "$(cat "$T/out.log")" 'web' "the listener is shown"
weftd_stop

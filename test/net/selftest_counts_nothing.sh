#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The self-test runs below the captured cgroup, where the programs of a running weft see its sockets too: they are not the
# traffic that /kernel/reasons is about.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
YAML
counted() {
	weft kernel reasons -o json > "$T/reasons"
	python3 -c "import json,sys; print(*[r['name'] + '=' + str(r['count']) for r in json.load(open('$T/reasons'))['reasons'] if r['count']])"
}
judged() { admin /kernel | grep -qE '"rung":"(full|off)"'; }
for how in fresh adopted; do
	weftd_start
	wait_for 30 judged
	like "$(admin /metrics)" '^weft_kernel_selftest\{case="pair",class="fatal"\} 1' "$how: the self-test has run"
	is "$(counted)" "" "$how: and nothing was counted for it"
	weftd_stop
done
mkdir -p "$CG/other"
in_cg "$CG/other" python3 -c 'import socket; socket.socket().connect_ex(("127.0.0.1", 9))'
weftd_start
is "$(counted)" "no_service=1" "a connection of somebody else is"
weftd_stop

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README's "Try it on a machine", word by word: /usr and /etc are overlays. weftd is attached to the root of cgroup v2, as on a user's machine.
. "$(dirname "$0")/../lib/net.sh"

block() { # HEADING: the first sh block below it
	awk -v h="$1" '$0 ~ "^## " h {on = 1} on && /^```sh$/ {code = 1; next} code && /^```$/ {exit} code' "$SRC/README.md"
}
block "Try it on a machine" > "$T/try.sh"
like "$(cat "$T/try.sh")" '^make install' "the README has the block"

for d in usr etc; do
	mkdir -p "$T/$d.up" "$T/$d.work"
	mount -t overlay overlay -o "lowerdir=/$d,upperdir=$T/$d.up,workdir=$T/$d.work" "/$d"
done
rc=0
(cd "$SRC" && BUILD=$B in_cg "$CG/node" bash -eo pipefail "$T/try.sh") > "$T/out.log" 2>&1 || rc=$?
sed 's/^/     /' "$T/out.log"
is $rc 0 "every command of the block succeeds"
is "$(grep -c '<!DOCTYPE' "$T/out.log")" 2 "the service answers, with weftd and without"
like "$(cat "$T/out.log")" '^registries +yes' "weft status shows a daemon that is well"
like "$(cat "$T/out.log")" 'service +hello port 80' "weft explain names the service"
fails "nothing is left in the kernel" test -e /sys/fs/bpf/weft/abi1/maps/ctl_map

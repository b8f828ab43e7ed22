#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weft knows its own cgroup: in a container's cgroup namespace it is the container's, beside other programs it makes one.
. "$(dirname "$0")/../lib/net.sh"

cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $CG}
YAML
own() { weft kernel maps ctl_map | sed -n 's/.*"own_cgroup": \([0-9]*\).*/\1/p'; }
id_of() { stat -c %i "$1"; }
start_in() { # CGROUP COMMAND...
	bg weftd.log in_cg "$@" "$B/weftd" -c "$T/weft.yaml"
	WEFTD_PID=$BG_PID
	wait_for 30 weftd_ready
}

start_in "$CG/pod/container" unshare --cgroup
is "$(own)" "$(id_of "$CG/pod/container")" "in a container: the container's cgroup, as the host sees it"
like "$(cat "/proc/$WEFTD_PID/cgroup")" '^0::.*/pod/container$' "and it stays there"
weftd_stop

bg other.log in_cg "$CG/shell" python3 "$SRC/test/lib/serve.py" --name other --tcp 7777
wait_line 20 "$T/other.log" ready
start_in "$CG/shell"
is "$(own)" "$(id_of "$CG/shell/weftd")" "beside other programs: one of its own below theirs"
weftd_stop

start_in "$CG/alone"
is "$(own)" "$(id_of "$CG/alone")" "alone: the one it was started in"
weftd_stop

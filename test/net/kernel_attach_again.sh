#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cgroup on which somebody else's program lets no other attach: weftd says so, and is there as soon as that one has gone.
. "$(dirname "$0")/../lib/net.sh"

mkdir -p "$CG/pods/x"
config() {
	cat > "$T/weft.yaml" <<YAML
kernel: {cgroup: $1}
services: [{name: a.default, addresses: [10.96.0.1], cluster: a, ports: [{port: 80}]}]
clusters: [{name: a, endpoints: [{address: "10.0.0.1:80"}]}]
YAML
}
# Any program of the right type will do as the stranger's: one of weft's own, under another name.
config "$CG/pods/x"
weftd_start
STRANGER=/sys/fs/bpf/stranger
bpftool prog pin pinned /sys/fs/bpf/weft/abi1/progs/connect4_svc $STRANGER
weftd_stop
weft kernel detach > "$T/detach.out"
bpftool cgroup attach "$CG/pods" connect4 pinned $STRANGER

config "$CG/pods"
bg weftd.log in_cg "$CG/weftd" "$B/weftd" -c "$T/weft.yaml"
WEFTD_PID=$BG_PID
refused() { admin /ready | grep -q 'attach connect4_svc to '; }
attached() { admin /kernel | grep -q '"attached":true'; }
wait_for 10 refused
is "$(admin_status /ready)" 503 "what cannot be attached makes it unready, with the reason"
fails "nothing is attached by halves" attached

bpftool cgroup detach "$CG/pods" connect4 pinned $STRANGER
rm $STRANGER
wait_for 10 attached
wait_for 10 weftd_ready
like "$(admin /kernel)" '"snapshot":1,' "the snapshot that was there is in force"
weftd_stop
weft kernel detach > "$T/detach.out"

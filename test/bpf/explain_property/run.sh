#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What explain says is what then happens, over random models. MODELS=10000 is the long form.
. "$(dirname "$0")/../../lib/net.sh"

for i in 1 2 3 4; do ip addr add "fd00:1::1$i/128" dev lo nodad; done
mkdir -p "$CG/captured"
"$B/test/bpf/explain_property/explain_property" "$CGROUP2" "$CG/captured" /sys/fs/bpf "${MODELS:-1000}" "${SEED:-$RANDOM}"

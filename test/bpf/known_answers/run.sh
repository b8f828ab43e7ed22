#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The self-test on this kernel, the broken programs, and the share of accelerated directions where a race is likely.
set -uo pipefail
tool=${WEFT_BUILD:-build}/test/bpf/known_answers/known_answers
rc=0

"$tool" || rc=$?
[ $rc = 77 ] && exit 77

"$tool" differences || rc=1
"$tool" threads 20000000 || rc=1

# name, then options: at least 99 % of the directions, no wrong byte
share() {
	local name=$1 line
	shift
	if line=$("$tool" share -m 99 "$@"); then
		echo "case pass share-$name: $line"
	else
		echo "case fail share-$name: $line"
		rc=1
	fi
}
share veth -n 10000
share veth-defer-accept -n 10000 -D
share 1ms -n 4000 -d 1000
share 1ms-defer-accept -n 4000 -d 1000 -D
exit $rc

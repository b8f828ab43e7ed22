#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [CASE...]: figures beside a peer, one JSON object a line on stdout; progress and a summary on stderr.
# A case is case_NAME.sh. docs/benchmarks.md says what each measures and how to read it. BENCH_QUICK=1 is a short form.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
cases=("$@")
if [ $# = 0 ]; then
	cases=("$here"/case_*.sh)
	cases=("${cases[@]##*/case_}")
	cases=("${cases[@]%.sh}")
fi
for name in "${cases[@]}"; do
	[ -e "$here/case_$name.sh" ] || { echo "bench: no case $name" >&2; exit 2; }
	bash "$here/case_$name.sh"
done

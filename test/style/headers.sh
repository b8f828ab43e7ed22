#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles on its own: include/ and userspace/ for userspace, include/kern/ also for BPF (after the
# fixed-width types, which it may take for granted).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CC=${CC:-gcc} CLANG=${CLANG:-clang} build=${WEFT_BUILD:-build} rc=0
gcc_flags="-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -Iuserspace -I$build"
multiarch=/usr/include/$(uname -m)-linux-gnu

# try NAME HEADER COMPILER...: an empty file that includes the header and nothing else
try() {
	local name=$1 header=$2 out
	shift 2
	if out=$(echo "#include \"$header\"" | "$@" -fsyntax-only -x c - 2>&1); then
		echo "case pass $name"
	else
		echo "$out"
		echo "case fail $name: does not compile on its own"
		rc=1
	fi
}

while read -r header; do
	case $header in
	include/kern/*)
		try "$header" "${header#include/}" $CC $gcc_flags -include linux/types.h
		try "$header for BPF" "${header#include/}" $CLANG -target bpf -Wall -Werror -Iinclude -idirafter "$multiarch" \
			-include linux/types.h
		;;
	*) try "$header" "${header#*/}" $CC $gcc_flags ;;
	esac
done < <(find include userspace -name '*.h' | sort)
exit $rc

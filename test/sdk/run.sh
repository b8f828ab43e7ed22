#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The SDK: every example of docs/extending.md is cut out of the page, built as a third party would build it (include/
# alone, C11 as written), and loaded by a core of stand-ins, which calls it in the promised order. So is a protocol of
# test/plugins that has one call at a time.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CC=${CC:-gcc} out=${WEFT_BUILD:-build}/sdk rc=0
strict="-std=c11 -pedantic -Wall -Wextra -Werror -O1 -Iinclude"
plugin="$CC $strict -shared -fPIC -fvisibility=hidden"
rm -rf "$out" && mkdir -p "$out" || exit 1

pass() { echo "case pass $1"; }
fail() {
	echo "case fail $1: $2"
	rc=1
}

# ```c NAME.c ... ``` -> $out/NAME.c
awk -v out="$out" '
	/^```c [a-z_]+\.c$/ { file = out "/" $2; next }
	/^```/ { file = "" }
	file { print > file }' docs/extending.md
cp test/plugins/proto_pong.c "$out/"
sed 's/WEFT_PLUGIN(/&.abi = WEFT_ABI + 1, /' "$out/lb_two.c" > "$out/other_abi.c"

for header in include/weft/*.h; do
	for std in c11 gnu11; do
		if err=$(echo "#include \"weft/${header##*/}\"" | $CC $strict -std=$std -fsyntax-only -x c - 2>&1); then
			pass "$header as $std"
		else
			echo "$err"
			fail "$header as $std" "does not compile alone and strictly"
		fi
	done
done

for kind in memo net_identity proto_note proto_pong filter_key lb_two registry_one registry_poll other_abi; do
	so=$out/$kind.so more=
	[ $kind = other_abi ] && more=-Wno-override-init
	if ! err=$($plugin $more -o "$so" "$out/$kind.c" 2>&1); then
		echo "$err"
		fail "$kind compiles" "against include/ alone"
		continue
	fi
	pass "$kind compiles"
	exported=$(nm -D --defined-only "$so" | awk '{ print $3 }' | tr '\n' ' ')
	[ "$exported" = "weft_plugin " ] && pass "$kind exports one symbol" || fail "$kind exports one symbol" "$exported"
	# What it needs beyond libc is declared in include/weft/.
	for name in $(nm -D --undefined-only "$so" | awk '$1 == "U" { print $2 }' | grep -v @); do
		grep -qE "\b$name\(" include/weft/*.h || fail "$kind needs $name" "no header of include/weft/ declares it"
	done
done

# Every function that the SDK declares has a home: the page's table names the file.
for name in $(sed -nE 's/ __attribute__.*;/;/; s/^[a-z].*[ *]([a-z_0-9]+)\(.*;.*/\1/p; s/^[a-z].*[ *]([a-z_0-9]+)\([^;]*,$/\1/p' include/weft/{msg,filter,net_filter,client,registry}.h | sort -u); do
	grep -qE "^\| .*\`$name\`" docs/extending.md || fail "$name has a home" "docs/extending.md does not say who implements it"
done

# And the page speaks of nothing that the headers do not know.
for name in $(awk '/^```/ { code = !code; next } !code' docs/extending.md |
	grep -oE '`[A-Za-z0-9]+(_[A-Za-z0-9]+)+' | tr -d '`' | sort -u); do
	grep -qw "$name" include/weft/*.h || fail "$name is real" "docs/extending.md names it, no header does"
done

if $CC -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-Iinclude -Iuserspace -rdynamic -o "$out/host" test/sdk/*.c userspace/base/*.c -ldl -lpthread; then
	"$out/host" "$out" || rc=1
else
	fail host "does not compile"
fi
exit $rc

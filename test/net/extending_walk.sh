#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/extending.md walks from an empty folder to traffic in a private protocol: its blocks are cut out and run, in a root
# folder that has what `make install` leaves, this machine's /usr and nothing of the source tree. What is in test/plugins/
# is built there, too.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"

# Beside $T, which is removed at the end: what is mounted here must not be.
R=/run/weft/root
mkdir -p $R/{usr,etc,proc,sys,dev,run,tmp,var/log,work} /run/weft/{up,overlay}
mount -t overlay overlay -o "lowerdir=/usr,upperdir=/run/weft/up,workdir=/run/weft/overlay" $R/usr
for dir in bin lib lib64 sbin; do [ -L /$dir ] && cp -d /$dir $R/ || { mkdir $R/$dir; mount --bind /$dir $R/$dir; }; done
mount --bind /etc $R/etc
mount --bind /dev $R/dev
mount -t proc proc $R/proc
mount --bind /sys $R/sys
make -C "$SRC" BUILD="$B" install DESTDIR=$R PREFIX=/usr SYSCONFDIR=/run/etc > "$T/install.log" 2>&1 || { cat "$T/install.log"; fail "make install"; }
there() { chroot $R env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin HOME=/work bash -c 'cd /work && "$@"' - "$@"; }
run() { # NAME: its block, in the root folder; what it says is $T/NAME.log
	page_block sh "$1" > $R/work/"$1".sh
	there bash -e "$1".sh > "$T/$1.log" 2>&1 < /dev/null || { cat "$T/$1.log"; fail "block $1: every command succeeds"; }
	echo "  ok: block $1 runs"
}
fails "the source tree is not there" there test -e "$SRC/include"
is "$(there pkg-config --variable=abi weft)" "$(sed -n 's/^.define WEFT_ABI //p' "$SRC/include/weft/plugin.h")" "weft.pc knows the ABI"

# ---- test/plugins ------------------------------------------------------------------------------------------------
cp "$SRC"/test/plugins/*.c $R/work/
echo "plugins:" > $R/work/all.yaml
for file in "$SRC"/test/plugins/*.c; do
	name=$(basename "$file" .c)
	there sh -c "cc -std=c11 -pedantic -Wall -Wextra -Werror -O2 -shared -fPIC -fvisibility=hidden \$(pkg-config --cflags weft) -o $name.so $name.c" ||
		fail "$name is not built from what is installed"
	there sh -c "install -D -m 755 $name.so \$(pkg-config --variable=pluginsdir weft)/$name.so"
	echo "- path: /usr/lib/weft/plugins/$name.so" >> $R/work/all.yaml
done
ok "all of test/plugins are built and loaded" there weft config check all.yaml

# ---- the walk ----------------------------------------------------------------------------------------------------
page_block c memo.c > $R/work/memo.c
page_block py memo.py > $R/work/memo.py
page_block yaml weft.yaml > $R/work/weft.yaml
[ "$(wc -l < $R/work/memo.c)" -lt 150 ] || fail "the protocol has $(wc -l < $R/work/memo.c) lines"
run build
page_block sh run > $R/work/run.sh
echo wait >> $R/work/run.sh
bg run.log there bash -e run.sh
ADMIN=$R$ADMIN
listening() { [ "$(ss -Hltn 'sport >= :7000 and sport <= :7003' | awk '{print $4}' | sort -u | wc -l)" = 4 ]; }
wait_for 60 weftd_ready
wait_for 60 listening
run call
# Hosts in turn begin with one by chance: what a block of two calls has is the page's, and how often.
awk '/^```sh call$/ {on = 1} on && /^```text$/ {code = 1; next} code && /^```$/ {exit} code' "$SRC/docs/extending.md" > "$T/want"
sed '/^$/d' "$T/call.log" > "$T/got"
is "$(sed 's/: [ab]: /: a or b: /' "$T/got")" "$(sed 's/: [ab]: /: a or b: /' "$T/want")" "callers are told what the page says"
like "$(cat "$T/got")" "a: orders" "by the one that refuses, too"
# A worker counts by name what it has seen answered: the last call of orders may be among "other".
counted() { [ "$(metric weft_rpc_requests_total)" = 9 ] && [ "$(metric weft_http_retries_total)" -ge 1 ]; }
wait_for 60 counted
run see
like "$(cat "$T/see.log")" '^memo +1\.0 +[0-9]+ +protocol memo +/usr/lib/weft/plugins/memo.so' "the plugin is shown"
like "$(cat "$T/see.log")" '^weft_rpc_requests_total\{service="orders",method=""\} [67]$' "its calls are counted"
is "$(grep -c '"memo" 200 ' "$T/see.log")" 7 "and logged: those that were answered"
like "$(cat "$T/see.log")" '"memo" 404 "NR"' "that without a route"
like "$(cat "$T/see.log")" '"memo" 504 "DT"' "and that which took too long"

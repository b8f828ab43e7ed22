#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shared objects that are not loaded: each is refused by its path, at its line of the configuration, with the reason; the
# daemon says what the check says. What crashes or hangs does so in a child.
. "$(dirname "$0")/../lib/net.sh"
. "$SRC/test/lib/plugins.sh"

# refused NAME FILE WORDS: weftd --check and weftd itself end with 2 and say FILE: WORDS, an extended regex.
refused() {
	local name=$1 file=$2 words=$3 rc=0 said
	printf 'kernel: {mode: off}\nplugins:\n- path: %s\n' "$file" > "$T/weft.yaml"
	said=$("$B/weftd" -c "$T/weft.yaml" --check 2>&1) || rc=$?
	if [ $rc = 2 ] && grep -qE -- "^$T/weft.yaml:3: plugins\[0\]\.path: $file: $words$" <<< "$said" &&
		[ "$("$B/weftd" -c "$T/weft.yaml" 2>&1)" = "$said" ]; then
		case_pass "$name"
	else
		case_fail "$name" "exit code $rc: $said"
	fi
}
# bad NAME WORDS [CC ARGS] < SOURCE behind the include
bad() { { echo '#include <weft/plugin.h>'; cat; } | plugin_text "$1" "${@:3}"; refused "$1" "$PLUGINS/$1.so" "$2"; }
lb() { echo "static uint32_t pick(struct lb *lb, const struct lb_ask *ask) { (void)lb; (void)ask; return LB_NONE; }
static const struct lb_ops ops = { $1 };
WEFT_PLUGIN(.name = \"p\", .version = \"1\", .lbs = (const struct lb_ops *const[]){ &ops, NULL });"; }

# ---- the file ------------------------------------------------------------------------------------------------------
refused relative-path plugins/a.so "want a path that begins with /"
refused missing "$PLUGINS/none.so" "cannot be read: No such file or directory"
refused a-folder "$PLUGINS" "no regular file"
echo 'WEFT_PLUGIN' > "$PLUGINS/text.so"
refused no-elf "$PLUGINS/text.so" "no ELF file, want a shared object"
lb '.name = "good", .pick = pick' | { echo '#include <weft/plugin.h>'; cat; } | plugin_text good
head -c 3000 "$PLUGINS/good.so" > "$PLUGINS/cut.so"
refused cut-short "$PLUGINS/cut.so" ".+"
copy() { cp "$PLUGINS/good.so" "$PLUGINS/$1.so"; }
copy world && chmod 0666 "$PLUGINS/world.so"
refused world-writable "$PLUGINS/world.so" "everybody may write it \(mode 0666\), want nobody but root"
copy group && chmod 0775 "$PLUGINS/group.so"
refused group-writable "$PLUGINS/group.so" "its group may write it \(mode 0775\), want nobody but root"
copy alien && chown 65534 "$PLUGINS/alien.so"
refused not-roots "$PLUGINS/alien.so" "it belongs to user 65534, want root"
mkdir -m 0777 "$PLUGINS/open" && mkdir "$PLUGINS/open/in" && cp "$PLUGINS/good.so" "$PLUGINS/open/in/"
chmod 0777 "$PLUGINS/open"
refused open-folder "$PLUGINS/open/in/good.so" "folder $PLUGINS/open: everybody may write it \(mode 0777\), want nobody but root"
ln -s open/in/good.so "$PLUGINS/link.so"
refused link-into-it "$PLUGINS/link.so" "folder $PLUGINS/open: everybody may write it \(mode 0777\), want nobody but root"
mkdir "$PLUGINS/his" && chown 65534 "$PLUGINS/his" && cp "$PLUGINS/good.so" "$PLUGINS/his/"
refused not-roots-folder "$PLUGINS/his/good.so" "folder $PLUGINS/his: it belongs to user 65534, want root"

# ---- the object ----------------------------------------------------------------------------------------------------
bad no-symbol "it has no symbol weft_plugin, want WEFT_PLUGIN\(...\) in it" <<< 'extern int other; int other;'
bad other-abi "it was built for ABI 4711, and this weft has $ABI" -Wno-override-init \
	<<< 'WEFT_PLUGIN(.abi = 4711, .name = "p", .version = "1");'
bad other-size "its struct weft_plugin has 8 bytes, want [0-9]+" -Wno-override-init \
	<<< 'WEFT_PLUGIN(.size = 8, .name = "p", .version = "1");'
bad undefined-symbol "undefined symbol: nobody_has_it" <<< 'int nobody_has_it(void); WEFT_PLUGIN(.name = "p", .version = "1");
__attribute__((used)) static int call(void) { return nobody_has_it(); }'
CRASH='static void __attribute__((constructor)) start(void)'
bad crash "it crashed while it was loaded: signal 11 \(Segmentation fault\)" -D_GNU_SOURCE \
	<<< "#include <signal.h>
$CRASH { raise(SIGSEGV); } WEFT_PLUGIN(.name = \"p\", .version = \"1\");"
bad abort "it crashed while it was loaded: signal 6 \(Aborted\)" \
	<<< "#include <stdlib.h>
$CRASH { abort(); } WEFT_PLUGIN(.name = \"p\", .version = \"1\");"
bad exit "it ended the process while it was loaded: exit code 0" \
	<<< "#include <stdlib.h>
$CRASH { _Exit(0); } WEFT_PLUGIN(.name = \"p\", .version = \"1\");"
bad no-name "it has no name" <<< 'WEFT_PLUGIN(.version = "1");'
bad no-version "it has no version" <<< 'WEFT_PLUGIN(.name = "p");'
bad odd-name "it \"a b\?\": want a name of letters, digits, '.', '_' and '-'" <<< 'WEFT_PLUGIN(.name = "a b\n", .version = "1");'
bad long-name "it: its name is longer than 63 bytes" \
	<<< "WEFT_PLUGIN(.name = \"$(printf 'x%.0s' {1..64})\", .version = \"1\");"
bad wild-name "it crashed while its extensions were looked at: signal 11 \(Segmentation fault\)" \
	<<< 'WEFT_PLUGIN(.name = (const char *)16, .version = "1");'

# ---- what it brings ------------------------------------------------------------------------------------------------
lb '.pick = pick' | bad no-lb-name "a load balancer has no name"
lb '.name = "up/down", .pick = pick' | bad odd-lb-name "a load balancer \"up/down\": want a name of .*"
lb '.name = "half", .pick = NULL' | bad no-pick "load balancer half: it lacks pick" -Wno-unused-function
lb '.name = "maglev", .pick = pick' | bad taken-by-weft "load balancer maglev: there is one of that name in weft itself"
bad brings-two "load balancer a: it brings two of that name" <<< '
static uint32_t pick(struct lb *lb, const struct lb_ask *ask) { (void)lb; (void)ask; return LB_NONE; }
static const struct lb_ops one = { .name = "a", .pick = pick }, two = { .name = "a", .pick = pick };
WEFT_PLUGIN(.name = "p", .version = "1", .lbs = (const struct lb_ops *const[]){ &one, &two, NULL });'
bad no-end "(it brings more than 64 of one kind: load balancer|it crashed while its extensions were looked at.*|a load balancer .*)" <<< '
static uint32_t pick(struct lb *lb, const struct lb_ask *ask) { (void)lb; (void)ask; return LB_NONE; }
static const struct lb_ops one = { .name = "a", .pick = pick };
static const struct lb_ops *const all[70] = { [0 ... 69] = &one };
WEFT_PLUGIN(.name = "p", .version = "1", .lbs = all);' -Wno-pedantic
rows() { echo "struct c { uint32_t n; }; static const struct conf_item rows[] = { $1, CONF_END };"
	lb '.name = "r", .pick = pick, .conf = rows, .conf_size = sizeof(struct c)'; }
rows '{ .name = "n", .type = CONF_INT, .offset = 2, .size = 4, .help = "x" }' |
	bad row-outside "load balancer r: row n: it lies outside of its struct"
rows '{ .name = "n", .type = 77, .size = 4, .help = "x" }' | bad row-type "load balancer r: row n: its type is none"
rows '{ .name = "n", .type = CONF_INT, .size = 4 }' | bad row-help "load balancer r: row n: it has no help"
rows 'CONF_ITEM(struct c, n, "n", INT, .max = 5, .dflt = "6", .help = "x")' |
	bad row-default "it crashed while its settings were tried: signal 6 \(Aborted\)"

proto() { echo "static int decode(struct codec *c, struct buf *in) { (void)c; (void)in; return 0; }
static unsigned room(const struct codec *c) { (void)c; return 1; }
static int head(struct codec *c, uint64_t *id, const struct msg *m, bool end) { (void)c; (void)id; (void)m; (void)end; return 0; }
static ssize_t data(struct codec *c, uint64_t id, struct buf *b, bool end) { (void)c; (void)id; (void)b; (void)end; return 0; }
static const struct proto_ops p = { .decode = decode, .room = room, .put_head = head, .put_data = data, $1 };
WEFT_PLUGIN(.name = \"p\", .version = \"1\", .protos = (const struct proto_ops *const[]){ &p, NULL });"; }
proto '.name = "auto", .flags = PROTO_RPC | PROTO_MULTIPLEX' |
	bad own-word "protocol auto: there is one of that name in weft itself"
proto '.name = "mine", .flags = PROTO_MULTIPLEX' | bad no-calls "protocol mine: its flags lack PROTO_RPC: want a protocol of calls"
for f in PROTO_IDLE_PINGS PROTO_WINDOWS; do
	proto ".name = \"mine\", .flags = PROTO_RPC | $f" | bad "one-by-one-$f" \
		"protocol mine: its flags lack PROTO_MULTIPLEX, which PROTO_WINDOWS and PROTO_IDLE_PINGS are about"
done

# ---- two of them ---------------------------------------------------------------------------------------------------
two() {
	local name=$1 words=$2 rc=0 said
	printf 'plugins:\n- path: %s\n- path: %s\n' "$PLUGINS/good.so" "$PLUGINS/$3.so" > "$T/weft.yaml"
	said=$("$B/weftd" -c "$T/weft.yaml" --check 2>&1) || rc=$?
	[ $rc = 2 ] && grep -qE "^$T/weft.yaml:3: plugins\[1\]\.path: $PLUGINS/$3.so: $words$" <<< "$said" && case_pass "$name" ||
		case_fail "$name" "exit code $rc: $said"
}
copy again
two same-plugin "plugin p: there is one of that name already \($PLUGINS/good.so\)" again
lb '.name = "good", .pick = pick' | sed '1i #include <weft/plugin.h>' | sed 's/"p"/"q"/' | plugin_text rival
two same-balancer "load balancer good: there is one of that name in plugin p \($PLUGINS/good.so\)" rival

# ---- one that does not come back; and the daemon that runs does not care -------------------------------------------
bad hang "it did not come back within 5 s while it was loaded" <<< "#include <unistd.h>
$CRASH { for (;;) pause(); } WEFT_PLUGIN(.name = \"p\", .version = \"1\");"

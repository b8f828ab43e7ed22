# SPDX-License-Identifier: Apache-2.0
# Plugins for a test with test/lib/net.sh: built as a third party builds them, against include/ alone, into a folder that
# nobody but root may write, which folders below /tmp are not.
#
# Sets $PLUGINS, the folder, and $ABI, of the headers.
#   plugin_build FILE.c [NAME [CC ARGS]]   $PLUGINS/NAME.so of a source; NAME: as the file
#   plugin_text NAME [CC ARGS]             the same of stdin
#   page_block KIND NAME                   the block "```KIND NAME" of docs/extending.md
PLUGINS=/run/weft/plugins
ABI=$(sed -n "s/^.define WEFT_ABI //p" "$SRC/include/weft/plugin.h")
mkdir -p "$PLUGINS"

plugin_build() {
	local file=$1 name=${2:-$(basename "$1" .c)}
	"${CC:-gcc}" -std=c11 -pedantic -Wall -Wextra -Werror -O2 -g -shared -fPIC -fvisibility=hidden -I"$SRC/include" \
		"${@:3}" -o "$PLUGINS/$name.so~" "$file" || fail "$name does not compile"
	mv "$PLUGINS/$name.so~" "$PLUGINS/$name.so"
}

plugin_text() {
	cat > "$T/$1.c"
	plugin_build "$T/$1.c" "$@"
}

page_block() {
	awk -v l="\`\`\`$1 $2" '$0 == l {code = 1; next} code && /^```$/ {exit} code' "$SRC/docs/extending.md" | grep . ||
		fail "the page has no block $1 $2"
}

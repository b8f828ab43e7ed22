#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make install` leaves is enough to run weft and to build a plugin, and it keeps an edited configuration.
set -euo pipefail
src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${WEFT_BUILD:-$src/build}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install() { make -C "$src" BUILD="$build" install DESTDIR="$root" PREFIX=/opt/weft > "$root/log" 2>&1 || { cat "$root/log"; exit 1; }; }

install
"$root/opt/weft/bin/weftd" -c "$root/etc/weft/weft.yaml" --check
[ "$("$root/opt/weft/bin/weft" --help | head -c 1)" ] || { echo "weft --help says nothing"; exit 1; }

cat > "$root/first.c" <<'END'
#include <weft/plugin.h>
WEFT_PLUGIN(.name = "first", .version = "1.0");
END
export PKG_CONFIG_PATH=$root/opt/weft/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
read -ra flags < <(pkg-config --cflags weft)
"${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden "${flags[@]}" -o "$root/first.so" "$root/first.c"
python3 - "$root/first.so" <<'END'
import ctypes, sys
ctypes.CDLL(sys.argv[1]).weft_plugin
END

echo "# edited" >> "$root/etc/weft/weft.yaml"
install
grep -q '^# edited' "$root/etc/weft/weft.yaml" || { echo "the edited configuration was overwritten"; exit 1; }
! grep -rn '@[A-Z]*@' "$root/opt/weft/lib/systemd" "$root/opt/weft/share" || exit 1

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Proves the dependencies: a minimal Debian 12 by debootstrap, a fresh clone of the last commit in it, `make deps && make`,
# then whatever is asked for. As root.
#   chroot.sh [--keep] [--dir DIR] [COMMAND...]      default: make deps && make;   e.g. chroot.sh make check
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
src=$(cd "$here/../.." && pwd)
keep= dir=
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=1; shift ;;
	--dir) dir=$2; shift 2 ;;
	*) break ;;
	esac
done
[ "$(id -u)" = 0 ] || { echo "chroot.sh: needs root" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "chroot.sh: needs debootstrap (package debootstrap)" >&2; exit 1; }

# Mounts live and die with this namespace: rm -rf below can never reach the machine's own /dev or /sys.
if [ -z "${WEFT_CHROOT_NS:-}" ]; then
	dir=${dir:-$(mktemp -d /var/tmp/weft-chroot.XXXXXX)}
	rc=0
	WEFT_CHROOT_NS=1 unshare --mount --propagation private -- bash "${BASH_SOURCE[0]}" ${keep:+--keep} --dir "$dir" "$@" || rc=$?
	[ -n "$keep" ] && echo "kept: $dir" || rm -rf --one-file-system "$dir"
	exit $rc
fi

if [ ! -e "$dir/etc/debian_version" ]; then
	echo "== debootstrap bookworm"
	debootstrap --variant=minbase --include=ca-certificates bookworm "$dir" "$("$here/deps.sh" --mirror)" > "$dir.log" 2>&1 ||
		{ tail -n 20 "$dir.log" >&2; exit 1; }
	rm -f "$dir.log"
fi
for m in proc sys dev; do mount --rbind "/$m" "$dir/$m"; done
mount -t tmpfs -o mode=1777 tmp "$dir/tmp"
cp -L /etc/resolv.conf "$dir/etc/resolv.conf" 2> /dev/null || true

# A minimal Debian has no make and no git: a user installs them to clone at all.
run() { chroot "$dir" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=dumb bash -ec "$1"; }
echo "== a fresh clone"
run 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends git make > /dev/null 2>&1'
rm -rf "$dir/root/weft"
git clone -q --no-hardlinks "$src" "$dir/root/weft"
if [ $# -gt 0 ]; then what=$*; else what='make deps && make'; fi
echo "== $what"
run "cd /root/weft && $what"
[ -z "$(run 'cd /root/weft && git status --porcelain')" ] || { run 'cd /root/weft && git status --short'; echo "the build left files that git does not ignore"; exit 1; }
echo "== good"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mkinitrd.sh TREE OUT MODULE... -- PROGRAM... [-- FILE...]
# Writes an initramfs for the kernel unpacked in TREE: busybox, the modules with what they depend on, the programs with
# their shared libraries in /test, the files with theirs where they are here, and an init that runs /test/run and stops
# the machine.
set -euo pipefail

tree=$1 out=$2
shift 2
modules=() programs=() files=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	modules+=("$1")
	shift
done
[ $# -gt 0 ] && shift
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	programs+=("$1")
	shift
done
[ $# -gt 0 ] && shift
files=("$@")

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,proc,sys,dev,mod,test,tmp,run}
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh mount insmod ip cat uname echo reboot sync; do ln -s busybox "$root/bin/$name"; done

for lib in "$tree"/lib/modules/* "$tree"/usr/lib/modules/*; do [ -d "$lib" ] && break; done
[ -f "$lib/modules.dep" ] || depmod -b "${lib%/lib/modules/*}" "$(basename "$lib")"

# Modules in loading order: a line of modules.dep names the module, then what it needs, the deepest last.
unpack() {
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -dqc "$1" ;;
	*.gz) gzip -dc "$1" ;;
	*) cat "$1" ;;
	esac
}
order=()
for m in "${modules[@]}"; do
	line=$(grep -E "/$m\.ko(\.[a-z0-9]+)?:" "$lib/modules.dep" | head -1) || continue    # built in, or not there
	chain=()
	for f in ${line/:/ }; do chain=("$f" "${chain[@]}"); done
	order+=("${chain[@]}")
done
n=100
declare -A done_=()
for f in "${order[@]}"; do
	[ -n "${done_[$f]:-}" ] && continue
	done_[$f]=1
	name=$(basename "$f")
	unpack "$lib/$f" > "$root/mod/$((n++))-${name%%.ko*}.ko"
done

libraries() {
	local so
	for so in $(ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' || true); do
		mkdir -p "$root$(dirname "$so")"
		cp -L "$so" "$root$so"
	done
}
for p in "${programs[@]}"; do
	cp "$p" "$root/test/"
	chmod +x "$root/test/$(basename "$p")"
	libraries "$p"
done
for f in "${files[@]}"; do
	mkdir -p "$root$(dirname "$f")"
	cp -pL "$f" "$root$f"
	case $f in *.py | *.pyc) ;; *) libraries "$f" ;; esac
done

cat > "$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin:/test
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for m in /mod/*.ko; do insmod "$m" || echo "module $m: not loaded"; done
echo "kernel $(uname -r)"
sh /test/run
echo "machine done $?"
sync
reboot -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$out"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The BPF side on other kernels: boots Debian's 6.1 and 6.12 under QEMU without hardware help (slow, but the same
# everywhere) and runs the known answers there. Kernels are kept outside the tree, in WEFT_CACHE.
#   run.sh [KERNEL PACKAGE...]
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(realpath "$0")")
build=${WEFT_BUILD:-$here/../../build}
tool=$build/test/bpf/known_answers/known_answers
cache=${WEFT_CACHE:-/var/cache/weft}/vm
modules=(veth bridge tun tls sch_netem nf_tables nft_chain_nat nft_compat)
declare -A expect=([6.1]=fionread)               # fatal cases that must fail there, and turn the short-circuit off
limit=${WEFT_VM_SECONDS:-140}                     # for one kernel

for need in qemu-system-x86_64 cpio xz depmod busybox; do
	command -v $need > /dev/null || { echo "no $need"; exit 77; }
done
[ "$(uname -m)" = x86_64 ] || { echo "kernels for x86-64 only"; exit 77; }
[ -x "$tool" ] || { echo "$tool is not built" >&2; exit 1; }

# The versioned package that a Debian meta package stands for.
package_of() { apt-cache depends "$1" 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}'; }
kernels=("$@")
if [ ${#kernels[@]} = 0 ]; then
	for meta in linux-image-cloud-amd64 linux-image-6.12-cloud-amd64; do kernels+=("$(package_of $meta)"); done
fi

tree_of() {
	local tree=$cache/$1
	if [ ! -d "$tree" ]; then
		mkdir -p "$cache"
		rm -rf "$tree.part"
		mkdir "$tree.part"
		(cd "$tree.part" && apt-get -qq download "$1" > /dev/null 2>&1 && dpkg -x ./*.deb . && rm ./*.deb) || return 1
		mv "$tree.part" "$tree"
	fi
	echo "$tree"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/guest.sh" "$work/run"
rc=0
for kernel in "${kernels[@]}"; do
	version=${kernel#linux-image-}
	short=$(echo "$version" | grep -oE '^[0-9]+\.[0-9]+')
	if [ -z "$kernel" ] || ! tree=$(tree_of "$kernel"); then
		echo "case skip boot-${short:-unknown}: the kernel package cannot be had"
		continue
	fi
	echo "${expect[$short]:-}" > "$work/expect"
	bash "$here/mkinitrd.sh" "$tree" "$work/initrd" "${modules[@]}" -- "$tool" "$work/run" "$work/expect"
	timeout "$limit" qemu-system-x86_64 -M microvm,acpi=off -accel tcg,thread=multi -cpu max -m 512 -smp 2 \
		-nodefaults -no-user-config -display none -no-reboot -serial stdio \
		-kernel "$tree"/boot/vmlinuz-* -initrd "$work/initrd" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable reboot=t" \
		< /dev/null > "$work/log" 2>&1 || true
	tr -d '\r' < "$work/log" > "$work/$version.log"
	# Cases are named after their kernel; everything else is printed as it came.
	sed -E "s/^case (pass|fail|skip) /case \1 $short-/" "$work/$version.log"
	if grep -q '^machine done 0$' "$work/$version.log"; then
		echo "case pass boot-$short: $(grep -oE '^kernel .*' "$work/$version.log")"
	else
		echo "case fail boot-$short: not all was run and right within $limit s"
		rc=1
	fi
done
exit $rc

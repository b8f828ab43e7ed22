#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other kernels: boots Debian's 6.1 and 6.12 under QEMU without hardware help (slow, but the same everywhere), runs the known
# answers of the BPF side and the programs of connect() there, and weftd with the kernel's TLS, which this machine's may lack.
# Kernels are kept outside the tree, in WEFT_CACHE.
#   run.sh [KERNEL PACKAGE...]
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(realpath "$0")")
build=${WEFT_BUILD:-$here/../../build}
tool=$build/test/bpf/known_answers/known_answers
connect=("$build"/test/bpf/connect/test_{choice,capture})
cache=${WEFT_CACHE:-/var/cache/weft}/vm
modules=(veth bridge tun tls sch_netem nf_tables nft_chain_nat nft_compat)
tls_modules=(tls ctr gcm ghash-generic chacha20poly1305 poly1305-x86_64 chacha-x86_64 aesni-intel)
declare -A expect=([6.1]=fionread)               # fatal cases that must fail there, and turn the short-circuit off
limit=${WEFT_VM_SECONDS:-140}                     # for one kernel
tls_limit=${WEFT_VM_SECONDS:-500}                 # for the two of them, side by side: half a minute where nothing else runs

for need in qemu-system-x86_64 cpio xz depmod busybox; do
	command -v $need > /dev/null || { echo "no $need"; exit 77; }
done
[ "$(uname -m)" = x86_64 ] || { echo "kernels for x86-64 only"; exit 77; }
for program in "$tool" "${connect[@]}"; do
	[ -x "$program" ] || { echo "$program is not built" >&2; exit 1; }
done

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

# Python, its modules, openssl and certificates for guest_tls.sh, in $work/tls; what lies where it does here is in $work/files.
prepare_tls() (
	. "$here/../lib/certs.sh"
	mkdir "$work/tls"
	cd "$work/tls"
	make_ca ca
	make_cert web ca DNS:web.example
	make_cert client ca URI:spiffe://td.example/ns/a/sa/client
	export PYTHONPATH=$here/../lib PYTHONDONTWRITEBYTECODE=1
	python3 "$here/../lib/tls_kernel.py" config /test > weft.yaml
	python3 -c 'import os, sys; print(os.path.realpath(sys.executable))' > python
	python3 -c 'import sys; print(sys.base_prefix)' > home
	dirname "$(command -v openssl)" > path
	cp "$here/guest_tls.sh" run
	cp "$here"/../lib/{tls_kernel,http_rig,daemon}.py .
	{ cat python; command -v openssl; python3 "$here/../lib/tls_kernel.py" files; } | grep -v "^$(realpath "$here/../lib")/" > ../files
)

# boot SECONDS TREE INITRD MEGABYTES LOG
boot() {
	timeout "$1" qemu-system-x86_64 -M microvm,acpi=off -accel tcg,thread=multi -cpu max -m "$4" -smp 2 \
		-nodefaults -no-user-config -display none -no-reboot -serial stdio \
		-kernel "$2"/boot/vmlinuz-* -initrd "$3" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable reboot=t" \
		< /dev/null 2>&1 | tr -d '\r' > "$5" || true
}

# said NAME LOG: cases are named after their kernel; everything else is printed as it came.
said() {
	sed -E "s/^case (pass|fail|skip) /case \1 $1-/" "$2"
	if grep -q '^machine done 0$' "$2"; then
		echo "case pass boot-$1: $(grep -oE '^kernel .*' "$2" | head -1)"
	else
		echo "case fail boot-$1: not all was run and right in its time"
		rc=1
	fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/guest.sh" "$work/run"
prepare_tls
mapfile -t files < "$work/files"
rc=0
booted=()
for kernel in "${kernels[@]}"; do
	version=${kernel#linux-image-}
	short=$(echo "$version" | grep -oE '^[0-9]+\.[0-9]+')
	if [ -z "$kernel" ] || ! tree=$(tree_of "$kernel"); then
		echo "case skip boot-${short:-unknown}: the kernel package cannot be had"
		continue
	fi
	booted+=("$short")
	echo "${expect[$short]:-}" > "$work/expect"
	bash "$here/mkinitrd.sh" "$tree" "$work/initrd" "${modules[@]}" -- "$tool" "${connect[@]}" "$work/run" "$work/expect"
	boot "$limit" "$tree" "$work/initrd" 512 "$work/$short.log"
	said "$short" "$work/$short.log"
	bash "$here/mkinitrd.sh" "$tree" "$work/initrd-$short" "${tls_modules[@]}" -- "$build/weftd" "$work"/tls/* -- "${files[@]}"
	ln -s "$tree" "$work/tree-$short"
done
# No clock matters to these: side by side.
for short in "${booted[@]}"; do boot "$tls_limit" "$work/tree-$short" "$work/initrd-$short" 768 "$work/$short-tls.log" & done
wait
for short in "${booted[@]}"; do said "$short-tls" "$work/$short-tls.log"; done
exit $rc

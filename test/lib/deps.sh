#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing need. Usage: deps.sh GROUP...   (build test vm arm64 bench)
# deps.sh --list GROUP... prints the packages, deps.sh --mirror the address of this machine's base archive.
# Compares with dpkg's own list first: when all is there it neither needs root nor touches the network.
# What Debian 12 lacks comes from Debian 13 as a source pinned below the base. The address of that source is the one
# this machine already uses for its base; nothing else is ever upgraded from it.
set -euo pipefail

build="gcc libc6-dev make pkg-config clang llvm libbpf-dev bpftool libelf-dev zlib1g-dev
	libyaml-dev libjansson-dev libxxhash-dev libcap-dev libseccomp-dev libllhttp-dev libpcre2-dev libssl-dev libc-ares-dev libnghttp2-dev"
test="libcmocka-dev python3 nftables iproute2 iputils-ping netcat-openbsd curl jq iperf3 ethtool procps util-linux
	git libcap2-bin libclang-rt-14-dev redis-server redis-tools dnsmasq-base bind9-dnsutils
	openssl nginx-light wrk postgresql-15 postgresql-client-15 python3-websockets python3-grpcio nghttp2-client nghttp2-server
	python3-h2 openjdk-17-jdk-headless maven"
command -v go > /dev/null || test="$test golang-go"     # any Go will do: test/lib/go_tool.sh
vm="kmod cpio xz-utils busybox-static qemu-system-x86 seabios ipxe-qemu"
arm64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
bench="libnginx-mod-stream haproxy linux-perf python3-pip nghttp2-server"   # Envoy: test/perf/peers.sh
newer="libllhttp-dev"          # from Debian 13, where the base has none
extra=/etc/apt/sources.list.d/weft-debian13.sources
pin=/etc/apt/preferences.d/weft-debian13

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq "$@"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

# absent NAME... -> those that dpkg does not have installed
absent() {
	local have
	have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
	printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$have") || true
}

candidate() { apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ && $2 != "(none)" {print $2}'; }

# The address of this machine's base archive, from deb822 or one-line sources.
base_uri() {
	local f
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -e "$f" ] && [ "$f" != "$extra" ] || continue
		awk 'tolower($1) == "uris:" {u = $2} tolower($1) == "suites:" && / bookworm( |$)/ {s = 1}
			/^[ \t]*$/ {if (u && s) print u; u = s = ""} END {if (u && s) print u}' "$f"
	done
	(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true) |
		awk '$1 == "deb" {i = 2; if ($2 ~ /^\[/) while ($i !~ /\]$/) i++; else i = 1; if ($(i + 2) == "bookworm") print $(i + 1)}'
}

add_newer_source() {
	local uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	. /etc/os-release
	[ "${ID:-}:${VERSION_ID:-}" = debian:12 ] ||
		die "this is ${PRETTY_NAME:-not Debian}, whose sources have no $newer; install it by hand (any 9.x of llhttp)"
	# Keyrings from before Debian 13 cannot check its signatures; the base's newest can.
	[ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] || apt_get install -y debian-archive-keyring > /dev/null
	uri=$(base_uri | sed -n 1p)
	[ -n "$uri" ] || die "no source of bookworm in /etc/apt to take the address of Debian 13 from"
	cat > "$extra" <<-END
		Types: deb
		URIs: $uri
		Suites: trixie
		Components: main
		Signed-By: $keyring
	END
	printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' > "$pin"
}

# Tests start their servers themselves: none is started by its package's installation.
no_services() {
	local policy=/usr/sbin/policy-rc.d
	[ ! -e $policy ] || return 0
	trap "rm -f $policy" EXIT
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod 755 $policy
}

groups=() list=
for a; do
	case $a in
	--list) list=1 ;;
	--mirror) base_uri | sed -n 1p; exit ;;
	build | test | vm | arm64 | bench) groups+=("$a") ;;
	*) die "no group $a (build test vm arm64 bench)" ;;
	esac
done
names=()
for g in "${groups[@]}"; do names+=(${!g}); done
[ -z "$list" ] || { printf '%s\n' "${names[@]}"; exit 0; }

command -v dpkg-query >/dev/null || die "no dpkg here; install by hand: ${names[*]}"
mapfile -t todo < <(absent "${names[@]}")
[ "${#todo[@]}" -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || die "root is needed to install: ${todo[*]}"
echo "deps: installing ${todo[*]}"
mapfile -t wanted_newer < <(printf '%s\n' "${todo[@]}" | grep -xF "$newer" || true)
apt_get update
if [ "${#wanted_newer[@]}" -gt 0 ] && [ -z "$(candidate "$newer")" ]; then
	add_newer_source
	apt_get update || true
	if [ -z "$(candidate "$newer")" ]; then
		rm -f "$extra" "$pin"
		die "the archive of this machine's base gives no Debian 13 (said above); $newer must be installed by hand"
	fi
fi
no_services
# Only new packages: an upgrade of anything that is installed would be a surprise.
apt_get install -y --no-install-recommends --no-upgrade "${todo[@]}" >/dev/null
mapfile -t todo < <(absent "${names[@]}")
[ "${#todo[@]}" -eq 0 ] || die "still missing: ${todo[*]}"

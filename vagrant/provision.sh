#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Inside a Vagrant machine.   provision.sh kernel PACKAGE   installs a kernel ("-": keeps the box's own)
#                             provision.sh test             runs the README's test command on the copied tree
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

case ${1:-} in
kernel)
	apt-get -qq update
	apt-get -qq -y install --no-install-recommends make git > /dev/null
	[ "${2:--}" = - ] || apt-get -qq -y install --no-install-recommends "$2" > /dev/null
	;;
test)
	rm -rf ~vagrant/weft
	mv ~vagrant/weft-tree ~vagrant/weft
	cd ~vagrant/weft
	rm -rf build build-*
	echo "kernel $(uname -r)"
	make test
	;;
*)
	echo "provision.sh kernel PACKAGE | test" >&2
	exit 2
	;;
esac

# SPDX-License-Identifier: Apache-2.0
# Runs inside the machine, as /test/run. A case that restricts the short-circuit is a finding, a fatal one a failure.
# /test/expect names the fatal cases that this kernel is known to fail.
tool=/test/known_answers
$tool -x "$(cat /test/expect)" || bad=1

$tool differences || bad=1
$tool threads 2000000 || bad=1

# name, then options
share() {
	name=$1
	shift
	if line=$($tool share -m 99 "$@"); then
		echo "case pass share-$name: $line"
	else
		echo "case fail share-$name: $line"
		bad=1
	fi
}
share veth -n 400
share veth-defer-accept -n 400 -D
share 1ms -n 400 -d 1000
share 1ms-defer-accept -n 400 -d 1000 -D
[ -z "$bad" ]

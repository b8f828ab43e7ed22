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

# The programs of connect() and sendmsg(), which each kernel's verifier has to take.
for t in test_choice test_capture; do
	/test/$t > /tmp/$t 2>&1 || { cat /tmp/$t; echo "case fail $t: it does not pass"; bad=1; }
	while read -r _ word _ name; do
		[ "$word" != OK ] || echo "case pass $t-$name"
	done < /tmp/$t
done
[ -z "$bad" ]

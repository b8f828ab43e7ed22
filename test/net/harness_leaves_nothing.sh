# SPDX-License-Identifier: Apache-2.0
# A test of test/lib/net.sh itself: whatever becomes of a shell test, its verdict is told and nothing of it stays.
. "$(dirname "$0")/../lib/net.sh"

# inner NAME BODY: runs a test of its own inside this one; its exit code in $RC, its output in $T/NAME.out
write_inner() {
	cat > "$T/$1.sh" <<-END
		cd "$SRC/test/net"
		. "$SRC/test/lib/net.sh"
		pod_add a
		bg idle.log in_pod a python3 -c 'import time; time.sleep(600)'
		echo "scratch \$T"
		$2
	END
}
inner() {
	write_inner "$@"
	RC=0
	WEFT_TEST_ID=$WEFT_TEST_NODE-inner bash "$T/$1.sh" > "$T/$1.out" 2>&1 || RC=$?
}
gone() {
	is "$(find "$CGROUP2" -maxdepth 1 -name "weft-test-$WEFT_TEST_NODE-inner")" "" "$1: no cgroup stays"
	is "$(pgrep -f 'time.sleep.600' || true)" "" "$1: no process stays"
	is "$(ls -d "$(sed -n 's/^scratch //p' "$T/$2.out")" 2> /dev/null || true)" "" "$1: no scratch folder stays"
	is "$(ls /run/netns)" "" "$1: no namespace stays"
}

inner passes 'is 1 1 "one is one"'
is $RC 0 "a test without a failed assertion passes"
gone passed passes

inner fails 'is 1 2 "one is two"; echo not reached'
is $RC 1 "a failed assertion ends the test"
like "$(cat "$T/fails.out")" "one is two: got '1', wanted '2'" "and says what it got"
is "$(grep -c 'not reached' "$T/fails.out" || true)" 0 "and goes no further"
gone failed fails

inner breaks 'false; echo not reached'
is $RC 1 "a command that fails ends the test"
gone broke breaks

inner skips 'skip "no such thing here"'
is $RC 77 "a skip is not a pass"
is "$(tail -n 1 "$T/skips.out")" "skipped: no such thing here" "and ends with its reason"
gone skipped skips

# In a session of its own, as the runner starts tests, and ended as the runner ends them.
write_inner waits 'wait_for 600 false'
WEFT_TEST_ID=$WEFT_TEST_NODE-inner setsid bash "$T/waits.sh" > "$T/waits.out" 2>&1 &
INNER=$!
wait_line 20 "$T/waits.out" '^scratch '
kill -TERM -- "-$INNER"
RC=0
wait "$INNER" || RC=$?
is $RC 143 "SIGTERM ends a waiting test"
gone terminated waits

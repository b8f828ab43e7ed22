#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can be done to TCP connections, done to short-circuited ones beside the real daemon. `make torture` runs this as
# it is, `make test` with --short. --group=NAME runs one of the groups below; other words are names of cases
# (weft-torture list) of the first group.
NEEDS_TCP_MEM=1
. "$(dirname "$0")/../lib/net.sh"

TOOL=$B/test/torture/weft-torture/weft-torture
PINS=/sys/fs/bpf/weft/abi1/maps
SHORT= ONLY=() GROUPS_ALL="plain memory syncookies nat synproxy agent broken"
for arg in "$@"; do
	case $arg in
	--short) SHORT=1 ;;
	--group=*) GROUPS_ALL=${arg#*=} ;;
	*) ONLY+=("$arg") ;;
	esac
done
RC=0
trap 'fail "line $LINENO"' ERR

# ---- five pods: a and b promise not to splice, c does not, u is no workload, x is switched off --------------
PODS_ALL=()
for p in a b c u x; do
	pod_add $p
	PODS_ALL+=(--pod "$p,/run/netns/$p,$CG/$p,10.244.0.$PODS,fd00:244::$PODS")
	in_pod $p sysctl -qw net.ipv4.tcp_fastopen=3
done
# A bad path between a and b, carried by the tool: there may be no netem.
for i in 1 2; do
	p=$([ $i = 1 ] && echo a || echo b)
	ip -n $p tuntap add dev t0 mode tun
	ip -n $p addr add 10.99.0.$i/24 dev t0
	ip -n $p addr add fd00:99::$i/64 dev t0 nodad
	ip -n $p link set t0 up
done

config() {  # further settings of the kernel side
	cat > "$T/weft.yaml" <<-YAML
	kernel: {cgroup: $CG, mode: required, shortCircuit: {enabled: true}${1:+, $1}}
	workloads:
	- {name: a, cgroup: /a, shortCircuit: {splice: never}}
	- {name: b, cgroup: /b, shortCircuit: {splice: never}}
	- {name: c, cgroup: /c}
	- {name: x, cgroup: /x, shortCircuit: {enabled: false, splice: never}}
	YAML
}
full() { admin /kernel | grep -q '"rung":"full"'; }
agent_start() {
	weftd_start
	wait_for 30 full
}
# Runs cases; what fails is counted and does not stop the rest.
torture() { "$TOOL" run --maps "$PINS" "${PODS_ALL[@]}" $([ -n "$SHORT" ] || echo --long) "$@" || RC=1; }

# ---- everything that needs nothing else ------------------------------------------------------------------------
group_plain() { torture "${ONLY[@]}"; }

# ---- what the network does between the ends ---------------------------------------------------------------------
THROUGH=(trips server-first defer-accept early-writer half-close half-close-answer fin-in-flight rst)
group_syncookies() {
	in_pod b sysctl -qw net.ipv4.tcp_syncookies=2
	# A cookie's server is there with the last ACK, whatever TCP_DEFER_ACCEPT says.
	torture --layout veth4 --suffix -syncookies "${THROUGH[@]/defer-accept/dup}"
	torture --layout veth6 --suffix -syncookies "${THROUGH[@]/defer-accept/dup}"
	in_pod b sysctl -qw net.ipv4.tcp_syncookies=1
}

nat() {  # where, its nft rules, suffix, layout, address to dial
	nft_in() { if [ "$1" = node ]; then nft -f -; else in_pod "$1" nft -f -; fi; }
	nft_in "$1" <<< "$2"
	torture --layout "$4" --suffix "-$3" --dial "$5" --dial-port 7777 --port 7070 "${THROUGH[@]}"
	nft_in "$1" <<< "delete table inet torture"
}
group_nat() {
	local dnat snat
	dnat() { echo "chain out { type nat hook $1; $2 tcp dport 7777 dnat $3; }"; }
	nat a "table inet torture { $(dnat "output priority -100" "ip daddr 10.96.0.77" "ip to 10.244.0.2:7070"); }" \
		dnat veth4 10.96.0.77
	nat a "table inet torture { $(dnat "output priority -100" "ip6 daddr fd00:96::77" "ip6 to [fd00:244::2]:7070"); }" \
		dnat6 veth6 fd00:96::77
	# Source and destination, on the node between them.
	nat node "table inet torture {
		$(dnat "prerouting priority -100" "ip daddr 10.96.0.77" "ip to 10.244.0.2:7070")
		chain post { type nat hook postrouting priority 100; ip daddr 10.244.0.2 masquerade; }
		}" \
		snat-dnat veth4 10.96.0.77
	# The source alone, as it leaves the pod.
	ip -n a addr add 10.244.0.201/24 dev eth0
	in_pod a nft -f - <<-NFT
	table inet torture {
		chain post {
			type nat hook postrouting priority 100
			ip daddr 10.244.0.2 meta l4proto tcp snat ip to 10.244.0.201:20000-40000
		}
	}
	NFT
	torture --layout veth4 --suffix -snat "${THROUGH[@]}"
	in_pod a nft delete table inet torture
}

# A SYN proxy answers for the server: sequence numbers differ, nothing may be paired.
group_synproxy() {
	in_pod b sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0
	in_pod b nft -f - <<-NFT
	table inet torture {
		chain raw { type filter hook prerouting priority -300; iifname eth0 tcp flags syn notrack; }
		chain in {
			type filter hook input priority 0
			iifname eth0 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
			ct state invalid drop
		}
	}
	NFT
	torture --layout veth4 not-local
	in_pod b nft delete table inet torture
}

# ---- what happens to the agent ---------------------------------------------------------------------------------
streams() {  # suffix, what is done meanwhile
	local flag=$T/streams-$1
	bg "streams-$1.log" "$TOOL" run --maps "$PINS" "${PODS_ALL[@]}" $([ -n "$SHORT" ] || echo --long) \
		--flag "$flag" --suffix "-$1" long-streams
	local pid=$BG_PID
	wait_line 60 "$T/streams-$1.log" '^streams run$'
	"${@:2}"
	touch "$flag"
	wait "$pid" || RC=1
	grep -v '^streams run$' "$T/streams-$1.log"
}
# What the daemon tells of the streams is what the cases see in the maps.
streams_seen() {
	local seen
	seen=$(admin /connections | python3 -c '
import json, sys
print(sum(c["state"] == "open" and (c["client"], c["server"]) == ("a", "b") and c["sent"]["bytes"] > 0
          for c in json.load(sys.stdin)["connections"]))')
	[ "$seen" = "$([ -n "$SHORT" ] && echo 40 || echo 200)" ] || fail "/connections shows $seen streams"
	echo "  /connections shows $seen open streams with redirected bytes"
}
kill_agent() {
	local i
	for i in $(seq $([ -n "$SHORT" ] && echo 2 || echo 10)); do
		weftd_kill
		torture --suffix "-no-agent-$i" --layout veth4 trips half-close ulp
		agent_start
		torture --suffix "-new-agent-$i" --layout veth4 trips half-close
		streams_seen
	done
}
stop_agent() {
	weftd_stop
	agent_start
}
other_layout() {
	local i
	for i in $(seq $([ -n "$SHORT" ] && echo 2 || echo 8)); do
		config "maps: {services: $((64 + i)), frontends: $((128 + i)), workloads: $((32 + i))}"
		if [ $((i % 2)) = 1 ]; then weftd_kill; else weftd_stop; fi
		agent_start
		grep -q '"loaded":"replaced"' <<< "$(admin /kernel)" || fail "the maps were not replaced"
		torture --suffix "-layout-$i" --layout veth4 trips half-close defer-accept
	done
}
group_agent() {
	streams kill kill_agent
	streams stop stop_agent
	streams layout other_layout
}

# ---- and do the cases notice? Programs that are broken on purpose must not pass. --------------------------------
broken() {  # suffix, object, cases that must fail...
	local suffix=$1 object=$B/$2 pins=/sys/fs/bpf/broken-$1 case rc n=0 pods=()
	for case in a b c u x; do
		n=$((n + 1))
		mkdir -p "$pins" "$CG/broken-$1/$case"
		pods+=(--pod "$case,/run/netns/$case,$CG/broken-$1/$case,10.244.0.$n,fd00:244::$n")
	done
	"$TOOL" attach --cgroup "$CG/broken-$1" --maps "$pins" --sockops "$B/bpf/sockops.bpf.o" --redirect "$object" \
		--sockopt "$B/bpf/sockopt.bpf.o" --workload "$CG/broken-$1/a,5" --workload "$CG/broken-$1/b,5" \
		--workload "$CG/broken-$1/c,1" --workload "$CG/broken-$1/x,7"
	for case in "${@:3}"; do
		rc=0
		"$TOOL" run --maps "$pins" "${pods[@]}" --layout veth4 "$case" > "$T/broken.out" 2>&1 || rc=$?
		if [ $rc = 1 ] && grep -q '^case fail ' "$T/broken.out"; then
			case_pass "$case-notices-$suffix"
			sed -n 's/^case fail/  noticed:/p' "$T/broken.out"
		else
			case_fail "$case-notices-$suffix" "$(tail -n 1 "$T/broken.out")"
			RC=1
		fi
	done
}

# ---- no memory for TCP: of the whole machine, so nothing else runs meanwhile -------------------------------------
group_memory() {
	tcp_mem_take || { case_skip memory "net.ipv4.tcp_mem belongs to a namespace outside"; return; }
	torture "memory-*"
	# What the kernel can do does not depend on the moment.
	tcp_mem "1 2 100000000"
	"$B/weft" doctor > "$T/doctor.out"
	tcp_mem_back
	if grep -qE '^ +pass +pair ' "$T/doctor.out"; then
		case_pass memory-selftest
	else
		case_fail memory-selftest "$(grep -E '^kernel|pair ' "$T/doctor.out")"
		RC=1
	fi
}

group_broken() {
	local ko=test/bpf/known_answers
	broken no-ratchet $ko/no_ratchet.bpf.o defer-accept kill-switch
	broken no-credit $ko/no_credit.bpf.o sleeping-reader several-writers
	broken naive $ko/naive.bpf.o defer-accept sleeping-reader
}

config
agent_start
for group in $GROUPS_ALL; do
	[ "$group" = plain ] || [ ${#ONLY[@]} = 0 ] || continue
	"group_$group"
done
weftd_stop
exit $RC

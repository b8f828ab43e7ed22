// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What one host got: calls by what they were to do, their last headers, connections, heartbeats; and those it holds. */
final class Tally {
	private final Map<String, Integer> calls = new TreeMap<>(), peers = new HashMap<>();
	private Map<String, String> headers = new HashMap<>();
	private final List<Runnable> held = new ArrayList<>();
	private int oneways, heartbeats, acks, timeout;

	synchronized void call(String does, String peer, Map<String, String> headers, int timeout, boolean oneway) {
		calls.merge(does, 1, Integer::sum);
		peers.merge(peer, 1, Integer::sum);
		this.headers = headers;
		this.timeout = timeout;
		oneways += oneway ? 1 : 0;
		notifyAll();
	}

	synchronized void heartbeat() {
		heartbeats++;
		notifyAll();
	}

	synchronized void ack() {
		acks++;
		notifyAll();
	}

	synchronized void hold(Runnable answer) {
		held.add(answer);
		notifyAll();
	}

	/** Answers what is held, the last one first. */
	int release() {
		List<Runnable> all;
		synchronized (this) {
			all = new ArrayList<>(held);
			held.clear();
		}
		for (int i = all.size() - 1; i >= 0; i--)
			all.get(i).run();
		return all.size();
	}

	private int value(String what) {
		switch (what) {
		case "held":
			return held.size();
		case "heartbeats":
			return heartbeats;
		case "acks":
			return acks;
		case "oneways":
			return oneways;
		case "calls":
			return calls.values().stream().mapToInt(n -> n).sum();
		default:
			return calls.getOrDefault(what, 0);
		}
	}

	/** Returns when there are as many as n of what. */
	synchronized void await(String what, int n) throws InterruptedException {
		long until = System.nanoTime() + 90_000_000_000L;
		while (value(what) < n) {
			long left = (until - System.nanoTime()) / 1_000_000;
			if (left <= 0)
				throw new IllegalStateException(value(what) + " of " + n + " " + what);
			wait(left);
		}
	}

	synchronized Map<String, Object> show() {
		Map<String, Object> out = new TreeMap<>();
		out.put("calls", new TreeMap<>(calls));
		out.put("peers", peers.size());
		out.put("headers", headers);
		out.put("timeout", timeout);
		out.put("held", held.size());
		out.put("oneways", oneways);
		out.put("heartbeats", heartbeats);
		out.put("acks", acks);
		return out;
	}

	synchronized void clear() {
		calls.clear();
		peers.clear();
		oneways = heartbeats = acks = 0;
	}
}

// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

/** Many calls, so and so many at once, and what became of them. n = 0: until load.stop with the same name. */
final class Load {
	interface Call {
		void send(int number, Load load) throws Exception;
	}

	private static final Map<String, Load> RUNNING = new ConcurrentHashMap<>();
	private final Map<String, Integer> ok = new TreeMap<>(), errors = new TreeMap<>();
	private final Map<String, String> messages = new TreeMap<>();
	private final Semaphore room;
	private final int inflight;
	private volatile boolean stopped;
	private int wrong;

	private Load(int inflight) {
		this.inflight = inflight;
		room = new Semaphore(inflight);
	}

	void answered(String host, boolean right) {
		synchronized (this) {
			ok.merge(host, 1, Integer::sum);
			wrong += right ? 0 : 1;
		}
		room.release();
	}

	void failed(Throwable e) {
		String name = name(e);
		synchronized (this) {
			errors.merge(name, 1, Integer::sum);
			messages.putIfAbsent(name, words(e));
		}
		room.release();
	}

	/** The first line, from its last cause on. */
	private static String words(Throwable e) {
		String s = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
		return s.substring(Math.max(0, s.lastIndexOf("cause: ")));
	}

	private static String name(Throwable e) {
		return e instanceof org.apache.dubbo.rpc.RpcException ? DubboCaller.name((org.apache.dubbo.rpc.RpcException) e)
			: e.getClass().getSimpleName();
	}

	/** sync: each call ends when send returns, so it needs a thread of its own. */
	static Map<String, Object> run(JSONObject in, boolean sync, Call call) throws Exception {
		int n = in.getIntValue("n"), inflight = Math.max(1, in.getIntValue("inflight"));
		if (!in.containsKey("n"))
			n = 1;
		String name = in.getString("name");
		Load load = new Load(inflight);
		if (name != null)
			RUNNING.put(name, load);
		long start = System.nanoTime();
		if (sync)
			load.threads(n, call);
		else
			load.turns(n, call);
		Map<String, Object> out = load.show();
		out.put("ms", (System.nanoTime() - start) / 1_000_000);
		return out;
	}

	private void one(int number, Call call) {
		try {
			call.send(number, this);
		} catch (Throwable e) {
			failed(e);
		}
	}

	private void turns(int n, Call call) throws InterruptedException {
		for (int i = 0; (n == 0 || i < n) && !stopped; i++) {
			room.acquire();
			one(i, call);
		}
		room.acquire(inflight);
	}

	private void threads(int n, Call call) throws InterruptedException {
		AtomicInteger next = new AtomicInteger();
		Thread[] all = new Thread[n == 0 ? inflight : Math.min(n, inflight)];
		for (int t = 0; t < all.length; t++) {
			all[t] = new Thread(() -> {
				for (int i; ((i = next.getAndIncrement()) < n || n == 0) && !stopped;) {
					room.acquireUninterruptibly();
					one(i, call);
				}
			});
			all[t].start();
		}
		for (Thread t : all)
			t.join();
	}

	private synchronized Map<String, Object> show() {
		Map<String, Object> out = new TreeMap<>();
		out.put("ok", ok);
		out.put("errors", errors);
		out.put("messages", messages);
		out.put("wrong", wrong);
		return out;
	}

	static Object stop(JSONObject in) {
		RUNNING.remove(in.getString("name")).stopped = true;
		return null;
	}

	static byte[] body(int number, int size) {
		byte[] b = new byte[size];
		for (int i = 0; i < size; i++)
			b[i] = (byte) (number * 31 + i * 7 + (i >> 8));
		return b;
	}
}

// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import com.alipay.remoting.InvokeCallback;
import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.config.BoltClientOption;
import com.alipay.remoting.rpc.RpcClient;
import com.alipay.remoting.rpc.RpcResponseFuture;
import com.alipay.sofa.rpc.core.request.SofaRequest;
import com.alipay.sofa.rpc.core.response.SofaResponse;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Calls by bolt. port, protocol (1 or 2), version (of protocol 2: 1 or 2), crc, connections; kind: sync, future, callback,
 * oneway; does, service, method, headers; size; timeout: how long the caller waits, frameTimeout: what the frame says; raw:
 * a Bean instead of a SofaRequest. cert, key and ca make it TLS.
 */
final class BoltCaller {
	static final Tally ACKS = new Tally();
	private static final Map<String, RpcClient> CLIENTS = new ConcurrentHashMap<>();
	private static final ExecutorService WAITERS = Executors.newCachedThreadPool();
	private final JSONObject in;
	private final RpcClient client;
	private final String url, kind;
	private final int timeout, size;

	private BoltCaller(JSONObject in) {
		this.in = in;
		// A client's connections are told apart by address alone, so each sort has a client of its own.
		String sort = in.getString("cert") + "|" + number("protocol") + "|" + number("version") + "|" + number("connections");
		client = CLIENTS.computeIfAbsent(sort, k -> started(in));
		kind = in.containsKey("kind") ? in.getString("kind") : "sync";
		timeout = in.containsKey("timeout") ? in.getIntValue("timeout") : 60000;
		size = in.getIntValue("size");
		url = "127.0.0.1:" + in.getIntValue("port") + "?_CONNECTTIMEOUT=30000&_PROTOCOL=" + number("protocol") + "&_VERSION="
			+ number("version") + "&_CONNECTIONNUM=" + number("connections");
	}

	private int number(String name) {
		return in.containsKey(name) ? in.getIntValue(name) : 1;
	}

	private static RpcClient started(JSONObject in) {
		RpcClient c = new RpcClient();
		// Large bodies may wait here; calls are refused above it.
		c.option(BoltClientOption.NETTY_BUFFER_HIGH_WATER_MARK, 256 << 20);
		c.option(BoltClientOption.NETTY_BUFFER_LOW_WATER_MARK, 128 << 20);
		if (in.containsKey("cert")) {
			c.option(BoltClientOption.CLI_SSL_ENABLE, true);
			c.option(BoltClientOption.CLI_SSL_KEYSTORE, Keys.store(in));
			c.option(BoltClientOption.CLI_SSL_KEYSTORE_PASS, Keys.PASSWORD);
			c.option(BoltClientOption.CLI_SSL_KEYSTORE_TYPE, Keys.TYPE);
		}
		c.startup();
		BoltHost.countHeartbeats();
		return c;
	}

	private Object request(byte[] body) {
		String does = "oneway".equals(kind) ? "oneway" : in.containsKey("does") ? in.getString("does") : "echo";
		if (in.getBooleanValue("raw"))
			return new Bean(does, null, body);
		SofaRequest r = new SofaRequest();
		r.headers = new LinkedHashMap<>();
		r.headers.put("sofa_head_target_service", in.getString("service"));
		r.headers.put("service", in.getString("service"));
		r.headers.put("sofa_head_method_name", in.getString("method"));
		r.headers.put("does", does);
		if (in.containsKey("headers"))
			in.getJSONObject("headers").forEach((k, v) -> r.headers.put(k, String.valueOf(v)));
		r.body = body;
		r.frameTimeout = in.getIntValue("frameTimeout");
		return r;
	}

	private static void take(Load load, byte[] sent, Object got) {
		if (got instanceof Bean)
			load.answered(((Bean) got).host, Arrays.equals(sent, ((Bean) got).body));
		else
			load.answered(((SofaResponse) got).headers.getOrDefault("host", ""), Arrays.equals(sent, ((SofaResponse) got).body));
	}

	private void send(int i, Load load) throws Exception {
		byte[] body = Load.body(i, size);
		InvokeContext context = new InvokeContext();
		context.put(InvokeContext.BOLT_CRC_SWITCH, in.getBooleanValue("crc"));
		Object request = request(body);
		switch (kind) {
		case "sync":
			take(load, body, client.invokeSync(url, request, context, timeout));
			break;
		case "future":
			RpcResponseFuture future = client.invokeWithFuture(url, request, context, timeout);
			WAITERS.execute(() -> {
				try {
					take(load, body, future.get(timeout));
				} catch (Exception e) {
					load.failed(e);
				}
			});
			break;
		case "callback":
			client.invokeWithCallback(url, request, context, new Callback(load, body), timeout);
			break;
		case "oneway":
			client.oneway(url, request, context);
			load.answered("", true);
			break;
		default:
			throw new IllegalArgumentException(kind);
		}
	}

	private static final class Callback implements InvokeCallback {
		private final Load load;
		private final byte[] sent;

		Callback(Load load, byte[] sent) {
			this.load = load;
			this.sent = sent;
		}

		@Override
		public void onResponse(Object got) {
			take(load, sent, got);
		}

		@Override
		public void onException(Throwable e) {
			load.failed(e);
		}

		@Override
		public Executor getExecutor() {
			return null;
		}
	}

	static void verbs(Map<String, Main.Verb> verbs) {
		verbs.put("bolt.call", in -> {
			BoltCaller c = new BoltCaller(in);
			return Load.run(in, "sync".equals(c.kind), c::send);
		});
		verbs.put("bolt.acks", in -> {
			ACKS.await("acks", in.getIntValue("n"));
			return null;
		});
		verbs.put("bolt.hangUp", in -> {
			CLIENTS.values().forEach(c -> c.getAllManagedConnections().values().forEach(all -> all.forEach(x -> x.close())));
			return null;
		});
	}
}

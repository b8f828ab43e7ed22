// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.rpc.Filter;
import org.apache.dubbo.rpc.Invocation;
import org.apache.dubbo.rpc.Invoker;
import org.apache.dubbo.rpc.Result;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.RpcException;
import org.apache.dubbo.rpc.service.GenericService;

/**
 * Calls by Dubbo. port, group, version, connections, heartbeat; kind: sync, async (a method that gives a future), future (a
 * plain one, called asynchronously), oneway, generic; does, size, timeout, attachments.
 */
final class DubboCaller {
	private static final Map<String, Object> PROXIES = new ConcurrentHashMap<>();
	private final JSONObject in;
	private final String kind, does;
	private final int size;
	private final Object proxy;

	private DubboCaller(JSONObject in) {
		this.in = in;
		kind = in.containsKey("kind") ? in.getString("kind") : "sync";
		does = in.containsKey("does") ? in.getString("does") : "echo";
		size = in.getIntValue("size");
		String key = kind.equals("generic") + "|" + in.getString("group") + "|" + in.getString("version") + "|" + url();
		proxy = PROXIES.computeIfAbsent(key, k -> referred());
	}

	private int number(String name, int other) {
		return in.containsKey(name) ? in.getIntValue(name) : other;
	}

	private String url() {
		return "dubbo://127.0.0.1:" + in.getIntValue("port") + "/" + Shop.class.getName() + "?payload=67108864&connect.timeout=60000&timeout="
			+ number("timeout", 60000) + "&connections=" + number("connections", 1) + "&heartbeat=" + number("heartbeat", 60000)
			+ (in.containsKey("cert") ? "&ssl-enabled=true" : "");
	}

	private Object referred() {
		if (in.containsKey("cert"))
			DubboHost.ssl(in);
		ReferenceConfig<Object> r = new ReferenceConfig<>();
		r.setApplication(DubboHost.application("caller"));
		r.setInterface(Shop.class);
		r.setUrl(url());
		r.setGroup(in.getString("group"));
		r.setVersion(in.getString("version"));
		r.setTimeout(number("timeout", 60000));
		r.setRetries(0);
		r.setCheck(false);
		r.setFilter("told");
		if (kind.equals("generic"))
			r.setGeneric("true");
		return r.get();
	}

	static String name(RpcException e) {
		return e.isTimeout() ? "Timeout" : e.isLimitExceed() ? "Limit" : e.isNetwork() ? "Network" : e.isForbidden() ? "Forbidden"
			: e.isSerialization() ? "Serialization" : "Rpc" + e.getCode();
	}

	private void take(Load load, byte[] sent, Object got) {
		Bean b = (Bean) got;
		load.answered(b.host, Arrays.equals(sent, b.body) && (!kind.equals("sync") || b.host.equals(b.told)));
	}

	/** What an answer's attachments say: RpcContext does not give them back where a consumer has no registry. */
	public static final class Told implements Filter, Filter.Listener {
		@Override
		public Result invoke(Invoker<?> invoker, Invocation invocation) {
			return invoker.invoke(invocation);
		}

		@Override
		public void onResponse(Result result, Invoker<?> invoker, Invocation invocation) {
			if (result.getValue() instanceof Bean)
				((Bean) result.getValue()).told = result.getAttachment("host");
		}

		@Override
		public void onError(Throwable e, Invoker<?> invoker, Invocation invocation) {
		}
	}

	private void finish(Load load, byte[] sent, CompletableFuture<?> future) {
		future.whenComplete((got, e) -> {
			if (e == null)
				take(load, sent, got);
			else
				load.failed(e instanceof java.util.concurrent.CompletionException ? e.getCause() : e);
		});
	}

	private void send(int i, Load load) throws Exception {
		byte[] body = Load.body(i, size);
		RpcContext context = RpcContext.getContext();
		if (in.containsKey("attachments"))
			in.getJSONObject("attachments").forEach((k, v) -> context.setAttachment(k, String.valueOf(v)));
		switch (kind) {
		case "sync":
			take(load, body, ((Shop) proxy).ask(does, body));
			break;
		case "async":
			finish(load, body, ((Shop) proxy).later(does, body));
			break;
		case "future":
			finish(load, body, context.asyncCall(() -> ((Shop) proxy).ask(does, body)));
			break;
		case "oneway":
			context.asyncCall(() -> ((Shop) proxy).fire("oneway", body));
			load.answered("", true);
			break;
		case "generic":
			generic(load);
			break;
		default:
			throw new IllegalArgumentException(kind);
		}
	}

	private void generic(Load load) {
		String[] types = {"java.lang.String", "int", "java.util.Map"};
		Object got = ((GenericService) proxy).$invoke("words", types, new Object[] {"ä", 7, new HashMap<>(Map.of("k", "v"))});
		String[] parts = String.valueOf(got).split(":", 2);
		load.answered(parts[0], parts[1].equals("ä:7:{k=v}"));
	}

	static void verbs(Map<String, Main.Verb> verbs) {
		verbs.put("dubbo.call", in -> {
			DubboCaller c = new DubboCaller(in);
			return Load.run(in, c.kind.equals("sync") || c.kind.equals("generic"), c::send);
		});
	}
}

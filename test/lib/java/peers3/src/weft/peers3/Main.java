// SPDX-License-Identifier: Apache-2.0
package weft.peers3;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.rpc.RpcContext;

/** Dubbo 3, provider and consumer, by protocol dubbo and tri; commands and answers as those of weft.peers. */
public final class Main {
	private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
	private static final Map<String, Shop> PROXIES = new ConcurrentHashMap<>();
	private static final AtomicInteger FIRED = new AtomicInteger();

	public static void main(String[] args) throws Exception {
		System.setOut(System.err);
		say(JSONObject.of("id", 0, "ready", true));
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line; (line = in.readLine()) != null;) {
			JSONObject command = JSON.parseObject(line);
			JSONObject out = new JSONObject();
			try {
				carryOut(command, out);
			} catch (Throwable e) {
				e.printStackTrace();
				out.put("error", e.toString());
			}
			say(out.fluentPut("id", command.get("id")));
		}
		Runtime.getRuntime().halt(0);
	}

	private static void say(JSONObject out) {
		OUT.println(out.toJSONString());
		OUT.flush();
	}

	private static void carryOut(JSONObject in, JSONObject out) throws Exception {
		switch (in.getString("do")) {
		case "listen":
			listen(in);
			break;
		case "call":
			call(in, out);
			break;
		case "fired":
			out.put("fired", FIRED.get());
			break;
		default:
			throw new IllegalArgumentException("no such command");
		}
	}

	private static ApplicationConfig application() {
		ApplicationConfig app = new ApplicationConfig("weft-three");
		app.setQosEnable(false);
		return app;
	}

	private static void listen(JSONObject in) {
		String name = in.getString("name");
		ProtocolConfig protocol = new ProtocolConfig(in.getString("protocol"), in.getIntValue("port"));
		protocol.setHost("127.0.0.1");
		protocol.setPayload(64 << 20);
		ServiceConfig<Shop> service = new ServiceConfig<>();
		service.setApplication(application());
		service.setRegistry(new RegistryConfig(RegistryConfig.NO_AVAILABLE));
		service.setProtocol(protocol);
		service.setInterface(Shop.class);
		service.setGroup(in.getString("group"));
		service.setVersion(in.getString("version"));
		service.setRef(new Host(name));
		service.export();
	}

	private static final class Host implements Shop {
		private final String name;

		Host(String name) {
			this.name = name;
		}

		@Override
		public String buy(String what) {
			if (what.equals("throw"))
				throw new IllegalStateException("thrown by " + name);
			return name + " " + RpcContext.getServerAttachment().getAttachment("color") + " " + what;
		}

		@Override
		public void fire(String what) {
			FIRED.incrementAndGet();
		}

		@Override
		public void many(int n, StreamObserver<String> out) {
			for (int i = 0; i < n; i++)
				out.onNext(name + i);
			out.onCompleted();
		}
	}

	private static Shop proxy(JSONObject in) {
		return PROXIES.computeIfAbsent(in.getString("protocol") + in.getString("port") + in.getString("group") + in.getString("timeout"), k -> {
			ReferenceConfig<Shop> r = new ReferenceConfig<>();
			r.setApplication(application());
			r.setInterface(Shop.class);
			r.setUrl(in.getString("protocol") + "://127.0.0.1:" + in.getIntValue("port") + "?connect.timeout=60000");
			r.setGroup(in.getString("group"));
			r.setVersion(in.getString("version"));
			r.setTimeout(in.containsKey("timeout") ? in.getIntValue("timeout") : 60000);
			r.setRetries(0);
			r.setCheck(false);
			return r.get();
		});
	}

	/** n calls, one after the other or, async, at once; what came back, or the words of what failed. */
	private static void call(JSONObject in, JSONObject out) throws Exception {
		Shop shop = proxy(in);
		int n = in.containsKey("n") ? in.getIntValue("n") : 1;
		String what = in.containsKey("size") ? "x".repeat(in.getIntValue("size")) : in.getString("what");
		List<CompletableFuture<?>> all = new ArrayList<>();
		List<Object> got = Collections.synchronizedList(new ArrayList<>());
		try {
			for (int i = 0; i < n; i++) {
				RpcContext.getClientAttachment().setAttachment("color", "blue");
				switch (in.getString("kind")) {
				case "async":
					all.add(RpcContext.getServiceContext().asyncCall(() -> shop.buy(what)).thenAccept(got::add));
					break;
				case "oneway":
					RpcContext.getServiceContext().asyncCall(() -> shop.fire(what));
					break;
				case "stream":
					got.addAll(stream(shop, in.getIntValue("answers")));
					break;
				default:
					got.add(shop.buy(what));
				}
			}
			CompletableFuture.allOf(all.toArray(new CompletableFuture[0])).get(60, TimeUnit.SECONDS);
		} catch (Exception e) {
			out.put("failed", e.getClass().getSimpleName() + ": " + e.getMessage());
		}
		Map<Object, Integer> counts = new HashMap<>();
		got.forEach(g -> counts.merge(String.valueOf(g), 1, Integer::sum));
		out.put("got", counts);
	}

	private static List<String> stream(Shop shop, int answers) throws Exception {
		List<String> got = new ArrayList<>();
		CompletableFuture<List<String>> done = new CompletableFuture<>();
		shop.many(answers, new StreamObserver<String>() {
			@Override
			public void onNext(String s) {
				got.add(s);
			}

			@Override
			public void onError(Throwable e) {
				done.completeExceptionally(e);
			}

			@Override
			public void onCompleted() {
				done.complete(got);
			}
		});
		return done.get(60, TimeUnit.SECONDS);
	}
}

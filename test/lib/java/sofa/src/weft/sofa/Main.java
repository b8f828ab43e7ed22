// SPDX-License-Identifier: Apache-2.0
package weft.sofa;

import com.alipay.sofa.rpc.api.GenericService;
import com.alipay.sofa.rpc.config.ConsumerConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.alipay.sofa.rpc.core.exception.SofaRpcException;
import com.alipay.sofa.rpc.core.invoke.SofaResponseCallback;
import com.alipay.sofa.rpc.core.request.RequestBase;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * SOFARPC, provider and consumer, over bolt; commands and answers as those of weft.peers: listen (port, name), call (port, kind,
 * n, what), all (port), fired. kind: sync, future, callback, oneway, generic.
 */
public final class Main {
	private static final ObjectMapper JSON = new ObjectMapper();
	private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
	private static final Map<String, Object> PROXIES = new TreeMap<>();
	private static final AtomicInteger FIRED = new AtomicInteger();

	public static void main(String[] args) throws Exception {
		System.setOut(System.err);
		say(Map.of("id", 0));
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line; (line = in.readLine()) != null;) {
			Map<String, Object> command = JSON.readValue(line, Map.class), out = new TreeMap<>();
			try {
				carryOut(command, out);
			} catch (Throwable e) {
				e.printStackTrace();
				out.put("failed", e.getClass().getSimpleName());
			}
			out.put("id", command.get("id"));
			say(out);
		}
		Runtime.getRuntime().halt(0);
	}

	private static void say(Map<String, Object> out) throws Exception {
		OUT.println(JSON.writeValueAsString(out));
		OUT.flush();
	}

	private static void carryOut(Map<String, Object> in, Map<String, Object> out) throws Exception {
		switch ((String) in.get("do")) {
		case "listen":
			listen((Integer) in.get("port"), (String) in.get("name"), (String) in.getOrDefault("version", "1.0"),
				(String) in.get("uniqueId"));
			break;
		case "call":
			out.put("got", call((Integer) in.get("port"), (String) in.get("kind"), (Integer) in.get("n"), (String) in.get("what")));
			break;
		case "all":
			refer(Shop.class, (Integer) in.get("port"), "sync").all(true, (byte) -128, (short) 300, 70000, 1L << 40, 1.5f, 0.1, 'x', 7, "hi",
				new Date(1000), new ArrayList<>(Arrays.asList(1, "two", null, 1L << 31)), new HashMap<>(Map.of("k", 2.0)),
				new int[] {1, 2}, null, null, null);
			break;
		case "fired":
			out.put("fired", FIRED.get());
			break;
		default:
			throw new IllegalArgumentException("no such command");
		}
	}

	private static void listen(int port, String name, String version, String uniqueId) {
		ServerConfig server = new ServerConfig().setProtocol("bolt").setHost("127.0.0.1").setPort(port).setDaemon(true);
		ProviderConfig<Shop> provider = new ProviderConfig<Shop>().setInterfaceId(Shop.class.getName()).setServer(server).setRegister(false)
			.setVersion(version).setRepeatedExportLimit(-1).setRef(new Host(name));
		if (uniqueId != null)
			provider.setUniqueId(uniqueId);
		provider.export();
	}

	private static final class Host implements Shop {
		final String name;

		Host(String name) {
			this.name = name;
		}

		@Override
		public String buy(String what) {
			if (what.equals("throw"))
				throw new IllegalStateException("thrown by " + name);
			if (what.equals("silent"))
				sleep();
			return name + " " + what;
		}

		@Override
		public void fire(String what) {
			FIRED.incrementAndGet();
		}

		@Override
		public Map<String, Object> all(boolean flag, byte small, short middle, int number, long big, float part, double real, char letter,
			Integer boxed, String text, Date date, List<Object> list, Map<String, Object> map, int[] numbers, String[] words, Order order,
			Object any) {
			Object[] values = {flag, small, middle, number, big, part, real, letter, boxed, text, date, list, map, numbers, words, order, any};
			List<String> classes = new ArrayList<>();
			for (Object v : values)
				classes.add(v == null ? null : v.getClass().getSimpleName());
			Map<String, Object> out = new LinkedHashMap<>();
			out.put("values", new ArrayList<>(Arrays.asList(values)));
			out.put("classes", classes);
			return out;
		}

		@Override
		public Map<String, Object> ask(String does, byte[] body) {
			Map<String, Object> out = new LinkedHashMap<>();
			out.put("host", name);
			out.put("does", buy(does).substring(name.length() + 1));
			out.put("body", body);
			return out;
		}

		@Override
		public Order change(Order order) {
			order.id += " of " + name;
			order.state = Order.State.SENT;
			return order;
		}
	}

	/** As long as this program runs: nobody waits for an answer any more. */
	private static void sleep() {
		try {
			Thread.sleep(Long.MAX_VALUE);
		} catch (InterruptedException e) {
			throw new IllegalStateException(e);
		}
	}

	private static <T> T refer(Class<T> type, int port, String kind) {
		ConsumerConfig<T> c = new ConsumerConfig<T>().setInterfaceId(Shop.class.getName()).setProtocol("bolt")
			.setDirectUrl("bolt://127.0.0.1:" + port).setRegister(false).setTimeout(60000).setRepeatedReferLimit(-1).setConnectTimeout(60000).setRetries(0);
		if (kind.equals("generic"))
			c.setGeneric(true);
		else
			c.setInvokeType(kind);
		return type.cast(PROXIES.computeIfAbsent(kind + port, k -> c.refer()));
	}

	private static Map<String, Integer> call(int port, String kind, int n, String what) throws Exception {
		Map<String, Integer> got = new TreeMap<>();
		for (int i = 0; i < n; i++)
			got.merge(String.valueOf(one(port, kind, what)), 1, Integer::sum);
		return got;
	}

	private static Object one(int port, String kind, String what) throws Exception {
		switch (kind) {
		case "sync":
			return refer(Shop.class, port, kind).buy(what);
		case "future":
			refer(Shop.class, port, kind).buy(what);
			return RpcInvokeContext.getContext().getFuture().get(60, TimeUnit.SECONDS);
		case "callback":
			Back back = new Back();
			RpcInvokeContext.getContext().setResponseCallback(back);
			refer(Shop.class, port, kind).buy(what);
			return back.done.get(60, TimeUnit.SECONDS);
		case "oneway":
			refer(Shop.class, port, kind).fire(what);
			return "sent";
		case "generic":
			return refer(GenericService.class, port, kind).$invoke("buy", new String[] {"java.lang.String"}, new Object[] {what});
		default:
			throw new IllegalArgumentException(kind);
		}
	}

	private static final class Back implements SofaResponseCallback<Object> {
		final CompletableFuture<Object> done = new CompletableFuture<>();

		@Override
		public void onAppResponse(Object got, String method, RequestBase request) {
			done.complete(got);
		}

		@Override
		public void onAppException(Throwable e, String method, RequestBase request) {
			done.completeExceptionally(e);
		}

		@Override
		public void onSofaException(SofaRpcException e, String method, RequestBase request) {
			done.completeExceptionally(e);
		}
	}
}

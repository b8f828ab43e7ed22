// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.common.constants.CommonConstants;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.SslConfig;
import org.apache.dubbo.config.context.ConfigManager;
import org.apache.dubbo.remoting.Channel;
import org.apache.dubbo.remoting.RemotingException;
import org.apache.dubbo.remoting.RemotingServer;
import org.apache.dubbo.remoting.exchange.Request;
import org.apache.dubbo.rpc.AsyncContext;
import org.apache.dubbo.rpc.ProtocolServer;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.model.ApplicationModel;
import org.apache.dubbo.rpc.protocol.dubbo.DubboProtocol;

/** A Dubbo provider of one port, of Shop with one group and version. threads: how many calls it carries out at once. stranger: of another group. */
final class DubboHost implements Shop {
	private static final Map<Integer, DubboHost> ALL = new ConcurrentHashMap<>();
	private static final Logger HEARTBEATS = Logger.getLogger("org.apache.dubbo.remoting.exchange.support.header.HeartbeatHandler");
	private static final Tally BEATS = new Tally();
	private final String name;
	private final int port;
	private final Tally tally = new Tally();

	private DubboHost(JSONObject in) {
		name = in.getString("name");
		port = in.getIntValue("port");
		ProtocolConfig protocol = new ProtocolConfig("dubbo", port);
		protocol.setHost("127.0.0.1");
		protocol.setPayload(64 << 20);
		protocol.setHeartbeat(in.containsKey("heartbeat") ? in.getIntValue("heartbeat") : 60000);
		protocol.setThreads(in.containsKey("threads") ? in.getIntValue("threads") : 32);
		protocol.setQueues(in.containsKey("threads") ? 0 : 4096);
		protocol.setDispatcher("message");      // new connections take none of the threads
		if (in.containsKey("cert")) {
			ssl(in);
			protocol.setSslEnabled(true);
		}
		ServiceConfig<Shop> service = new ServiceConfig<>();
		service.setApplication(application("host"));
		service.setRegistry(new RegistryConfig(RegistryConfig.NO_AVAILABLE));
		service.setProtocol(protocol);
		service.setInterface(Shop.class);
		service.setGroup(in.getBooleanValue("stranger") ? "stranger" : in.getString("group"));
		service.setVersion(in.getString("version"));
		service.setRef(this);
		service.export();
	}

	static ApplicationConfig application(String name) {
		ApplicationConfig app = new ApplicationConfig("weft-" + name);
		app.setQosEnable(false);
		return app;
	}

	/** Certificate, key and CA of all TLS of this program, as server and as client: Dubbo has one of each. */
	static void ssl(JSONObject in) {
		ConfigManager all = ApplicationModel.getConfigManager();
		SslConfig ssl = all.getSsl().orElseGet(SslConfig::new);
		ssl.setServerKeyCertChainPath(in.getString("cert"));
		ssl.setServerPrivateKeyPath(in.getString("key"));
		ssl.setServerTrustCertCollectionPath(in.getString("ca"));
		ssl.setClientKeyCertChainPath(in.getString("cert"));
		ssl.setClientPrivateKeyPath(in.getString("key"));
		ssl.setClientTrustCertCollectionPath(in.getString("ca"));
		if (!all.getSsl().isPresent())
			all.setSsl(ssl);
	}

	/** The library tells of heartbeats only in its log: those that came to this program, and answers to its own. */
	private static void countHeartbeats() {
		HEARTBEATS.setLevel(Level.FINE);
		HEARTBEATS.addHandler(new Handler() {
			@Override
			public void publish(LogRecord record) {
				if (record.getMessage().contains("heartbeat response"))
					BEATS.ack();
				else
					BEATS.heartbeat();
			}

			@Override
			public void flush() {
			}

			@Override
			public void close() {
			}
		});
	}

	private void came(String does) {
		RpcContext c = RpcContext.getContext();
		Map<String, String> headers = new TreeMap<>(c.getAttachments());
		String timeout = headers.get("timeout");
		tally.call(does, c.getRemoteAddressString(), headers, timeout == null ? 0 : Integer.parseInt(timeout), "oneway".equals(does));
		RpcContext.getServerContext().setAttachment("host", name);
		if ("close".equals(does))
			for (Channel channel : server().getChannels())
				if (channel.getRemoteAddress().equals(c.getRemoteAddress()))
					channel.close();
		if ("throw".equals(does))
			throw new IllegalStateException("thrown by " + name);
	}

	@Override
	public Bean ask(String does, byte[] body) {
		came(does);
		Bean answer = new Bean(does, name, body);
		if ("block".equals(does))
			block();
		if (!"hold".equals(does) && !"silent".equals(does))
			return answer;
		AsyncContext async = RpcContext.startAsync();
		if ("hold".equals(does))
			tally.hold(() -> async.write(answer));
		return null;
	}

	private void block() {
		CountDownLatch done = new CountDownLatch(1);
		tally.hold(done::countDown);
		try {
			done.await();
		} catch (InterruptedException e) {
			throw new IllegalStateException(e);
		}
	}

	@Override
	public CompletableFuture<Bean> later(String does, byte[] body) {
		came(does);
		CompletableFuture<Bean> future = new CompletableFuture<>();
		if ("hold".equals(does))
			tally.hold(() -> future.complete(new Bean(does, name, body)));
		else if (!"silent".equals(does))
			future.complete(new Bean(does, name, body));
		return future;
	}

	@Override
	public void fire(String does, byte[] body) {
		came(does);
	}

	@Override
	public Map<String, Object> all(boolean flag, byte small, short middle, int number, long big, float part, double real, char letter,
		Integer boxed, String text, Date date, List<Object> list, Map<String, Object> map, int[] numbers, String[] words, Order order,
		Object any) {
		came("all");
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
	public String words(String text, int number, Map<String, Object> more) {
		came("words");
		return name + ":" + text + ":" + number + ":" + (more == null ? "" : new TreeMap<>(more).toString());
	}

	/** What a provider says before it goes: no more calls on these connections. */
	private void readonly() throws RemotingException {
		Request request = new Request();
		request.setEvent(CommonConstants.READONLY_EVENT);
		request.setTwoWay(false);
		request.setVersion(Version.getProtocolVersion());
		for (Channel c : server().getChannels())
			c.send(request, true);
	}

	private RemotingServer server() {
		for (ProtocolServer s : DubboProtocol.getDubboProtocol().getServers())
			if (s.getUrl().getPort() == port)
				return s.getRemotingServer();
		throw new IllegalStateException("no server at " + port);
	}

	static void verbs(Map<String, Main.Verb> verbs) {
		verbs.put("dubbo.listen", in -> {
			ALL.put(in.getIntValue("port"), new DubboHost(in));
			return null;
		});
		countHeartbeats();
		verbs.put("dubbo.beats", in -> {
			BEATS.await(in.getString("what"), in.getIntValue("n"));
			return null;
		});
		verbs.put("dubbo.readonly", in -> {
			ALL.get(in.getIntValue("port")).readonly();
			return null;
		});
		verbs.put("dubbo.stop", in -> {
			ALL.remove(in.getIntValue("port")).server().close();
			return null;
		});
		verbs.put("dubbo.counts", in -> of(in).show());
		verbs.put("dubbo.clear", in -> {
			of(in).clear();
			return null;
		});
		verbs.put("dubbo.release", in -> Map.of("released", of(in).release()));
		verbs.put("dubbo.await", in -> {
			of(in).await(in.getString("what"), in.getIntValue("n"));
			return of(in).show();
		});
	}

	private static Tally of(JSONObject in) {
		return ALL.get(in.getIntValue("port")).tally;
	}
}

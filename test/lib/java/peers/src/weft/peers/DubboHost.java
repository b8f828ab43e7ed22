// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.dubbo.common.Version;
import org.apache.dubbo.common.constants.CommonConstants;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.remoting.Channel;
import org.apache.dubbo.remoting.RemotingException;
import org.apache.dubbo.remoting.RemotingServer;
import org.apache.dubbo.remoting.exchange.Request;
import org.apache.dubbo.rpc.AsyncContext;
import org.apache.dubbo.rpc.ProtocolServer;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.protocol.dubbo.DubboProtocol;

/** A Dubbo provider of one port, of Shop with one group and version. threads: how many calls it carries out at once. */
final class DubboHost implements Shop {
	private static final Map<Integer, DubboHost> ALL = new ConcurrentHashMap<>();
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
		ServiceConfig<Shop> service = new ServiceConfig<>();
		service.setApplication(application("host"));
		service.setRegistry(new RegistryConfig(RegistryConfig.NO_AVAILABLE));
		service.setProtocol(protocol);
		service.setInterface(Shop.class);
		service.setGroup(in.getString("group"));
		service.setVersion(in.getString("version"));
		service.setRef(this);
		service.export();
	}

	static ApplicationConfig application(String name) {
		ApplicationConfig app = new ApplicationConfig("weft-" + name);
		app.setQosEnable(false);
		return app;
	}

	private void came(String does) {
		RpcContext c = RpcContext.getContext();
		Map<String, String> headers = new TreeMap<>(c.getAttachments());
		String timeout = headers.get("timeout");
		tally.call(does, c.getRemoteAddressString(), headers, timeout == null ? 0 : Integer.parseInt(timeout), "oneway".equals(does));
		RpcContext.getServerContext().setAttachment("host", name);
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

// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import com.alipay.remoting.AsyncContext;
import com.alipay.remoting.BizContext;
import com.alipay.remoting.CommonCommandCode;
import com.alipay.remoting.ProtocolCode;
import com.alipay.remoting.ProtocolManager;
import com.alipay.remoting.RemotingCommand;
import com.alipay.remoting.RemotingContext;
import com.alipay.remoting.config.BoltServerOption;
import com.alipay.remoting.rpc.HeartbeatAckCommand;
import com.alipay.remoting.rpc.RpcServer;
import com.alipay.remoting.rpc.protocol.AsyncUserProcessor;
import com.alipay.remoting.rpc.protocol.RpcHeartBeatProcessor;
import com.alipay.sofa.rpc.core.request.SofaRequest;
import com.alipay.sofa.rpc.core.response.SofaResponse;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;

/**
 * A bolt server of one port. A call says what is to be done: echo, hold (until bolt.release), throw, busy, close, silent;
 * by header "does" of a SofaRequest, by the field of a Bean. stranger: it knows no SofaRequest.
 */
final class BoltHost {
	private static final Map<Integer, BoltHost> ALL = new ConcurrentHashMap<>();
	private final String name;
	private final RpcServer server;
	private final Tally tally = new Tally();

	private interface Answer {
		Object with(byte[] body);
	}

	private BoltHost(JSONObject in) {
		name = in.getString("name");
		server = new RpcServer("127.0.0.1", in.getIntValue("port"), true);
		if (in.containsKey("cert")) {
			server.option(BoltServerOption.SRV_SSL_ENABLE, true);
			server.option(BoltServerOption.SRV_SSL_NEED_CLIENT_AUTH, true);
			server.option(BoltServerOption.SRV_SSL_KEYSTORE, Keys.store(in));
			server.option(BoltServerOption.SRV_SSL_KEYSTORE_PASS, Keys.PASSWORD);
			server.option(BoltServerOption.SRV_SSL_KEYSTORE_TYPE, Keys.TYPE);
		}
		if (!in.getBooleanValue("stranger"))
			server.registerUserProcessor(new Sofa());
		server.registerUserProcessor(new Beans());
		server.startup();
		countHeartbeats();
	}

	/** The library has one table of these for all clients and servers of a program. */
	static void countHeartbeats() {
		for (byte protocol = 1; protocol <= 2; protocol++)
			ProtocolManager.getProtocol(ProtocolCode.fromBytes(protocol)).getCommandHandler()
				.registerProcessor(CommonCommandCode.HEARTBEAT, new Heartbeats());
	}

	private final class Sofa extends AsyncUserProcessor<SofaRequest> {
		@Override
		public void handleRequest(BizContext biz, AsyncContext async, SofaRequest r) {
			serve(biz, async, r.headers.getOrDefault("does", "echo"), r.headers, r.body, b -> answer(b));
		}

		@Override
		public String interest() {
			return SofaRequest.class.getName();
		}
	}

	private final class Beans extends AsyncUserProcessor<Bean> {
		@Override
		public void handleRequest(BizContext biz, AsyncContext async, Bean r) {
			serve(biz, async, r.does, new TreeMap<>(), r.body, b -> new Bean(r.does, name, b));
		}

		@Override
		public String interest() {
			return Bean.class.getName();
		}
	}

	private SofaResponse answer(byte[] body) {
		SofaResponse a = new SofaResponse();
		a.headers = Map.of("host", name);
		a.body = body;
		return a;
	}

	private void serve(BizContext biz, AsyncContext async, String does, Map<String, String> headers, byte[] body, Answer answer) {
		tally.call(does, biz.getRemoteAddress(), headers, biz.getClientTimeout(), "oneway".equals(does));
		switch (does) {
		case "hold":
			tally.hold(() -> async.sendResponse(answer.with(body)));
			return;
		case "throw":
			throw new IllegalStateException("thrown by " + name);
		case "busy":
			throw new RejectedExecutionException();
		case "close":
			biz.getConnection().close();
			return;
		case "silent":
			return;
		default:
			async.sendResponse(answer.with(body));
		}
	}

	/** Answers as the library does, and counts: those that came, and the answers to those of a client in this program. */
	private static final class Heartbeats extends RpcHeartBeatProcessor {
		@Override
		public void doProcess(RemotingContext context, RemotingCommand command) {
			InetSocketAddress here = (InetSocketAddress) context.getChannelContext().channel().localAddress();
			BoltHost host = ALL.get(here.getPort());
			if (host != null && !(command instanceof HeartbeatAckCommand))
				host.tally.heartbeat();
			else if (command instanceof HeartbeatAckCommand)
				BoltCaller.ACKS.ack();
			super.doProcess(context, command);
		}
	}

	static void verbs(Map<String, Main.Verb> verbs) {
		BoltCodec.register();
		verbs.put("bolt.listen", in -> {
			ALL.put(in.getIntValue("port"), new BoltHost(in));
			return null;
		});
		verbs.put("bolt.stop", in -> {
			ALL.remove(in.getIntValue("port")).server.shutdown();
			return null;
		});
		verbs.put("bolt.counts", in -> of(in).show());
		verbs.put("bolt.clear", in -> {
			of(in).clear();
			return null;
		});
		verbs.put("bolt.release", in -> Map.of("released", of(in).release()));
		verbs.put("bolt.await", in -> {
			of(in).await(in.getString("what"), in.getIntValue("n"));
			return of(in).show();
		});
	}

	private static Tally of(JSONObject in) {
		return ALL.get(in.getIntValue("port")).tally;
	}
}

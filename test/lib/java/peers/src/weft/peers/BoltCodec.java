// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alipay.remoting.CustomSerializerManager;
import com.alipay.remoting.DefaultCustomSerializer;
import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.rpc.RequestCommand;
import com.alipay.remoting.rpc.ResponseCommand;
import com.alipay.remoting.rpc.protocol.RpcRequestCommand;
import com.alipay.remoting.rpc.protocol.RpcResponseCommand;
import com.alipay.sofa.rpc.core.request.SofaRequest;
import com.alipay.sofa.rpc.core.response.SofaResponse;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Header maps as SOFARPC writes them (length, name, length, value), and bodies as bytes. */
final class BoltCodec extends DefaultCustomSerializer {
	static void register() {
		for (Class<?> c : new Class<?>[] {SofaRequest.class, SofaResponse.class})
			if (CustomSerializerManager.getCustomSerializer(c.getName()) == null)
				CustomSerializerManager.registerCustomSerializer(c.getName(), new BoltCodec());
	}

	private static byte[] packed(Map<String, String> map) {
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		for (Map.Entry<String, String> e : map.entrySet())
			for (String s : new String[] {e.getKey(), e.getValue()}) {
				byte[] b = s.getBytes(StandardCharsets.UTF_8);
				out.writeBytes(ByteBuffer.allocate(4).putInt(b.length).array());
				out.writeBytes(b);
			}
		return out.toByteArray();
	}

	private static Map<String, String> read(byte[] head) {
		Map<String, String> map = new LinkedHashMap<>();
		for (ByteBuffer in = ByteBuffer.wrap(head == null ? new byte[0] : head); in.hasRemaining();)
			map.put(text(in), text(in));
		return map;
	}

	private static String text(ByteBuffer in) {
		byte[] b = new byte[in.getInt()];
		in.get(b);
		return new String(b, StandardCharsets.UTF_8);
	}

	@Override
	public <T extends RequestCommand> boolean serializeHeader(T command, InvokeContext context) {
		SofaRequest r = (SofaRequest) ((RpcRequestCommand) command).getRequestObject();
		command.setHeader(packed(r.headers));
		if (r.frameTimeout != 0)
			command.setTimeout(r.frameTimeout);
		return true;
	}

	@Override
	public <T extends ResponseCommand> boolean serializeHeader(T command) {
		command.setHeader(packed(((SofaResponse) ((RpcResponseCommand) command).getResponseObject()).headers));
		return true;
	}

	@Override
	public <T extends RequestCommand> boolean deserializeHeader(T command) {
		((RpcRequestCommand) command).setRequestHeader(read(command.getHeader()));
		return true;
	}

	@Override
	public <T extends ResponseCommand> boolean deserializeHeader(T command, InvokeContext context) {
		((RpcResponseCommand) command).setResponseHeader(read(command.getHeader()));
		return true;
	}

	@Override
	public <T extends RequestCommand> boolean serializeContent(T command, InvokeContext context) {
		command.setContent(((SofaRequest) ((RpcRequestCommand) command).getRequestObject()).body);
		return true;
	}

	@Override
	public <T extends ResponseCommand> boolean serializeContent(T command) {
		command.setContent(((SofaResponse) ((RpcResponseCommand) command).getResponseObject()).body);
		return true;
	}

	private static byte[] content(byte[] content) {
		return content == null ? new byte[0] : content;
	}

	@Override
	public <T extends RequestCommand> boolean deserializeContent(T command) {
		SofaRequest r = new SofaRequest();
		r.headers = read(command.getHeader());
		r.body = content(command.getContent());
		((RpcRequestCommand) command).setRequestObject(r);
		return true;
	}

	@Override
	public <T extends ResponseCommand> boolean deserializeContent(T command, InvokeContext context) {
		SofaResponse r = new SofaResponse();
		r.headers = read(command.getHeader());
		r.body = content(command.getContent());
		((RpcResponseCommand) command).setResponseObject(r);
		return true;
	}
}

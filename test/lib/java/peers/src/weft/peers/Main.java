// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.HashMap;
import java.util.Map;

/**
 * Commands from standard input, one JSON object a line: {"id": 1, "do": "bolt.listen", ...}; answers to standard output,
 * {"id": 1, ...} or {"id": 1, "error": "..."}, in the order in which they are ready. The end of the input ends the program.
 * What libraries print goes to standard error.
 */
public final class Main {
	interface Verb {
		Object run(JSONObject in) throws Exception;
	}

	private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
	private static final Map<String, Verb> VERBS = new HashMap<>();

	public static void main(String[] args) throws Exception {
		System.setOut(System.err);
		BoltHost.verbs(VERBS);
		BoltCaller.verbs(VERBS);
		DubboHost.verbs(VERBS);
		DubboCaller.verbs(VERBS);
		VERBS.put("load.stop", Load::stop);
		say(new JSONObject().fluentPut("id", 0).fluentPut("ready", true));
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line; (line = in.readLine()) != null;) {
			JSONObject command = JSON.parseObject(line);
			new Thread(() -> carryOut(command)).start();
		}
		Runtime.getRuntime().halt(0);
	}

	private static void carryOut(JSONObject command) {
		JSONObject out = new JSONObject();
		try {
			Verb verb = VERBS.get(command.getString("do"));
			if (verb == null)
				throw new IllegalArgumentException("no such command");
			Object got = verb.run(command);
			if (got != null)
				out.putAll((Map<String, ?>) JSON.toJSON(got));
		} catch (Throwable e) {
			e.printStackTrace();
			out.put("error", e.toString());
		}
		say(out.fluentPut("id", command.get("id")));
	}

	private static void say(JSONObject out) {
		synchronized (OUT) {
			OUT.println(out.toJSONString());
			OUT.flush();
		}
	}
}

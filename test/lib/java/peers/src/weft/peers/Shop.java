// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The service of the Dubbo peers. does: echo, hold (until dubbo.release), block (the same, on its thread), throw, close, silent. */
public interface Shop {
	Bean ask(String does, byte[] body);

	CompletableFuture<Bean> later(String does, byte[] body);

	void fire(String does, byte[] body);

	String words(String text, int number, Map<String, Object> more);
}

// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The service of the Dubbo peers. does: echo, hold (until dubbo.release), block (the same, on its thread), throw, close, silent. */
public interface Shop {
	Bean ask(String does, byte[] body);

	CompletableFuture<Bean> later(String does, byte[] body);

	void fire(String does, byte[] body);

	/** What came, and of which classes. */
	Map<String, Object> all(boolean flag, byte small, short middle, int number, long big, float part, double real, char letter,
		Integer boxed, String text, Date date, List<Object> list, Map<String, Object> map, int[] numbers, String[] words, Order order,
		Object any);

	String words(String text, int number, Map<String, Object> more);
}

// SPDX-License-Identifier: Apache-2.0
package weft.sofa;

import java.util.Date;
import java.util.List;
import java.util.Map;

/** The service of the SOFARPC peer: what is bought comes back with the host's name before it. */
public interface Shop {
	String buy(String what);

	void fire(String what);

	/** What came, and of which classes Java found it to be. */
	Map<String, Object> all(boolean flag, byte small, short middle, int number, long big, float part, double real, char letter, Integer boxed,
		String text, Date date, List<Object> list, Map<String, Object> map, int[] numbers, String[] words, Order order, Object any);

	Map<String, Object> ask(String does, byte[] body);

	Order change(Order order);
}

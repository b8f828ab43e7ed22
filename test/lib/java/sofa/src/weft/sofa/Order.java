// SPDX-License-Identifier: Apache-2.0
package weft.sofa;

import java.io.Serializable;
import java.util.List;

/** An argument and a value of a class of one's own. */
public class Order implements Serializable {
	private static final long serialVersionUID = 1;
	public String id;
	public int count;
	public double price;
	public List<Order> parts;
	public Order inner;
	public State state;

	/** An enum among its fields. */
	public enum State { OPEN, SENT }
}

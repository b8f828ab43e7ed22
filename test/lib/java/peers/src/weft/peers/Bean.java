// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import java.io.Serializable;

/** A request and an answer of plain bolt and of Dubbo: hessian2, no header map of its own. */
public class Bean implements Serializable {
	private static final long serialVersionUID = 1;
	public String does, host;
	public byte[] body;
	public transient String told;

	public Bean() {
	}

	public Bean(String does, String host, byte[] body) {
		this.does = does;
		this.host = host;
		this.body = body;
	}
}

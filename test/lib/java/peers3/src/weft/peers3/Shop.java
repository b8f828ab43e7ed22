// SPDX-License-Identifier: Apache-2.0
package weft.peers3;

import org.apache.dubbo.common.stream.StreamObserver;

/** The service of the Dubbo 3 peer: what is bought comes back with the host's name, the last attachment and "of" before it. */
public interface Shop {
	String buy(String what);

	void fire(String what);

	/** So many answers. Triple only. */
	void many(int n, StreamObserver<String> out);
}

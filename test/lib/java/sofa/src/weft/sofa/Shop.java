// SPDX-License-Identifier: Apache-2.0
package weft.sofa;

/** The service of the SOFARPC peer: what is bought comes back with the host's name before it. */
public interface Shop {
	String buy(String what);

	void fire(String what);
}

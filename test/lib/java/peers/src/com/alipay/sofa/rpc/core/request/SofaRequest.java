// SPDX-License-Identifier: Apache-2.0
package com.alipay.sofa.rpc.core.request;

import java.util.Map;

/** What SOFARPC sends has this name on the wire; weft reads the header map beside it, never the content. */
public class SofaRequest {
	public Map<String, String> headers;
	public byte[] body;
	/** Written into the frame instead of the time that the caller waits; 0: that one. */
	public int frameTimeout;
}

// SPDX-License-Identifier: Apache-2.0
package com.alipay.sofa.rpc.core.response;

import java.util.Map;

public class SofaResponse {
	public Map<String, String> headers;
	public byte[] body;
}

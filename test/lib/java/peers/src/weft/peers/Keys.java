// SPDX-License-Identifier: Apache-2.0
package weft.peers;

import com.alibaba.fastjson.JSONObject;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

/** cert, key (EC) and ca, PEM files, as the key store that bolt's library reads; beside the certificate, with PASSWORD. */
final class Keys {
	static final String PASSWORD = "weft-test", TYPE = "pkcs12";

	static String store(JSONObject in) {
		try {
			KeyStore store = KeyStore.getInstance(TYPE);
			store.load(null, null);
			String pem = Files.readString(Path.of(in.getString("key"))).replaceAll("-----[^-]*-----|\\s", "");
			PrivateKey key = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
			store.setKeyEntry("own", key, PASSWORD.toCharArray(), new Certificate[] {certificate(in.getString("cert"))});
			store.setCertificateEntry("ca", certificate(in.getString("ca")));
			Path file = Path.of(in.getString("cert") + "." + ProcessHandle.current().pid() + "." + TYPE);
			try (OutputStream out = Files.newOutputStream(file)) {
				store.store(out, PASSWORD.toCharArray());
			}
			return file.toString();
		} catch (Exception e) {
			throw new IllegalArgumentException(e);
		}
	}

	private static Certificate certificate(String file) throws Exception {
		return CertificateFactory.getInstance("X.509").generateCertificate(Files.newInputStream(Path.of(file)));
	}
}

// SPDX-License-Identifier: Apache-2.0
/* The one exchange of a WebSocket's handshake that HTTP/1 has and HTTP/2 has not (RFC 8441 5, RFC 6455 4). */
#include "proto/http2_priv.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/random.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

void http2_websocket_key(char out[24])
{
	unsigned char nonce[16] = { 0 }, text[25];

	/* It keeps caches from being fooled and is no secret: without entropy it is only less random. */
	if (getrandom(nonce, sizeof(nonce), GRND_NONBLOCK) < 0)
		memset(nonce, 'w', sizeof(nonce));
	EVP_EncodeBlock(text, nonce, sizeof(nonce));
	memcpy(out, text, 24);
}

void http2_websocket_accept(const char key[24], char out[28])
{
	unsigned char in[24 + sizeof(GUID) - 1], hash[SHA_DIGEST_LENGTH], text[29];

	memcpy(in, key, 24);
	memcpy(in + 24, GUID, sizeof(GUID) - 1);
	SHA1(in, sizeof(in), hash);
	EVP_EncodeBlock(text, hash, sizeof(hash));
	memcpy(out, text, 28);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where a call goes: "http[s]://host[:port][/path]" (RFC 3986, of it what HTTP needs), or "unix:/socket:/path". Pure. */
#pragma once
#include "weft/types.h"

#define URL_MAX 8192u                           /* bytes */
#define URL_HOST_MAX 253u
#define URL_SOCKET_MAX 107u                     /* sun_path less its NUL */

/* Slices lie in the text. */
struct url {
	bool tls;
	struct slice socket;                    /* unix: its path; else empty */
	struct slice host;                      /* a name or an address, without brackets */
	uint16_t port;
	struct slice authority;                 /* as the server is to hear it */
	struct slice path;                      /* with query, "/" if none was said */
};

/* For logs and views: nothing that may be a secret, so no query and no password. */
struct slice url_shown(struct slice text);
/* NULL: *out is filled. Else what is wrong and what is allowed. */
const char *url_parse(struct slice text, struct url *out);

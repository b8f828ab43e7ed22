/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the proxy's own, in the caller's protocol: why a request was not answered by a host, redirects, fixed texts. */
#pragma once

struct stream;

/* Gives s->reply to the client's codec, whole. Without a text of its own it says flags and detail of the stream. */
int reply_make(struct stream *s);               /* its head and text, and their way through the filters begins; 0 or -errno */
int reply_put(struct stream *s);

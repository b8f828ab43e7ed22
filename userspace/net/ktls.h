/* SPDX-License-Identifier: Apache-2.0 */
/* TLS records that the kernel makes (kTLS): is it there, and what a socket that has it needs at its end. */
#pragma once
#include "event/loop.h"

#define KTLS_CLOSE_MS 60000u                    /* for the peer to take what is before our close_notify */

/* Asked of the kernel, by a connection over loopback with that mark (0: none): 0, or -errno and in words what is missing. Any thread. */
int ktls_probe(uint32_t mark, char *why, size_t room);
/* The same, asked once in a process; the log says what is missing. Any thread. */
bool ktls_there(void);

/* The alert, past OpenSSL. 0, -EAGAIN: there is no room, another -errno: there never will be. */
int ktls_close_notify(int fd);
/*
 * A record of which TCP took only a part waits above TCP, and is lost by shutdown(2) and close(2). A record sent when there
 * is room again takes it along: for a socket whose close_notify still waits for that, this sends it, then FIN, and closes.
 * Of the loop's thread.
 */
void ktls_close_later(struct loop *l, int take_fd);
void ktls_fini(void);                           /* of this thread: at once, what still waits */

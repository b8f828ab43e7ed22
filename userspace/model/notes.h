/* SPDX-License-Identifier: Apache-2.0 */
/* What is right by every rule and still hardly meant. */
#pragma once
#include "model/snapshot.h"

#define NOTES_TEXT 256

/*
 * An address of s that no host can serve: the kernel does not turn IPv4 into IPv6, so hosts of the other family are none.
 * Words into out ("fd00::1 is an IPv6 address, and ..."), which holds NOTES_TEXT bytes, and out; NULL: there is none.
 * A cluster without any host says nothing here, nor does a service with routes: the proxy may change the family.
 */
const char *notes_family(const struct snapshot *s, const struct service_fact *f, const struct service_port *p, char *out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a case works with: pods, a layout (who dials whom), the kernel side's books, and wires:
 * connections with both ends in this process and every byte of both directions predictable. A case
 * returns 0, or a negative error after it has said what was wrong with fault().
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "books.h"
#include "pod.h"
#include "stream.h"

#define PODS_MAX 8
#define SKIP	 77

/* Pods by their place on the command line. */
enum { POD_A, POD_B, POD_SPLICER, POD_UNMANAGED, POD_PAUSED };

struct layout {
	const char *name;
	int from, to; /* pods */
	int family;
	bool lo; /* over the loopback address */
};

struct rig {
	struct books books;
	struct pod pod[PODS_MAX];
	int npods;
	const struct layout *lay;
	const char *dial;   /* address to dial instead of the server's; NULL = the server's */
	uint16_t port;	    /* server's port, 0 = any */
	uint16_t dial_port; /* port to dial, 0 = the server's */
	const char *flag;   /* file that ends cases which run until told; NULL = none */
	bool whole;	    /* long form */
	uint64_t seed;
	struct ctl ctl; /* as the case found it */
	uint64_t before[REASON_MAX];
	char *why; /* what was wrong */
	size_t room;
};

typedef int (*case_fn)(struct rig *r);

/* Layouts a case runs on, as a set. */
enum {
	ON_VETH4 = 1,
	ON_VETH6 = 2,
	ON_LO4 = 4,
	ON_LO6 = 8,
	ON_MAPPED = 16,
	ON_ALL = 31,
	ON_TWO = ON_VETH4 | ON_LO6,
	ON_TWO_PODS = ON_VETH4 | ON_VETH6
};

struct torture_case {
	const char *name;
	const char *what;
	case_fn run;
	unsigned on;
	int limit_s, limit_long_s; /* longer hangs; 0 = 60, 0 = as short */
	bool asked;		   /* only when named */
};

#define CASE(n, fn, where, words, ...)                                                             \
	{                                                                                          \
		.name = n, .what = words, .run = fn, .on = where, ##__VA_ARGS__                    \
	}

extern const struct torture_case order_cases[], close_cases[], look_cases[], send_cases[],
	refuse_cases[], many_cases[], path_cases[], share_cases[], memory_cases[];

__attribute__((format(printf, 3, 4))) int fault(struct rig *r, int err, const char *fmt, ...);

struct wire {
	int listener, c, s;	  /* client's end, server's end; -1 = none */
	uint64_t cookie;	  /* client's = key of its pair */
	struct stream up, up_got; /* client to server: said, heard */
	struct stream down, down_got;
};

struct wire_opts {
	int from, to;			    /* pods, if not both 0 */
	int dial_protocol, listen_protocol; /* IPPROTO_MPTCP */
	void (*listening)(int fd);	    /* before bind() */
	void (*dialling)(int fd);	    /* before connect() */
	uint16_t port, client_port;	    /* 0 = any */
	bool late;			    /* leave it unaccepted */
};

/* Says itself what was wrong. o: NULL = as the layout has it. */
int wire_open(struct rig *r, struct wire *w, const struct wire_opts *o);
int wire_accept(struct rig *r, struct wire *w);
void wire_close(struct wire *w);

/* n bytes from client to server, said or heard; the other way. They say what was wrong. */
int up(struct rig *r, struct wire *w, size_t n);
int up_got(struct rig *r, struct wire *w, size_t n);
int down(struct rig *r, struct wire *w, size_t n);
int down_got(struct rig *r, struct wire *w, size_t n);
/* What is on its way is heard. */
int drain(struct rig *r, struct wire *w);
/* count round trips of random sizes up to most. */
int trips(struct rig *r, struct wire *w, int count, size_t most);

/* The pair of a wire whose ends are both open. */
int pair_of(struct rig *r, const struct wire *w, struct pair *p);
/* Every byte was redirected. */
int want_all(struct rig *r, const struct wire *w);
/* Some were, in each direction. */
int want_both(struct rig *r, const struct wire *w);
/* Only the direction that the server (client) reads was used by the short-circuit, wholly. */
int want_half(struct rig *r, const struct wire *w, enum pair_side reader);
/* The connection is no pair; closes it and waits for the counter. */
int want_refused(struct rig *r, struct wire *w, enum reason why);
/* Counter since the case began, once it has reached n or time is up. */
uint64_t counted(struct rig *r, enum reason why, uint64_t n);
int reason_atleast(struct rig *r, enum reason why, uint64_t n);
/* Waits until no more than so many pairs are left. */
int settled(struct rig *r, unsigned pairs);
uint64_t now_ms(void);
/* The socket blocks from now on, at most PATIENCE_MS. */
void blocking(int fd);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connect programs on a private cgroup, in a private network namespace with servers on its loopback; the maps are
 * filled by hand. Every failure of the rig itself ends the test program: it is no result of the code under test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/types.h>

#include "kern/limits.h"
#include "kern/reason.h"
#include "kern/maps.h"
#include "kern/event.h"
#include "kern/explain.h"

#define SERVERS 6                                   /* per family: 127.0.0.10+i and fd00:1::10+i, port 7000, TCP and UDP */
#define SERVER_PORT 7000
#define NLINKS 11

struct capture_bpf;
struct connect_bpf;
struct explain_bpf;
struct bpf_link;
struct ring_buffer;

struct rig {
	struct connect_bpf *con;
	struct explain_bpf *exp;
	struct capture_bpf *cap;
	struct bpf_link *link[NLINKS];
	struct ring_buffer *ring;
	uint64_t seen[REASON_MAX];                  /* reason counters at the last rig_took() */
	uint64_t refused, errors, unseen;           /* records read by rig_records() */
	struct event_netns last_unseen;
	struct event_refused last;
	uint32_t next_slot;                         /* of table_map */
};

/* Once per program: namespace, addresses, servers, cgroup; the process moves in. */
void world_enter(void);
void world_leave(void);
bool world_possible(const char **why);              /* false: the tests cannot run here */
uint64_t world_netns(void);                         /* cookie */
const char *world_cgroup(void);                     /* path */
uint64_t cgroup_make(const char *name);             /* a child of it, maybe a/b/c -> its id */
void cgroup_enter(const char *name);                /* "" = back to the rig's own */

/* Programs loaded and attached, maps empty but for ctl. host: the namespace counts as the host's. */
struct rig *rig_new(bool host);
void rig_free(struct rig *r);
void rig_ctl(struct rig *r, struct ctl ctl);
struct ctl rig_ctl_default(void);

void rig_frontend(struct rig *r, const char *addr, int port, int proto, uint32_t service);
void rig_frontend_gone(struct rig *r, const char *addr, int port, int proto);
/* server i as backend `id`; family by `six`. */
void rig_backend(struct rig *r, uint32_t id, bool six, int server);
void rig_backend_is(struct rig *r, uint32_t id, bool six, int server, int state, uint32_t weight);
void rig_backend_any_port(struct rig *r, uint32_t id, int server);      /* its port is 0 */
void rig_backend_gone(struct rig *r, uint32_t id);
#define SVC(...) ((struct service){ __VA_ARGS__ })
#define IDS(...) (const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)
/* The service's table is ids[0..n); svc.off, .n and .slot are filled in here. */
void rig_service(struct rig *r, uint32_t id, struct service svc, const uint32_t *ids, uint32_t n);
/* A captured range of `bits` of 128; port 0: any. ctl's flag is the caller's. */
void rig_prefix(struct rig *r, const char *addr, int bits, int port, struct prefix v);
void rig_workload(struct rig *r, uint64_t cgroup, uint32_t flags);
/* The proxy listens in the test's namespace; NULL: not in this family. Both NULL: nowhere. */
void rig_pod(struct rig *r, const char *v4, const char *v6, uint16_t port);
int32_t rig_open(struct rig *r, uint32_t backend);
struct service_stat rig_stat(struct rig *r, uint32_t service);

/* Since the last call: `n` counts of `reason` and not one of any other. Fails the test otherwise. */
#define rig_took(r, reason, n) rig_took_at(r, reason, n, __FILE__, __LINE__)
void rig_took_at(struct rig *r, uint32_t reason, uint64_t n, const char *file, int line);
void rig_forget(struct rig *r);                     /* whatever was counted so far does not matter */
void rig_records(struct rig *r);                    /* reads the ring buffer */

/* What explain says for a socket of this process. */
struct explain_answer rig_explain(struct rig *r, const char *addr, int port, int proto, uint32_t rnd);

/* ---- sockets ---- */

/* "10.96.0.1", "fd00::1" or "::ffff:10.96.0.1" */
socklen_t sa_make(struct sockaddr_storage *sa, const char *addr, int port);
/* A connected socket, or a negative errno. type: SOCK_STREAM | SOCK_DGRAM. */
int dial(const char *addr, int port, int type);
int dial_on(int fd, const char *addr, int port);    /* 0 or a negative errno */
int sock(const char *addr, int type);               /* of the address's family */
/* The server that got the next TCP connection, which is closed again; -1 = none. */
int accepted(bool six);
/* Sends a byte to addr:port (NULL: send()) and returns the server that got it, after it has answered; or a -errno. */
int ask_udp(int fd, const char *addr, int port);
/* Address and port of a datagram that waits, as "addr port". */
const char *from_of(int fd);
const char *peer_of(int fd);                        /* getpeername */

/* The main() of a test program: each test gets a fresh `struct rig *` of a pod's namespace as its state. */
struct CMUnitTest;
int rig_main(const char *group, const struct CMUnitTest *tests, size_t n);
int rig_setup(void **state);
int rig_setup_host(void **state);                   /* the namespace counts as the host's */
int rig_teardown(void **state);
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define RIG_TEST_HOST(f) cmocka_unit_test_setup_teardown(f, rig_setup_host, rig_teardown)

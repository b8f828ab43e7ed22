/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod lends its sockets: a child in its network namespace and cgroup makes them and passes them
 * on. A socket belongs to the cgroup and namespace of its maker, so one process can hold both ends
 * of a connection between two pods.
 */
#pragma once
#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct pod {
	char name[16];
	char netns[64];	  /* path; "" = the caller's */
	char cgroup[256]; /* path; "" = the caller's */
	char v4[16], v6[48];
	int ask; /* to the child; -1 = not started */
	pid_t pid;
};

/* "NAME,NETNS,CGROUP,V4,V6" */
int pod_parse(struct pod *p, const char *text);
int pod_start(struct pod *p);
void pod_stop(struct pod *p);
/* A new TCP socket of the pod, non-blocking; protocol 0 or IPPROTO_MPTCP. -errno. */
int pod_socket(struct pod *p, int family, int protocol);
/* The calling process goes there for good. */
int pod_enter(const struct pod *p);

/* text: an address of either family; port in host order. Its length, 0 if it is none. */
socklen_t address_parse(union address *a, const char *text, uint16_t port);
uint16_t address_port(const union address *a);

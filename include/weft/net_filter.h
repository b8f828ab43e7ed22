/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Net filter: one layer of a connection's byte stream (TLS, PROXY protocol, connection policy,
 * tap). Layers form a stack: the codec or relay reads and writes the top, each layer calls the next
 * one below, the socket is the last. No callbacks: a layer that cannot go on returns -EAGAIN and
 * says in want() what for. One connection, one worker.
 *
 * Implemented by net/conn.c unless said: net_next_*(), net_filter_*().
 */
#pragma once
#include "weft/buf.h"
#include "weft/model.h"

struct client;
struct conf_item;
struct net_filter;

#define NET_CERT_HASH 32

struct net_addr {
	struct ip ip;
	uint16_t port;                          /* host order */
};

/*
 * What is known of a connection. Each layer fills what it learns during open() (PROXY protocol:
 * source, TLS: identity), slices in memory of the connection (net_filter_alloc). Complete when the
 * top layer is open; readers see it const.
 */
struct net_peer {
	struct net_addr remote, local;          /* of the socket */
	/* the client, by PROXY protocol or capture; else remote */
	struct net_addr source;
	/* dialled by the client before capture; else local */
	struct net_addr original;
	/* cookie of the network namespace that it came from, by a listener in there; 0: the proxy's own */
	uint64_t netns;
	/* verified SPIFFE id or subject; empty = none was proven */
	struct slice identity;
	struct slice sni, alpn;                 /* asked for; agreed on */
	/* local peer enrolled on this node, by its socket's cgroup; empty = unknown */
	struct slice workload;
	/* SHA-256 of the peer's certificate, NET_CERT_HASH bytes, for XFCC; NULL: it gave none */
	const unsigned char *cert_hash;
	bool tls;
	bool resumed;                           /* TLS by an earlier session, without certificates */
	bool server;                            /* we accepted it */
	bool kernel_asked;                      /* records of TLS were to be the kernel's; those sent are, those received */
	bool kernel_out, kernel_in;
};

enum { NET_WANT_READ = 1u << 0, NET_WANT_WRITE = 1u << 1 };

/*
 * All const. A NULL method passes through to the layer below. 0 or negative errno; -EAGAIN = see
 * want().
 */
struct net_filter_ops {
	const char *name;                       /* netFilters[].type */
	const struct conf_item *conf;
	size_t conf_size, state_size;
	/*
	 * init: once, control thread; NULL = nothing beyond the rows. fini: accepts what a failed init left; on any thread,
	 * when no listener and no connection has the settings any more.
	 */
	int (*conf_init)(void *conf, struct err *e);
	void (*conf_fini)(void *conf);

	/*
	 * Within conn_open(). conf lives as long as the connection where the type has rows; else it takes what it needs
	 * of it here. No bytes yet. f->peer has the addresses of an accepted connection.
	 */
	int (*start)(struct net_filter *f);
	/*
	 * Handshake, called until 0, bottom layer first; -EACCES = policy says no. A layer that
	 * waits for something else than the socket returns -EAGAIN with want() 0 and calls
	 * net_filter_resume(). The core bounds the time.
	 */
	int (*open)(struct net_filter *f);
	/* bytes added to dst, 0 = end of stream, -EAGAIN */
	ssize_t (*read)(struct net_filter *f, struct buf *dst);
	ssize_t (*write)(struct net_filter *f, struct buf *src); /* bytes taken from src, -EAGAIN */
	/* NET_WANT_*: what the last -EAGAIN waits for (TLS may need to write in order to read). */
	unsigned (*want)(const struct net_filter *f);
	/* Bytes that read() would give without the socket having any (a decrypted record). */
	size_t (*pending)(const struct net_filter *f);
	/*
	 * From now on bytes pass unchanged both ways, nothing is pending: the core may drop the
	 * layer (splice, kTLS).
	 */
	bool (*transparent)(const struct net_filter *f);
	/* no more writing: close_notify, FIN; reading goes on */
	int (*shut)(struct net_filter *f);
	/* exactly once if start() was called (or would have been), top first; sends nothing, frees */
	void (*close)(struct net_filter *f);
	/*
	 * Hot upgrade. freeze appends a blob, first byte its version: 0, or -EBUSY = cannot be
	 * moved. thaw stands in the place of open(); the blob is another process's word. NULL = not
	 * movable, unless transparent.
	 */
	int (*freeze)(struct net_filter *f, struct buf *blob);
	int (*thaw)(struct net_filter *f, struct slice blob);
};

struct net_filter {
	const struct net_filter_ops *ops;
	void *state;                            /* state_size, zeroed */
	const void *conf;                       /* conf_size, const, shared */
	struct net_peer *peer;
	/* call-outs (client.h), cancelled with the connection */
	struct client *client;
};

/* The layer below, for methods that add to what it does. */
ssize_t net_next_read(struct net_filter *f, struct buf *dst);
ssize_t net_next_write(struct net_filter *f, struct buf *src);
int net_next_shut(struct net_filter *f);
/* The same with plain memory, which saves a copy when the socket is next: up to n bytes, 0 = end of stream, -EAGAIN. */
ssize_t net_next_recv(struct net_filter *f, void *p, size_t n);
ssize_t net_next_send(struct net_filter *f, const void *p, size_t n);
/* Known without asking: the socket is next, and has nothing until its next event. */
bool net_next_empty(const struct net_filter *f);
/* The layer's own call on the socket, past the layers below, got EAGAIN: NET_WANT_*. What waits for it is told. */
void net_next_blocked(struct net_filter *f, unsigned want);

/* In words, for the log, why the method that runs fails; the last one stays. */
void net_filter_why(struct net_filter *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Zeroed memory that lives as long as the connection; NULL: out of memory. */
void *net_filter_alloc(struct net_filter *f, size_t n);
/* Ends a wait of open(), read or write for something that was not the socket. */
void net_filter_resume(struct net_filter *f);
/*
 * resume by itself after ms milliseconds: delays, bandwidth. A second call replaces the first, 0
 * takes it back.
 */
void net_filter_resume_after(struct net_filter *f, uint32_t ms);
/*
 * Bytes that were read but belong to whoever reads next (a sniffer's, a PROXY header's tail): given
 * by f's next read before it asks the layer below. Takes all of b.
 */
void net_filter_unread(struct net_filter *f, struct buf *b);
/*
 * From now on, until it says otherwise, the layer leaves the bytes of these directions (NET_WANT_*) as they are, and has
 * none of them: they may be moved past it, as TLS whose records the kernel makes. A read there that fails, or gives 0, is
 * done again by read().
 */
void net_filter_passes(struct net_filter *f, unsigned want);
/*
 * Puts a new layer on top of f, opened before anything above reads or writes: STARTTLS, a protocol that turns out to be
 * another. From f's open() or read(); start() runs within. 0, -ENOMEM, or what start() says.
 */
int net_filter_push(struct net_filter *f, const struct net_filter_ops *ops, const void *conf);
/* In one of these blocks. Implemented by net/addr.c. */
bool addr_in_blocks(const struct ip *ip, const struct ip_block *v, size_t n);

/*
 * For layers that speak TLS; conf is a struct tlsctx *. struct ssl_st is OpenSSL's SSL. Implemented by net/tls_peer.c.
 * new: for start(); it keeps what it needs of conf alive. NULL: out of memory. begin: before the first step of the
 * handshake; of a client it asks for the server's name and offers a session. done: after the handshake, fills
 * f->peer. why: after a call of OpenSSL's returned ret, says it in words and empties OpenSSL's list of errors.
 */
struct ssl_st *net_filter_ssl_new(struct net_filter *f);
int net_filter_ssl_begin(struct net_filter *f, struct ssl_st *ssl); /* 0 or -ENOMEM */
int net_filter_ssl_done(struct net_filter *f, struct ssl_st *ssl); /* 0 or -ENOMEM */
void net_filter_ssl_why(struct net_filter *f, struct ssl_st *ssl, const char *doing);
/*
 * Where conf wants the kernel's TLS and the socket is next: OpenSSL's own BIO of the socket, which can give it keys. The
 * layer's BIO passes it what it does not know, uses it in the directions that have keys then, and frees it. NULL: not.
 */
struct bio_st *net_filter_ssl_kernel(struct net_filter *f, const struct ssl_st *ssl);
void net_filter_ssl_end(struct net_filter *f); /* then: close_notify and FIN, where OpenSSL cannot any more */

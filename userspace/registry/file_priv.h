/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry/file inside: files of a folder (file_folder.c, file_watch.c) give documents, documents
 * give facts by unit (file_unit.c). A unit is what is taken or refused together: everything a
 * native file says, or one Kubernetes Service with its slices, wherever those lie (file_kube.c,
 * file_kube_join.c). Control thread.
 */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "base/table.h"
#include "base/vec.h"
#include "weft/registry.h"

struct file_state;
struct file;

struct file_conf {
	struct slice path;
};

/* ---- units ----------------------------------------------------------------------------------- */

/*
 * Keys of facts, packed: length, kind, bytes. Nothing else is remembered of a fact once it was put.
 */
struct keys {
	char *p;
	size_t n, cap;
};

struct unit {
	struct list node;                       /* of file_state.units */
	struct file *file;                      /* native; NULL: a Kubernetes Service */
	struct keys now, next;                  /* taken; of the transaction under way or left with the hub */
	struct table index;                     /* next, once it was asked for */
	bool indexed;
	bool touched;                           /* differs, or may, from what was taken */
	bool active;                            /* in the transaction under way */
	bool aside;                             /* refused by the store, to be left with the hub */
	char *refusal;                          /* why it was refused, lines "FILE:LINE: words"; NULL: it was not */
};

void unit_init(struct file_state *s, struct unit *u, struct file *f);
void unit_fini(struct unit *u);
/*
 * One transaction with every touched unit; what is refused is left out, said, and left with the hub
 * to be tried again.
 */
void units_commit(struct file_state *s);
/* The verdict on it, from within commit() or later on what the hub held. */
void units_verdict(struct file_state *s, const struct registry_verdict *v);
/* A fact of the unit that is being emitted. After a refusal it is dropped. */
void unit_put(struct file_state *s, struct unit *u, struct fact *take_f);
/* Not to be taken: it is left out, its old facts stay. */
void unit_refuse(struct unit *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- files ----------------------------------------------------------------------------------- */

struct file {
	struct unit unit;                       /* its native facts */
	struct file_state *state;
	char *path;                             /* in messages and marks */
	struct slice name;                      /* end of path: key in file_state.files */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	uint64_t hash;                          /* of what was parsed last */
	bool known;                             /* the fields above are set */
	bool parsed;                            /* hash is set */
	bool seen;                              /* by the scan under way */
	bool gone;
	char *error;                            /* why its last version is not in use, lines; NULL: it is */
	char *passed;                           /* objects of it that are none of ours, as said last; NULL: none */
	struct arena arena;                     /* of objects */
	struct list objects;                    /* struct kube_object */
};

/*
 * An event named this file: its time stamps may not tell that it changed, and it may be half
 * written.
 */
struct file_hint {
	bool read;                              /* whatever stat(2) says */
	uint64_t writing_until_ns;              /* somebody writes; 0 = nobody known */
};

/* Parses f and puts its native facts. False: f->error says why, and nothing was put. */
bool file_emit(struct file *f);
/*
 * Lists, reads and parses what changed; 0, or -errno when the path itself cannot be read (said in
 * s->error).
 */
int folder_scan(struct file_state *s);
void folder_fini(struct file_state *s);

/* ---- Kubernetes ------------------------------------------------------------------------------ */

enum kube_kind { KUBE_SERVICE, KUBE_SLICE };

/* A Service or an EndpointSlice, in its file's arena. */
struct kube_object {
	struct list of_file, of_unit;
	struct kube_unit *unit;
	enum kube_kind kind;
	const struct file *file;
	uint32_t line;
	struct slice name, space;               /* of the service */
};

struct kube_port {
	struct slice name, app_protocol;
	uint16_t port;                          /* service: that is dialled; slice: that is listened on, 0 = every one */
	uint8_t proto;
	uint32_t line;                          /* service's */
};

struct kube_service {
	struct kube_object object;
	const struct ip *addrs;
	const struct kube_port *ports;
	size_t naddrs, nports;
	uint32_t affinity_s;
	enum locality_prefer prefer;
};

struct kube_endpoint {
	struct ip ip;
	const struct slice *zone, *node;        /* shared with others of the file; NULL = unknown */
	uint32_t line;
	uint8_t state;                          /* enum host_state */
};

struct kube_slice {
	struct kube_object object;
	const struct kube_endpoint *endpoints;
	const struct kube_port *ports;
	size_t nendpoints, nports;
};

/* One Service of the cluster by name: what the files say about it. */
struct kube_unit {
	struct unit unit;
	struct slice key;                       /* "name.namespace" */
	struct list services, slices;
};

bool kube_is(const struct conf_node *root);
/* Objects that are none of ours, by what they are. */
struct kube_passed {
	struct slice what;
	uint32_t n;
};

/* What the documents of one file give: take it by kube_replace(). */
struct kube_objects {
	struct arena arena;
	struct list list;                       /* struct kube_object */
	VEC(struct kube_passed) passed;
	struct table words;                     /* strings that many endpoints share */
};
void kube_objects_init(struct kube_objects *o);
void kube_objects_fini(struct kube_objects *o); /* accepts what was taken */
char *kube_passed_words(const struct kube_objects *o); /* "2 Deployment, 1 headless Service", to be freed; NULL: none */
/* A document's objects; what is neither Service nor EndpointSlice is passed over. 0 or -EINVAL. */
int kube_parse(struct conf_reader *r, const struct conf_node *root, struct kube_objects *objects);
/* f's objects are these now (NULL: none): the units of old and new ones are touched. */
void kube_replace(struct file *f, struct kube_objects *take_objects);
void kube_emit(struct file_state *s, struct kube_unit *u);
void kube_unit_free(struct file_state *s, struct kube_unit *u);
void kube_sweep(struct file_state *s);          /* frees units of which nothing is left */

/* ---- watching -------------------------------------------------------------------------------- */

/* A watch in the inotify set: a folder, its parent, or what a symbolic link leads to. */
struct file_watch {
	int fd;                                 /* inotify; -1: none to be had, so the folder is looked at every second */
	int folder, parent;                     /* wd; -1 = none */
	struct table links;                     /* name -> (wd + 1): files that lie elsewhere */
};

int watch_open(struct file_state *s, struct err *e);
void watch_close(struct file_state *s);
/* Before a scan: the folder and its parent may be others than they were. */
void watch_folder(struct file_state *s);
void watch_link(struct file_state *s, const char *path, struct slice name, bool is_link);
void watch_forget(struct file_state *s, struct slice name);

/* ---- all of it ------------------------------------------------------------------------------- */

struct file_state {
	struct registry *r;
	char *path, *parent, *base;             /* base: last part of path */
	bool folder;                            /* path is one */
	struct table files;                     /* name -> struct file */
	struct table hints;                     /* name -> struct file_hint */
	struct table kube;                      /* "name.namespace" -> struct kube_unit */
	struct table owners;                    /* kind and key of every fact taken but hosts -> struct unit */
	struct table given;                     /* the same, of the transaction under way */
	struct list units;
	struct file_watch watch;
	uint64_t version;
	bool soon;                              /* a scan is due within the debounce time */
	bool synced;
	bool committing, taken;                 /* a commit is under way; its verdict */
	bool holding;                           /* the hub holds a refused transaction: the units set aside */
	char *error;                            /* of the path itself */
	char *health;                           /* last words given to the sink; NULL: well */
};

struct file_hint *file_hint(struct file_state *s, struct slice name);
void file_soon(struct file_state *s);           /* a scan, once the burst is over */
/* Whether a folder's entry is one of ours by its name. */
bool file_named(const char *name);

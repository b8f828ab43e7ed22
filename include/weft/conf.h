/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: one row (struct conf_item) per field of a file. The same rows decode a document into a
 * C struct, say what is wrong with it and what is allowed, print the effective settings and write
 * the reference in docs/. An extension that takes settings declares rows and a struct and has no
 * parsing code.
 *
 *	struct first_conf { struct slice path; uint32_t burst; };
 *	static const struct conf_item first_rows[] = {
 *		CONF_ITEM(struct first_conf, path, "path", STRING, .required = true, .help = "a file"),
 *		CONF_ITEM(struct first_conf, burst, "burst", INT, .min = 1, .max = 1 << 20, .dflt = "100", .help = "..."),
 *		CONF_END
 *	};
 *
 * Nothing here blocks but conf_open(). One reader belongs to one thread.
 */
#pragma once
#include "weft/err.h"
#include "weft/model.h"

/* ---- a document as a tree -------------------------------------------------------------------- */

enum conf_kind { CONF_NULL, CONF_SCALAR, CONF_SEQUENCE, CONF_MAPPING };

/* One value of a YAML document. Lives until the next conf_next() or conf_close(). */
struct conf_node {
	uint8_t kind;                           /* enum conf_kind */
	bool quoted;                            /* scalar written as text: never null, bool or number */
	uint16_t file;                          /* place in the reader's files, where several were merged */
	uint32_t line;                          /* 1-based; of the key when there is one */
	struct slice key;                       /* member of a mapping: its name */
	struct slice text;                      /* scalar */
	uint32_t n;                             /* members of a sequence or mapping */
	uint32_t column;                        /* 1-based */
	const struct conf_node *first;          /* its members, in the order of the file */
	const struct conf_node *next;           /* behind this one in the same parent; NULL = last */
};

const struct conf_node *conf_member(const struct conf_node *mapping, const char *key); /* NULL: absent, or no mapping */
struct slice conf_text(const struct conf_node *n); /* of a scalar; empty for anything else and for NULL */

#define CONF_FILE_MAX (64u << 20)               /* bytes of one file */
#define CONF_DEPTH_MAX 64                       /* of nesting */
#define CONF_NODES_MAX (2u << 20)               /* of one document, aliases counted as often as they are used */
#define CONF_ALIAS_NODES_MAX (64u << 10)        /* nodes that the aliases of one document stand for, in all */

/* ---- what is wrong, in words ----------------------------------------------------------------- */

#define CONF_ERRORS_MAX 20

/* Zero it before use. Every error of a file is kept up to the bound, in the order found. */
struct conf_errors {
	size_t n;                               /* of text */
	size_t more;                            /* dropped beyond the bound */
	char *text[CONF_ERRORS_MAX];            /* "FILE:LINE: path.to.field: what is wrong and what is allowed" */
};

void conf_errors_fini(struct conf_errors *e);   /* accepts a zeroed one; it may be used again */
void conf_errors_add(struct conf_errors *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* All of them as one text, a line each; first lines only when they do not fit. Returns code. */
int conf_errors_words(const struct conf_errors *errors, int code, struct err *e);

/* ---- reading --------------------------------------------------------------------------------- */

struct conf_source;

/*
 * Documents of a text (YAML 1.2, so also JSON). text and name are borrowed until conf_close(); name
 * stands in messages. Never NULL.
 */
struct conf_source *conf_open_text(struct slice text, struct slice name, struct conf_errors *errors);
/*
 * 1: *root is the next document (an empty one is skipped); 0: no more; -EINVAL: said in errors, and
 * nothing follows.
 */
int conf_next(struct conf_source *s, const struct conf_node **root);
/*
 * For files of one document: 0 when no other follows, else -EINVAL. The tree stays; conf_next()
 * gives no more.
 */
int conf_end(struct conf_source *s);
void conf_close(struct conf_source *s);         /* NULL is allowed */
/*
 * A whole regular file, malloc'd, at most CONF_FILE_MAX bytes: 0 or -errno with words that name
 * path.
 */
int conf_slurp(const char *path, char **give_text, size_t *n, struct err *e);

/* ---- rows ------------------------------------------------------------------------------------ */

enum conf_type {                                /* C type of the field */
	CONF_BOOL = 1,                          /* bool */
	CONF_INT,                               /* any integer; a word of .names stands for its place there (auto = 0) */
	CONF_STRING,                            /* struct slice, NUL-terminated; .min and .max bound its bytes */
	CONF_DURATION,                          /* uint64_t, ns; bounds too */
	CONF_SIZE,                              /* uint64_t, bytes */
	CONF_PERCENT,                           /* double, 0..100 */
	CONF_ENUM,                              /* enum, or uint8_t: place in .names */
	CONF_IP,                                /* struct ip */
	CONF_ADDRESS,                           /* struct conf_address; .min = 1: the port must be given */
	CONF_STRUCT,                            /* a struct by value, .rows */
	CONF_LIST,                              /* struct conf_list of .of, each .of_size bytes, .rows for structs */
	CONF_MAP,                               /* struct pair_list: text to text, sorted */
	CONF_CHOICE,                            /* struct conf_chosen: this word chooses further rows of the same mapping */
	CONF_LINE,                              /* no field: uint32_t, the line on which the mapping stands */
	CONF_REFUSED,                           /* known, and never accepted: .help says why; no field in the struct */
	/*
	 * struct slice, as CONF_STRING: the name of a cluster. In settings of filters and net filters: whoever names one that
	 * is not there is refused, as a route is that does.
	 */
	CONF_CLUSTER,
};

struct conf_address {
	struct ip ip;
	uint16_t port;                          /* host order; 0 = none given */
};

struct conf_list {
	void *v;                                /* NULL when n is 0 */
	size_t n;
};

struct conf_item {
	const char *name;                       /* as in the file; NULL ends the rows, but not for CONF_LINE */
	enum conf_type type;
	bool required;
	uint32_t offset, size;                  /* of the field in its struct; size 0: known, its owner reads the tree */
	int64_t min, max;                       /* both 0 = whatever the field holds */
	const char *dflt;                       /* as one would write it; NULL = zero, or for a list or struct: none given */
	const char *const *names;               /* words of an enum, NULL-ended */
	const struct conf_item *rows;           /* of a struct, or of a list's structs; list of lists: one row, the inner list */
	const struct conf_choice *choices;      /* CONF_CHOICE: what there is; NULL = the reader's */
	enum conf_type of;                      /* of a list's elements */
	uint32_t of_size;
	/*
	 * A value that the row's bounds cannot judge: 0, or -EINVAL with words ("want ..."). For
	 * lists: each element.
	 */
	int (*check)(const void *value, struct err *e);
	const char *help;                       /* one line: units, meaning */
};

#define CONF_ITEM(S, field, word, T, ...)                                                                              \
	{                                                                                                              \
		.name = (word), .type = CONF_##T, .offset = offsetof(S, field), .size = sizeof(((S *)0)->field),       \
		__VA_ARGS__                                                                                            \
	}
/*
 * A list; E = C type of an element: CONF_ITEMS(S, ports, "ports", STRUCT, struct port, .rows =
 * port_rows, ...)
 */
#define CONF_ITEMS(S, field, word, T, E, ...)                                                                          \
	CONF_ITEM(S, field, word, LIST, .of = CONF_##T, .of_size = sizeof(E), __VA_ARGS__)
#define CONF_LINE_ITEM(S, field) { .type = CONF_LINE, .offset = offsetof(S, field), .size = sizeof(uint32_t) }
#define CONF_END { .name = NULL }

/* One of the kinds that a CONF_CHOICE word may name, and its rows. */
struct conf_choice {
	const char *name;                       /* NULL ends the list */
	const struct conf_item *rows;           /* NULL = none */
	size_t size;                            /* of the struct they fill */
	int (*check)(const void *conf, struct err *e); /* of the filled struct; NULL = nothing beyond the rows */
	const void *ops;
	const char *refused;                    /* known, and never accepted: why; NULL = accepted */
};

struct conf_chosen {
	const struct conf_choice *choice;
	const void *conf;                       /* of choice->size */
};

enum conf_flags {
	CONF_UNKNOWN_OK = 1u << 0,              /* fields without a row are passed over: somebody else's vocabulary */
};

/* What a decode needs to know. Filled by its maker, path excepted. */
struct conf_reader {
	struct arena *arena;                    /* strings and lists of what is decoded; nothing points into the tree */
	struct conf_errors *errors;
	struct slice file;                      /* for messages */
	const struct slice *files;              /* where several were merged: names by conf_node.file; else NULL */
	unsigned flags;
	const struct conf_choice *choices;      /* for a CONF_CHOICE row that has none of its own; NULL = none known */
	size_t path_n;
	char path[256];                         /* where we are: "services[2].ports[0]" */
};

/*
 * Fills out, a zeroed struct, from a mapping: defaults first, then what is given (n = NULL:
 * defaults only, required fields included). 0, or -EINVAL with one message or more in r->errors.
 */
int conf_decode(struct conf_reader *r, const struct conf_item *rows, const struct conf_node *n, void *out);
/* "FILE:LINE: PATH: words", where PATH is that of the decode under way. Always -EINVAL. */
int conf_error(struct conf_reader *r, const struct conf_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for a line that a CONF_LINE row kept, and a path. */
int conf_error_line(struct conf_reader *r, uint32_t line, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- facts in a file ------------------------------------------------------------------------- */

/*
 * The lists that conf_facts() reads, with size 0: to be decoded first, so that an unknown field is
 * an error.
 */
extern const struct conf_item conf_fact_rows[];
/*
 * The lists services, clusters, routes, listeners and workloads of one mapping as facts. put takes over each;
 * nothing is put unless all of them are right. registry is for their marks, r->file too. 0 or
 * -EINVAL, said in r->errors.
 */
int conf_facts(struct conf_reader *r, const struct conf_node *root, struct slice registry,
	       void (*put)(void *arg, struct fact *take_fact), void *arg);

/* ---- addresses (implemented in model/) ------------------------------------------------------- */

int ip_parse(struct slice text, struct ip *out); /* any text form of either family: 0 or -EINVAL */
bool ip_is_v4(const struct ip *ip);             /* ::ffff:a.b.c.d */
const char *ip_name(const struct ip *ip, char *out); /* out holds at least 46 bytes; returns it */
void ip_block_mask(struct ip_block *b);         /* what is behind its bits becomes zero */
const char *ip_block_name(const struct ip_block *b, char *out); /* "10.0.0.0/8"; out holds at least 50 bytes; returns it */
/* "10.0.0.1:80", "[2001:db8::1]:80", "10.0.0.1", "2001:db8::1": 0 or -EINVAL (conf/address.c) */
int conf_address_parse(struct slice text, struct conf_address *out);
/* out holds at least 56 bytes; returns it */
const char *conf_address_name(const struct conf_address *a, char *out);

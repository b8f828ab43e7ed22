/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where maps, links and programs are pinned: BPFFS/weft[-INSTANCE]/abi<N>/{maps,links,progs}, folders of mode 0700. The
 * folder weft[-INSTANCE] is locked by whoever works on it. Names in a bpffs hold no dot.
 */
#pragma once
#include "kern/kern.h"

#define PINS_PATH 256

struct pins {
	char base[PINS_PATH];                   /* .../weft-NAME */
	char dir[PINS_PATH];                    /* .../weft-NAME/abi1 */
	uint32_t abi;
	int lock_fd;                            /* -1: not open */
};

/*
 * Mounts a bpffs where none is, makes the folders when create is set, and takes the lock. -EBUSY: another weft works
 * there. -ENOENT: nothing is there and create is not set.
 */
int pins_open(struct pins *p, const struct kern_conf *c, bool create, struct err *e);
void pins_close(struct pins *p);                /* accepts a zeroed or failed one */

/* DIR/KIND/NAME into out, which holds PINS_PATH bytes. kind: "maps" "links" "progs". Returns out. */
char *pins_path(char *out, const char *dir, const char *kind, const char *name);
int pins_get(const char *dir, const char *kind, const char *name); /* descriptor or -errno; -ENOENT: no such pin */
/* Under this name from now on; what had the name before loses it in the same instant. 0 or -errno. */
int pins_put(const char *dir, const char *kind, const char *name, int fd);
int pins_del(const char *dir, const char *kind, const char *name); /* 0 also when there was none */
/* Each name in DIR/KIND. fn may delete the pin. */
void pins_each(const char *dir, const char *kind, void (*fn)(void *arg, const char *name), void *arg);
/* Another layout's folder that holds a control map, the highest; false: none. */
bool pins_other(const struct pins *p, char *dir, uint32_t *abi);
int pins_remove(const char *dir);               /* a layout's folder with all its pins; 0 or -errno */

// SPDX-License-Identifier: Apache-2.0
/*
 * A folder of two files, native and Kubernetes by whatever their bytes say, read, changed and removed through the real
 * registry and store. Whatever they say, the store stays sound and the registry knows what it gave: when all files are
 * gone, no fact is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/log_sink.h"
#include "base/magic.h"
#include "conf/config.h"
#include "model/store.h"
#include "weft/registry.h"
#include "weft/str.h"

extern const struct registry_ops registry_file;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64];
static struct store *store;
static struct store_tx *tx;
static struct registry reg;
static void (*due)(struct registry *r);

/* Time passes when this test says so; and an inotify set takes the kernel longer to close than all the rest. */
int inotify_init1(int flags)
{
	(void)flags;
	errno = ENOSYS;
	return -1;
}

int registry_watch(struct registry *r, int fd, void (*fn)(struct registry *r, int fd))
{
	(void)r, (void)fd, (void)fn;
	return 0;
}

void registry_timer(struct registry *r, uint64_t after_ms, void (*fn)(struct registry *r))
{
	(void)r, (void)after_ms;
	due = fn;
}

static void begin(void *arg)
{
	(void)arg;
	store_end(tx);
	tx = store_begin(store, reg.name);
}

static void put(void *arg, struct fact *take_fact)
{
	(void)arg;
	store_put(tx, take_fact);
}

static void del(void *arg, enum fact_kind kind, struct slice key)
{
	(void)arg;
	store_del(tx, kind, key);
}

static void commit(void *arg, uint64_t version)
{
	struct registry_verdict v;

	(void)arg;
	store_commit(tx, version, &v);
	registry_file.verdict(&reg, &v);
	store_end(tx);
	tx = NULL;
}

static void synced(void *arg)
{
	(void)arg;
}

static void health(void *arg, int err, const char *words)
{
	(void)arg;
	assert_always(!err == !*words);
}

static const struct registry_sink sink = { begin, put, del, commit, synced, health };

static void write_file(const char *name, const uint8_t *data, size_t n)
{
	char path[128], moving[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(moving, sizeof(moving), "%s/moving", dir);
	fd = open(moving, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_always(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
	assert_always(!rename(moving, path));
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

static size_t facts(void)
{
	struct snapshot *s = store_build(store, 0);
	size_t n = snapshot_clusters(s).n;

	for (int k = 0; k < FACT_KINDS; k++) {
		if (k != FACT_HOST && k != FACT_CLUSTER)
			n += snapshot_facts(s, k).n;
	}
	snapshot_drop(s);
	store_bury(store);
	return n;
}

static void clean_up(void)
{
	remove_file("a.yaml");
	remove_file("b.yaml");
	rmdir(dir);
}

static void make_dir(void)
{
	strcpy(dir, "/tmp/weft-fuzz-XXXXXX");
	assert_always(mkdtemp(dir));
	atexit(clean_up);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* The first byte says where the second file begins. */
	size_t cut = n ? 1 + (n - 1) * data[0] / 255 : 0;
	struct err e = { 0 };
	struct slice *path;

	if (!n)
		return 0;
	if (!*dir)
		make_dir();
	path = calloc(1, registry_file.conf_size);
	*path = slice_str(dir);
	store = store_new();
	reg = (struct registry){ .ops = &registry_file, .name = SLICE_LIT("files"), .conf = path, .sink = &sink };
	reg.state = calloc(1, registry_file.state_size);
	write_file("a.yaml", data + 1, cut - 1);
	write_file("b.yaml", data + cut, n - cut);
	assert_always(!registry_file.start(&reg, &e));
	/* Exchanged, one taken away, both taken away. */
	write_file("a.yaml", data + cut, n - cut);
	write_file("b.yaml", data + 1, cut - 1);
	due(&reg);
	remove_file("a.yaml");
	due(&reg);
	remove_file("b.yaml");
	due(&reg);
	due(&reg);
	assert_always(!facts());
	registry_file.stop(&reg);
	store_end(tx);
	tx = NULL;
	store_free(store);
	free(reg.state);
	free(path);
	return 0;
}

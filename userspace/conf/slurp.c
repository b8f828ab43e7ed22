// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "weft/conf.h"

/* Up to n bytes; a file that grows or shrinks meanwhile is simply read as it was found. */
static ssize_t read_all(int fd, char *to, size_t n)
{
	size_t have = 0;
	ssize_t got = 1;

	while (have < n && got) {
		got = read(fd, to + have, n - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		have += got;
	}
	return have;
}

static int slurp(int fd, const char *path, char **text, size_t *n, struct err *e)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return err_errno(e, -errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_add(e, -EINVAL, "%s: not a regular file", path);
	if (st.st_size > CONF_FILE_MAX)
		return err_add(e, -EFBIG, "%s: larger than 64 MiB", path);
	*text = malloc(st.st_size + 1);
	if (!*text)
		return err_add(e, -ENOMEM, "%s: out of memory", path);
	got = read_all(fd, *text, st.st_size);
	if (got < 0) {
		free(*text);
		*text = NULL;
		return err_errno(e, (int)got, "cannot read %s", path);
	}
	(*text)[got] = 0;
	*n = got;
	return 0;
}

int conf_slurp(const char *path, char **give_text, size_t *n, struct err *e)
{
	/* O_NONBLOCK: a FIFO in the folder must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;

	*give_text = NULL;
	*n = 0;
	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", path);
	err = slurp(fd, path, give_text, n, e);
	close(fd);
	return err;
}

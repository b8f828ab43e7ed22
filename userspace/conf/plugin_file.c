// SPDX-License-Identifier: Apache-2.0
/* Whoever may write a plugin, or a folder on its path, is root: so nobody else may. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/plugin.h"

static int check_mode(const struct stat *st, struct err *e)
{
	if (st->st_uid)
		return err_add(e, -EPERM, "it belongs to user %u, want root", (unsigned)st->st_uid);
	if (st->st_mode & (S_IWOTH | S_IWGRP))
		return err_add(e, -EPERM, "%s may write it (mode %04o), want nobody but root",
			       st->st_mode & S_IWOTH ? "everybody" : "its group", (unsigned)st->st_mode & 07777);
	return 0;
}

/* Every folder above path, "/" included. */
static int check_folders(const char *path, struct err *e)
{
	char *folder = mem_str(path), *end;
	struct stat st;
	int err = 0;

	while (!err && folder[0] && (end = strrchr(folder, '/'))) {
		end[end == folder] = '\0';
		if (stat(folder, &st))
			err = err_errno(e, -errno, "folder %s", folder);
		else if (check_mode(&st, e))
			err = err_add(e, -EPERM, "folder %s", folder);
		if (end == folder)
			break;
	}
	free(folder);
	return err;
}

static int check_elf(const char *path, struct err *e)
{
	unsigned char head[EI_NIDENT];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	int err = n < 0 ? err_errno(e, -errno, "cannot be read") : 0;

	if (fd >= 0)
		close(fd);
	if (err)
		return err;
	return n < (ssize_t)sizeof(head) || memcmp(head, ELFMAG, SELFMAG) ? err_add(e, -ENOEXEC, "no ELF file, want a shared object") : 0;
}

int plugin_check_file(const char *path, struct err *e)
{
	char *real;
	struct stat st;
	int err;

	if (path[0] != '/')
		return err_add(e, -EINVAL, "want a path that begins with /");
	real = realpath(path, NULL);
	if (!real)
		return err_errno(e, -errno, "cannot be read");
	err = stat(real, &st) ? err_errno(e, -errno, "cannot be read") : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = err_add(e, -EINVAL, "no regular file");
	if (!err)
		err = check_mode(&st, e);
	if (!err)
		err = check_folders(path, e);
	if (!err)
		err = check_folders(real, e);
	if (!err)
		err = check_elf(real, e);
	free(real);
	return err;
}

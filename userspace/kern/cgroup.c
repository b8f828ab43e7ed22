/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/cgroup.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

bool cgroup_is_v2(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Every cgroup but the root has a type. Kernels before 5.15 run our programs reliably for the true root's tree only. */
static bool is_true_root(const char *path)
{
	char file[CGROUP_PATH + 16];

	snprintf(file, sizeof(file), "%s/cgroup.type", path);
	return cgroup_is_v2(path) && access(file, F_OK);
}

int cgroup_root(char *out, struct err *e)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	bool partial = false, found = false;
	struct mntent m;
	char buf[4096];

	if (!f)
		return err_errno(e, -errno, "/proc/self/mounts");
	while (!found && getmntent_r(f, &m, buf, sizeof(buf))) {
		if (strcmp(m.mnt_type, "cgroup2") || strlen(m.mnt_dir) >= CGROUP_PATH)
			continue;
		found = is_true_root(m.mnt_dir);
		partial = true;
		if (found)
			strcpy(out, m.mnt_dir);
	}
	endmntent(f);
	if (found)
		return 0;
	if (partial)
		return err_add(e, -EXDEV, "only a part of the cgroup2 tree is mounted here (a cgroup namespace?); "
			       "the host's root is needed, or kernel.cgroup names a path");
	return err_add(e, -ENOENT, "cgroup2 is not mounted");
}

int cgroup_id(const char *path, uint64_t *id)
{
	struct {
		struct file_handle h;
		uint64_t id;
	} f = { .h = { .handle_bytes = sizeof(f.id) } };
	int mount_id;
	struct stat st;

	if (!name_to_handle_at(AT_FDCWD, path, &f.h, &mount_id, 0) && f.h.handle_bytes == sizeof(f.id)) {
		memcpy(id, f.h.f_handle, sizeof(*id));
		return 0;
	}
	if (stat(path, &st))
		return -errno;
	*id = st.st_ino;
	return 0;
}

int cgroup_of_self(const char *root, char *out)
{
	char line[CGROUP_PATH];
	FILE *f = fopen("/proc/self/cgroup", "re");
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = '\0';
		err = snprintf(out, CGROUP_PATH, "%s%s", root, line + 3) < CGROUP_PATH ? 0 : -ENAMETOOLONG;
	}
	fclose(f);
	return err;
}

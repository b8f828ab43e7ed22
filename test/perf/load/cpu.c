// SPDX-License-Identifier: Apache-2.0
/* CPU time: of threads by schedstat (ns, as the scheduler charged), the machine by /proc/stat. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "load.h"

static uint64_t run_time(pid_t pid)
{
	char path[300];
	struct dirent *d;
	uint64_t sum = 0, ns;
	FILE *f;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		die("no process %d", pid);
	while ((d = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, d->d_name);
		if (d->d_name[0] == '.' || !(f = fopen(path, "re")))
			continue;
		if (fscanf(f, "%" SCNu64, &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

static void machine(struct cpu_use *u)
{
	uint64_t t[8] = {0}, tick_ns = 1000000000ull / sysconf(_SC_CLK_TCK);
	FILE *f = fopen("/proc/stat", "re");
	int n = 0;

	if (!f || fscanf(f, "cpu") < 0)
		die("/proc/stat cannot be read");
	while (n < 8 && fscanf(f, "%" SCNu64, &t[n]) == 1)
		n++;
	fclose(f);
	/* user nice system idle iowait irq softirq steal */
	u->machine = (t[0] + t[1] + t[2] + t[5] + t[6]) * tick_ns;
	u->stolen = t[7] * tick_ns;
}

void cpu_read(const struct options *o, struct cpu_use *u)
{
	machine(u);
	u->self = run_time(getpid());
	u->server = o->server ? run_time(o->server) : 0;
}

void cpu_print(const struct options *o, const struct cpu_use *from, double units)
{
	struct cpu_use now;

	cpu_read(o, &now);
	printf("\"client_us\":%.3f,\"server_us\":%.3f,\"machine_us\":%.3f,\"stolen_ms\":%" PRIu64,
	       (now.self - from->self) / 1e3 / units, (now.server - from->server) / 1e3 / units,
	       (now.machine - from->machine) / 1e3 / units, (now.stolen - from->stolen) / 1000000);
}

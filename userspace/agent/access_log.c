/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "weft/log.h"
#include "weft/str.h"

void access_log_give(struct child *c, const struct config *conf)
{
	static const char *const words[] = { [CONFIG_LOG_TEXT] = "text", [CONFIG_LOG_JSON] = "json" };
	const struct config_access_log *v = conf->telemetry.access_log.v;
	unsigned given = 0;

	for (size_t i = 0; i < conf->telemetry.access_log.n; i++) {
		/* A pipe that nobody reads must not stop the agent; whoever writes may wait. */
		int fd = open(v[i].path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);

		if (fd < 0) {
			log_error("access log", "%s: %s", v[i].path.p, strerror(errno));
			continue;
		}
		child_log(c, slice_str(words[v[i].format]), given++, fd);
		close(fd);
	}
}

void access_log_change(struct child *c, const struct config *conf)
{
	int fd;

	access_log_give(c, conf);
	if (conf->telemetry.access_log.n)
		return;
	/* Each of these messages comes with a descriptor. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	child_log(c, (struct slice){ 0 }, 0, fd);
	close(fd);
}

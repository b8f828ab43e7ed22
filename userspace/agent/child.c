/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/plugin.h"
#include "net/tlsctx.h"
#include "weft/log.h"
#include "weft/str.h"

#define BACKOFF_MIN (100 * MSEC)
#define BACKOFF_MAX (30 * SEC)
#define WELL_NS (60 * SEC)                      /* a proxy that lived this long starts anew with the shortest back-off */
#define PATIENCE_NS (10 * SEC)                  /* with a proxy that says nothing, whose worker hangs, or that does not go */
#define STOP_MS 5000                            /* beyond what its requests may take */
#define LISTEN_FD 3

STAT_DEFINE(child_stat, "proxy", CHILD_STATS);
const char *const child_state_names[] = { "off", "starting", "running", "backoff" };

static void start(struct child *c);

static int pidfd_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* ---- its end ------------------------------------------------------------------------------------------------ */

static void disconnect(struct child *c)
{
	if (c->io.active) {
		loop_del(c->loop, &c->io);
		close(c->io.fd);
	}
	handover_fini(&c->way);
	if (c->state == CHILD_RUNNING)
		c->on->workers(c->arg, 0);
	stat_set(&c->stat.running, 0);
}

static void forget(struct child *c)
{
	if (c->exit_io.active) {
		loop_del(c->loop, &c->exit_io);
		close(c->exit_io.fd);
	}
	c->pid = 0;
}

static void retry(struct timer *t)
{
	start(t->arg);
}

static void back_off(struct child *c)
{
	disconnect(c);
	forget(c);
	c->state = CHILD_BACKOFF;
	if (clock_ns() - c->started_ns > WELL_NS || !c->backoff_ns)
		c->backoff_ns = BACKOFF_MIN;
	timer_arm(c->loop, &c->timer, c->backoff_ns, retry, c);
	c->backoff_ns = c->backoff_ns * 2 > BACKOFF_MAX ? BACKOFF_MAX : c->backoff_ns * 2;
}

static void say_end(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, WNOHANG) != pid)
		log_warn("proxy", "process %d, taken over from a former agent, has ended", pid);
	else if (WIFSIGNALED(status))
		log_warn("proxy", "process %d was ended by signal %d (%s)", pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_warn("proxy", "process %d has ended with status %d", pid, WEXITSTATUS(status));
}

static void on_exit_event(struct loop_io *io, unsigned events)
{
	struct child *c = io->arg;

	(void)events;
	say_end(c->pid);
	stat_add(&c->stat.exits, 1);
	back_off(c);
}

/* ---- its connection ----------------------------------------------------------------------------------------- */

static void lost_patience(struct timer *t)
{
	struct child *c = t->arg;

	log_error("proxy", "process %d has not answered for %llu s: it is restarted", c->pid,
		  (unsigned long long)(PATIENCE_NS / SEC));
	stat_add(&c->stat.hangs, 1);
	kill(c->pid, SIGKILL);
}

static void be_patient(struct child *c)
{
	timer_arm(c->loop, &c->timer, PATIENCE_NS, lost_patience, c);
}

static void push(struct child *c)
{
	size_t n = 0;
	int err = c->io.active ? handover_flush(&c->way, &n) : 0;

	stat_add(&c->stat.bytes_fed, n);
	if (err && err != -EAGAIN)
		log_warn("proxy", "cannot feed facts: %s", strerror(-err));     /* its end is reported by the pidfd */
	if (c->io.active)
		loop_want(c->loop, &c->io, LOOP_READ | (err == -EAGAIN ? LOOP_WRITE : 0));
}

static void feed_all(struct child *c)
{
	struct snapshot *s = c->on->snapshot(c->arg);
	struct diff d;

	if (!s)
		return;
	diff_init(&d, NULL, s);
	wire_diff(&c->way.out, &d);
	diff_fini(&d);
}

/* ---- keys of session tickets -------------------------------------------------------------------------------- */

#define TICKET_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Memory, and never a file: the agent keeps it for the next proxy, and has no need to look inside. */
static int tickets_new(void)
{
	int fd = memfd_create("weft-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, TLSCTX_TICKET_PAGE) || fcntl(fd, F_ADD_SEALS, TICKET_SEALS))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Of a proxy that a former agent left. One that could be cut short would be the end of whoever maps it. */
static void on_tickets(void *arg)
{
	struct child *c = arg;
	int fd = handover_take(&c->way);
	struct stat st;

	if (fd < 0)
		return;
	if (c->tickets_fd >= 0 || fcntl(fd, F_GET_SEALS) != TICKET_SEALS || fstat(fd, &st) || st.st_size != TLSCTX_TICKET_PAGE)
		close(fd);
	else
		c->tickets_fd = fd;
}

static void give_tickets(struct child *c)
{
	int copy;

	if (c->tickets_fd < 0)
		c->tickets_fd = tickets_new();
	copy = c->tickets_fd < 0 ? -1 : fcntl(c->tickets_fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return;
	handover_give(&c->way, copy);
	wire_tickets(&c->way.out);
}

static void on_hello(void *arg, const struct report_hello *h)
{
	struct child *c = arg;

	c->hello = *h;
	be_patient(c);
	if (h->version != REPORT_VERSION || h->wire != WIRE_VERSION || strcmp(h->build, WEFT_VERSION)) {
		log_info("proxy", "process %d is of build %s: it is replaced", c->pid, h->build);
		kill(c->pid, SIGTERM);
		return;
	}
	if (h->plugins != plugins_hash() && c->adopted) {
		log_info("proxy", "process %d has other plugins: it is replaced", c->pid);
		kill(c->pid, SIGTERM);
		return;
	}
	if (h->plugins != plugins_hash())
		log_warn("proxy", "files of plugins are others than at the start: weftd is to be restarted");
	log_info("proxy", "process %d is up with %u workers", c->pid, h->workers);
	c->on->workers(c->arg, h->workers);
	c->state = CHILD_RUNNING;
	stat_set(&c->stat.running, 1);
	give_tickets(c);
	c->on->sockets(c->arg);
	feed_all(c);
	c->on->fed(c->arg);
	push(c);
}

static void on_host(void *arg, struct slice key, uint32_t for_ms)
{
	struct child *c = arg;

	c->on->host(c->arg, key, for_ms);
}

static void on_snapshot(void *arg, uint64_t number)
{
	struct child *c = arg;

	stat_set(&c->stat.snapshot, number);
	c->on->adopted(c->arg, number);
}

/* Stopped, hung in its control loop or in a worker's: in each case no fresh word comes. */
static void on_alive(void *arg, uint32_t stalest_ms)
{
	struct child *c = arg;

	if (c->state == CHILD_RUNNING && stalest_ms < PATIENCE_NS / MSEC)
		be_patient(c);
}

static void on_socket(void *arg, struct slice listener, uint32_t index)
{
	struct child *c = arg;
	int fd = handover_take(&c->way);

	if (fd >= 0)
		c->on->socket(c->arg, listener, index, fd);
}

static void on_stat(void *arg, struct slice set, struct slice name, const uint64_t *v, size_t n)
{
	struct child *c = arg;

	c->on->stat(c->arg, set, name, v, n);
}

static void on_want(void *arg, const struct report_want *w)
{
	struct child *c = arg;

	c->on->want(c->arg, w);
}

static void on_event(struct loop_io *io, unsigned events)
{
	static const struct report_sink sink = { on_hello, on_snapshot, on_alive, on_socket, on_stat, on_host, on_want,
						  on_tickets };
	struct child *c = io->arg;
	struct err e = { 0 };
	ssize_t n;

	if (events & LOOP_WRITE)
		push(c);
	if (!(events & (LOOP_READ | LOOP_HUP | LOOP_ERR)))
		return;
	n = handover_receive(&c->way);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n > 0)
		n = report_feed(&c->way.in, &sink, c, &e) ? -EPROTO : n;
	if (n > 0)
		return;
	if (n == -EPROTO) {
		stat_add(&c->stat.bad_reports, 1);
		log_error("proxy", "its report makes no sense: %s; it is restarted", err_text(&e));
	}
	/* A proxy whose connection is gone cannot be fed: it is of no use, and its end arms the back-off. */
	kill(c->pid, SIGKILL);
	disconnect(c);
}

static int give_beats(struct child *c)
{
	int fd = c->on->beat_fd(c->arg);

	if (fd < 0)
		return 0;
	handover_give(&c->way, fd);
	return wire_beat(&c->way.out);
}

static int give_steer(struct child *c)
{
	int fd = c->on->steer_fd(c->arg);

	if (fd < 0)
		return 0;
	handover_give(&c->way, fd);
	return wire_steer(&c->way.out);
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (void *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int watch(struct child *c, struct loop_io *io, int take_fd, loop_io_fn *fn)
{
	int err = take_fd < 0 ? -errno : loop_add(c->loop, io, take_fd, LOOP_READ, fn, c);

	if (err && take_fd >= 0)
		close(take_fd);
	return err;
}

/* take_fd is connected to the process pid. After an error nothing of it is left here. */
static int attach(struct child *c, int take_fd, pid_t pid)
{
	int err = watch(c, &c->io, take_fd, on_event);

	if (!err)
		err = watch(c, &c->exit_io, pidfd_of(pid), on_exit_event);
	handover_init(&c->way, take_fd);
	if (!err)
		err = wire_hello(&c->way.out);
	if (!err)
		err = give_beats(c);
	if (!err)
		err = give_steer(c);
	if (err) {
		disconnect(c);
		forget(c);
		return err;
	}
	c->pid = pid;
	c->state = CHILD_STARTING;
	c->started_ns = clock_ns();
	be_patient(c);
	push(c);
	return 0;
}

/* ---- its start ---------------------------------------------------------------------------------------------- */

/* Who listens there; 0: nobody that an agent has started, as a proxy listens before it gives up its agent's user. */
/* Between a bind by an agent and listen(2) by its proxy the socket is the agent's: that one is nobody to adopt. */
bool child_is_proxy(pid_t pid)
{
	char path[32], args[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, args, sizeof(args));
	if (fd >= 0)
		close(fd);
	return n > 0 && memmem(args, n, "\0--role=proxy", sizeof("\0--role=proxy"));
}

static pid_t peer_pid(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) || cred.uid != geteuid() ? 0 : cred.pid;
}

static bool adopt(struct child *c)
{
	int fd = dial(c->conf.socket);
	pid_t pid = fd < 0 ? 0 : peer_pid(fd);

	if (fd < 0)
		return false;
	if (pid <= 0 || pid == getpid() || !child_is_proxy(pid)) {
		close(fd);
		return false;
	}
	if (attach(c, fd, pid))
		return false;
	c->adopted = true;
	stat_add(&c->stat.adopted, 1);
	log_info("proxy", "process %d of a former agent is taken over", pid);
	return true;
}

static int listen_on(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask = umask(0177);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) || listen(fd, 8))
		err = -errno;
	umask(mask);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static _Noreturn void become_proxy(const struct child *c, int listen_fd)
{
	char workers[16], drain[16];
	char *argv[11 + 2 * PLUGINS_MAX] = { (char *)c->conf.program, "--role=proxy", "--workers", workers, "--log-level",
					     (char *)c->conf.log_level, "--drain", drain };
	unsigned n = 8;                         /* of argv, so far */
	sigset_t none;

	if (!c->conf.splice)
		argv[n++] = "--no-splice";
	if (c->conf.spin)
		argv[n++] = "--spin";
	for (size_t i = 0; i < plugins.n; i++) {
		argv[n++] = "--plugin";
		argv[n++] = plugins.v[i].path;
	}
	snprintf(workers, sizeof(workers), "%u", c->conf.workers);
	snprintf(drain, sizeof(drain), "%u", c->conf.drain_ms);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* dup2 onto itself would keep close-on-exec. */
	if (listen_fd == LISTEN_FD)
		listen_fd = dup(listen_fd);
	dup2(listen_fd, LISTEN_FD);
	syscall(SYS_close_range, LISTEN_FD + 1, ~0u, 0);
	setsid();
	execv(c->conf.program, argv);
	_exit(127);
}

static int spawn(struct child *c)
{
	int listen_fd = listen_on(c->conf.socket), fd, err;
	pid_t pid;

	if (listen_fd < 0)
		return listen_fd;
	fd = dial(c->conf.socket);
	err = fd < 0 ? -errno : 0;
	pid = err ? -1 : fork();
	if (pid == 0)
		become_proxy(c, listen_fd);
	close(listen_fd);
	if (pid < 0) {
		err = err ? err : -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	c->adopted = false;
	stat_add(&c->stat.starts, 1);
	err = attach(c, fd, pid);
	if (err) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return err;
}

static void start(struct child *c)
{
	int err;

	if (c->stopping || adopt(c))
		return;
	err = spawn(c);
	if (err) {
		log_error("proxy", "cannot be started: %s", strerror(-err));
		back_off(c);
	}
}

int child_start(struct child *c, struct loop *l, const struct child_conf *conf, const struct child_events *on, void *arg,
		struct err *e)
{
	*c = (struct child){ .loop = l, .conf = *conf, .on = on, .arg = arg, .tickets_fd = -1 };
	if (strlen(conf->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_add(e, -ENAMETOOLONG, "%s: longer than a socket's path may be", conf->socket);
	start(c);
	return 0;
}

void child_feed(struct child *c, const struct diff *d)
{
	if (c->state != CHILD_RUNNING)
		return;
	wire_diff(&c->way.out, d);
	push(c);
}

void child_socket(struct child *c, struct slice listener, unsigned index, int fd)
{
	int copy = c->state == CHILD_RUNNING ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy < 0)
		return;
	handover_give(&c->way, copy);
	wire_socket(&c->way.out, listener, index);
	push(c);
}

void child_socket_of(struct child *c, const struct report_want *w, int take_fd)
{
	if (c->state != CHILD_RUNNING) {
		close(take_fd);
		return;
	}
	handover_give(&c->way, take_fd);
	wire_sockets(&c->way.out, w->netns, w->worker, w->family);
}

void child_push(struct child *c)
{
	push(c);
}

void child_log(struct child *c, struct slice format, unsigned index, int fd)
{
	int copy = c->state == CHILD_RUNNING ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy < 0)
		return;
	handover_give(&c->way, copy);
	wire_log(&c->way.out, format, index);
	push(c);
}

void child_overload(struct child *c, const struct overload_limits *l)
{
	if (c->state != CHILD_RUNNING)
		return;
	wire_overload(&c->way.out, l);
	push(c);
}

void child_state(struct child *c, struct slice host_key, uint8_t state)
{
	if (c->state != CHILD_RUNNING)
		return;
	wire_state(&c->way.out, host_key, state);
	push(c);
}

static bool wait_exit(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

void child_stop(struct child *c)
{
	int pidfd;

	if (!c->loop)
		return;
	c->stopping = true;
	timer_disarm(c->loop, &c->timer);
	disconnect(c);
	pidfd = c->pid ? pidfd_of(c->pid) : -1;
	if (pidfd >= 0) {
		kill(c->pid, SIGTERM);
		if (!wait_exit(pidfd, (int)c->conf.drain_ms + STOP_MS)) {
			log_warn("proxy", "process %d does not stop: it is killed", c->pid);
			kill(c->pid, SIGKILL);
			wait_exit(pidfd, STOP_MS);
		}
		waitpid(c->pid, NULL, WNOHANG);
		close(pidfd);
		unlink(c->conf.socket);
	}
	forget(c);
	if (c->tickets_fd >= 0)
		close(c->tickets_fd);
	c->tickets_fd = -1;
	c->state = CHILD_OFF;
	c->loop = NULL;
}

// SPDX-License-Identifier: Apache-2.0
/* Sockets of pods: batches, waiting, giving up; and the letters between a worker and the control thread. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "event/thread.h"
#include "proxy/stock.h"
#include "proxy/worker.h"

#define POD 4711u
#define OTHER 4712u

static struct loop loop;
static struct stock *stock;
static struct ip v4, v6;
static int nasked, ngone, ncame;
static uint32_t wanted;
static uint64_t asked_netns, gone_netns, waited;
static uint8_t asked_family;
static int came[256];

static void ask(void *arg, uint64_t netns, uint8_t family, uint32_t n)
{
	(void)arg;
	nasked++;
	wanted += n;
	asked_netns = netns;
	asked_family = family;
}

static void gone(void *arg, uint64_t netns)
{
	(void)arg;
	ngone++;
	gone_netns = netns;
}

static void on_came(void *arg, int fd, uint64_t waited_ns)
{
	(void)arg;
	came[ncame++] = fd;
	waited = waited_ns;
}

static int setup_with(struct stock_times times)
{
	struct stock_conf c = { .loop = &loop, .times = times, .ask = ask, .gone = gone };

	nasked = ngone = ncame = 0;
	wanted = 0;
	v4 = facts_ip("10.0.0.1");
	v6 = facts_ip("fd00::1");
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(loop_once(&loop, 0), 0);
	stock = stock_new(&c);
	stock_keep(stock, POD);
	stock_sweep(stock);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with((struct stock_times){ 3600 * SEC, 3600 * SEC, 3600 * SEC });
}

static int teardown(void **state)
{
	(void)state;
	stock_free(stock);
	loop_fini(&loop);
	return 0;
}

static int made(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void put(unsigned n)
{
	while (n--)
		stock_put(stock, POD, AF_INET, made());
}

static void take(unsigned n)
{
	while (n--) {
		int fd = stock_take(stock, POD, &v4);

		assert_true(fd >= 0);
		close(fd);
	}
}

static void until(const int *what, int n)
{
	uint64_t end = clock_ns() + 60 * SEC;

	while (*what < n) {
		assert_true(clock_ns() < end);
		assert_int_equal(loop_once(&loop, 10 * MSEC), 0);
	}
}

static void test_asked_in_batches(void **state)
{
	(void)state;
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	stock_wait(stock, POD, &v4, 0, on_came, NULL);
	assert_int_equal(nasked, 1);
	assert_int_equal(wanted, STOCK_FEW + 1);
	assert_int_equal(asked_netns, POD);
	assert_int_equal(asked_family, AF_INET);
	put(STOCK_FEW + 1);
	assert_int_equal(ncame, 1);
	assert_true(is_open(came[0]));
	close(came[0]);
	/* Half of them go without a word, then the next batch is asked for, once. */
	take(STOCK_FEW / 2);
	assert_int_equal(nasked, 1);
	take(1);
	assert_int_equal(nasked, 2);
	take(1);
	assert_int_equal(nasked, 2);
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
}

static void test_families_and_pods_do_not_mix(void **state)
{
	(void)state;
	stock_keep(stock, POD);
	stock_keep(stock, OTHER);
	stock_sweep(stock);
	put(1);
	assert_int_equal(stock_take(stock, POD, &v6), -EAGAIN);
	stock_wait_end(stock_wait(stock, POD, &v6, 0, on_came, NULL));
	assert_int_equal(asked_family, AF_INET6);
	assert_int_equal(stock_take(stock, OTHER, &v4), -EAGAIN);
	stock_wait_end(stock_wait(stock, OTHER, &v4, 0, on_came, NULL));
	assert_int_equal(asked_netns, OTHER);
	take(1);
	/* Neither family: nobody's. */
	stock_put(stock, POD, AF_UNIX, made());
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	assert_int_equal(ncame, 0);
}

static void test_who_waits_first_is_served_first(void **state)
{
	struct stock_wait *w;

	(void)state;
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	w = stock_wait(stock, POD, &v4, 0, on_came, NULL);
	stock_wait(stock, POD, &v4, 0, on_came, NULL);
	stock_wait_end(w);
	stock_wait_end(NULL);
	put(2);
	assert_int_equal(ncame, 1);
	close(came[0]);
	take(1);
}

static void test_waiting_has_an_end(void **state)
{
	(void)state;
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	stock_wait(stock, POD, &v4, 20, on_came, NULL);
	until(&ncame, 1);
	assert_int_equal(came[0], -ETIMEDOUT);
	assert_true(waited >= 20 * MSEC);
	/* It comes too late for him, not for the next. */
	put(1);
	take(1);
}

static int setup_impatient(void **state)
{
	(void)state;
	return setup_with((struct stock_times){ 5 * MSEC, 3600 * SEC, 3600 * SEC });
}

static void test_what_does_not_come_is_asked_for_again(void **state)
{
	(void)state;
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	stock_wait(stock, POD, &v4, 0, on_came, NULL);
	until(&nasked, 4);
	put(1);
	assert_int_equal(ncame, 1);
	close(came[0]);
}

static void test_another_agent_is_asked_at_once(void **state)
{
	(void)state;
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	stock_wait(stock, POD, &v4, 0, on_came, NULL);
	assert_int_equal(nasked, 1);
	wanted = 0;
	stock_ask_again(stock);
	assert_int_equal(nasked, 2);
	assert_int_equal(wanted, STOCK_FEW + 1);
	put(1);
	close(came[0]);
	/* Nobody waits: nothing is asked for before somebody takes. */
	stock_ask_again(stock);
	assert_int_equal(nasked, 2);
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
	stock_wait_end(stock_wait(stock, POD, &v4, 0, on_came, NULL));
	assert_int_equal(nasked, 3);
}

/* Asks again from within, as a connection would that tries another host. */
static void ask_within(void *arg, int fd, uint64_t waited_ns)
{
	on_came(arg, fd, waited_ns);
	assert_int_equal(stock_take(stock, POD, &v4), -ENETDOWN);
}

static void test_a_pod_that_goes_takes_its_sockets_along(void **state)
{
	int fd = made(), late = made();

	(void)state;
	stock_put(stock, POD, AF_INET, fd);
	assert_true(stock_has(stock, POD));
	assert_int_equal(stock_take(stock, POD, &v6), -EAGAIN);
	stock_wait(stock, POD, &v6, 0, ask_within, NULL);
	stock_wait(stock, POD, &v6, 60000, ask_within, NULL);
	stock_keep(stock, OTHER);
	stock_sweep(stock);
	assert_int_equal(ngone, 1);
	assert_int_equal(gone_netns, POD);
	assert_int_equal(ncame, 2);
	assert_int_equal(came[0], -ENETDOWN);
	assert_int_equal(came[1], -ENETDOWN);
	assert_false(is_open(fd));
	assert_false(stock_has(stock, POD));
	assert_true(stock_has(stock, OTHER));
	assert_int_equal(stock_take(stock, POD, &v4), -ENETDOWN);
	stock_put(stock, POD, AF_INET, late);
	assert_false(is_open(late));
}

static void run_out(void)
{
	int fd;

	while ((fd = stock_take(stock, POD, &v4)) >= 0)
		close(fd);
	assert_int_equal(fd, -EAGAIN);
	wanted = 0;
	stock_ask_again(stock);
	stock_wait(stock, POD, &v4, 0, on_came, NULL);
}

static void test_who_runs_out_gets_more_up_to_a_bound(void **state)
{
	uint32_t before = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		run_out();
		assert_true(wanted >= before && wanted <= STOCK_MOST + 1);
		before = wanted;
		put(wanted);
		close(came[--ncame]);
	}
	assert_int_equal(before, STOCK_MOST + 1);
	/* More than were asked for: no more are kept. */
	put(10);
	take(STOCK_MOST);
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
}

static int setup_watched(void **state)
{
	(void)state;
	return setup_with((struct stock_times){ 3600 * SEC, 5 * MSEC, 50 * MSEC });
}

static void test_what_nobody_takes_is_given_up(void **state)
{
	uint64_t end = clock_ns() + 60 * SEC;
	int fd = made();

	(void)state;
	stock_put(stock, POD, AF_INET, fd);
	while (is_open(fd)) {
		assert_true(clock_ns() < end);
		assert_int_equal(loop_once(&loop, 10 * MSEC), 0);
	}
	assert_int_equal(stock_take(stock, POD, &v4), -EAGAIN);
}

/* ---- a worker with its thread ---------------------------------------------------------------------------------- */

#define SOCKETS 100                             /* taken by each worker */
#define WORKERS 2

struct rig {
	struct loop loop;                       /* the control thread's */
	struct mailbox mail;
	struct worker workers[WORKERS];
	_Atomic int done;
	int wants;
	bool over;                              /* nobody is there to be answered */
};

struct taker {
	struct letter letter;
	struct rig *rig;
	struct worker *worker;
	int left;
};

static void take_on(struct taker *t);

static void taker_came(void *arg, int fd, uint64_t waited_ns)
{
	struct taker *t = arg;

	(void)waited_ns;
	assert_true(fd >= 0);
	close(fd);
	t->left--;
	take_on(t);
}

static void take_on(struct taker *t)
{
	struct stock *s = t->worker->stock;

	while (t->left) {
		int fd = stock_take(s, POD, &v4);

		if (fd == -EAGAIN) {
			stock_wait(s, POD, &v4, 0, taker_came, t);
			return;
		}
		assert_true(fd >= 0);
		close(fd);
		t->left--;
	}
	atomic_fetch_add(&t->rig->done, 1);
}

static void taker_starts(struct letter *x)
{
	struct taker *t = container_of(x, struct taker, letter);

	stock_keep(t->worker->stock, POD);
	stock_sweep(t->worker->stock);
	take_on(t);
}

/* As the agent would: what is wanted comes, but every third answer is lost. */
static void on_want(struct worker *w, uint64_t netns, uint8_t family, uint32_t n)
{
	struct rig *r = w->arg;

	assert_int_equal(netns, POD);
	assert_int_equal(family, AF_INET);
	if (r->over || ++r->wants % 3 == 0)
		return;
	while (n--)
		worker_socket(w, netns, family, made());
}

static void on_adopted(struct worker *w, uint64_t number)
{
	(void)w;
	(void)number;
}

static const struct worker_events worker_events = { .adopted = on_adopted, .want = on_want };

static void test_letters_between_threads(void **state)
{
	struct taker t[WORKERS] = { 0 };
	uint64_t end = clock_ns() + 60 * SEC;
	struct rig r = { 0 };

	(void)state;
	v4 = facts_ip("10.0.0.1");
	assert_int_equal(loop_init(&r.loop), 0);
	assert_int_equal(mailbox_init(&r.mail, &r.loop), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(worker_start(&r.workers[i], i, false, &r.mail, NULL, NULL, NULL, &worker_events, &r), 0);
		t[i].rig = &r;
		t[i].worker = &r.workers[i];
		t[i].left = SOCKETS;
		mailbox_post(&r.workers[i].thread.mail, &t[i].letter, taker_starts);
	}
	while (atomic_load(&r.done) < WORKERS) {
		assert_true(clock_ns() < end);
		assert_int_equal(loop_once(&r.loop, 10 * MSEC), 0);
		worker_ask_again(&r.workers[0]);
	}
	r.over = true;
	for (unsigned i = 0; i < WORKERS; i++)
		worker_stop(&r.workers[i]);
	mailbox_fini(&r.mail);
	loop_fini(&r.loop);
	assert_true(r.wants > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked_in_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_families_and_pods_do_not_mix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_first_is_served_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_does_not_come_is_asked_for_again, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(test_another_agent_is_asked_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_pod_that_goes_takes_its_sockets_along, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_runs_out_gets_more_up_to_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_nobody_takes_is_given_up, setup_watched, teardown),
		cmocka_unit_test(test_letters_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

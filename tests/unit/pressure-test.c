// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When dirty data is written back, and what that does to those who write: the delay, and
 * what overrides it; the marks of dirty space. Dropping what is clean.
 */
#include "fixture.h"

#define SEGS	200
/* Long enough that nobody waits for it. */
#define HOUR	"writeback_delay_ms 3600000"

/*
 * A look at a round's batch from its begin on can be met: the first one of a round is for
 * what has been discarded, the second one for what is superseded, the third one writes.
 */
static struct {
	u32 left;
	void (*met)(struct pcache *pc, void *arg);
	void *arg;
} looks;

bool __real_pcache_tree_first(struct pcache_tree *t, sector_t sector, struct pcache_extent *e);
bool __wrap_pcache_tree_first(struct pcache_tree *t, sector_t sector, struct pcache_extent *e);
void __real_pcache_walk_begin(struct pcache_walk *w, struct pcache_tree *t);
void __wrap_pcache_walk_begin(struct pcache_walk *w, struct pcache_tree *t);

static void look(struct pcache_tree *t)
{
	uintptr_t wb = (uintptr_t)t - offsetof(struct pcache_writeback, batch);

	if (READ_ONCE(looks.left) &&
	    (uintptr_t)t->pool == wb + offsetof(struct pcache_writeback, leaves) && !--looks.left)
		looks.met((void *)(wb - offsetof(struct pcache, wb)), looks.arg);
}

void __wrap_pcache_walk_begin(struct pcache_walk *w, struct pcache_tree *t)
{
	look(t);
	__real_pcache_walk_begin(w, t);
}

bool __wrap_pcache_tree_first(struct pcache_tree *t, sector_t sector, struct pcache_extent *e)
{
	if (!sector)
		look(t);
	return __real_pcache_tree_first(t, sector, e);
}

/* So can the end of the first cancel_work_sync(). */
static struct {
	void (*met)(struct work_struct *work);
	struct fixture *f;
} cancelled;

bool __real_cancel_work_sync(struct work_struct *work);
bool __wrap_cancel_work_sync(struct work_struct *work);

bool __wrap_cancel_work_sync(struct work_struct *work)
{
	void (*met)(struct work_struct *work) = cancelled.met;
	bool r = __real_cancel_work_sync(work);

	cancelled.met = NULL;
	if (met)
		met(work);
	return r;
}

/* And when write-back has told who waited for a log that is clean now, for the nth time. */
static struct {
	u32 left;
	void (*met)(struct pcache *pc, void *arg);
	void *arg;
} told;

void __real_pcache_wb_finish_waiters(struct pcache *pc, u64 ord);
void __wrap_pcache_wb_finish_waiters(struct pcache *pc, u64 ord);

void __wrap_pcache_wb_finish_waiters(struct pcache *pc, u64 ord)
{
	struct pcache_places at;

	__real_pcache_wb_finish_waiters(pc, ord);
	pcache_journal_places(pc, &at);
	if (!READ_ONCE(told.left) || at.dirty_tail.ord < at.durable.ord)
		return;
	if (told.left == 1)
		told.met(pc, told.arg);
	WRITE_ONCE(told.left, told.left - 1);	/* 0: it is over */
}

static void open_cache(struct fixture *f, const char *options)
{
	fixture_open(f, SEGS, SMALL_SECTORS);
	attach(f, options);
}

static void close_cache(struct fixture *f)
{
	check_all(f);
	CHECK_EQ(message(f, "flush"), 0);
	check_disk(f);
	detach(f);
	fixture_close(f);
}

static u64 dirty(struct fixture *f)
{
	return status(f).dirty_sectors;
}

static bool log_is_clean(struct fixture *f)
{
	struct host_status st = status(f);

	return !memcmp(st.dirty_tail, st.key_head, sizeof(st.key_head));
}

/* Until all is cached: the end of a segment cuts a fill short. */
static void fill_cache(struct fixture *f)
{
	AWAIT((check_all(f), status(f).cached_sectors == SMALL_SECTORS));
	flush(f);
	AWAIT(dirty(f) || log_is_clean(f));
}

/*
 * Delay
 */

static void test_young(void)
{
	struct fixture f;

	open_cache(&f, "2 " HOUR);
	write_sectors(&f, 0, 8);
	flush(&f);
	write_sectors(&f, 100, 8);
	flush(&f);
	usleep(300000);
	CHECK_EQ(dirty(&f), 16);
	CHECK_EQ(status(&f).writeback_sectors, 0);
	/* Somebody asks for it. */
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(dirty(&f), 0);
	check_disk(&f);
	AWAIT(!shim_scheduled());
	/* It is as young as it was. */
	write_sectors(&f, 0, 8);
	flush(&f);
	detach(&f);
	attach(&f, "2 " HOUR);
	usleep(200000);
	CHECK_EQ(dirty(&f), 8);
	CHECK_EQ(message(&f, "writeback_delay_ms 0"), 0);
	AWAIT(!dirty(&f));
	write_sectors(&f, 0, 8);
	flush(&f);
	AWAIT(!dirty(&f));
	close_cache(&f);
}

/* Old data goes when its time has come, young data stays; then nothing is scheduled. */
static void test_due(void)
{
	double begun = host_seconds();
	struct fixture f;

	open_cache(&f, "2 writeback_delay_ms 1500");
	write_sectors(&f, 0, 8);
	flush(&f);
	usleep(700000);
	write_sectors(&f, 100, 8);
	flush(&f);
	CHECK_EQ(dirty(&f), 16);
	AWAIT(dirty(&f) != 16);
	CHECK(host_seconds() - begun >= 1.4);
	CHECK_EQ(dirty(&f), 8);
	AWAIT(!dirty(&f));
	CHECK(host_seconds() - begun >= 2.1);
	AWAIT(!shim_scheduled());
	CHECK(host_seconds() - begun < 5);
	close_cache(&f);
}

static void check_absorbed(const char *options, u64 least, u64 most)
{
	struct fixture f;
	u64 written;

	host_section("%s", options);
	open_cache(&f, options);
	for (u32 i = 0; i < 200; i++) {
		write_sectors(&f, 16, 8);
		flush(&f);
		usleep(5000);
	}
	AWAIT(!dirty(&f));
	written = status(&f).writeback_sectors;
	CHECK(written >= least && written <= most, "%llu sectors", (unsigned long long)written);
	check_disk(&f);
	close_cache(&f);
}

/*
 * Overwrites are absorbed: across epochs in "fast" only, where what is overwritten all the
 * time is not written at all meanwhile.
 */
static void test_absorbed(void)
{
	check_absorbed("4 writeback_delay_ms 300 writeback_order fast", 8, 8 * 4);
	check_absorbed("4 writeback_delay_ms 300 writeback_order ordered", 200 * 8, 200 * 8);
}

/* In one epoch they are in both, although the younger ones are not old enough. */
static void test_absorbed_in_epoch(void)
{
	struct fixture f;

	open_cache(&f, "2 writeback_delay_ms 1200");
	for (u32 i = 0; i < 40; i++) {
		write_sectors(&f, 16, 8);
		usleep(40000);
	}
	AWAIT(!dirty(&f));
	CHECK(status(&f).writeback_sectors <= 8 * 3);
	close_cache(&f);
}

/* What is cold is written although what is hot stands all around it in the log. */
static void test_cold_among_hot(void)
{
	double begun = host_seconds();
	struct fixture f;

	open_cache(&f, "4 writeback_delay_ms 300 writeback_order fast");
	write_sectors(&f, 16, 8);
	write_sectors(&f, 500, 8);
	while (host_seconds() - begun < 1.5) {
		write_sectors(&f, 16, 8);
		flush(&f);
		usleep(5000);
	}
	check_content("backing device", f.disk + (500 << SECTOR_SHIFT), 500, 8, f.newest, f.newest);
	CHECK(status(&f).writeback_sectors <= 8 * 4);
	close_cache(&f);
}

static void write_durably(void *arg)
{
	CHECK_EQ(try_write(arg, 100, 8, REQ_FUA), 0);
}

static void meet_durable_write(struct pcache *pc, void *arg)
{
	shim_join(shim_spawn("write", write_durably, arg));
}

/*
 * What a message waits for is not left out for what is newer by now: else it would wait as
 * long as that goes on.
 */
static void test_awaited(void)
{
	struct fixture f;
	u32 awaited;

	open_cache(&f, "4 writeback_order fast " HOUR);
	write_sectors(&f, 100, 8);
	flush(&f);
	awaited = f.newest[100];
	looks.met = meet_durable_write;
	looks.arg = &f;
	WRITE_ONCE(looks.left, 1);
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(version_of(f.disk + (100 << SECTOR_SHIFT), 100), awaited);
	CHECK_EQ(dirty(&f), 8);
	close_cache(&f);
}

struct late_waiter {
	struct pcache_waiter waiter;
	struct fixture *f;
	struct completion done;
	u32 told_at;
	int err;
};

static void late_waiter_told(struct pcache_waiter *waiter, int err)
{
	struct late_waiter *w = container_of(waiter, struct late_waiter, waiter);

	w->told_at = version_of(w->f->disk + (100 << SECTOR_SHIFT), 100);
	w->err = err;
	complete(&w->done);
}

static void write_newer(void *arg)
{
	CHECK_EQ(try_write(arg, 100, 8, 0), 0);
}

/* What a round is about to leave out is awaited by now; its successor is not durable yet. */
static void meet_late_waiter(struct pcache *pc, void *arg)
{
	struct late_waiter *w = arg;

	shim_join(shim_spawn("write", write_newer, w->f));
	pcache_writeback_wait(pc, &w->waiter);
}

/* Who comes to wait for what is left out is told when its successor is written back. */
static void test_awaited_too_late(void)
{
	struct late_waiter w = {
		.waiter = { .done = late_waiter_told, .sector = 100, .end = 108 },
	};
	struct fixture f;
	u32 old;

	open_cache(&f, "4 writeback_order fast " HOUR);
	w.f = &f;
	init_completion(&w.done);
	write_sectors(&f, 100, 8);
	flush(&f);
	old = f.newest[100];
	looks.met = meet_late_waiter;
	looks.arg = &w;
	WRITE_ONCE(looks.left, 2);
	usleep(20000);
	CHECK_EQ(message(&f, "writeback_delay_ms 10"), 0);
	wait_for_completion(&w.done);
	CHECK_EQ(w.err, 0);
	CHECK(f.newest[100] > old);
	CHECK_EQ(w.told_at, f.newest[100]);
	close_cache(&f);
}

static void meet_failure(struct pcache *pc, void *arg)
{
	meet_durable_write(pc, arg);
	pcache_set_state(pc, PCACHE_FAIL, "the test wants it");
}

/* What was committed while a round ran that was the last one: nobody looks at it again. */
static void test_committed_before_failure(void)
{
	struct fixture f;

	open_cache(&f, "2 " HOUR);
	write_sectors(&f, 0, 8);
	flush(&f);
	looks.met = meet_failure;
	looks.arg = &f;
	WRITE_ONCE(looks.left, 1);
	CHECK_EQ(message(&f, "writeback_delay_ms 0"), 0);
	AWAIT(!strcmp(status(&f).state, "fail"));
	AWAIT(!shim_scheduled());
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void keep_cache(struct pcache *pc, void *arg)
{
	*(struct pcache **)arg = pc;
}

struct cleaned {
	struct pcache_waiter waiter;
	struct completion done;
};

static void is_cleaned(struct pcache_waiter *waiter, int err)
{
	CHECK_EQ(err, 0);
	complete(&container_of(waiter, struct cleaned, waiter)->done);
}

/*
 * What is committed when the last round has seen that nothing is left, and the timer for what
 * was young is still armed, has a timer of its own.
 */
static void test_committed_behind_round(void)
{
	struct cleaned c = { .waiter = { .done = is_cleaned, .end = U64_MAX } };
	struct pcache *pc = NULL;
	struct fixture f;

	open_cache(&f, "2 writeback_delay_ms 1500");
	looks.met = keep_cache;
	looks.arg = &pc;
	WRITE_ONCE(looks.left, 1);
	write_sectors(&f, 0, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	AWAIT(!shim_scheduled());
	write_sectors(&f, 0, 8);
	flush(&f);
	AWAIT(delayed_work_pending(&pc->wb.due));
	AWAIT(!delayed_work_pending(&pc->wb.work));
	told.met = meet_durable_write;
	told.arg = &f;
	/* The round that has written, and the one that finds nothing. */
	WRITE_ONCE(told.left, 2);
	init_completion(&c.done);
	pcache_writeback_wait(pc, &c.waiter);
	wait_for_completion(&c.done);
	AWAIT(!READ_ONCE(told.left));
	AWAIT(!dirty(&f));
	close_cache(&f);
}

struct mode_change {
	struct fixture *f;
	struct pcache *pc;
	struct task_struct *change;
	struct task_struct *write;
};

static void change_mode(void *arg)
{
	struct mode_change *m = arg;

	mutex_lock(&m->pc->admin);
	CHECK_EQ(pcache_set_mode(m->pc, PCACHE_WRITETHROUGH), 0);
	mutex_unlock(&m->pc->admin);
}

static void write_in_vain(void *arg)
{
	struct mode_change *m = arg;

	CHECK_EQ(try_write(m->f, 100, 8, 0), -EIO);
}

/* Behind the end of what was acknowledged while it was dirty comes a write that is not. */
static void meet_mode_change(struct pcache *pc, void *arg)
{
	struct mode_change *m = arg;
	u64 writes = pcache_stat(pc, PCACHE_STAT_WRITES);

	m->pc = pc;
	m->change = shim_spawn("mode", change_mode, m);
	AWAIT(READ_ONCE(pc->wb.settle_at) != U64_MAX);
	m->write = shim_spawn("write", write_in_vain, m);
	AWAIT(pcache_stat(pc, PCACHE_STAT_WRITES) > writes);
}

/*
 * With what was acknowledged left out for a write in write-through that fails, the backing
 * device has neither, and is not complete.
 */
static void test_left_out_for_through(void)
{
	struct mode_change m = { };
	struct fixture f;

	open_cache(&f, "4 writeback_order fast " HOUR);
	m.f = &f;
	write_sectors(&f, 0, 8);
	write_sectors(&f, 100, 8);
	flush(&f);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 100, 8, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	looks.met = meet_mode_change;
	looks.arg = &m;
	WRITE_ONCE(looks.left, 2);
	usleep(20000);
	CHECK_EQ(message(&f, "writeback_delay_ms 10"), 0);
	AWAIT(m.write);
	shim_join(m.write);
	CHECK_EQ(dirty(&f), 8);
	CHECK_EQ(version_of(f.disk + (100 << SECTOR_SHIFT), 100), 0);
	CHECK_TEXT(status(&f).cache_mode, "writeback");
	port_bdev_clear_faults(f.h.disk);
	shim_join(m.change);
	CHECK_TEXT(status(&f).cache_mode, "writethrough");
	write_sectors(&f, 100, 8);
	close_cache(&f);
}

static void space_needed(const char *options)
{
	struct fixture f;

	host_section("%s", options);
	open_cache(&f, options);
	/* Three times what the cache has room for. */
	random_writes(&f, 6000, 20);
	CHECK(status(&f).reclaimed_segments > SEGS);
	close_cache(&f);
}

/* Need for space overrides it. */
static void test_space_needed(void)
{
	space_needed("2 " HOUR);
	space_needed("4 " HOUR " gc_percent 90");
	space_needed("4 " HOUR " writeback_order fast");
}

/* So much of the cache is in use, in percent. */
static u32 used(struct fixture *f)
{
	return status(f).segs_used * 100 / SEGS;
}

/* Writes until so much is in use, or write-back has begun. */
static void fill_to(struct fixture *f, u32 percent)
{
	while (used(f) < percent && !status(f).writeback_sectors)
		random_writes(f, 10, 20);
}

/* With gc_percent in use reclaim wants room before anybody waits for it. */
static void test_reclaim_wants(void)
{
	struct fixture f;

	open_cache(&f, "4 " HOUR " gc_percent 30");
	fill_to(&f, 20);
	CHECK_EQ(status(&f).writeback_sectors, 0);
	fill_to(&f, 32);
	AWAIT(status(&f).writeback_sectors);
	CHECK_EQ(status(&f).space_waits, 0);
	close_cache(&f);

	/* Nobody writes any more when it begins to. */
	open_cache(&f, "4 " HOUR " dirty_low_percent 100");
	random_writes(&f, 300, 20);
	flush(&f);
	usleep(50000);
	CHECK_EQ(status(&f).writeback_sectors, 0);
	CHECK_EQ(message(&f, "gc_percent 5"), 0);
	AWAIT(status(&f).writeback_sectors);
	close_cache(&f);
}

/* A write that is done only when it is clean does not wait for its age. */
static void test_clean_at_once(void)
{
	double begun = host_seconds();
	struct fixture f;

	open_cache(&f, "4 " HOUR " cache_mode writethrough");
	random_writes(&f, 20, 20);
	CHECK_EQ(dirty(&f), 0);
	check_disk(&f);
	CHECK_EQ(message(&f, "cache_mode writeback"), 0);
	write_sectors(&f, 0, 8);
	flush(&f);
	usleep(100000);
	CHECK_EQ(dirty(&f), 8);
	CHECK_EQ(message(&f, "cache_mode writearound"), 0);
	CHECK_EQ(dirty(&f), 0);
	CHECK_EQ(message(&f, "cache_mode writeback"), 0);
	write_sectors(&f, 0, 8);
	flush(&f);
	CHECK_EQ(message(&f, "cleaner"), 0);
	AWAIT(!dirty(&f));
	random_writes(&f, 20, 20);
	CHECK_EQ(dirty(&f), 0);
	CHECK(host_seconds() - begun < 15);
	close_cache(&f);
}

/* Errors of the backing device: tries go on, and what is young stays young. */
static void test_errors(void)
{
	struct fixture f;

	open_cache(&f, "2 writeback_delay_ms 200");
	port_bdev_set_gone(f.h.disk, true);
	write_sectors(&f, 0, 8);
	flush(&f);
	AWAIT(status(&f).writeback_errors >= 2);
	CHECK_EQ(message(&f, "writeback_delay_ms 3600000"), 0);
	write_sectors(&f, 100, 8);
	flush(&f);
	port_bdev_set_gone(f.h.disk, false);
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(dirty(&f), 0);
	AWAIT(!shim_scheduled());
	close_cache(&f);
}

/*
 * Marks
 */

/* Writes and FLUSHes on their way to the backing device, and reads. */
static u32 in_flight(struct fixture *f)
{
	struct port_bdev_stats st;

	port_bdev_get_stats(f->h.disk, &st);
	return st.in_flight;
}

/* Above the low mark nothing waits for its age. */
static void test_low_mark(void)
{
	struct fixture f;
	u32 before = 0;

	open_cache(&f, "4 " HOUR " dirty_low_percent 20");
	while (!status(&f).writeback_sectors) {
		before = used(&f);
		random_writes(&f, 20, 20);
		flush(&f);
		usleep(2000);
	}
	CHECK(before >= 15 && before <= 35, "at %u percent", before);
	CHECK_EQ(status(&f).space_waits, 0);
	CHECK_EQ(message(&f, "flush"), 0);
	random_writes(&f, 60, 20);
	flush(&f);
	usleep(50000);
	CHECK(dirty(&f));
	CHECK_EQ(message(&f, "dirty_low_percent 0"), 0);
	AWAIT(!dirty(&f));
	/* What was dirty before an attach counts. */
	CHECK_EQ(message(&f, "dirty_low_percent 100"), 0);
	random_writes(&f, 300, 20);
	detach(&f);
	attach(&f, "4 " HOUR " dirty_low_percent 10");
	AWAIT(status(&f).writeback_sectors);
	close_cache(&f);
}

static const struct writer eager = { .max_sectors = 20, .writes = 3000, .flush_every = 50 };

/*
 * They have come to a stop, or to an end, with so much of the cache in use at least. Without
 * a CPU for a while they only seem to.
 */
static void await_standstill(struct fixture *f, u32 percent)
{
	u64 writes = 0;

	AWAIT(used(f) >= percent);
	for (u32 same = 0; same < 100; usleep(2000)) {
		same = status(f).writes == writes ? same + 1 : 0;
		writes = status(f).writes;
	}
}

/*
 * Above the high mark they wait for write-back, although there is room, and nothing that
 * is clean leaves the cache for it. Without the mark they go on to the end of room.
 */
static void test_high_mark(void)
{
	struct host_status st;
	struct writer w[2];
	struct fixture f;

	open_cache(&f, "4 dirty_high_percent 30 gc_percent 90");
	fill_cache(&f);
	port_bdev_hold(f.h.disk, true);
	start_writers(&f, w, 2, &eager);
	await_standstill(&f, 35);
	st = status(&f);
	CHECK(used(&f) <= 55, "%u percent", used(&f));
	CHECK(st.space_waits > 0);
	CHECK_EQ(st.reclaimed_segments, 0);
	/* Reads go on. */
	CHECK_EQ(try_read(&f, 0, 8), 0);
	CHECK_EQ(message(&f, "dirty_high_percent 50"), 0);
	await_standstill(&f, 55);
	CHECK(used(&f) <= 75, "%u percent", used(&f));
	CHECK_EQ(status(&f).reclaimed_segments, 0);
	CHECK_EQ(message(&f, "dirty_high_percent 100"), 0);
	await_standstill(&f, 80);
	CHECK(status(&f).writes < 6000);
	port_bdev_hold(f.h.disk, false);
	join_writers(w, 2);
	AWAIT(!shim_scheduled());
	close_cache(&f);
}

static void write_five(void *arg)
{
	for (u32 i = 0; i < 5; i++)
		write_sectors(arg, 1000 + 8 * i, 8);
}

/* Credit comes with each write that ends, not only when dirty_tail moves. */
static void test_credit(void)
{
	struct task_struct *task;
	struct fixture f;
	u64 writes;

	open_cache(&f, "");
	port_bdev_hold(f.h.disk, true);
	for (u32 i = 0; i < 30; i++)
		write_sectors(&f, i * 32, 8);
	flush(&f);
	AWAIT(in_flight(&f) == 30);
	CHECK_EQ(message(&f, "dirty_high_percent 0"), 0);
	writes = status(&f).writes;
	task = shim_spawn("write", write_five, &f);
	AWAIT(status(&f).space_waits);
	usleep(20000);
	CHECK_EQ(status(&f).writes, writes);
	/* The FLUSH that follows does not end. */
	port_bdev_set_latency(f.h.disk, 500000000);
	port_bdev_hold(f.h.disk, false);
	AWAIT(in_flight(&f) <= 1);
	port_bdev_hold(f.h.disk, true);
	AWAIT(status(&f).writes == writes + 5);
	CHECK(dirty(&f) >= 30 * 8);
	port_bdev_set_latency(f.h.disk, 0);
	port_bdev_hold(f.h.disk, false);
	shim_join(task);
	close_cache(&f);
}

/* Who is paced gets through, in order, as far as write-back comes. */
static void paced(const char *options)
{
	static const struct writer how = {
		.max_sectors = 20, .writes = 600, .flush_every = 20, .fua_every = 7,
	};
	struct writer w[4];
	struct fixture f;

	host_section("%s", options);
	open_cache(&f, options);
	port_bdev_set_latency(f.h.disk, 200000);
	start_writers(&f, w, 4, &how);
	join_writers(w, 4);
	CHECK(status(&f).space_waits > 0);
	close_cache(&f);
	CHECK_EQ(shim_scheduled(), 0);
}

/* Who waits for write-back alone, needs no room that something clean has. */
static void test_paced_keeps_clean(void)
{
	static const struct writer how = { .max_sectors = 20, .writes = 100, .flush_every = 20 };
	struct writer w[2];
	struct fixture f;

	open_cache(&f, "4 dirty_high_percent 5 gc_percent 90");
	fill_cache(&f);
	port_bdev_set_latency(f.h.disk, 3000000);
	for (u32 i = 0; i < 7; i++) {
		u64 before = status(&f).space_waits;

		port_bdev_hold(f.h.disk, true);
		start_writers(&f, w, ARRAY_SIZE(w), &how);
		AWAIT(status(&f).space_waits > before);
		port_bdev_hold(f.h.disk, false);
		join_writers(w, ARRAY_SIZE(w));
	}
	CHECK(used(&f) < 88, "%u percent", used(&f));
	CHECK_EQ(status(&f).reclaimed_segments, 0);
	close_cache(&f);
}

/* Whoever writes as fast as can be never comes to the end of room: the pace is felt before. */
static void test_smooth(void)
{
	static const struct writer how = { .max_sectors = 20, .writes = 2000 };
	struct pcache *pc = NULL;
	struct writer w[3];
	struct fixture f;
	u64 most = 0, all;

	open_cache(&f, "4 dirty_high_percent 40 gc_percent 0");
	looks.met = keep_cache;
	looks.arg = &pc;
	WRITE_ONCE(looks.left, 1);
	write_sectors(&f, 0, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	all = (u64)(pc->n_segs - pc->segs.reserved) * PCACHE_DATA_SECTORS;
	port_bdev_set_latency(f.h.disk, 4000000);
	start_writers(&f, w, ARRAY_SIZE(w), &how);
	while (status(&f).writes < 5500) {
		most = max(most, READ_ONCE(pc->journal.held_sectors) * 100 / all);
		usleep(1000);
	}
	join_writers(w, ARRAY_SIZE(w));
	CHECK(status(&f).space_waits > 0);
	/* What reclaim has not passed yet, though it may, is not in it. */
	CHECK(most >= 40 && most < 100, "%llu percent", most);
	close_cache(&f);
}

static void test_paced(void)
{
	paced("2 dirty_high_percent 0");
	paced("4 dirty_high_percent 1 data_crc true");
	paced("6 dirty_high_percent 5 writeback_order fast " HOUR);
}

/* With a backing device that fails or is gone nobody waits for it, until the cache is full. */
static void gone(bool from_begin)
{
	struct writer w[2];
	struct fixture f;

	host_section("from the begin: %d", from_begin);
	open_cache(&f, "2 dirty_high_percent 10");
	if (from_begin)
		port_bdev_set_gone(f.h.disk, true);
	else
		port_bdev_hold(f.h.disk, true);
	start_writers(&f, w, 2, &eager);
	if (!from_begin) {
		await_standstill(&f, 10);
		CHECK(used(&f) <= 30);
		port_bdev_set_gone(f.h.disk, true);
		port_bdev_hold(f.h.disk, false);
	}
	await_standstill(&f, 80);
	port_bdev_set_gone(f.h.disk, false);
	/* Not only after a pause. */
	CHECK_EQ(message(&f, "flush"), 0);
	join_writers(w, 2);
	close_cache(&f);
}

static void test_gone(void)
{
	gone(true);
	gone(false);
}

/* A noflush suspend does not wait for those who are paced. */
static void test_noflush(void)
{
	struct writer w[2];
	struct fixture f;

	open_cache(&f, "2 dirty_high_percent 10");
	port_bdev_set_latency(f.h.disk, 20000000);
	start_writers(&f, w, 2, &eager);
	for (u32 i = 0; i < 20; i++) {
		CHECK(!dm_host_suspend(f.h.md, true));
		CHECK(!dm_host_resume(f.h.md));
		usleep(10000);
	}
	port_bdev_set_latency(f.h.disk, 0);
	join_writers(w, 2);
	close_cache(&f);
}

static void write_one(void *arg)
{
	write_sectors(arg, 1000, 8);
}

/* What is logged while a write waits is committed at once: its room may wait for that. */
static void test_committed_at_once(void)
{
	struct task_struct *task;
	struct pcache *pc = NULL;
	struct fixture f;

	open_cache(&f, "2 dirty_high_percent 0");
	looks.met = keep_cache;
	looks.arg = &pc;
	WRITE_ONCE(looks.left, 1);
	port_bdev_hold(f.h.disk, true);
	write_sectors(&f, 0, 8);
	flush(&f);
	AWAIT(in_flight(&f));
	task = shim_spawn("write", write_one, &f);
	AWAIT(status(&f).space_waits);
	AWAIT(!delayed_work_pending(&pc->journal.commit_work));
	pcache_io_credit(pc, 8);
	shim_join(task);
	CHECK(!timer_pending(&pc->journal.commit_work.timer));
	port_bdev_hold(f.h.disk, false);
	close_cache(&f);
}

static void meet_requeue(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, io.space_work);

	CHECK(pcache_io_queued(pc));
	pcache_io_credit(pc, 1000);
	flush_work(work);
	CHECK(pcache_io_queued(pc));
	port_bdev_hold(cancelled.f->h.disk, false);
}

/* Credit that comes while they are sent back has nobody taken from among them. */
static void test_credit_at_noflush(void)
{
	struct task_struct *task;
	struct fixture f;

	open_cache(&f, "2 dirty_high_percent 0");
	port_bdev_hold(f.h.disk, true);
	write_sectors(&f, 0, 8);
	flush(&f);
	AWAIT(in_flight(&f));
	task = shim_spawn("write", write_five, &f);
	AWAIT(status(&f).space_waits);
	cancelled.f = &f;
	cancelled.met = meet_requeue;
	CHECK(!dm_host_suspend(f.h.md, true));
	CHECK(!cancelled.met);
	CHECK(!dm_host_resume(f.h.md));
	shim_join(task);
	close_cache(&f);
}

static void read_something(void *arg)
{
	struct fixture *f = arg;
	void *buf;

	CHECK(!posix_memalign(&buf, PAGE_SIZE, PAGE_SIZE));
	CHECK_EQ(dm_host_rw(dm_host_bdev(f->h.md), REQ_OP_READ, 2040, buf, 8), 0);
	free(buf);
}

static void flush_message(void *arg)
{
	CHECK_EQ(message(arg, "flush"), 0);
}

/* While a read is under way few writes are, unless somebody waits for them. */
static void test_reads_first(void)
{
	struct task_struct *read, *task;
	struct fixture f;

	open_cache(&f, "");
	port_bdev_hold(f.h.disk, true);
	read = shim_spawn("read", read_something, &f);
	AWAIT(in_flight(&f) == 1);
	for (u32 i = 0; i < 60; i++)
		write_sectors(&f, i * 32, 8);
	flush(&f);
	AWAIT(in_flight(&f) >= 5);
	usleep(50000);
	CHECK_EQ(in_flight(&f), 5);
	task = shim_spawn("flush", flush_message, &f);
	AWAIT(in_flight(&f) == 61);
	port_bdev_hold(f.h.disk, false);
	shim_join(task);
	shim_join(read);
	/* Its end lets the rest go; and some go on before. */
	port_bdev_set_latency(f.h.disk, 100000);
	for (u32 i = 0; i < 60; i++) {
		write_sectors(&f, i * 32, 8);
		read_something(&f);
	}
	AWAIT(!dirty(&f));
	close_cache(&f);
}

/*
 * Drop
 */

static void test_drop_clean(void)
{
	struct host_status st;
	struct fixture f;

	open_cache(&f, "");
	CHECK_EQ(message(&f, "drop"), 0);
	random_writes(&f, 100, 20);
	CHECK_EQ(message(&f, "flush"), 0);
	fill_cache(&f);
	CHECK_EQ(message(&f, "drop"), 0);
	st = status(&f);
	CHECK_EQ(st.cached_sectors, 0);
	/* The log's two, and those that the data heads have open. */
	CHECK(st.segs_used <= 2 + num_possible_cpus());
	CHECK_EQ(message(&f, "drop"), 0);
	AWAIT(!shim_scheduled());
	check_all(&f);
	CHECK_EQ(status(&f).read_hits, st.read_hits);
	detach(&f);
	attach(&f, "");
	close_cache(&f);
}

/* What is clean behind something dirty is forgotten, and comes back with an attach only. */
static void test_drop_behind_dirty(void)
{
	struct host_status st;
	struct fixture f;

	open_cache(&f, "2 " HOUR);
	random_writes(&f, 100, 20);
	CHECK_EQ(message(&f, "flush"), 0);
	write_sectors(&f, 100, 8);
	fill_cache(&f);
	CHECK_EQ(message(&f, "drop"), 0);
	st = status(&f);
	CHECK_EQ(st.dirty_sectors, 8);
	CHECK_EQ(st.cached_sectors, 8);
	CHECK(st.key_tail[0] == st.dirty_tail[0] && st.key_tail[1] == st.dirty_tail[1]);
	write_sectors(&f, 300, 8);
	fill_cache(&f);
	detach(&f);
	attach(&f, "2 " HOUR);
	CHECK(status(&f).cached_sectors > SMALL_SECTORS / 2);
	check_all(&f);
	CHECK_EQ(dirty(&f), 16);
	close_cache(&f);
}

/* With nothing dirty nothing counts as covered for ever: writes go around the cache. */
static void test_drop_around(void)
{
	struct fixture f;
	u64 bypasses;

	open_cache(&f, "2 cache_mode writearound");
	random_writes(&f, 20, 20);
	fill_cache(&f);
	CHECK_EQ(message(&f, "drop"), 0);
	CHECK_EQ(status(&f).cached_sectors, 0);
	bypasses = status(&f).bypasses;
	random_writes(&f, 20, 20);
	CHECK(status(&f).bypasses >= bypasses + 20);
	CHECK_EQ(status(&f).cached_sectors, 0);
	close_cache(&f);
}

static void drop_often(void *arg)
{
	struct fixture *f = arg;

	for (u32 i = 0; i < 200; i++) {
		int r;

		shim_signal(current, i % 3 == 0);
		r = message(f, "drop");
		CHECK(!r || (r == -EINTR && i % 3 == 0), "%d", r);
	}
	shim_signal(current, false);
}

static void test_drop_under_load(void)
{
	static const struct writer how = {
		.max_sectors = 20, .writes = 1000, .flush_every = 10, .fua_every = 7,
	};
	struct task_struct *task;
	struct writer w[2];
	struct fixture f;

	open_cache(&f, "");
	start_writers(&f, w, 2, &how);
	task = shim_spawn("drop", drop_often, &f);
	for (u32 i = 0; i < 200; i++)
		CHECK_EQ(try_read(&f, rnd(f.sectors - 64), 64), 0);
	shim_join(task);
	join_writers(w, 2);
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(message(&f, "drop"), 0);
	CHECK_EQ(status(&f).cached_sectors, 0);
	close_cache(&f);
}

static void test_drop_refused(void)
{
	struct fixture f;

	open_cache(&f, "");
	write_sectors(&f, 0, 8);
	CHECK(!dm_host_suspend(f.h.md, false));
	CHECK_EQ(message(&f, "drop"), -EINVAL);
	CHECK(!dm_host_resume(f.h.md));
	CHECK_EQ(message(&f, "drop 1"), -EINVAL);
	detach(&f);
	CHECK(!try_attach(&f, "", true));
	CHECK_EQ(message(&f, "drop"), -EINVAL);
	detach(&f);
	fixture_close(&f);
}

static const struct test_case cases[] = {
	{ "young", test_young },
	{ "due", test_due },
	{ "absorbed", test_absorbed },
	{ "absorbed_in_epoch", test_absorbed_in_epoch },
	{ "cold_among_hot", test_cold_among_hot },
	{ "awaited", test_awaited },
	{ "awaited_too_late", test_awaited_too_late },
	{ "committed_before_failure", test_committed_before_failure },
	{ "committed_behind_round", test_committed_behind_round },
	{ "left_out_for_through", test_left_out_for_through },
	{ "space_needed", test_space_needed },
	{ "reclaim_wants", test_reclaim_wants },
	{ "clean_at_once", test_clean_at_once },
	{ "errors", test_errors },
	{ "low_mark", test_low_mark },
	{ "high_mark", test_high_mark },
	{ "credit", test_credit },
	{ "paced", test_paced },
	{ "paced_keeps_clean", test_paced_keeps_clean },
	{ "smooth", test_smooth },
	{ "gone", test_gone },
	{ "noflush", test_noflush },
	{ "credit_at_noflush", test_credit_at_noflush },
	{ "committed_at_once", test_committed_at_once },
	{ "reads_first", test_reads_first },
	{ "drop_clean", test_drop_clean },
	{ "drop_behind_dirty", test_drop_behind_dirty },
	{ "drop_around", test_drop_around },
	{ "drop_under_load", test_drop_under_load },
	{ "drop_refused", test_drop_refused },
};

int main(int argc, char **argv)
{
	return run_cases("pressure-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

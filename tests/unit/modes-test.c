// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cache modes: what is where when a write has ended, what reads fill, changes of a live
 * device, and what follows when the backing device fails.
 */
#include "fixture.h"

#define ALL_SECTORS	((sector_t)-1 >> 1)

static const char * const variants[] = { "writeback_order ordered data_crc false",
					 "writeback_order fast data_crc true", NULL };
static const char * const through_modes[] = { "writethrough", "writearound", NULL };

static void attach_mode(struct fixture *f, const char *mode, const char *options)
{
	char line[200];

	snprintf(line, sizeof(line), "%d %s%s%s", mode ? 6 : 4, options,
		 mode ? " cache_mode " : "", mode ?: "");
	attach(f, line);
}

static int set_mode(struct fixture *f, const char *mode)
{
	char text[50];

	snprintf(text, sizeof(text), "cache_mode %s", mode);
	return message(f, text);
}

static void fail_range(struct fixture *f, sector_t sector, sector_t n, u32 what)
{
	port_bdev_fault(f->h.disk, what, sector, n, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
}

static void heal(struct fixture *f)
{
	port_bdev_clear_faults(f->h.disk);
}

static void check_mode(struct fixture *f, const char *mode)
{
	CHECK_TEXT(status(f).cache_mode, mode);
}

static void check_range_on_disk(struct fixture *f, u32 at, u32 n)
{
	check_content("backing device", f->disk + (at << SECTOR_SHIFT), at, n, f->newest,
		      f->newest);
}

/* Whatever the log covers: what is acknowledged is on the backing device, durably. */
static void through_one(const char *mode, const char *options)
{
	struct port_bdev_stats before, after;
	struct fixture f;

	host_section("%s, %s", mode, options);
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, mode, options);
	check_mode(&f, mode);
	for (u32 i = 0; i < 200; i++) {
		u32 at = rnd(SMALL_SECTORS - 20), n = 1 + rnd(20);

		if (i % 4 == 3) {
			check_range(&f, at, n);
			continue;
		}
		port_bdev_get_stats(f.h.disk, &before);
		write_sectors(&f, at, n);
		port_bdev_get_stats(f.h.disk, &after);
		check_range_on_disk(&f, at, n);
		CHECK(after.flushes + after.fuas > before.flushes + before.fuas);
	}
	CHECK_EQ(status(&f).dirty_sectors, 0);
	CHECK(status(&f).fills > 0);
	check_all(&f);
	flush(&f);
	detach(&f);
	/* The medium keeps it. */
	attach_mode(&f, NULL, options);
	AWAIT(!strcmp(status(&f).cache_mode, mode));
	check_disk(&f);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_through(void)
{
	for (u32 m = 0; through_modes[m]; m++)
		for (u32 v = 0; variants[v]; v++)
			through_one(through_modes[m], variants[v]);
}

/* Around the cache goes what it has nothing of. */
static void test_around(void)
{
	struct host_status st;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writearound", variants[0]);
	write_sectors(&f, 100, 8);
	st = status(&f);
	CHECK_EQ(st.cached_sectors, 0);
	CHECK_EQ(st.bypasses, 1);
	CHECK_EQ(st.writes, 0);
	check_range(&f, 104, 8);
	AWAIT(status(&f).cached_sectors == 8);
	/* Now it has something, so that an old key must not hide what is written. */
	write_sectors(&f, 100, 8);
	st = status(&f);
	CHECK_EQ(st.writes, 1);
	CHECK_EQ(st.cached_sectors, 12);
	CHECK_EQ(st.dirty_sectors, 0);
	check_disk(&f);
	/* Beside it. */
	write_sectors(&f, 112, 4);
	CHECK_EQ(status(&f).writes, 1);
	check_range(&f, 100, 16);
	detach(&f);
	attach_mode(&f, NULL, variants[0]);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * The index forgets bad data while its key stays in the log: nothing may go around the
 * cache there, or the key would hide it after a power cut, when the data reads well again.
 */
static void test_forgotten(void)
{
	struct fixture f;
	u64 off, writes;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writethrough", variants[1]);
	write_sectors(&f, 100, 8);
	CHECK_EQ(set_mode(&f, "writearound"), 0);
	CHECK_EQ(set_mode(&f, "writeonly"), 0);
	off = place_of(&f, 100, f.newest[100]);
	f.media[off] ^= 1;
	check_range(&f, 100, 8);
	CHECK_EQ(status(&f).crc_errors, 1);
	CHECK_EQ(status(&f).cached_sectors, 0);
	f.media[off] ^= 1;
	CHECK_EQ(set_mode(&f, "writearound"), 0);
	writes = status(&f).writes;
	write_sectors(&f, 102, 2);
	CHECK_EQ(status(&f).writes, writes + 1);
	check_disk(&f);
	detach(&f);
	attach_mode(&f, NULL, variants[1]);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Keys that were logged again stand twice in the log, also after an attach. The index
 * loses both with the older one; the younger would hide what goes around the cache.
 */
static void logged_again_one(const char *options)
{
	struct fixture f;
	u64 writes;

	host_section("%s", options);
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writethrough", options);
	fail_range(&f, 104, 1, PORT_FAULT_WRITE);
	CHECK_EQ(try_write(&f, 100, 16, 0), -EIO);
	note_written(&f, 100, 16, false);
	check_range(&f, 100, 16);
	CHECK_EQ(status(&f).dirty_sectors, 8);
	detach(&f);
	heal(&f);
	attach_mode(&f, "writearound", options);
	AWAIT(status(&f).dirty_sectors == 0);
	CHECK_EQ(status(&f).cached_sectors, 16);
	CHECK_EQ(message(&f, "gc_percent 0"), 0);
	AWAIT(status(&f).cached_sectors == 0);
	writes = status(&f).writes;
	write_sectors(&f, 106, 2);
	CHECK_EQ(status(&f).writes, writes + 1);
	check_disk(&f);
	detach(&f);
	attach_mode(&f, NULL, options);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_logged_again(void)
{
	for (u32 v = 0; variants[v]; v++)
		logged_again_one(variants[v]);
}

static void test_writeonly(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writeonly", variants[0]);
	check_all(&f);
	write_sectors(&f, 10, 4);
	check_all(&f);
	CHECK_EQ(status(&f).fills, 0);
	CHECK_EQ(status(&f).cached_sectors, 4);
	CHECK_EQ(set_mode(&f, "writeback"), 0);
	check_all(&f);
	AWAIT(status(&f).fills > 0);
	detach(&f);
	fixture_close(&f);
}

struct changer {
	struct fixture *f;
	const char *mode;
	bool ended;
	int result;
};

static void run_changer(void *arg)
{
	struct changer *c = arg;

	c->result = set_mode(c->f, c->mode);
	WRITE_ONCE(c->ended, true);
}

static void check_table_has(struct fixture *f, const char *mode)
{
	char line[400];

	CHECK(!dm_host_status(f->h.md, STATUSTYPE_TABLE, 0, line, sizeof(line)));
	CHECK(strstr(line, mode), "%s in %s", mode, line);
}

/* To leave writeback all is written back first; that can be interrupted. */
static void change_one(const char *mode, const char *options)
{
	struct task_struct *task;
	struct fixture f;
	struct changer c;

	host_section("%s, %s", mode, options);
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writeback", options);
	fail_range(&f, 0, ALL_SECTORS, PORT_FAULT_WRITE);
	random_writes(&f, 10, 20);
	flush(&f);
	c = (struct changer) { .f = &f, .mode = mode };
	task = shim_spawn("changer", run_changer, &c);
	AWAIT(status(&f).writeback_errors >= 2);
	CHECK(!READ_ONCE(c.ended));
	check_mode(&f, "writeback");
	/* Writes are as before. */
	write_sectors(&f, 5, 5);
	shim_signal(task, true);
	shim_join(task);
	CHECK_EQ(c.result, -EINTR);
	check_mode(&f, "writeback");
	check_table_has(&f, "writeback");

	heal(&f);
	CHECK_EQ(set_mode(&f, mode), 0);
	check_mode(&f, mode);
	check_table_has(&f, mode);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	check_disk(&f);
	write_sectors(&f, 300, 30);
	check_disk(&f);
	CHECK_EQ(set_mode(&f, "writeonly"), 0);
	fail_range(&f, 0, ALL_SECTORS, PORT_FAULT_WRITE);
	write_sectors(&f, 310, 5);
	check_all(&f);
	heal(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_change(void)
{
	for (u32 m = 0; through_modes[m]; m++)
		for (u32 v = 0; variants[v]; v++)
			change_one(through_modes[m], variants[v]);
}

/* A table asks for it while the cache is dirty: it holds when that is written back. */
static void attach_dirty(const char *mode, const char *options)
{
	struct fixture f;
	char bad[100];

	host_section("%s, %s", mode, options);
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writeback", options);
	fail_range(&f, 0, ALL_SECTORS, PORT_FAULT_WRITE);
	random_writes(&f, 10, 20);
	write_sectors(&f, 400, 4);
	detach(&f);
	/* Of what was acknowledged, some can not be written. */
	heal(&f);
	fail_range(&f, 402, 1, PORT_FAULT_WRITE);
	attach_mode(&f, mode, options);
	AWAIT(status(&f).writeback_errors >= 3);
	check_mode(&f, "writeback");
	check_table_has(&f, mode);
	CHECK(status(&f).dirty_sectors > 0);
	heal(&f);
	AWAIT(!strcmp(status(&f).cache_mode, mode));
	CHECK_EQ(status(&f).dirty_sectors, 0);
	check_disk(&f);
	check_all(&f);
	detach(&f);
	snprintf(bad, sizeof(bad), "2 cache_mode %sx", mode);
	refusal(&f, bad, false);
	fixture_close(&f);
}

static void test_attach_dirty(void)
{
	for (u32 m = 0; through_modes[m]; m++)
		for (u32 v = 0; variants[v]; v++)
			attach_dirty(through_modes[m], variants[v]);
}

/* A write that fails is in the cache, and stays: reads, power cuts and write-back agree. */
static void fail_one(const char *mode, const char *options, u32 what)
{
	struct fixture f;

	host_section("%s, %s, faults %u", mode, options, what);
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, mode, options);
	random_writes(&f, 20, 20);
	write_sectors(&f, 500, 20);
	fail_range(&f, 504, 2, what);
	CHECK_EQ(try_write(&f, 500, 10, 0), -EIO);
	/* As it was, or as it should be; from now on the same. */
	note_written(&f, 500, 10, false);
	check_range(&f, 500, 10);
	check_range(&f, 480, 60);
	CHECK_EQ(dm_host_flush(dm_host_bdev(f.h.md)), 0);
	if (what == PORT_FAULT_WRITE) {
		/* It holds up nobody else. */
		for (u32 i = 0; i < 10; i++) {
			write_sectors(&f, 510 + 5 * i, 5);
			check_range_on_disk(&f, 510 + 5 * i, 5);
		}
		CHECK_EQ(try_write(&f, 503, 2, REQ_FUA), -EIO);
		note_written(&f, 503, 2, false);
	}
	CHECK(status(&f).dirty_sectors > 0);
	check_all(&f);
	detach(&f);
	heal(&f);
	attach_mode(&f, mode, options);
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	check_disk(&f);
	write_sectors(&f, 500, 10);
	check_disk(&f);
	check_mode(&f, mode);
	detach(&f);
	fixture_close(&f);
}

static void test_errors(void)
{
	for (u32 m = 0; through_modes[m]; m++)
		for (u32 v = 0; variants[v]; v++) {
			fail_one(through_modes[m], variants[v], PORT_FAULT_WRITE);
			fail_one(through_modes[m], variants[v], PORT_FAULT_WRITE | PORT_FAULT_FLUSH);
		}
}

/* Many at a time, in all modes one after another. */
static void test_load(void)
{
	static const char * const modes[] = {
		"writethrough", "writearound", "writeonly", "writearound", "writeback",
	};
	const struct writer how = {
		.max_sectors = 40, .writes = 100000, .flush_every = 7, .fua_every = 5,
	};

	for (u32 v = 0; variants[v]; v++) {
		struct writer w[4];
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach_mode(&f, "writearound", variants[v]);
		start_writers(&f, w, ARRAY_SIZE(w), &how);
		for (u32 i = 0; i < 20; i++) {
			usleep(20000);
			CHECK_EQ(set_mode(&f, modes[i % ARRAY_SIZE(modes)]), 0);
			check_mode(&f, modes[i % ARRAY_SIZE(modes)]);
		}
		for (u32 i = 0; i < ARRAY_SIZE(w); i++)
			WRITE_ONCE(w[i].writes, 0);
		join_writers(w, ARRAY_SIZE(w));
		check_all(&f);
		CHECK_EQ(set_mode(&f, "writethrough"), 0);
		check_disk(&f);
		detach(&f);
		fixture_close(&f);
	}
}

struct in_flight {
	struct fixture *f;
	u32 sector, sectors;
	void *buf;
	bool ended;
	int error;
};

static void io_ended(void *data, int error)
{
	struct in_flight *w = data;

	w->error = error;
	smp_store_release(&w->ended, true);
}

static void begin_write(struct in_flight *w, struct fixture *f, u32 sector, u32 sectors)
{
	*w = (struct in_flight) { .f = f, .sector = sector, .sectors = sectors };
	CHECK(!posix_memalign(&w->buf, PAGE_SIZE, sectors << SECTOR_SHIFT));
	next_versions(f, w->buf, sector, sectors);
	note_written(f, sector, sectors, false);
	dm_host_rw_async(dm_host_bdev(f->h.md), REQ_OP_WRITE, sector, w->buf, sectors,
			 io_ended, w);
}

static void end_io(struct in_flight *w, int error)
{
	AWAIT(smp_load_acquire(&w->ended));
	CHECK_EQ(w->error, error);
	free(w->buf);
}

/* What comes while a write waits goes behind it, whatever it needs itself. */
static void test_order_of_waiting(void)
{
	struct in_flight first, waits, later;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writearound", variants[0]);
	port_bdev_hold(f.h.disk, true);
	begin_write(&first, &f, 100, 8);
	CHECK_EQ(status(&f).space_waits, 0);
	begin_write(&waits, &f, 104, 8);
	CHECK_EQ(status(&f).space_waits, 1);
	begin_write(&later, &f, 500, 8);
	CHECK_EQ(status(&f).space_waits, 2);
	port_bdev_hold(f.h.disk, false);
	end_io(&first, 0);
	end_io(&waits, 0);
	end_io(&later, 0);
	check_all(&f);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

/* While a write waits, reads fill nothing: what room there is, is for the write. */
static void test_no_fill_while_a_write_waits(void)
{
	struct in_flight first, waits, read = { };
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writearound", variants[0]);
	port_bdev_hold(f.h.disk, true);
	begin_write(&first, &f, 100, 8);
	begin_write(&waits, &f, 104, 8);
	CHECK_EQ(status(&f).space_waits, 1);
	CHECK(!posix_memalign(&read.buf, PAGE_SIZE, PAGE_SIZE));
	dm_host_rw_async(dm_host_bdev(f.h.md), REQ_OP_READ, 500, read.buf, 8, io_ended, &read);
	port_bdev_hold(f.h.disk, false);
	end_io(&first, 0);
	end_io(&waits, 0);
	end_io(&read, 0);
	AWAIT(shim_scheduled() == 0);
	CHECK_EQ(status(&f).fills, 0);
	check_range(&f, 500, 8);
	AWAIT(status(&f).fills == 1);
	detach(&f);
	fixture_close(&f);
}

static u32 disk_in_flight(struct fixture *f)
{
	struct port_bdev_stats st;

	port_bdev_get_stats(f->h.disk, &st);
	return st.in_flight;
}

/* A write that came while a round failed is not told of that: it has not been tried. */
static void test_error_of_another(void)
{
	struct in_flight first, second;
	struct host_status before;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writethrough", variants[0]);
	fail_range(&f, 100, 8, PORT_FAULT_WRITE);
	port_bdev_hold(f.h.disk, true);
	begin_write(&first, &f, 100, 8);
	AWAIT(disk_in_flight(&f) == 1);
	before = status(&f);
	begin_write(&second, &f, 500, 8);
	AWAIT(status(&f).key_head[1] != before.key_head[1]);
	port_bdev_hold(f.h.disk, false);
	end_io(&second, 0);
	end_io(&first, -EIO);
	heal(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	check_all(&f);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * The mode is changed while a round is under way that fails: what it could not write has
 * been acknowledged since, so it stays in its place, and dirty_tail before it.
 */
static void test_mode_changed_meanwhile(void)
{
	struct host_status before, after;
	struct in_flight write;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach_mode(&f, "writethrough", variants[0]);
	fail_range(&f, 100, 8, PORT_FAULT_WRITE);
	port_bdev_hold(f.h.disk, true);
	begin_write(&write, &f, 100, 64);
	AWAIT(disk_in_flight(&f) == 1);
	before = status(&f);
	CHECK_EQ(set_mode(&f, "writeback"), 0);
	port_bdev_hold(f.h.disk, false);
	AWAIT(status(&f).writeback_errors >= 4);
	after = status(&f);
	CHECK_EQ(after.dirty_tail[0], before.dirty_tail[0]);
	CHECK_EQ(after.dirty_tail[1], before.dirty_tail[1]);
	end_io(&write, -EIO);
	heal(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	check_all(&f);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

static const struct test_case cases[] = {
	{ "through", test_through },
	{ "around", test_around },
	{ "forgotten", test_forgotten },
	{ "logged_again", test_logged_again },
	{ "writeonly", test_writeonly },
	{ "change", test_change },
	{ "attach_dirty", test_attach_dirty },
	{ "errors", test_errors },
	{ "order_of_waiting", test_order_of_waiting },
	{ "error_of_another", test_error_of_another },
	{ "no_fill_while_a_write_waits", test_no_fill_while_a_write_waits },
	{ "mode_changed_meanwhile", test_mode_changed_meanwhile },
	{ "load", test_load },
};

int main(int argc, char **argv)
{
	return run_cases("modes-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

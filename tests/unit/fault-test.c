// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Failures, as in the table of doc/dm-pcache.rst: of the backing device, of the
 * cache device's memory, of allocations; and a suspend at a bad moment.
 */
#include "fixture.h"

#define ALL_SECTORS	((sector_t)-1 >> 1)

static void fail_writes(struct fixture *f, int times)
{
	port_bdev_fault(f->h.disk, PORT_FAULT_WRITE, 0, ALL_SECTORS, times, BLK_STS_IOERR);
}

static struct port_bdev_stats disk_stats(struct fixture *f)
{
	struct port_bdev_stats stats;

	port_bdev_get_stats(f->h.disk, &stats);
	return stats;
}

/* All is on the backing device, and both alone and together they hold it. */
static void check_clean(struct fixture *f)
{
	CHECK_EQ(message(f, "flush"), 0);
	CHECK_EQ(status(f).dirty_sectors, 0);
	check_disk(f);
	check_all(f);
}

/*
 * Writes what stays dirty, because the backing device fails from now on. There is
 * room for it: all in the log before it is clean.
 */
static void make_dirty(struct fixture *f)
{
	port_bdev_clear_faults(f->h.disk);
	CHECK_EQ(message(f, "flush"), 0);
	fail_writes(f, PORT_FAULT_ALWAYS);
	write_sectors(f, 30, 10);
	random_writes(f, 5, 20);
}

/* Nothing of the target runs, writes or is about to. */
static void check_idle(struct fixture *f)
{
	struct port_bdev_stats before, after;
	struct host_status st1, st2;

	AWAIT(shim_scheduled() == 0);
	st1 = status(f);
	before = disk_stats(f);
	usleep(100000);
	after = disk_stats(f);
	st2 = status(f);
	CHECK_EQ(shim_scheduled(), 0);
	CHECK_EQ(after.writes, before.writes);
	CHECK_EQ(after.flushes, before.flushes);
	CHECK(st1.key_head[0] == st2.key_head[0] && st1.key_head[1] == st2.key_head[1]);
}

static const char * const variants[] = {
	"2 writeback_order ordered",
	"2 writeback_order fast",
	"4 writeback_order ordered data_crc true",
	"4 writeback_order fast data_crc true",
};

#define for_each_variant(v) \
	for (const char *const *v = variants; v < variants + ARRAY_SIZE(variants); v++)

/*
 * The backing device
 */

/* @times errors of writes under load, then none. */
static void write_errors(const char *options, int times)
{
	const struct writer how = { .max_sectors = 24, .writes = 150, .flush_every = 13 };
	struct writer w[2];
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, options);
	fail_writes(&f, times);
	start_writers(&f, w, 2, &how);
	join_writers(w, 2);
	AWAIT(disk_stats(&f).failed >= times);
	check_clean(&f);
	CHECK(status(&f).writeback_errors > 0);
	CHECK(host_logged("write-back failed; data stays dirty, tries go on"));
	CHECK(dm_host_events(f.h.md) > 0);
	detach(&f);
	check_disk(&f);
	fixture_close(&f);
}

static void test_write_errors(void)
{
	for_each_variant(v) {
		write_errors(*v, 1);
		write_errors(*v, 7);
	}
}

/*
 * What is written while dirty_tail is held up stays dirty: a later try writes it again,
 * maybe older data first. However many tries there are, the log gets no longer.
 */
static void test_held_up_stays_dirty(void)
{
	struct host_status first;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "2 writeback_order ordered");
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 300, 10, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	write_sectors(&f, 100, 10);
	write_sectors(&f, 300, 10);
	flush(&f);
	first = status(&f);
	AWAIT(status(&f).writeback_errors >= first.writeback_errors + 3);
	CHECK_EQ(status(&f).dirty_sectors, 20);
	CHECK_EQ(status(&f).key_head[0], first.key_head[0]);
	CHECK_EQ(status(&f).key_head[1], first.key_head[1]);
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Nothing can be written: the cache fills up, writes wait, reads go on. When the
 * device comes back, all of them end.
 */
static void test_device_gone_and_back(void)
{
	const struct writer how = { .max_sectors = 60, .writes = 120 };

	for_each_variant(v) {
		struct fixture f;
		struct writer w[2];
		u64 errors;
		u32 done;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		random_writes(&f, 10, 60);
		flush(&f);
		port_bdev_fault(f.h.disk, PORT_FAULT_WRITE | PORT_FAULT_FLUSH, 0, ALL_SECTORS,
				PORT_FAULT_ALWAYS, BLK_STS_IOERR);
		start_writers(&f, w, 2, &how);
		AWAIT(status(&f).space_waits >= 1);
		AWAIT(status(&f).writeback_errors >= 2);
		usleep(50000);
		done = READ_ONCE(w[0].done) + READ_ONCE(w[1].done);
		CHECK(done < 240);
		/* Reads of what is not cached go to the backing device. */
		for (u32 i = 0; i < 50; i++)
			CHECK_EQ(try_read(&f, rnd(SMALL_SECTORS - 8), 8), 0);
		CHECK_TEXT(status(&f).state, "rw");
		CHECK_EQ(READ_ONCE(w[0].done) + READ_ONCE(w[1].done), done);
		/* Those that wait make nobody try all the time. */
		errors = status(&f).writeback_errors;
		usleep(300000);
		CHECK(status(&f).writeback_errors < errors + 1000);

		port_bdev_clear_faults(f.h.disk);
		join_writers(w, 2);
		check_clean(&f);
		CHECK(host_logged("write-back works again"));
		detach(&f);
		fixture_close(&f);
	}
}

/* The backing device serves nothing at all: what is cached, dirty or clean, is read. */
static void test_hits_without_device(void)
{
	for_each_variant(v) {
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		write_sectors(&f, 100, 40);
		CHECK_EQ(message(&f, "flush"), 0);
		port_bdev_fault(f.h.disk, PORT_FAULT_READ | PORT_FAULT_WRITE | PORT_FAULT_FLUSH, 0,
				ALL_SECTORS, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
		write_sectors(&f, 120, 40);
		flush(&f);
		AWAIT(status(&f).writeback_errors >= 1);
		check_range(&f, 100, 60);
		CHECK_EQ(try_read(&f, 90, 20), -EIO);
		CHECK_EQ(try_read(&f, 500, 8), -EIO);
		check_range(&f, 100, 60);
		CHECK_TEXT(status(&f).state, "rw");

		/* Nor is it needed to attach, and to read what the log has. */
		detach(&f);
		attach(&f, "");
		check_range(&f, 100, 60);
		write_sectors(&f, 90, 20);
		check_range(&f, 90, 70);
		port_bdev_clear_faults(f.h.disk);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

/* A FLUSH that fails: nothing that it covers counts as clean. */
static void test_flush_errors(void)
{
	for_each_variant(v) {
		u8 tails[PCACHE_TAILS_BYTES];
		struct host_status st;
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		port_bdev_fault(f.h.disk, PORT_FAULT_FLUSH, 0, 0, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
		memcpy(tails, f.media + PCACHE_CTRL_OFF, sizeof(tails));
		write_sectors(&f, 40, 50);
		flush(&f);
		AWAIT(status(&f).writeback_errors >= 2);
		st = status(&f);
		CHECK_EQ(st.dirty_sectors, 50);
		CHECK_EQ(st.dirty_tail[1], 0);
		CHECK_EQ(st.writeback_sectors, 0);
		CHECK(!memcmp(tails, f.media + PCACHE_CTRL_OFF, sizeof(tails)));
		check_all(&f);

		/* Nor after a detach: it is still dirty then. */
		detach(&f);
		attach(&f, *v);
		CHECK_EQ(status(&f).dirty_sectors, 50);
		port_bdev_clear_faults(f.h.disk);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

static void test_read_errors(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	write_sectors(&f, 100, 8);
	port_bdev_fault(f.h.disk, PORT_FAULT_READ, 200, 4, PORT_FAULT_ALWAYS, BLK_STS_MEDIUM);
	CHECK_EQ(try_read(&f, 200, 1), -ENODATA);
	CHECK_EQ(try_read(&f, 190, 20), -ENODATA);
	CHECK_EQ(try_read(&f, 90, 130), -ENODATA);
	check_range(&f, 180, 20);
	check_range(&f, 204, 20);
	check_range(&f, 100, 8);
	/* What is written there is read from the cache. */
	write_sectors(&f, 201, 2);
	check_range(&f, 201, 2);
	CHECK_EQ(try_read(&f, 200, 4), -ENODATA);
	port_bdev_clear_faults(f.h.disk);
	check_all(&f);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Many times the size of the cache: the bad sector stays, and stays alone. Each time the
 * cache is full a pause of a second ends.
 */
static void writes_beside_bad_sector(struct fixture *f)
{
	double begun = host_seconds();

	for (u32 i = 0; i < 1000; i++) {
		u32 at = 100 + rnd(SMALL_SECTORS - 160);

		write_sectors(f, at, 1 + rnd(60));
	}
	CHECK(host_seconds() - begun < 4, "%f s", host_seconds() - begun);
}

/*
 * One bad sector: with "fast" all else is written, and soon; with "ordered" at
 * least the rest of its epoch.
 */
static void one_bad_sector(const char *options, bool fast)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, options);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 77, 1, PORT_FAULT_ALWAYS, BLK_STS_MEDIUM);
	write_sectors(&f, 77, 1);
	write_sectors(&f, 300, 40);
	flush(&f);
	AWAIT(version_of(f.disk + (300 << SECTOR_SHIFT), 300) == 1);
	/* Pauses have grown by now; what can be written does not wait for their end. */
	AWAIT(status(&f).writeback_errors >= 3);
	for (u32 round = 0; round < 5; round++) {
		write_sectors(&f, 400, 40);
		flush(&f);
	}
	if (fast) {
		double begun = host_seconds();

		AWAIT(version_of(f.disk + (400 << SECTOR_SHIFT), 400) == 5);
		CHECK(host_seconds() - begun < 1.5, "%f s", host_seconds() - begun);
		AWAIT(status(&f).dirty_sectors == 1);
	} else {
		usleep(100000);
		CHECK_EQ(version_of(f.disk + (400 << SECTOR_SHIFT), 400), 0);
	}
	check_all(&f);
	if (fast)
		writes_beside_bad_sector(&f);
	check_all(&f);
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_one_bad_sector(void)
{
	one_bad_sector(variants[0], false);
	one_bad_sector(variants[1], true);
	one_bad_sector(variants[3], true);
}

/*
 * The cache is full of clean data, all of it behind one bad sector, and nothing else is dirty:
 * with "fast" a write gets room all the same.
 */
static void test_room_behind_bad_sector(void)
{
	for (u32 v = 1; v < ARRAY_SIZE(variants); v += 2) {
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, variants[v]);
		port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 77, 1, PORT_FAULT_ALWAYS,
				BLK_STS_MEDIUM);
		write_sectors(&f, 77, 1);
		flush(&f);
		AWAIT(status(&f).writeback_errors >= 1);
		/* The last ones take what room the heads still have. */
		for (u32 size = 64; size; size /= 2)
			for (u32 at = 0; at < SMALL_SECTORS; at += size)
				check_range(&f, at, size);
		CHECK_EQ(status(&f).dirty_sectors, 1);
		for (u32 i = 0; i < 20; i++)
			write_sectors(&f, 100 + 60 * i, 60);
		CHECK(status(&f).space_waits >= 1);
		check_all(&f);
		port_bdev_clear_faults(f.h.disk);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

static void note_end(void *data, int error)
{
	CHECK_EQ(error, 0);
	WRITE_ONCE(*(bool *)data, true);
}

/*
 * What is written while a read of the same sectors is on its way to the backing
 * device is not replaced by what that read brings.
 */
static void test_void_fills(void)
{
	for_each_variant(v) {
		struct fixture f;
		void *buf;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		CHECK(!posix_memalign(&buf, PAGE_SIZE, 60 << SECTOR_SHIFT));
		attach(&f, *v);
		for (u32 i = 0; i < 50; i++) {
			u32 at = 40 * i, n = 1 + rnd(40);
			bool ended = false;

			port_bdev_hold(f.h.disk, true);
			dm_host_rw_async(dm_host_bdev(f.h.md), REQ_OP_READ, at, buf, 40, note_end,
					 &ended);
			write_sectors(&f, at + rnd(40 - n + 1), n);
			if (i % 3 == 0)
				flush(&f);
			port_bdev_hold(f.h.disk, false);
			AWAIT(READ_ONCE(ended));
			check_range(&f, at, 40);
		}
		detach(&f);
		attach(&f, "");
		check_all(&f);
		check_clean(&f);
		detach(&f);
		free(buf);
		fixture_close(&f);
	}
}

/*
 * Media errors in data
 */

/* Damages where the newest version of a sector is stored. */
static void spoil(struct fixture *f, u32 sector, bool poison)
{
	u64 off = place_of(f, sector, f->newest[sector]);

	if (poison)
		port_pmem_poison(f->h.pmem, off + 64 * rnd(8), 64);
	else
		f->media[off + rnd(SECTOR_SIZE)] ^= 1 << rnd(8);
}

static void bad_clean_data(const char *options, bool poison)
{
	struct host_status st;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	port_pmem_heal_by_store(f.h.pmem, true);
	attach(&f, options);
	write_sectors(&f, 64, 64);
	CHECK_EQ(message(&f, "flush"), 0);
	spoil(&f, 70, poison);
	spoil(&f, 120, poison);
	check_range(&f, 64, 64);
	st = status(&f);
	CHECK_EQ(poison ? st.media_errors : st.crc_errors, poison ? 1 : 2);
	CHECK_EQ(poison ? st.crc_errors : st.media_errors, 0);
	CHECK(host_logged(poison ? "media error in clean data" : "CRC error in clean data"));
	check_range(&f, 64, 64);
	check_all(&f);
	st = status(&f);
	CHECK_EQ(st.media_errors + st.crc_errors, poison ? 1 : 2);
	random_writes(&f, 100, 50);
	check_clean(&f);
	detach(&f);
	attach(&f, options);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_bad_clean_data(void)
{
	bad_clean_data("", true);
	bad_clean_data("2 data_crc true", false);
}

/* In how many segments data could not be read by now, as find_bad() has it. */
struct bad_segs {
	bool bad[SMALL_SEGS];
	u32 nr;
};

/* Makes what a sector has unreadable, and has it read. */
static void find_bad(struct fixture *f, struct bad_segs *segs, u32 sector, int err)
{
	u32 seg = (place_of(f, sector, f->newest[sector]) - seg_off(0)) / PCACHE_SEG_BYTES;

	spoil(f, sector, true);
	CHECK_EQ(try_read(f, sector, 1), err);
	segs->nr += !segs->bad[seg];
	segs->bad[seg] = true;
}

/* Writes, and reads, are served without anything new in the cache. */
static void check_worn(struct fixture *f)
{
	struct host_status before, st;

	AWAIT(!strcmp(status(f).cache_mode, "writearound"));
	CHECK_TEXT(status(f).wear, "worn");
	CHECK_TEXT(status(f).state, "rw");
	before = status(f);
	CHECK_EQ(before.dirty_sectors, 0);
	/* Where nothing was forgotten, a stretch further on. */
	write_sectors(f, PCACHE_STRETCH_SECTORS + 500, 40);
	check_range(f, PCACHE_STRETCH_SECTORS + 400, 300);
	st = status(f);
	CHECK_EQ(st.cached_sectors, before.cached_sectors);
	CHECK_EQ(st.fills, before.fills);
	check_disk(f);
	/* Where the log covers something it has to be told. */
	write_sectors(f, 300, 8);
	CHECK_EQ(status(f).dirty_sectors, 0);
	check_disk(f);
	before = status(f);
	check_range(f, 300, 8);
	CHECK_EQ(status(f).read_hits, before.read_hits + 1);
}

static void worn(const char *options)
{
	struct bad_segs segs = { };
	struct fixture f;

	host_section("%s", options);
	fixture_open(&f, SMALL_SEGS, 2 * PCACHE_STRETCH_SECTORS);
	port_pmem_heal_by_store(f.h.pmem, true);
	attach(&f, options);
	for (u32 at = 0; at < 424; at += 8)
		write_sectors(&f, at, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	write_sectors(&f, 640, 8);
	for (u32 at = 0; segs.nr < 4; at += 8) {
		CHECK_TEXT(status(&f).wear, "-");
		CHECK(at < 424);
		find_bad(&f, &segs, at, 0);
		CHECK_EQ(try_read(&f, at, 8), 0);
	}
	CHECK(host_logged("data of 4 of 16 segments could not be read"));
	check_worn(&f);
	CHECK_EQ(message(&f, "cache_mode writeback"), 0);
	check_worn(&f);
	CHECK(!dm_host_suspend(f.h.md, false));
	CHECK(!dm_host_resume(f.h.md));
	check_worn(&f);
	random_writes(&f, 200, 30);
	check_all(&f);
	check_disk(&f);
	detach(&f);
	attach(&f, "");
	CHECK_TEXT(status(&f).wear, "-");
	CHECK_TEXT(status(&f).cache_mode, "writeback");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* Errors of the cache device pile up: nothing new is left to it, before it fails. */
static void test_worn(void)
{
	for_each_variant(v)
		worn(*v);
	worn("2 writeback_delay_ms 3600000");
	worn("2 cache_mode writeonly");
}

/* What a read-only table has found holds for the next one, from the first that it finds on. */
static void test_worn_read_only(void)
{
	struct bad_segs segs = { };
	struct fixture f;
	char line[64];
	u32 at;

	fixture_open(&f, SMALL_SEGS, 2 * PCACHE_STRETCH_SECTORS);
	port_pmem_heal_by_store(f.h.pmem, true);
	attach(&f, "");
	for (at = 0; at < 640; at += 8)
		write_sectors(&f, at, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	detach(&f);
	host_attach_ro(&f.h, "");
	for (at = 0; segs.nr < 4; at += 8)
		find_bad(&f, &segs, at, 0);
	CHECK_TEXT(status(&f).wear, "-");
	snprintf(line, sizeof(line), "0 %u pcache pmem0 vda", f.sectors);
	CHECK(!dm_host_load(f.h.md, line, false, f.error, sizeof(f.error)));
	CHECK(!dm_host_resume(f.h.md));
	CHECK_TEXT(status(&f).wear, "-");
	/* In a segment that is known to be bad. */
	find_bad(&f, &segs, at + 8, 0);
	CHECK_EQ(segs.nr, 4);
	check_worn(&f);
	detach(&f);
	fixture_close(&f);
}

#define BAD	700

/* Of sectors around BAD, what is bad and what is not. */
static void check_bad(struct fixture *f, u32 bad, u32 bad_sectors)
{
	for (u32 at = BAD - 40; at < BAD + 40; at++) {
		if (at >= bad && at < bad + bad_sectors)
			CHECK_EQ(try_read(f, at, 1), -EIO);
		else
			check_range(f, at, 1);
	}
	CHECK_EQ(try_read(f, BAD - 8, 16), -EIO);
	check_range(f, 0, BAD - 40);
	check_range(f, BAD + 40, SMALL_SECTORS - BAD - 40);
}

/*
 * Dirty data goes bad: it is an error, and nothing else is, until it is written
 * again; all else gets to the backing device; then nothing runs any more.
 */
static void bad_dirty_data(const char *options, bool poison)
{
	bool crc = strstr(options, "data_crc true");
	u32 bad = BAD, bad_sectors = 1;
	struct host_status st;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	port_pmem_heal_by_store(f.h.pmem, true);
	attach(&f, options);
	random_writes(&f, 20, 50);
	CHECK_EQ(message(&f, "flush"), 0);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	write_sectors(&f, 10, 20);
	flush(&f);
	if (crc) {
		/* The key is what can be verified: it is bad as a whole. */
		bad = BAD - 1;
		bad_sectors = 3;
		/* The end of a segment would make two keys of it. */
		do
			write_sectors(&f, bad, bad_sectors);
		while (place_of(&f, bad + 2, f.newest[bad + 2]) !=
		       place_of(&f, bad, f.newest[bad]) + 2 * SECTOR_SIZE);
	} else {
		write_sectors(&f, BAD - 20, 40);
	}
	write_sectors(&f, 1000, 20);
	flush(&f);
	/* No try to write it is under way then. */
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	spoil(&f, BAD, poison);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(dm_host_resume(f.h.md), 0);

	CHECK_EQ(message(&f, "flush"), -EIO);
	check_bad(&f, bad, bad_sectors);
	st = status(&f);
	CHECK_EQ(st.dirty_sectors, bad_sectors);
	CHECK(poison ? st.media_errors : st.crc_errors);
	/* The log says less when it would have to say it often. */
	CHECK(options != variants[0] || host_logged("media error in dirty data of sectors 700"));
	for (u32 at = 0; at < SMALL_SECTORS; at++)
		if (at < bad || at >= bad + bad_sectors)
			check_content("backing device", f.disk + (at << SECTOR_SHIFT), at, 1,
				      f.newest, f.newest);
	if (poison)
		check_idle(&f);
	CHECK_EQ(message(&f, "flush"), -EIO);

	detach(&f);
	attach(&f, "");
	check_bad(&f, bad, bad_sectors);
	CHECK_EQ(status(&f).dirty_sectors, bad_sectors);

	/* The log goes around the cache: what is bad stays where it is. */
	for (u32 i = 0; i < 200; i++) {
		write_sectors(&f, 800 + rnd(500), 1 + rnd(60));
		if (i % 20 == 0)
			flush(&f);
	}
	CHECK_EQ(message(&f, "flush"), -EIO);
	CHECK_EQ(status(&f).dirty_sectors, bad_sectors);
	CHECK(status(&f).reclaimed_segments > SMALL_SEGS);
	check_bad(&f, bad, bad_sectors);
	if (poison && !crc)
		check_idle(&f);

	/* A part is written again. */
	if (crc) {
		write_sectors(&f, bad, 1);
		bad++;
		bad_sectors--;
		CHECK_EQ(message(&f, "flush"), -EIO);
		check_bad(&f, bad, bad_sectors);
		CHECK_EQ(status(&f).dirty_sectors, bad_sectors);
		detach(&f);
		attach(&f, "");
		check_bad(&f, bad, bad_sectors);
	}
	write_sectors(&f, bad, bad_sectors);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	check_clean(&f);
	/* And its segment can be used again. */
	random_writes(&f, 200, 60);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_bad_dirty_data(void)
{
	for_each_variant(v) {
		bad_dirty_data(*v, true);
		if (strstr(*v, "data_crc true"))
			bad_dirty_data(*v, false);
	}
}

/* All that is dirty is bad, at many places: write-back ends, and so does all else. */
static void test_much_bad_dirty_data(void)
{
	for_each_variant(v) {
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		port_pmem_heal_by_store(f.h.pmem, true);
		attach(&f, *v);
		fail_writes(&f, PORT_FAULT_ALWAYS);
		for (u32 at = 0; at < 500; at += 5) {
			write_sectors(&f, at, 1);
			if (at % 25 == 0)
				flush(&f);
		}
		flush(&f);
		CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
		for (u32 at = 0; at < 500; at += 5)
			port_pmem_poison(f.h.pmem, place_of(&f, at, 1), 64);
		port_bdev_clear_faults(f.h.disk);
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		CHECK_EQ(message(&f, "flush"), -EIO);
		CHECK_EQ(status(&f).dirty_sectors, 100);
		check_idle(&f);
		for (u32 i = 0; i < 100; i++)
			write_sectors(&f, 600 + rnd(600), 1 + rnd(60));
		CHECK_EQ(message(&f, "flush"), -EIO);
		CHECK_EQ(status(&f).dirty_sectors, 100);
		check_range(&f, 600, 700);
		for (u32 at = 0; at < 500; at += 5)
			CHECK_EQ(try_read(&f, at, 1), -EIO);
		detach(&f);
		attach(&f, "");
		for (u32 at = 0; at < 500; at += 5)
			CHECK_EQ(try_read(&f, at, 1), -EIO);
		for (u32 at = 0; at < 500; at += 5)
			write_sectors(&f, at, 1);
		/* The log, too, may use these places now, and is stored in smaller pieces. */
		port_pmem_heal(f.h.pmem, 0, f.media_bytes);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

/* Data segments that one log segment, and what is held back for the log, leave. */
#define HELD_SEGS	(SMALL_SEGS - 1 - 4)

/*
 * Each segment that data may have holds a sector that goes bad: sectors 0 to
 * HELD_SEGS - 1, of an epoch each. Else nothing is dirty.
 */
static void hold_segments(struct fixture *f)
{
	fail_writes(f, PORT_FAULT_ALWAYS);
	for (u32 at = 0; at < HELD_SEGS; at++) {
		write_sectors(f, at, 1);
		for (u32 left = PCACHE_DATA_SECTORS - 1, n; left; left -= n) {
			n = min(left, 200);
			write_sectors(f, 1000, n);
		}
		flush(f);
	}
	CHECK_EQ(dm_host_suspend(f->h.md, false), 0);
	for (u32 at = 0; at < HELD_SEGS; at++)
		port_pmem_poison(f->h.pmem, place_of(f, at, f->newest[at]), 64);
	port_bdev_clear_faults(f->h.disk);
	CHECK_EQ(dm_host_resume(f->h.md), 0);
	CHECK_EQ(message(f, "flush"), -EIO);
	CHECK_EQ(status(f).dirty_sectors, HELD_SEGS);
}

/*
 * Bad data holds all segments that writes could get: these end with an error, and with
 * one segment less they do not. Reads go on.
 */
static void no_room(const char *options)
{
	bool crc = strstr(options, "data_crc true");
	struct fixture f;
	u32 events;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, options);
	hold_segments(&f);
	CHECK_TEXT(status(&f).room, "-");
	events = dm_host_events(f.h.md);
	CHECK_EQ(try_write(&f, 500, 8, 0), -EIO);
	CHECK(host_logged("no room for writes, and nothing can make any: 11 of 16 segments"));
	CHECK_TEXT(status(&f).room, "no_room");
	CHECK_TEXT(status(&f).state, "rw");
	AWAIT(dm_host_events(f.h.md) > events);
	host_clear_log();
	CHECK_EQ(try_write(&f, 0, 1, REQ_FUA), -EIO);
	CHECK_EQ(try_write(&f, 1100, 8, 0), -EIO);
	CHECK(!host_logged("no room for writes"));
	flush(&f);
	CHECK_EQ(message(&f, "flush"), -EIO);
	check_range(&f, HELD_SEGS, SMALL_SECTORS - HELD_SEGS);
	for (u32 at = 0; at < HELD_SEGS; at++)
		CHECK_EQ(try_read(&f, at, 1), -EIO);
	check_idle(&f);

	detach(&f);
	attach(&f, "");
	CHECK_EQ(try_write(&f, 500, 8, 0), -EIO);
	CHECK_EQ(status(&f).dirty_sectors, HELD_SEGS);
	if (!crc) {
		/* What is written then is of a segment that only reclaim has made free. */
		port_pmem_heal(f.h.pmem, place_of(&f, 7, f.newest[7]), 64);
		write_sectors(&f, 500, 8);
		CHECK(host_logged("writes find room again"));
		CHECK_TEXT(status(&f).room, "-");
		check_range(&f, 7, 1);
		port_pmem_heal(f.h.pmem, 0, f.media_bytes);
		check_clean(&f);
	}
	detach(&f);
	fixture_close(&f);
}

static void test_no_room(void)
{
	for_each_variant(v)
		no_room(*v);
}

/*
 * What was read has taken all room behind dirty data that is bad. Only when that has been
 * logged again can the keys behind it be passed, and a write have their place.
 */
static void clean_behind_bad(const char *options)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, 2 * SMALL_SEGS * PCACHE_DATA_SECTORS);
	attach(&f, options);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	write_sectors(&f, BAD, 1);
	flush(&f);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	spoil(&f, BAD, true);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(message(&f, "flush"), -EIO);
	for (u32 at = BAD + 1; at + 200 <= f.sectors; at += 200)
		check_range(&f, at, 200);
	for (u32 left = 2 * PCACHE_DATA_SECTORS, n; left; left -= n) {
		n = min(left, 100);
		write_sectors(&f, 1 + left % 500, n);
	}
	CHECK_EQ(message(&f, "flush"), -EIO);
	CHECK_EQ(status(&f).dirty_sectors, 1);
	CHECK_EQ(try_read(&f, BAD, 1), -EIO);
	check_range(&f, 0, BAD);
	detach(&f);
	fixture_close(&f);
}

static void test_clean_behind_bad(void)
{
	for_each_variant(v)
		clean_behind_bad(*v);
}

/*
 * Media errors in metadata
 */

/* Attaches with one part of the medium unreadable; what was written is there. */
static void attach_poisoned(struct fixture *f, u64 off, u32 bytes, const char *what)
{
	int r;

	port_pmem_poison(f->h.pmem, off, bytes);
	r = try_attach(f, "2 format never", false);
	CHECK(!r, "%s is unreadable: %s", what, f->error);
	check_all(f);
	make_dirty(f);
	check_all(f);
	detach(f);
	/* Unless a store has healed it, it is still unreadable. */
	r = try_attach(f, "2 format never", false);
	CHECK(!r, "%s is unreadable, second attach: %s", what, f->error);
	check_all(f);
	detach(f);
	port_pmem_heal(f->h.pmem, 0, f->media_bytes);
}

/* No attach, neither way, and nothing is stored. */
static void refuse_poisoned(struct fixture *f, u64 off, u32 bytes, const char *expected)
{
	u8 *before = malloc(f->media_bytes);

	memcpy(before, f->media, f->media_bytes);
	port_pmem_poison(f->h.pmem, off, bytes);
	CHECK_TEXT(refusal(f, "", false), expected);
	CHECK_TEXT(refusal(f, "", true), expected);
	CHECK_TEXT(refusal(f, "2 format force", false), expected);
	port_pmem_heal(f->h.pmem, 0, f->media_bytes);
	CHECK(!memcmp(before, f->media, f->media_bytes));
	free(before);
}

static void test_bad_metadata(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	random_writes(&f, 100, 50);
	make_dirty(&f);
	detach(&f);

	for (u32 slot = 0; slot < 2; slot++) {
		attach_poisoned(&f, PCACHE_INFO_OFF + slot * PCACHE_INFO_STRIDE, 64, "cache_info");
		attach_poisoned(&f, PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE, 256,
				"extension block");
		for (u32 seg = 0; seg < SMALL_SEGS; seg += 5)
			attach_poisoned(&f, seg_off(seg) + slot * PCACHE_SEG_INFO_STRIDE, 64,
					"seg_info");
	}
	attach_poisoned(&f, PCACHE_CTRL_OFF, 64, "tails after a clean detach");

	refuse_poisoned(&f, PCACHE_SUPER_OFF, 64, "Cache super-block cannot be read (media error)");
	refuse_poisoned(&f, PCACHE_INFO_OFF, 2 * PCACHE_INFO_STRIDE,
			"Cache information: both copies are invalid");
	refuse_poisoned(&f, PCACHE_EXT_OFF, 2 * PCACHE_EXT_STRIDE,
			"Cache extension block: no copy can be read (media error)");
	refuse_poisoned(&f, seg_off(3), 2 * PCACHE_SEG_INFO_STRIDE,
			"Cache segment information: both copies are invalid");
	refuse_poisoned(&f, seg_off(3) + PCACHE_SEG_GEN_OFF, 64,
			"Cache segment generation: both copies are invalid");

	/* All of it is still there. */
	attach(&f, "");
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

/* The tails can't be read, and there was no clean detach: nobody knows the log. */
static void test_bad_tails_after_crash(void)
{
	struct fixture f;
	u8 *image;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	image = malloc(f.media_bytes);
	attach(&f, "");
	random_writes(&f, 50, 20);
	flush(&f);
	memcpy(image, f.media, f.media_bytes);
	detach(&f);
	memcpy(f.media, image, f.media_bytes);
	refuse_poisoned(&f, PCACHE_CTRL_OFF, 64,
			"Cache key_tail: both copies are invalid, or its place is not allowed");
	attach(&f, "");
	check_all(&f);
	detach(&f);
	free(image);
	fixture_close(&f);
}

/* A kset in the midst of the log can't be read: what is before it is served. */
static void bad_kset(u32 nr, bool clean_detach)
{
	struct kset_place ksets[64];
	u32 known[32], nr_ksets;
	struct host_status st;
	struct fixture f;
	u8 *before, *image;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	before = malloc(f.media_bytes);
	image = malloc(f.media_bytes);
	attach(&f, "");
	fail_writes(&f, PORT_FAULT_ALWAYS);
	for (u32 i = 0; i < 32; i++) {
		known[i] = i * 20;
		write_sectors(&f, known[i], 10);
		flush(&f);
	}
	st = status(&f);
	memcpy(image, f.media, f.media_bytes);
	detach(&f);
	if (!clean_detach)
		memcpy(f.media, image, f.media_bytes);
	nr_ksets = find_ksets(&f, st.key_tail[0], st.key_tail[1], ksets, ARRAY_SIZE(ksets));
	CHECK_EQ(nr_ksets, 32);

	memcpy(before, f.media, f.media_bytes);
	/* Its end, which may share a line with the next one. */
	port_pmem_poison(f.h.pmem, ksets[nr].off + PCACHE_KSET_BYTES(1) - 1, 1);
	CHECK_TEXT(refusal(&f, "", false),
		   "Cache log is damaged (see the kernel log): attach read-only, or repair");
	CHECK(host_logged("log is damaged at"));
	CHECK_TEXT(refusal(&f, "2 format force", false),
		   "Cache device holds a pcache with dirty data or damage, which format force does not overwrite");
	host_attach_ro(&f.h, "");
	CHECK_TEXT(status(&f).state, "ro");
	CHECK_TEXT(status(&f).needs_check, "needs_check");
	for (u32 i = 0; i < 32; i++) {
		if (i >= nr)
			f.newest[known[i]] = 0;
		check_range(&f, known[i], 1);
		f.newest[known[i]] = 1;
	}
	detach(&f);
	CHECK(!memcmp(before, f.media, f.media_bytes));

	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	attach(&f, "");
	CHECK_TEXT(status(&f).needs_check, "-");
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	free(before);
	free(image);
	fixture_close(&f);
}

static void test_bad_kset(void)
{
	bad_kset(0, true);
	bad_kset(0, false);
	bad_kset(15, true);
	bad_kset(15, false);
	bad_kset(31, true);
	bad_kset(31, false);
}

/* Damages a kset: it cannot be read, or, whole, has a key that is not allowed. */
static void damage_kset(struct fixture *f, const struct kset_place *at, bool poison)
{
	struct pcache_media_kset *ks = (void *)f->media + at->off;
	struct pcache_media_key *key = (void *)(ks + 1);

	if (poison) {
		port_pmem_poison(f->h.pmem, at->off + PCACHE_KSET_BYTES(1) - 1, 1);
		return;
	}
	key->flags ^= cpu_to_le32(1);
	mend_crc(ks, PCACHE_KSET_BYTES(at->keys));
}

static void mend_kset(struct fixture *f, const struct kset_place *at, bool poison)
{
	if (poison)
		port_pmem_heal(f->h.pmem, 0, f->media_bytes);
	else
		damage_kset(f, at, poison);
}

/*
 * A kset goes bad while the cache runs: it fails, and says so. @clean: one that reclaim
 * has to pass, not write-back.
 */
static void bad_kset_at_run_time(bool clean, bool poison)
{
	struct kset_place ksets[16];
	struct host_status st;
	struct fixture f;
	u32 nr = clean ? 0 : 5;
	char line[64];

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	write_sectors(&f, 500, 20);
	CHECK_EQ(message(&f, "flush"), 0);
	if (!clean)
		fail_writes(&f, PORT_FAULT_ALWAYS);
	for (u32 i = 0; i < 10; i++) {
		write_sectors(&f, i * 20, 10);
		flush(&f);
	}
	if (clean)
		CHECK_EQ(message(&f, "flush"), 0);
	st = status(&f);
	CHECK_EQ(find_ksets(&f, st.key_tail[0], st.key_tail[1], ksets, ARRAY_SIZE(ksets)), 11);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	damage_kset(&f, &ksets[nr], poison);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	/* When it fails the key of this is not committed yet: it is lost, which a FLUSH tells. */
	if (clean)
		write_sectors(&f, 600, 10);
	if (clean)
		CHECK_EQ(message(&f, "gc_percent 0"), 0);
	else
		CHECK_EQ(message(&f, "flush"), -EIO);
	AWAIT(!strcmp(status(&f).state, "fail"));
	CHECK_EQ(dm_host_flush(dm_host_bdev(f.h.md)), -EIO);
	CHECK(host_logged(clean ? "failed: a kset at key_tail cannot be read" :
			  "failed: a kset behind dirty_tail cannot be read"));
	CHECK_EQ(try_write(&f, 0, 1, 0), -EIO);
	CHECK_EQ(message(&f, "flush"), -EIO);
	check_all(&f);
	check_idle(&f);
	/* Nor does another table change that. */
	snprintf(line, sizeof(line), "0 %u pcache pmem0 vda", f.sectors);
	CHECK_EQ(dm_host_load(f.h.md, line, true, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_TEXT(status(&f).state, "fail");
	check_all(&f);
	detach(&f);
	CHECK_TEXT(refusal(&f, "", false),
		   "Cache log is damaged (see the kernel log): attach read-only, or repair");
	mend_kset(&f, &ksets[nr], poison);
	attach(&f, "");
	write_sectors(&f, 600, 10);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_bad_kset_at_run_time(void)
{
	bad_kset_at_run_time(false, true);
	bad_kset_at_run_time(false, false);
	bad_kset_at_run_time(true, true);
	bad_kset_at_run_time(true, false);
}

/*
 * Messages and suspend
 */

/* In cleaner mode what is acknowledged is on the backing device, durably. */
static void test_cleaner(void)
{
	const struct writer how = { .max_sectors = 30, .writes = 40 };

	for_each_variant(v) {
		struct fixture f;
		struct writer w;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		random_writes(&f, 20, 20);
		CHECK_EQ(message(&f, "cleaner"), 0);
		for (u32 i = 0; i < 50; i++) {
			u32 at = rnd(SMALL_SECTORS - 20), n = 1 + rnd(20);
			u64 flushes = disk_stats(&f).flushes;

			write_sectors(&f, at, n);
			check_content("backing device", f.disk + (at << SECTOR_SHIFT), at, n,
				      f.newest, f.newest);
			CHECK(disk_stats(&f).flushes > flushes);
		}
		fail_writes(&f, PORT_FAULT_ALWAYS);
		start_writers(&f, &w, 1, &how);
		usleep(100000);
		CHECK_EQ(READ_ONCE(w.done), 0);
		port_bdev_clear_faults(f.h.disk);
		join_writers(&w, 1);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

struct flusher {
	struct fixture *f;
	bool ended;
	int result;
};

static void run_flusher(void *arg)
{
	struct flusher *fl = arg;

	fl->result = message(fl->f, "flush");
	WRITE_ONCE(fl->ended, true);
}

/* The message waits while the backing device fails, and can be interrupted. */
static void test_flush_message(void)
{
	struct flusher fl = { };
	struct task_struct *task;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	fail_writes(&f, PORT_FAULT_ALWAYS);
	random_writes(&f, 10, 20);
	fl.f = &f;
	task = shim_spawn("flusher", run_flusher, &fl);
	AWAIT(status(&f).writeback_errors >= 2);
	CHECK(!READ_ONCE(fl.ended));
	shim_signal(task, true);
	shim_join(task);
	CHECK_EQ(fl.result, -EINTR);

	fl.ended = false;
	task = shim_spawn("flusher", run_flusher, &fl);
	usleep(100000);
	CHECK(!READ_ONCE(fl.ended));
	port_bdev_clear_faults(f.h.disk);
	shim_join(task);
	CHECK_EQ(fl.result, 0);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

/* Nothing can be written back: what is clean makes room for fills all the same. */
static void test_fills_while_writes_fail(void)
{
	struct host_status st;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "2 gc_percent 70");
	for (u32 at = 0; at < 600; at += 20)
		write_sectors(&f, at, 20);
	CHECK_EQ(message(&f, "flush"), 0);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	write_sectors(&f, 600, 1);
	AWAIT(status(&f).writeback_errors >= 1);
	st = status(&f);
	CHECK_EQ(st.reclaimed_segments, 0);
	CHECK_EQ(st.dirty_sectors, 1);
	for (u32 at = 700; at + 20 < SMALL_SECTORS; at += 20)
		CHECK_EQ(try_read(&f, at, 20), 0);
	AWAIT(status(&f).reclaimed_segments > 0);
	CHECK_EQ(status(&f).dirty_sectors, 1);
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

/* The cache is full, the backing device fails: a noflush suspend ends all the same. */
static void test_noflush_suspend(void)
{
	const struct writer how = { .max_sectors = 60, .writes = 120 };

	for_each_variant(v) {
		struct fixture f;
		struct writer w[2];

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		fail_writes(&f, PORT_FAULT_ALWAYS);
		start_writers(&f, w, 2, &how);
		for (u32 i = 0; i < 3; i++) {
			AWAIT(status(&f).space_waits >= 2 + 2 * i);
			CHECK_EQ(dm_host_suspend(f.h.md, true), 0);
			CHECK_EQ(dm_host_in_flight(f.h.md), 0);
			AWAIT(shim_scheduled() == 0);
			CHECK_EQ(dm_host_resume(f.h.md), 0);
		}
		CHECK_EQ(dm_host_suspend(f.h.md, true), 0);
		port_bdev_clear_faults(f.h.disk);
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		join_writers(w, 2);
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

static void run_suspend(void *arg)
{
	struct flusher *fl = arg;

	fl->result = dm_host_suspend(fl->f->h.md, true);
	WRITE_ONCE(fl->ended, true);
}

/* A noflush suspend is given up: what finds no room waits again, and is not sent back. */
static void test_suspend_given_up(void)
{
	const struct writer how = { .max_sectors = 60, .writes = 60 };
	struct flusher fl = { };
	struct task_struct *task;
	struct fixture f;
	struct writer w[2];
	bool ended = false;
	void *buf;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	CHECK(!posix_memalign(&buf, PAGE_SIZE, SECTOR_SIZE));
	attach(&f, "");
	port_bdev_hold(f.h.disk, true);
	dm_host_rw_async(dm_host_bdev(f.h.md), REQ_OP_READ, 100, buf, 1, note_end, &ended);
	fl.f = &f;
	task = shim_spawn("suspender", run_suspend, &fl);
	usleep(50000);
	CHECK(!READ_ONCE(fl.ended));
	shim_signal(task, true);
	shim_join(task);
	CHECK_EQ(fl.result, -EINTR);
	port_bdev_hold(f.h.disk, false);
	AWAIT(READ_ONCE(ended));

	fail_writes(&f, PORT_FAULT_ALWAYS);
	start_writers(&f, w, 2, &how);
	AWAIT(status(&f).space_waits >= 2);
	port_bdev_clear_faults(f.h.disk);
	join_writers(w, 2);
	check_clean(&f);
	detach(&f);
	free(buf);
	fixture_close(&f);
}

static void test_suspend_cycles(void)
{
	const struct writer how = { .max_sectors = 40, .writes = 400, .flush_every = 9 };

	for_each_variant(v) {
		struct fixture f;
		struct writer w[2];

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		start_writers(&f, w, 2, &how);
		for (u32 i = 0; i < 20; i++) {
			usleep(rnd(5000));
			CHECK_EQ(dm_host_suspend(f.h.md, i % 2), 0);
			AWAIT(shim_scheduled() == 0);
			CHECK_EQ(dm_host_resume(f.h.md), 0);
		}
		join_writers(w, 2);
		check_all(&f);
		detach(&f);
		attach(&f, "");
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

static void test_flush_on_suspend(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	CHECK_EQ(message(&f, "flush_on_suspend"), 0);
	port_bdev_hold(f.h.disk, true);
	random_writes(&f, 20, 20);
	port_bdev_hold(f.h.disk, false);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	check_disk(&f);
	CHECK_EQ(dm_host_resume(f.h.md), 0);

	/* With a backing device that fails it gives up, and says so. */
	fail_writes(&f, PORT_FAULT_ALWAYS);
	random_writes(&f, 20, 20);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK(host_logged("flush on suspend: not all could be written back"));
	CHECK(host_logged("dirty sectors in the cache"));
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	check_all(&f);
	port_bdev_clear_faults(f.h.disk);
	detach(&f);
	check_disk(&f);
	fixture_close(&f);
}

/* Removal keeps dirty data, and says how much. */
static void test_removal(void)
{
	for_each_variant(v) {
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		for (u32 i = 0; i < 10; i++) {
			make_dirty(&f);
			host_clear_log();
			detach(&f);
			CHECK(host_logged("dirty sectors in the cache"));
			port_bdev_clear_faults(f.h.disk);
			attach(&f, "");
			check_all(&f);
		}
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

/*
 * Allocations
 */

static u32 failing_percent;
static u64 alloc_state;
static int allocs_left;

static bool fail_some(gfp_t gfp, size_t size)
{
	u64 n = __atomic_add_fetch(&alloc_state, 0x9e3779b97f4a7c15ULL, __ATOMIC_RELAXED);

	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return (n >> 33) % 100 < READ_ONCE(failing_percent);
}

static bool fail_all(gfp_t gfp, size_t size)
{
	return true;
}

static bool fail_one(gfp_t gfp, size_t size)
{
	return __atomic_sub_fetch(&allocs_left, 1, __ATOMIC_RELAXED) == 0;
}

/* One allocation of an attach after another fails: a message, or all is well. */
static void test_alloc_at_attach(void)
{
	u32 failed = 0, nr = 0;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	random_writes(&f, 60, 30);
	detach(&f);
	do {
		struct mapped_device *md = dm_host_create("short of memory");
		int r;

		allocs_left = ++nr;
		f.error[0] = '\0';
		port_set_alloc_failure(fail_one);
		r = dm_host_load(md, "0 2048 pcache pmem0 vda", false, f.error, sizeof(f.error));
		r = r ?: dm_host_resume(md);
		port_set_alloc_failure(NULL);
		if (!r) {
			f.h.md = md;
			check_all(&f);
			detach(&f);
		} else {
			CHECK_EQ(r, -ENOMEM);
			CHECK(!f.error[0] || strstr(f.error, "Cannot allocate memory"),
			      "allocation %u: %s", nr, f.error);
			CHECK(!dm_host_remove(md));
			failed++;
		}
	} while (allocs_left <= 0);
	CHECK(failed > 10, "%u failed, %u tried", failed, nr);
	attach(&f, "");
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

/* The same while a format is under way, which can be repeated then. */
static void test_alloc_at_format(void)
{
	u32 failed = 0, nr = 0;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	do {
		memset(f.media, 0, f.media_bytes);
		f.h.md = dm_host_create("short of memory");
		CHECK(!dm_host_load(f.h.md, "0 2048 pcache pmem0 vda", false, NULL, 0));
		allocs_left = ++nr;
		port_set_alloc_failure(fail_one);
		failed += dm_host_resume(f.h.md) == -ENOMEM;
		port_set_alloc_failure(NULL);
		CHECK(!dm_host_resume(f.h.md));
		write_sectors(&f, rnd(SMALL_SECTORS - 8), 8);
		CHECK_EQ(message(&f, "flush"), 0);
		check_range(&f, 0, 100);
		detach(&f);
	} while (allocs_left <= 0);
	CHECK(failed > 2, "%u failed, %u tried", failed, nr);
	attach(&f, "2 format never");
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_alloc_at_run_time(void)
{
	const struct writer how = { .max_sectors = 40, .writes = 250, .flush_every = 11 };

	for_each_variant(v) {
		struct fixture f;
		struct writer w[2];

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, *v);
		alloc_state = rnd(1 << 30);
		for (failing_percent = 10; failing_percent <= 90; failing_percent += 40) {
			port_set_alloc_failure(fail_some);
			start_writers(&f, w, 2, &how);
			for (u32 i = 0; i < 100; i++)
				CHECK_EQ(try_read(&f, rnd(SMALL_SECTORS - 40), 40), 0);
			join_writers(w, 2);
			port_set_alloc_failure(NULL);
			check_all(&f);
		}
		CHECK_TEXT(status(&f).state, "rw");
		check_clean(&f);
		detach(&f);
		fixture_close(&f);
	}
}

/*
 * Write-back goes on although no allocation succeeds: with what it has in reserve, in
 * rounds that are as small as it takes. With @fail the disk fails meanwhile, too.
 */
static void writeback_without_memory(const char *options, bool fail)
{
	const u32 nr = SMALL_SECTORS / 2;
	struct fixture f;
	u64 errors;

	fixture_open(&f, 2 * SMALL_SEGS, SMALL_SECTORS);
	attach(&f, options);
	port_bdev_hold(f.h.disk, true);
	/* All of one epoch; no two are next to each other, nor come in order. */
	for (u32 i = 0; i < nr; i++)
		write_sectors(&f, i * 37 % nr * 2, 1);
	flush(&f);
	CHECK_EQ(status(&f).dirty_sectors, nr);
	port_set_alloc_failure(fail_all);
	if (fail)
		fail_writes(&f, PORT_FAULT_ALWAYS);
	port_bdev_hold(f.h.disk, false);
	if (fail) {
		errors = status(&f).writeback_errors;
		AWAIT(status(&f).writeback_errors > errors + nr / 4);
		CHECK_EQ(status(&f).dirty_sectors, nr);
		port_bdev_clear_faults(f.h.disk);
	}
	AWAIT(status(&f).dirty_sectors == 0);
	port_set_alloc_failure(NULL);
	check_disk(&f);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* What must not wait gets no memory. */
static bool fail_at_once(gfp_t gfp, size_t size)
{
	return !gfpflags_allow_blocking(gfp);
}

/* So many segments are free: the data heads get none of the last ones. */
#define NONE_FOR_DATA	4

static u32 free_segs(struct fixture *f)
{
	struct host_status st = status(f);

	return st.cache_segs - st.segs_used;
}

/* A write finds room, but no memory at once: it does not wait for room then. */
static void test_no_memory_is_not_no_room(void)
{
	struct fixture f;
	u64 waits;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	fail_writes(&f, PORT_FAULT_ALWAYS);
	for (u32 at = 0; free_segs(&f) > NONE_FOR_DATA; at++)
		write_sectors(&f, at % 1000, 1);
	waits = status(&f).space_waits;
	port_set_alloc_failure(fail_at_once);
	for (u32 i = 0; i < 60 && status(&f).space_waits == waits; i++)
		write_sectors(&f, 1001 + 2 * i, 1);
	port_set_alloc_failure(NULL);
	CHECK(status(&f).space_waits > waits);
	port_bdev_clear_faults(f.h.disk);
	check_clean(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_writeback_without_memory(void)
{
	for_each_variant(v) {
		writeback_without_memory(*v, false);
		writeback_without_memory(*v, true);
	}
}

/*
 * What happens in between
 */

/**
 * struct meanwhile - what another task does at an allocation
 * @f: with which cache
 * @task: whose allocation; NULL: anybody's
 * @size: its size
 * @fn: what is done
 * @armed: it has not been done yet
 * @go: it is to be done
 * @done: it has been
 * @doer: who does it
 */
static struct meanwhile {
	struct fixture *f;
	struct task_struct *task;
	size_t size;
	void (*fn)(struct fixture *f);
	bool armed;
	struct completion go;
	struct completion done;
	struct task_struct *doer;
} meanwhile;

static void do_meanwhile(void *arg)
{
	wait_for_completion(&meanwhile.go);
	meanwhile.fn(meanwhile.f);
	complete(&meanwhile.done);
}

static bool wait_meanwhile(gfp_t gfp, size_t size)
{
	if (size != meanwhile.size || (meanwhile.task && meanwhile.task != current) ||
	    !__atomic_exchange_n(&meanwhile.armed, false, __ATOMIC_ACQ_REL))
		return false;
	complete(&meanwhile.go);
	wait_for_completion(&meanwhile.done);
	return false;
}

/* At the next allocation of @size, by @task if there is one, @fn is done, once. */
static void begin_meanwhile(struct fixture *f, struct task_struct *task, size_t size,
			    void (*fn)(struct fixture *f))
{
	meanwhile = (struct meanwhile) {
		.f = f, .task = task, .size = size, .fn = fn, .armed = true,
	};
	init_completion(&meanwhile.go);
	init_completion(&meanwhile.done);
	meanwhile.doer = shim_spawn("meanwhile", do_meanwhile, NULL);
	port_set_alloc_failure(wait_meanwhile);
}

/* It has been done. */
static void end_meanwhile(void)
{
	port_set_alloc_failure(NULL);
	CHECK(!__atomic_load_n(&meanwhile.armed, __ATOMIC_ACQUIRE));
	shim_join(meanwhile.doer);
}

static void write_all_but_bad(struct fixture *f)
{
	port_bdev_clear_faults(f->h.disk);
	CHECK_EQ(message(f, "flush"), -EIO);
}

/*
 * Between a reader's look-up and its reading, write-back gets to the backing device what
 * can be read of an extent. The rest is as dirty as before, and no older data of the
 * backing device may be read in its stead.
 */
static void test_clean_in_part(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "2 data_crc false");
	fail_writes(&f, PORT_FAULT_ALWAYS);
	write_sectors(&f, BAD - 20, 40);
	flush(&f);
	/* No try to write it is under way then. */
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	spoil(&f, BAD, true);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	/* Behind the look-up it takes a page for what lies before the extent. */
	begin_meanwhile(&f, current, PAGE_SIZE, write_all_but_bad);
	CHECK_EQ(try_read(&f, BAD - 24, 44), -EIO);
	end_meanwhile();
	CHECK_EQ(status(&f).dirty_sectors, 1);
	check_bad(&f, BAD, 1);
	detach(&f);
	fixture_close(&f);
}

/* Sectors that go bad, one after each so many; their keys do not fit into one kset. */
#define BAD_STRIDE	5
#define BAD_SECTORS	(PCACHE_KSET_KEYS + 20)
/* The first one that does not fit. */
#define BAD_REWRITTEN	(PCACHE_KSET_KEYS * BAD_STRIDE)

static void rewrite_bad(struct fixture *f)
{
	write_sectors(f, BAD_REWRITTEN, 1);
}

static void check_rewritten(struct fixture *f)
{
	for (u32 at = 0; at < BAD_SECTORS * BAD_STRIDE; at += BAD_STRIDE)
		if (at != BAD_REWRITTEN)
			CHECK_EQ(try_read(f, at, 1), -EIO);
	check_range(f, BAD_REWRITTEN, 1);
	CHECK_EQ(status(f).dirty_sectors, BAD_SECTORS - 1);
}

/*
 * What is unreadable is written once more after it was found to be live, and before its
 * key is logged again: write-back then waits for memory, because a kset is full.
 */
static void written_while_logged_again(const char *options)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, options);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	for (u32 i = 0; i < BAD_SECTORS; i++)
		write_sectors(&f, i * BAD_STRIDE, 1);
	/* There is something else to write, too. */
	write_sectors(&f, 1500, 8);
	flush(&f);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	for (u32 i = 0; i < BAD_SECTORS; i++)
		port_pmem_poison(f.h.pmem, place_of(&f, i * BAD_STRIDE, 1), 64);
	port_bdev_clear_faults(f.h.disk);
	begin_meanwhile(&f, NULL, sizeof(struct pcache_kset), rewrite_bad);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(message(&f, "flush"), -EIO);
	end_meanwhile();
	check_rewritten(&f);
	detach(&f);
	attach(&f, "");
	check_rewritten(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_written_while_logged_again(void)
{
	for_each_variant(v)
		written_while_logged_again(*v);
}

/*
 * A host of another kind
 */

/* A cache without Device-Mapper, formatted, not running, and nobody to tell of events. */
static struct pcache *make_bare(struct fixture *f, u32 segs, u32 sectors)
{
	struct pcache_config config = { .name = "bare" };
	const char *error = NULL;
	struct pcache *pc;

	fixture_open(f, segs, sectors);
	attach(f, "");
	detach(f);
	config.media = f->media;
	config.media_bytes = f->media_bytes;
	config.backing = f->h.disk;
	CHECK(!pcache_parse_options(0, NULL, &config.options, NULL, 0));
	pc = pcache_create(&config, &error);
	CHECK(!IS_ERR(pc), "%s", error);
	return pc;
}

static void drop_bare(struct fixture *f, struct pcache *pc)
{
	pcache_destroy(pc);
	fixture_close(f);
}

static void bare_end(struct bio *bio)
{
	complete(bio->bi_private);
}

/* What becomes of a bio with @n sectors of @buf; none for a FLUSH. */
static blk_status_t submit_bare(struct pcache *pc, blk_opf_t op, sector_t sector, void *buf, u32 n)
{
	struct bio *bio = bio_alloc(pc->backing, 1, op, GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(done);
	struct pcache_request rq;
	blk_status_t status;

	if (n)
		__bio_add_page(bio, virt_to_page(buf), n << SECTOR_SHIFT, offset_in_page(buf));
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = &done;
	bio->bi_end_io = bare_end;
	pcache_submit(pc, &rq, bio);
	wait_for_completion(&done);
	status = bio->bi_status;
	bio_put(bio);
	return status;
}

static void test_bare(void)
{
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);

	CHECK(!pcache_resume(pc));
	CHECK_EQ(submit_bare(pc, REQ_OP_FLUSH, 0, NULL, 0), BLK_STS_OK);
	CHECK_EQ(submit_bare(pc, REQ_OP_SECURE_ERASE, 0, NULL, 0), BLK_STS_NOTSUPP);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_FLUSHES), 1);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	pcache_suspend(pc);
	/* As a message that came too late. */
	CHECK_EQ(pcache_writeback_flush(pc, false), -EIO);
	drop_bare(&f, pc);
}

struct epoch_waiter {
	struct pcache *pc;
	struct pcache_waiter waiter;
	bool marked;
	struct completion done;
};

static void note_mark(struct pcache_waiter *w, int err)
{
	struct epoch_waiter *e = container_of(w, struct epoch_waiter, waiter);

	CHECK_EQ(err, 0);
	e->marked = e->pc->journal.open->epoch;
	complete(&e->done);
}

static bool still_right(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr, void *arg)
{
	return true;
}

/*
 * A FLUSH that finds all committed, by the timer: before it is acknowledged, what
 * anybody logs from then on belongs to the next epoch.
 */
static void test_epoch_before_end(void)
{
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_journal *j = &pc->journal;
	struct epoch_waiter e = { .pc = pc, .waiter = { .done = note_mark, .epoch = true } };
	struct pcache_extent key = { .sector = 40, .sectors = 8, .key_sectors = 8 };
	struct pcache_room room;

	init_completion(&e.done);
	CHECK(!pcache_resume(pc));
	CHECK(pcache_room_get(pc, key.sectors, &room));
	key.seg = room.seg;
	key.off = room.off;
	CHECK_EQ(pcache_log_extents(pc, pcache_index_shard(pc, key.sector), &key, 1,
				    PCACHE_WAITS_FOR_INDEX, still_right, NULL), 0);
	pcache_seg_put(pc, room.seg, 1);
	mod_delayed_work(pc->log_wq, &j->commit_work, 0);
	flush_workqueue(pc->log_wq);
	CHECK_EQ(j->open->nr_keys, 0);
	CHECK(!j->open->epoch);
	pcache_journal_flush(pc, &e.waiter);
	wait_for_completion(&e.done);
	CHECK(e.marked);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* The middle of an extent becomes clean without memory for a split: from the reserve. */
static void test_clean_without_memory(void)
{
	struct pcache_extent e = { .sector = 40, .sectors = 30, .seg = 1, .off = 8 };
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_shard *sh = pcache_index_shard(pc, e.sector);
	struct pcache_extent part = pcache_extent_part(&e, 50, 60), found;

	port_set_alloc_failure(fail_all);
	pcache_index_lock_wait(pc, sh, 1);
	pcache_index_insert(pc, sh, &e);
	spin_unlock(&sh->lock);
	CHECK_EQ(sh->tree.nr_spares, 0);
	pcache_index_clean(pc, &part);
	port_set_alloc_failure(NULL);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS), 20);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), 30);
	spin_lock(&sh->lock);
	for (u32 at = 40; at < 70; at += 10) {
		CHECK(pcache_tree_first(&sh->tree, at, &found));
		CHECK(found.sector == at && found.sectors == 10 && found.clean == (at == 50),
		      "%u sectors at %llu", found.sectors, (unsigned long long)found.sector);
	}
	spin_unlock(&sh->lock);
	drop_bare(&f, pc);
}

/* What an extent of a batch has become in the index, by its number. */
enum { THE_SAME, REWRITTEN, HALF_REWRITTEN, DISCARDED, USED, CLEAN, NOT_IN_BATCH, BECOMES };

static u32 becomes(u32 i)
{
	/* Longer than one hold of a lock, over the end of a stretch. */
	return i < 700 ? i * 37 % BECOMES : THE_SAME;
}

static struct pcache_extent nth_extent(u32 i)
{
	return (struct pcache_extent) {
		.sector = i * 16, .sectors = 8, .seg = 1 + i % 3, .off = i * 8,
		.key_sectors = 8,
	};
}

static void put_into_index(struct pcache *pc, const struct pcache_extent *e)
{
	struct pcache_shard *sh = pcache_index_shard(pc, e->sector);

	pcache_index_lock_wait(pc, sh, 1);
	pcache_index_insert(pc, sh, e);
	spin_unlock(&sh->lock);
}

static void change_nth(struct pcache *pc, u32 i)
{
	struct pcache_extent e = nth_extent(i);
	struct pcache_shard *sh = pcache_index_shard(pc, e.sector);

	switch (becomes(i)) {
	case HALF_REWRITTEN:
		e.sectors = 4;
		fallthrough;
	case REWRITTEN:
		e.seg = 5;
		put_into_index(pc, &e);
		break;
	case DISCARDED:
		pcache_index_discard(pc, e.sector, e.sectors);
		break;
	case USED:
		CHECK(pcache_tree_look_up(&sh->tree, e.sector, e.sector + 8, true, &e));
		break;
	case CLEAN:
		pcache_index_clean(pc, &e);
		break;
	}
}

static void check_nth(struct pcache *pc, u32 i)
{
	struct pcache_extent e = nth_extent(i), is;
	struct pcache_tree *t = &pcache_index_shard(pc, e.sector)->tree;
	u32 now = becomes(i);

	CHECK(pcache_tree_first(t, e.sector + 7, &is) && is.sector < e.sector + 8);
	CHECK(is.clean == (now != REWRITTEN && now != DISCARDED && now != NOT_IN_BATCH),
	      "extent %u, which is %u", i, now);
	CHECK_EQ(is.used, now == USED);
	CHECK_EQ(is.discarded, now == DISCARDED);
	CHECK(pcache_tree_first(t, e.sector, &is) && is.sector == e.sector);
	CHECK(now != HALF_REWRITTEN || (!is.clean && is.seg == 5));
}

/* A batch becomes clean at once: what the index has as it is in the batch, and the rest. */
static void test_clean_all(void)
{
	const u32 nr = 1500;
	u32 dirty = 0, cached = 0;
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_delta ignored = { };

	for (u32 i = 0; i < nr; i++) {
		struct pcache_extent e = nth_extent(i);

		put_into_index(pc, &e);
		if (becomes(i) != NOT_IN_BATCH) {
			CHECK(pcache_tree_prepare(&pc->wb.batch, 1, GFP_KERNEL));
			pcache_tree_insert(&pc->wb.batch, &e, &ignored);
		}
		change_nth(pc, i);
		dirty += becomes(i) == REWRITTEN || becomes(i) == NOT_IN_BATCH ? 8 :
			 becomes(i) == HALF_REWRITTEN ? 4 : 0;
		cached += becomes(i) == DISCARDED ? 0 : 8;
	}
	pcache_index_clean_all(pc, &pc->wb.batch);
	pcache_tree_clear(&pc->wb.batch);
	for (u32 i = 0; i < nr; i++)
		check_nth(pc, i);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS), dirty);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), cached);
	drop_bare(&f, pc);
}

/* Takes free segments, as slow readers hold them, until @keep are left; returns how many. */
static u32 take_segments(struct pcache *pc, u32 *segs, u32 keep)
{
	u32 n = 0;

	while (READ_ONCE(pc->segs.nr_free) > keep) {
		segs[n] = pcache_seg_alloc_log(pc);
		CHECK(segs[n++] != PCACHE_NO_SEG);
	}
	return n;
}

static void put_segments(struct pcache *pc, const u32 *segs, u32 n)
{
	while (n--)
		pcache_seg_put(pc, segs[n], 1);
}

static void write_bare(struct fixture *f, struct pcache *pc, u32 sector, u32 n)
{
	next_versions(f, f->buf, sector, n);
	CHECK_EQ(submit_bare(pc, REQ_OP_WRITE, sector, f->buf, n), BLK_STS_OK);
	note_written(f, sector, n, false);
}

/* Of each few sectors that are written, the first and the third go bad: two keys of one. */
#define TWO_KEYS_STRIDE	4
#define RESERVE_KEYS	1024
#define RESERVE_SECTORS	(RESERVE_KEYS * TWO_KEYS_STRIDE)
#define RESERVE_SEGS	48

/* Dirty data whose keys, when it is logged again, fill more than one segment of the log. */
static void write_much_bad(struct fixture *f, struct pcache *pc)
{
	fail_writes(f, PORT_FAULT_ALWAYS);
	for (u32 at = 0; at < RESERVE_SECTORS; at += TWO_KEYS_STRIDE)
		write_bare(f, pc, at, 3);
	CHECK_EQ(pcache_journal_sync(pc), 0);
	for (u32 at = 0; at < RESERVE_SECTORS; at += TWO_KEYS_STRIDE) {
		port_pmem_poison(f->h.pmem, place_of(f, at, 1), 64);
		port_pmem_poison(f->h.pmem, place_of(f, at + 2, 1), 64);
	}
}

/*
 * With two segments free, bad data takes one of them for its keys, and not what keys for
 * the rest of the open data head could need: so that is closed. The last segment stays,
 * for the log to move on into.
 */
static void test_bad_data_leaves_reserve(void)
{
	u32 taken[RESERVE_SEGS], nr;
	struct fixture f;
	struct pcache *pc = make_bare(&f, RESERVE_SEGS, RESERVE_SECTORS);

	CHECK(!pcache_resume(pc));
	write_much_bad(&f, pc);
	CHECK(pcache_heads_open(pc));
	/* Nothing becomes free. */
	pcache_reclaim_stop(pc);
	nr = take_segments(pc, taken, PCACHE_BAD_DATA_KEEP + 1);
	/* No round is under way that the backing device fails. */
	pcache_writeback_stop(pc);
	port_bdev_clear_faults(f.h.disk);
	pcache_writeback_start(pc);
	CHECK_EQ(pcache_writeback_flush(pc, true), -EIO);
	CHECK(pcache_stat(pc, PCACHE_STAT_WRITEBACK_SECTORS) > 0);
	CHECK_EQ(pc->state, PCACHE_RW);
	CHECK_EQ(pc->segs.nr_free, PCACHE_BAD_DATA_KEEP);
	CHECK(!pcache_heads_open(pc));

	put_segments(pc, taken, nr);
	pcache_reclaim_start(pc);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	check_disk(&f);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* No segment is free and nothing can become free: reclaim looks once, and no more. */
static void test_reclaim_comes_to_rest(void)
{
	u32 taken[SMALL_SEGS], nr;
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);

	CHECK(!pcache_resume(pc));
	/* With one key in the last kset, there is none to log again. */
	write_bare(&f, pc, 100, 8);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	AWAIT(shim_scheduled() == 0);
	pcache_reclaim_stop(pc);
	nr = take_segments(pc, taken, 0);
	pcache_reclaim_start(pc);
	AWAIT(shim_scheduled() == 0);
	CHECK_EQ(pc->segs.nr_free, 0);
	CHECK_EQ(pc->state, PCACHE_RW);
	put_segments(pc, taken, nr);
	AWAIT(shim_scheduled() == 0);
	CHECK(pc->segs.nr_free > pc->segs.reserved);
	check_disk(&f);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* Where nothing can be put behind the last kset, what that names is forgotten all the same. */
static void test_drop_last_kset(void)
{
	u32 taken[SMALL_SEGS], nr;
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);

	CHECK(!pcache_resume(pc));
	write_bare(&f, pc, 100, 8);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	AWAIT(shim_scheduled() == 0);
	pcache_reclaim_stop(pc);
	nr = take_segments(pc, taken, 0);
	pcache_reclaim_start(pc);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), 8);
	CHECK_EQ(pcache_reclaim_drop(pc), 0);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), 0);
	put_segments(pc, taken, nr);
	check_disk(&f);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* Reclaim wants the head while another has it: it is told when that one lets go. */
static void test_head_is_wanted(void)
{
	u32 taken[SMALL_SEGS], nr;
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_journal *j = &pc->journal;
	u64 last;

	CHECK(!pcache_resume(pc));
	write_bare(&f, pc, 100, 8);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	AWAIT(shim_scheduled() == 0);
	last = j->last.ord;
	spin_lock(&j->lock);
	CHECK(!j->committing);
	j->committing = true;
	spin_unlock(&j->lock);
	nr = take_segments(pc, taken, 2);
	pcache_reclaim_wake(pc);
	AWAIT(shim_scheduled() == 0);
	CHECK_EQ(j->key_tail.ord, last);
	/* The owner finds nothing to commit. */
	queue_work(pc->log_wq, &j->handover_work);
	AWAIT(j->key_tail.ord > last);
	put_segments(pc, taken, nr);
	check_disk(&f);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

struct room_waiter {
	struct fixture *f;
	struct pcache *pc;
	bool ended;
	blk_status_t status;
};

static void run_room_waiter(void *arg)
{
	struct room_waiter *w = arg;

	w->status = submit_bare(w->pc, REQ_OP_WRITE, 600, w->f->buf, 8);
	smp_store_release(&w->ended, true);
}

/*
 * Bad data holds all segments, and a reservation may still supersede some of it: who waits
 * for room is told that there will be none when the reservation is given back, not before.
 */
static void test_reservation_awaited(void)
{
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct room_waiter w = { .f = &f, .pc = pc };
	struct task_struct *task;
	struct pcache_room room;

	CHECK(!pcache_resume(pc));
	fail_writes(&f, PORT_FAULT_ALWAYS);
	for (u32 at = 0; at < HELD_SEGS; at++) {
		u32 left = PCACHE_DATA_SECTORS - 1 - (at == HELD_SEGS - 1 ? 8 : 0);

		write_bare(&f, pc, at, 1);
		for (u32 n; left; left -= n) {
			n = min(left, 200);
			write_bare(&f, pc, 1000, n);
		}
		CHECK_EQ(pcache_journal_sync(pc), 0);
	}
	CHECK(pcache_room_get(pc, 8, &room));
	pcache_writeback_stop(pc);
	for (u32 at = 0; at < HELD_SEGS; at++)
		port_pmem_poison(f.h.pmem, place_of(&f, at, f.newest[at]), 64);
	port_bdev_clear_faults(f.h.disk);
	pcache_writeback_start(pc);
	CHECK_EQ(pcache_writeback_flush(pc, true), -EIO);

	task = shim_spawn("waits for room", run_room_waiter, &w);
	AWAIT(pcache_io_waiting(pc));
	AWAIT(shim_scheduled() == 0);
	CHECK(!smp_load_acquire(&w.ended));
	pcache_room_put(pc, &room);
	AWAIT(smp_load_acquire(&w.ended));
	CHECK_EQ(w.status, BLK_STS_IOERR);
	shim_join(task);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* Write-back that is woken when it has been stopped looks at nothing. */
static void test_woken_too_late(void)
{
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);

	CHECK(!pcache_resume(pc));
	pcache_suspend(pc);
	pc->wb.needs_room = true;
	queue_delayed_work(pc->wb_wq, &pc->wb.work, 0);
	flush_workqueue(pc->wb_wq);
	CHECK(pc->wb.needs_room);
	drop_bare(&f, pc);
}

struct two_waits {
	struct pcache *pc;
	struct pcache_waiter first;
	struct pcache_waiter second;
	struct completion done;
	int err;
};

#define UNWANTED		100
#define UNWANTED_SECTORS	8

static void second_told(struct pcache_waiter *w, int err)
{
	struct two_waits *t = container_of(w, struct two_waits, second);

	t->err = err;
	complete(&t->done);
}

/* What has held everybody up is discarded while they are told of it; then somebody comes. */
static void first_told(struct pcache_waiter *w, int err)
{
	struct two_waits *t = container_of(w, struct two_waits, first);

	CHECK_EQ(err, -EIO);
	CHECK(pcache_index_discard(t->pc, UNWANTED, UNWANTED_SECTORS));
	pcache_writeback_wait(t->pc, &t->second);
}

static struct pcache *make_unwanted(struct fixture *f, bool alone)
{
	struct pcache *pc = make_bare(f, SMALL_SEGS, SMALL_SECTORS);

	pc->ordered = false;
	CHECK(!pcache_resume(pc));
	pcache_reclaim_stop(pc);
	pcache_writeback_stop(pc);
	write_bare(f, pc, UNWANTED, UNWANTED_SECTORS);
	if (!alone)
		write_bare(f, pc, 300, 1);
	CHECK_EQ(pcache_journal_sync(pc), 0);
	return pc;
}

static void begin_two_waits(struct two_waits *t, struct pcache *pc, bool give_up)
{
	*t = (struct two_waits) {
		.pc = pc,
		.first = { .done = first_told, .end = U64_MAX, .give_up = give_up },
		.second = { .done = second_told, .end = U64_MAX, .give_up = give_up },
	};
	init_completion(&t->done);
	pcache_writeback_start(pc);
	pcache_writeback_wait(pc, &t->first);
}

static void end_two_waits(struct two_waits *t, struct fixture *f)
{
	wait_for_completion(&t->done);
	CHECK_EQ(t->err, 0);
	pcache_suspend(t->pc);
	drop_bare(f, t->pc);
}

/*
 * Nobody is told of what was found before it came: it may have been discarded since. What
 * is found: all that is dirty is unreadable; and cannot be logged again, first as
 * write-back says, then as reclaim does; the backing device does not take it.
 */
static void test_newcomers_have_a_run(void)
{
	u32 taken[SMALL_SEGS], nr;
	struct two_waits t;
	struct fixture f;
	struct pcache *pc = make_unwanted(&f, true);

	port_pmem_poison(f.h.pmem, place_of(&f, UNWANTED, 1), 64);
	begin_two_waits(&t, pc, false);
	end_two_waits(&t, &f);

	for (u32 give_up = 0; give_up < 2; give_up++) {
		pc = make_unwanted(&f, false);
		port_pmem_poison(f.h.pmem, place_of(&f, UNWANTED, 1), 64);
		nr = take_segments(pc, taken, PCACHE_BAD_DATA_KEEP);
		begin_two_waits(&t, pc, give_up);
		AWAIT(give_up ? completion_done(&t.done) : READ_ONCE(pc->wb.needs_room));
		if (!give_up) {
			flush_workqueue(pc->wb_wq);
			/* The next run does not end before this. */
			port_bdev_hold(f.h.disk, true);
			pcache_writeback_give_up(pc, pc->wb.end_ord, pc->wb.end_run);
			port_bdev_hold(f.h.disk, false);
		}
		put_segments(pc, taken, nr);
		end_two_waits(&t, &f);
	}

	pc = make_unwanted(&f, true);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	begin_two_waits(&t, pc, true);
	end_two_waits(&t, &f);
}

static void note_told(struct pcache_waiter *w, int err)
{
	CHECK_EQ(err, 0);
	complete(&container_of(w, struct two_waits, first)->done);
}

/* Who waits for what nobody needs any more is not told of others' errors. */
static void test_unwanted_is_as_clean(void)
{
	struct two_waits t = { .first = { .done = note_told, .give_up = true,
					  .sector = UNWANTED,
					  .end = UNWANTED + UNWANTED_SECTORS } };
	struct fixture f;
	struct pcache *pc = make_unwanted(&f, false);

	init_completion(&t.done);
	fail_writes(&f, PORT_FAULT_ALWAYS);
	CHECK(pcache_index_discard(pc, UNWANTED, UNWANTED_SECTORS));
	pcache_writeback_start(pc);
	pcache_writeback_wait(pc, &t.first);
	wait_for_completion(&t.done);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS), 1);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

/* Without memory for a round nobody who gives up at an error is told of one. */
static void test_short_memory_is_no_error(void)
{
	struct two_waits t = { .first = { .done = note_told, .end = U64_MAX, .give_up = true } };
	struct fixture f;
	struct pcache *pc = make_unwanted(&f, true);
	void *leaves[64];
	u32 nr = 0;

	init_completion(&t.done);
	port_set_alloc_failure(fail_all);
	while ((leaves[nr] = mempool_alloc(&pc->wb.leaves, GFP_NOWAIT)))
		CHECK(++nr < ARRAY_SIZE(leaves));
	pcache_writeback_start(pc);
	pcache_writeback_wait(pc, &t.first);
	AWAIT(READ_ONCE(pc->wb.pause_ms) > 200);
	CHECK(!completion_done(&t.done));
	port_set_alloc_failure(NULL);
	while (nr)
		mempool_free(leaves[--nr], &pc->wb.leaves);
	wait_for_completion(&t.done);
	pcache_suspend(pc);
	check_disk(&f);
	drop_bare(&f, pc);
}

/* Logs a key with room of its own, as far as that goes. */
static void log_key(struct pcache *pc, struct pcache_extent *key)
{
	struct pcache_room room;

	CHECK(pcache_room_get(pc, key->sectors, &room));
	CHECK_EQ(room.sectors, key->sectors);
	key->seg = room.seg;
	key->off = room.off;
	CHECK_EQ(pcache_log_extents(pc, pcache_index_shard(pc, key->sector), key, 1,
				    PCACHE_WAITS_FOR_INDEX, still_right, NULL), 0);
	pcache_room_put(pc, &room);
}

/* The open kset is full, and nobody commits: a second turn does not wait for another one. */
static void test_turn_waits_for_nothing(void)
{
	struct pcache_extent key = { .sector = 40, .sectors = 8, .key_sectors = 8, .clean = true };
	struct pcache_extent other = { .sector = 100, .sectors = 1, .key_sectors = 1, .clean = true };
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_journal *j = &pc->journal;
	struct pcache_shard *sh = pcache_index_shard(pc, key.sector);
	struct pcache_extent found;
	void *ksets[64];
	u32 nr = 0;

	CHECK(!pcache_resume(pc));
	spin_lock(&j->lock);
	j->committing = true;
	spin_unlock(&j->lock);
	for (log_key(pc, &key); j->open->nr_keys < PCACHE_KSET_KEYS; other.sector += 2)
		log_key(pc, &other);
	CHECK(pcache_index_lock(pc, sh, 1));
	CHECK(pcache_tree_look_up(&sh->tree, key.sector, key.sector + 1, true, &found));
	spin_unlock(&sh->lock);

	port_set_alloc_failure(fail_all);
	while ((ksets[nr] = mempool_alloc(&j->kset_pool, GFP_NOWAIT)))
		CHECK(++nr < ARRAY_SIZE(ksets));
	pcache_turn(pc, &key);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_SECOND_CHANCES), 0);
	while (nr)
		mempool_free(ksets[--nr], &j->kset_pool);
	pcache_turn(pc, &key);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_SECOND_CHANCES), 1);
	port_set_alloc_failure(NULL);

	spin_lock(&sh->lock);
	CHECK(!pcache_tree_is_clean(&sh->tree, &key));
	spin_unlock(&sh->lock);
	spin_lock(&j->lock);
	j->committing = false;
	spin_unlock(&j->lock);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

static struct {
	struct pcache *pc;
	bool done;
} mode_changer;

/*
 * A write that waits for write-back is acknowledged because the mode has changed, a FLUSH
 * is, and then somebody discards what it wrote.
 */
static bool change_mode_meanwhile(gfp_t gfp, size_t size)
{
	struct pcache *pc = mode_changer.pc;

	if (!mode_changer.done) {
		mode_changer.done = true;
		pcache_writeback_settle(pc, false);
		CHECK_EQ(pcache_journal_sync(pc), 0);
		CHECK(pcache_index_discard(pc, 40, 8));
	}
	return false;
}

/* A round that began in write-through: what was acknowledged since is written in its turn. */
static void test_discarded_after_mode_change(void)
{
	struct pcache_extent key = { .sector = 40, .sectors = 8, .key_sectors = 8 };
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);

	CHECK(!pcache_resume(pc));
	pcache_writeback_settle(pc, true);
	CHECK(pcache_writeback_settled(pc));
	pcache_reclaim_stop(pc);
	pcache_writeback_stop(pc);
	log_key(pc, &key);
	CHECK_EQ(pcache_journal_sync(pc), 0);
	mode_changer.pc = pc;
	mode_changer.done = false;
	/* The round wants a leaf as it collects keys. */
	port_set_alloc_failure(change_mode_meanwhile);
	pcache_writeback_start(pc);
	CHECK_EQ(pcache_writeback_flush(pc, false), 0);
	port_set_alloc_failure(NULL);
	CHECK(mode_changer.done);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_WRITEBACK_SECTORS), 8);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

static struct {
	struct pcache *pc;
	bool done;
} discarder;

/* At the first allocation somebody discards what is being copied. */
static bool discard_meanwhile(gfp_t gfp, size_t size)
{
	if (!discarder.done) {
		discarder.done = true;
		pcache_index_discard(discarder.pc, 40, 8);
	}
	return false;
}

/* A discard comes when the data of a second turn has been copied, before it is logged. */
static void test_turn_of_what_is_discarded(void)
{
	struct pcache_extent key = { .sector = 40, .sectors = 8, .key_sectors = 8, .clean = true };
	struct fixture f;
	struct pcache *pc = make_bare(&f, SMALL_SEGS, SMALL_SECTORS);
	struct pcache_shard *sh = pcache_index_shard(pc, key.sector);
	struct pcache_extent found;

	CHECK(!pcache_resume(pc));
	log_key(pc, &key);
	spin_lock(&sh->lock);
	CHECK(pcache_tree_look_up(&sh->tree, key.sector, key.sector + 1, true, &found));
	CHECK_EQ(sh->tree.nr_spares, 0);
	spin_unlock(&sh->lock);
	discarder.pc = pc;
	discarder.done = false;
	/* To log it a leaf is wanted. */
	port_set_alloc_failure(discard_meanwhile);
	pcache_turn(pc, &key);
	port_set_alloc_failure(NULL);
	CHECK(discarder.done);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_SECOND_CHANCES), 0);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), 0);
	spin_lock(&sh->lock);
	CHECK(pcache_tree_first(&sh->tree, 40, &found));
	CHECK(found.discarded && found.sectors == 8 && pcache_same_place(&found, &key));
	spin_unlock(&sh->lock);
	pcache_suspend(pc);
	drop_bare(&f, pc);
}

static const struct test_case cases[] = {
	{ "write_errors", test_write_errors },
	{ "held_up_stays_dirty", test_held_up_stays_dirty },
	{ "device_gone_and_back", test_device_gone_and_back },
	{ "hits_without_device", test_hits_without_device },
	{ "flush_errors", test_flush_errors },
	{ "read_errors", test_read_errors },
	{ "one_bad_sector", test_one_bad_sector },
	{ "room_behind_bad_sector", test_room_behind_bad_sector },
	{ "void_fills", test_void_fills },
	{ "bad_clean_data", test_bad_clean_data },
	{ "bad_dirty_data", test_bad_dirty_data },
	{ "much_bad_dirty_data", test_much_bad_dirty_data },
	{ "no_room", test_no_room },
	{ "clean_behind_bad", test_clean_behind_bad },
	{ "bad_metadata", test_bad_metadata },
	{ "bad_tails_after_crash", test_bad_tails_after_crash },
	{ "bad_kset", test_bad_kset },
	{ "bad_kset_at_run_time", test_bad_kset_at_run_time },
	{ "cleaner", test_cleaner },
	{ "flush_message", test_flush_message },
	{ "fills_while_writes_fail", test_fills_while_writes_fail },
	{ "noflush_suspend", test_noflush_suspend },
	{ "suspend_given_up", test_suspend_given_up },
	{ "suspend_cycles", test_suspend_cycles },
	{ "flush_on_suspend", test_flush_on_suspend },
	{ "removal", test_removal },
	{ "alloc_at_attach", test_alloc_at_attach },
	{ "alloc_at_format", test_alloc_at_format },
	{ "alloc_at_run_time", test_alloc_at_run_time },
	{ "no_memory_is_not_no_room", test_no_memory_is_not_no_room },
	{ "writeback_without_memory", test_writeback_without_memory },
	{ "clean_in_part", test_clean_in_part },
	{ "written_while_logged_again", test_written_while_logged_again },
	{ "clean_without_memory", test_clean_without_memory },
	{ "clean_all", test_clean_all },
	{ "newcomers_have_a_run", test_newcomers_have_a_run },
	{ "unwanted_is_as_clean", test_unwanted_is_as_clean },
	{ "short_memory_is_no_error", test_short_memory_is_no_error },
	{ "discarded_after_mode_change", test_discarded_after_mode_change },
	{ "turn_waits_for_nothing", test_turn_waits_for_nothing },
	{ "turn_of_what_is_discarded", test_turn_of_what_is_discarded },
	{ "bare", test_bare },
	{ "epoch_before_end", test_epoch_before_end },
	{ "bad_data_leaves_reserve", test_bad_data_leaves_reserve },
	{ "reclaim_comes_to_rest", test_reclaim_comes_to_rest },
	{ "drop_last_kset", test_drop_last_kset },
	{ "head_is_wanted", test_head_is_wanted },
	{ "reservation_awaited", test_reservation_awaited },
	{ "woken_too_late", test_woken_too_late },
	/* The log is limited in rate: others want to see their lines. */
	{ "worn", test_worn },
	{ "worn_read_only", test_worn_read_only },
};

int main(int argc, char **argv)
{
	return run_cases("fault-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

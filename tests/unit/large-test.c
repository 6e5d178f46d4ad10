// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments of full size, for what small ones have no room for: extents that are longer
 * than what one bio of write-back takes, epochs with more keys than one round.
 */
#include "fixture.h"

#define SECTORS		8192
/* What is written: one extent, and four bios of 256 KiB. */
#define FIRST		100
#define NR		2000
#define BIO_SECTORS	512
/* In the second bio. */
#define BAD		1000
#define BAD_BIO		(FIRST + BIO_SECTORS)

/* Writes it, in one epoch; none of it is written back before go_on(). */
static void make_long_extent(struct fixture *f, const char *options)
{
	fixture_open(f, PCACHE_MIN_SEGS, SECTORS);
	attach(f, options);
	port_bdev_set_gone(f->h.disk, true);
	write_sectors(f, FIRST, NR);
	flush(f);
	CHECK_EQ(status(f).dirty_sectors, NR);
	CHECK_EQ(dm_host_suspend(f->h.md, false), 0);
	port_bdev_set_gone(f->h.disk, false);
}

static void go_on(struct fixture *f)
{
	CHECK_EQ(dm_host_resume(f->h.md), 0);
}

/* The backing device has all of it but @n sectors from @at on. */
static bool written_but(struct fixture *f, u32 at, u32 n)
{
	for (u32 i = FIRST; i < FIRST + NR; i++)
		if (version_of(f->disk + (i << SECTOR_SHIFT), i) != (i < at || i >= at + n))
			return false;
	return true;
}

/* One bio fails: the others of its epoch are written, and with "fast" are clean. */
static void bad_sector(const char *options, bool fast)
{
	struct fixture f;
	u64 errors;

	make_long_extent(&f, options);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, BAD, 1, PORT_FAULT_ALWAYS, BLK_STS_MEDIUM);
	go_on(&f);
	AWAIT(written_but(&f, BAD_BIO, BIO_SECTORS));
	errors = status(&f).writeback_errors;
	AWAIT(status(&f).writeback_errors >= errors + 2);
	CHECK(written_but(&f, BAD_BIO, BIO_SECTORS));
	CHECK_EQ(status(&f).dirty_sectors, fast ? BIO_SECTORS : NR);
	check_all(&f);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(message(&f, "flush"), 0);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_bad_sector(void)
{
	bad_sector("2 writeback_order ordered", false);
	bad_sector("2 writeback_order fast", true);
}

/* One sector cannot be read: it alone stays dirty. */
static void test_media_error(void)
{
	struct fixture f;

	make_long_extent(&f, "");
	port_pmem_heal_by_store(f.h.pmem, true);
	port_pmem_poison(f.h.pmem, place_of(&f, BAD, 1), 64);
	go_on(&f);
	CHECK_EQ(message(&f, "flush"), -EIO);
	CHECK_EQ(status(&f).dirty_sectors, 1);
	CHECK(written_but(&f, BAD, 1));
	CHECK_EQ(try_read(&f, BAD, 1), -EIO);
	check_range(&f, FIRST, BAD - FIRST);
	check_range(&f, BAD + 1, FIRST + NR - BAD - 1);
	write_sectors(&f, BAD, 1);
	CHECK_EQ(message(&f, "flush"), 0);
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

/* An epoch of 10,000 keys, twice: each takes two rounds, and no key is written twice. */
static void test_many_keys(void)
{
	struct port_bdev_stats before, after;
	const u32 nr = 10000;
	struct fixture f;

	fixture_open(&f, PCACHE_MIN_SEGS, 4 * SECTORS);
	attach(&f, "");
	port_bdev_set_gone(f.h.disk, true);
	for (u32 epoch = 0; epoch < 2; epoch++) {
		for (u32 i = 0; i < nr; i++)
			write_sectors(&f, 3 * i, 1);
		flush(&f);
	}
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	port_bdev_set_gone(f.h.disk, false);
	port_bdev_get_stats(f.h.disk, &before);
	go_on(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	port_bdev_get_stats(f.h.disk, &after);
	CHECK_EQ(status(&f).writeback_sectors, 2 * nr);
	CHECK_EQ(after.flushes - before.flushes, 4);
	check_disk(&f);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static const struct test_case cases[] = {
	{ "bad_sector", test_bad_sector },
	{ "media_error", test_media_error },
	{ "many_keys", test_many_keys },
};

int main(int argc, char **argv)
{
	return run_cases("large-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

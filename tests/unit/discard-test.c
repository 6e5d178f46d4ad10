// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Discards and write zeroes: what is read afterwards, what gets to the backing device and
 * what must not, limits, failures.
 */
#include "fixture.h"

/* More than one stretch, and the end of the last one is missing. */
#define SECTORS		(2 * 8192 + 4096)
#define END		8192	/* of a stretch */

static const char * const orders[] = { "2 writeback_order ordered", "2 writeback_order fast" };

static void open_and_attach(struct fixture *f, const char *options)
{
	fixture_open(f, SMALL_SEGS, SECTORS);
	attach(f, options);
}

static void close_all(struct fixture *f)
{
	detach(f);
	fixture_close(f);
}

static int try_op(struct fixture *f, enum req_op op, u32 at, u32 n)
{
	return dm_host_rw(dm_host_bdev(f->h.md), op, at, NULL, n);
}

static void discard(struct fixture *f, u32 at, u32 n)
{
	CHECK_EQ(try_op(f, REQ_OP_DISCARD, at, n), 0);
}

/* From now on these sectors are of that version. */
static void expect(struct fixture *f, u32 at, u32 n, u32 version)
{
	for (u32 i = at; i < at + n; i++)
		f->newest[i] = version;
}

static struct port_bdev_stats disk_stats(struct fixture *f)
{
	struct port_bdev_stats stats;

	port_bdev_get_stats(f->h.disk, &stats);
	return stats;
}

static void check_on_disk(struct fixture *f, u32 at, u32 n, u32 version)
{
	for (u32 i = at; i < at + n; i++)
		CHECK_EQ(version_of(f->disk + ((u64)i << SECTOR_SHIFT), i), version);
}

/* Nothing gets to the backing device any more. */
static void stop_writing(struct fixture *f)
{
	port_bdev_fault(f->h.disk, PORT_FAULT_WRITE, 0, SECTORS, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
}

static void go_on_writing(struct fixture *f)
{
	port_bdev_clear_faults(f->h.disk);
}

static void write_back(struct fixture *f)
{
	CHECK_EQ(message(f, "flush"), 0);
}

/* What is dirty is dropped; write-back goes by the order that is promised. */
static void drop_dirty(const char *order, bool flushed, bool written_back)
{
	struct fixture f;
	u64 bypasses, fills;

	host_section("%s, flushed %d", order, flushed);
	open_and_attach(&f, order);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 100, 30, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	write_sectors(&f, 100, 30);
	if (flushed)
		flush(&f);
	CHECK_EQ(status(&f).dirty_sectors, 30);
	/* In three parts, the last one twice. */
	discard(&f, 104, 4);
	discard(&f, 90, 14);
	discard(&f, 102, 20);
	CHECK_EQ(status(&f).dirty_sectors, 8);
	CHECK_EQ(status(&f).cached_sectors, 8);
	CHECK_EQ(status(&f).discards, 3);
	expect(&f, 100, 22, 0);
	check_range(&f, 80, 60);
	go_on_writing(&f);
	/* The message would end the epoch. */
	AWAIT(status(&f).writeback_sectors == (written_back ? 30 : 8));
	AWAIT(status(&f).dirty_sectors == 0);
	check_on_disk(&f, 100, 22, written_back ? 1 : 0);
	check_on_disk(&f, 122, 8, 1);
	expect(&f, 100, 22, written_back ? 1 : 0);
	check_range(&f, 80, 60);
	/* Its keys are still in the log: nothing of it is filled. Other fills end first. */
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	bypasses = status(&f).bypasses;
	fills = status(&f).fills;
	check_range(&f, 100, 22);
	CHECK_EQ(status(&f).bypasses, bypasses + 1);
	CHECK_EQ(status(&f).fills, fills);
	close_all(&f);
}

static void test_drop_dirty(void)
{
	drop_dirty(orders[0], true, true);
	drop_dirty(orders[0], false, false);
	drop_dirty(orders[1], true, false);
	drop_dirty("4 cache_mode writeonly writeback_order fast", false, false);
}

/* A write after a discard is as any other. */
static void write_after(const char *order)
{
	struct fixture f;

	host_section("%s", order);
	open_and_attach(&f, order);
	for (u32 i = 0; i < 200; i++) {
		u32 n = 1 + rnd(40), at = END - 100 + rnd(160);

		/* What there is room for. */
		if (i % 50 == 0) {
			write_back(&f);
			stop_writing(&f);
		}
		if (i % 50 == 2)
			go_on_writing(&f);
		write_sectors(&f, at, n);
		if (rnd(2))
			flush(&f);
		/* What is passed down fails meanwhile. */
		try_op(&f, REQ_OP_DISCARD, at - rnd(20), n + rnd(20));
		write_sectors(&f, at - 20, n + 40);
		check_range(&f, at - 20, n + 40);
	}
	/* All of it is written once more, behind all discards. */
	write_sectors(&f, END - 200, 400);
	check_range(&f, END - 200, 400);
	detach(&f);
	attach(&f, order);
	check_range(&f, END - 200, 400);
	write_back(&f);
	check_content("backing device", f.disk + ((END - 200) << SECTOR_SHIFT), END - 200, 400,
		      f.newest, f.newest);
	close_all(&f);
}

static void test_write_after(void)
{
	write_after(orders[0]);
	write_after(orders[1]);
}

/* What the log has nothing of is passed down, and no more. */
static void test_pass_down(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SECTORS);
	for (u32 i = 0; i < SECTORS; i++)
		host_pattern(f.disk + ((u64)i << SECTOR_SHIFT), i, 1, 1);
	expect(&f, 0, SECTORS, 1);
	attach(&f, "");
	check_range(&f, 200, 8);
	AWAIT(status(&f).cached_sectors == 8);
	discard(&f, 190, 30);
	CHECK_EQ(disk_stats(&f).discards, 2);
	expect(&f, 190, 10, 0);
	expect(&f, 208, 12, 0);
	check_disk(&f);
	CHECK_EQ(status(&f).discards, 1);
	/* Across the end of a stretch, by two requests. */
	discard(&f, END - 8, 16);
	CHECK_EQ(disk_stats(&f).discards, 4);
	CHECK_EQ(status(&f).discards, 3);
	expect(&f, END - 8, 16, 0);
	check_disk(&f);
	/* All of the device, as mkfs would. */
	discard(&f, 0, SECTORS);
	CHECK_EQ(status(&f).discards, 6);
	expect(&f, 0, SECTORS, 0);
	expect(&f, 200, 8, 1);
	check_all(&f);
	close_all(&f);
}

/* Once key_tail has passed the keys, the range is as any other. */
static void test_reclaimed(void)
{
	struct fixture f;

	open_and_attach(&f, "");
	write_sectors(&f, 100, 8);
	write_back(&f);
	discard(&f, 100, 8);
	CHECK_EQ(disk_stats(&f).discards, 0);
	check_range(&f, 100, 8);
	CHECK_EQ(status(&f).fills, 0);
	CHECK_EQ(message(&f, "gc_percent 0"), 0);
	/* The last kset stays until there is another one behind it. */
	for (u32 i = 0; i < 20; i++) {
		write_sectors(&f, 1000, 8);
		write_back(&f);
	}
	AWAIT(try_op(&f, REQ_OP_DISCARD, 100, 8) == 0 && disk_stats(&f).discards);
	expect(&f, 100, 8, 0);
	check_on_disk(&f, 100, 8, 0);
	check_all(&f);
	close_all(&f);
}

/* With "ordered" nothing is passed down before what was flushed is written back. */
static void pass_in_order(const char *options, bool passed)
{
	struct fixture f;

	host_section("%s", options);
	open_and_attach(&f, options);
	write_sectors(&f, 50, 8);
	write_back(&f);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 100, 8, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	write_sectors(&f, 100, 8);
	flush(&f);
	discard(&f, 200, 8);
	CHECK_EQ(disk_stats(&f).discards, passed);
	CHECK_EQ(status(&f).discards, 1);
	go_on_writing(&f);
	write_back(&f);
	discard(&f, 200, 8);
	CHECK_EQ(disk_stats(&f).discards, passed + 1);
	check_all(&f);
	close_all(&f);
}

static void test_order(void)
{
	pass_in_order(orders[0], false);
	pass_in_order(orders[1], true);
}

/* What the backing device could still forget is not filled before it is flushed there. */
static void test_volatile(void)
{
	struct fixture f;
	u64 flushes;

	open_and_attach(&f, "");
	discard(&f, 200, 8);
	CHECK_EQ(disk_stats(&f).discards, 1);
	flushes = disk_stats(&f).flushes;
	check_range(&f, 1000, 8);
	CHECK_EQ(status(&f).fills, 0);
	AWAIT(disk_stats(&f).flushes > flushes);
	AWAIT((check_range(&f, 1000, 8), status(&f).fills > 0));
	CHECK_EQ(disk_stats(&f).flushes, flushes + 1);
	/* A detach sees to it as well; so does write-back. */
	discard(&f, 300, 8);
	detach(&f);
	CHECK_EQ(disk_stats(&f).flushes, flushes + 2);
	attach(&f, "");
	discard(&f, 300, 8);
	write_sectors(&f, 400, 8);
	write_back(&f);
	flushes = disk_stats(&f).flushes;
	check_range(&f, 300, 8);
	AWAIT(status(&f).fills > 0);
	detach(&f);
	CHECK_EQ(disk_stats(&f).flushes, flushes);
	fixture_close(&f);
}

struct async {
	struct completion done;
	int error;
};

static void async_done(void *data, int error)
{
	struct async *a = data;

	a->error = error;
	complete(&a->done);
}

static void start(struct fixture *f, struct async *a, blk_opf_t op, u32 at, void *buf, u32 n)
{
	init_completion(&a->done);
	dm_host_rw_async(dm_host_bdev(f->h.md), op, at, buf, n, async_done, a);
}

/* While one is on its way down, a write of its range waits, and others go on. */
static void test_in_flight(void)
{
	struct async a, b;
	struct fixture f;
	void *buf;

	CHECK(!posix_memalign(&buf, PAGE_SIZE, 8 << SECTOR_SHIFT));
	open_and_attach(&f, "2 writeback_order fast");
	port_bdev_hold(f.h.disk, true);
	start(&f, &a, REQ_OP_DISCARD, 100, NULL, 100);
	AWAIT(disk_stats(&f).in_flight == 1);
	write_sectors(&f, 300, 8);
	next_versions(&f, buf, 150, 8);
	start(&f, &b, REQ_OP_WRITE, 150, buf, 8);
	AWAIT(status(&f).space_waits == 1);
	/* Another discard is not passed down. */
	discard(&f, 180, 40);
	CHECK(!completion_done(&a.done) && !completion_done(&b.done));
	port_bdev_hold(f.h.disk, false);
	wait_for_completion(&a.done);
	wait_for_completion(&b.done);
	CHECK(!a.error && !b.error);
	note_written(&f, 150, 8, false);
	CHECK_EQ(disk_stats(&f).discards, 1);
	write_back(&f);
	check_all(&f);
	check_disk(&f);
	close_all(&f);
	free(buf);
}

/* Bad data that nobody needs keeps nobody up. */
static void test_unreadable(void)
{
	struct fixture f;

	for (u32 v = 0; v < 2; v++) {
		host_section("%s", orders[v]);
		open_and_attach(&f, orders[v]);
		port_pmem_heal_by_store(f.h.pmem, true);
		stop_writing(&f);
		write_sectors(&f, 100, 8);
		flush(&f);
		CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
		port_pmem_poison(f.h.pmem, place_of(&f, 103, 1), 64);
		go_on_writing(&f);
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		CHECK_EQ(message(&f, "flush"), -EIO);
		CHECK_EQ(status(&f).dirty_sectors, 1);
		CHECK_EQ(try_read(&f, 103, 1), -EIO);
		discard(&f, 102, 3);
		/* Nobody asks for it. */
		AWAIT(status(&f).dirty_tail[1] == status(&f).key_head[1]);
		write_back(&f);
		CHECK_EQ(status(&f).dirty_sectors, 0);
		expect(&f, 103, 1, 0);
		check_all(&f);
		close_all(&f);
	}
}

/*
 * What was discarded has a key that was logged again, and is dirty. When key_tail has
 * passed the older one, the range looks like a hole, and is not filled.
 */
static void test_logged_again(void)
{
	struct fixture f;

	open_and_attach(&f, "2 writeback_order fast");
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 100, 8, PORT_FAULT_ALWAYS, BLK_STS_IOERR);
	write_sectors(&f, 100, 8);
	write_sectors(&f, 200, 8);
	flush(&f);
	AWAIT(status(&f).dirty_tail[1] > 0);
	CHECK_EQ(status(&f).dirty_sectors, 8);
	discard(&f, 100, 8);
	CHECK_EQ(status(&f).dirty_sectors, 0);
	expect(&f, 100, 8, 0);
	CHECK_EQ(status(&f).key_tail[1], 0);
	CHECK_EQ(message(&f, "gc_percent 0"), 0);
	AWAIT(status(&f).key_tail[1] > 0);
	CHECK_EQ(status(&f).cached_sectors, 0);
	check_range(&f, 100, 8);
	check_range(&f, 200, 8);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).fills, 0);
	/* The next attach knows what the log has. */
	go_on_writing(&f);
	detach(&f);
	attach(&f, "");
	write_sectors(&f, 100, 8);
	write_back(&f);
	check_all(&f);
	check_disk(&f);
	close_all(&f);
}

/* A discard that the backing device fails has been done in the cache. */
static void test_failed(void)
{
	struct fixture f;

	open_and_attach(&f, "2 writeback_order fast");
	write_sectors(&f, 100, 8);
	write_back(&f);
	stop_writing(&f);
	CHECK_EQ(try_op(&f, REQ_OP_DISCARD, 96, 16), -EIO);
	CHECK_EQ(status(&f).cached_sectors, 0);
	go_on_writing(&f);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 0, SECTORS, 1, BLK_STS_NOTSUPP);
	discard(&f, 500, 8);
	write_sectors(&f, 500, 8);
	check_all(&f);
	close_all(&f);
}

/*
 * Limits
 */

static void test_limits(void)
{
	struct queue_limits *lim;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SECTORS);
	lim = &f.h.disk->queue.limits;
	lim->max_hw_discard_sectors = lim->max_discard_sectors = 512;
	lim->discard_granularity = 8192;
	lim->discard_alignment = 4096;
	attach(&f, "2 writeback_order fast");
	CHECK_EQ(bdev_max_discard_sectors(dm_host_bdev(f.h.md)), 512);
	CHECK_EQ(bdev_discard_granularity(dm_host_bdev(f.h.md)), 8192);
	CHECK_EQ(dm_host_bdev(f.h.md)->queue.limits.discard_alignment, 4096);
	CHECK(bdev_write_zeroes_sectors(dm_host_bdev(f.h.md)));
	write_sectors(&f, 100, 8);
	write_back(&f);
	/* What is too small for the backing device does not get there. */
	discard(&f, 88, 36);
	CHECK_EQ(disk_stats(&f).discards, 1);
	detach(&f);
	/* Without any there, the cache drops its own. */
	*lim = (struct queue_limits) {
		.logical_block_size = 512, .physical_block_size = 512, .io_min = 512,
		.max_sectors = 2560, .max_hw_sectors = UINT_MAX, .max_segments = 128,
		.max_segment_size = UINT_MAX, .dma_alignment = 511,
		.features = BLK_FEAT_NOWAIT | BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
	};
	attach(&f, "2 writeback_order fast");
	CHECK_EQ(bdev_max_discard_sectors(dm_host_bdev(f.h.md)), 8192);
	CHECK_EQ(bdev_discard_granularity(dm_host_bdev(f.h.md)), 512);
	CHECK_EQ(try_op(&f, REQ_OP_WRITE_ZEROES, 0, 8), -EOPNOTSUPP);
	CHECK_EQ(status(&f).cached_sectors, 8);
	discard(&f, 96, 100);
	CHECK_EQ(status(&f).cached_sectors, 0);
	CHECK_EQ(disk_stats(&f).discards, 1);
	check_all(&f);
	close_all(&f);
}

/*
 * Write zeroes
 */

static void write_zeroes(struct fixture *f, u32 at, u32 n)
{
	CHECK_EQ(try_op(f, REQ_OP_WRITE_ZEROES, at, n), 0);
	expect(f, at, n, 0);
}

static void zeroes_one(const char *options)
{
	struct fixture f;

	host_section("%s", options);
	open_and_attach(&f, options);
	write_sectors(&f, 100, 40);
	write_sectors(&f, END - 40, 80);
	write_back(&f);
	write_zeroes(&f, 110, 20);
	/* Across the end of a stretch, and of what a chunk is at most. */
	write_zeroes(&f, END - 1000, 2000);
	check_range(&f, 90, 60);
	check_range(&f, END - 1100, 2040);
	CHECK_EQ(disk_stats(&f).discards, 0);
	flush(&f);
	detach(&f);
	attach(&f, options);
	check_range(&f, 90, 60);
	check_range(&f, END - 1100, 2040);
	write_back(&f);
	check_on_disk(&f, 110, 20, 0);
	check_on_disk(&f, END - 1000, 2000, 0);
	CHECK_EQ(status(&f).crc_errors, 0);
	close_all(&f);
}

static void test_zeroes(void)
{
	zeroes_one("");
	zeroes_one("2 data_crc true");
	zeroes_one("2 cache_mode writethrough");
	/* It does not go around the cache. */
	zeroes_one("2 cache_mode writearound");
}

static const struct test_case cases[] = {
	{ "drop_dirty", test_drop_dirty },
	{ "write_after", test_write_after },
	{ "pass_down", test_pass_down },
	{ "reclaimed", test_reclaimed },
	{ "order", test_order },
	{ "volatile", test_volatile },
	{ "in_flight", test_in_flight },
	{ "unreadable", test_unreadable },
	{ "logged_again", test_logged_again },
	{ "failed", test_failed },
	{ "limits", test_limits },
	{ "zeroes", test_zeroes },
};

int main(int argc, char **argv)
{
	return run_cases("discard-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

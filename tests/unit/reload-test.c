// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables that take over the cache of a live device: what a load changes (nothing), what
 * the resume does, what is refused, and who has the cache then.
 */
#include "fixture.h"

/* So many that reads may fill while nothing can be written back. */
#define SEGS 64

/* Loads a line with the fixture's devices; gives what it says. */
static int load_options(struct fixture *f, const char *options, bool read_only)
{
	char line[400];

	f->error[0] = '\0';
	snprintf(line, sizeof(line), "0 %u pcache pmem0 vda %s", f->sectors, options);
	return dm_host_load(f->h.md, line, read_only, f->error, sizeof(f->error));
}

static void reload(struct fixture *f, const char *options, bool read_only)
{
	int r = load_options(f, options, read_only);

	CHECK(!r, "load of '%s': %d, %s", options, r, f->error);
	r = dm_host_resume(f->h.md);
	CHECK(!r, "resume of '%s': %d", options, r);
}

static void refuse_line(struct fixture *f, const char *line, const char *expected)
{
	CHECK(dm_host_load(f->h.md, line, false, f->error, sizeof(f->error)) < 0,
	      "is taken: %s", line);
	CHECK_TEXT(f->error, expected);
}

static const char *table(struct fixture *f, bool loaded)
{
	static char line[400];

	if (loaded)
		CHECK(!dm_host_status_loaded(f->h.md, STATUSTYPE_TABLE, line, sizeof(line)));
	else
		CHECK(!dm_host_status(f->h.md, STATUSTYPE_TABLE, 0, line, sizeof(line)));
	CHECK(strstr(line, "240:"), "%s", line);
	/* Behind the devices' numbers. */
	return strchr(strstr(strstr(line, "240:") + 4, "240:"), ' ') + 1;
}

static void hold_dirty(struct fixture *f)
{
	port_bdev_fault(f->h.disk, PORT_FAULT_WRITE, 0, f->sectors, PORT_FAULT_ALWAYS,
			BLK_STS_IOERR);
}

static void let_clean(struct fixture *f)
{
	port_bdev_clear_faults(f->h.disk);
	CHECK_EQ(message(f, "flush"), 0);
}

/* A load changes nothing; the resume hands the cache over as it is. */
static void test_options(void)
{
	static const char before[] =
		"12 cache_mode writeback data_crc false gc_percent 70 writeback_order ordered sequential_cutoff_kb 0 eviction clock";
	static const char after[] =
		"14 cache_mode writeonly data_crc false gc_percent 33 writeback_order fast sequential_cutoff_kb 64 eviction fifo format never";
	struct host_status st;
	struct fixture f;
	u8 *media;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	attach(&f, "");
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	flush(&f);
	CHECK_EQ(message(&f, "clear_stats"), 0);
	write_sectors(&f, 5, 3);
	flush(&f);
	media = malloc(f.media_bytes);
	memcpy(media, f.media, f.media_bytes);
	for (u32 pass = 0; pass < 3; pass++) {
		CHECK_EQ(load_options(&f, "6 gc_percent 33 cache_mode writeonly format never", false), 0);
		CHECK_EQ(load_options(&f, "12 gc_percent 33 writeback_order fast cache_mode writeonly eviction fifo sequential_cutoff_kb 64 format never", false), 0);
		CHECK_TEXT(table(&f, false), before);
		CHECK_TEXT(table(&f, true), after);
		if (pass == 1)
			break;
		dm_host_clear(f.h.md);
		CHECK(!memcmp(media, f.media, f.media_bytes), "a load has stored something");
	}
	free(media);
	host_clear_log();
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_TEXT(table(&f, false), after);
	st = status(&f);
	CHECK_EQ(st.gc_percent, 33);
	CHECK_EQ((st.cache_flags >> 6) & 127, 33);
	CHECK_EQ((st.cache_flags >> 2) & 15, PCACHE_WRITEONLY);
	CHECK_TEXT(st.cache_mode, "writeonly");
	CHECK_TEXT(st.state, "rw");
	/* It is the same cache. */
	CHECK_EQ(st.writes, 1);
	CHECK(st.dirty_sectors > 10);
	check_all(&f);

	/* What a line does not name stays; but not what no medium keeps. */
	reload(&f, "", false);
	CHECK_TEXT(table(&f, false),
		   "12 cache_mode writeonly data_crc false gc_percent 33 writeback_order ordered sequential_cutoff_kb 0 eviction clock");
	/* What a message has set is not what the line said. */
	CHECK_EQ(message(&f, "gc_percent 44"), 0);
	CHECK_EQ(load_options(&f, "2 gc_percent 55", false), 0);
	CHECK_EQ(message(&f, "gc_percent 45"), 0);
	CHECK_EQ(status(&f).gc_percent, 45);
	CHECK_EQ(message(&f, "eviction fifo"), 0);
	CHECK_EQ(message(&f, "sequential_cutoff_kb 8"), 0);
	CHECK(strstr(table(&f, false), "sequential_cutoff_kb 8 eviction fifo"));
	CHECK(strstr(table(&f, true), "sequential_cutoff_kb 0 eviction clock"));
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).gc_percent, 55);
	CHECK(strstr(table(&f, false), "sequential_cutoff_kb 0 eviction clock"));
	let_clean(&f);
	check_disk(&f);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 55);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_refused(void)
{
	struct port_bdev_config pmem = {
		.name = "pmem1", .bytes = media_bytes_of(SMALL_SEGS), .pmem = true,
	};
	struct port_bdev_config disk = { .name = "vdb", .bytes = SZ_1M };
	struct block_device *pmem1 = port_bdev_open(&pmem), *vdb = port_bdev_open(&disk);
	static const char replace[] =
		"Another cache device can only replace a live one that is clean, in cache_mode writethrough or writearound";
	struct mapped_device *other;
	struct fixture f;

	CHECK(!dm_host_add_bdev(pmem1) && !dm_host_add_bdev(vdb));
	fixture_open(&f, SEGS, SMALL_SECTORS);
	attach(&f, "2 backing_id me");
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	flush(&f);
	refuse_line(&f, "0 2048 pcache pmem0 vda 2 data_crc true", "Cache was formatted with data_crc false");
	refuse_line(&f, "0 2048 pcache pmem0 vda 2 format force",
		    "A live cache is not formatted: remove the device first, or leave format force out");
	refuse_line(&f, "0 2048 pcache pmem0 vda 2 backing_id you", "Cache is bound to another backing_id");
	refuse_line(&f, "0 2049 pcache pmem0 vda", "Table is longer than the backing device");
	f.h.pmem->nr_sectors -= 8;
	refuse_line(&f, "0 2048 pcache pmem0 vda", "Cache device is smaller than its super-block says");
	f.h.pmem->nr_sectors += 8;
	refuse_line(&f, "0 2048 pcache pmem0 vdb", "Cache device is live with another backing device");
	refuse_line(&f, "0 2048 pcache vda pmem0", "Cache device is not a DAX device (persistent memory in fsdax mode)");
	refuse_line(&f, "0 2048 pcache pmem1 pmem0", "Backing device is in use by a pcache target");
	refuse_line(&f, "0 2048 pcache pmem1 vda", replace);
	refuse_line(&f, "0 1000 pcache pmem0 vda\n1000 1000 pcache pmem0 vda",
		    "Cache device is in use by a pcache target");
	refuse_line(&f, "0 1000 pcache pmem1 vdb\n1000 1000 pcache pmem1 vda",
		    "Cache device is in use by a pcache target");
	/* Another mapped device may not even have the same line. */
	other = dm_host_create("other");
	CHECK_EQ(dm_host_load(other, "0 2048 pcache pmem0 vda", false, f.error, sizeof(f.error)),
		 -EBUSY);
	CHECK_TEXT(f.error, "Cache device is in use by a pcache target");
	CHECK(!dm_host_remove(other));
	/* In write-back it is not enough to be clean. */
	let_clean(&f);
	refuse_line(&f, "0 2048 pcache pmem1 vda", replace);
	check_all(&f);
	random_writes(&f, 12, 12);
	check_all(&f);

	/* Clean, and it will be. */
	CHECK_EQ(message(&f, "cache_mode writethrough"), 0);
	CHECK_EQ(dm_host_load(f.h.md, "0 2048 pcache pmem1 vda", false, NULL, 0), 0);
	check_all(&f);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_TEXT(status(&f).cache_mode, "writeback");
	check_all(&f);
	random_writes(&f, 12, 12);
	check_all(&f);
	let_clean(&f);

	/* What was clean at the load need not be so at the resume. */
	CHECK_EQ(message(&f, "cache_mode writethrough"), 0);
	CHECK_EQ(dm_host_load(f.h.md, "0 2048 pcache pmem0 vda 2 format force", false, NULL, 0), 0);
	CHECK_EQ(message(&f, "cache_mode writeback"), 0);
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	CHECK_EQ(dm_host_resume(f.h.md), -EBUSY);
	CHECK(host_logged("table cannot be resumed: Another cache device"));
	CHECK_EQ(dm_host_resume(f.h.md), 0);	/* the old one has gone, all dirty data in it */
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(dm_host_load(f.h.md, "0 2048 pcache pmem1 vda", false, f.error, sizeof(f.error)), -EBUSY);
	CHECK(!dm_host_remove(f.h.md));
	f.h.md = dm_host_start("again", "0 2048 pcache pmem1 vda", false, NULL, 0);
	CHECK(f.h.md);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
	dm_host_remove_bdev(pmem1);
	dm_host_remove_bdev(vdb);
	port_bdev_close(pmem1);
	port_bdev_close(vdb);
}

/* Tables that come and go, and the device itself. */
static void test_lives(void)
{
	struct fixture f;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	/* Loaded twice before it is live: the second line holds. */
	f.h.md = dm_host_create("cache");
	CHECK_EQ(load_options(&f, "2 gc_percent 11", false), 0);
	CHECK_EQ(load_options(&f, "2 gc_percent 12", false), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).gc_percent, 12);
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	/* A refused line leaves the loaded one. */
	CHECK_EQ(load_options(&f, "2 gc_percent 13", false), 0);
	CHECK_EQ(load_options(&f, "2 data_crc true", false), -EINVAL);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).gc_percent, 13);
	check_all(&f);
	/* Suspended already, then taken over; messages wait for the resume. */
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK_EQ(load_options(&f, "2 gc_percent 14", false), 0);
	CHECK_EQ(message(&f, "flush"), -EINVAL);
	CHECK_EQ(status(&f).gc_percent, 13);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).gc_percent, 14);
	check_all(&f);
	/* Loaded, then removed. */
	CHECK_EQ(load_options(&f, "2 gc_percent 15", false), 0);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 14);
	check_all(&f);
	/* Loaded, suspended, removed. */
	CHECK_EQ(load_options(&f, "2 gc_percent 16", false), 0);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	CHECK(!dm_host_remove(f.h.md));
	f.h.md = NULL;
	port_bdev_clear_faults(f.h.disk);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 14);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_read_only(void)
{
	struct fixture f;
	u8 *media;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	attach(&f, "");
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	media = malloc(f.media_bytes);
	for (u32 pass = 0; pass < 2; pass++) {
		CHECK_EQ(load_options(&f, "2 cache_mode writeonly", true), 0);
		CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
		memcpy(media, f.media, f.media_bytes);
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		CHECK_TEXT(status(&f).state, "ro");
		CHECK_EQ(try_write(&f, 0, 1, 0), -EROFS);
		CHECK_EQ(message(&f, "gc_percent 1"), -EINVAL);
		check_all(&f);
		/* From read-only to read-only. */
		reload(&f, "2 gc_percent 3", true);
		check_all(&f);
		CHECK_TEXT(status(&f).state, "ro");
		CHECK(!memcmp(media, f.media, f.media_bytes), "a read-only table has stored");
		reload(&f, "", false);
		CHECK_TEXT(status(&f).state, "rw");
		CHECK_TEXT(status(&f).cache_mode, "writeback");
		CHECK_EQ(status(&f).gc_percent, 70);
		random_writes(&f, 12, 12);
		check_all(&f);
	}
	let_clean(&f);
	check_disk(&f);
	detach(&f);

	/* From the first attach on. */
	host_attach_ro(&f.h, "");
	check_all(&f);
	reload(&f, "", false);
	random_writes(&f, 12, 12);
	flush(&f);
	detach(&f);

	/* A log that is damaged in the middle. */
	{
		struct host_status st;
		struct kset_place ks[40];

		attach(&f, "");
		CHECK_EQ(message(&f, "flush"), 0);
		hold_dirty(&f);
		for (u32 i = 0; i < 3; i++) {
			random_writes(&f, 5, 20);
			flush(&f);
		}
		st = status(&f);
		CHECK_EQ(find_ksets(&f, st.dirty_tail[0], st.dirty_tail[1], ks, 40), 3);
		detach(&f);
		port_bdev_clear_faults(f.h.disk);
		f.media[ks[1].off + 9] ^= 1;
	}
	host_attach_ro(&f.h, "");
	CHECK_TEXT(status(&f).needs_check, "needs_check");
	CHECK_EQ(load_options(&f, "", false), -EUCLEAN);
	CHECK_TEXT(f.error, "Cache log is damaged (see the kernel log): attach read-only, or repair");
	reload(&f, "", true);
	CHECK_TEXT(status(&f).state, "ro");
	detach(&f);
	free(media);
	fixture_close(&f);
}

static u64 bound_sectors(struct fixture *f)
{
	const struct pcache_media_ext *ext = (void *)f->media + PCACHE_EXT_OFF;

	return le64_to_cpu(ext->backing_sectors);
}

/* The backing device has grown; or got smaller again. */
static void test_grown_backing(void)
{
	struct fixture f;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	f.sectors = SMALL_SECTORS / 2;
	f.h.disk->nr_sectors = f.sectors;
	attach(&f, "");
	hold_dirty(&f);
	random_writes(&f, 12, 12);
	flush(&f);
	refuse_line(&f, "0 2048 pcache pmem0 vda", "Table is longer than the backing device");
	f.h.disk->nr_sectors = SMALL_SECTORS;
	f.sectors = SMALL_SECTORS;
	CHECK_EQ(load_options(&f, "", false), 0);
	CHECK_EQ(bound_sectors(&f), SMALL_SECTORS / 2);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(bound_sectors(&f), SMALL_SECTORS);
	check_all(&f);
	write_sectors(&f, SMALL_SECTORS - 8, 8);
	random_writes(&f, 12, 12);
	flush(&f);
	detach(&f);
	attach(&f, "");
	check_all(&f);
	/* A shorter table is fine, a smaller device is not. */
	CHECK_EQ(dm_host_load(f.h.md, "0 100 pcache pmem0 vda", false, NULL, 0), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	check_range(&f, 0, 100);
	CHECK(try_read(&f, 100, 1) < 0);
	f.h.disk->nr_sectors = SMALL_SECTORS - 1;
	refuse_line(&f, "0 100 pcache pmem0 vda",
		    "Backing device is smaller than the one the cache is bound to");
	f.h.disk->nr_sectors = SMALL_SECTORS;
	reload(&f, "", false);
	check_all(&f);
	let_clean(&f);
	check_disk(&f);
	detach(&f);
	/* Without a block nothing is bound, but keys that were taken may be of the end. */
	memset(f.media + PCACHE_EXT_OFF, 0, 2 * PCACHE_EXT_STRIDE);
	host_attach_ro(&f.h, "");
	f.h.disk->nr_sectors = SMALL_SECTORS - 8;
	refuse_line(&f, "0 100 pcache pmem0 vda",
		    "Backing device is smaller than the one the cache is bound to");
	f.h.disk->nr_sectors = SMALL_SECTORS;
	reload(&f, "", false);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* To writethrough with dirty data: the resume does not wait for it, writes do. */
static void test_modes(void)
{
	struct fixture f;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	attach(&f, "");
	for (u32 pass = 0; pass < 2; pass++) {
		hold_dirty(&f);
		random_writes(&f, 12, 12);
		reload(&f, pass ? "2 cache_mode writearound" : "2 cache_mode writethrough", false);
		CHECK_TEXT(status(&f).cache_mode, "writeback");
		CHECK(status(&f).dirty_sectors);
		check_all(&f);
		port_bdev_clear_faults(f.h.disk);
		write_sectors(&f, 70, 9);
		AWAIT(!strcmp(status(&f).cache_mode, pass ? "writearound" : "writethrough"));
		check_disk(&f);
		random_writes(&f, 5, 20);
		check_disk(&f);
		/* Between the two nothing has to be cleaned. */
		reload(&f, "2 cache_mode writethrough", false);
		CHECK_TEXT(status(&f).cache_mode, "writethrough");
		random_writes(&f, 5, 20);
		check_disk(&f);
		reload(&f, pass ? "2 cache_mode writeonly" : "2 cache_mode writeback", false);
		CHECK_TEXT(status(&f).cache_mode, pass ? "writeonly" : "writeback");
		hold_dirty(&f);
		random_writes(&f, 5, 20);
		CHECK(status(&f).dirty_sectors);
		let_clean(&f);
	}
	check_disk(&f);
	detach(&f);
	fixture_close(&f);
}

/* Requests under way all the time, of which none may fail or be lost. */
static void test_load(void)
{
	static const char *const options[] = {
		"2 cache_mode writethrough", "4 gc_percent 0 writeback_order fast",
		"4 eviction fifo sequential_cutoff_kb 4", "",
		"2 cache_mode writeonly", "2 cache_mode writearound", "2 cache_mode writeback",
	};
	const struct writer how = { .max_sectors = 24, .writes = U32_MAX, .flush_every = 7,
				    .fua_every = 5 };
	struct writer w[3];
	struct fixture f;

	fixture_open(&f, SEGS, SMALL_SECTORS);
	attach(&f, "");
	start_writers(&f, w, 3, &how);
	for (u32 i = 0; i < 60; i++) {
		struct writer *one = &w[i % 3];
		u32 done = READ_ONCE(one->done);

		if (rnd(3) == 0)
			CHECK_EQ(dm_host_suspend(f.h.md, rnd(2)), 0);
		CHECK_EQ(load_options(&f, options[rnd(ARRAY_SIZE(options))], false), 0);
		if (rnd(4) == 0)
			dm_host_clear(f.h.md);
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		AWAIT(READ_ONCE(one->done) > done);
	}
	for (u32 i = 0; i < 3; i++)
		WRITE_ONCE(w[i].writes, 0);
	join_writers(w, 3);
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	check_disk(&f);
	detach(&f);
	attach(&f, "");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* Writes that wait for room are sent back, and come to the new table. */
static void test_sent_back(void)
{
	const struct writer how = { .max_sectors = 24, .writes = 500 };
	struct fixture f;
	struct writer w;

	fixture_open(&f, PCACHE_MIN_SEGS, SMALL_SECTORS);
	attach(&f, "");
	port_bdev_set_gone(f.h.disk, true);
	start_writers(&f, &w, 1, &how);
	AWAIT(status(&f).space_waits > 0);
	CHECK_EQ(dm_host_suspend(f.h.md, true), 0);
	CHECK_EQ(load_options(&f, "2 gc_percent 20", false), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	AWAIT(status(&f).space_waits > 1);
	port_bdev_set_gone(f.h.disk, false);
	join_writers(&w, 1);
	CHECK_EQ(w.done, 500);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Of two targets the second refuses to be resumed: the device stays suspended, with the
 * first one resumed. It may be tried again, replaced, or removed.
 */
static void test_half_resumed(void)
{
	static const char both[] = "0 2048 pcache pmem0 vda\n2048 2040 pcache pmem1 vdb";
	static const char other[] = "0 2048 pcache pmem0 vda 2 gc_percent 20\n"
				    "2048 2040 pcache pmem1 vdb 2 gc_percent 30";
	static const char third[] = "0 2048 pcache pmem0 vda 2 gc_percent 40\n"
				    "2048 2040 pcache pmem1 vdb";
	struct port_bdev_config pmem = {
		.name = "pmem1", .bytes = media_bytes_of(SMALL_SEGS), .pmem = true,
	};
	struct port_bdev_config disk = { .name = "vdb", .bytes = SZ_1M };
	struct block_device *pmem1 = port_bdev_open(&pmem), *vdb = port_bdev_open(&disk);
	const struct pcache_media_ext *ext;
	struct fixture f;
	u8 seq;

	CHECK(!dm_host_add_bdev(pmem1) && !dm_host_add_bdev(vdb));
	fixture_open(&f, SEGS, SMALL_SECTORS);
	ext = (void *)f.media + PCACHE_EXT_OFF;
	f.h.md = dm_host_start("cache", both, false, f.error, sizeof(f.error));
	CHECK(f.h.md, "%s", f.error);
	hold_dirty(&f);
	for (u32 pass = 0; pass < 3; pass++) {
		u32 percent = pass ? 20 : 70;

		random_writes(&f, 12, 12);
		check_all(&f);
		CHECK_EQ(dm_host_load(f.h.md, pass ? other : both, false, NULL, 0), 0);
		vdb->nr_sectors -= 8;
		CHECK_EQ(dm_host_resume(f.h.md), -EINVAL);
		CHECK(host_logged("table cannot be resumed: Backing device is smaller"));
		vdb->nr_sectors += 8;
		CHECK_EQ(status(&f).gc_percent, percent);
		if (pass == 2)
			break;
		if (pass == 1)
			CHECK_EQ(dm_host_load(f.h.md, third, false, NULL, 0), 0);
		seq = ext->header.seq;
		CHECK_EQ(dm_host_resume(f.h.md), 0);
		/* What has been attached with the same table is not attached once more. */
		CHECK_EQ(ext->header.seq == seq, !pass);
		CHECK_EQ((status(&f).cache_flags >> 6) & 127, pass ? 40 : 70);
		check_all(&f);
	}
	CHECK(!dm_host_remove(f.h.md));
	f.h.md = NULL;
	port_bdev_clear_faults(f.h.disk);
	attach(&f, "");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
	dm_host_remove_bdev(pmem1);
	dm_host_remove_bdev(vdb);
	port_bdev_close(pmem1);
	port_bdev_close(vdb);
}

/* The last line that was loaded is the one that is resumed, the first time as well. */
static void test_loaded_twice(void)
{
	struct fixture f;
	char line[400];

	fixture_open(&f, SEGS, SMALL_SECTORS);
	f.h.md = dm_host_create("cache");
	CHECK_EQ(load_options(&f, "2 gc_percent 20", false), 0);
	CHECK(!dm_host_status_loaded(f.h.md, STATUSTYPE_TABLE, line, sizeof(line)));
	CHECK(strstr(line, " gc_percent 20 "), "%s", line);
	CHECK_EQ(load_options(&f, "2 gc_percent 30", false), 0);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(status(&f).gc_percent, 30);
	random_writes(&f, 12, 12);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static const struct test_case cases[] = {
	{ "options", test_options },
	{ "refused", test_refused },
	{ "loaded_twice", test_loaded_twice },
	{ "lives", test_lives },
	{ "read_only", test_read_only },
	{ "grown_backing", test_grown_backing },
	{ "modes", test_modes },
	{ "load", test_load },
	{ "sent_back", test_sent_back },
	{ "half_resumed", test_half_resumed },
};

int main(int argc, char **argv)
{
	return run_cases("reload-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

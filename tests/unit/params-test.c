// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a user types and reads: table lines, good and bad, with what is said of
 * each; the printed line, taken back; status; what IMA gets; messages; tables that are read-only,
 * second on a device, or too long; backing devices with large blocks.
 */
#include "fixture.h"

#include <linux/vmalloc.h>

/*
 * Bad tables
 */

/* Neither device may change while a table is refused. */
struct snapshot {
	u8 *media;
	u8 *disk;
};

static struct snapshot take(struct fixture *f)
{
	struct snapshot s = {
		.media = malloc(f->media_bytes), .disk = malloc(f->sectors << SECTOR_SHIFT),
	};

	memcpy(s.media, f->media, f->media_bytes);
	memcpy(s.disk, f->disk, f->sectors << SECTOR_SHIFT);
	return s;
}

static bool unchanged(struct fixture *f, const struct snapshot *s)
{
	return !memcmp(s->media, f->media, f->media_bytes) &&
	       !memcmp(s->disk, f->disk, f->sectors << SECTOR_SHIFT);
}

static void drop(struct snapshot *s)
{
	free(s->media);
	free(s->disk);
}

/* Loads a whole table line that must be refused. */
static void refuse_line(const char *line, bool read_only, const char *expected)
{
	char error[256] = "";
	struct mapped_device *md = dm_host_create("bad");

	CHECK(dm_host_load(md, line, read_only, error, sizeof(error)) < 0, "accepted: %s", line);
	CHECK(!strcmp(error, expected), "\"%s\" gives \"%s\", expected \"%s\"", line, error,
	      expected);
	CHECK(!dm_host_remove(md));
}

#define TEXT63	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static const struct {
	const char *options;
	const char *expected;
} bad_options[] = {
	{ "2 bogus 1", "Unknown option bogus" },
	{ "2 cache_mode writethru",
	  "Option cache_mode: writethru is not allowed, expected writeback, writethrough, writearound or writeonly" },
	{ "2 data_crc yes", "Option data_crc: yes is not allowed, expected true or false" },
	{ "2 data_crc TRUE", "Option data_crc: TRUE is not allowed, expected true or false" },
	{ "2 gc_percent 91", "Option gc_percent: 91 is not allowed, expected 0 to 90" },
	{ "2 gc_percent -1", "Option gc_percent: -1 is not allowed, expected 0 to 90" },
	{ "2 gc_percent 70%", "Option gc_percent: 70% is not allowed, expected 0 to 90" },
	{ "2 gc_percent 4294967297",
	  "Option gc_percent: 4294967297 is not allowed, expected 0 to 90" },
	{ "2 dirty_low_percent 101",
	  "Option dirty_low_percent: 101 is not allowed, expected 0 to 100" },
	{ "2 dirty_high_percent x",
	  "Option dirty_high_percent: x is not allowed, expected 0 to 100" },
	{ "2 writeback_delay_ms 3600001",
	  "Option writeback_delay_ms: 3600001 is not allowed, expected 0 to 3600000" },
	{ "2 writeback_delay_ms -1",
	  "Option writeback_delay_ms: -1 is not allowed, expected 0 to 3600000" },
	{ "2 writeback_delay_ms 1s",
	  "Option writeback_delay_ms: 1s is not allowed, expected 0 to 3600000" },
	{ "2 writeback_order slow",
	  "Option writeback_order: slow is not allowed, expected ordered or fast" },
	{ "2 copy fast", "Option copy: fast is not allowed, expected auto, nt or clwb" },
	{ "2 eviction lru", "Option eviction: lru is not allowed, expected fifo or clock" },
	{ "2 sequential_cutoff_kb 1048577",
	  "Option sequential_cutoff_kb: 1048577 is not allowed, expected 0 to 1048576" },
	{ "2 sequential_cutoff_kb off",
	  "Option sequential_cutoff_kb: off is not allowed, expected 0 to 1048576" },
	{ "2 format yes", "Option format: yes is not allowed, expected auto, never or force" },
	{ "2 backing_id " TEXT63 "f",
	  "Option backing_id: " TEXT63 "f is not allowed, expected 1 to 63 printable characters without space and backslash" },
	{ "2 backing_id a\\ b",
	  "Option backing_id: a b is not allowed, expected 1 to 63 printable characters without space and backslash" },
	{ "2 backing_id a\\\\b",
	  "Option backing_id: a\\b is not allowed, expected 1 to 63 printable characters without space and backslash" },
	{ "1 data_crc",
	  "Expected 1 words of options in pairs of name and value, found 1" },
	{ "4 data_crc true",
	  "Expected 4 words of options in pairs of name and value, found 2" },
	{ "2 data_crc true gc_percent 5",
	  "Expected 2 words of options in pairs of name and value, found 4" },
	{ "0 data_crc",
	  "Expected 0 words of options in pairs of name and value, found 1" },
	{ "4 gc_percent 5 gc_percent 6", "Option gc_percent is given twice" },
	{ "4 gc_percent 5 bogus 6", "Unknown option bogus" },
	{ "writeback",
	  "Expected a number of words behind the devices, or cache_mode and data_crc, not writeback" },
	{ "writeback true 2",
	  "Expected a number of words behind the devices, or cache_mode and data_crc, not writeback" },
	{ "-2 data_crc true",
	  "Expected a number of words behind the devices, or cache_mode and data_crc, not -2" },
	{ "write true",
	  "Option cache_mode: write is not allowed, expected writeback, writethrough, writearound or writeonly" },
	{ "writeback maybe", "Option data_crc: maybe is not allowed, expected true or false" },
};

static void test_bad_options(void)
{
	static const char usage[] =
		"Expected <cache_dev> <backing_dev> [<#words> [<option> <value>]...]";
	struct fixture f;
	struct snapshot s;
	char line[300];

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	s = take(&f);
	refuse_line("0 2048 pcache", false, usage);
	refuse_line("0 2048 pcache pmem0", false, usage);
	for (u32 i = 0; i < ARRAY_SIZE(bad_options); i++) {
		snprintf(line, sizeof(line), "0 2048 pcache pmem0 vda %s", bad_options[i].options);
		refuse_line(line, false, bad_options[i].expected);
		CHECK(unchanged(&f, &s), "%s", line);
	}
	drop(&s);
	fixture_close(&f);
}

/* Device-Mapper never hands an empty word over; another host may. */
static void test_empty_value(void)
{
	char *words[] = { "2", "backing_id", "" };
	struct pcache_options o;
	char why[200];

	CHECK_EQ(pcache_parse_options(3, words, &o, why, sizeof(why)), -EINVAL);
	CHECK_TEXT(why, "Option backing_id:  is not allowed, expected 1 to 63 printable characters without space and backslash");
}

static void test_bad_devices(void)
{
	struct port_bdev_config small = { .name = "small", .bytes = 65536, .pmem = true };
	struct port_bdev_config big = { .name = "big", .bytes = SZ_2M, .block_size = 8192 };
	struct block_device *small_bdev, *big_bdev;
	struct fixture f;
	struct snapshot s;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	small_bdev = port_bdev_open(&small);
	big_bdev = port_bdev_open(&big);
	CHECK(!dm_host_add_bdev(small_bdev) && !dm_host_add_bdev(big_bdev));
	s = take(&f);

	refuse_line("0 2048 pcache nope vda", false, "Cache device cannot be opened");
	refuse_line("0 2048 pcache pmem0 nope", false, "Backing device cannot be opened");
	f.h.disk->busy = true;
	refuse_line("0 2048 pcache pmem0 vda", false, "Backing device cannot be opened");
	f.h.disk->busy = false;
	f.h.disk->read_only = true;
	refuse_line("0 2048 pcache pmem0 vda", false, "Backing device cannot be opened");
	f.h.disk->read_only = false;
	refuse_line("0 2048 pcache pmem0 pmem0", false,
		    "Cache device and backing device are the same");
	refuse_line("0 2048 pcache vda pmem0", false,
		    "Cache device is not a DAX device (persistent memory in fsdax mode)");
	f.h.pmem->dax->synchronous = false;
	refuse_line("0 2048 pcache pmem0 vda", false, "Cache device does not persist synchronously");
	f.h.pmem->dax->synchronous = true;
	refuse_line("0 2048 pcache small vda", false,
		    "Cache device is too small (512 MiB at least)");
	refuse_line("0 2048 pcache pmem0 big", false,
		    "Logical block sizes: the backing device's must be at most 4096, and not smaller than the cache device's");
	f.h.pmem->queue.limits.logical_block_size = 4096;
	refuse_line("0 2048 pcache pmem0 vda", false,
		    "Logical block sizes: the backing device's must be at most 4096, and not smaller than the cache device's");
	f.h.pmem->queue.limits.logical_block_size = 512;
	refuse_line("0 2049 pcache pmem0 vda", false, "Table is longer than the backing device");
	f.h.disk->nr_sectors = 1ULL << 48;
	refuse_line("0 2048 pcache pmem0 vda", false, "Backing device is too large");
	f.h.disk->nr_sectors = SMALL_SECTORS;

	CHECK(unchanged(&f, &s));
	drop(&s);
	dm_host_remove_bdev(small_bdev);
	dm_host_remove_bdev(big_bdev);
	port_bdev_close(small_bdev);
	port_bdev_close(big_bdev);
	fixture_close(&f);
}

/* What is on the cache device decides whether a table is right. */
static void test_bad_media(void)
{
	static const char foreign[] =
		"Cache device has no pcache super-block, and its first 64 KiB are not zero (format force overwrites it)";
	struct fixture f;
	struct snapshot s;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	s = take(&f);
	CHECK_TEXT(refusal(&f, "2 format never", false),
		   "Cache device is not formatted, and format is never");
	CHECK_TEXT(refusal(&f, "", true),
		   "Cache device is not formatted, and the table is read-only");
	CHECK(unchanged(&f, &s));
	drop(&s);

	strcpy((char *)f.media + 1080, "a foreign signature");
	s = take(&f);
	CHECK_TEXT(refusal(&f, "", false), foreign);
	CHECK_TEXT(refusal(&f, "2 format auto", false), foreign);
	CHECK_TEXT(refusal(&f, "", true), foreign);
	CHECK_TEXT(refusal(&f, "2 format never", false),
		   "Cache device is not formatted, and format is never");
	CHECK(unchanged(&f, &s));
	drop(&s);

	attach(&f, "6 format force data_crc true backing_id disk-1");
	write_sectors(&f, 100, 30);
	port_bdev_hold(f.h.disk, true);	/* so that it stays dirty */
	write_sectors(&f, 200, 30);
	port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 0, SMALL_SECTORS, PORT_FAULT_ALWAYS,
			BLK_STS_IOERR);
	port_bdev_hold(f.h.disk, false);
	detach(&f);
	port_bdev_clear_faults(f.h.disk);
	s = take(&f);
	CHECK_TEXT(refusal(&f, "2 data_crc false", false), "Cache was formatted with data_crc true");
	CHECK_TEXT(refusal(&f, "writeback false", false), "Cache was formatted with data_crc true");
	CHECK_TEXT(refusal(&f, "2 backing_id disk-2", false),
		   "Cache is bound to another backing_id");
	CHECK(host_logged("cache is bound to backing_id disk-1, the table says disk-2"));
	CHECK_TEXT(refusal(&f, "2 format force", false),
		   "Cache device holds a pcache with dirty data or damage, which format force does not overwrite");
	f.h.disk->nr_sectors = SMALL_SECTORS - 8;
	CHECK_TEXT(refusal(&f, "", false),
		   "Backing device is smaller than the one the cache is bound to");
	CHECK(host_logged("sectors, this one has"));
	f.h.disk->nr_sectors = SMALL_SECTORS;
	CHECK(unchanged(&f, &s));
	drop(&s);

	attach(&f, "");
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	detach(&f);
	check_disk(&f);
	/* Clean: now it may be overwritten. */
	attach(&f, "4 format force data_crc false");
	CHECK_EQ(status(&f).dirty_sectors, 0);
	CHECK_EQ(status(&f).cached_sectors, 0);
	check_all(&f);
	detach(&f);
	CHECK_TEXT(refusal(&f, "2 data_crc true", false), "Cache was formatted with data_crc false");
	/* It has no backing_id until a table names one. */
	attach(&f, "2 backing_id disk-2");
	check_all(&f);
	detach(&f);
	CHECK_TEXT(refusal(&f, "2 backing_id disk-1", false),
		   "Cache is bound to another backing_id");
	attach(&f, "");
	detach(&f);
	fixture_close(&f);
}

/*
 * Good tables
 */

static const char *table_line(struct fixture *f)
{
	static char line[512];

	CHECK(!dm_host_status(f->h.md, STATUSTYPE_TABLE, 0, line, sizeof(line)));
	return line;
}

static const struct {
	const char *options;
	const char *printed;
} good_options[] = {
	{ "", "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "0", "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "writeback false",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "writeback true",
	  "cache_mode writeback data_crc true gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 data_crc true",
	  "cache_mode writeback data_crc true gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "writethrough true",
	  "cache_mode writethrough data_crc true gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 cache_mode writearound",
	  "cache_mode writearound data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 cache_mode writeonly",
	  "cache_mode writeonly data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 gc_percent 0",
	  "cache_mode writeback data_crc false gc_percent 0 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 writeback_delay_ms 0",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "4 dirty_low_percent 50 dirty_high_percent 80",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "4 dirty_high_percent 0 dirty_low_percent 100",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock dirty_low_percent 100 dirty_high_percent 0" },
	{ "4 writeback_delay_ms 3600000 gc_percent 70",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock writeback_delay_ms 3600000" },
	{ "4 gc_percent 90 writeback_order fast",
	  "cache_mode writeback data_crc false gc_percent 90 writeback_order fast "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 copy auto",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "2 copy nt",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock copy nt" },
	{ "2 copy clwb",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock copy clwb" },
	{ "4 eviction fifo sequential_cutoff_kb 1048576",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 1048576 eviction fifo" },
	{ "4 eviction clock sequential_cutoff_kb 1",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 1 eviction clock" },
	{ "2 format force",
	  "cache_mode writeback data_crc false gc_percent 70 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock" },
	{ "12 backing_id " TEXT63 " format auto writeback_order ordered gc_percent 7 data_crc true cache_mode writeback",
	  "cache_mode writeback data_crc true gc_percent 7 writeback_order ordered "
	  "sequential_cutoff_kb 0 eviction clock backing_id " TEXT63 },
};

static void test_good_options(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(good_options); i++) {
		char *first, *words;
		struct fixture f;

		fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
		attach(&f, good_options[i].options);
		first = strdup(table_line(&f));
		/* "0 LENGTH pcache CACHE BACKING #WORDS OPTIONS" */
		words = first;
		for (u32 skip = 6; skip; skip--)
			words = strchr(words, ' ') + 1;
		CHECK_TEXT(words, good_options[i].printed);
		random_writes(&f, 20, 40);
		detach(&f);

		f.h.md = dm_host_create("again");
		CHECK(!dm_host_load(f.h.md, first, false, f.error, sizeof(f.error)), "%s: %s",
		      first, f.error);
		CHECK(!dm_host_resume(f.h.md));
		CHECK_TEXT(table_line(&f), first);
		check_all(&f);
		detach(&f);
		free(first);
		fixture_close(&f);
	}
}

/* An option that is not given keeps what the medium says. */
/* "auto" says what it comes to; the others hold, from the table on or from the message on. */
static void test_copy(void)
{
	struct fixture f;
	char best[16];

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	snprintf(best, sizeof(best), "%s", status(&f).copy);
	CHECK(!strcmp(best, "nt") || !strcmp(best, "clwb"), "copy auto is \"%s\"", best);
	CHECK_EQ(message(&f, "copy clwb"), 0);
	CHECK_TEXT(status(&f).copy, "clwb");
	CHECK(strstr(table_line(&f), " copy clwb"));
	random_writes(&f, 20, 40);
	check_all(&f);
	CHECK_EQ(message(&f, "copy nt"), 0);
	CHECK_TEXT(status(&f).copy, "nt");
	CHECK_EQ(message(&f, "copy auto"), 0);
	CHECK_TEXT(status(&f).copy, best);
	CHECK(!strstr(table_line(&f), "copy"));
	detach(&f);
	attach(&f, "2 copy clwb");
	CHECK_TEXT(status(&f).copy, "clwb");
	/* Nothing was measured. */
	CHECK_EQ(message(&f, "copy auto"), 0);
	CHECK_TEXT(status(&f).copy, "nt");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_options_stay(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "4 gc_percent 33 data_crc true");
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 33);
	CHECK(strstr(table_line(&f), "data_crc true"));
	CHECK_EQ(message(&f, "gc_percent 44"), 0);
	CHECK_EQ(status(&f).gc_percent, 44);
	CHECK(strstr(table_line(&f), "gc_percent 44"));
	CHECK_EQ(message(&f, "eviction fifo"), 0);
	CHECK_EQ(message(&f, "sequential_cutoff_kb 64"), 0);
	CHECK(strstr(table_line(&f), " sequential_cutoff_kb 64 eviction fifo"));
	CHECK_EQ(status(&f).cache_flags >> 6, 44);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 44);
	/* These are nowhere but in the table. */
	CHECK(strstr(table_line(&f), " sequential_cutoff_kb 0 eviction clock"));
	detach(&f);
	attach(&f, "2 gc_percent 55");
	CHECK_EQ(status(&f).gc_percent, 55);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).gc_percent, 55);
	detach(&f);
	fixture_close(&f);
}

/* A table may be shorter than the backing device, which may grow. */
static void test_lengths(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	f.h.md = dm_host_create("short");
	CHECK(!dm_host_load(f.h.md, "0 1000 pcache pmem0 vda", false, f.error, sizeof(f.error)));
	CHECK(!dm_host_resume(f.h.md));
	write_sectors(&f, 990, 10);
	CHECK_EQ(try_write(&f, 991, 10, 0), -EIO);
	check_range(&f, 0, 1000);
	detach(&f);

	f.h.disk->nr_sectors = 1500;
	CHECK_TEXT(refusal(&f, "", false),
		   "Backing device is smaller than the one the cache is bound to");
	f.h.disk->nr_sectors = SMALL_SECTORS;
	attach(&f, "");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* Memory that comes in pieces is mapped all the same. */
static void test_pieces(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	f.h.pmem->dax->max_run = 16;
	attach(&f, "");
	random_writes(&f, 50, 60);
	check_all(&f);
	detach(&f);
	f.h.pmem->dax->max_run = 0;
	attach(&f, "2 format never");
	CHECK(strstr(table_line(&f), " format never"));
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static bool fail_large(gfp_t gfp, size_t size)
{
	/* A pointer to each page; nothing else of the constructor's is as large. */
	return size >= (media_bytes_of(SMALL_SEGS) >> PAGE_SHIFT) * sizeof(void *);
}

static void refuse_to_map(struct fixture *f, int expected)
{
	CHECK_EQ(try_attach(f, "", false), expected);
	CHECK_TEXT(f->error, "Cache device cannot be mapped (bad pages, or memory without struct page in pieces)");
}

static void test_not_mapped(void)
{
	void *base, *area = vmalloc(PAGE_SIZE);
	struct dax_device *dax;
	unsigned long pages;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	dax = f.h.pmem->dax;
	base = dax->base;
	pages = dax->nr_pages;
	dax->nr_pages = 0;
	refuse_to_map(&f, -ERANGE);
	dax->nr_pages = pages - 1;
	refuse_to_map(&f, -ERANGE);
	dax->nr_pages = pages;
	dax->max_run = 16;
	/* As memory that has no struct page, or none of the direct map. */
	dax->base = NULL;
	refuse_to_map(&f, -EOPNOTSUPP);
	dax->base = area;
	refuse_to_map(&f, -EOPNOTSUPP);
	vfree(area);
	dax->base = base;
	port_set_alloc_failure(fail_large);
	refuse_to_map(&f, -ENOMEM);
	port_set_alloc_failure(NULL);
	attach(&f, "");
	detach(&f);
	fixture_close(&f);
}

/*
 * Who else has the devices
 */

static void test_in_use(void)
{
	static const char cache_in_use[] =
		"Cache device is in use by a pcache target";
	static const char backing_in_use[] =
		"Backing device is in use by a pcache target";
	struct port_bdev_config pmem = {
		.name = "pmem1", .bytes = media_bytes_of(SMALL_SEGS), .pmem = true,
	};
	struct port_bdev_config disk = { .name = "vdb", .bytes = SZ_1M };
	struct block_device *pmem1 = port_bdev_open(&pmem), *vdb = port_bdev_open(&disk);
	struct mapped_device *other;
	struct fixture f;

	CHECK(!dm_host_add_bdev(pmem1) && !dm_host_add_bdev(vdb));
	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	random_writes(&f, 10, 20);

	refuse_line("0 2048 pcache pmem0 vdb", false, cache_in_use);
	refuse_line("0 2048 pcache pmem0 vdb", true, cache_in_use);
	refuse_line("0 2048 pcache pmem1 vda", false, backing_in_use);
	refuse_line("0 100 pcache pmem1 pmem0", false, backing_in_use);
	/* Neither is in use. */
	other = dm_host_start("other", "0 2048 pcache pmem1 vdb", false, f.error, sizeof(f.error));
	CHECK(other, "%s", f.error);
	CHECK(!dm_host_remove(other));

	check_all(&f);
	random_writes(&f, 10, 20);
	check_all(&f);
	detach(&f);

	/* A table that is loaded, not yet resumed, has its devices as well. */
	f.h.md = dm_host_create("loaded");
	CHECK(!dm_host_load(f.h.md, "0 2048 pcache pmem0 vda", false, NULL, 0));
	refuse_line("0 2048 pcache pmem0 vdb", false, cache_in_use);
	dm_host_clear(f.h.md);
	CHECK(!dm_host_load(f.h.md, "0 2048 pcache pmem0 vda", false, NULL, 0));
	CHECK(!dm_host_resume(f.h.md));
	check_all(&f);
	detach(&f);

	fixture_close(&f);
	dm_host_remove_bdev(pmem1);
	dm_host_remove_bdev(vdb);
	port_bdev_close(pmem1);
	port_bdev_close(vdb);
}

/* What is loaded and dropped again leaves nothing on the medium. */
static void test_load_only(void)
{
	struct fixture f;
	struct snapshot s;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	s = take(&f);
	for (u32 pass = 0; pass < 2; pass++) {
		f.h.md = dm_host_create("loaded");
		CHECK(!dm_host_load(f.h.md, "0 2048 pcache pmem0 vda 2 gc_percent 11", false,
				    NULL, 0));
		CHECK(!dm_host_remove(f.h.md));
		f.h.md = NULL;
		CHECK(unchanged(&f, &s));
		drop(&s);
		attach(&f, "");
		random_writes(&f, 20, 20);
		detach(&f);
		s = take(&f);
	}
	drop(&s);
	fixture_close(&f);
}

/*
 * Read-only tables
 */

static void test_read_only(void)
{
	struct port_bdev_stats before, after;
	struct fixture f;
	struct snapshot s;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	random_writes(&f, 30, 20);
	port_bdev_set_gone(f.h.disk, true);
	random_writes(&f, 30, 20);
	detach(&f);
	port_bdev_set_gone(f.h.disk, false);

	s = take(&f);
	port_bdev_get_stats(f.h.disk, &before);
	f.h.disk->read_only = true;
	f.h.pmem->read_only = true;
	host_attach_ro(&f.h, "");
	CHECK_TEXT(status(&f).state, "ro");
	CHECK(status(&f).dirty_sectors > 0);
	check_all(&f);
	check_all(&f);
	CHECK_EQ(try_write(&f, 0, 1, 0), -EROFS);
	CHECK_EQ(message(&f, "flush"), -EINVAL);
	CHECK_EQ(message(&f, "cleaner"), -EINVAL);
	CHECK_EQ(message(&f, "gc_percent 10"), -EINVAL);
	CHECK_EQ(message(&f, "clear_stats"), -EINVAL);
	CHECK_EQ(message(&f, "stats"), 1);
	CHECK_EQ(status(&f).fills, 0);
	CHECK_EQ(dm_host_flush(dm_host_bdev(f.h.md)), 0);
	usleep(700000);
	detach(&f);
	f.h.disk->read_only = false;
	f.h.pmem->read_only = false;
	port_bdev_get_stats(f.h.disk, &after);
	CHECK_EQ(after.writes, before.writes);
	CHECK_EQ(after.flushes, before.flushes);
	CHECK(unchanged(&f, &s));
	drop(&s);

	attach(&f, "");
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	detach(&f);
	check_disk(&f);
	fixture_close(&f);
}

/*
 * Status, messages
 */

static void test_status(void)
{
	struct fixture f;
	struct host_status st;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	st = status(&f);
	CHECK_EQ(st.sb_flags, 0);
	CHECK_EQ(st.seg_total, SMALL_SEGS);
	CHECK_EQ(st.cache_segs, SMALL_SEGS);
	CHECK_EQ(st.segs_used, 1);
	CHECK_EQ(st.gc_percent, 70);
	CHECK_EQ(st.cache_flags, 0x1182);
	CHECK(!st.key_head[0] && !st.key_head[1] && !st.dirty_tail[0] && !st.dirty_tail[1] &&
	      !st.key_tail[0] && !st.key_tail[1]);
	CHECK_TEXT(st.cache_mode, "writeback");
	CHECK_TEXT(st.state, "rw");
	CHECK_TEXT(st.needs_check, "-");
	CHECK_TEXT(st.room, "-");

	port_bdev_hold(f.h.disk, true);
	write_sectors(&f, 0, 8);
	write_sectors(&f, 4, 8);
	flush(&f);
	st = status(&f);
	CHECK_EQ(st.dirty_sectors, 12);
	CHECK_EQ(st.cached_sectors, 12);
	CHECK_EQ(st.writes, 2);
	CHECK_EQ(st.write_overwrites, 1);
	CHECK_EQ(st.flushes, 1);
	CHECK_EQ(st.key_head[1], PCACHE_KSET_BYTES(2));
	CHECK_EQ(st.dirty_tail[1], 0);
	CHECK_EQ(st.segs_used, 2);
	check_range(&f, 0, 12);
	CHECK_EQ(status(&f).read_hits, 1);
	port_bdev_hold(f.h.disk, false);
	check_range(&f, 8, 8);
	CHECK_EQ(status(&f).read_partial_hits, 1);
	check_range(&f, 100, 8);
	CHECK_EQ(status(&f).read_misses, 1);
	AWAIT(status(&f).fills == 2);
	check_range(&f, 100, 8);
	CHECK_EQ(status(&f).read_hits, 2);
	CHECK_EQ(message(&f, "flush"), 0);
	st = status(&f);
	CHECK_EQ(st.dirty_sectors, 0);
	CHECK_EQ(st.cached_sectors, 12 + 4 + 8);
	CHECK_EQ(st.writeback_sectors, 12);
	CHECK_EQ(st.writeback_errors, 0);
	CHECK_EQ(st.dirty_tail[1], st.key_head[1]);
	CHECK_EQ(st.bypasses, 0);
	CHECK_EQ(st.space_waits, 0);
	CHECK_EQ(st.media_errors + st.crc_errors + st.discards + st.second_chances, 0);

	CHECK_EQ(message(&f, "clear_stats"), 0);
	st = status(&f);
	CHECK_EQ(st.cached_sectors, 24);
	CHECK_EQ(st.read_hits + st.read_misses + st.read_partial_hits + st.writes + st.fills +
		 st.write_overwrites + st.flushes + st.writeback_sectors, 0);
	detach(&f);
	fixture_close(&f);
}

static void cut_line(struct fixture *f, status_type_t type)
{
	char line[512], part[sizeof(line)];
	size_t room;

	CHECK(!dm_host_status(f->h.md, type, 0, line, sizeof(line)));
	for (room = 1; room < strlen(line); room++) {
		memset(part, 'x', sizeof(part));
		dm_host_status(f->h.md, type, 0, part, room);
		CHECK_EQ(part[room], 'x');
		CHECK(strlen(part) < room && !strncmp(part, line, strlen(part)), "\"%s\"", part);
	}
}

/* A line that has no room is cut. */
static void test_short_buffer(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "2 backing_id a,b;c=d");
	cut_line(&f, STATUSTYPE_INFO);
	cut_line(&f, STATUSTYPE_TABLE);
	cut_line(&f, STATUSTYPE_IMA);
	detach(&f);
	fixture_close(&f);
}

/* What Device-Mapper measures for IMA; @options is its end. */
static void check_ima(struct fixture *f, const char *options)
{
	char line[512], expected[512], cache[40], backing[40];

	CHECK_EQ(sscanf(table_line(f), "%*u %*u pcache %39s %39s", cache, backing), 2);
	snprintf(expected, sizeof(expected),
		 "target_name=pcache,target_version=1.0.0,cache_device=%s,backing_device=%s,%s;",
		 cache, backing, options);
	CHECK(!dm_host_status(f->h.md, STATUSTYPE_IMA, 0, line, sizeof(line)));
	/* "0 LENGTH pcache " */
	CHECK_TEXT(strchr(strchr(strchr(line, ' ') + 1, ' ') + 1, ' ') + 1, expected);
}

static void test_ima(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	attach(&f, "");
	check_ima(&f, "read_only=n,cache_mode=writeback,data_crc=false,gc_percent=70,writeback_order=ordered,sequential_cutoff_kb=0,eviction=clock");
	detach(&f);
	attach(&f, "12 format never backing_id a,b;c=d gc_percent 5 writeback_order fast eviction fifo sequential_cutoff_kb 4096");
	check_ima(&f, "read_only=n,cache_mode=writeback,data_crc=false,gc_percent=5,writeback_order=fast,sequential_cutoff_kb=4096,eviction=fifo,format=never,backing_id=a\\,b\\;c\\=d");
	detach(&f);
	host_attach_ro(&f.h, "");
	check_ima(&f, "read_only=y,cache_mode=writeback,data_crc=false,gc_percent=5,writeback_order=ordered,sequential_cutoff_kb=0,eviction=clock");
	detach(&f);
	fixture_close(&f);
}

static const struct {
	const char *text;
	int expected;
	const char *logged;
} messages[] = {
	{ "gc_percent 0", 0, NULL },
	{ "gc_percent 90", 0, NULL },
	{ "gc_percent 91", -EINVAL, "message: gc_percent 91 is not allowed, expected 0 to 90" },
	{ "gc_percent", -EINVAL, "message: gc_percent is unknown" },
	{ "gc_percent 1 2", -EINVAL, "message: expected one or two words, found 3" },
	{ "bogus", -EINVAL, "message: bogus is unknown" },
	{ "bogus 1", -EINVAL, "message: bogus is not an option that can be changed at run time" },
	{ "data_crc true", -EINVAL,
	  "message: data_crc is not an option that can be changed at run time" },
	{ "format force", -EINVAL,
	  "message: format is not an option that can be changed at run time" },
	{ "eviction lru", -EINVAL, "message: eviction lru is not allowed, expected fifo or clock" },
	{ "eviction fifo", 0, NULL },
	{ "copy cached", -EINVAL, "message: copy cached is not allowed, expected auto, nt or clwb" },
	{ "copy clwb", 0, NULL },
	{ "sequential_cutoff_kb 1048577", -EINVAL,
	  "message: sequential_cutoff_kb 1048577 is not allowed, expected 0 to 1048576" },
	{ "sequential_cutoff_kb 64", 0, NULL },
	{ "cache_mode writearound", 0, "cache_mode is writearound" },
	{ "cache_mode back", -EINVAL,
	  "message: cache_mode back is not allowed, expected writeback, writethrough, writearound or writeonly" },
	{ "cache_mode writeonly", 0, "cache_mode is writeonly" },
	{ "flush now", -EINVAL, "message: flush is not an option that can be changed at run time" },
	{ "FLUSH", -EINVAL, "message: FLUSH is unknown" },
	{ "", -EINVAL, NULL },
	{ "flush", 0, NULL },
	{ "clear_stats", 0, NULL },
	{ "stats", 1, NULL },
	{ "flush_on_suspend", 0, NULL },
	{ "cleaner", 0, NULL },
};

static void test_messages(void)
{
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SMALL_SECTORS);
	f.h.md = dm_host_create("loaded");
	CHECK(!dm_host_load(f.h.md, "0 2048 pcache pmem0 vda", false, NULL, 0));
	CHECK_EQ(message(&f, "flush"), -ENXIO);
	CHECK(!dm_host_resume(f.h.md));
	random_writes(&f, 10, 20);
	for (u32 i = 0; i < ARRAY_SIZE(messages); i++) {
		int r;

		host_clear_log();
		r = message(&f, messages[i].text);
		CHECK(r == messages[i].expected, "%s: %d", messages[i].text, r);
		CHECK(!messages[i].logged || host_logged(messages[i].logged), "%s: %s",
		      messages[i].text, messages[i].logged);
	}
	CHECK_EQ(status(&f).gc_percent, 90);
	CHECK(strstr(table_line(&f), " sequential_cutoff_kb 64 eviction fifo"));
	check_all(&f);

	CHECK(!dm_host_suspend(f.h.md, false));
	CHECK_EQ(message(&f, "flush"), -EINVAL);
	CHECK_EQ(message(&f, "gc_percent 5"), -EINVAL);
	CHECK_EQ(message(&f, "stats"), 1);
	CHECK_EQ(status(&f).gc_percent, 90);
	CHECK(!dm_host_resume(f.h.md));
	CHECK_EQ(message(&f, "gc_percent 5"), 0);
	detach(&f);
	fixture_close(&f);
}

/*
 * Large blocks
 */

static void test_blocks_of_4096(void)
{
	struct port_bdev_config pmem = {
		.name = "pmem0", .bytes = media_bytes_of(SMALL_SEGS), .pmem = true,
	};
	struct port_bdev_config disk = {
		.name = "vda", .bytes = SMALL_SECTORS << SECTOR_SHIFT, .write_cache = true,
		.block_size = 4096,
	};

	for (u32 crc = 0; crc < 2; crc++) {
		struct fixture f = { };

		f.h.pmem = port_bdev_open(&pmem);
		f.h.disk = port_bdev_open(&disk);
		CHECK(!dm_host_add_bdev(f.h.pmem) && !dm_host_add_bdev(f.h.disk));
		fixture_init(&f);
		attach(&f, crc ? "2 data_crc true" : "");
		CHECK_EQ(bdev_logical_block_size(dm_host_bdev(f.h.md)), 4096);
		CHECK_EQ(try_write(&f, 1, 1, 0), -EIO);
		for (u32 i = 0; i < 400; i++) {
			u32 n = (1 + rnd(16)) * 8, at = rnd((SMALL_SECTORS - n) / 8 + 1) * 8;

			if (rnd(3))
				write_sectors(&f, at, n);
			else
				check_range(&f, at, n);
		}
		check_all(&f);
		CHECK_EQ(message(&f, "flush"), 0);
		CHECK_EQ(status(&f).writeback_errors, 0);
		detach(&f);
		check_disk(&f);
		attach(&f, "");
		check_all(&f);
		detach(&f);
		fixture_close(&f);
	}
}

static const struct test_case cases[] = {
	{ "bad_options", test_bad_options },
	{ "empty_value", test_empty_value },
	{ "bad_devices", test_bad_devices },
	{ "bad_media", test_bad_media },
	{ "good_options", test_good_options },
	{ "copy", test_copy },
	{ "options_stay", test_options_stay },
	{ "lengths", test_lengths },
	{ "pieces", test_pieces },
	{ "not_mapped", test_not_mapped },
	{ "in_use", test_in_use },
	{ "load_only", test_load_only },
	{ "read_only", test_read_only },
	{ "status", test_status },
	{ "short_buffer", test_short_buffer },
	{ "ima", test_ima },
	{ "messages", test_messages },
	{ "blocks_of_4096", test_blocks_of_4096 },
};

int main(int argc, char **argv)
{
	return run_cases("params-test", cases, ARRAY_SIZE(cases), 30, argc, argv);
}

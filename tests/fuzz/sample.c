// SPDX-License-Identifier: GPL-2.0-or-later
/* Populated media: made by the engine itself, judged by the checker and the oracle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "checker.h"
#include "disk-model.h"
#include "format.h"
#include "oracle.h"
#include "pmem-model.h"
#include "sample.h"
#include "world.h"

#define MAX_SECTORS	12
#define LOAD_WRITES	70
#define CLEAN_KSETS	48
#define DIRTY_KSETS	62

/* What a world's task needs. */
static struct {
	struct sample *s;
	struct sim_random random;
	struct mapped_device *md;
	bool last;
} make;

static u8 buf[SAMPLE_SECTORS << SECTOR_SHIFT] __aligned(4096);

u64 sample_bytes(u32 segs)
{
	return ALIGN(PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES, PAGE_SIZE);
}

void sample_table(char *line, size_t bytes, const char *options)
{
	snprintf(line, bytes, "0 %llu pcache pmem0 vda %s", SAMPLE_FIRST + SAMPLE_SECTORS,
		 options);
}

u32 sample_write_of(const void *sector_buf, u64 sector)
{
	u32 write = *(const u64 *)sector_buf >> 32;
	u8 expected[SECTOR_SIZE] __aligned(8);

	if (write)
		oracle_fill(expected, write, sector, 1);
	else
		memset(expected, 0, sizeof(expected));
	return memcmp(expected, sector_buf, sizeof(expected)) ? NO_WRITE : write;
}

/*
 * The load
 */

static void must(int r, const char *what)
{
	if (r < 0)
		sim_fail("sample: %s: %d", what, r);
}

static void send(const char *text)
{
	char result[2048];

	must(dm_host_message(make.md, text, result, sizeof(result)), text);
}

static void take_older_tails(void)
{
	const u8 *tails = pmem_model_durable() + PCACHE_CTRL_OFF;
	struct sample *s = make.s;
	u32 n = s->nr_older_tails;

	if (n && !memcmp(s->older_tails[n - 1], tails, TAILS_BYTES))
		return;
	if (n == SAMPLE_TAILS)
		sim_fail("sample: too many older tails");
	memcpy(s->older_tails[s->nr_older_tails++], tails, TAILS_BYTES);
}

static void flush(void)
{
	u64 begin = oracle_now();

	must(dm_host_flush(dm_host_bdev(make.md)), "flush");
	oracle_flush_end(begin);
	if (make.last)
		take_older_tails();
}

static void write_at(u32 at, u32 n)
{
	u64 sector = SAMPLE_FIRST + at;
	u32 write = oracle_write_begin(sector, n);

	oracle_fill(buf, write, sector, n);
	must(dm_host_rw(dm_host_bdev(make.md), REQ_OP_WRITE, sector, buf, n), "write");
	oracle_write_end(write, false, false);
	make.s->nr_writes = write + 1;
}

static void write_some(u32 max_sectors)
{
	u32 n = 1 + sim_below(&make.random, max_sectors);

	write_at(sim_below(&make.random, SAMPLE_SECTORS - n + 1), n);
}

static void take_older(void)
{
	struct sample *s = make.s;

	if (s->nr_older == SAMPLE_OLDER)
		sim_fail("sample: too many older copies");
	s->older[s->nr_older] = malloc(s->bytes);
	memcpy(s->older[s->nr_older++], pmem_model_durable(), s->bytes);
}

static void empty_cache(void)
{
	send("flush");
	send("gc_percent 0");
	msleep(1);
	send("gc_percent 90");
}

/* Where in its segment the log's head is, as status says it. */
static u32 head_off(void)
{
	char status[1000];
	u32 off;

	fuzz_status(make.md, STATUSTYPE_INFO, status, sizeof(status));
	if (sscanf(status, "%*u %*u pcache %*x %*u %*u %*u %*u %*x %*u:%u", &off) != 1)
		sim_fail("sample: status is %s", status);
	return off;
}

/* Makes the log turn over; leaves the cache nearly empty, the head near a segment's end. */
static void load_much(void)
{
	for (u32 i = 0; i < LOAD_WRITES; i++) {
		write_some(MAX_SECTORS);
		if (i % 2)
			flush();
		if (make.last && i % 8 == 0)
			take_older();
	}
	empty_cache();
	while (head_off() < PCACHE_DATA_BYTES - 400) {
		write_some(1);
		flush();
	}
	empty_cache();
}

/* Clean: written back, or read from the backing device. */
static void load_clean(void)
{
	for (u32 i = 0; i < CLEAN_KSETS; i++) {
		write_some(2);
		flush();
	}
	send("flush");
	for (u32 i = 0; i < 4; i++)
		must(fuzz_read(make.md, SAMPLE_FIRST + 32 * i, buf, 8), "read");
}

/* Dirty: the backing device takes no writes. */
static void load_dirty(u32 ksets)
{
	disk_model_set_errors(0, 1024, 1024);
	for (u32 i = 0; i < ksets; i++) {
		for (u32 k = i % 8 ? 0 : 4; k; k--)
			write_some(2);
		write_some(1);
		flush();
	}
}

static void load_full(void)
{
	take_older();
	load_much();
	load_clean();
	if (!make.last)
		return;
	take_older();
	load_dirty(DIRTY_KSETS);
	take_older();
	write_at(57, 4);
	flush();
}

static void load_light(void)
{
	write_some(MAX_SECTORS);
	write_some(2);
	flush();
	send("flush");
	must(fuzz_read(make.md, SAMPLE_FIRST, buf, 16), "read");
	load_dirty(6);
}

static void session(void *arg)
{
	struct sample *s = make.s;
	char line[FUZZ_TABLE], error[FUZZ_ERROR];

	sample_table(line, sizeof(line), s->data_crc ? "4 data_crc true gc_percent 90" :
		     "4 data_crc false gc_percent 90");
	make.md = fuzz_attach(line, false, error);
	if (!make.md)
		sim_fail("sample: %s", error);
	if (s->load == SAMPLE_FULL)
		load_full();
	else if (s->load == SAMPLE_LIGHT)
		load_light();
	if (make.last && !s->detached)
		sim_cut();
	fuzz_detach(make.md);
}

static void run_session(bool last)
{
	const struct sim_config config = {
		.seed = make.s->seed + last, .cpus = 2, .max_points = FUZZ_POINTS,
		.cut_after = make.s->cut_after,
	};
	enum sim_end end;

	make.last = last;
	if (!fuzz_world(&config, session, NULL, &end))
		fuzz_give_up();
	disk_model_off();
	disk_model_on(&make.random, DISK_CUT_ALL);
	pmem_model_settle();
	disk_model_set_errors(0, 0, 0);
}

/*
 * What came of it
 */

void sample_find_ksets(struct sample *s, const u32 key_tail[2], const u32 end[2])
{
	u32 seg = key_tail[0], off = key_tail[1];

	s->nr_ksets = 0;
	for (;;) {
		struct sample_kset *k = &s->ksets[s->nr_ksets];
		const struct pcache_media_kset *ks;

		k->seg = seg;
		k->seg_off = off;
		/* Formatting makes physical ids equal to logical ones. */
		k->off = PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES + PCACHE_SEG_DATA_OFF + off;
		if (seg == end[0] && off == end[1])
			break;
		if (++s->nr_ksets == SAMPLE_KSETS)
			fuzz_wrong("sample: too many ksets");
		ks = (const void *)(s->media + k->off);
		k->keys = le64_to_cpu(ks->flags) & PCACHE_KSET_LAST ? 0 : le32_to_cpu(ks->count);
		seg = k->keys ? seg : le32_to_cpu(ks->count);
		off = k->keys ? off + PCACHE_KSET_BYTES(k->keys) : 0;
	}
	s->end = s->ksets[s->nr_ksets].off;
}

/* It has to be sound, and to have what its name promises. */
static void judge(struct sample *s)
{
	const struct checker_image image = {
		.media = s->media, .bytes = s->bytes,
		.backing_sectors = SAMPLE_FIRST + SAMPLE_SECTORS,
	};
	static struct checker_place places[SAMPLE_SECTORS];
	struct checker c = {
		.first_sector = SAMPLE_FIRST, .nr_sectors = SAMPLE_SECTORS, .places = places,
	};

	if (!checker_run(&image, s->detached && s->load ? CHECKER_DETACHED : CHECKER_CRASHED, &c))
		fuzz_wrong("sample: %s", c.error);
	for (u32 i = 0; i < SAMPLE_SECTORS; i++) {
		const void *is = places[i].off ? s->media + places[i].off : s->disk[i];
		const char *error = oracle_recovered(is, SAMPLE_FIRST + i, 1);

		if (error)
			fuzz_wrong("sample: %s", error);
	}
	if (c.formatted)
		sample_find_ksets(s, c.key_tail, c.end);
	if (s->load == SAMPLE_FULL &&
	    (c.segs_log < 3 || !c.nr_dirty_keys || c.nr_dirty_keys == c.nr_keys))
		fuzz_wrong("sample: log in %u segments, %u keys, %u of them dirty", c.segs_log,
			   c.nr_keys, c.nr_dirty_keys);
}

void sample_make(struct sample *s)
{
	const struct disk_config disk = {
		.first = SAMPLE_FIRST, .sectors = SAMPLE_SECTORS, .block_sectors = 1,
		.write_cache = true,
	};

	make.s = s;
	sim_seed(&make.random, s->seed);
	s->bytes = sample_bytes(s->segs);
	s->media = malloc(s->bytes);
	pmem_model_new(s->bytes);
	disk_model_new(&disk);
	oracle_new(disk.first, disk.sectors);
	for (u32 i = 0; i < s->turns; i++)
		run_session(false);
	if (s->load != SAMPLE_BLANK)
		run_session(true);
	oracle_crash();
	memcpy(s->media, pmem_model_durable(), s->bytes);
	for (u32 i = 0; i < SAMPLE_SECTORS; i++)
		memcpy(s->disk[i], disk_model_durable(SAMPLE_FIRST + i), SECTOR_SIZE);
	judge(s);
}

void sample_load(const struct sample *s)
{
	const struct disk_config disk = {
		.first = SAMPLE_FIRST, .sectors = SAMPLE_SECTORS, .block_sectors = 1,
		.write_cache = true,
	};

	pmem_model_new(s->bytes);
	pmem_model_write(0, s->media, s->bytes);
	pmem_model_settle();
	disk_model_new(&disk);
	disk_model_write(SAMPLE_FIRST, s->disk, SAMPLE_SECTORS);
}

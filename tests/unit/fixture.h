/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cache and a model of what must be read through it, for the tests of failures,
 * of bad media and of table lines; more than host.h has.
 *
 * Each sector's content tells its number and version; version 0 is what the
 * backing device begins with, zeroes. The model knows the newest version of each
 * sector, and which one was newest at the last FLUSH.
 */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host.h"
#include "pcache.h"

#define FIXTURE_FN static inline __maybe_unused

/* Waits until @cond is true, as it has to become. */
#define AWAIT(cond) do {						\
	double end_ = host_seconds() + 20;				\
	while (!(cond)) {						\
		CHECK(host_seconds() < end_, "waited too long for: " #cond); \
		usleep(1000);						\
	}								\
} while (0)

#define CHECK_TEXT(is, expected) do {					\
	const char *is_ = (is), *expected_ = (expected);		\
	if (strcmp(is_, expected_))					\
		host_fail(__FILE__, __LINE__, #is, "is \"%s\", expected \"%s\"", \
			  is_, expected_);				\
} while (0)

#define SMALL_SEGS	(PCACHE_MIN_SEGS + 8)
#define SMALL_SECTORS	2048
#define BUF_SECTORS	2048
#define NO_VERSION	U32_MAX

/**
 * struct fixture - a cache and its model
 * @h: devices and target
 * @media: the cache device's content
 * @disk: the backing device's content
 * @media_bytes: size of the cache device
 * @sectors: size of the backing device and of the target
 * @newest: of each sector, the version that was written last
 * @durable: of each sector, the version that no crash may go back behind
 * @base: versions that are written from now on are above it
 * @buf: for BUF_SECTORS
 * @error: what the target said of the last table
 */
struct fixture {
	struct host h;
	u8 *media;
	u8 *disk;
	u64 media_bytes;
	u32 sectors;
	u32 *newest;
	u32 *durable;
	u32 base;
	void *buf;
	char error[256];
};

static struct host_random rnd_state;

/* Even, below @n. */
FIXTURE_FN u32 rnd(u32 n)
{
	return host_below(&rnd_state, n);
}

FIXTURE_FN u64 media_bytes_of(u32 segs)
{
	u64 bytes = ALIGN(PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES, PAGE_SIZE);

	return max_t(u64, bytes, PCACHE_MIN_BYTES);
}

FIXTURE_FN void fixture_init(struct fixture *f)
{
	f->media = host_pmem(&f->h);
	f->disk = host_disk(&f->h);
	f->media_bytes = bdev_nr_bytes(f->h.pmem);
	f->sectors = bdev_nr_sectors(f->h.disk);
	f->newest = calloc(f->sectors, sizeof(u32));
	f->durable = calloc(f->sectors, sizeof(u32));
	CHECK(!posix_memalign(&f->buf, PAGE_SIZE, BUF_SECTORS << SECTOR_SHIFT));
}

FIXTURE_FN void fixture_open(struct fixture *f, u32 segs, u32 sectors)
{
	memset(f, 0, sizeof(*f));
	host_open(&f->h, media_bytes_of(segs), (u64)sectors << SECTOR_SHIFT);
	fixture_init(f);
}

FIXTURE_FN void fixture_close(struct fixture *f)
{
	host_close(&f->h);
	free(f->newest);
	free(f->durable);
	free(f->buf);
}

/*
 * Tables
 */

FIXTURE_FN int try_attach(struct fixture *f, const char *options, bool read_only)
{
	return host_try_attach(&f->h, options, read_only, f->error, sizeof(f->error));
}

FIXTURE_FN void attach(struct fixture *f, const char *options)
{
	host_attach(&f->h, options);
}

FIXTURE_FN void detach(struct fixture *f)
{
	host_detach(&f->h);
}

/* What the target says of a table that must be refused. */
FIXTURE_FN const char *refusal(struct fixture *f, const char *options, bool read_only)
{
	CHECK(try_attach(f, options, read_only) < 0, "table is accepted: %s", options);
	return f->error;
}

FIXTURE_FN int message(struct fixture *f, const char *text)
{
	char result[2048];

	return dm_host_message(f->h.md, text, result, sizeof(result));
}

FIXTURE_FN struct host_status status(struct fixture *f)
{
	struct host_status st;

	host_status(&f->h, &st);
	return st;
}

/*
 * Content
 */

/* The version of a sector's content; NO_VERSION: it is nothing that was written there. */
FIXTURE_FN u32 version_of(const void *buf, u32 sector)
{
	u32 version = *(const u64 *)buf >> 32;

	if (!version)
		return memchr_inv(buf, 0, SECTOR_SIZE) ? NO_VERSION : 0;
	return host_pattern_is(buf, sector, version) ? version : NO_VERSION;
}

FIXTURE_FN u32 next_version(const struct fixture *f, u32 sector)
{
	return max(f->newest[sector], f->base) + 1;
}

/* Puts the next version of each sector to @buf. */
FIXTURE_FN void next_versions(struct fixture *f, void *buf, u32 sector, u32 n)
{
	for (u32 i = 0; i < n; i++)
		host_pattern(buf + (i << SECTOR_SHIFT), sector + i, 1,
			     next_version(f, sector + i));
}

/* A write of new versions has ended well. */
FIXTURE_FN void note_written(struct fixture *f, u32 sector, u32 n, bool fua)
{
	for (u32 i = sector; i < sector + n; i++) {
		f->newest[i] = next_version(f, i);
		if (fua)
			f->durable[i] = f->newest[i];
	}
}

FIXTURE_FN int try_write(struct fixture *f, u32 sector, u32 n, blk_opf_t flags)
{
	int r;

	next_versions(f, f->buf, sector, n);
	r = dm_host_rw(dm_host_bdev(f->h.md), REQ_OP_WRITE | flags, sector, f->buf, n);
	if (!r)
		note_written(f, sector, n, flags & REQ_FUA);
	return r;
}

FIXTURE_FN void write_sectors(struct fixture *f, u32 sector, u32 n)
{
	int r = try_write(f, sector, n, 0);

	CHECK(!r, "write of %u sectors at %u: %d", n, sector, r);
}

FIXTURE_FN int try_read(struct fixture *f, u32 sector, u32 n)
{
	return dm_host_rw(dm_host_bdev(f->h.md), REQ_OP_READ, sector, f->buf, n);
}

FIXTURE_FN void flush(struct fixture *f)
{
	host_flush(&f->h);
	memcpy(f->durable, f->newest, f->sectors * sizeof(u32));
}

/* What stands in @buf must be of versions from @least to @most. */
FIXTURE_FN void check_content(const char *what, const void *buf, u32 sector, u32 n,
			      const u32 *least, const u32 *most)
{
	for (u32 i = 0; i < n; i++) {
		const void *is = buf + (i << SECTOR_SHIFT);
		u32 at = sector + i, v = version_of(is, at);

		CHECK(v != NO_VERSION && v >= least[at] && v <= most[at],
		      "%s, sector %u: %s, expected version %u to %u", what, at,
		      host_pattern_describe(is), least[at], most[at]);
	}
}

FIXTURE_FN void check_range(struct fixture *f, u32 sector, u32 n)
{
	int r = try_read(f, sector, n);

	CHECK(!r, "read of %u sectors at %u: %d", n, sector, r);
	check_content("read", f->buf, sector, n, f->newest, f->newest);
}

/* Reads the whole target. */
FIXTURE_FN void check_all(struct fixture *f)
{
	for (u32 at = 0; at < f->sectors; at += BUF_SECTORS)
		check_range(f, at, min(f->sectors - at, BUF_SECTORS));
}

/* The backing device alone has the newest versions. */
FIXTURE_FN void check_disk(struct fixture *f)
{
	check_content("backing device", f->disk, 0, f->sectors, f->newest, f->newest);
}

/* Writes at random places, all of which must succeed. */
FIXTURE_FN void random_writes(struct fixture *f, u32 times, u32 max_sectors)
{
	while (times--) {
		u32 n = 1 + rnd(max_sectors);

		write_sectors(f, rnd(f->sectors - n + 1), n);
	}
}

/**
 * struct writer - a task that writes to sectors of its own
 * @f: where
 * @lo: its first sector
 * @hi: behind its last one
 * @max_sectors: of one write
 * @writes: how many; may be lowered while it runs
 * @flush_every: a FLUSH after so many writes; 0: never
 * @fua_every: one in so many writes has FUA; 0: none
 * @done: how many writes have ended well so far
 * @seed: of its random numbers
 * @task: it
 */
struct writer {
	struct fixture *f;
	u32 lo;
	u32 hi;
	u32 max_sectors;
	u32 writes;
	u32 flush_every;
	u32 fua_every;
	u32 done;
	struct host_random seed;
	struct task_struct *task;
};

FIXTURE_FN void writer_flush(struct writer *w)
{
	struct fixture *f = w->f;

	CHECK_EQ(dm_host_flush(dm_host_bdev(f->h.md)), 0);
	memcpy(f->durable + w->lo, f->newest + w->lo, (w->hi - w->lo) * sizeof(u32));
}

FIXTURE_FN void run_writer(void *arg)
{
	struct writer *w = arg;
	struct fixture *f = w->f;
	void *buf;

	CHECK(!posix_memalign(&buf, PAGE_SIZE, w->max_sectors << SECTOR_SHIFT));
	for (u32 i = 1; i <= READ_ONCE(w->writes); i++) {
		u32 n = 1 + host_below(&w->seed, w->max_sectors);
		u32 at = w->lo + host_below(&w->seed, w->hi - w->lo - n + 1);
		bool fua = w->fua_every && i % w->fua_every == 0;

		next_versions(f, buf, at, n);
		CHECK_EQ(dm_host_rw(dm_host_bdev(f->h.md), REQ_OP_WRITE | (fua ? REQ_FUA : 0), at,
				    buf, n), 0);
		note_written(f, at, n, fua);
		WRITE_ONCE(w->done, i);
		if (w->flush_every && i % w->flush_every == 0)
			writer_flush(w);
	}
	free(buf);
}

/* Sets @nr writers to work, each on its share of the sectors. */
FIXTURE_FN void start_writers(struct fixture *f, struct writer *w, u32 nr,
			      const struct writer *how)
{
	for (u32 i = 0; i < nr; i++) {
		w[i] = *how;
		w[i].f = f;
		w[i].lo = (u64)f->sectors * i / nr;
		w[i].hi = (u64)f->sectors * (i + 1) / nr;
		host_seed(&w[i].seed, host_next(&rnd_state));
		w[i].task = shim_spawn("writer", run_writer, &w[i]);
	}
}

FIXTURE_FN void join_writers(struct writer *w, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		shim_join(w[i].task);
}

/*
 * Places on the medium
 */

FIXTURE_FN u64 seg_off(u32 phys)
{
	return PCACHE_SEGS_OFF + (u64)phys * PCACHE_SEG_BYTES;
}

/* Of a place in a segment's data area, in the cache device; ids are the identity here. */
FIXTURE_FN u64 data_off(u32 seg, u32 off)
{
	return seg_off(seg) + PCACHE_SEG_DATA_OFF + off;
}

/* Where in the cache device a version of a sector is stored. */
FIXTURE_FN u64 place_of(struct fixture *f, u32 sector, u32 version)
{
	u64 found = 0;

	for (u64 off = data_off(0, 0); off + SECTOR_SIZE <= f->media_bytes; off += SECTOR_SIZE)
		if (host_pattern_is(f->media + off, sector, version))
			found = off;
	CHECK(found, "sector %u, version %u is not in the cache", sector, version);
	return found;
}

/**
 * struct kset_place - a kset on the medium
 * @off: in the cache device
 * @keys: how many; 0: a LAST
 */
struct kset_place {
	u64 off;
	u32 keys;
};

/* Follows the log from a place of the status line; gives how many ksets there are. */
FIXTURE_FN u32 find_ksets(struct fixture *f, u32 seg, u32 off, struct kset_place *ksets, u32 max)
{
	u32 n = 0;

	while (n < max) {
		const struct pcache_media_kset *ks = (void *)f->media + data_off(seg, off);
		u32 count = le32_to_cpu(ks->count);
		bool last = le64_to_cpu(ks->flags) & PCACHE_KSET_LAST;

		if (le64_to_cpu(ks->magic) != PCACHE_KSET_MAGIC ||
		    le32_to_cpu(ks->crc) !=
		    pcache_crc(ks, last ? sizeof(*ks) : PCACHE_KSET_BYTES(count)))
			break;
		ksets[n].off = data_off(seg, off);
		ksets[n++].keys = last ? 0 : count;
		seg = last ? count : seg;
		off = last ? 0 : off + PCACHE_KSET_BYTES(count);
	}
	return n;
}

FIXTURE_FN void mend_crc(void *record, u32 bytes)
{
	*(__le32 *)record = cpu_to_le32(pcache_crc(record, bytes));
}

/*
 * Cases
 */

struct test_case {
	const char *name;
	void (*run)(void);
};

static const char *case_running = "";

FIXTURE_FN void timed_out(int sig)
{
	host_fail("alarm", 0, "ends in time", "case %s hangs", case_running);
}

FIXTURE_FN bool chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

/* Runs the cases that the arguments name, or all; SEED is the seed. */
FIXTURE_FN int run_cases(const char *program, const struct test_case *cases, u32 nr,
			 u32 seconds, int argc, char **argv)
{
	u64 seed = host_env("SEED", (u64)(host_seconds() * 1e6));
	u32 passed = 0;

	host_begin(program);
	printf("%s: seed %llu\n", program, (unsigned long long)seed);
	fflush(stdout);
	signal(SIGALRM, timed_out);
	for (u32 i = 0; i < nr; i++) {
		double begun = host_seconds();

		if (!chosen(cases[i].name, argc, argv))
			continue;
		case_running = cases[i].name;
		host_section("%s, SEED=%llu", case_running, (unsigned long long)seed);
		host_clear_log();
		host_seed(&rnd_state, seed);
		alarm(seconds);
		cases[i].run();
		alarm(0);
		CHECK_EQ(shim_warnings(), 0);
		passed++;
		if (getenv("VERBOSE"))
			fprintf(stderr, "%s: %s: %.2f s\n", program, case_running,
				host_seconds() - begun);
	}
	printf("%u passed, 0 failed\n", passed);
	return host_end();
}

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long a write takes, and how long nothing goes on, while a random load of writes at
 * full rate fills the cache and then runs into the speed of the backing device.
 *
 * The engine runs with threads, and the backing device is in memory, with a latency. Its own
 * time for one batch of write-back, as many writes at once and a FLUSH, is measured first;
 * the longest gap in which no write of the load ends is compared with that. The load is
 * told apart in phases:
 *
 *	filling	until a write has to wait for the first time
 *	full	while as much is written as half of the cache holds
 *	steady	while as much is written as all of it holds
 *
 * Numbers of a busy machine say little: other programs' CPU time is in them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>

#include "host.h"
#include "pcache.h"

#define SEGS		32
#define CACHE_BYTES	((u64)SEGS * PCACHE_SEG_BYTES)
#define DISK_BYTES	(4 * CACHE_BYTES)
#define WRITE_SECTORS	8
#define BATCH_WRITES	2048	/* keys of a batch of write-back */
#define TASKS		4
/* Of a write's latency: powers of two of microseconds. */
#define BUCKETS		PCACHE_LATENCY_BUCKETS

enum phase { FILLING, FULL, STEADY, OVER };

static const char * const phase_names[] = { "filling", "full", "steady" };

/* What one task has seen in one phase. */
struct seen {
	u64 writes;
	u64 max_ns;
	u64 gap_ns;
	u64 latency[BUCKETS];
};

struct submitter {
	struct task_struct *task;
	struct host_random rnd;
	struct seen seen[OVER];
	void *buf;
};

static struct host h;
static struct submitter submitters[TASKS];
static atomic_t phase;
static atomic64_t last_end_ns;
static double begun[OVER + 1];

static u64 now_ns(void)
{
	return host_seconds() * 1e9;
}

/*
 * The backing device's own time
 */

struct batch {
	atomic_t pending;
	struct completion done;
};

static void batch_put(void *arg, int error)
{
	struct batch *b = arg;

	CHECK_EQ(error, 0);
	if (atomic_dec_and_test(&b->pending))
		complete(&b->done);
}

static double batch_seconds(struct host_random *rnd, void *buf)
{
	struct batch b;
	double begin = host_seconds();

	init_completion(&b.done);
	atomic_set(&b.pending, BATCH_WRITES + 1);
	for (u32 i = 0; i < BATCH_WRITES; i++)
		dm_host_rw_async(h.disk, REQ_OP_WRITE,
				 host_below(rnd, DISK_BYTES / PAGE_SIZE) * WRITE_SECTORS, buf,
				 WRITE_SECTORS, batch_put, &b);
	batch_put(&b, 0);
	wait_for_completion(&b.done);
	CHECK_EQ(dm_host_flush(h.disk), 0);
	return host_seconds() - begin;
}

/*
 * The load
 */

static void note_write(struct submitter *s, enum phase p, u64 begin)
{
	u64 end = now_ns(), last = atomic64_xchg(&last_end_ns, end), ns = end - begin;
	struct seen *seen = &s->seen[p];

	seen->writes++;
	seen->max_ns = max(seen->max_ns, ns);
	seen->latency[pcache_latency_bucket(ns)]++;
	/* Another task may have been first, with a later time. */
	if (end > last)
		seen->gap_ns = max(seen->gap_ns, end - last);
}

static void submit(void *arg)
{
	struct submitter *s = arg;
	enum phase p;

	while ((p = atomic_read(&phase)) != OVER) {
		sector_t sector = host_below(&s->rnd, DISK_BYTES / PAGE_SIZE) * WRITE_SECTORS;
		u64 begin = now_ns();

		CHECK_EQ(dm_host_rw(dm_host_bdev(h.md), REQ_OP_WRITE, sector, s->buf,
				    WRITE_SECTORS), 0);
		note_write(s, p, begin);
	}
}

static u64 writes_of(enum phase p)
{
	u64 n = 0;

	for (u32 i = 0; i < TASKS; i++)
		n += READ_ONCE(submitters[i].seen[p].writes);
	return n;
}

static void enter(enum phase p)
{
	begun[p] = host_seconds();
	atomic_set(&phase, p);
}

static void watch(void)
{
	const u64 all = CACHE_BYTES / PAGE_SIZE;
	struct host_status st;

	do {
		msleep(2);
		host_status(&h, &st);
	} while (!st.space_waits);
	enter(FULL);
	while (writes_of(FULL) < all / 2)
		msleep(2);
	enter(STEADY);
	while (writes_of(STEADY) < all)
		msleep(2);
	enter(OVER);
}

/*
 * The table
 */

static struct seen sum_of(enum phase p)
{
	struct seen sum = { };

	for (u32 i = 0; i < TASKS; i++) {
		const struct seen *s = &submitters[i].seen[p];

		sum.writes += s->writes;
		sum.max_ns = max(sum.max_ns, s->max_ns);
		sum.gap_ns = max(sum.gap_ns, s->gap_ns);
		for (u32 b = 0; b < BUCKETS; b++)
			sum.latency[b] += s->latency[b];
	}
	return sum;
}

/* So many per mille of the writes took less than this, in microseconds. */
static u64 quantile(const struct seen *s, u32 per_mille)
{
	u64 left = (s->writes * per_mille + 999) / 1000;
	u32 b = 0;

	while (b + 1 < BUCKETS && left > s->latency[b])
		left -= s->latency[b++];
	return 1ULL << b;
}

static void print_phase(enum phase p, double batch)
{
	struct seen s = sum_of(p);
	double seconds = begun[p + 1] - begun[p];

	printf("%-8s %7.1f %8.0f %8llu %8llu %8llu %9.1f %8.1f %6.2f\n", phase_names[p],
	       seconds, s.writes / seconds, (unsigned long long)quantile(&s, 500),
	       (unsigned long long)quantile(&s, 990), (unsigned long long)quantile(&s, 999),
	       s.max_ns / 1e6, s.gap_ns / 1e6, s.gap_ns / 1e9 / batch);
}

static void run(const char *options, u64 latency_us)
{
	struct host_random rnd;
	double batch = 0;

	memset(submitters, 0, sizeof(submitters));
	host_seed(&rnd, 1);
	host_open(&h, PCACHE_SEGS_OFF + CACHE_BYTES, DISK_BYTES);
	port_bdev_set_latency(h.disk, latency_us * 1000);
	for (u32 i = 0; i < TASKS; i++) {
		CHECK(!posix_memalign(&submitters[i].buf, PAGE_SIZE, PAGE_SIZE));
		memset(submitters[i].buf, i + 1, PAGE_SIZE);
		host_seed(&submitters[i].rnd, i + 1);
	}
	for (u32 i = 0; i < 5; i++)
		batch = max(batch, batch_seconds(&rnd, submitters[0].buf));
	host_attach(&h, options);
	enter(FILLING);
	atomic64_set(&last_end_ns, now_ns());
	for (u32 i = 0; i < TASKS; i++)
		submitters[i].task = shim_spawn("submit", submit, &submitters[i]);
	watch();
	for (u32 i = 0; i < TASKS; i++)
		shim_join(submitters[i].task);

	printf("\n%s; a batch takes the backing device %.1f ms (the longest of 5)\n",
	       *options ? options : "no options", batch * 1e3);
	printf("%-8s %7s %8s %8s %8s %8s %9s %8s %6s\n", "", "seconds", "writes/s", "50% <us",
	       "99% <us", "99.9% <us", "max ms", "gap ms", "gap/batch");
	for (enum phase p = FILLING; p < OVER; p++)
		print_phase(p, batch);
	fflush(stdout);
	host_detach(&h);
	host_close(&h);
	for (u32 i = 0; i < TASKS; i++)
		free(submitters[i].buf);
}

int main(int argc, char **argv)
{
	u64 latency_us = host_env("LATENCY_US", 20000);

	if (argc > 1 && argv[1][0] == '-') {
		printf("usage: latency [OPTIONS OF A TABLE]...\n"
		       "Latency of random 4 KiB writes by %u tasks at full rate, for each of the options\n"
		       "that are given (\"2 NAME VALUE\"); LATENCY_US in the environment is that of the\n"
		       "backing device.\n", TASKS);
		return strcmp(argv[1], "--help") ? 2 : 0;
	}
	host_begin("latency");
	printf("%u MiB of cache, random writes of 4 KiB by %u tasks, each request takes the backing device %llu us\n",
	       (u32)(CACHE_BYTES >> 20), TASKS, (unsigned long long)latency_us);
	if (argc == 1) {
		run("", latency_us);
		run("2 dirty_high_percent 100", latency_us);
	}
	for (int i = 1; i < argc; i++)
		run(argv[i], latency_us);
	return host_end();
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long writes and hits take while write-back and reclaim run all the time.
 *
 * One thread writes random blocks and reads one that it wrote a little before, at half
 * the rate that write-back can bear; the cache is full of what was written. The time that
 * a request took is told apart from that in which another program or thread had the CPU:
 * each quantile is given for all requests, for those that were not put off it, and for
 * those of them that did not sleep (who holds a lock here may be put off its CPU; in the
 * kernel nobody is who holds a spinlock). Beside them bare copies are timed that take as long
 * as a request: what is long there is the machine's doing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <linux/delay.h>

#include "native.h"

#define SEGS		48
#define CACHE_BLOCKS	(SEGS * SEG_BLOCKS)
#define SPAN_BLOCKS	(4 * CACHE_BLOCKS)
#define REQUESTS	150000
#define SETTLE		60000
#define BEHIND		1000
#define COPIES		20

struct sample {
	u64 ns;
	bool put_off;	/* another thread had its CPU */
	bool slept;	/* it waited: for a lock, or for room */
};

enum which { ALL, ON_CPU, AWAKE };

static const struct {
	const char *name, *text;
} which_names[] = {
	[ALL] = { "all", "" },
	[ON_CPU] = { "on_cpu", ", of those not put off the CPU" },
	[AWAKE] = { "awake", ", of those that did not sleep either" },
};

static struct {
	struct cache c;
	struct request r;
	u64 random;
	u64 written[BEHIND];
	u64 nr_written;
	void *buf, *copy;
	struct sample sample[3][REQUESTS];
	double ns[REQUESTS];
} run;

static void write_one(void)
{
	u64 block = random_below(&run.random, SPAN_BLOCKS);

	cache_do(&run.c, &run.r, REQ_OP_WRITE, block, run.buf, BLOCK);
	run.written[run.nr_written++ % BEHIND] = block;
}

static void read_one(void)
{
	cache_do(&run.c, &run.r, REQ_OP_READ, run.written[run.nr_written % BEHIND], run.buf,
		 BLOCK);
}

static void copy_some(void)
{
	for (u32 i = 0; i < COPIES; i++) {
		memcpy(run.copy, run.buf, BLOCK);
		__asm__ volatile("" : : "r"(run.copy) : "memory");
	}
}

/* Nanoseconds of a write at full rate, with the cache full. */
static double fill_up(void)
{
	u64 i, begin;

	for (i = 0; i < 2 * CACHE_BLOCKS; i++)
		write_one();
	begin = now_ns();
	for (i = 0; i < CACHE_BLOCKS; i++)
		write_one();
	return (double)(now_ns() - begin) / CACHE_BLOCKS;
}

static void time_one(struct sample *s, void (*fn)(void))
{
	struct rusage before, after;
	u64 begin;

	getrusage(RUSAGE_THREAD, &before);
	begin = now_ns();
	fn();
	s->ns = now_ns() - begin;
	getrusage(RUSAGE_THREAD, &after);
	s->put_off = after.ru_nivcsw != before.ru_nivcsw;
	s->slept = after.ru_nvcsw != before.ru_nvcsw;
}

static void pace(u64 due_ns)
{
	while (now_ns() < due_ns)
		__builtin_ia32_pause();
}

static double quantile(u32 nr, double q)
{
	return nr ? run.ns[min(nr - 1, (u32)(nr * q))] : 0;
}

static void report(const char *name, const char *text, const struct sample *s,
		   enum which which, bool goal)
{
	static const struct { const char *name, *text; double q; } q[] = {
		{ "p50", "median", 0.5 }, { "p99", "99 %", 0.99 }, { "p999", "99.9 %", 0.999 },
		{ "max", "longest", 1 },
	};
	char full[80], line[100];
	u32 nr = 0;

	for (u32 i = 0; i < REQUESTS; i++)
		if (which == ALL || (!s[i].put_off && (which == ON_CPU || !s[i].slept)))
			run.ns[nr++] = s[i].ns;
	median(run.ns, nr);
	for (u32 i = 0; i < ARRAY_SIZE(q); i++) {
		snprintf(full, sizeof(full), "latency.%s.%s.%s", name, which_names[which].name,
			 q[i].name);
		snprintf(line, sizeof(line), "%s, %s%s", text, q[i].text,
			 which_names[which].text);
		figure(full, line, quantile(nr, q[i].q) / 1e3, "us");
	}
	snprintf(full, sizeof(full), "latency.%s.%s.p999_to_p50", name, which_names[which].name);
	if (goal)
		figure_goal(full, "   99.9 % to median", quantile(nr, 0.999) / quantile(nr, 0.5), "",
			    AT_MOST, 10);
	snprintf(full, sizeof(full), "latency.%s.%s.requests", name, which_names[which].name);
	figure(full, "   requests", nr, "");
}

/* Until what was written at full rate is no longer what decides. */
static void settle(double write_ns)
{
	u64 due = now_ns();

	for (u32 i = 0; i < SETTLE; i++) {
		due += 2 * write_ns;
		pace(due);
		write_one();
		read_one();
	}
}

static void load(double write_ns)
{
	u64 reclaimed = pcache_stat(run.c.pc, PCACHE_STAT_RECLAIMED_SEGMENTS);
	u64 written = pcache_stat(run.c.pc, PCACHE_STAT_WRITEBACK_SECTORS);
	u64 waits = pcache_stat(run.c.pc, PCACHE_STAT_SPACE_WAITS);
	u64 due = now_ns();

	for (u32 i = 0; i < REQUESTS; i++) {
		due += 2 * write_ns;
		pace(due);
		time_one(&run.sample[0][i], write_one);
		time_one(&run.sample[1][i], read_one);
		time_one(&run.sample[2][i], copy_some);
	}
	figure("latency.write_back_mib", "written back meanwhile",
	       (pcache_stat(run.c.pc, PCACHE_STAT_WRITEBACK_SECTORS) - written) / 2048., "MiB");
	figure("latency.reclaimed_segments", "segments reclaimed meanwhile",
	       pcache_stat(run.c.pc, PCACHE_STAT_RECLAIMED_SEGMENTS) - reclaimed, "");
	figure("latency.space_waits", "writes that waited for room meanwhile",
	       pcache_stat(run.c.pc, PCACHE_STAT_SPACE_WAITS) - waits, "");
}

void measure_latency(void)
{
	double write_ns;

	run.random = 3;
	run.buf = aligned_alloc(BLOCK, BLOCK);
	run.copy = aligned_alloc(BLOCK, BLOCK);
	memset(run.buf, 1, BLOCK);
	memset(run.copy, 1, BLOCK);
	cache_open(&run.c, SEGS, SPAN_BLOCKS, false);
	cache_format(&run.c, "0");
	say("\nOne thread writes and reads at half the rate of write-back; the cache is full\n");
	write_ns = fill_up();
	figure("latency.full_write_us", "a write at full rate", write_ns / 1e3, "us");
	settle(write_ns);
	load(write_ns);
	for (enum which w = ALL; w <= AWAKE; w++) {
		report("write", "write of 4 KiB", run.sample[0], w, true);
		report("read", "read of 4 KiB, hit", run.sample[1], w, true);
		report("copy", "20 bare copies of 4 KiB", run.sample[2], w, false);
	}
	cache_detach(&run.c);
	cache_close(&run.c);
	free(run.copy);
	free(run.buf);
}

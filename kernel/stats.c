// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters, and histograms of the latency of requests: one of each for every
 * CPU, added up when somebody asks.
 *
 * Nothing locks. A sum may miss what is counted while it is made; what tells an
 * amount of the present is up on one CPU and down on another, and only the sum
 * says anything.
 *
 * A request reads local_clock() when it comes and when it ends. That is cheaper
 * than ktime_get(): where the CPU's counter is stable it reads that alone, without
 * waiting for what the CPU has under way, and calls no clock source. In exchange
 * two CPUs may disagree where it is not; what is less than nothing is nothing then.
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <linux/string.h>

#include "pcache.h"
#include "trace.h"

static const char * const stat_names[PCACHE_STATS] = {
	[PCACHE_STAT_DIRTY_SECTORS] = "dirty_sectors",
	[PCACHE_STAT_CACHED_SECTORS] = "cached_sectors",
	[PCACHE_STAT_READ_HITS] = "read_hits",
	[PCACHE_STAT_READ_PARTIAL_HITS] = "read_partial_hits",
	[PCACHE_STAT_READ_MISSES] = "read_misses",
	[PCACHE_STAT_WRITES] = "writes",
	[PCACHE_STAT_WRITE_OVERWRITES] = "write_overwrites",
	[PCACHE_STAT_FILLS] = "fills",
	[PCACHE_STAT_BYPASSES] = "bypasses",
	[PCACHE_STAT_DISCARDS] = "discards",
	[PCACHE_STAT_FLUSHES] = "flushes",
	[PCACHE_STAT_SPACE_WAITS] = "space_waits",
	[PCACHE_STAT_WRITEBACK_SECTORS] = "writeback_sectors",
	[PCACHE_STAT_WRITEBACK_ERRORS] = "writeback_errors",
	[PCACHE_STAT_MEDIA_ERRORS] = "media_errors",
	[PCACHE_STAT_CRC_ERRORS] = "crc_errors",
	[PCACHE_STAT_RECLAIMED_SEGMENTS] = "reclaimed_segments",
	[PCACHE_STAT_SECOND_CHANCES] = "second_chances",
};

static const char * const outcome_names[PCACHE_OUTCOMES] = {
	[PCACHE_HIT] = "hit",
	[PCACHE_MISS] = "miss",
	[PCACHE_WRITE] = "write",
	[PCACHE_WAIT] = "wait",
	[PCACHE_FLUSH] = "flush",
	[PCACHE_DISCARD] = "discard",
};

/* The counters of a CPU, and what was cleared of them, as one array. */
#define COUNTERS	(sizeof(struct pcache_counters) / sizeof(u64))
#define INDEX_OF(member)	(offsetof(struct pcache_counters, member) / sizeof(u64))

static u64 *cleared(struct pcache *pc, u32 i)
{
	return (u64 *)&pc->cleared + i;
}

/* Of all CPUs, since it was cleared. */
static u64 sum(struct pcache *pc, u32 i)
{
	s64 sum = -(s64)*cleared(pc, i);
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(((u64 *)per_cpu_ptr(pc->counters, cpu))[i]);
	return max_t(s64, sum, 0);
}

/**
 * pcache_stat() - Sum up a counter.
 * @pc: cache
 * @stat: which
 */
u64 pcache_stat(struct pcache *pc, enum pcache_stat stat)
{
	return sum(pc, INDEX_OF(n) + stat);
}

/**
 * pcache_clear_stats() - Begin to count at 0 again.
 * @pc: cache; admin is held, or nobody uses it
 *
 * What tells an amount of the present is not touched.
 */
void pcache_clear_stats(struct pcache *pc)
{
	u32 i;

	for (i = INDEX_OF(n) + PCACHE_STAT_READ_HITS; i < COUNTERS; i++)
		*cleared(pc, i) += sum(pc, i);
}

/**
 * pcache_reset_counters() - All counters are 0, also those of the present.
 * @pc: cache; nobody uses it
 */
void pcache_reset_counters(struct pcache *pc)
{
	int cpu;

	if (!pc->counters)
		return;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(pc->counters, cpu), 0, sizeof(struct pcache_counters));
	memset(&pc->cleared, 0, sizeof(pc->cleared));
}

/**
 * pcache_latency_bucket() - Where a latency is counted.
 * @ns: it
 */
u32 pcache_latency_bucket(u64 ns)
{
	return min_t(u32, fls64(div_u64(ns, NSEC_PER_USEC)), PCACHE_LATENCY_BUCKETS - 1);
}

/**
 * pcache_count_request() - Count a request that ends now.
 * @rq: request; its bio is still to be ended
 *
 * One that ends with an error is not counted: how long that took tells nothing.
 *
 * Context: any.
 */
void pcache_count_request(const struct pcache_request *rq)
{
	struct pcache_counters __percpu *c = rq->pc->counters;
	u64 ns = rq->begun_ns ? max_t(s64, local_clock() - rq->begun_ns, 0) : 0;

	trace_pcache_request_end(rq, ns);
	if (rq->status)
		return;
	this_cpu_add(c->latency_ns[rq->outcome], ns);
	this_cpu_inc(c->latency[rq->outcome][pcache_latency_bucket(ns)]);
}

static unsigned int print_latency(struct pcache *pc, enum pcache_outcome o, char *result,
				  unsigned int maxlen)
{
	u64 us = div_u64(sum(pc, INDEX_OF(latency_ns) + o), NSEC_PER_USEC);
	unsigned int sz, i;

	sz = scnprintf(result, maxlen, "latency_%s %llu", outcome_names[o],
		       (unsigned long long)us);
	for (i = 0; i < PCACHE_LATENCY_BUCKETS; i++)
		sz += scnprintf(result + sz, maxlen - sz, " %llu", (unsigned long long)
				sum(pc, INDEX_OF(latency) + o * PCACHE_LATENCY_BUCKETS + i));
	return sz + scnprintf(result + sz, maxlen - sz, "\n");
}

/**
 * pcache_print_stats() - What the message "stats" says: names and values.
 * @pc: cache
 * @result: buffer
 * @maxlen: its size
 *
 * At most 4 KiB. In less the text is cut so that it fills the buffer, which tells
 * Device-Mapper that there is more: dmsetup then asks again with a larger one.
 *
 * Return: bytes written.
 */
int pcache_print_stats(struct pcache *pc, char *result, unsigned int maxlen)
{
	u64 dirty = pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS);
	u64 seconds = dirty ? pcache_journal_dirty_seconds(pc) : 0;
	unsigned int sz = 0, i;

	for (i = 0; i < PCACHE_STATS; i++)
		sz += scnprintf(result + sz, maxlen - sz, "%s %llu\n", stat_names[i],
				(unsigned long long)pcache_stat(pc, i));
	sz += scnprintf(result + sz, maxlen - sz, "dirty_bytes %llu\ndirty_seconds %llu\n",
			(unsigned long long)dirty << SECTOR_SHIFT, (unsigned long long)seconds);
	for (i = 0; i < PCACHE_OUTCOMES; i++)
		sz += print_latency(pc, i, result + sz, maxlen - sz);
	sz += scnprintf(result + sz, maxlen - sz, "bad_segments %u\n",
			READ_ONCE(pc->segs.nr_bad));
	return sz;
}

/**
 * pcache_stats_init() - Make the counters, all 0.
 * @pc: cache
 *
 * Return: 0 or -ENOMEM; then pcache_stats_exit() cleans up.
 */
int pcache_stats_init(struct pcache *pc)
{
	pc->counters = alloc_percpu(struct pcache_counters);
	return pc->counters ? 0 : -ENOMEM;
}

/**
 * pcache_stats_exit() - Free what pcache_stats_init() allocated.
 * @pc: cache
 */
void pcache_stats_exit(struct pcache *pc)
{
	free_percpu(pc->counters);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters: one of each for every CPU, added up when somebody asks.
 *
 * Nothing locks. A sum may miss what is counted while it is made; what tells an
 * amount of the present is up on one CPU and down on another, and only the sum
 * says anything.
 */
#include <linux/percpu.h>
#include <linux/string.h>

#include "pcache.h"

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

/**
 * pcache_stat() - Sum up a counter.
 * @pc: cache
 * @stat: which
 */
u64 pcache_stat(struct pcache *pc, enum pcache_stat stat)
{
	s64 sum = -(s64)pc->cleared.n[stat];
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(pc->counters, cpu)->n[stat]);
	return max_t(s64, sum, 0);
}

/**
 * pcache_clear_stats() - Begin to count at 0 again.
 * @pc: cache; admin is held, or nobody uses it
 *
 * What tells an amount of the present is not touched.
 */
void pcache_clear_stats(struct pcache *pc)
{
	int i;

	for (i = PCACHE_STAT_READ_HITS; i < PCACHE_STATS; i++)
		pc->cleared.n[i] += pcache_stat(pc, i);
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
 * pcache_print_stats() - What the message "stats" says: names and values.
 * @pc: cache
 * @result: buffer
 * @maxlen: its size; what has no room there is cut, and the buffer then is full
 *
 * Return: bytes written.
 */
int pcache_print_stats(struct pcache *pc, char *result, unsigned int maxlen)
{
	unsigned int sz = 0, i;

	for (i = 0; i < PCACHE_STATS; i++)
		sz += scnprintf(result + sz, maxlen - sz, "%s %llu\n", stat_names[i],
				(unsigned long long)pcache_stat(pc, i));
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

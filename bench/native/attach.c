// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How fast a log is read at attach.
 *
 * The medium is made by the engine itself, by random writes of 4 KiB. Their data is not
 * stored: an attach does not look at it, and so a medium of any size takes only as much
 * memory as its metadata has.
 */
#include <stdio.h>

#include "native.h"

#define TIMES		5
/* Of 100 segments so many may have data; with more in use reclaim begins. */
#define FILL_PERCENT	85
#define OPTIONS		"8 " STILL

/* CPU time of all tasks; @elapsed gets what a clock says. */
static double attach_seconds(struct cache *c, double *elapsed)
{
	double begin = cpu_seconds();
	u64 begin_ns = now_ns();

	cache_attach(c, OPTIONS);
	*elapsed = (now_ns() - begin_ns) / 1e9;
	return cpu_seconds() - begin;
}

/* Makes a medium with so many keys, and leaves it detached. */
static void make_medium(struct cache *c, u64 keys, u32 bits)
{
	cache_open(c, keys / SEG_BLOCKS * 100 / FILL_PERCENT + 24, 1ULL << bits, true);
	cache_format(c, OPTIONS);
	cache_fill(c, 0, keys, bits);
	if (pcache_stat(c->pc, PCACHE_STAT_DIRTY_SECTORS) != keys * BLOCK_SECTORS)
		fail("not all of %llu keys are in the cache", keys);
	cache_detach(c);
}

static void measure(const char *name, const char *text, u64 keys, u32 bits, u32 times)
{
	char full[80], line[100];
	double took[TIMES], elapsed[TIMES];
	struct cache c;
	u64 bytes = 0;

	tap_set_stores(STORES_NO_BLOCKS);
	make_medium(&c, keys, bits);
	for (u32 i = 0; i < times; i++) {
		took[i] = attach_seconds(&c, &elapsed[i]);
		bytes = memory_bytes();
		if (pcache_stat(c.pc, PCACHE_STAT_DIRTY_SECTORS) != keys * BLOCK_SECTORS)
			fail("the attach does not find %llu keys", keys);
		cache_detach(&c);
	}
	tap_set_stores(STORES_CACHED);
	snprintf(full, sizeof(full), "attach.%s.seconds", name);
	figure(full, text, median(took, times), "s");
	snprintf(full, sizeof(full), "attach.%s.elapsed_seconds", name);
	figure(full, "   elapsed time", median(elapsed, times), "s");
	snprintf(full, sizeof(full), "attach.%s.keys_per_second", name);
	figure(full, "   keys per second of CPU time", keys / median(took, times), "keys/s");
	snprintf(full, sizeof(full), "attach.%s.dram_mib", name);
	snprintf(line, sizeof(line), "   DRAM then, for %.1f GiB of cached data",
		 keys * (double)BLOCK / SZ_1G);
	figure(full, line, bytes / (double)SZ_1M, "MiB");
	cache_close(&c);
}

void measure_attach(void)
{
	say("\nAttach; CPU time\n");
	measure("100k", "100,000 keys of 4 KiB", 100000, 18, TIMES);
	measure("1m", "1,000,000 keys of 4 KiB", 1000000, 21, TIMES);
}

void measure_full_attach(void)
{
	const u64 segs = SZ_1G * 64ULL / PCACHE_SEG_BYTES;
	const u64 keys = (segs - 24) * FILL_PERCENT / 100 * SEG_BLOCKS;

	say("\nA cache of 64 GiB, %u %% of its segments full of extents of 4 KiB that take no memory; CPU time\n",
	    FILL_PERCENT);
	measure("64gib", "attach of a cache of 64 GiB", keys, 25, 1);
}

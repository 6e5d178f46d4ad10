// SPDX-License-Identifier: GPL-2.0-or-later
/* The index alone: lookups of random blocks and insertions of new ones, one thread. */
#include <stdlib.h>

#include "native.h"

#define BITS	20
#define BLOCKS	(1 << (BITS - 1))

static double insert_all(struct cache *c)
{
	double begin = cpu_seconds();

	for (u32 i = 0; i < BLOCKS; i++) {
		struct pcache_extent e = {
			.sector = scatter(i, BITS) * BLOCK_SECTORS, .sectors = BLOCK_SECTORS,
			.seg = i / SEG_BLOCKS, .off = i % SEG_BLOCKS * BLOCK_SECTORS,
			.key_sectors = BLOCK_SECTORS,
		};
		struct pcache_tree *t = &pcache_index_shard(c->pc, e.sector)->tree;
		struct pcache_delta d = { };

		if (!pcache_tree_prepare(t, 1, GFP_KERNEL))
			fail("no memory for the index");
		pcache_tree_insert(t, &e, &d);
	}
	return (cpu_seconds() - begin) * 1e9;
}

static double find_all(struct cache *c, u64 *found)
{
	double begin = cpu_seconds();

	for (u32 i = 0; i < BLOCKS; i++) {
		/* In another order than they were inserted. */
		sector_t sector = scatter((i * 40503ULL) % BLOCKS, BITS) * BLOCK_SECTORS;
		struct pcache_extent e;

		*found += pcache_tree_first(&pcache_index_shard(c->pc, sector)->tree, sector, &e) &&
			  e.sector <= sector;
	}
	return (cpu_seconds() - begin) * 1e9;
}

void measure_index(void)
{
	double insert[5], find[5];
	struct cache c;
	u64 found = 0;

	say("\nIndex: 524,288 random blocks, without locks; CPU time\n");
	for (u32 i = 0; i < ARRAY_SIZE(find); i++) {
		cache_open(&c, BLOCKS / SEG_BLOCKS + 32, 1 << BITS, true);
		cache_format(&c, "0");
		insert[i] = insert_all(&c) / BLOCKS;
		find[i] = find_all(&c, &found) / BLOCKS;
		for (u32 j = 0; j < 1 << c.pc->shard_bits; j++)
			pcache_tree_clear(&c.pc->shards[j].tree);
		cache_detach(&c);
		cache_close(&c);
	}
	if (found != ARRAY_SIZE(find) * (u64)BLOCKS)
		fail("the index has %llu of %llu", found, ARRAY_SIZE(find) * (u64)BLOCKS);
	figure("index.insert_ns", "insertion", median(insert, ARRAY_SIZE(insert)), "ns");
	figure("index.lookup_ns", "lookup", median(find, ARRAY_SIZE(find)), "ns");
}

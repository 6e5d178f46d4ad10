// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How user data is stored (option copy): past the CPU's caches, or whole pages through them,
 * with their lines written back.
 *
 * Which of the two is faster depends on the memory: on what is like DRAM it is the caches
 * for whole pages, and past them below; on Optane it is past them always. With "auto" both
 * are tried once, before requests come. Zeroes are stored to the data of a free segment, of
 * which the cache holds nothing: what a power cut leaves there means nothing, and never
 * looks like a kset.
 */
#include <linux/ktime.h>

#include "pcache.h"
#include "pmem.h"

/* Each tries both ways, on pages of their own: none of them is in a cache by then. */
#define TRIES_MAX	16
/* So many of the tries may go wrong: something else may have run meanwhile. */
#define TRIES_LOST_MAX	2

static void store(void *dst, void *src, u32 bytes, bool cached)
{
	if (cached && bytes == PAGE_SIZE && PAGE_ALIGNED(dst) && PAGE_ALIGNED(src)) {
		pmem_store_page(dst, src);
		pmem_write_back(dst, PAGE_SIZE);
	} else {
		pmem_store(dst, src, bytes);
	}
}

/**
 * pcache_copy_store() - Store user data.
 * @pc: cache
 * @dst: on the medium
 * @src: in memory; of what somebody changes meanwhile, either is stored
 * @bytes: how many; a multiple of 4, as is @dst
 *
 * Durable after the next pmem_fence().
 *
 * Context: between pmem_begin() and pmem_end().
 */
void pcache_copy_store(const struct pcache *pc, void *dst, void *src, u32 bytes)
{
	store(dst, src, bytes, READ_ONCE(pc->copy_cached));
}

static u64 time_store(void *page, bool cached)
{
	u64 begun;

	pmem_begin();
	begun = ktime_get_ns();
	store(page, page_address(ZERO_PAGE(0)), PAGE_SIZE, cached);	/* M1 */
	pmem_end();
	return ktime_get_ns() - begun;
}

/* Is storing through the caches faster, by an eighth at least? */
static bool cached_is_faster(void *data)
{
	u32 tries = min_t(u32, TRIES_MAX, PCACHE_DATA_BYTES / (2 * PAGE_SIZE)), won = 0, i;

	for (i = 0; i < tries; i++, data += 2 * PAGE_SIZE) {
		u64 past = time_store(data, false);
		u64 through = time_store(data + PAGE_SIZE, true);

		won += through < past - past / 8;
	}
	return won && won + TRIES_LOST_MAX >= tries;
}

/**
 * pcache_copy_measure() - Find out how to store, if the option asks for that.
 * @pc: cache, not read-only; nobody takes segments
 *
 * What is known already holds.
 *
 * Context: may sleep.
 */
void pcache_copy_measure(struct pcache *pc)
{
	void *data;

	if (pc->copy != PCACHE_COPY_AUTO || pc->copy_measured || pc->state != PCACHE_RW)
		return;
	data = pcache_seg_unused_data(pc);
	if (!data)
		return;
	pc->copy_best = cached_is_faster(data) ? PCACHE_COPY_CLWB : PCACHE_COPY_NT;
	pc->copy_measured = true;
	pcache_copy_choose(pc, pc->copy);
}

/**
 * pcache_copy_choose() - Store as the option says from now on.
 * @pc: cache
 * @copy: the option. "auto": what has been measured, "nt" if nothing has
 *
 * Context: any.
 */
void pcache_copy_choose(struct pcache *pc, enum pcache_copy copy)
{
	WRITE_ONCE(pc->copy, copy);
	WRITE_ONCE(pc->copy_cached,
		   (copy == PCACHE_COPY_AUTO ? pc->copy_best : copy) == PCACHE_COPY_CLWB);
}

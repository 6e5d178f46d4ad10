// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How replay fills the index: by several lanes, side by side.
 *
 * The walk through the log is one task. It judges each key and counts its ref, and hands
 * its extent to the lane that owns the extent's shard. A lane has two buffers: while the
 * walk fills one of them, a work item may put what is in the other one into the index.
 *
 * What always holds:
 *	- A shard belongs to one lane, and only that lane's work item, which never runs
 *	  twice at once, touches its tree, until pcache_lanes_drain() has returned. So
 *	  nothing is locked.
 *	- A lane takes extents in the order in which the walk adds them, and hands a buffer
 *	  over only when the one before is done. So the keys of a shard come to its tree in
 *	  the order of the log. Shards know nothing of each other: what is in the index in the
 *	  end is what one task alone would have put there.
 *	- A buffer belongs to the walk while it is filled, and to the work item from the
 *	  queueing until pcache_lanes_drain(), or the next handing over, has waited for it.
 *	- Nothing that is in a buffer can be wrong any more: whatever the walk adds before it
 *	  meets damage gets into the index.
 *
 * The work items are on write-back's queue, which has nothing else to do yet: it is unbound,
 * and a thread that exists already goes on with it when there is no memory for another one.
 * With one CPU there is one lane, and the walk does its work itself. Nothing is queued for
 * a log without keys: a resume that has just formatted keeps I/O back, and must not wait
 * for workers that have to be made first.
 */
#include <linux/cpumask.h>
#include <linux/slab.h>

#include "pcache.h"

/* More lanes would only wait for the walk, which takes a third of the work for itself. */
#define LANES_MAX	8U
/* Extents of a buffer: the first ones are short, so that all CPUs soon have work. */
#define BUF_FIRST	16U
#define BUF_MAX		512U
/*
 * With so many extents in all, about 3 MiB of leaves, searches wait for memory more than it
 * costs to make some of them at a time, which takes 150 instructions for each.
 */
#define PREFETCH_FROM	(1U << 17)

/**
 * struct item - what a key does to its shard
 * @e: the extent that comes in; with @forget its range goes
 * @shard: whose it is
 * @forget: it is a clean key of an old generation
 */
struct item {
	struct pcache_extent e;
	u32 shard;
	bool forget;
};

/**
 * struct lane - some of the shards
 * @work: puts what was handed over into the index
 * @pc: cache
 * @adding: the buffer that the walk fills
 * @handed: the other one
 * @nr_adding: extents in @adding
 * @nr_handed: extents in @handed; 0 once the walk has waited for them
 * @size: so many are handed over at a time
 * @nr_taken: extents so far; the work item's
 * @prefetch_from: with so many its trees are larger than a CPU's cache
 * @sum: sectors that are dirty, and clean, so far; the work item's
 */
struct lane {
	struct work_struct work;
	struct pcache *pc;
	struct item *adding;
	struct item *handed;
	u32 nr_adding;
	u32 nr_handed;
	u32 size;
	u64 nr_taken;
	u64 prefetch_from;
	struct {
		s64 dirty;
		s64 clean;
	} sum;
};

/**
 * struct pcache_lanes - all lanes
 * @pc: cache
 * @nr: how many
 * @lane: they
 */
struct pcache_lanes {
	struct pcache *pc;
	u32 nr;
	struct lane lane[] __counted_by(nr);
};

/* Has the CPU fetch what @nr items are about to change. */
static void prefetch_trees(const struct lane *lane, const struct item *it, u32 nr)
{
	struct pcache_tree *tree[PCACHE_PREFETCH];
	sector_t sector[PCACHE_PREFETCH];
	u32 i;

	for (i = 0; i < nr; i++) {
		tree[i] = &lane->pc->shards[it[i].shard].tree;
		sector[i] = it[i].e.sector;
	}
	pcache_trees_prefetch(tree, sector, nr);
}

/*
 * An older key of the log under the same place was logged again. When key_tail passes the
 * older one, the index forgets what the newer one still names. A key of an old generation
 * that is to be forgotten hides what is older than the backing device. Memory from the pool
 * is waited for.
 */
static void put_items(struct lane *lane, const struct item *it, u32 nr)
{
	struct pcache_shard *shards = lane->pc->shards;
	const struct item *end = it + nr;
	u32 need = pcache_tree_need(1);
	u32 sectors[2] = { };		/* that came in: dirty, clean */
	struct pcache_delta d = { };

	for (; it < end; it++) {
		struct pcache_tree *t = &shards[it->shard].tree;

		if (t->nr_spares < need)
			pcache_tree_prepare(t, 1, GFP_NOIO);
		if (it->forget) {
			d.over = NULL;
			pcache_tree_cut(t, it->e.sector, it->e.sectors, NULL, &d);
			t->forgot = true;
			continue;
		}
		d.over = &it->e;
		pcache_tree_insert(t, &it->e, &d);
		sectors[it->e.clean] += it->e.sectors;
		if (d.again)
			t->forgot = true;
		d.again = false;
	}
	lane->nr_taken += nr;
	lane->sum.dirty += (s64)sectors[false] - d.dirty;
	lane->sum.clean += (s64)sectors[true] - d.clean;
}

static void put_into_index(struct lane *lane)
{
	u32 i, nr;

	for (i = 0; i < lane->nr_handed; i += nr) {
		nr = min(lane->nr_handed - i, PCACHE_PREFETCH);
		if (lane->nr_taken >= lane->prefetch_from)
			prefetch_trees(lane, &lane->handed[i], nr);
		put_items(lane, &lane->handed[i], nr);
	}
}

static void lane_work(struct work_struct *work)
{
	put_into_index(container_of(work, struct lane, work));
}

/* Waits until what was handed over is in the index. */
static void await(struct lane *lane)
{
	if (lane->nr_handed)
		flush_work(&lane->work);
	lane->nr_handed = 0;
}

/* What was added is to get into the index; the walk goes on with the other buffer. */
static noinline void hand_over(struct pcache_lanes *lanes, struct lane *lane)
{
	await(lane);
	swap(lane->adding, lane->handed);
	lane->nr_handed = lane->nr_adding;
	lane->nr_adding = 0;
	lane->size = min(2 * lane->size, BUF_MAX);
	if (lanes->nr > 1)
		queue_work(lane->pc->wb_wq, &lane->work);
	else
		put_into_index(lane);
}

static int lane_init(struct lane *lane, struct pcache *pc, u32 nr)
{
	INIT_WORK(&lane->work, lane_work);
	lane->pc = pc;
	lane->size = BUF_FIRST;
	lane->prefetch_from = PREFETCH_FROM / nr;
	lane->adding = kvmalloc_array(BUF_MAX, sizeof(struct item), GFP_KERNEL);
	lane->handed = kvmalloc_array(BUF_MAX, sizeof(struct item), GFP_KERNEL);
	return lane->adding && lane->handed ? 0 : -ENOMEM;
}

/**
 * pcache_lanes_make() - Be ready to fill the index.
 * @pc: cache; nobody uses its index until pcache_lanes_free()
 *
 * Context: may sleep. Return: lanes, or NULL when there is no memory.
 */
struct pcache_lanes *pcache_lanes_make(struct pcache *pc)
{
	u32 nr = min3(num_online_cpus(), LANES_MAX, 1U << pc->shard_bits), i;
	struct pcache_lanes *lanes = kvzalloc(struct_size(lanes, lane, nr), GFP_KERNEL);
	int r = 0;

	if (!lanes)
		return NULL;
	lanes->pc = pc;
	lanes->nr = nr;
	for (i = 0; i < nr; i++)
		r |= lane_init(&lanes->lane[i], pc, nr);
	if (!r)
		return lanes;
	pcache_lanes_free(lanes);
	return NULL;
}

/**
 * pcache_lanes_free() - Free what pcache_lanes_make() made.
 * @lanes: drained; NULL: nothing
 */
void pcache_lanes_free(struct pcache_lanes *lanes)
{
	u32 i;

	for (i = 0; lanes && i < lanes->nr; i++) {
		kvfree(lanes->lane[i].adding);
		kvfree(lanes->lane[i].handed);
	}
	kvfree(lanes);
}

/**
 * pcache_lanes_add() - The next key of the log.
 * @lanes: lanes
 * @e: its extent
 * @forget: nothing comes in, and what older keys have in its range is forgotten
 *
 * Context: may sleep.
 */
void pcache_lanes_add(struct pcache_lanes *lanes, const struct pcache_extent *e, bool forget)
{
	struct pcache *pc = lanes->pc;
	u32 shard = pcache_index_shard_nr(pc, e->sector);
	struct lane *lane = &lanes->lane[shard * lanes->nr >> pc->shard_bits];
	struct item *it = &lane->adding[lane->nr_adding++];

	it->e = *e;
	it->shard = shard;
	it->forget = forget;
	if (lane->nr_adding >= lane->size)
		hand_over(lanes, lane);
}

/**
 * pcache_lanes_drain() - Wait until all that was added is in the index; count it.
 * @lanes: lanes
 *
 * Context: may sleep.
 */
void pcache_lanes_drain(struct pcache_lanes *lanes)
{
	struct pcache *pc = lanes->pc;
	struct lane *lane;

	for (lane = lanes->lane; lane < lanes->lane + lanes->nr; lane++)
		if (lane->nr_adding)
			hand_over(lanes, lane);
	for (lane = lanes->lane; lane < lanes->lane + lanes->nr; lane++) {
		await(lane);
		pcache_count(pc, PCACHE_STAT_DIRTY_SECTORS, lane->sum.dirty);
		pcache_count(pc, PCACHE_STAT_CACHED_SECTORS, lane->sum.dirty + lane->sum.clean);
		memset(&lane->sum, 0, sizeof(lane->sum));
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Second turns (eviction clock): of what key_tail is about to pass, what was read since it
 * was stored is copied to the head, and its new key is logged, as that of a fill is.
 *
 * CLEAN of that key is true: the old one is before dirty_tail, so the backing device has
 * its bytes durably. The index still has the range at the old place when it takes the new
 * key, so no later key of the log covers any of it. key_tail may pass the old key before the
 * new one is durable: after a power cut then the range is not cached.
 *
 * What is discarded has none. It may have been left out by write-back: then it never became
 * clean in the index. A shard that fills nothing any more (pcache_tree.no_fills) has second
 * turns all the same: a hole may hide a dirty key that was forgotten, an extent cannot. What
 * overlaps it and is later in the log had replaced it there; what is earlier is before
 * dirty_tail, as its own key is.
 *
 * A copy is not used yet. Unless somebody reads it, its next turn is its last.
 *
 * All of it is done by the reclaim work, on its way from key to key. It waits for nothing:
 * what it has no room, memory or kset for goes as without a second turn. So does all when
 * others are short of room, or somebody wants all that is clean to be dropped.
 */
#include "pcache.h"
#include "trace.h"

/* Of a segment so much is copied at most, first come, first served: reclaim gains room. */
#define TURN_SECTORS	(PCACHE_DATA_SECTORS / 4)

/* Not where nobody may log yet or any more either: there the work does not run. */
static bool may_copy(struct pcache *pc)
{
	return READ_ONCE(pc->clock) && READ_ONCE(pc->state) == PCACHE_RW && !READ_ONCE(pc->worn) &&
	       !READ_ONCE(pc->reclaim.stop) && !READ_ONCE(pc->reclaim.drops) &&
	       !pcache_io_waiting(pc) && !READ_ONCE(pc->wb.needs_room);
}

/* What may still be copied of a segment, in whole blocks. */
static u32 turns_left(struct pcache *pc, u32 seg)
{
	u32 left = TURN_SECTORS - pcache_seg(pc, seg)->turned;

	return left - left % pc->block_sectors;
}

/* The next piece that one step can copy. */
static bool find_used(struct pcache *pc, const struct pcache_extent *key, sector_t from,
		      struct pcache_extent *e)
{
	struct pcache_shard *sh = pcache_index_shard(pc, key->sector);
	bool found;

	spin_lock(&sh->lock);
	found = pcache_tree_find_used(&sh->tree, key, from, e);
	spin_unlock(&sh->lock);
	if (found)
		e->sectors = min(e->sectors, pcache_chunk_sectors(pc));
	return found;
}

/* Nobody has written, dropped or discarded any of it meanwhile. */
static bool still_there(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr,
			void *arg)
{
	return pcache_tree_is_clean(&sh->tree, arg);
}

/* Copies @e to @room, which is as long, and logs that. */
static void copy(struct pcache *pc, struct pcache_extent *e, const struct pcache_room *room)
{
	struct pcache_extent keys[PCACHE_CHUNK_KEYS];
	u32 crcs[PCACHE_CHUNK_KEYS], nr;
	int r;

	r = pcache_extent_copy_to_room(pc, e, room, crcs);			/* E1 */
	if (r) {
		pcache_extent_count_error(pc, e, r);
		return;
	}
	nr = pcache_room_keys(pc, room, e->sector, true, crcs, keys);
	r = pcache_log_extents(pc, pcache_index_shard(pc, e->sector), keys, nr,	/* E2 */
			       PCACHE_WAITS_FOR_NOTHING, still_there, e);
	if (r)
		return;
	pcache_count(pc, PCACHE_STAT_SECOND_CHANCES, 1);
	trace_pcache_second_turn(pc, e, room);
}

/**
 * pcache_turn() - What of a key's data was used gets a second turn.
 * @pc: cache
 * @key: extent, the whole of the key; it is before dirty_tail, and key_tail is to pass it
 *
 * What of it lies at the key's place afterwards has none.
 *
 * Context: the reclaim work does so; who else passes keys, only with that stopped.
 */
void pcache_turn(struct pcache *pc, const struct pcache_extent *key)
{
	sector_t at = key->sector;
	struct pcache_extent e;
	struct pcache_room room;

	for (; may_copy(pc) && find_used(pc, key, at, &e); at = pcache_extent_end(&e)) {
		e.sectors = min(e.sectors, turns_left(pc, key->seg));
		if (!e.sectors || !pcache_room_get(pc, e.sectors, &room))
			break;
		e.sectors = room.sectors;
		pcache_seg(pc, key->seg)->turned += e.sectors;
		copy(pc, &e, &room);
		pcache_room_put(pc, &room);
		cond_resched();
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The batch: what of the log a round of write-back writes.
 *
 * Ksets are put into it in the order of the log, up to where the epoch, or what fits,
 * ends. Then that is taken out which nobody needs on the backing device any more: what
 * has been discarded, where no order of epochs is kept or the discard belongs to the same
 * one; and, with "fast" and a delay, what the index has newer by now.
 *
 * Memory comes from the reserve of leaves; a round takes as many ksets as there are leaves
 * for, and at least one.
 */
#include "writeback.h"

#define BATCH_KEYS		2048
#define BATCH_SECTORS		(SZ_8M >> SECTOR_SHIFT)
/* So many times as much, as a power of two, while there is room for writes. */
#define BATCH_AT_LEISURE	2

/**
 * pcache_wb_remember() - Put an extent into one of a round's trees.
 * @t: tree
 * @e: the extent, newer than what is in the tree
 *
 * Return: false, and nothing is put there, without memory.
 */
bool pcache_wb_remember(struct pcache_tree *t, const struct pcache_extent *e)
{
	struct pcache_delta ignored = { };

	if (!pcache_tree_prepare(t, 1, GFP_NOWAIT | __GFP_NOWARN))
		return false;
	pcache_tree_insert(t, e, &ignored);
	return true;
}

/**
 * pcache_wb_tree_without() - Take what is in one of a round's trees out of another one.
 * @from: that is taken out of
 * @t: what is taken out
 *
 * Return: false when memory ended before all was.
 */
bool pcache_wb_tree_without(struct pcache_tree *from, struct pcache_tree *t)
{
	struct pcache_delta ignored = { };
	struct pcache_extent e;
	sector_t at = 0;

	while (pcache_tree_first(t, at, &e)) {
		if (!pcache_tree_prepare(from, 0, GFP_NOWAIT | __GFP_NOWARN))
			return false;
		pcache_tree_cut(from, e.sector, e.sectors, NULL, &ignored);
		at = pcache_extent_end(&e);
	}
	return true;
}

/* Can @e be a part of the same extent as @run, which it follows in the log? */
static bool follows(struct pcache *pc, const struct pcache_extent *run,
		    const struct pcache_extent *e)
{
	return !pc->data_crc && e->sector == pcache_extent_end(run) &&
	       e->sector % PCACHE_STRETCH_SECTORS && pcache_same_place(run, e);
}

static bool put_into_batch(struct pcache *pc, const struct pcache_extent *run)
{
	return !run->sectors || pcache_wb_remember(&pc->wb.batch, run);
}

/* Puts a kset's dirty keys into the batch: as one what is one piece in the cache as well. */
static int collect_keys(struct pcache *pc, const struct pcache_kset *ks, struct pcache_round *rd)
{
	struct pcache_extent e, run = { };
	u64 space = 0;
	u32 i;

	for (i = 0; i < ks->nr_keys; i++) {
		enum pcache_key_verdict verdict = pcache_key_decode(pc, &ks->keys[i], &e);

		if (verdict == PCACHE_KEY_BAD)
			return -EUCLEAN;
		if (verdict == PCACHE_KEY_STALE)
			continue;
		space += e.sectors;
		if (e.clean)
			continue;
		rd->keys++;
		rd->key_sectors += e.sectors;
		if (follows(pc, &run, &e)) {
			run.sectors += e.sectors;
			continue;
		}
		if (!put_into_batch(pc, &run))
			return -ENOMEM;
		run = e;
	}
	if (!put_into_batch(pc, &run))
		return -ENOMEM;
	rd->space += space;
	return 0;
}

/**
 * pcache_wb_begins_epoch() - Is what stands before this kset of an earlier epoch?
 * @ks: kset
 *
 * Mainline has no marks of epochs: each of its ksets, which have the number 0, is one.
 */
bool pcache_wb_begins_epoch(const struct pcache_kset *ks)
{
	return ks->epoch || pcache_kset_number(ks) == 0;
}

/*
 * The more there is in a batch, the more of it is next to each other, and goes in one bio.
 * But room for writes comes only with the end of a round.
 */
static bool batch_is_full(struct pcache *pc, const struct pcache_kset *ks,
			  const struct pcache_round *rd)
{
	u32 shift = pcache_io_queued(pc) || READ_ONCE(pc->wb.pace) ? 0 : BATCH_AT_LEISURE;

	return rd->keys + ks->nr_keys > BATCH_KEYS << shift ||
	       rd->key_sectors > BATCH_SECTORS << shift;
}

/*
 * Does the round end before this kset? One without dirty keys so far may go on into
 * the next epoch, but not while something of an earlier round is held up.
 */
static bool round_ends(struct pcache *pc, const struct pcache_kset *ks,
		       const struct pcache_round *rd)
{
	if (rd->to.ord == rd->from.ord)
		return false;
	if (rd->to.ord >= rd->durable && (!rd->ordered || pcache_wb_begins_epoch(ks)))
		return true;
	if (rd->single)
		return true;
	if (rd->keys == 0 && !rd->held)
		return false;
	if (batch_is_full(pc, ks, rd))
		return true;
	return rd->ordered && pcache_wb_begins_epoch(ks);
}

/**
 * pcache_wb_collect() - Put the dirty keys from @rd->from on into the batch.
 * @pc: cache
 * @rd: round; gets @to, @keys, @key_sectors and @space
 * @durable: where the log ends
 *
 * When memory ends within a kset, what that has put into the batch is newer than the
 * rest and may stay there, but the kset is left for the next round.
 *
 * Context: the work; may sleep.
 *
 * Return: 0; -ENOMEM: not even for one kset; -EUCLEAN: a kset cannot be read.
 */
int pcache_wb_collect(struct pcache *pc, struct pcache_round *rd, const struct pcache_pos *durable)
{
	struct pcache_kset *ks = pc->wb.kset;

	rd->to = rd->from;
	while (rd->to.ord < durable->ord) {
		enum pcache_kset_kind kind = pcache_kset_read(pc, &rd->to, ks);
		int r;

		if (kind != PCACHE_KSET_ORDINARY && kind != PCACHE_KSET_IS_LAST)
			return -EUCLEAN;
		if (round_ends(pc, ks, rd))
			break;
		r = collect_keys(pc, ks, rd);
		if (r == -ENOMEM && rd->to.ord > rd->from.ord)
			break;
		if (r)
			return r;
		pcache_kset_next(ks, kind, &rd->to);
		cond_resched();
	}
	return 0;
}

/* The part of @e, from @at on, that the index has at its place, and as discarded or not. */
static bool indexed_part(struct pcache_shard *sh, const struct pcache_extent *e, sector_t at,
			 bool discarded, struct pcache_extent *part)
{
	sector_t end = pcache_extent_end(e);

	lockdep_assert_held(&sh->lock);
	while (at < end && pcache_tree_first(&sh->tree, at, part) && part->sector < end) {
		sector_t to = min(end, pcache_extent_end(part));

		if (part->discarded == discarded && (discarded || !part->clean) &&
		    pcache_same_place(part, e)) {
			*part = pcache_extent_part(part, max(at, part->sector), to);
			return true;
		}
		at = to;
	}
	return false;
}

/**
 * pcache_wb_live_part() - Find what of an extent the index still has at its place, dirty.
 * @sh: its shard, locked
 * @e: extent
 * @at: looks from this sector on
 * @part: gets the first such part
 *
 * Return: false when there is none.
 */
bool pcache_wb_live_part(struct pcache_shard *sh, const struct pcache_extent *e, sector_t at,
		      struct pcache_extent *part)
{
	return indexed_part(sh, e, at, false, part);
}

/* False without memory. */
static bool note_discarded_of(struct pcache *pc, const struct pcache_extent *e)
{
	struct pcache_shard *sh = pcache_index_shard(pc, e->sector);
	sector_t at = e->sector;
	struct pcache_extent part;

	for (;;) {
		bool found;

		spin_lock(&sh->lock);
		found = indexed_part(sh, e, at, true, &part);
		spin_unlock(&sh->lock);
		if (!found)
			return true;
		if (!pcache_wb_remember(&pc->wb.discarded, &part))
			return false;
		at = pcache_extent_end(&part);
	}
}

/**
 * pcache_wb_note_discarded() - Put what of a tree has been discarded into wb.discarded.
 * @pc: cache
 * @t: tree
 *
 * Without memory less is put there.
 *
 * Context: takes shard locks.
 */
void pcache_wb_note_discarded(struct pcache *pc, struct pcache_tree *t)
{
	struct pcache_walk walk;
	struct pcache_extent e;

	pcache_walk_begin(&walk, t);
	while (READ_ONCE(pc->discarded) && pcache_walk_next(&walk, &e))
		if (!note_discarded_of(pc, &e))
			return;
}

/* Has nobody been told by now of the end of the epoch that the log ended with at @ord? */
static bool epoch_is_open(struct pcache *pc, u64 ord)
{
	struct pcache_journal *j = &pc->journal;
	bool open;

	spin_lock(&j->lock);
	open = !j->marks && j->durable.ord == ord;
	spin_unlock(&j->lock);
	return open;
}

/*
 * What has been discarded is not written, where no order is kept or it was in the round's
 * own epoch. Both are asked when it is known what was: the mode may have changed since the
 * round began, and then discards may be of later epochs. Too much is never left out, too
 * little may be.
 */
static void leave_out_discarded(struct pcache *pc, const struct pcache_round *rd)
{
	struct pcache_writeback *w = &pc->wb;

	pcache_wb_note_discarded(pc, &w->batch);
	if (!pc->ordered || pcache_writeback_settled(pc) || epoch_is_open(pc, rd->to.ord))
		pcache_wb_tree_without(&w->batch, &w->discarded);
	pcache_tree_clear(&w->discarded);
}

/*
 * May what is superseded be left out although its successor is not in the batch? Not where
 * somebody waits: the backing device would have neither.
 */
static bool may_leave_out(struct pcache *pc)
{
	return READ_ONCE(pc->writeback_delay_ms) && !pc->ordered &&
	       !pcache_io_waits_for_clean(pc) && list_empty_careful(&pc->wb.waiters);
}

/* Takes out of the batch what the index has newer by now, or clean, as far as memory goes. */
static void leave_out_superseded(struct pcache *pc, struct pcache_round *rd)
{
	struct pcache_tree *batch = &pc->wb.batch;
	struct pcache_delta ignored = { };
	struct pcache_extent e, part;
	sector_t at = 0, to;

	while (pcache_tree_first(batch, at, &e)) {
		struct pcache_shard *sh = pcache_index_shard(pc, e.sector);
		bool live;

		at = max(at, e.sector);
		spin_lock(&sh->lock);
		live = pcache_wb_live_part(sh, &e, at, &part);
		spin_unlock(&sh->lock);
		to = live ? part.sector : pcache_extent_end(&e);
		if (to > at) {
			if (!pcache_tree_prepare(batch, 0, GFP_NOWAIT | __GFP_NOWARN))
				return;
			pcache_tree_cut(batch, at, to - at, NULL, &ignored);
			rd->left_out = true;
		}
		at = live ? pcache_extent_end(&part) : to;
	}
}

/**
 * pcache_wb_leave_out() - Take out of the batch what need not be written.
 * @pc: cache
 * @rd: round; @left_out is set when the successor of something may not be durable yet
 *
 * Context: takes shard locks.
 */
void pcache_wb_leave_out(struct pcache *pc, struct pcache_round *rd)
{
	if (rd->keys)
		leave_out_discarded(pc, rd);
	if (may_leave_out(pc))
		leave_out_superseded(pc, rd);
}

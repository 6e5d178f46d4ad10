// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What write-back could not read, or not write, is logged again at the head.
 *
 * So dirty_tail moves on past it. Only what is still live is, under the same place; what
 * cannot be trusted gets a CRC that does not fit. When nothing else is dirty it stays
 * where it is, so that it makes nobody spin.
 */
#include "writeback.h"

static bool part_is_live(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr,
			 void *arg)
{
	struct pcache_extent part;

	return pcache_wb_live_part(sh, &keys[0], keys[0].sector, &part) &&
	       part.sector == keys[0].sector && part.sectors >= keys[0].sectors;
}

/*
 * The CRC of a key that names just this part. It fits only if the part can still
 * be trusted now.
 */
static u32 crc_for_new_key(struct pcache *pc, const struct pcache_extent *part, bool spoil)
{
	u32 crc = pcache_extent_crc(pc, part);

	return spoil || !pcache_extent_is_good(pc, part) ? ~crc : crc;
}

/* Looked at before the first key, and again when a kset's worth may have taken a segment. */
static bool room_for_own_key(struct pcache *pc)
{
	if (!pc->wb.own_room && pcache_segs_for_bad_data(pc))
		pc->wb.own_room = PCACHE_KSET_KEYS;
	return pc->wb.own_room;
}

/*
 * Logs the live parts of an extent again, under the same place. @spoil: its data
 * cannot be trusted, and the new key's CRC is to say so.
 */
static int log_again(struct pcache *pc, const struct pcache_extent *e, bool spoil)
{
	struct pcache_shard *sh = pcache_index_shard(pc, e->sector);
	sector_t at = e->sector;
	struct pcache_extent part;
	bool live;
	int r;

	for (;;) {
		spin_lock(&sh->lock);
		live = pcache_wb_live_part(sh, e, at, &part);
		spin_unlock(&sh->lock);
		if (!live)
			return 0;
		if (!room_for_own_key(pc))
			return -ENOSPC;
		if (pc->data_crc)
			part.crc = crc_for_new_key(pc, &part, spoil);
		part.key_delta = 0;
		part.key_sectors = part.sectors;
		pcache_index_will_forget(pc, part.sector);
		r = pcache_log_extents(pc, sh, &part, 1, PCACHE_WAITS_FOR_KSETS, part_is_live,
				       NULL);
		if (r && r != -ESTALE)
			return r;
		pc->wb.own_keys += !r;
		pc->wb.own_room -= !r;
		at = r ? part.sector : pcache_extent_end(&part);
	}
}

static int log_tree_again(struct pcache *pc, struct pcache_tree *t, bool spoil)
{
	struct pcache_extent e;
	sector_t at = 0;
	int r;

	while (pcache_tree_first(t, at, &e)) {
		r = log_again(pc, &e, spoil);
		if (r)
			return r;
		at = pcache_extent_end(&e);
	}
	return 0;
}

/**
 * pcache_wb_move_bad_on() - Log again what is unreadable, or was not written.
 * @pc: cache
 * @rd: round
 *
 * The keys that are not committed yet go first: then it is known how much room the log
 * still needs. When this is done the new keys are durable, and dirty_tail may pass the
 * old ones; who waits for them waits for the new ones, or has failed.
 *
 * Context: the work; may sleep.
 *
 * Return: 0; -ENOSPC: there is no room for that; or the error of a commit.
 */
int pcache_wb_move_bad_on(struct pcache *pc, const struct pcache_round *rd)
{
	int r = pcache_journal_sync(pc);

	pc->wb.own_room = 0;
	if (!r)
		r = log_tree_again(pc, &pc->wb.unreadable, true);
	if (!r)
		r = log_tree_again(pc, &pc->wb.unwritten, false);
	/* dirty_tail passes the old keys: the new ones are durable before. */
	if (!r)
		r = pcache_journal_sync(pc);
	if (!r)
		pcache_wb_waiters_move_on(pc, rd);
	return r;
}

/**
 * pcache_wb_nothing_but_bad() - Is everything that is dirty unreadable?
 * @pc: cache
 * @rd: round, written
 * @at: the log's places when it began
 *
 * Known when a round has nothing else and reaches the end, or after a lap: since the log
 * ended at @lap_end nothing else was found, and nobody else has logged anything. Then only
 * new keys help; the log itself may grow, by a LAST or by what was logged again. What is too
 * young has not been looked at: no lap begins before that.
 *
 * Where room is short a lap is made all the same: clean keys that reclaim could pass may
 * stand behind the unreadable ones.
 */
bool pcache_wb_nothing_but_bad(struct pcache *pc, const struct pcache_round *rd,
			    const struct pcache_places *at)
{
	struct pcache_writeback *w = &pc->wb;
	bool room_is_short = pcache_io_waiting(pc) || pcache_segs_few(pc);
	u64 durable = rd->durable, others = at->keys - w->own_keys;

	if (rd->written || rd->unwritten || !rd->unreadable) {
		w->lap_end = 0;
		w->lapped = false;
		return false;
	}
	if (w->lap_end && rd->from.ord >= w->lap_end) {
		w->lapped = others == w->lap_keys;
		w->lap_end = 0;
	}
	w->lapped &= others == w->lap_keys;
	if (w->lapped || (rd->to.ord >= durable && !room_is_short)) {
		w->lap_end = 0;
		return true;
	}
	if (!w->lap_end && !w->limited) {
		w->lap_end = durable;
		w->lap_keys = others;
	}
	return false;
}

/**
 * pcache_wb_waits_served() - Look once more at all that is unreadable, for each wait for room.
 * @pc: cache
 *
 * Some of it may have become readable, and nobody else would notice.
 *
 * Return: how many waits there have been by now.
 */
u64 pcache_wb_waits_served(struct pcache *pc)
{
	struct pcache_writeback *w = &pc->wb;
	u64 waits = pcache_io_waits(pc);

	if (waits != w->lap_wait) {
		w->lap_wait = waits;
		w->lapped = false;
		w->lap_end = 0;
	}
	return waits;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Write-back: dirty data goes to the backing device, dirty_tail follows.
 *
 * A round walks the log from dirty_tail and puts the dirty keys of some ksets
 * into a tree of its own, in log order, so that later ones overwrite earlier
 * ones and what is left is sorted and does not overlap. That is written, many
 * bios in flight; then comes the backing device's FLUSH; then what was written
 * is clean in the index; then dirty_tail is stored behind those ksets, in both
 * slots. Only durable ksets are looked at, so what supersedes something that is
 * left out is durable.
 *
 * Order. With write-back "ordered" a round ends where an epoch ends: at the
 * kset that has the next one's mark, or, where mainline wrote the ksets, behind
 * each. So whatever moment the cache is lost at, the backing device holds all
 * epochs up to some one, and part of the next. The log is asked, not the index:
 * the index knows only the newest place, which may be of a later epoch.
 *
 * In write-through and write-around nothing is acknowledged while it is dirty. Once
 * what was acknowledged before is written back (settled), no order needs to be kept.
 *
 * Errors. What the backing device did not take stays dirty: dirty_tail stands
 * still until it has, the rest of its epoch (with "fast": of the log) is written
 * meanwhile, and pauses between tries grow. If nothing at all can be written, the rest is
 * not tried. With "fast", or settled, what failed is logged again at the head as soon as
 * something else could be written, so that dirty_tail moves on; or, while a write waits for
 * room, when that is all that keeps reclaim from what stands behind it. So is dirty data that
 * cannot be read, while there is anything else to write back.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "trace.h"
#include "writeback.h"

/* One kset's keys make at most twice as many extents, in half-full leaves. */
#define LEAF_RESERVE		40
#define PAUSE_MIN_MS		200
#define PAUSE_MAX_MS		30000
/* With "fast" all that comes later can be written; if nobody needs room it waits for the end. */
#define PAUSE_MAX_FAST_MS	1000

static void see_whether_settled(struct pcache *pc)
{
	lockdep_assert_held(&pc->journal.lock);
	pc->wb.settled = pc->journal.dirty_tail.ord >= pc->wb.settle_at;
}

/* dirty_tail goes to the round's end. */
static void advance(struct pcache *pc, const struct pcache_round *rd)
{
	bool before, after;

	if (!pcache_pos_same(&rd->to, &pc->journal.dirty_tail))
		pcache_tail_store(pc, &pc->journal.dirty_slots, &rd->to);
	spin_lock(&pc->journal.lock);
	pc->journal.dirty_tail = rd->to;
	pc->journal.held_sectors -= min(pc->journal.held_sectors, rd->space);
	pcache_writeback_set_pace(pc);
	before = pc->wb.settled;
	see_whether_settled(pc);
	after = pc->wb.settled;
	spin_unlock(&pc->journal.lock);
	if (after && !before) {
		pcache_info(pc, "nothing that was acknowledged is dirty any more");
		pcache_event(pc);
	}
	/* What was written has had its credit. */
	if (rd->space > rd->written)
		pcache_io_credit(pc, min_t(u64, rd->space - rd->written, U32_MAX));
	pcache_wb_finish_waiters(pc, rd->to.ord);
	pcache_reclaim_wake(pc);
}

enum outcome {
	ROUND_EMPTY,	/* nothing is dirty */
	ROUND_DONE,	/* dirty_tail has moved */
	ROUND_HELD,	/* dirty_tail cannot move; the rest may be tried */
	ROUND_FAILED,	/* nothing could be written */
	ROUND_STUCK,	/* all that is dirty is unreadable */
	ROUND_NO_ROOM,	/* there is no room to log again what is unreadable */
};

static void clear_trees(struct pcache_writeback *w)
{
	pcache_tree_clear(&w->batch);
	pcache_tree_clear(&w->unreadable);
	pcache_tree_clear(&w->unwritten);
	pcache_tree_clear(&w->discarded);
	w->nr_failed = 0;
}

/**
 * pcache_wb_settle_later() - What was acknowledged, and is not written back, stands further on.
 * @pc: cache; journal.lock is held
 */
void pcache_wb_settle_later(struct pcache *pc)
{
	lockdep_assert_held(&pc->journal.lock);
	if (!pc->wb.settled && pc->wb.settle_at != U64_MAX)
		pc->wb.settle_at = pc->journal.durable.ord;
}

/*
 * What supersedes what was left out is in the index, so it is durable when this is done.
 * Whoever has begun to wait meanwhile waits for that as well. So does a mode that has begun to
 * need all that was acknowledged on the backing device: the successor may be a write of that
 * mode, which fails.
 */
static int sync_successors(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_waiter *w;
	int r = pcache_journal_sync(pc);

	spin_lock(&j->lock);
	list_for_each_entry(w, &pc->wb.waiters, link)
		w->target = j->durable.ord;
	pcache_wb_settle_later(pc);
	spin_unlock(&j->lock);
	return r;
}

/*
 * Writes the batch. Where nothing was, dirty_tail may move on past keys that are clean, or
 * superseded: when a write waits for room that may be all there is. Not at once again: what
 * is logged again is all that the next round finds.
 */
static bool write_round(struct pcache *pc, struct pcache_round *rd)
{
	if (!rd->keys || pcache_wb_write(pc, rd))
		return true;
	return !rd->ordered && !rd->no_memory && !rd->written &&
	       rd->space > rd->unwritten + rd->unreadable && pcache_io_waiting(pc);
}

/* One round. */
static enum outcome run_round(struct pcache *pc, struct pcache_round *rd)
{
	struct pcache_places at;
	int r;

	pcache_journal_places(pc, &at);
	pc->wb.seen_ord = at.durable.ord;
	rd->durable = pcache_wb_due_end(pc, &at);
	pc->wb.limited = max(rd->durable, rd->from.ord) < at.durable.ord;
	rd->settled = at.settled;
	rd->ordered = pc->ordered && !at.settled;
	if (rd->from.ord >= rd->durable)
		return ROUND_EMPTY;
	r = pcache_wb_collect(pc, rd, &at.durable);
	rd->no_memory = r == -ENOMEM;
	if (r == -EUCLEAN)
		pcache_set_state(pc, PCACHE_FAIL, "a kset behind dirty_tail cannot be read");
	if (!r)
		pcache_wb_leave_out(pc, rd);
	if (r || !write_round(pc, rd))
		return ROUND_FAILED;
	if (rd->held || (rd->unwritten && rd->ordered))
		return ROUND_HELD;
	if (pcache_wb_nothing_but_bad(pc, rd, &at))
		return ROUND_STUCK;
	if (rd->unreadable || rd->unwritten)
		r = pcache_wb_move_bad_on(pc, rd);
	if (r)
		return r == -ENOSPC && rd->unreadable ? ROUND_NO_ROOM : ROUND_FAILED;
	/*
	 * The mode was changed: then what was not written may have been acknowledged before
	 * it was logged again, and followed by a later epoch. So it stays in its place, too.
	 */
	if (rd->unwritten && pc->ordered && !pcache_writeback_settled(pc))
		return ROUND_FAILED;
	if (rd->left_out && sync_successors(pc))
		return ROUND_FAILED;
	/*
	 * Not earlier: while dirty_tail is held up, a later try writes older data
	 * over this once more.
	 */
	pcache_index_clean_all(pc, &pc->wb.batch);
	advance(pc, rd);
	return ROUND_DONE;
}

/* Does the next round belong to the same epoch as the one that was held up? */
static bool same_epoch_goes_on(struct pcache *pc, const struct pcache_round *rd)
{
	struct pcache_kset *ks = pc->wb.kset;
	struct pcache_pos to = rd->to;
	enum pcache_kset_kind kind;
	struct pcache_places at;

	pcache_journal_places(pc, &at);
	for (; to.ord < at.durable.ord; pcache_kset_next(ks, kind, &to)) {
		if (!rd->ordered)
			return true;
		kind = pcache_kset_read(pc, &to, ks);
		if (kind != PCACHE_KSET_IS_LAST)
			return kind == PCACHE_KSET_ORDINARY && !pcache_wb_begins_epoch(ks);
	}
	return false;
}

/* Where epochs are kept apart what came later cannot be written; short memory stays short. */
static void begin_pause(struct pcache *pc, const struct pcache_round *rd)
{
	struct pcache_writeback *w = &pc->wb;

	spin_lock(&pc->journal.lock);
	w->paused_at = rd->ordered || rd->no_memory ? U64_MAX : rd->durable;
	if (!w->stop)
		queue_delayed_work(pc->wb_wq, &w->work, msecs_to_jiffies(w->pause_ms));
	spin_unlock(&pc->journal.lock);
	/* All that could end it may have been so before there was one. */
	pcache_writeback_end_pause(pc);
}

/*
 * Whoever gives up has been tried for by now, as far as a round goes, if it was there when
 * this run began; for the others another one is on its way.
 */
static void pause_after_error(struct pcache *pc, const struct pcache_round *rd)
{
	u32 pause_max = pc->ordered ? PAUSE_MAX_MS : PAUSE_MAX_FAST_MS;
	struct pcache_writeback *w = &pc->wb;

	if (!w->pause_ms) {
		pcache_err(pc, "write-back failed; data stays dirty, tries go on");
		pcache_event(pc);
	}
	w->pause_ms = clamp(w->pause_ms * 2, PAUSE_MIN_MS, pause_max);
	pcache_wb_set_stalled(pc, true);
	if (rd->tried)
		pcache_wb_finish_hopeless(pc, rd->durable, w->runs, false);
	begin_pause(pc, rd);
}

static void writing_works(struct pcache *pc)
{
	pcache_wb_set_stalled(pc, false);
	if (!pc->wb.pause_ms)
		return;
	pc->wb.pause_ms = 0;
	pcache_info(pc, "write-back works again");
	pcache_event(pc);
}

/*
 * Nothing more can be done with the log that this round saw, unless more than @keep
 * segments are free: reclaim may have to know.
 */
static void came_to_end(struct pcache *pc, const struct pcache_round *rd, u32 keep, u64 waits)
{
	pcache_wb_set_stalled(pc, true);
	spin_lock(&pc->journal.lock);
	pc->wb.end_ord = rd->durable;
	pc->wb.end_run = pc->wb.runs;
	pc->wb.end_keep = keep;
	pc->wb.end_wait = waits;
	spin_unlock(&pc->journal.lock);
	if (pcache_io_waiting(pc) || READ_ONCE(pc->wb.needs_room))
		pcache_reclaim_wake(pc);
}

/*
 * The cache device has come to be worn: from the first write on that sees this, none is
 * acknowledged while it is dirty, and what was is in the index by now.
 */
static void settle_worn(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	bool begun;

	spin_lock(&j->lock);
	begun = pc->wb.settle_at != U64_MAX;
	spin_unlock(&j->lock);
	if (!begun && !pcache_journal_sync(pc))
		pcache_writeback_settle(pc, true);
}

static void run_rounds(struct pcache *pc)
{
	struct pcache_round rd = { .from = pc->journal.dirty_tail };
	u64 waits;

	/* Woken too late, it may find that there are no segments any more. */
	if (READ_ONCE(pc->wb.stop))
		return;
	spin_lock(&pc->journal.lock);
	pc->wb.runs++;
	pc->wb.paused_at = U64_MAX;
	spin_unlock(&pc->journal.lock);
	if (READ_ONCE(pc->worn))
		settle_worn(pc);
	waits = pcache_wb_waits_served(pc);
	WRITE_ONCE(pc->wb.needs_room, false);
	if (READ_ONCE(pc->wb.flush_wanted)) {
		WRITE_ONCE(pc->wb.flush_wanted, false);
		pcache_flush_backing(pc);
	}
	while (!READ_ONCE(pc->wb.stop) && READ_ONCE(pc->state) == PCACHE_RW) {
		enum outcome o = run_round(pc, &rd);

		if (o != ROUND_EMPTY)
			trace_pcache_writeback_batch(pc, rd.from.ord, rd.to.ord, rd.keys,
						     rd.written, rd.unreadable, rd.unwritten,
						     o == ROUND_DONE);
		clear_trees(&pc->wb);
		if (rd.unwritten || (o == ROUND_FAILED && !rd.no_memory))
			rd.tried = true;
		if (o == ROUND_DONE) {
			if (!rd.unwritten)
				writing_works(pc);
		} else if (o == ROUND_EMPTY && !rd.held) {
			pcache_wb_finish_waiters(pc, pc->journal.dirty_tail.ord);
			return;
		} else if (o == ROUND_STUCK) {
			pcache_wb_finish_hopeless(pc, rd.durable, pc->wb.runs, true);
			came_to_end(pc, &rd, pc->segs.reserved, waits);
			return;
		} else if (o == ROUND_NO_ROOM && !rd.single) {
			/* What stands before the unreadable may be all that holds a segment. */
			rd = (struct pcache_round) { .from = rd.from, .single = true };
			continue;
		} else if (o == ROUND_NO_ROOM) {
			WRITE_ONCE(pc->wb.needs_room, true);
			pcache_wb_finish_hopeless(pc, rd.durable, pc->wb.runs, false);
			came_to_end(pc, &rd, PCACHE_BAD_DATA_KEEP, waits);
			return;
		} else if (o == ROUND_HELD && same_epoch_goes_on(pc, &rd)) {
			rd.held = true;
		} else if (READ_ONCE(pc->state) == PCACHE_RW) {
			pause_after_error(pc, &rd);
			return;
		}
		rd = (struct pcache_round) {
			.from = rd.to, .held = rd.held, .tried = rd.held,
			.single = rd.single && !rd.unreadable,
		};
		cond_resched();
	}
	if (READ_ONCE(pc->state) != PCACHE_RW)
		pcache_wb_fail_waiters(pc);
}

static void writeback_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, wb.work.work);

	run_rounds(pc);
	pcache_wb_bios_rest(&pc->wb);
	pcache_wb_wait_for_age(pc);
	/* Reclaim may have come to dirty_tail just before the timer was armed. */
	if (pc->wb.limited)
		pcache_writeback_hurry(pc);
}

static void due_work(struct work_struct *work)
{
	pcache_writeback_wake(container_of(work, struct pcache, wb.due.work));
}

/**
 * pcache_writeback_wake() - There is something to write back, or somebody waits.
 * @pc: cache
 *
 * A pause after an error goes on all the same; see pcache_writeback_end_pause().
 *
 * Context: any.
 */
void pcache_writeback_wake(struct pcache *pc)
{
	if (!READ_ONCE(pc->wb.stop))
		queue_delayed_work(pc->wb_wq, &pc->wb.work, 0);
	pcache_writeback_take_turn(pc);
}

/**
 * pcache_writeback_end_pause() - Writes may wait for room that only write-back can make.
 * @pc: cache
 *
 * What was committed since the last try need not wait until the backing device may have come
 * to take what it did not. What failed is tried again with it, but no more often than the
 * log grows; where nothing can be written that ends when the cache is full.
 *
 * All three conditions have to hold, so whoever makes one true calls this afterwards: reclaim
 * for a write that waits, and when it has come to dirty_tail; a commit; the pause itself.
 *
 * Context: process context, no locks.
 */
void pcache_writeback_end_pause(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_writeback *w = &pc->wb;

	if (!pcache_io_waiting(pc))
		return;
	spin_lock(&j->lock);
	if (!w->stop && j->durable.ord > w->paused_at && j->key_tail.ord == j->dirty_tail.ord) {
		w->paused_at = U64_MAX;
		mod_delayed_work(pc->wb_wq, &w->work, 0);
	}
	spin_unlock(&j->lock);
}

/**
 * pcache_writeback_want_flush() - Discards are to become durable on the backing device.
 * @pc: cache
 *
 * Context: any.
 */
void pcache_writeback_want_flush(struct pcache *pc)
{
	WRITE_ONCE(pc->wb.flush_wanted, true);
	pcache_writeback_wake(pc);
}

/**
 * pcache_writeback_settle() - From now on, is what is dirty not acknowledged?
 * @pc: cache
 * @through: it is not; what was so far is in the log up to what is durable now
 *
 * With a worn cache device it is not, whatever the mode.
 */
void pcache_writeback_settle(struct pcache *pc, bool through)
{
	spin_lock(&pc->journal.lock);
	if (!through && !READ_ONCE(pc->worn))
		pc->wb.settle_at = U64_MAX;
	else if (through && pc->wb.settle_at == U64_MAX)
		pc->wb.settle_at = pc->journal.durable.ord;
	see_whether_settled(pc);
	spin_unlock(&pc->journal.lock);
}

/**
 * pcache_writeback_settled() - Is the backing device without what is dirty complete?
 * @pc: cache
 *
 * Then it has all that was acknowledged, durably, but for what could not be read.
 */
bool pcache_writeback_settled(struct pcache *pc)
{
	struct pcache_places at;

	pcache_journal_places(pc, &at);
	return at.settled;
}

/**
 * pcache_writeback_in_order() - May the backing device lose what only it has, now?
 * @pc: cache
 *
 * Where epochs are kept apart, not while anything is dirty that a FLUSH may have covered
 * which has been acknowledged by now.
 */
bool pcache_writeback_in_order(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	bool r;

	spin_lock(&j->lock);
	r = !pc->ordered || pc->wb.settled || j->dirty_tail.ord >= j->durable.ord;
	spin_unlock(&j->lock);
	return r;
}

/**
 * pcache_writeback_init() - Make write-back, stopped.
 * @pc: cache; data_crc is known
 *
 * Return: 0 or -ENOMEM; then pcache_writeback_exit() cleans up.
 */
int pcache_writeback_init(struct pcache *pc)
{
	struct pcache_writeback *w = &pc->wb;

	w->stop = true;
	w->settle_at = U64_MAX;
	w->paused_at = U64_MAX;
	INIT_LIST_HEAD(&w->waiters);
	INIT_DELAYED_WORK(&w->work, writeback_work);
	INIT_DELAYED_WORK(&w->due, due_work);
	pcache_tree_init(&w->batch, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->unreadable, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->unwritten, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->discarded, pc->data_crc, &w->leaves);
	w->kset = kmalloc(sizeof(*w->kset), GFP_KERNEL);
	if (!w->kset ||
	    mempool_init_kmalloc_pool(&w->leaves, LEAF_RESERVE, PCACHE_LEAF_BYTES))
		return -ENOMEM;
	return pcache_wb_bios_init(w);
}

/**
 * pcache_writeback_exit() - Free what pcache_writeback_init() allocated.
 * @pc: cache; stopped
 */
void pcache_writeback_exit(struct pcache *pc)
{
	struct pcache_writeback *w = &pc->wb;

	pcache_wb_bios_exit(w);
	mempool_exit(&w->leaves);
	kfree(w->kset);
}

/**
 * pcache_writeback_start() - From now on pcache_writeback_wake() works.
 * @pc: cache
 */
void pcache_writeback_start(struct pcache *pc)
{
	/* An error of before, which was told of, is over when writing works, not before. */
	pc->wb.pause_ms = min_t(u32, pc->wb.pause_ms, PAUSE_MIN_MS);
	WRITE_ONCE(pc->wb.stop, false);
	/* Those of another table, it may be. */
	pcache_writeback_marks_changed(pc);
}

/**
 * pcache_writeback_stop() - Let the round under way end; begin no more.
 * @pc: cache
 *
 * Whoever still waits (a message may) is told -EIO.
 *
 * Context: may sleep for I/O.
 */
void pcache_writeback_stop(struct pcache *pc)
{
	spin_lock(&pc->journal.lock);
	WRITE_ONCE(pc->wb.stop, true);
	spin_unlock(&pc->journal.lock);
	cancel_delayed_work_sync(&pc->wb.due);
	cancel_delayed_work_sync(&pc->wb.work);
	pcache_wb_fail_waiters(pc);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who waits until data is on the backing device: writes of the through modes, messages.
 *
 * A waiter is told when dirty_tail has passed what was durable when it came; or that there
 * is no hope, because its data cannot be read, or, if it gives up then, not be written.
 */
#include "writeback.h"

/*
 * Takes a waiter whose target is at most @ord off the list, and that was there before run
 * @run of the work; @all: not only who gives up.
 */
static struct pcache_waiter *take_waiter(struct pcache *pc, u64 ord, u64 run, bool all)
{
	struct pcache_waiter *w, *found = NULL;

	spin_lock(&pc->journal.lock);
	list_for_each_entry(w, &pc->wb.waiters, link) {
		if (w->target <= ord && w->run < run && (all || w->give_up)) {
			list_del_init(&w->link);
			found = w;
			break;
		}
	}
	spin_unlock(&pc->journal.lock);
	return found;
}

/* Is nothing dirty of what a request waits for? Others want to know of everything. */
static bool range_is_clean(struct pcache *pc, const struct pcache_waiter *w)
{
	struct pcache_shard *sh = pcache_index_shard(pc, w->sector);
	sector_t at = w->sector;
	struct pcache_extent e;
	bool clean = true;

	if (w->end - w->sector > PCACHE_STRETCH_SECTORS)
		return false;
	spin_lock(&sh->lock);
	while (clean && pcache_tree_first(&sh->tree, at, &e) && e.sector < w->end) {
		clean = e.clean || e.discarded;
		at = pcache_extent_end(&e);
	}
	spin_unlock(&sh->lock);
	return clean;
}

/* What is clean is on the backing device, whatever else has failed. */
static int hopeless(struct pcache *pc, const struct pcache_waiter *w)
{
	return range_is_clean(pc, w) ? 0 : -EIO;
}

/**
 * pcache_wb_finish_waiters() - dirty_tail is at @ord: tell who has waited for that.
 * @pc: cache
 * @ord: where it is
 *
 * Context: process context, no locks.
 */
void pcache_wb_finish_waiters(struct pcache *pc, u64 ord)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, ord, U64_MAX, true)))
		w->done(w, w->failed ? hopeless(pc, w) : 0);
}

/**
 * pcache_wb_finish_hopeless() - dirty_tail does not get any further: tell who waits for that.
 * @pc: cache
 * @ord: it would have had to get there
 * @run: the run of the work that has found so
 * @all: not only those who give up
 *
 * Who came since that run began has had the work queued again: what was in the way may have
 * been discarded meanwhile, which logs nothing.
 *
 * Context: process context, no locks.
 */
void pcache_wb_finish_hopeless(struct pcache *pc, u64 ord, u64 run, bool all)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, ord, run, all)))
		w->done(w, hopeless(pc, w));
}

/**
 * pcache_wb_fail_waiters() - There is no more write-back: tell all who wait.
 * @pc: cache
 *
 * Context: process context, no locks.
 */
void pcache_wb_fail_waiters(struct pcache *pc)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, U64_MAX, U64_MAX, true)))
		w->done(w, -EIO);
}

/**
 * pcache_writeback_give_up() - There will be no room to log again what is unreadable.
 * @pc: cache
 * @ord: with the log ending there
 * @run: the run of the work that has found so
 *
 * Whoever waits for what is durable by then, and did before that run, is told -EIO.
 *
 * Context: process context, no locks.
 */
void pcache_writeback_give_up(struct pcache *pc, u64 ord, u64 run)
{
	pcache_wb_finish_hopeless(pc, ord, run, true);
}

static bool tree_overlaps(struct pcache_tree *t, sector_t sector, sector_t end)
{
	struct pcache_extent e;

	return pcache_tree_first(t, sector, &e) && e.sector < end;
}

/**
 * pcache_wb_waiters_move_on() - What a round could not write back is logged again.
 * @pc: cache
 * @rd: round
 *
 * Who waits for it goes on waiting, for the new keys, or has failed. So does who waits for
 * what is superseded: it may be on the backing device in no version.
 *
 * Context: takes journal.lock.
 */
void pcache_wb_waiters_move_on(struct pcache *pc, const struct pcache_round *rd)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_waiter *w;

	spin_lock(&j->lock);
	if (rd->unwritten)
		pcache_wb_settle_later(pc);
	list_for_each_entry(w, &pc->wb.waiters, link) {
		if (w->from >= max(rd->durable, rd->to.ord))
			continue;
		if (!tree_overlaps(&pc->wb.unreadable, w->sector, w->end) &&
		    !tree_overlaps(&pc->wb.unwritten, w->sector, w->end))
			continue;
		w->failed |= w->give_up;
		if (!w->give_up)
			w->target = j->durable.ord;
	}
	spin_unlock(&j->lock);
}

/**
 * pcache_writeback_wait() - Be told when what is durable now is clean.
 * @pc: cache, running
 * @w: told; @w->done, @w->sector, @w->end, @w->from and @w->give_up are set.
 *     -EIO: something of that range is not clean, and cannot be read, or with @w->give_up
 *     not be written; or the cache has failed, or write-back is stopped
 *
 * Who gives up is tried for at once, also in a pause after an error.
 *
 * Context: process context, no locks.
 */
void pcache_writeback_wait(struct pcache *pc, struct pcache_waiter *w)
{
	struct pcache_journal *j = &pc->journal;
	bool stopped;

	w->failed = false;
	spin_lock(&j->lock);
	w->target = j->durable.ord;
	w->run = pc->wb.runs;
	stopped = pc->wb.stop;
	if (!stopped) {
		list_add_tail(&w->link, &pc->wb.waiters);
		if (w->give_up)
			mod_delayed_work(pc->wb_wq, &pc->wb.work, 0);
		else
			queue_delayed_work(pc->wb_wq, &pc->wb.work, 0);
	}
	spin_unlock(&j->lock);
	pcache_writeback_take_turn(pc);
	if (stopped)
		w->done(w, -EIO);
}

/**
 * struct flush_waiter - somebody who sleeps until all is written back
 * @waiter: waits for that
 * @done: completed then
 * @err: 0 or what was in the way
 */
struct flush_waiter {
	struct pcache_waiter waiter;
	struct completion done;
	int err;
};

static void flush_done(struct pcache_waiter *w, int err)
{
	struct flush_waiter *f = container_of(w, struct flush_waiter, waiter);

	f->err = err;
	complete(&f->done);
}

/* Takes a waiter back; false: it has been told, or is being told. */
static bool take_back(struct pcache *pc, struct pcache_waiter *w)
{
	bool listed;

	spin_lock(&pc->journal.lock);
	listed = !list_empty(&w->link);
	list_del_init(&w->link);
	spin_unlock(&pc->journal.lock);
	return listed;
}

/**
 * pcache_writeback_flush() - Write back all that is dirty now.
 * @pc: cache, running
 * @give_up: return at the first error of the backing device; otherwise only a
 *	     signal ends the wait
 *
 * Context: may sleep for long; admin may be held.
 *
 * Return: 0; -EIO when what is left cannot be read, or the cache has failed (or,
 * with @give_up, when the backing device has); -EINTR.
 */
int pcache_writeback_flush(struct pcache *pc, bool give_up)
{
	struct flush_waiter f = {
		.waiter = { .done = flush_done, .end = U64_MAX, .give_up = give_up },
	};
	int r = pcache_journal_sync(pc);

	if (r)
		return r;
	init_completion(&f.done);
	pcache_writeback_wait(pc, &f.waiter);
	/* Not only after a pause. */
	spin_lock(&pc->journal.lock);
	if (!pc->wb.stop)
		mod_delayed_work(pc->wb_wq, &pc->wb.work, 0);
	spin_unlock(&pc->journal.lock);
	if (give_up) {
		wait_for_completion(&f.done);
	} else if (wait_for_completion_interruptible(&f.done)) {
		if (take_back(pc, &f.waiter))
			return -EINTR;
		wait_for_completion(&f.done);
	}
	return f.err;
}

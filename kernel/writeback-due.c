// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When dirty data is due to be written back, and at what pace writes go on meanwhile.
 *
 * With writeback_delay_ms a round takes only ksets that have been there for so long, with
 * "ordered" up to the end of their epoch, unless something needs the rest: somebody waits, a
 * write is done only when it is clean, or reclaim has come to dirty_tail. What is too young
 * has one delayed work, for the oldest of it; when all is clean there is none.
 *
 * Above the low mark of space that only write-back frees nothing waits for its age; above the
 * high one writes go on as fast as write-back does: each completion gives credit, the less the
 * fuller the cache. Where write-back makes no headway (stalled) nobody waits for it.
 */
#include <linux/jiffies.h>
#include <linux/math64.h>

#include "writeback.h"

/* For 256 sectors, at the high mark, and with the cache full. */
#define PACE_MAX		512
#define PACE_MIN		32

/* Sectors that data may take. */
static u64 space_for_data(const struct pcache *pc)
{
	return (u64)(READ_ONCE(pc->n_segs) - pc->segs.reserved) * PCACHE_DATA_SECTORS;
}

/**
 * pcache_writeback_set_pace() - Something has changed that the pace of writes depends on.
 * @pc: cache; journal.lock is held
 *
 * Between the high mark and the end of space the pace goes down in proportion, from twice
 * that of write-back to an eighth of it.
 */
void pcache_writeback_set_pace(struct pcache *pc)
{
	u64 all = space_for_data(pc), held = min(pc->journal.held_sectors, all);
	u32 percent = READ_ONCE(pc->dirty_high_percent), pace = 0;

	lockdep_assert_held(&pc->journal.lock);
	if (held * 100 > all * percent && !pc->wb.stalled)
		pace = max_t(u64, div64_u64((all - held) * 100 * PACE_MAX, all * (100 - percent)),
			     PACE_MIN);
	if (pace == pc->wb.pace)
		return;
	WRITE_ONCE(pc->wb.pace, pace);
	if (!pace) {
		atomic64_set(&pc->io.credit, 0);
		pcache_io_pace_changed(pc);
	}
}

/**
 * pcache_wb_set_stalled() - Does write-back make no headway?
 * @pc: cache
 * @stalled: it does not; then nobody is to wait for its pace
 *
 * Context: the work; takes journal.lock.
 */
void pcache_wb_set_stalled(struct pcache *pc, bool stalled)
{
	if (pc->wb.stalled == stalled)
		return;
	spin_lock(&pc->journal.lock);
	pc->wb.stalled = stalled;
	pcache_writeback_set_pace(pc);
	spin_unlock(&pc->journal.lock);
}

/*
 * Is the log to be written back to its end, be it as young as it may? Who makes it so
 * wakes write-back afterwards; reclaim does when it has come to dirty_tail.
 */
static bool all_is_due(struct pcache *pc, const struct pcache_places *at)
{
	return !READ_ONCE(pc->writeback_delay_ms) || pcache_io_waits_for_clean(pc) ||
	       !list_empty_careful(&pc->wb.waiters) || pcache_io_queued(pc) ||
	       at->held_sectors * 100 >=
			space_for_data(pc) * READ_ONCE(pc->dirty_low_percent) ||
	       (at->key_tail.ord == at->dirty_tail.ord && pcache_segs_few(pc));
}

/**
 * pcache_wb_due_end() - Up to where is it the log's turn to be written back?
 * @pc: cache
 * @at: the log's places
 *
 * Context: takes journal.lock.
 *
 * Return: ord.
 */
u64 pcache_wb_due_end(struct pcache *pc, const struct pcache_places *at)
{
	u64 span = msecs_to_jiffies(READ_ONCE(pc->writeback_delay_ms)), young, left;

	if (all_is_due(pc, at))
		return at->durable.ord;
	spin_lock(&pc->journal.lock);
	young = pcache_age_young(&pc->journal.age, span, get_jiffies_64(), &left);
	spin_unlock(&pc->journal.lock);
	return min(young, at->durable.ord);
}

/**
 * pcache_wb_wait_for_age() - What was too young for the last round is woken for when it is due.
 * @pc: cache
 *
 * A commit that saw the timer armed has woken nobody.
 *
 * Context: the work; takes journal.lock.
 */
void pcache_wb_wait_for_age(struct pcache *pc)
{
	u64 span = msecs_to_jiffies(READ_ONCE(pc->writeback_delay_ms)), left = 0;
	struct pcache_journal *j = &pc->journal;
	struct pcache_writeback *w = &pc->wb;
	bool runs;

	spin_lock(&j->lock);
	/* Else there is no further round, and what the last one has not seen stays so. */
	runs = !w->stop && READ_ONCE(pc->state) == PCACHE_RW;
	if (runs && w->limited) {
		pcache_age_young(&j->age, span, get_jiffies_64(), &left);
		mod_delayed_work(pc->wb_wq, &w->due, left);
	} else {
		cancel_delayed_work(&w->due);
		if (runs && j->durable.ord != w->seen_ord)
			queue_delayed_work(pc->wb_wq, &w->work, 0);
	}
	spin_unlock(&j->lock);
}

/**
 * pcache_writeback_marks_changed() - The marks, or what they are percents of, are new.
 * @pc: cache, running
 *
 * Context: process context, no locks.
 */
void pcache_writeback_marks_changed(struct pcache *pc)
{
	spin_lock(&pc->journal.lock);
	pcache_writeback_set_pace(pc);
	spin_unlock(&pc->journal.lock);
	pcache_writeback_wake(pc);
}

/**
 * pcache_writeback_hurry() - What is too young may be needed by now.
 * @pc: cache
 *
 * Context: process context, no locks.
 */
void pcache_writeback_hurry(struct pcache *pc)
{
	struct pcache_places at;

	if (!delayed_work_pending(&pc->wb.due))
		return;
	pcache_journal_places(pc, &at);
	if (all_is_due(pc, &at))
		pcache_writeback_wake(pc);
}

/**
 * pcache_writeback_committed() - The log has grown.
 * @pc: cache
 *
 * Context: process context, no locks.
 */
void pcache_writeback_committed(struct pcache *pc)
{
	if (delayed_work_pending(&pc->wb.due))
		pcache_writeback_hurry(pc);
	else
		pcache_writeback_wake(pc);
	pcache_writeback_end_pause(pc);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reclaim: key_tail moves on, strictly in log order, and segments become free.
 *
 * A pass walks from key_tail over clean ksets. What the index still has of their
 * keys gets a second turn (turns.c) or is dropped first; then key_tail is stored behind
 * them, in both slots; only then do the keys' refs go. A segment whose last ref goes is named by no
 * key that a crash could bring back: its generation is raised, and it is free.
 *
 * key_tail never passes dirty_tail, nor the last kset. Where the last kset holds
 * what has to become free, a LAST is put behind it.
 *
 * Who asks for all clean data to be dropped waits until key_tail is where dirty_tail was,
 * which is reclaim's own work; what is clean behind that is only forgotten in memory.
 *
 * When nothing can be passed any more, write-back has come to an end as well, and what
 * the log names leaves too few segments, writes that wait for room are given up.
 *
 * The work is key_tail's one writer; at resume and suspend, when it does not
 * run, whoever resumes or suspends is.
 */
#include <linux/slab.h>

#include "pcache.h"
#include "pmem.h"
#include "trace.h"

/* What one pass moves over at most, before it stores key_tail. */
#define PASS_KSETS	64

/* Is room needed so badly that the last kset has to go as well? */
static bool room_is_short(struct pcache *pc)
{
	return pcache_io_waiting(pc) ||
	       READ_ONCE(pc->segs.nr_free) <= pc->segs.reserved + pc->segs.nr_heads;
}

static bool reclaim_wanted(struct pcache *pc)
{
	return pcache_io_waiting(pc) || pcache_segs_few(pc);
}

/* How many segments one pass frees at most: a small part of the cache. */
static u32 frees_max(const struct pcache *pc)
{
	return max(READ_ONCE(pc->n_segs) / 256, 1U);
}

/*
 * A ref of @seg is to go. Whether others are left may have changed when it does go: this
 * only tells when a pass has freed enough.
 */
static void note_passed(struct pcache *pc, u32 seg)
{
	struct pcache_segment *s = pcache_seg(pc, seg);

	if (++s->passed == atomic_read(&s->refs))
		pc->reclaim.frees++;
}

/*
 * Drops what the index has of a kset's keys, but for what gets a second turn; notes which
 * refs are to go.
 */
static bool let_go_of_keys(struct pcache *pc, const struct pcache_kset *ks)
{
	struct pcache_extent e;
	u32 i;

	for (i = 0; i < ks->nr_keys; i++) {
		switch (pcache_key_decode(pc, &ks->keys[i], &e)) {
		case PCACHE_KEY_GOOD:
			pcache_turn(pc, &e);
			pcache_index_drop(pc, &e, true);
			note_passed(pc, e.seg);
			break;
		case PCACHE_KEY_STALE:
			break;
		case PCACHE_KEY_BAD:
			return false;
		}
	}
	return true;
}

/* Reads the kset at @pos, lets go of what it names, and moves @pos behind it. */
static bool pass_kset(struct pcache *pc, struct pcache_pos *pos)
{
	struct pcache_kset *ks = pc->reclaim.kset;
	enum pcache_kset_kind kind = pcache_kset_read(pc, pos, ks);

	if (kind == PCACHE_KSET_IS_LAST)
		note_passed(pc, pos->seg);
	else if (kind != PCACHE_KSET_ORDINARY || !let_go_of_keys(pc, ks))
		return false;
	pcache_kset_next(ks, kind, pos);
	return true;
}

/* A pass has come to nothing. */
static void forget_passed(struct pcache *pc)
{
	u32 all = pcache_segs_all(pc), i;

	for (i = 0; i < all; i++)
		pcache_seg(pc, i)->passed = 0;
}

/* Gives back the refs of passed keys. */
static void put_passed_refs(struct pcache *pc)
{
	u32 all = pcache_segs_all(pc), i;

	for (i = 0; i < all; i++) {
		u32 refs = pcache_seg(pc, i)->passed;

		if (refs) {
			pcache_seg(pc, i)->passed = 0;
			pcache_seg_put(pc, i, refs);
		}
	}
}

static void publish_key_tail(struct pcache *pc, const struct pcache_pos *pos)
{
	spin_lock(&pc->journal.lock);
	pc->journal.key_tail = *pos;
	spin_unlock(&pc->journal.lock);
}

/* Where a pass has to stop: dirty_tail or the last kset, whichever comes first. */
static u64 pass_limit(const struct pcache_places *at)
{
	return min(at->dirty_tail.ord, at->last.ord);
}

/*
 * One pass, up to @limit (an ord) at most. It ends when it has freed something: 64 ksets of
 * keys of 64 KiB name 512 MiB, which may be all of a cache of which one segment is wanted.
 *
 * Returns how many ksets it passed.
 */
static u32 pass(struct pcache *pc, u64 limit)
{
	struct pcache_places at;
	struct pcache_pos pos;
	u32 nr = 0, freed;

	pcache_journal_places(pc, &at);
	pos = at.key_tail;
	limit = min(limit, pass_limit(&at));
	WRITE_ONCE(pc->reclaim.passing, pos.ord < limit);
	pc->reclaim.frees = 0;
	while (pos.ord < limit && nr < PASS_KSETS && pc->reclaim.frees < frees_max(pc)) {
		if (!pass_kset(pc, &pos)) {
			forget_passed(pc);
			pcache_set_state(pc, PCACHE_FAIL, "a kset at key_tail cannot be read");
			return 0;
		}
		nr++;
	}
	if (nr) {
		pcache_tail_store(pc, &pc->journal.key_slots, &pos);
		publish_key_tail(pc, &pos);
		if (pos.ord > pc->super.own_ord)
			pcache_super_forget_own_place(pc);
		put_passed_refs(pc);
	}
	/* Behind the fences of the tail's slots. */
	smp_store_release(&pc->reclaim.passing, false);
	freed = pcache_segs_free_dead(pc);
	if (freed || nr) {
		trace_pcache_reclaim(pc, pos.ord, nr, freed);
		pcache_io_space_freed(pc);
		if (READ_ONCE(pc->wb.needs_room))
			pcache_writeback_wake(pc);
	}
	return nr;
}

/* The last kset is clean, and key_tail is at it. */
static bool stuck_at_last(struct pcache *pc)
{
	struct pcache_places at;

	pcache_journal_places(pc, &at);
	return at.key_tail.ord == at.last.ord && at.dirty_tail.ord > at.last.ord;
}

/**
 * struct end - where write-back and reclaim have come to an end
 * @places: of the log
 * @keep: more segments have to be free than this
 * @run: of write-back, which found that
 * @wait: for this wait for room, and those before it, all has been tried
 */
struct end {
	struct pcache_places places;
	u32 keep;
	u64 run;
	u64 wait;
};

/*
 * Is write-back at an end, and does nobody commit or log anything? What write-back has not
 * seen it was woken for by the commit. (A LAST wakes nobody, but reclaim puts one only where
 * nothing is dirty.)
 */
static bool log_at_end(struct pcache *pc, struct end *end)
{
	struct pcache_journal *j = &pc->journal;
	bool seen, quiet;

	pcache_journal_places(pc, &end->places);
	spin_lock(&j->lock);
	seen = pc->wb.end_ord == j->durable.ord && end->places.durable.ord == j->durable.ord;
	quiet = !j->committing && !j->open->nr_keys && list_empty(&j->sealed);
	if (j->committing)
		j->move_on_wanted = true;
	end->keep = pc->wb.end_keep;
	end->run = pc->wb.end_run;
	end->wait = pc->wb.end_wait;
	spin_unlock(&j->lock);
	return seen && quiet;
}

/*
 * Has all come to an end that could make room for the write that has waited longest, or
 * for write-back? Whoever is not through wakes this again.
 */
static bool all_at_end(struct pcache *pc, struct end *end)
{
	WRITE_ONCE(pc->reclaim.rooms_awaited, true);
	smp_mb();	/* pcache_room_put() has the other one */
	if (pcache_rooms_held(pc) || !log_at_end(pc, end) ||
	    end->places.key_tail.ord != end->places.dirty_tail.ord)
		return false;
	return READ_ONCE(pc->wb.needs_room) || pcache_io_first_wait(pc) <= end->wait;
}

/* Notes the segments that the log from @pos to @end is in, and those that it names. */
static bool note_named(struct pcache *pc, struct pcache_pos pos, const struct pcache_pos *end)
{
	struct pcache_kset *ks = pc->reclaim.kset;
	struct pcache_extent e;
	u32 i;

	pcache_seg(pc, end->seg)->passed++;
	while (pos.ord < end->ord) {
		enum pcache_kset_kind kind = pcache_kset_read(pc, &pos, ks);

		if (kind != PCACHE_KSET_ORDINARY && kind != PCACHE_KSET_IS_LAST)
			return false;
		pcache_seg(pc, pos.seg)->passed++;
		for (i = 0; kind == PCACHE_KSET_ORDINARY && i < ks->nr_keys; i++)
			if (pcache_key_decode(pc, &ks->keys[i], &e) == PCACHE_KEY_GOOD)
				pcache_seg(pc, e.seg)->passed++;
		pcache_kset_next(ks, kind, &pos);
		cond_resched();
	}
	return true;
}

/* Counts what note_named() has noted, and forgets it. */
static void count_named(struct pcache *pc, u32 *named, u32 *data)
{
	u32 all = pcache_segs_all(pc), i;

	*named = 0;
	*data = 0;
	for (i = 0; i < all; i++) {
		struct pcache_segment *s = pcache_seg(pc, i);

		*named += s->passed > 0;
		*data += s->passed > 0 && s->use == PCACHE_SEG_DATA;
		s->passed = 0;
	}
}

/*
 * With all at an end, only what no key in the log names can become free, when its
 * readers let go. Where that is too little, nothing can make room any more.
 */
static void give_up_waiting(struct pcache *pc)
{
	struct end end;
	u32 named, data;
	bool whole;

	/* What became free before write-back said that it needs some, it has not seen. */
	if (READ_ONCE(pc->wb.needs_room) &&
	    READ_ONCE(pc->segs.nr_free) > PCACHE_BAD_DATA_KEEP) {
		pcache_writeback_wake(pc);
		return;
	}
	/*
	 * Not later: who takes the last of a head's room may supersede what is unreadable. From
	 * here on that is a reservation, or in the log, or of a segment that was free.
	 */
	if (pcache_heads_open(pc) && pcache_io_waiting(pc)) {
		pcache_io_space_freed(pc);
		return;
	}
	if (!all_at_end(pc, &end))
		return;
	pcache_heads_close(pc);
	whole = note_named(pc, end.places.key_tail, &end.places.durable);
	count_named(pc, &named, &data);
	if (!whole) {
		pcache_set_state(pc, PCACHE_FAIL, "a kset between key_tail and the log's end cannot be read");
	} else if (READ_ONCE(pc->n_segs) - named <= end.keep) {
		pcache_io_give_up(pc, end.wait, data);
		pcache_writeback_give_up(pc, end.places.durable.ord, end.run);
	}
}

/*
 * Dropping
 */

struct dropper {
	struct pcache_waiter waiter;
	struct completion done;
	int err;
};

static void dropped(struct pcache_waiter *w, int err)
{
	struct dropper *d = container_of(w, struct dropper, waiter);

	d->err = err;
	complete(&d->done);
}

/* Up to where somebody waits for key_tail; 0: nobody does. */
static u64 drop_end(struct pcache *pc)
{
	struct pcache_waiter *w;
	u64 end = 0;

	spin_lock(&pc->journal.lock);
	list_for_each_entry(w, &pc->reclaim.droppers, link)
		end = max(end, w->target);
	spin_unlock(&pc->journal.lock);
	return end;
}

/* Tells those who wait for key_tail to be at @ord, or before it. */
static void tell_droppers(struct pcache *pc, u64 ord, int err)
{
	struct pcache_waiter *w, *next;
	LIST_HEAD(told);

	spin_lock(&pc->journal.lock);
	list_for_each_entry_safe(w, next, &pc->reclaim.droppers, link)
		if (w->target <= ord)
			list_move_tail(&w->link, &told);
	while ((w = list_first_entry_or_null(&told, struct pcache_waiter, link))) {
		list_del_init(&w->link);
		w->done(w, err);
	}
	spin_unlock(&pc->journal.lock);
}

static bool last_has_to_go(struct pcache *pc, u64 drop)
{
	return room_is_short(pc) || drop > pc->journal.key_tail.ord;
}

/*
 * A run of the work is over, which has tried to get to @tried. Who is not told by now waits
 * for the head's owner, who wakes this again, or for what has come to be passed only just
 * now. If it is neither, the last kset stays, since nothing can be put behind it; but who
 * came while the run ended has the next one.
 */
static void finish_drops(struct pcache *pc, u64 tried)
{
	struct pcache_places at;

	pcache_journal_places(pc, &at);
	if (READ_ONCE(pc->state) != PCACHE_RW)
		tell_droppers(pc, U64_MAX, -EIO);
	tell_droppers(pc, at.key_tail.ord, 0);
	if (pc->reclaim.head_awaited || !drop_end(pc))
		return;
	if (at.key_tail.ord < pass_limit(&at))
		pcache_reclaim_wake(pc);
	else
		tell_droppers(pc, tried, 0);
}

/* Waits until key_tail is where dirty_tail is now; gives that. */
static int drop_to_dirty_tail(struct pcache *pc, u64 *ord)
{
	struct dropper d = { .waiter.done = dropped };
	struct pcache_journal *j = &pc->journal;
	bool stopped;

	init_completion(&d.done);
	spin_lock(&j->lock);
	*ord = j->dirty_tail.ord;
	d.waiter.target = *ord;
	stopped = pc->reclaim.stop;
	if (!stopped)
		list_add_tail(&d.waiter.link, &pc->reclaim.droppers);
	spin_unlock(&j->lock);
	if (stopped)
		return -EIO;
	pcache_reclaim_wake(pc);
	if (!wait_for_completion_interruptible(&d.done))
		return d.err;
	spin_lock(&j->lock);
	list_del_init(&d.waiter.link);
	spin_unlock(&j->lock);
	return -EINTR;
}

/* Waits until key_tail is where dirty_tail is, again as long as that moves towards @end. */
static int drop_up_to(struct pcache *pc, u64 ord, u64 end)
{
	u64 before = U64_MAX;
	int r = 0;

	/* Write-back passes what is clean as well, maybe just now. */
	while (!r && ord < end && ord != before) {
		before = ord;
		r = drop_to_dirty_tail(pc, &ord);
	}
	return r;
}

/*
 * After the first wait no second turn is under way, and none begins. What stays in the log,
 * behind dirty data or in a last kset that nothing can be put behind, is forgotten.
 */
static int drop_clean(struct pcache *pc)
{
	struct pcache_places at;
	u64 ord, end;
	int r = drop_to_dirty_tail(pc, &ord) ?: pcache_journal_sync(pc);

	if (r)
		return r;
	pcache_journal_places(pc, &at);
	end = at.durable.ord;
	r = drop_up_to(pc, ord, end);
	if (r)
		return r;
	pcache_journal_places(pc, &at);
	return at.key_tail.ord < end ? pcache_index_forget_clean(pc) : 0;
}

static void count_drop(struct pcache *pc, int n)
{
	spin_lock(&pc->journal.lock);
	WRITE_ONCE(pc->reclaim.drops, pc->reclaim.drops + n);
	spin_unlock(&pc->journal.lock);
}

/**
 * pcache_reclaim_drop() - Drop all that is clean now.
 * @pc: cache, running
 *
 * What stands in the log before the first dirty key is reclaimed; the rest is forgotten
 * in memory, and its room becomes free when what is dirty before it is clean.
 *
 * Context: may sleep, not for the backing device. Return: 0; -EIO when the cache has
 * failed or is stopped; -EINTR after a signal.
 */
int pcache_reclaim_drop(struct pcache *pc)
{
	int r;

	count_drop(pc, 1);
	r = drop_clean(pc);
	count_drop(pc, -1);
	return r;
}

static void reclaim_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, reclaim.work);
	u64 drop = 0;

	WRITE_ONCE(pc->reclaim.rooms_awaited, false);
	pc->reclaim.head_awaited = false;
	while (!READ_ONCE(pc->reclaim.stop) && READ_ONCE(pc->state) == PCACHE_RW) {
		u64 limit;

		drop = drop_end(pc);
		limit = reclaim_wanted(pc) ? U64_MAX : drop;
		if (!pass(pc, limit) && !(limit && last_has_to_go(pc, drop) && stuck_at_last(pc) &&
					  pcache_journal_move_on(pc)))
			break;
		tell_droppers(pc, pc->journal.key_tail.ord, 0);
		cond_resched();
	}
	finish_drops(pc, drop);
	if (reclaim_wanted(pc)) {
		pcache_writeback_hurry(pc);
		pcache_writeback_end_pause(pc);
	}
	if ((pcache_io_waiting(pc) || READ_ONCE(pc->wb.needs_room)) &&
	    READ_ONCE(pc->state) == PCACHE_RW && !READ_ONCE(pc->reclaim.stop))
		give_up_waiting(pc);
}

/**
 * pcache_reclaim_wake() - Reclaim, if there is need.
 * @pc: cache
 *
 * Context: any.
 */
void pcache_reclaim_wake(struct pcache *pc)
{
	if (!READ_ONCE(pc->reclaim.stop))
		queue_work(pc->log_wq, &pc->reclaim.work);
}

/* Does the kset at key_tail hold keys of an old generation? */
static bool stale_at_key_tail(struct pcache *pc)
{
	struct pcache_kset *ks = pc->reclaim.kset;
	struct pcache_extent e;
	u32 i;

	if (pcache_kset_read(pc, &pc->journal.key_tail, ks) != PCACHE_KSET_ORDINARY)
		return false;
	for (i = 0; i < ks->nr_keys; i++)
		if (pcache_key_decode(pc, &ks->keys[i], &e) == PCACHE_KEY_STALE)
			return true;
	return false;
}

/**
 * pcache_reclaim_stale_prefix() - Pass leading ksets that hold stale keys.
 * @pc: cache, attached; nothing runs yet
 *
 * As far as they are clean. Mainline miscounts when it meets such keys.
 */
void pcache_reclaim_stale_prefix(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;

	while (j->has_stale && stale_at_key_tail(pc))
		if (!pass(pc, j->key_tail.ord + 1))
			break;
	if (j->has_stale && j->key_tail.ord >= j->stale_end.ord)
		j->has_stale = false;
}

/**
 * pcache_reclaim_all_stale() - Pass all ksets that hold stale keys.
 * @pc: cache; the reclaim work does not run, no request comes
 *
 * Context: suspend. Return: false when dirty data stands in the way.
 */
bool pcache_reclaim_all_stale(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;

	if (!j->has_stale)
		return true;
	while (j->key_tail.ord < j->stale_end.ord)
		if (!pass(pc, j->stale_end.ord) &&
		    !(stuck_at_last(pc) && pcache_journal_move_on(pc)))
			return false;
	j->has_stale = false;
	return true;
}

/**
 * pcache_reclaim_init() - Make reclaim, stopped.
 * @pc: cache
 *
 * Return: 0 or -ENOMEM; then pcache_reclaim_exit() cleans up.
 */
int pcache_reclaim_init(struct pcache *pc)
{
	pc->reclaim.stop = true;
	INIT_LIST_HEAD(&pc->reclaim.droppers);
	INIT_WORK(&pc->reclaim.work, reclaim_work);
	pc->reclaim.kset = kmalloc(sizeof(*pc->reclaim.kset), GFP_KERNEL);
	return pc->reclaim.kset ? 0 : -ENOMEM;
}

/**
 * pcache_reclaim_exit() - Free what pcache_reclaim_init() allocated.
 * @pc: cache; stopped
 */
void pcache_reclaim_exit(struct pcache *pc)
{
	kfree(pc->reclaim.kset);
}

/**
 * pcache_reclaim_start() - From now on pcache_reclaim_wake() works.
 * @pc: cache
 */
void pcache_reclaim_start(struct pcache *pc)
{
	WRITE_ONCE(pc->reclaim.stop, false);
	pcache_reclaim_wake(pc);
}

/**
 * pcache_reclaim_stop() - Stop the work.
 * @pc: cache
 *
 * Context: may sleep.
 */
void pcache_reclaim_stop(struct pcache *pc)
{
	spin_lock(&pc->journal.lock);
	WRITE_ONCE(pc->reclaim.stop, true);
	spin_unlock(&pc->journal.lock);
	cancel_work_sync(&pc->reclaim.work);
	tell_droppers(pc, U64_MAX, -EIO);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The head of the log: keys are appended to the open kset in memory, and
 * commits store ksets.
 *
 * Hazards, and what is done about each:
 *
 * Order. A key enters the open kset under its shard's lock, in the same hold in
 * which the index takes it, and there is one open kset. So the log has keys of
 * overlapping ranges in index order, over all CPUs.
 *
 * Many writers, one commit. Whoever finds nobody committing sets @committing
 * and owns the head; everybody else leaves a waiter and goes. The owner takes,
 * round by round, what is sealed and who waits at that moment, so a FLUSH is
 * served by a round that began after it came. CRC and copy happen without locks.
 *
 * Torn ksets. A kset is stored only when the one before it is durable and the
 * 24 bytes behind it are zero and durable. A power cut leaves at most one torn
 * kset, with nothing of this log behind it.
 *
 * Epochs. The kset that is open when a round ends is the first of the next epoch if
 * one of its waiters ends an epoch; the mark is set before any waiter is told, so what
 * is written after the acknowledgement stands at or behind it.
 *
 * Memory. The pool holds ksets for writers; the owner has one of its own, so
 * that a round, which frees them, never needs the pool.
 */
#include <linux/bitfield.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/math64.h>

#include "pcache.h"
#include "pmem.h"
#include "trace.h"

/* What nobody flushes is committed so long after it came. */
#define COMMIT_DELAY		(HZ / 2)
/* The pool's reserve. */
#define KSET_RESERVE		4
/* After so many rounds a caller hands the head to a work item. */
#define ROUNDS_MAX		8

static const u8 zeros[PCACHE_LAST_BYTES] __aligned(8);

static void open_kset(struct pcache_journal *j, struct pcache_kset *ks, bool epoch)
{
	ks->nr_keys = 0;
	ks->sectors = 0;
	ks->epoch = epoch;
	ks->seq = j->next_seq++;
	j->marks += epoch;
	j->open = ks;
}

/* The open kset is the first of an epoch. */
static void mark_open(struct pcache_journal *j)
{
	lockdep_assert_held(&j->lock);
	j->marks += !j->open->epoch;
	j->open->epoch = true;
}

/* Seals the open kset, which has keys, and opens @spare. */
static void seal(struct pcache_journal *j, struct pcache_kset *spare, bool epoch)
{
	lockdep_assert_held(&j->lock);
	list_add_tail(&j->open->link, &j->sealed);
	open_kset(j, spare, epoch);
}

/**
 * pcache_journal_append() - Append keys to the open kset.
 * @pc: cache
 * @keys: extents, each the whole of a key
 * @nr: how many, at most PCACHE_CHUNK_KEYS
 * @spare: a kset to go on in when the open one is full; taken if used
 *
 * Context: the keys' shard is locked; the index takes them in the same hold.
 *
 * Return: false, and nothing is done, when a spare is needed and there is none.
 */
bool pcache_journal_append(struct pcache *pc, const struct pcache_extent *keys, u32 nr,
			   struct pcache_kset **spare)
{
	struct pcache_journal *j = &pc->journal;
	bool first;
	u32 i;

	spin_lock(&j->lock);
	if (j->open->nr_keys + nr > PCACHE_KSET_KEYS) {
		if (!*spare) {
			spin_unlock(&j->lock);
			return false;
		}
		seal(j, *spare, false);
		*spare = NULL;
	}
	first = j->open->nr_keys == 0;
	for (i = 0; i < nr; i++) {
		pcache_key_encode(pc, &keys[i], &j->open->keys[j->open->nr_keys++]);
		j->open->sectors += keys[i].sectors;
	}
	spin_unlock(&j->lock);
	if (first)	/* who waits for room needs it to be committed and written back */
		queue_delayed_work(pc->log_wq, &j->commit_work,
				   pcache_io_queued(pc) ? 0 : COMMIT_DELAY);
	return true;
}

/* Publishes what is durable now. */
static void publish(struct pcache *pc, const struct pcache_pos *last, u32 keys, u32 sectors)
{
	struct pcache_journal *j = &pc->journal;

	spin_lock(&j->lock);
	j->durable = j->head;
	j->durable_keys += keys;
	j->held_sectors += sectors;
	pcache_writeback_set_pace(pc);
	j->last = *last;
	j->last_is_log_only = !keys;
	pcache_age_note(&j->age, last->ord, j->dirty_tail.ord, get_jiffies_64());
	spin_unlock(&j->lock);
}

/*
 * Puts a LAST at the head; the log goes on in a new segment. The 24 zero bytes
 * there are durable before the LAST that leads to them.
 */
static int turn_to_new_segment(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_pos last = j->head;
	u32 seg = pcache_seg_alloc_log(pc);
	struct pcache_media_kset ks = {
		.count = cpu_to_le32(seg),
		.magic = cpu_to_le64(PCACHE_KSET_MAGIC),
		.flags = cpu_to_le64(PCACHE_KSET_LAST |
				     FIELD_PREP(PCACHE_KSET_NUMBER, j->next_number)),
	};

	if (seg == PCACHE_NO_SEG)
		return -ENOSPC;
	ks.crc = cpu_to_le32(pcache_crc(&ks, sizeof(ks)));
	pmem_begin();
	pmem_store(pcache_seg_data(pc, seg, 0), zeros, sizeof(zeros));
	pmem_fence();
	pmem_store(pcache_seg_data(pc, last.seg, last.off), &ks, sizeof(ks));
	pmem_end();

	j->last_number = j->next_number;
	j->next_number = pcache_number_after(j->next_number);
	j->head.seg = seg;
	j->head.off = 0;
	j->head.ord++;
	publish(pc, &last, 0, 0);
	trace_pcache_commit(pc, &last, 0);
	return 0;
}

/* Stores one kset at the head. The caller owns the head. */
static int commit_kset(struct pcache *pc, struct pcache_kset *ks)
{
	struct pcache_journal *j = &pc->journal;
	u32 bytes = PCACHE_KSET_BYTES(ks->nr_keys);
	struct pcache_pos last;
	void *dst;
	int r;

	if (j->head.off + bytes + PCACHE_LAST_BYTES > PCACHE_DATA_BYTES) {
		r = turn_to_new_segment(pc);
		if (r)
			return r;
	}
	ks->head.count = cpu_to_le32(ks->nr_keys);
	ks->head.magic = cpu_to_le64(PCACHE_KSET_MAGIC);
	ks->head.flags = cpu_to_le64((ks->epoch ? PCACHE_KSET_EPOCH : 0) |
				     FIELD_PREP(PCACHE_KSET_NUMBER, j->next_number));
	ks->head.crc = cpu_to_le32(pcache_crc(&ks->head, bytes));

	dst = pcache_seg_data(pc, j->head.seg, j->head.off);
	pmem_begin();
	pmem_store(dst + bytes, zeros, sizeof(zeros));
	pmem_fence();
	pmem_store(dst, &ks->head, bytes);
	pmem_end();

	last = j->head;
	j->last_number = j->next_number;
	j->next_number = pcache_number_after(j->next_number);
	j->head.off += bytes;
	j->head.ord++;
	publish(pc, &last, ks->nr_keys, ks->sectors);
	trace_pcache_commit(pc, &last, ks->nr_keys);
	return 0;
}

/* Behind the publication of its kset: until then that counts as one of a later epoch. */
static void forget_mark(struct pcache_journal *j)
{
	spin_lock(&j->lock);
	j->marks--;
	spin_unlock(&j->lock);
}

static int commit_ksets(struct pcache *pc, struct list_head *ksets)
{
	struct pcache_kset *ks;
	int r = READ_ONCE(pc->state) == PCACHE_FAIL ? -EIO : 0;

	list_for_each_entry(ks, ksets, link) {
		if (!r)
			r = commit_kset(pc, ks);
		if (!r && ks->epoch)
			forget_mark(&pc->journal);
		if (r == -ENOSPC)
			pcache_set_state(pc, PCACHE_FAIL, "no segment is left for the log");
	}
	return r ? -EIO : 0;
}

/* Gives ksets back; the owner's own one comes first. */
static void recycle(struct pcache_journal *j, struct list_head *ksets)
{
	struct pcache_kset *ks, *next;

	list_for_each_entry_safe(ks, next, ksets, link) {
		if (!j->own_spare)
			j->own_spare = ks;
		else
			mempool_free(ks, &j->kset_pool);
	}
}

static void finish_waiters(struct list_head *waiters, int err)
{
	struct pcache_waiter *w, *next;

	list_for_each_entry_safe(w, next, waiters, link) {
		list_del_init(&w->link);
		w->done(w, err);
	}
}

static bool waiter_ends_epoch(struct pcache_journal *j)
{
	struct pcache_waiter *w;

	lockdep_assert_held(&j->lock);
	list_for_each_entry(w, &j->waiters, link)
		if (w->epoch)
			return true;
	return false;
}

/* One round. Returns false, the head no longer owned, when there is nothing to do. */
static bool commit_round(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	LIST_HEAD(ksets);
	LIST_HEAD(waiters);
	int err;

	spin_lock(&j->lock);
	if (!list_empty(&j->waiters) || j->aged) {
		bool epoch = waiter_ends_epoch(j);

		j->aged = false;
		if (j->open->nr_keys) {
			seal(j, j->own_spare, epoch);
			j->own_spare = NULL;
		} else if (epoch) {
			mark_open(j);
		}
	}
	list_splice_init(&j->sealed, &ksets);
	list_splice_init(&j->waiters, &waiters);
	if (list_empty(&ksets) && list_empty(&waiters)) {
		bool wanted = j->move_on_wanted;

		j->committing = false;
		j->move_on_wanted = false;
		spin_unlock(&j->lock);
		if (wanted)
			pcache_reclaim_wake(pc);
		return false;
	}
	spin_unlock(&j->lock);

	err = commit_ksets(pc, &ksets);
	if (!list_empty(&ksets)) {
		recycle(j, &ksets);
		pcache_writeback_committed(pc);
	}
	finish_waiters(&waiters, err);
	return true;
}

/* Runs rounds until there is nothing to do. The caller owns the head. */
static void commit_rounds(struct pcache *pc)
{
	u32 rounds = 0;

	while (commit_round(pc)) {
		if (++rounds == ROUNDS_MAX) {
			queue_work(pc->log_wq, &pc->journal.handover_work);
			return;
		}
	}
}

/* Becomes the head's owner, if nobody is. */
static bool own_head(struct pcache_journal *j)
{
	lockdep_assert_held(&j->lock);
	if (j->committing)
		return false;
	j->committing = true;
	return true;
}

static void handover_work(struct work_struct *work)
{
	commit_rounds(container_of(work, struct pcache, journal.handover_work));
}

static void commit_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, journal.commit_work.work);
	struct pcache_journal *j = &pc->journal;
	bool own;

	spin_lock(&j->lock);
	j->aged = true;
	own = own_head(j);
	spin_unlock(&j->lock);
	if (own)
		commit_rounds(pc);
}

/*
 * Is all that is in the index durable? Nothing is sealed either: the kset behind a sealed
 * one has keys, or its commit is on. An epoch may end here.
 */
static bool is_settled(struct pcache_journal *j, bool epoch)
{
	lockdep_assert_held(&j->lock);
	if (j->committing || j->open->nr_keys)
		return false;
	if (epoch)
		mark_open(j);
	return true;
}

/**
 * pcache_journal_end_epoch() - End an epoch, if nothing has to be made durable for that.
 * @pc: cache
 *
 * Return: false when pcache_journal_flush() has to.
 */
bool pcache_journal_end_epoch(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	bool settled;

	spin_lock(&j->lock);
	settled = is_settled(j, true);
	spin_unlock(&j->lock);
	return settled;
}

/**
 * pcache_journal_flush() - Have all that is in the index now made durable.
 * @pc: cache
 * @w: told when it is; @w->done and @w->epoch are set
 *
 * Context: process context, no locks; may commit here, and call @w->done here.
 */
void pcache_journal_flush(struct pcache *pc, struct pcache_waiter *w)
{
	struct pcache_journal *j = &pc->journal;
	bool own;

	spin_lock(&j->lock);
	if (is_settled(j, w->epoch)) {
		spin_unlock(&j->lock);
		w->done(w, READ_ONCE(pc->state) == PCACHE_FAIL ? -EIO : 0);
		return;
	}
	list_add_tail(&w->link, &j->waiters);
	own = own_head(j);
	spin_unlock(&j->lock);
	if (own)
		commit_rounds(pc);
}

struct sync_waiter {
	struct pcache_waiter waiter;
	struct completion done;
	int err;
};

static void sync_done(struct pcache_waiter *w, int err)
{
	struct sync_waiter *s = container_of(w, struct sync_waiter, waiter);

	s->err = err;
	complete(&s->done);
}

/**
 * pcache_journal_sync() - Make all that is in the index durable.
 * @pc: cache
 *
 * Context: may sleep. Return: 0, or -EIO when the cache has failed.
 */
int pcache_journal_sync(struct pcache *pc)
{
	struct sync_waiter s = { .waiter = { .done = sync_done, .epoch = true } };

	init_completion(&s.done);
	pcache_journal_flush(pc, &s.waiter);
	wait_for_completion(&s.done);
	return s.err;
}

/* Commits full ksets, unless somebody is at it. */
static void push_sealed(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	bool own;

	if (list_empty_careful(&j->sealed))
		return;
	spin_lock(&j->lock);
	own = own_head(j);
	spin_unlock(&j->lock);
	if (own)
		commit_rounds(pc);
}

/*
 * Logs the last key of the last kset, whose keys are all clean, again behind it. No
 * later key of the log can overlap that one, and the backing device holds its data:
 * what could have overwritten that is not durable yet, so not written back either.
 *
 * The caller owns the head. With one key there would be nothing to gain.
 */
static bool log_last_key_again(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_kset *ks = j->own_spare;
	struct pcache_places at;
	struct pcache_extent e;
	u32 i;

	pcache_journal_places(pc, &at);
	if (at.dirty_tail.ord <= at.last.ord ||
	    j->head.off + PCACHE_KSET_BYTES(1) + PCACHE_LAST_BYTES > PCACHE_DATA_BYTES ||
	    pcache_kset_read(pc, &at.last, ks) != PCACHE_KSET_ORDINARY || ks->nr_keys < 2)
		return false;
	for (i = ks->nr_keys; i-- > 0; )
		if (pcache_key_decode(pc, &ks->keys[i], &e) == PCACHE_KEY_GOOD)
			break;
	if (i == U32_MAX)
		return false;
	e.clean = true;
	pcache_key_encode(pc, &e, &ks->keys[0]);
	ks->nr_keys = 1;
	ks->sectors = e.sectors;
	/* It may be the first of the attach. An epoch without dirty keys costs nothing. */
	spin_lock(&j->lock);
	ks->epoch = j->open->epoch;
	spin_unlock(&j->lock);
	pcache_seg_get(pc, e.seg);
	pcache_index_will_forget(pc, e.sector);
	return commit_kset(pc, ks) == 0;
}

/**
 * pcache_journal_move_on() - Put something behind the last kset, if key_tail is at it.
 * @pc: cache
 *
 * key_tail may not pass the last kset. With a LAST behind it, it may; where no segment
 * is free for that (mainline keeps none back), one of its keys is logged again.
 *
 * When somebody else owns the head, reclaim is woken when it is free.
 *
 * Context: the reclaim work, or it does not run. Return: true when it was put.
 */
bool pcache_journal_move_on(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	bool own = false, moved = false;

	spin_lock(&j->lock);
	if (!j->last_is_log_only && pcache_pos_same(&j->last, &j->key_tail)) {
		own = own_head(j);
		j->move_on_wanted = !own;
	}
	pc->reclaim.head_awaited = j->move_on_wanted;
	spin_unlock(&j->lock);
	if (!own)
		return false;
	/* Nobody else moves the head now, but an owner before may have. */
	if (pcache_pos_same(&j->last, &j->key_tail))
		moved = turn_to_new_segment(pc) == 0 || log_last_key_again(pc);
	commit_rounds(pc);
	return moved;
}

/**
 * pcache_log_extents() - Log keys and put them into the index.
 * @pc: cache
 * @sh: their shard
 * @keys: extents, each the whole of a key; their data is durable
 * @nr: how many, at most PCACHE_CHUNK_KEYS
 * @patience: what this may wait for
 * @check: asked with the shard locked whether it is still right
 * @arg: handed to @check
 *
 * Each key takes a ref of its segment, of which the caller holds one.
 *
 * Context: may sleep; no locks. Return: 0; -ENOMEM without memory for the index or,
 * where it may not wait for that, without a kset; -ESTALE when @check said no. With an
 * error nothing has changed.
 */
int pcache_log_extents(struct pcache *pc, struct pcache_shard *sh,
		       const struct pcache_extent *keys, u32 nr, enum pcache_patience patience,
		       pcache_log_check_fn check, void *arg)
{
	gfp_t gfp = patience == PCACHE_WAITS_FOR_NOTHING ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO;
	struct pcache_journal *j = &pc->journal;
	struct pcache_kset *spare = NULL;
	int r = 0;
	u32 i;

	while (!r) {
		bool logged = false;

		if (patience == PCACHE_WAITS_FOR_INDEX)
			pcache_index_lock_wait(pc, sh, nr);
		else if (!pcache_index_lock(pc, sh, nr))
			r = -ENOMEM;
		if (!r && !check(sh, keys, nr, arg))
			r = -ESTALE;
		if (!r)
			logged = pcache_journal_append(pc, keys, nr, &spare);
		for (i = 0; logged && i < nr; i++) {
			pcache_seg_get(pc, keys[i].seg);
			pcache_index_insert(pc, sh, &keys[i]);
		}
		spin_unlock(&sh->lock);
		if (r || logged)
			break;
		/* Commits free ksets and need none, so this ends. */
		spare = mempool_alloc(&j->kset_pool, gfp);
		if (!spare)
			r = -ENOMEM;
	}
	if (spare)
		mempool_free(spare, &j->kset_pool);
	push_sealed(pc);
	return r;
}

/**
 * pcache_tail_store() - Store a tail, in both slots.
 * @pc: cache
 * @slots: key_tail's or dirty_tail's; the caller is its one writer
 * @pos: where it is now
 *
 * Durable on return.
 */
void pcache_tail_store(struct pcache *pc, struct pcache_slots *slots,
		       const struct pcache_pos *pos)
{
	struct pcache_media_tail tail = {
		.cache_seg_id = cpu_to_le32(pos->seg),
		.seg_off = cpu_to_le32(pos->off),
	};

	pcache_slots_write_both(slots, &tail);
}

/**
 * pcache_journal_places() - Where the log's places are now.
 * @pc: cache
 * @places: gets them
 */
void pcache_journal_places(struct pcache *pc, struct pcache_places *places)
{
	struct pcache_journal *j = &pc->journal;

	spin_lock(&j->lock);
	places->key_tail = j->key_tail;
	places->dirty_tail = j->dirty_tail;
	places->last = j->last;
	places->durable = j->durable;
	places->keys = j->durable_keys;
	places->held_sectors = j->held_sectors;
	places->settled = pc->wb.settled;
	spin_unlock(&j->lock);
}

/**
 * pcache_journal_dirty_seconds() - How long ago was the kset at dirty_tail committed?
 * @pc: cache
 *
 * One from before the attach counts from then on.
 *
 * Return: seconds; 0 also when there is none.
 */
u64 pcache_journal_dirty_seconds(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	u64 seconds = 0;

	spin_lock(&j->lock);
	if (j->dirty_tail.ord < j->durable.ord)
		seconds = div_u64(pcache_age_of(&j->age, j->dirty_tail.ord, get_jiffies_64()), HZ);
	spin_unlock(&j->lock);
	return seconds;
}

/**
 * pcache_journal_stop() - Make all durable and stop.
 * @pc: cache; no request is under way
 *
 * Context: may sleep. Return: as pcache_journal_sync().
 */
int pcache_journal_stop(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	int r = pcache_journal_sync(pc);

	cancel_delayed_work_sync(&j->commit_work);
	flush_work(&j->handover_work);
	return r;
}

/**
 * pcache_journal_init() - Make the journal, with nothing in it.
 * @pc: cache
 *
 * Return: 0 or -ENOMEM; then pcache_journal_exit() cleans up.
 */
int pcache_journal_init(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_kset *open;

	spin_lock_init(&j->lock);
	INIT_LIST_HEAD(&j->sealed);
	INIT_LIST_HEAD(&j->waiters);
	INIT_DELAYED_WORK(&j->commit_work, commit_work);
	INIT_WORK(&j->handover_work, handover_work);
	pcache_age_init(&j->age, get_jiffies_64());
	if (mempool_init_kmalloc_pool(&j->kset_pool, KSET_RESERVE, sizeof(struct pcache_kset)))
		return -ENOMEM;
	open = kmalloc(sizeof(*open), GFP_KERNEL);
	j->own_spare = kmalloc(sizeof(*j->own_spare), GFP_KERNEL);
	if (!open || !j->own_spare) {
		kfree(open);
		return -ENOMEM;
	}
	open_kset(j, open, true);
	return 0;
}

/**
 * pcache_journal_exit() - Free what pcache_journal_init() allocated.
 * @pc: cache; stopped
 */
void pcache_journal_exit(struct pcache *pc)
{
	struct pcache_journal *j = &pc->journal;

	kfree(j->own_spare);
	kfree(j->open);
	mempool_exit(&j->kset_pool);
}

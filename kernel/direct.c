// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes around the cache: straight to the backing device, where the log covers
 * nothing of the range.
 *
 * A request is on its shard's list of such writes from before it is submitted until
 * it is durable. Meanwhile nothing of its range enters the log: a write that overlaps
 * waits, a fill is void. So of a sector either keys are in the log or a write around
 * it is under way, and at most one write is in flight to the backing device.
 *
 * It has REQ_FUA. So a later fill may call what it reads clean, and no FLUSH has to
 * ask the backing device for one.
 *
 * One that fails goes through the cache after all, and leaves the list when it is in
 * the index: what is on the backing device then, or in its volatile cache, is hidden.
 *
 * The log covers what the index has. What the index has forgotten while its key still
 * is in the log (pcache_tree.forgot), and what reclaim passes at the moment
 * (pcache_reclaim.passing), counts as covered too.
 *
 * Discards that are passed down (discard.c) are on the same list.
 */
#include "pcache.h"

/**
 * pcache_direct_in_way() - Is a write around the cache, or a discard, under way in a range?
 * @sh: shard, locked
 * @sector: first sector
 * @sectors: how many
 * @own: this one does not count; may be NULL
 */
bool pcache_direct_in_way(struct pcache_shard *sh, sector_t sector, u32 sectors,
			  const struct pcache_request *own)
{
	struct pcache_request *rq;

	lockdep_assert_held(&sh->lock);
	list_for_each_entry(rq, &sh->directs, direct_link)
		if (rq != own && rq->bio->bi_iter.bi_sector < sector + sectors &&
		    sector < bio_end_sector(rq->bio))
			return true;
	return false;
}

/**
 * pcache_direct_is_blind() - May the log cover what the index has not?
 * @pc: cache
 * @sh: shard, locked
 */
bool pcache_direct_is_blind(struct pcache *pc, struct pcache_shard *sh)
{
	/* Pairs with the release in reclaim's pass(). */
	return sh->tree.forgot || smp_load_acquire(&pc->reclaim.passing);
}

static bool log_covers(struct pcache *pc, struct pcache_shard *sh, sector_t sector, u32 sectors)
{
	return pcache_direct_is_blind(pc, sh) || !pcache_tree_is_hole(&sh->tree, sector, sectors);
}

/**
 * pcache_direct_try() - May a write go around the cache?
 * @rq: write of which nothing is in the log yet; the mode is write-around
 *
 * Not while anything is dirty that was acknowledged: that has to be on the backing
 * device first. Write zeroes may not: it takes no FUA.
 *
 * Return: 1, and it is on the list; 0, through the cache; -EBUSY, it has to wait for
 * another one.
 */
int pcache_direct_try(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	sector_t sector = rq->bio->bi_iter.bi_sector;
	u32 sectors = bio_sectors(rq->bio);
	struct pcache_shard *sh = pcache_index_shard(pc, sector);
	int r = 0;

	if (rq->direct || bio_op(rq->bio) != REQ_OP_WRITE ||
	    rq->iter.bi_size != rq->bio->bi_iter.bi_size || !pcache_writeback_settled(pc))
		return 0;
	spin_lock(&sh->lock);
	if (pcache_direct_in_way(sh, sector, sectors, NULL)) {
		r = -EBUSY;
	} else if (!log_covers(pc, sh, sector, sectors)) {
		list_add_tail(&rq->direct_link, &sh->directs);
		rq->direct = true;
		pcache_read_void_fills(sh, sector, sectors);
		r = 1;
	}
	spin_unlock(&sh->lock);
	return r;
}

/**
 * pcache_direct_end() - Let others come to the range again.
 * @rq: request on the list
 *
 * Context: process context, no locks.
 */
void pcache_direct_end(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	struct pcache_shard *sh = pcache_index_shard(pc, rq->bio->bi_iter.bi_sector);

	spin_lock(&sh->lock);
	list_del(&rq->direct_link);
	rq->direct = false;
	spin_unlock(&sh->lock);
	if (pcache_io_queued(pc))
		pcache_io_space_freed(pc);
}

/**
 * pcache_direct_ended() - The backing device has ended it; it is gone on with in the work.
 * @rq: request on the list, and on no other
 * @status: how it ended
 *
 * Context: any.
 */
void pcache_direct_ended(struct pcache_request *rq, blk_status_t status)
{
	struct pcache_io *io = &rq->pc->io;
	unsigned long flags;

	rq->direct_status = status;
	/* With the lock let go, the cache could be gone before the work is queued. */
	spin_lock_irqsave(&io->done_lock, flags);
	list_add_tail(&rq->link, &io->directs);
	queue_work(rq->pc->wq, &io->direct_work);
	spin_unlock_irqrestore(&io->done_lock, flags);
}

static void direct_endio(struct bio *bio)
{
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	pcache_direct_ended(container_of(bio, struct pcache_request, clone), status);
}

/**
 * pcache_direct_submit() - Write around the cache.
 * @rq: request on the list of such, and on no other
 *
 * Context: may sleep, but not for I/O. The request may be gone on return.
 */
void pcache_direct_submit(struct pcache_request *rq)
{
	struct bio *clone = &rq->clone;

	if (bio_init_clone(rq->pc->backing, clone, rq->bio, GFP_NOIO)) {
		pcache_direct_ended(rq, BLK_STS_RESOURCE);
		return;
	}
	clone->bi_opf |= REQ_FUA;
	clone->bi_opf &= ~REQ_POLLED;
	clone->bi_end_io = direct_endio;
	submit_bio_noacct(clone);
}

static void direct_done(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;

	if (rq->direct_status) {
		pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, 1);
		pcache_io_write_cached(rq);
		return;
	}
	pcache_count(pc, PCACHE_STAT_BYPASSES, 1);
	pcache_direct_end(rq);
	pcache_request_put(rq, BLK_STS_OK);
}

static void direct_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, io.direct_work);
	struct pcache_request *rq, *next;
	LIST_HEAD(done);

	spin_lock_irq(&pc->io.done_lock);
	list_splice_init(&pc->io.directs, &done);
	spin_unlock_irq(&pc->io.done_lock);
	list_for_each_entry_safe(rq, next, &done, link) {
		list_del_init(&rq->link);
		if (bio_op(rq->bio) == REQ_OP_DISCARD)
			pcache_discard_ended(rq);
		else
			direct_done(rq);
		cond_resched();
	}
}

/**
 * pcache_direct_init() - Make what writes around the cache share.
 * @pc: cache
 */
void pcache_direct_init(struct pcache *pc)
{
	INIT_LIST_HEAD(&pc->io.directs);
	INIT_WORK(&pc->io.direct_work, direct_work);
}

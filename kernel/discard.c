// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Discards: ranges whose content nobody needs any more.
 *
 * What is cached of the range is marked as discarded in the index. Reads go past it, to
 * the backing device, and write-back leaves it out where its order allows. It stays in the
 * index until key_tail passes its key: so long a power cut may bring the old bytes back,
 * and nothing may be built on their absence. Nothing is stored; a power cut may undo it.
 *
 * The rest, where the log covers nothing, is passed down, part by part, one at a time,
 * unless something of an earlier epoch is dirty: the backing device alone would be no disk
 * that lost power. Meanwhile the request is on its shard's list of writes around the cache
 * with its whole range: nothing of that enters the log, so there is no write-back of it,
 * and holes stay holes.
 *
 * What a discard does to the backing device is volatile there until the next FLUSH. Before
 * that nothing that was read from it is called clean (pcache_discards_durable()).
 */
#include "pcache.h"
#include "trace.h"

/* Voids the fills of the range. Puts the request on the list, if it may be passed down. */
static void begin(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	struct pcache_shard *sh = pcache_index_shard(pc, rq->sector);
	bool pass = bdev_max_discard_sectors(pc->backing) && pcache_writeback_in_order(pc);
	u32 sectors = bio_sectors(rq->bio);

	spin_lock(&sh->lock);
	pcache_read_void_fills(sh, rq->sector, sectors);
	if (pass && !pcache_direct_in_way(sh, rq->sector, sectors, NULL)) {
		list_add_tail(&rq->direct_link, &sh->directs);
		rq->direct = true;
	}
	spin_unlock(&sh->lock);
}

/*
 * Looks at what lies at @rq->sector, which goes behind it if the log covers that.
 *
 * Returns the sectors of a hole there; 0: there is none, or, and then nothing is left to
 * be looked at, nobody knows.
 */
static u32 hole_here(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	struct pcache_shard *sh = pcache_index_shard(pc, rq->bio->bi_iter.bi_sector);
	sector_t end = bio_end_sector(rq->bio);
	struct pcache_extent e;
	u32 hole = 0;

	spin_lock(&sh->lock);
	if (pcache_direct_is_blind(pc, sh))
		rq->sector = end;
	else if (!pcache_tree_first(&sh->tree, rq->sector, &e) || e.sector >= end)
		hole = end - rq->sector;
	else if (e.sector > rq->sector)
		hole = e.sector - rq->sector;
	else
		rq->sector = min(end, pcache_extent_end(&e));
	spin_unlock(&sh->lock);
	return hole;
}

static void discard_endio(struct bio *bio)
{
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	pcache_direct_ended(container_of(bio, struct pcache_request, clone), status);
}

static void submit_part(struct pcache_request *rq, u32 sectors)
{
	struct bio *part = &rq->clone;

	bio_init(part, rq->pc->backing, NULL, 0, REQ_OP_DISCARD);
	part->bi_iter.bi_sector = rq->sector;
	part->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	part->bi_end_io = discard_endio;
	rq->sector += sectors;
	submit_bio_noacct(part);
}

static void finish(struct pcache_request *rq, blk_status_t status)
{
	pcache_direct_end(rq);
	pcache_request_put(rq, status);
}

/* Passes the next part down; without any more, ends the request. */
static void pass_down(struct pcache_request *rq)
{
	u32 least = bdev_discard_granularity(rq->pc->backing) >> SECTOR_SHIFT;
	sector_t end = bio_end_sector(rq->bio);

	while (rq->sector < end) {
		u32 hole = hole_here(rq);

		if (hole && hole >= least) {
			submit_part(rq, hole);
			return;
		}
		rq->sector += hole;
		cond_resched();
	}
	finish(rq, BLK_STS_OK);
}

/**
 * pcache_discard_ended() - The backing device has ended a part of a discard.
 * @rq: request on the list of writes around the cache, and on no other
 *
 * Context: may sleep, but not for I/O. The request may be gone on return.
 */
void pcache_discard_ended(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	blk_status_t status = rq->direct_status;

	/* Also with an error. Whoever fills sees this when it sees the list without it. */
	atomic_inc(&pc->io.discards_done);
	if (!status) {
		pass_down(rq);
	} else if (status == BLK_STS_NOTSUPP) {
		finish(rq, BLK_STS_OK);
	} else {
		trace_pcache_failure(pc, "backing device failed a discard",
				     rq->bio->bi_iter.bi_sector, bio_sectors(rq->bio));
		finish(rq, status);
	}
}

/**
 * pcache_discard() - Take a discard.
 * @rq: request
 *
 * Context: may sleep, but not for I/O.
 */
void pcache_discard(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;

	rq->outcome = PCACHE_DISCARD;
	if (READ_ONCE(pc->state) != PCACHE_RW) {
		pcache_request_put(rq, BLK_STS_IOERR);
		return;
	}
	pcache_count(pc, PCACHE_STAT_DISCARDS, 1);
	rq->sector = rq->bio->bi_iter.bi_sector;
	begin(rq);
	/* What could not be read may have held write-back up. */
	if (pcache_index_discard(pc, rq->sector, bio_sectors(rq->bio)))
		pcache_writeback_wake(pc);
	if (rq->direct)
		pass_down(rq);
	else
		pcache_request_put(rq, BLK_STS_OK);
}

/**
 * pcache_discards_durable() - Is what the backing device discarded durable there?
 * @pc: cache
 */
bool pcache_discards_durable(struct pcache *pc)
{
	return READ_ONCE(pc->io.discards_durable) == atomic_read(&pc->io.discards_done);
}

/**
 * pcache_flush_backing() - Make what the backing device has ended durable there.
 * @pc: cache
 *
 * One that fails may have dropped what another one then cannot make durable any more. So
 * nobody asks for one while somebody else has written and still wants to.
 *
 * Context: the write-back work, or it does not run; may sleep for I/O. Return: 0 or -errno.
 */
int pcache_flush_backing(struct pcache *pc)
{
	int done = atomic_read(&pc->io.discards_done);
	int r = blkdev_issue_flush(pc->backing);

	if (!r) {
		WRITE_ONCE(pc->io.discards_durable, done);
		return 0;
	}
	trace_pcache_failure(pc, "backing device failed a FLUSH", 0, 0);
	pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, 1);
	return r;
}

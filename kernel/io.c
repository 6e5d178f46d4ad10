// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests: where they come in; writes, flushes, and waiting for room.
 *
 * A write goes in chunks: room for data, copy, fence, then keys and index in one
 * step (pcache_log_extents()). What finds no room waits at the end of
 * segs->waiting, and everything that comes later goes behind it; the space work
 * alone takes requests off that list, from its front. Reads never wait. When reclaim
 * finds that nothing can make room any more, those that wait end with an error; each
 * later one has everything tried again first.
 *
 * Write zeroes is a write: of zeroes.
 *
 * A write is done when it is in the index; with FUA, when the commit that has
 * its keys is durable; in write-through, write-around and with cleaner, when
 * write-back has passed that.
 */
#include <linux/crc32c.h>
#include <linux/highmem.h>
#include <linux/sched/clock.h>

#include "pcache.h"
#include "pmem.h"
#include "trace.h"

/**
 * pcache_chunk_sectors() - How much one step of a write, fill or copy takes at most.
 * @pc: cache
 */
u32 pcache_chunk_sectors(const struct pcache *pc)
{
	return pc->data_crc ? PCACHE_CHUNK_KEYS * PCACHE_CRC_KEY_SECTORS :
			      PCACHE_PLAIN_KEY_SECTORS;
}

/**
 * pcache_key_sectors_max() - How long a key is at most that is not Linux's own.
 * @pc: cache
 */
u32 pcache_key_sectors_max(const struct pcache *pc)
{
	return pc->data_crc ? PCACHE_CRC_KEY_SECTORS : PCACHE_PLAIN_KEY_SECTORS;
}

/* Stores @bytes of zeroes for the bio at @iter, which moves on. */
static void store_zeroes(struct pcache *pc, void *dst, struct bio *bio, struct bvec_iter *iter,
			 u32 bytes)
{
	u32 left, n;

	for (left = bytes; left; left -= n) {
		n = min_t(u32, left, PAGE_SIZE);
		pcache_copy_store(pc, dst, page_address(ZERO_PAGE(0)), n);
		dst += n;
	}
	bio_advance_iter(bio, iter, bytes);
}

/* Stores @bytes of the bio at @iter, which moves on. */
static void store_bio(struct pcache *pc, void *dst, struct bio *bio, struct bvec_iter *iter,
		      u32 bytes)
{
	if (bio_op(bio) == REQ_OP_WRITE_ZEROES) {
		store_zeroes(pc, dst, bio, iter, bytes);
		return;
	}
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 n = min(bytes, bv.bv_len);
		void *src = bvec_kmap_local(&bv);

		pcache_copy_store(pc, dst, src, n);
		kunmap_local(src);
		bio_advance_iter_single(bio, iter, n);
		dst += n;
		bytes -= n;
	}
}

/* For a whole page, here one of a bio's, CPUs have something faster than memcpy() often is. */
static void copy_piece(void *dst, void *src, u32 bytes)
{
	if (bytes == PAGE_SIZE && PAGE_ALIGNED(dst))
		copy_page(dst, src);
	else
		memcpy(dst, src, bytes);
}

/* Copies @bytes of the bio at @iter to memory; @iter moves on. */
static void copy_from_bio(void *dst, struct bio *bio, struct bvec_iter *iter, u32 bytes)
{
	if (bio_op(bio) == REQ_OP_WRITE_ZEROES) {
		memset(dst, 0, bytes);
		bio_advance_iter(bio, iter, bytes);
		return;
	}
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 n = min(bytes, bv.bv_len);
		void *src = bvec_kmap_local(&bv);

		copy_piece(dst, src, n);
		kunmap_local(src);
		bio_advance_iter_single(bio, iter, n);
		dst += n;
		bytes -= n;
	}
}

/*
 * Stores by way of this CPU's bounce memory, so that the CRC is that of what is stored even
 * when the submitter changes its pages meanwhile.
 */
static u32 store_bio_crc(struct pcache *pc, void *dst, struct bio *bio, struct bvec_iter *iter,
			 u32 bytes)
{
	u32 crc = PCACHE_CRC_SEED, n;

	for (; bytes; bytes -= n, dst += n) {
		u8 *buf = pcache_bounce_get(pc->bounce);

		n = min_t(u32, bytes, PCACHE_PIECE_BYTES);
		copy_from_bio(buf, bio, iter, n);
		crc = crc32c(crc, buf, n);
		pcache_copy_store(pc, dst, buf, n);
		pcache_bounce_put(pc->bounce);
	}
	return crc;
}

/* The same for pages of our own, which nobody changes. */
static u32 store_own_crc(struct pcache *pc, void *dst, struct bio *bio, struct bvec_iter *iter,
			 u32 bytes)
{
	u32 crc = PCACHE_CRC_SEED;

	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 n = min3(bytes, bv.bv_len, (u32)PCACHE_PIECE_BYTES);
		void *src = bvec_kmap_local(&bv);

		crc = crc32c(crc, src, n);
		pcache_copy_store(pc, dst, src, n);
		kunmap_local(src);
		bio_advance_iter_single(bio, iter, n);
		dst += n;
		bytes -= n;
	}
	return crc;
}

/**
 * pcache_room_copy_bio() - Store a bio's data in reserved room.
 * @pc: cache
 * @room: where to
 * @bio: a write; or a read that has ended, into pages of our own
 * @iter: where in it; moves on
 * @crcs: with data_crc, gets the CRC of each key's data
 *
 * Durable on return.
 */
void pcache_room_copy_bio(struct pcache *pc, const struct pcache_room *room, struct bio *bio,
			  struct bvec_iter *iter, u32 *crcs)
{
	void *dst = pcache_seg_data(pc, room->seg, room->off << SECTOR_SHIFT);
	u32 left = room->sectors << SECTOR_SHIFT, n;

	pmem_begin();
	if (!pc->data_crc) {
		store_bio(pc, dst, bio, iter, left);
		left = 0;
	}
	for (; left; left -= n, dst += n) {
		n = min(left, pcache_key_sectors_max(pc) << SECTOR_SHIFT);
		*crcs++ = bio_op(bio) == REQ_OP_READ ? store_own_crc(pc, dst, bio, iter, n) :
						       store_bio_crc(pc, dst, bio, iter, n);
	}
	pmem_end();
}

/**
 * pcache_room_keys() - The keys for data in reserved room.
 * @pc: cache
 * @room: where the data is
 * @sector: on the backing device
 * @clean: the backing device has it
 * @crcs: of each key's data, with data_crc
 * @keys: gets at most PCACHE_CHUNK_KEYS
 *
 * Return: how many.
 */
u32 pcache_room_keys(struct pcache *pc, const struct pcache_room *room, sector_t sector,
		     bool clean, const u32 *crcs, struct pcache_extent *keys)
{
	u32 nr = 0, done, n;

	for (done = 0; done < room->sectors; done += n) {
		n = min(room->sectors - done, pcache_key_sectors_max(pc));
		keys[nr] = (struct pcache_extent) {
			.sector = sector + done,
			.sectors = n,
			.seg = room->seg,
			.off = room->off + done,
			.key_sectors = n,
			.crc = pc->data_crc ? crcs[nr] : 0,
			.clean = clean,
		};
		nr++;
	}
	return nr;
}

/**
 * pcache_request_put() - A part of a request, or its submitter, is through.
 * @rq: request
 * @status: of that part
 *
 * Context: any.
 */
void pcache_request_put(struct pcache_request *rq, blk_status_t status)
{
	if (status)
		rq->status = status;
	if (atomic_dec_and_test(&rq->pending)) {
		pcache_count_request(rq);
		rq->bio->bi_status = rq->status;
		bio_endio(rq->bio);
	}
}

static void end_request(struct pcache_request *rq, int err)
{
	pcache_request_put(rq, errno_to_blk_status(err));
}

static void cleaned(struct pcache_waiter *w, int err)
{
	end_request(container_of(w, struct pcache_request, waiter), err);
}

/**
 * pcache_io_waits_for_clean() - Is a write done only when it is clean?
 * @pc: cache
 */
bool pcache_io_waits_for_clean(struct pcache *pc)
{
	return READ_ONCE(pc->cleaner) || pcache_mode_is_through(pcache_mode_now(pc));
}

static void committed(struct pcache_waiter *w, int err)
{
	struct pcache_request *rq = container_of(w, struct pcache_request, waiter);

	if (err || !pcache_io_waits_for_clean(rq->pc) || !bio_sectors(rq->bio)) {
		end_request(rq, err);
		return;
	}
	w->done = cleaned;
	w->give_up = pcache_mode_is_through(pcache_mode_now(rq->pc));
	w->end = rq->sector;
	w->sector = w->end - bio_sectors(rq->bio);
	pcache_writeback_wait(rq->pc, w);
}

/* All of a write is in the index. */
static void write_indexed(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;

	pcache_count(pc, PCACHE_STAT_WRITES, 1);
	if (!(rq->bio->bi_opf & REQ_FUA) && !pcache_io_waits_for_clean(pc)) {
		pcache_request_put(rq, BLK_STS_OK);
		return;
	}
	rq->waiter.done = committed;
	rq->waiter.epoch = rq->bio->bi_opf & REQ_FUA;
	pcache_journal_flush(pc, &rq->waiter);
}

/* Nothing enters the log where a write around the cache is under way. */
static bool no_direct_in_way(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr,
			     void *arg)
{
	const struct pcache_extent *last = &keys[nr - 1];

	return list_empty(&sh->directs) ||
	       !pcache_direct_in_way(sh, keys[0].sector,
				     pcache_extent_end(last) - keys[0].sector, arg);
}

/* The same for all that is left of a write, before any room is taken. */
static bool must_wait_for_direct(struct pcache_request *rq, struct pcache_shard *sh)
{
	bool wait;

	if (list_empty_careful(&sh->directs))
		return false;
	spin_lock(&sh->lock);
	wait = pcache_direct_in_way(sh, rq->sector, rq->iter.bi_size >> SECTOR_SHIFT, rq);
	spin_unlock(&sh->lock);
	return wait;
}

/* A write has found room. */
static void room_found(struct pcache *pc)
{
	bool none;

	spin_lock(&pc->segs.lock);
	none = pc->io.no_room;
	WRITE_ONCE(pc->io.no_room, false);
	spin_unlock(&pc->segs.lock);
	if (!none)
		return;
	pcache_info(pc, "writes find room again");
	pcache_event(pc);
}

/*
 * May a write go on as far as write-back can follow? One that has failed to go around the
 * cache may: others wait for it.
 */
static bool has_credit(const struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;

	return !READ_ONCE(pc->wb.pace) || atomic64_read(&pc->io.credit) > 0 || rq->direct ||
	       pcache_io_waits_for_clean(pc);
}

/* Puts one chunk of a write into the cache. */
static int write_chunk(struct pcache_request *rq, bool may_wait)
{
	struct pcache *pc = rq->pc;
	struct pcache_shard *sh = pcache_index_shard(pc, rq->sector);
	struct pcache_extent keys[PCACHE_CHUNK_KEYS] __uninitialized;
	u32 crcs[PCACHE_CHUNK_KEYS] __uninitialized, nr;
	struct bvec_iter iter = rq->iter;
	struct pcache_room room;
	int r;

	if (must_wait_for_direct(rq, sh))
		return -EBUSY;
	if (!has_credit(rq))
		return -EDQUOT;
	if (!pcache_room_get(pc, min(iter.bi_size >> SECTOR_SHIFT, pcache_chunk_sectors(pc)),
			     &room))
		return -ENOSPC;
	if (READ_ONCE(pc->io.no_room))
		room_found(pc);
	if (READ_ONCE(pc->wb.pace))
		atomic64_sub(room.sectors, &pc->io.credit);
	pcache_room_copy_bio(pc, &room, rq->bio, &iter, crcs);
	nr = pcache_room_keys(pc, &room, rq->sector, false, crcs, keys);
	r = pcache_log_extents(pc, sh, keys, nr,
			       may_wait ? PCACHE_WAITS_FOR_INDEX : PCACHE_WAITS_FOR_KSETS,
			       no_direct_in_way, rq);
	pcache_room_put(pc, &room);
	if (r)
		return r == -ESTALE ? -EBUSY : r;
	rq->iter = iter;
	rq->sector += room.sectors;
	return 0;
}

/*
 * Goes on with a write. 0: all of it is in the index; 1: it is to go around the cache;
 * -ENOSPC, -EDQUOT, -ENOMEM, -EBUSY: it has to wait.
 */
static int write_chunks(struct pcache_request *rq, bool may_wait)
{
	struct pcache *pc = rq->pc;
	int r = 0;

	if (pcache_mode_now(pc) == PCACHE_WRITEAROUND && READ_ONCE(pc->state) == PCACHE_RW)
		r = pcache_direct_try(rq);
	while (!r && rq->iter.bi_size) {
		if (READ_ONCE(pc->state) != PCACHE_RW)
			return -EIO;
		r = write_chunk(rq, may_wait);
	}
	return r;
}

/**
 * pcache_io_queued() - Do writes wait for anything?
 * @pc: cache
 */
bool pcache_io_queued(struct pcache *pc)
{
	return !list_empty_careful(&pc->segs.waiting);
}

/**
 * pcache_io_waiting() - Do writes wait for room?
 * @pc: cache
 *
 * Where they wait for write-back alone, nothing has to leave the cache.
 */
bool pcache_io_waiting(struct pcache *pc)
{
	return pcache_io_queued(pc) && !READ_ONCE(pc->io.paced);
}

/**
 * pcache_io_waits() - How many waits for room there were.
 * @pc: cache
 */
u64 pcache_io_waits(struct pcache *pc)
{
	u64 waits;

	spin_lock(&pc->segs.lock);
	waits = pc->io.waits;
	spin_unlock(&pc->segs.lock);
	return waits;
}

/* Everything that can make room is to run; for @why being -EDQUOT, write-back. */
static void make_room(struct pcache *pc, int why)
{
	mod_delayed_work(pc->log_wq, &pc->journal.commit_work, 0);
	pcache_writeback_wake(pc);
	if (why != -EDQUOT)
		pcache_reclaim_wake(pc);
}

/*
 * Sends a write back. What of one that has failed to go around the cache is on the backing
 * device is not hidden by the cache, so nobody may call it clean.
 */
static void send_back(struct pcache_request *rq, blk_status_t status)
{
	if (rq->direct) {
		WRITE_ONCE(rq->pc->io.no_fills, true);
		pcache_direct_end(rq);
	}
	pcache_request_put(rq, status);
}

/* Puts a write at the end of those that wait, or sends it back. */
static void wait_for_room(struct pcache_request *rq, int why)
{
	struct pcache *pc = rq->pc;
	blk_status_t requeue;

	rq->outcome = PCACHE_WAIT;
	trace_pcache_request_wait(rq);
	spin_lock(&pc->segs.lock);
	requeue = pc->io.requeue;
	rq->wait = ++pc->io.waits;
	/* With -EAGAIN the work finds out what it waits for. */
	if (why != -EAGAIN && (rq->direct || list_empty(&pc->segs.waiting)))
		WRITE_ONCE(pc->io.paced, why == -EDQUOT);
	/* Others wait for one that has failed to go around the cache. */
	if (!requeue && rq->direct)
		list_add(&rq->link, &pc->segs.waiting);
	else if (!requeue)
		list_add_tail(&rq->link, &pc->segs.waiting);
	/* It tries once more: what it lacked may have come since. Or it has room made. */
	if (!requeue)
		queue_work(pc->wq, &pc->io.space_work);
	spin_unlock(&pc->segs.lock);
	if (requeue)
		send_back(rq, requeue);
	else
		pcache_count(pc, PCACHE_STAT_SPACE_WAITS, 1);
}

static bool has_to_wait(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EBUSY || r == -EAGAIN;
}

/* What write_chunks() came to, if not that it has to wait. */
static void finish_write(struct pcache_request *rq, int r)
{
	if (r > 0) {
		pcache_direct_submit(rq);
		return;
	}
	if (rq->direct)
		pcache_direct_end(rq);
	if (r)
		end_request(rq, r);
	else
		write_indexed(rq);
}

/**
 * pcache_io_write_cached() - A write around the cache has failed: it goes through it.
 * @rq: request, on the list of such writes, and on no other
 *
 * Context: may sleep, but not for I/O.
 */
void pcache_io_write_cached(struct pcache_request *rq)
{
	int r = write_chunks(rq, false);

	if (has_to_wait(r))
		wait_for_room(rq, r);
	else
		finish_write(rq, r);
}

static void submit_write(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;
	struct pcache_places at;
	int r = -EAGAIN;

	rq->iter = rq->bio->bi_iter;
	rq->sector = rq->iter.bi_sector;
	rq->waiter.from = 0;
	if (pcache_mode_is_through(pcache_mode_now(pc))) {
		pcache_journal_places(pc, &at);
		rq->waiter.from = at.durable.ord;
	}
	if (!pcache_io_queued(pc))
		r = write_chunks(rq, false);
	if (has_to_wait(r))
		wait_for_room(rq, r);
	else
		finish_write(rq, r);
}

static struct pcache_request *first_waiting(struct pcache *pc)
{
	struct pcache_request *rq;

	spin_lock(&pc->segs.lock);
	rq = pc->io.requeue ? NULL :
	     list_first_entry_or_null(&pc->segs.waiting, struct pcache_request, link);
	spin_unlock(&pc->segs.lock);
	return rq;
}

/**
 * pcache_io_first_wait() - The wait of the write that has waited longest.
 * @pc: cache
 *
 * Return: U64_MAX: none waits.
 */
u64 pcache_io_first_wait(struct pcache *pc)
{
	struct pcache_request *rq;
	u64 wait;

	spin_lock(&pc->segs.lock);
	rq = list_first_entry_or_null(&pc->segs.waiting, struct pcache_request, link);
	wait = rq ? rq->wait : U64_MAX;
	spin_unlock(&pc->segs.lock);
	return wait;
}

/*
 * The first waiting write found no room. -EAGAIN: there is some now; -ENOSPC: there is
 * none yet; -EIO: nothing can make any.
 */
static int why_no_room(struct pcache *pc, const struct pcache_request *rq)
{
	int r = -ENOSPC;

	spin_lock(&pc->segs.lock);
	if (pc->segs.nr_free > pc->segs.reserved)
		r = -EAGAIN;
	else if (rq->wait <= pc->io.hopeless)
		r = -EIO;
	spin_unlock(&pc->segs.lock);
	return r;
}

/* The same for credit: whoever gives some from now on sees that it is waited for. */
static int why_no_credit(const struct pcache_request *rq)
{
	smp_mb();	/* pcache_io_credit() and pcache_io_pace_changed() have the other one */
	return has_credit(rq) ? -EAGAIN : -EDQUOT;
}

static void space_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, io.space_work);
	struct pcache_request *rq;
	int r;

	while ((rq = first_waiting(pc))) {
		r = write_chunks(rq, true);
		/* Of the next one nothing is known yet when this one goes. */
		if (has_to_wait(r) && READ_ONCE(pc->io.paced) != (r == -EDQUOT))
			WRITE_ONCE(pc->io.paced, r == -EDQUOT);
		if (r == -ENOSPC)
			r = why_no_room(pc, rq);
		else if (r == -EDQUOT)
			r = why_no_credit(rq);
		if (r == -EAGAIN)
			continue;
		if (r == -ENOSPC || r == -EDQUOT) {
			make_room(pc, r);
			break;
		}
		if (r == -EBUSY)
			break;
		spin_lock(&pc->segs.lock);
		list_del_init(&rq->link);
		spin_unlock(&pc->segs.lock);
		if (r == -EIO)
			send_back(rq, BLK_STS_IOERR);
		else
			finish_write(rq, r);
		cond_resched();
	}
}

/**
 * pcache_io_space_freed() - There is room again, or no hope for any.
 * @pc: cache
 */
void pcache_io_space_freed(struct pcache *pc)
{
	spin_lock(&pc->segs.lock);
	if (!list_empty(&pc->segs.waiting) && !pc->io.requeue)
		queue_work(pc->wq, &pc->io.space_work);
	spin_unlock(&pc->segs.lock);
}

/* What writes may have saved up at most. */
#define CREDIT_MAX	(SZ_1M >> SECTOR_SHIFT)

/**
 * pcache_io_credit() - Write-back has put something away; who is paced may go on.
 * @pc: cache
 * @sectors: how many
 *
 * Context: any; nobody requeues writes and then destroys the cache before this returns.
 */
void pcache_io_credit(struct pcache *pc, u32 sectors)
{
	u32 pace = READ_ONCE(pc->wb.pace);

	if (!pace)
		return;
	if (atomic64_read(&pc->io.credit) < CREDIT_MAX)
		atomic64_add(DIV_ROUND_UP((u64)sectors * pace, 256), &pc->io.credit);
	pcache_io_pace_changed(pc);
}

/**
 * pcache_io_pace_changed() - Who is paced looks again.
 * @pc: cache
 *
 * Context: as pcache_io_credit().
 */
void pcache_io_pace_changed(struct pcache *pc)
{
	smp_mb();	/* why_no_credit() has the other one */
	if (READ_ONCE(pc->io.paced) && pcache_io_queued(pc))
		queue_work(pc->wq, &pc->io.space_work);
}

/**
 * pcache_io_give_up() - Nothing can make room for writes that wait.
 * @pc: cache
 * @wait: up to this one
 * @held_segs: segments whose data keeps them from becoming free
 *
 * They try once more, and then end with an error.
 *
 * Context: process context, no locks.
 */
void pcache_io_give_up(struct pcache *pc, u64 wait, u32 held_segs)
{
	bool known;

	spin_lock(&pc->segs.lock);
	known = pc->io.no_room;
	WRITE_ONCE(pc->io.no_room, true);
	pc->io.hopeless = wait;
	spin_unlock(&pc->segs.lock);
	if (!known) {
		pcache_err(pc, "no room for writes, and nothing can make any: %u of %u segments are held by dirty data that cannot be read and what stands behind it in the log; writes that need room end with an error",
			   held_segs, READ_ONCE(pc->n_segs));
		pcache_event(pc);
	}
	pcache_io_space_freed(pc);
}

/**
 * pcache_io_requeue() - Send writes back that find no room, or stop doing so.
 * @pc: cache
 * @status: what they end with; 0: they wait
 *
 * For a suspend that shall not wait for room. The space work takes nothing from the
 * list with @status, so once it is cancelled here nobody but this has the list.
 *
 * Context: may sleep.
 */
void pcache_io_requeue(struct pcache *pc, blk_status_t status)
{
	struct pcache_request *rq, *next;
	LIST_HEAD(waiting);

	spin_lock(&pc->segs.lock);
	pc->io.requeue = status;
	spin_unlock(&pc->segs.lock);
	if (!status)
		return;
	cancel_work_sync(&pc->io.space_work);
	spin_lock(&pc->segs.lock);
	list_splice_init(&pc->segs.waiting, &waiting);
	spin_unlock(&pc->segs.lock);
	list_for_each_entry_safe(rq, next, &waiting, link) {
		list_del_init(&rq->link);
		send_back(rq, status);
	}
}

static void submit_flush(struct pcache_request *rq)
{
	struct pcache *pc = rq->pc;

	pcache_count(pc, PCACHE_STAT_FLUSHES, 1);
	rq->outcome = PCACHE_FLUSH;
	if (pcache_journal_end_epoch(pc)) {
		end_request(rq, READ_ONCE(pc->state) == PCACHE_FAIL ? -EIO : 0);
		return;
	}
	rq->begun_ns = local_clock();
	rq->waiter.done = committed;
	rq->waiter.epoch = true;
	pcache_journal_flush(pc, &rq->waiter);
}

/**
 * pcache_submit() - Take a bio.
 * @pc: cache, running
 * @rq: memory for the request, until the bio ends; the caller's
 * @bio: read, write, write zeroes, discard or empty flush; sectors are those of the
 *	 backing device; lies in one stretch
 *
 * The bio is ended by bio_endio(), maybe before this returns.
 *
 * Context: may sleep, but not for I/O.
 */
void pcache_submit(struct pcache *pc, struct pcache_request *rq, struct bio *bio)
{
	rq->pc = pc;
	rq->bio = bio;
	rq->status = BLK_STS_OK;
	rq->outcome = PCACHE_WRITE;	/* unless it turns out to be something else */
	atomic_set(&rq->pending, 1);
	INIT_LIST_HEAD(&rq->link);
	rq->direct = false;
	trace_pcache_request_begin(rq);

	/* Only what a flush has to wait for takes any time worth two readings of the clock. */
	rq->begun_ns = bio_sectors(bio) ? local_clock() : 0;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		pcache_read(rq);
		break;
	case REQ_OP_WRITE:
	case REQ_OP_WRITE_ZEROES:
	case REQ_OP_FLUSH:
		if (bio_sectors(bio))
			submit_write(rq);
		else
			submit_flush(rq);
		break;
	case REQ_OP_DISCARD:
		pcache_discard(rq);
		break;
	default:
		pcache_request_put(rq, BLK_STS_NOTSUPP);
	}
}

/**
 * pcache_io_drain() - Wait until nothing of any request is left.
 * @pc: cache; all bios have ended, none comes
 *
 * Context: may sleep.
 */
void pcache_io_drain(struct pcache *pc)
{
	flush_work(&pc->io.direct_work);
	flush_work(&pc->io.done_work);
	flush_work(&pc->io.space_work);
}

/**
 * pcache_io_init() - Make what requests share.
 * @pc: cache
 *
 * Return: 0 or -ENOMEM; then pcache_io_exit() cleans up.
 */
int pcache_io_init(struct pcache *pc)
{
	INIT_WORK(&pc->io.space_work, space_work);
	pcache_direct_init(pc);
	return pcache_read_init(pc);
}

/**
 * pcache_io_exit() - Free what pcache_io_init() allocated.
 * @pc: cache; drained
 */
void pcache_io_exit(struct pcache *pc)
{
	pcache_read_exit(pc);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads: hits from the cache, misses from the backing device, fills.
 *
 * A miss is read into pages of our own, copied to the reader, and stored from
 * there as clean data: nobody can change what is stored while it is stored. The
 * reader is done before the fill begins. Without memory, when the cache is full or may
 * not be written, or in a stream that is cut off, a miss is read right into the reader's
 * pages.
 *
 * A miss that means to fill is on its shard's list from before it is submitted
 * until its key is logged. Whatever the index takes in that range meanwhile
 * voids it: what was read may be older than that.
 */
#include <linux/highmem.h>
#include <linux/mm.h>

#include "pcache.h"
#include "pmem.h"

/*
 * Extents that one look-up takes under the shard's lock: at least as many as a block of the
 * backing device has sectors, so that no write comes within one.
 */
#define PARTS_MAX	8
/* What a read into our own pages keeps of the reader's flags. */
#define PASSED_FLAGS	(REQ_SYNC | REQ_META | REQ_PRIO | REQ_BACKGROUND | REQ_IDLE)

/**
 * struct miss - a read of the backing device
 * @rq: whose
 * @iter: where in its bio the data goes
 * @sector: first sector
 * @sectors: how many
 * @fill: the data is in pages of our own, and may go to the cache
 * @voided: but not any more (under the shard's lock)
 * @link: on the shard's list of misses
 * @done: on the list of those that have been read
 * @bio: it
 */
struct miss {
	struct pcache_request *rq;
	struct bvec_iter iter;
	sector_t sector;
	u32 sectors;
	bool fill;
	bool voided;
	struct list_head link;
	struct list_head done;
	struct bio bio;
};

/**
 * struct part - what a look-up found
 * @e: where; without a place for a hole
 * @hole: it is not cached
 */
struct part {
	struct pcache_extent e;
	bool hole;
};

static struct miss *miss_of(struct bio *bio)
{
	return container_of(bio, struct miss, bio);
}

/**
 * pcache_read_void_fills() - The index takes something: older reads are void.
 * @sh: shard, locked
 * @sector: first sector
 * @sectors: how many
 */
void pcache_read_void_fills(struct pcache_shard *sh, sector_t sector, u32 sectors)
{
	struct miss *m;

	lockdep_assert_held(&sh->lock);
	list_for_each_entry(m, &sh->misses, link)
		if (m->sector < sector + sectors && sector < m->sector + m->sectors)
			WRITE_ONCE(m->voided, true);
}

static bool may_fill(struct pcache *pc)
{
	return READ_ONCE(pc->state) == PCACHE_RW && !READ_ONCE(pc->worn) &&
	       READ_ONCE(pc->mode) != PCACHE_WRITEONLY &&
	       !READ_ONCE(pc->io.no_fills) && !pcache_io_queued(pc);
}

/*
 * Puts a miss on its shard's list, if its range still is a hole: what is discarded is none.
 * So no dirty key in the log overlaps what is filled.
 */
static bool register_fill(struct pcache *pc, struct miss *m)
{
	struct pcache_shard *sh = pcache_index_shard(pc, m->sector);
	bool volatile_discards;

	spin_lock(&sh->lock);
	m->fill = pcache_tree_is_hole(&sh->tree, m->sector, m->sectors) && !sh->tree.no_fills &&
		  !pcache_direct_in_way(sh, m->sector, m->sectors, NULL);
	volatile_discards = m->fill && !pcache_discards_durable(pc);
	m->fill &= !volatile_discards;
	if (m->fill)
		list_add_tail(&m->link, &sh->misses);
	spin_unlock(&sh->lock);
	if (volatile_discards)
		pcache_writeback_want_flush(pc);
	return m->fill;
}

static void unregister_fill(struct pcache *pc, struct miss *m)
{
	struct pcache_shard *sh = pcache_index_shard(pc, m->sector);

	spin_lock(&sh->lock);
	list_del(&m->link);
	spin_unlock(&sh->lock);
}

static bool fill_is_good(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr,
			 void *arg)
{
	struct miss *m = arg;

	return !m->voided;
}

static struct bvec_iter whole_miss(const struct miss *m)
{
	return (struct bvec_iter) { .bi_size = m->sectors << SECTOR_SHIFT };
}

/*
 * Stores what was read, as far as the room goes that is at hand: the end of a
 * segment may cut it short.
 */
static void fill(struct pcache *pc, struct miss *m)
{
	struct pcache_extent keys[PCACHE_CHUNK_KEYS] __uninitialized;
	u32 crcs[PCACHE_CHUNK_KEYS] __uninitialized, nr;
	struct bvec_iter iter = whole_miss(m);
	struct pcache_room room;

	if (!may_fill(pc) || READ_ONCE(m->voided) || !pcache_room_get(pc, m->sectors, &room)) {
		pcache_count(pc, PCACHE_STAT_BYPASSES, 1);
		return;
	}
	pcache_room_copy_bio(pc, &room, &m->bio, &iter, crcs);
	nr = pcache_room_keys(pc, &room, m->sector, true, crcs, keys);
	if (!pcache_log_extents(pc, pcache_index_shard(pc, m->sector), keys, nr,
				PCACHE_WAITS_FOR_KSETS, fill_is_good, m))
		pcache_count(pc, PCACHE_STAT_FILLS, 1);
	pcache_room_put(pc, &room);
}

static void copy_to_reader(struct miss *m)
{
	struct bvec_iter from = whole_miss(m);

	bio_copy_data_iter(m->rq->bio, &m->iter, &m->bio, &from);
}

static void free_pages_of(struct bio *bio)
{
	u32 i;

	for (i = 0; i < bio->bi_vcnt; i++)
		__free_page(bio->bi_io_vec[i].bv_page);
}

/* A miss in our own pages has been read. */
static void miss_done(struct pcache *pc, struct miss *m)
{
	blk_status_t status = m->bio.bi_status;

	if (!status)
		copy_to_reader(m);
	pcache_request_put(m->rq, status);
	if (!status)
		fill(pc, m);
	unregister_fill(pc, m);
	free_pages_of(&m->bio);
	bio_put(&m->bio);
}

static void done_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, io.done_work);
	struct miss *m, *next;
	LIST_HEAD(done);

	spin_lock_irq(&pc->io.done_lock);
	list_splice_init(&pc->io.done, &done);
	spin_unlock_irq(&pc->io.done_lock);
	list_for_each_entry_safe(m, next, &done, done) {
		miss_done(pc, m);
		cond_resched();
	}
}

static void miss_endio(struct bio *bio)
{
	struct miss *m = miss_of(bio);
	struct pcache_request *rq = m->rq;
	struct pcache_io *io = &rq->pc->io;
	unsigned long flags;

	/* The cache is there as long as the request. */
	if (atomic_dec_and_test(&io->reads))
		pcache_writeback_take_turn(rq->pc);
	if (!m->fill) {
		blk_status_t status = bio->bi_status;

		bio_put(bio);
		pcache_request_put(rq, status);
		return;
	}
	/* With the lock let go, the cache could be gone before the work is queued. */
	spin_lock_irqsave(&io->done_lock, flags);
	list_add_tail(&m->done, &io->done);
	queue_work(rq->pc->wq, &io->done_work);
	spin_unlock_irqrestore(&io->done_lock, flags);
}

static void init_miss(struct miss *m, struct pcache_request *rq, sector_t sector, u32 sectors,
		      const struct bvec_iter *iter)
{
	m->rq = rq;
	m->iter = *iter;
	m->sector = sector;
	m->sectors = sectors;
	m->fill = false;
	m->voided = false;
	m->bio.bi_end_io = miss_endio;
}

static bool append_pages(struct bio *bio, u32 bytes)
{
	u32 n;

	for (; bytes; bytes -= n) {
		struct page *page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);

		if (!page)
			return false;
		n = min_t(u32, bytes, PAGE_SIZE);
		__bio_add_page(bio, page, n, 0);
	}
	return true;
}

/* A read into pages of our own; NULL when that cannot be. */
static struct miss *make_filling_miss(struct pcache_request *rq, sector_t sector, u32 sectors,
				      const struct bvec_iter *iter)
{
	struct pcache *pc = rq->pc;
	u32 bytes = sectors << SECTOR_SHIFT;
	struct miss *m;
	struct bio *bio;

	bio = bio_alloc_bioset(pc->backing, DIV_ROUND_UP(bytes, PAGE_SIZE),
			       REQ_OP_READ | (rq->bio->bi_opf & PASSED_FLAGS),
			       GFP_NOIO, &pc->io.bios);
	m = miss_of(bio);
	init_miss(m, rq, sector, sectors, iter);
	bio->bi_iter.bi_sector = sector;
	if (append_pages(bio, bytes) && register_fill(pc, m))
		return m;
	free_pages_of(bio);
	bio_put(bio);
	return NULL;
}

/* A read into the reader's own pages. */
static struct miss *make_plain_miss(struct pcache_request *rq, sector_t sector, u32 sectors,
				    const struct bvec_iter *iter)
{
	struct bio *bio = bio_alloc_clone(rq->pc->backing, rq->bio, GFP_NOIO, &rq->pc->io.bios);
	struct miss *m = miss_of(bio);

	init_miss(m, rq, sector, sectors, iter);
	bio->bi_opf &= ~REQ_POLLED;
	bio->bi_iter = *iter;
	bio->bi_iter.bi_sector = sector;
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	return m;
}

/* Reads a range from the backing device, and stores it, if that can be and should. */
static void read_backing(struct pcache_request *rq, sector_t sector, u32 sectors,
			 struct bvec_iter iter)
{
	struct pcache *pc = rq->pc;

	while (sectors) {
		u32 n = min(sectors, pcache_chunk_sectors(pc));
		struct miss *m = NULL;

		if (!rq->cut_off && may_fill(pc))
			m = make_filling_miss(rq, sector, n, &iter);
		if (!m) {
			m = make_plain_miss(rq, sector, n, &iter);
			pcache_count(pc, PCACHE_STAT_BYPASSES, 1);
		}
		atomic_inc(&rq->pending);
		atomic_inc(&pc->io.reads);
		submit_bio_noacct(&m->bio);
		bio_advance_iter(rq->bio, &iter, n << SECTOR_SHIFT);
		sector += n;
		sectors -= n;
	}
}

/*
 * Finds what lies at @sector and behind, at most up to @end. Each extent that is
 * found has a ref of its segment, and counts as used unless its stream is cut off. What is
 * discarded is read as a hole.
 */
static u32 look_up(struct pcache_request *rq, sector_t sector, sector_t end, struct part *parts)
{
	struct pcache *pc = rq->pc;
	struct pcache_shard *sh = pcache_index_shard(pc, sector);
	u32 nr;

	spin_lock(&sh->lock);
	for (nr = 0; nr < PARTS_MAX && sector < end; nr++) {
		struct part *p = &parts[nr];

		p->hole = !pcache_tree_look_up(&sh->tree, sector, end, !rq->cut_off, &p->e);
		if (!p->hole)
			pcache_seg_get(pc, p->e.seg);
		sector += p->e.sectors;
	}
	spin_unlock(&sh->lock);
	return nr;
}

/*
 * An extent could not be read. What is clean is dropped and read from the
 * backing device instead; what is dirty is an error.
 */
static void read_bad(struct pcache_request *rq, const struct pcache_extent *e,
		     struct bvec_iter iter)
{
	struct pcache_shard *sh = pcache_index_shard(rq->pc, e->sector);
	bool dirty;

	/*
	 * What is clean does not become dirty again. Of what was dirty, write-back may have
	 * got some to the backing device, and not what could not be read.
	 */
	spin_lock(&sh->lock);
	dirty = !e->clean && !pcache_tree_is_clean(&sh->tree, e);
	spin_unlock(&sh->lock);
	if (dirty) {
		rq->status = BLK_STS_IOERR;
		return;
	}
	pcache_index_drop(rq->pc, e, false);
	read_backing(rq, e->sector, e->sectors, iter);
}

/* Copies a cached part to the reader. */
static void read_hit(struct pcache_request *rq, const struct pcache_extent *e,
		     struct bvec_iter iter)
{
	int err = pcache_extent_copy_to_bio(rq->pc, e, rq->bio, iter);

	if (err) {
		pcache_extent_count_error(rq->pc, e, err);
		read_bad(rq, e, iter);
	}
	pcache_seg_put(rq->pc, e->seg, 1);
}

/**
 * pcache_read() - Serve a read.
 * @rq: request
 *
 * Context: may sleep, but not for I/O.
 */
void pcache_read(struct pcache_request *rq)
{
	struct bvec_iter iter = rq->bio->bi_iter;
	sector_t sector = iter.bi_sector, end = bio_end_sector(rq->bio);
	struct part parts[PARTS_MAX] __uninitialized;
	bool hit = false, missed = false;
	u32 nr, i;

	rq->cut_off = READ_ONCE(rq->pc->cutoff_sectors) &&
		      pcache_stream_is_long(rq->pc, sector, end - sector);
	while (sector < end) {
		nr = look_up(rq, sector, end, parts);
		for (i = 0; i < nr; i++) {
			const struct pcache_extent *e = &parts[i].e;

			if (parts[i].hole) {
				missed = true;
				read_backing(rq, e->sector, e->sectors, iter);
			} else {
				hit = true;
				read_hit(rq, e, iter);
			}
			sector += e->sectors;
			if (sector < end)
				bio_advance_iter(rq->bio, &iter, e->sectors << SECTOR_SHIFT);
		}
	}
	rq->outcome = missed ? PCACHE_MISS : PCACHE_HIT;
	pcache_count(rq->pc, !missed ? PCACHE_STAT_READ_HITS : hit ?
		     PCACHE_STAT_READ_PARTIAL_HITS : PCACHE_STAT_READ_MISSES, 1);
	pcache_request_put(rq, BLK_STS_OK);
}

/**
 * pcache_read_init() - Make what reads share.
 * @pc: cache
 *
 * Several bios of one request may wait for their submission in one task, so the
 * bio set has a rescuer.
 *
 * Return: 0 or -ENOMEM.
 */
int pcache_read_init(struct pcache *pc)
{
	spin_lock_init(&pc->io.done_lock);
	INIT_LIST_HEAD(&pc->io.done);
	INIT_WORK(&pc->io.done_work, done_work);
	return bioset_init(&pc->io.bios, BIO_POOL_SIZE, offsetof(struct miss, bio),
			   BIOSET_NEED_BVECS | BIOSET_NEED_RESCUER);
}

/**
 * pcache_read_exit() - Free what pcache_read_init() allocated.
 * @pc: cache; drained
 */
void pcache_read_exit(struct pcache *pc)
{
	bioset_exit(&pc->io.bios);
}

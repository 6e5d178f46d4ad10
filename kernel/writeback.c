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
 * What has been discarded since is left out where no order of epochs is kept, or the
 * discard belongs to the same one.
 *
 * Delay. With writeback_delay_ms a round takes only ksets that have been there for so
 * long, with "ordered" up to the end of their epoch, unless something needs the rest:
 * somebody waits, a write is done only when it is clean, or reclaim has come to
 * dirty_tail. With "fast" what the index has newer by then, is left out. What is too
 * young has one delayed work, for the oldest of it; when all is clean there is none.
 *
 * Pressure. Above the low mark of space that only write-back frees nothing waits for its
 * age; above the high one writes go on as fast as write-back does: each completion gives
 * credit, the less the fuller the cache. Where write-back makes no headway (stalled)
 * nobody waits for it. While reads of the backing device are under way, few writes are
 * in flight to it, unless somebody waits for those.
 *
 * In write-through and write-around nothing is acknowledged while it is dirty. Once
 * what was acknowledged before is written back (settled), no order needs to be kept.
 *
 * Errors. What the backing device did not take stays dirty: dirty_tail stands
 * still until it has, the rest of its epoch (with "fast": of the log) is written
 * meanwhile, and pauses between tries grow. Where callers wait for it (settled), the
 * batch is then written in small pieces, so that nothing fails with its neighbours.
 * If nothing at all can be written, the rest is not tried. With "fast", or settled,
 * what failed is logged again at the head as soon as something else could be written,
 * so that dirty_tail moves on.
 *
 * Dirty data that cannot be read is logged again at the head, as far as it is
 * still live, with a CRC that does not fit, while there is anything else to
 * write back; alone it stays where it is, so that it makes nobody spin.
 *
 * Memory. Trees and pages come from pools of our own; a round takes as many
 * ksets as there are leaves for (at least one), and submits what it has before
 * it waits for pages.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include "pcache.h"
#include "trace.h"

#define BATCH_KEYS		2048
#define BATCH_SECTORS		(SZ_8M >> SECTOR_SHIFT)
/* One kset's keys make at most twice as many extents, in half-full leaves. */
#define LEAF_RESERVE		40
#define BIO_PAGES		64U
#define BIO_SECTORS		(BIO_PAGES << (PAGE_SHIFT - SECTOR_SHIFT))
/* In one bio, when bios have failed. */
#define CAREFUL_SECTORS		8U
#define PAGE_RESERVE		(2 * BIO_PAGES)
/* Bios in flight while reads of the backing device are under way. */
#define YIELDING_BIOS		4
/* For 256 sectors, at the high mark, and with the cache full. */
#define PACE_MAX		512
#define PACE_MIN		32
#define PAUSE_MIN_MS		200
#define PAUSE_MAX_MS		30000
/* With "fast" all that comes later can be written, and waits for the pause's end. */
#define PAUSE_MAX_FAST_MS	1000

/**
 * struct wb_bio - data on its way
 * @pc: cache
 * @sector: first sector
 * @sectors: how many
 * @bio: it
 */
struct wb_bio {
	struct pcache *pc;
	sector_t sector;
	u32 sectors;
	struct bio bio;
};

/**
 * struct round - one round
 * @from: where its ksets begin
 * @to: behind them
 * @held: dirty_tail stays where it is, because of an earlier one
 * @keys: dirty ones in these
 * @key_sectors: their lengths
 * @written: sectors that have got to the backing device, durably
 * @unreadable: sectors that could not be read
 * @unwritten: sectors that the backing device did not take
 * @durable: ord; where the log, as far as it is its turn, ended when it began
 * @space: sectors that its keys name, those of clean ones too
 * @left_out: something whose successor need not have been durable when it began
 * @tried: the backing device has failed one since dirty_tail
 * @settled: nothing in it that is dirty was acknowledged
 * @ordered: epochs are kept apart
 * @single: it has one kset
 * @no_memory: that was short, so it tells nothing of the backing device
 */
struct round {
	struct pcache_pos from;
	struct pcache_pos to;
	u64 durable;
	bool tried;
	bool settled;
	bool ordered;
	bool single;
	bool held;
	bool no_memory;
	bool left_out;
	u32 keys;
	u32 key_sectors;
	u64 space;
	u32 written;
	u32 unreadable;
	u32 unwritten;
};

static struct wb_bio *wb_bio_of(struct bio *bio)
{
	return container_of(bio, struct wb_bio, bio);
}

/*
 * Collect
 */

/* Puts a kset's dirty keys into the batch. */
static int collect_keys(struct pcache *pc, const struct pcache_kset *ks, struct round *rd)
{
	struct pcache_delta ignored = { };
	struct pcache_extent e;
	u64 space = 0;
	u32 i;

	for (i = 0; i < ks->nr_keys; i++) {
		enum pcache_key_verdict verdict = pcache_key_decode(pc, &ks->keys[i], &e);

		if (verdict == PCACHE_KEY_BAD)
			return -EUCLEAN;
		if (verdict == PCACHE_KEY_STALE)
			continue;
		space += e.sectors;
		if (e.clean)
			continue;
		if (!pcache_tree_prepare(&pc->wb.batch, 1, GFP_NOWAIT | __GFP_NOWARN))
			return -ENOMEM;
		pcache_tree_insert(&pc->wb.batch, &e, &ignored);
		rd->keys++;
		rd->key_sectors += e.sectors;
	}
	rd->space += space;
	return 0;
}

static bool begins_epoch(const struct pcache_kset *ks)
{
	return ks->epoch || pcache_kset_number(ks) == 0;
}

/*
 * Does the round end before this kset? One without dirty keys so far may go on into
 * the next epoch, but not while something of an earlier round is held up.
 */
static bool round_ends(const struct pcache_kset *ks, const struct round *rd)
{
	if (rd->to.ord == rd->from.ord)
		return false;
	if (rd->to.ord >= rd->durable && (!rd->ordered || begins_epoch(ks)))
		return true;
	if (rd->single)
		return true;
	if (rd->keys == 0 && !rd->held)
		return false;
	if (rd->keys + ks->nr_keys > BATCH_KEYS || rd->key_sectors > BATCH_SECTORS)
		return true;
	return rd->ordered && begins_epoch(ks);
}

/*
 * Collects from @rd->from on. When memory ends within a kset, what that has put
 * into the batch is newer than the rest and may stay there, but the kset is left
 * for the next round.
 */
static int collect(struct pcache *pc, struct round *rd, const struct pcache_pos *durable)
{
	struct pcache_kset *ks = pc->wb.kset;

	rd->to = rd->from;
	while (rd->to.ord < durable->ord) {
		enum pcache_kset_kind kind = pcache_kset_read(pc, &rd->to, ks);
		int r;

		if (kind != PCACHE_KSET_ORDINARY && kind != PCACHE_KSET_IS_LAST)
			return -EUCLEAN;
		if (round_ends(ks, rd))
			break;
		r = collect_keys(pc, ks, rd);
		if (r == -ENOMEM && rd->to.ord > rd->from.ord)
			break;
		if (r)
			return r;
		pcache_kset_next(ks, kind, &rd->to);
		cond_resched();
	}
	return 0;
}

/*
 * Write
 */

static void wb_release(struct wb_bio *wb)
{
	u32 i;

	for (i = 0; i < wb->bio.bi_vcnt; i++)
		mempool_free(wb->bio.bi_io_vec[i].bv_page, &wb->pc->wb.pages);
	bio_put(&wb->bio);
}

static void put_in_flight(struct pcache_writeback *w)
{
	lockdep_assert_held(&w->lock);
	if (atomic_dec_and_test(&w->in_flight))
		complete(&w->idle);
	else if (waitqueue_active(&w->turn))
		wake_up(&w->turn);
}

/* With too many to note, the last note is widened: that calls more unwritten. */
static void note_failed(struct pcache_writeback *w, sector_t sector, sector_t end)
{
	struct pcache_range *r = &w->failed[min_t(u32, w->nr_failed, ARRAY_SIZE(w->failed) - 1)];

	if (w->nr_failed++ < ARRAY_SIZE(w->failed)) {
		r->sector = sector;
		r->end = end;
	} else {
		r->sector = min(r->sector, sector);
		r->end = max(r->end, end);
	}
}

static void wb_endio(struct bio *bio)
{
	struct wb_bio *wb = wb_bio_of(bio);
	struct pcache_writeback *w = &wb->pc->wb;
	unsigned long flags;

	if (bio->bi_status)
		trace_pcache_failure(wb->pc, "backing device failed a write", wb->sector,
				     wb->sectors);
	else
		pcache_io_credit(wb->pc, wb->sectors);
	/* Under the lock, which wb_drain() takes last: then nobody is here any more. */
	spin_lock_irqsave(&w->lock, flags);
	if (bio->bi_status)
		note_failed(w, wb->sector, wb->sector + wb->sectors);
	wb_release(wb);
	put_in_flight(w);
	spin_unlock_irqrestore(&w->lock, flags);
}

static struct wb_bio *wb_open(struct pcache *pc, sector_t sector)
{
	struct bio *bio = bio_alloc_bioset(pc->backing, BIO_PAGES,
					   REQ_OP_WRITE | REQ_BACKGROUND, GFP_NOIO, &pc->wb.bios);
	struct wb_bio *wb = wb_bio_of(bio);

	wb->pc = pc;
	wb->sector = sector;
	wb->sectors = 0;
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = wb_endio;
	return wb;
}

/* Submits what has been gathered, if anything. */
static void wb_submit(struct wb_bio **open)
{
	struct wb_bio *wb = *open;

	*open = NULL;
	if (!wb)
		return;
	if (!wb->sectors) {
		wb_release(wb);
		return;
	}
	atomic_inc(&wb->pc->wb.in_flight);
	submit_bio_noacct(&wb->bio);
}

/* Begins to count what is in flight. */
static void wb_begin(struct pcache_writeback *w)
{
	reinit_completion(&w->idle);
	atomic_set(&w->in_flight, 1);
}

/* Waits until nothing is in flight. */
static void wb_drain(struct pcache_writeback *w)
{
	spin_lock_irq(&w->lock);
	put_in_flight(w);
	spin_unlock_irq(&w->lock);
	wait_for_completion_io(&w->idle);
	spin_lock_irq(&w->lock);
	spin_unlock_irq(&w->lock);
}

/*
 * Is it the turn of reads of the backing device? Some writes are in flight all the same,
 * and where somebody waits for them, all.
 */
static bool reads_have_turn(struct pcache *pc)
{
	/* In the place of the submitter's own one counts the one that it has open. */
	return atomic_read(&pc->wb.in_flight) >= YIELDING_BIOS && atomic_read(&pc->io.reads) &&
	       !pcache_io_queued(pc) && list_empty_careful(&pc->wb.waiters);
}

static void wait_for_turn(struct pcache *pc, struct wb_bio **open, struct blk_plug *plug)
{
	if (!reads_have_turn(pc))
		return;
	wb_submit(open);
	blk_finish_plug(plug);
	wait_event(pc->wb.turn, !reads_have_turn(pc));
	blk_start_plug(plug);
}

/* Takes the pages from @vcnt on, with @bytes, out of the bio again. */
static void wb_shrink(struct wb_bio *wb, u32 vcnt, u32 bytes)
{
	while (wb->bio.bi_vcnt > vcnt)
		mempool_free(wb->bio.bi_io_vec[--wb->bio.bi_vcnt].bv_page, &wb->pc->wb.pages);
	wb->bio.bi_iter.bi_size -= bytes;
}

/* Appends pages for @bytes; false, and nothing is appended, when there are none. */
static bool wb_grow(struct wb_bio *wb, u32 bytes)
{
	u32 vcnt = wb->bio.bi_vcnt, added, n;

	for (added = 0; added < bytes; added += n) {
		struct page *page = mempool_alloc(&wb->pc->wb.pages, GFP_NOWAIT | __GFP_NOWARN);

		if (!page) {
			wb_shrink(wb, vcnt, added);
			return false;
		}
		n = min_t(u32, bytes - added, PAGE_SIZE);
		__bio_add_page(&wb->bio, page, n, 0);
	}
	return true;
}

/*
 * Makes *@open a bio that has pages for @bytes at @sector, at its end. Without
 * memory it waits for what is in flight, whose pages then are in the reserve.
 */
static void wb_make_place(struct pcache *pc, struct wb_bio **open, struct blk_plug *plug,
			  sector_t sector, u32 bytes)
{
	struct wb_bio *wb = *open;

	if (wb && (wb->sector + wb->sectors != sector ||
		   wb->bio.bi_vcnt + DIV_ROUND_UP(bytes, PAGE_SIZE) > BIO_PAGES))
		wb_submit(open);
	if (!*open)
		*open = wb_open(pc, sector);
	while (!wb_grow(*open, bytes)) {
		wb_submit(open);
		blk_finish_plug(plug);
		wb_drain(&pc->wb);
		wb_begin(&pc->wb);
		blk_start_plug(plug);
		*open = wb_open(pc, sector);
	}
}

/* Remembers an extent in one of the round's trees of what went wrong. */
static bool remember(struct pcache_tree *t, const struct pcache_extent *e)
{
	struct pcache_delta ignored = { };

	if (!pcache_tree_prepare(t, 1, GFP_NOWAIT | __GFP_NOWARN))
		return false;
	pcache_tree_insert(t, e, &ignored);
	return true;
}

/* Reads a piece of an extent and adds it to the bio. */
static int write_piece(struct pcache *pc, const struct pcache_extent *e, struct wb_bio **open,
		       struct blk_plug *plug)
{
	u32 bytes = e->sectors << SECTOR_SHIFT, vcnt;
	struct bvec_iter iter = { .bi_size = bytes };
	int err;

	wb_make_place(pc, open, plug, e->sector, bytes);
	vcnt = (*open)->bio.bi_vcnt - DIV_ROUND_UP(bytes, PAGE_SIZE);
	iter.bi_idx = vcnt;
	err = pcache_extent_copy_to_bio(pc, e, &(*open)->bio, iter);
	if (!err) {
		(*open)->sectors += e->sectors;
		return 0;
	}
	wb_shrink(*open, vcnt, bytes);
	wb_submit(open);
	return err;
}

/* How much of an extent goes into one bio's worth; @careful: what fails is to be known. */
static u32 piece_sectors(const struct pcache_extent *e, bool careful)
{
	if (!careful)
		return min(e->sectors, BIO_SECTORS);
	return min_t(u32, e->sectors, CAREFUL_SECTORS - e->sector % CAREFUL_SECTORS);
}

/*
 * Writes the batch, and remembers what of it cannot be read: with CRCs as much as
 * one covers; without, block by block where a longer piece has a media error.
 * @careful: each few sectors in a bio of their own.
 *
 * Returns false without memory to remember what went wrong.
 */
static bool write_batch(struct pcache *pc, bool careful)
{
	struct wb_bio *open = NULL;
	struct pcache_extent e, piece;
	struct blk_plug plug;
	bool good = true;
	sector_t at = 0, single_to = 0;

	wb_begin(&pc->wb);
	blk_start_plug(&plug);
	while (pcache_tree_first(&pc->wb.batch, at, &e)) {
		int err;

		wait_for_turn(pc, &open, &plug);
		piece = pcache_extent_part(&e, max(at, e.sector), pcache_extent_end(&e));
		piece.sectors = piece.sector < single_to ? min(piece.sectors, pc->block_sectors) :
							   piece_sectors(&piece, careful);
		err = write_piece(pc, &piece, &open, &plug);
		if (careful)
			wb_submit(&open);
		if (err && !pc->data_crc && piece.sectors > pc->block_sectors) {
			single_to = pcache_extent_end(&piece);
			continue;
		}
		if (err) {
			pcache_extent_count_error(pc, &piece, err);
			good &= remember(&pc->wb.unreadable, &piece);
		}
		at = pcache_extent_end(&piece);
	}
	wb_submit(&open);
	blk_finish_plug(&plug);
	wb_drain(&pc->wb);
	return good;
}

/*
 * After the writing
 */

static u32 tree_sectors(struct pcache_tree *t)
{
	struct pcache_extent e;
	sector_t at = 0;
	u32 sum = 0;

	while (pcache_tree_first(t, at, &e)) {
		sum += e.sectors;
		at = pcache_extent_end(&e);
	}
	return sum;
}

/* Takes what is in @t out of @from. */
static bool tree_without(struct pcache_tree *from, struct pcache_tree *t)
{
	struct pcache_delta ignored = { };
	struct pcache_extent e;
	sector_t at = 0;

	while (pcache_tree_first(t, at, &e)) {
		if (!pcache_tree_prepare(from, 0, GFP_NOWAIT | __GFP_NOWARN))
			return false;
		pcache_tree_cut(from, e.sector, e.sectors, NULL, &ignored);
		at = pcache_extent_end(&e);
	}
	return true;
}

/* Moves what failed bios covered from the batch to the tree of what is unwritten. */
static bool sort_out_failed(struct pcache *pc)
{
	struct pcache_writeback *w = &pc->wb;
	struct pcache_extent e;
	u32 i;

	for (i = 0; i < min_t(u32, w->nr_failed, ARRAY_SIZE(w->failed)); i++) {
		sector_t at = w->failed[i].sector, end = w->failed[i].end;

		while (at < end && pcache_tree_first(&w->batch, at, &e) && e.sector < end) {
			e = pcache_extent_part(&e, max(at, e.sector),
					       min(end, pcache_extent_end(&e)));
			if (!remember(&w->unwritten, &e))
				return false;
			at = pcache_extent_end(&e);
		}
	}
	return tree_without(&w->batch, &w->unwritten);
}

/* What was written, and flushed, is clean. */
static void mark_batch_clean(struct pcache *pc)
{
	struct pcache_extent e;
	sector_t at = 0;

	while (pcache_tree_first(&pc->wb.batch, at, &e)) {
		pcache_index_clean(pc, &e);
		at = pcache_extent_end(&e);
	}
}

/* The part of @e, from @at on, that the index has at its place, and as discarded or not. */
static bool indexed_part(struct pcache_shard *sh, const struct pcache_extent *e, sector_t at,
			 bool discarded, struct pcache_extent *part)
{
	sector_t end = pcache_extent_end(e);

	lockdep_assert_held(&sh->lock);
	while (at < end && pcache_tree_first(&sh->tree, at, part) && part->sector < end) {
		sector_t to = min(end, pcache_extent_end(part));

		if (part->discarded == discarded && (discarded || !part->clean) &&
		    pcache_same_place(part, e)) {
			*part = pcache_extent_part(part, max(at, part->sector), to);
			return true;
		}
		at = to;
	}
	return false;
}

/* The dirty part of @e, from @at on, that the index still has at its place. */
static bool live_part(struct pcache_shard *sh, const struct pcache_extent *e, sector_t at,
		      struct pcache_extent *part)
{
	return indexed_part(sh, e, at, false, part);
}

/* Remembers what of @t has been discarded since; without memory, less. */
static void note_discarded(struct pcache *pc, struct pcache_tree *t)
{
	struct pcache_extent e, part;
	sector_t at = 0;

	while (pcache_tree_first(t, at, &e)) {
		struct pcache_shard *sh = pcache_index_shard(pc, e.sector);
		bool found;

		spin_lock(&sh->lock);
		found = indexed_part(sh, &e, max(at, e.sector), true, &part);
		spin_unlock(&sh->lock);
		if (found && !remember(&pc->wb.discarded, &part))
			return;
		at = pcache_extent_end(found ? &part : &e);
	}
}

/* Has nobody been told by now of the end of the epoch that the log ended with at @ord? */
static bool epoch_is_open(struct pcache *pc, u64 ord)
{
	struct pcache_journal *j = &pc->journal;
	bool open;

	spin_lock(&j->lock);
	open = !j->marks && j->durable.ord == ord;
	spin_unlock(&j->lock);
	return open;
}

/*
 * What has been discarded is not written, where no order is kept or it was in the round's
 * own epoch. Both are asked when it is known what was: the mode may have changed since the
 * round began, and then discards may be of later epochs. Too much is never left out, too
 * little may be.
 */
static void leave_out_discarded(struct pcache *pc, const struct round *rd)
{
	struct pcache_writeback *w = &pc->wb;

	note_discarded(pc, &w->batch);
	if (!pc->ordered || pcache_writeback_settled(pc) || epoch_is_open(pc, rd->to.ord))
		tree_without(&w->batch, &w->discarded);
	pcache_tree_clear(&w->discarded);
}

static bool part_is_live(struct pcache_shard *sh, const struct pcache_extent *keys, u32 nr,
			 void *arg)
{
	struct pcache_extent part;

	return live_part(sh, &keys[0], keys[0].sector, &part) &&
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
		live = live_part(sh, e, at, &part);
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

/* dirty_tail is at @ord. */
static void finish_waiters(struct pcache *pc, u64 ord)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, ord, U64_MAX, true)))
		w->done(w, w->failed ? hopeless(pc, w) : 0);
}

/*
 * dirty_tail does not get any further towards @ord, as run @run of the work has found; @all:
 * as in take_waiter(). Who came since that run began has had the work queued again: what was
 * in the way may have been discarded meanwhile, which logs nothing.
 */
static void finish_hopeless(struct pcache *pc, u64 ord, u64 run, bool all)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, ord, run, all)))
		w->done(w, hopeless(pc, w));
}

/* There is no more write-back. */
static void fail_waiters(struct pcache *pc)
{
	struct pcache_waiter *w;

	while ((w = take_waiter(pc, U64_MAX, U64_MAX, true)))
		w->done(w, -EIO);
}

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

/* Does write-back make no headway? */
static void set_stalled(struct pcache *pc, bool stalled)
{
	if (pc->wb.stalled == stalled)
		return;
	spin_lock(&pc->journal.lock);
	pc->wb.stalled = stalled;
	pcache_writeback_set_pace(pc);
	spin_unlock(&pc->journal.lock);
}

static void see_whether_settled(struct pcache *pc)
{
	lockdep_assert_held(&pc->journal.lock);
	pc->wb.settled = pc->journal.dirty_tail.ord >= pc->wb.settle_at;
}

/* dirty_tail goes to the round's end. */
static void advance(struct pcache *pc, const struct round *rd)
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
	finish_waiters(pc, rd->to.ord);
	pcache_reclaim_wake(pc);
}

/*
 * Rounds
 */

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

/*
 * Writes what was collected, and flushes the backing device. False: nothing
 * counts as written.
 */
static bool write_and_flush(struct pcache *pc, struct round *rd)
{
	struct pcache_writeback *w = &pc->wb;
	u32 all = tree_sectors(&w->batch);
	bool sorted = write_batch(pc, rd->settled && w->pause_ms);

	pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, w->nr_failed);
	/* A write shall not fail because of its neighbours in a bio. */
	if (w->nr_failed && rd->settled && !w->pause_ms) {
		w->nr_failed = 0;
		pcache_tree_clear(&w->unreadable);
		sorted = write_batch(pc, true);
		pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, w->nr_failed);
	}
	if (!sorted || !tree_without(&w->batch, &w->unreadable) || !sort_out_failed(pc)) {
		rd->no_memory = true;
		return false;
	}
	rd->unwritten = tree_sectors(&w->unwritten);
	rd->written = all - tree_sectors(&w->unreadable) - rd->unwritten;
	/* Of what nobody needs it is all the same that it cannot be read. */
	note_discarded(pc, &w->unreadable);
	tree_without(&w->unreadable, &w->discarded);
	rd->unreadable = tree_sectors(&w->unreadable);
	if (!rd->written)
		return !rd->unwritten;
	if (pcache_flush_backing(pc))
		return false;
	pcache_count(pc, PCACHE_STAT_WRITEBACK_SECTORS, rd->written);
	return true;
}

static bool tree_overlaps(struct pcache_tree *t, sector_t sector, sector_t end)
{
	struct pcache_extent e;

	return pcache_tree_first(t, sector, &e) && e.sector < end;
}

/* What was acknowledged, and is not on the backing device, stands further on by now. */
static void settle_later(struct pcache *pc)
{
	lockdep_assert_held(&pc->journal.lock);
	if (!pc->wb.settled && pc->wb.settle_at != U64_MAX)
		pc->wb.settle_at = pc->journal.durable.ord;
}

/*
 * Who waits for what was logged again goes on waiting, for the new keys, or has failed.
 * Also for what is superseded: it may be on the backing device in no version.
 */
static void waiters_move_on(struct pcache *pc, const struct round *rd)
{
	struct pcache_journal *j = &pc->journal;
	struct pcache_waiter *w;

	spin_lock(&j->lock);
	if (rd->unwritten)
		settle_later(pc);
	list_for_each_entry(w, &pc->wb.waiters, link) {
		if (w->from >= rd->durable)
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

/*
 * Logs again what is unreadable or, with "fast", was not written. The keys that are
 * not committed yet go first: then it is known how much room the log still needs.
 */
static int move_bad_on(struct pcache *pc, const struct round *rd)
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
		waiters_move_on(pc, rd);
	return r;
}

/*
 * Is everything that is dirty unreadable? Known when a round has nothing else and
 * reaches the end, or after a lap: since the log ended at @lap_end nothing else
 * was found, and nobody else has logged anything. Then only new keys help; the
 * log itself may grow, by a LAST or by what was logged again. What is too young has not
 * been looked at: no lap begins before that.
 *
 * Where room is short a lap is made all the same: clean keys that reclaim could
 * pass may stand behind the unreadable ones.
 */
static bool nothing_but_bad(struct pcache *pc, const struct round *rd,
			    const struct pcache_places *at)
{
	struct pcache_writeback *w = &pc->wb;
	bool room_is_short = pcache_io_waiting(pc) || pcache_segs_few(pc);
	u64 durable = rd->durable, others = at->keys - w->own_keys;

	if (rd->written || !rd->unreadable) {
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

/* Up to where it is the log's turn to be written back. */
static u64 due_end(struct pcache *pc, const struct pcache_places *at)
{
	u64 span = msecs_to_jiffies(READ_ONCE(pc->writeback_delay_ms)), young, left;

	if (all_is_due(pc, at))
		return at->durable.ord;
	spin_lock(&pc->journal.lock);
	young = pcache_age_young(&pc->journal.age, span, get_jiffies_64(), &left);
	spin_unlock(&pc->journal.lock);
	return min(young, at->durable.ord);
}

/*
 * May what is superseded be left out although its successor is not in the batch? Not where
 * somebody waits: the backing device would have neither.
 */
static bool may_leave_out(struct pcache *pc)
{
	return READ_ONCE(pc->writeback_delay_ms) && !pc->ordered && !pcache_io_waits_for_clean(pc) &&
	       list_empty_careful(&pc->wb.waiters);
}

/* Takes out of the batch what the index has newer by now, or clean, as far as memory goes. */
static void leave_out_superseded(struct pcache *pc, struct round *rd)
{
	struct pcache_tree *batch = &pc->wb.batch;
	struct pcache_delta ignored = { };
	struct pcache_extent e, part;
	sector_t at = 0, to;

	while (pcache_tree_first(batch, at, &e)) {
		struct pcache_shard *sh = pcache_index_shard(pc, e.sector);
		bool live;

		at = max(at, e.sector);
		spin_lock(&sh->lock);
		live = live_part(sh, &e, at, &part);
		spin_unlock(&sh->lock);
		to = live ? part.sector : pcache_extent_end(&e);
		if (to > at) {
			if (!pcache_tree_prepare(batch, 0, GFP_NOWAIT | __GFP_NOWARN))
				return;
			pcache_tree_cut(batch, at, to - at, NULL, &ignored);
			rd->left_out = true;
		}
		at = live ? pcache_extent_end(&part) : to;
	}
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
	settle_later(pc);
	spin_unlock(&j->lock);
	return r;
}

/* One round. */
static enum outcome run_round(struct pcache *pc, struct round *rd)
{
	struct pcache_places at;
	int r;

	pcache_journal_places(pc, &at);
	pc->wb.seen_ord = at.durable.ord;
	rd->durable = due_end(pc, &at);
	pc->wb.limited = max(rd->durable, rd->from.ord) < at.durable.ord;
	rd->settled = at.settled;
	rd->ordered = pc->ordered && !at.settled;
	if (rd->from.ord >= rd->durable)
		return ROUND_EMPTY;
	r = collect(pc, rd, &at.durable);
	rd->no_memory = r == -ENOMEM;
	if (r == -EUCLEAN)
		pcache_set_state(pc, PCACHE_FAIL, "a kset behind dirty_tail cannot be read");
	if (!r && rd->keys)
		leave_out_discarded(pc, rd);
	if (!r && may_leave_out(pc))
		leave_out_superseded(pc, rd);
	if (r || (rd->keys && !write_and_flush(pc, rd)))
		return ROUND_FAILED;
	if (rd->held || (rd->unwritten && rd->ordered))
		return ROUND_HELD;
	if (nothing_but_bad(pc, rd, &at))
		return ROUND_STUCK;
	if (rd->unreadable || rd->unwritten)
		r = move_bad_on(pc, rd);
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
	mark_batch_clean(pc);
	advance(pc, rd);
	return ROUND_DONE;
}

/* Does the next round belong to the same epoch as the one that was held up? */
static bool same_epoch_goes_on(struct pcache *pc, const struct round *rd)
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
			return kind == PCACHE_KSET_ORDINARY && !begins_epoch(ks);
	}
	return false;
}

/*
 * Whoever gives up has been tried for by now, as far as a round goes, if it was there when
 * this run began; for the others another one is on its way.
 */
static void pause_after_error(struct pcache *pc, const struct round *rd)
{
	u32 pause_max = pc->ordered ? PAUSE_MAX_MS : PAUSE_MAX_FAST_MS;
	struct pcache_writeback *w = &pc->wb;

	if (!w->pause_ms) {
		pcache_err(pc, "write-back failed; data stays dirty, tries go on");
		pcache_event(pc);
	}
	w->pause_ms = clamp(w->pause_ms * 2, PAUSE_MIN_MS, pause_max);
	set_stalled(pc, true);
	if (rd->tried)
		finish_hopeless(pc, rd->durable, w->runs, false);
	if (!READ_ONCE(w->stop))
		queue_delayed_work(pc->wb_wq, &w->work, msecs_to_jiffies(w->pause_ms));
}

static void writing_works(struct pcache *pc)
{
	set_stalled(pc, false);
	if (!pc->wb.pause_ms)
		return;
	pc->wb.pause_ms = 0;
	pcache_info(pc, "write-back works again");
	pcache_event(pc);
}

/*
 * For each wait for room all that is unreadable is looked at once more: some of it may
 * have become readable, and nobody else would notice.
 */
static u64 waits_served(struct pcache *pc)
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

/*
 * Nothing more can be done with the log that this round saw, unless more than @keep
 * segments are free: reclaim may have to know.
 */
static void came_to_end(struct pcache *pc, const struct round *rd, u32 keep, u64 waits)
{
	set_stalled(pc, true);
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
	struct round rd = { .from = pc->journal.dirty_tail };
	u64 waits;

	/* Woken too late, it may find that there are no segments any more. */
	if (READ_ONCE(pc->wb.stop))
		return;
	spin_lock(&pc->journal.lock);
	pc->wb.runs++;
	spin_unlock(&pc->journal.lock);
	if (READ_ONCE(pc->worn))
		settle_worn(pc);
	waits = waits_served(pc);
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
			finish_waiters(pc, pc->journal.dirty_tail.ord);
			return;
		} else if (o == ROUND_STUCK) {
			finish_hopeless(pc, rd.durable, pc->wb.runs, true);
			came_to_end(pc, &rd, pc->segs.reserved, waits);
			return;
		} else if (o == ROUND_NO_ROOM && !rd.single) {
			/* What stands before the unreadable may be all that holds a segment. */
			rd = (struct round) { .from = rd.from, .single = true };
			continue;
		} else if (o == ROUND_NO_ROOM) {
			WRITE_ONCE(pc->wb.needs_room, true);
			finish_hopeless(pc, rd.durable, pc->wb.runs, false);
			came_to_end(pc, &rd, PCACHE_BAD_DATA_KEEP, waits);
			return;
		} else if (o == ROUND_HELD && same_epoch_goes_on(pc, &rd)) {
			rd.held = true;
		} else if (READ_ONCE(pc->state) == PCACHE_RW) {
			pause_after_error(pc, &rd);
			return;
		}
		rd = (struct round) {
			.from = rd.to, .held = rd.held, .tried = rd.held,
			.single = rd.single && !rd.unreadable,
		};
		cond_resched();
	}
	if (READ_ONCE(pc->state) != PCACHE_RW)
		fail_waiters(pc);
}

/*
 * What was too young for the last round is woken for when it is old enough. A commit that
 * saw the timer armed has woken nobody.
 */
static void wait_for_age(struct pcache *pc)
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

static void writeback_work(struct work_struct *work)
{
	struct pcache *pc = container_of(work, struct pcache, wb.work.work);

	run_rounds(pc);
	wait_for_age(pc);
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
 * A pause after an error goes on all the same.
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
 * pcache_writeback_take_turn() - It need not wait for reads of the backing device.
 * @pc: cache
 *
 * Context: any.
 */
void pcache_writeback_take_turn(struct pcache *pc)
{
	if (wq_has_sleeper(&pc->wb.turn))
		wake_up(&pc->wb.turn);
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
	finish_hopeless(pc, ord, run, true);
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
	spin_lock_init(&w->lock);
	INIT_LIST_HEAD(&w->waiters);
	init_waitqueue_head(&w->turn);
	INIT_DELAYED_WORK(&w->work, writeback_work);
	INIT_DELAYED_WORK(&w->due, due_work);
	init_completion(&w->idle);
	pcache_tree_init(&w->batch, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->unreadable, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->unwritten, pc->data_crc, &w->leaves);
	pcache_tree_init(&w->discarded, pc->data_crc, &w->leaves);
	w->kset = kmalloc(sizeof(*w->kset), GFP_KERNEL);
	if (!w->kset ||
	    mempool_init_kmalloc_pool(&w->leaves, LEAF_RESERVE, PCACHE_LEAF_BYTES) ||
	    mempool_init_page_pool(&w->pages, PAGE_RESERVE, 0))
		return -ENOMEM;
	return bioset_init(&w->bios, BIO_POOL_SIZE, offsetof(struct wb_bio, bio),
			   BIOSET_NEED_BVECS);
}

/**
 * pcache_writeback_exit() - Free what pcache_writeback_init() allocated.
 * @pc: cache; stopped
 */
void pcache_writeback_exit(struct pcache *pc)
{
	struct pcache_writeback *w = &pc->wb;

	bioset_exit(&w->bios);
	mempool_exit(&w->pages);
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
	fail_waiters(pc);
}

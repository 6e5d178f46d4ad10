// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Write-back's bios: the batch goes to the backing device, and that is flushed.
 *
 * Many are in flight; few while reads of the backing device are under way, unless somebody
 * waits for those. Data is copied from the cache into pages of our own, because only that is
 * safe against media errors.
 *
 * Pages and bios are used again, which takes a tenth of what getting and giving them back
 * does. The work alone has those that are free; completions leave what has ended on a list
 * for it. A reserve is there for ever; more is taken while there is memory at once, and given
 * back when the work comes to rest. Without, what is gathered is submitted, and all that is
 * in flight is waited for.
 *
 * Where callers wait for what is written (settled), a batch that had an error is written
 * once more in small pieces, so that nothing fails because of its neighbours in a bio.
 */
#include <linux/slab.h>

#include "trace.h"
#include "writeback.h"

#define BIO_PAGES		64U
#define BIO_SECTORS		(BIO_PAGES << (PAGE_SHIFT - SECTOR_SHIFT))
#define PAGE_RESERVE		(2 * BIO_PAGES)
#define BIO_RESERVE		8
/* So many at most. */
#define PAGES_MAX		2048
/* In one bio, when bios have failed. */
#define CAREFUL_SECTORS		8U
/* Bios in flight while reads of the backing device are under way. */
#define YIELDING_BIOS		4

/**
 * struct pcache_wb_bio - data on its way
 * @pc: cache
 * @next: on the list of free ones, or of those that have ended
 * @sector: first sector
 * @sectors: how many
 * @bio: it
 * @vecs: its pages
 */
struct pcache_wb_bio {
	struct pcache *pc;
	struct pcache_wb_bio *next;
	sector_t sector;
	u32 sectors;
	struct bio bio;
	struct bio_vec vecs[BIO_PAGES];
};

static struct pcache_wb_bio *wb_bio_of(struct bio *bio)
{
	return container_of(bio, struct pcache_wb_bio, bio);
}

static void add_page(struct pcache_writeback *w, struct page *page)
{
	w->pages[w->nr_pages++] = page;
}

static void add_bio(struct pcache_writeback *w, struct pcache_wb_bio *wb)
{
	wb->next = w->bios;
	w->bios = wb;
	w->nr_bios++;
}

static struct pcache_wb_bio *take_bio(struct pcache_writeback *w)
{
	struct pcache_wb_bio *wb = w->bios;

	if (wb) {
		w->bios = wb->next;
		w->nr_bios--;
	}
	return wb;
}

/* Takes the pages from @vcnt on, with @bytes, out of the bio again. */
static void wb_shrink(struct pcache_wb_bio *wb, u32 vcnt, u32 bytes)
{
	while (wb->bio.bi_vcnt > vcnt)
		add_page(&wb->pc->wb, wb->vecs[--wb->bio.bi_vcnt].bv_page);
	wb->bio.bi_iter.bi_size -= bytes;
}

static void wb_release(struct pcache_wb_bio *wb)
{
	wb_shrink(wb, 0, wb->bio.bi_iter.bi_size);
	bio_uninit(&wb->bio);
	add_bio(&wb->pc->wb, wb);
}

/* Takes back what has ended. */
static void take_ended(struct pcache_writeback *w)
{
	struct pcache_wb_bio *wb, *next;

	spin_lock_irq(&w->lock);
	wb = w->ended;
	w->ended = NULL;
	spin_unlock_irq(&w->lock);
	for (; wb; wb = next) {
		next = wb->next;
		wb_release(wb);
	}
}

/* Sees to so many free pages; false: there are not, until more bios end. */
static bool get_pages(struct pcache_writeback *w, u32 nr)
{
	if (w->nr_pages < nr)
		take_ended(w);
	while (w->nr_pages < nr) {
		struct page *page = NULL;

		if (w->all_pages < PAGES_MAX)
			page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);
		if (!page)
			return false;
		add_page(w, page);
		w->all_pages++;
	}
	return true;
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
	struct pcache_wb_bio *wb = wb_bio_of(bio);
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
	wb->next = w->ended;
	w->ended = wb;
	put_in_flight(w);
	spin_unlock_irqrestore(&w->lock, flags);
}

/* NULL: there is no bio, until another one ends. */
static struct pcache_wb_bio *wb_open(struct pcache *pc, sector_t sector)
{
	struct pcache_wb_bio *wb;

	if (!pc->wb.bios)
		take_ended(&pc->wb);
	wb = take_bio(&pc->wb) ?: kmalloc(sizeof(*wb), GFP_NOWAIT | __GFP_NOWARN);
	if (!wb)
		return NULL;
	wb->pc = pc;
	wb->sector = sector;
	wb->sectors = 0;
	bio_init(&wb->bio, pc->backing, wb->vecs, BIO_PAGES, REQ_OP_WRITE | REQ_BACKGROUND);
	wb->bio.bi_iter.bi_sector = sector;
	wb->bio.bi_end_io = wb_endio;
	return wb;
}

/* Submits what has been gathered, if anything. */
static void wb_submit(struct pcache_wb_bio **open)
{
	struct pcache_wb_bio *wb = *open;

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

static void wait_for_turn(struct pcache *pc, struct pcache_wb_bio **open, struct blk_plug *plug)
{
	if (!reads_have_turn(pc))
		return;
	wb_submit(open);
	blk_finish_plug(plug);
	wait_event(pc->wb.turn, !reads_have_turn(pc));
	blk_start_plug(plug);
}

/* Appends pages for @bytes; false, and nothing is appended, when there are none. */
static bool wb_grow(struct pcache_wb_bio *wb, u32 bytes)
{
	struct pcache_writeback *w = &wb->pc->wb;
	u32 n;

	if (!get_pages(w, DIV_ROUND_UP(bytes, PAGE_SIZE)))
		return false;
	for (; bytes; bytes -= n) {
		n = min_t(u32, bytes, PAGE_SIZE);
		__bio_add_page(&wb->bio, w->pages[--w->nr_pages], n, 0);
	}
	return true;
}

/*
 * Makes *@open a bio that has pages for @bytes at @sector, at its end. Without
 * memory it waits for what is in flight, whose pages then are in the reserve.
 */
static void wb_make_place(struct pcache *pc, struct pcache_wb_bio **open, struct blk_plug *plug,
			  sector_t sector, u32 bytes)
{
	struct pcache_wb_bio *wb = *open;

	if (wb && (wb->sector + wb->sectors != sector ||
		   wb->bio.bi_vcnt + DIV_ROUND_UP(bytes, PAGE_SIZE) > BIO_PAGES))
		wb_submit(open);
	for (;;) {
		if (!*open)
			*open = wb_open(pc, sector);
		if (*open && wb_grow(*open, bytes))
			return;
		wb_submit(open);
		blk_finish_plug(plug);
		wb_drain(&pc->wb);
		wb_begin(&pc->wb);
		blk_start_plug(plug);
	}
}

/* Reads a piece of an extent and adds it to the bio. */
static int write_piece(struct pcache *pc, const struct pcache_extent *e, struct pcache_wb_bio **open,
		       struct blk_plug *plug)
{
	u32 bytes = e->sectors << SECTOR_SHIFT, vcnt;
	int err;

	wb_make_place(pc, open, plug, e->sector, bytes);
	vcnt = (*open)->bio.bi_vcnt - DIV_ROUND_UP(bytes, PAGE_SIZE);
	err = pcache_extent_copy_to_own(pc, e, &(*open)->vecs[vcnt]);
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
 * Writes an extent, and remembers what of it cannot be read: with CRCs as much as
 * one covers; without, block by block where a longer piece has a media error.
 * @careful: each few sectors in a bio of their own.
 *
 * Returns false without memory to remember what went wrong.
 */
static bool write_extent(struct pcache *pc, const struct pcache_extent *e, bool careful,
			 struct pcache_wb_bio **open, struct blk_plug *plug)
{
	sector_t at = e->sector, end = pcache_extent_end(e), single_to = 0;
	struct pcache_extent piece;
	bool good = true;

	while (at < end) {
		int err;

		wait_for_turn(pc, open, plug);
		piece = at > e->sector ? pcache_extent_part(e, at, end) : *e;
		piece.sectors = at < single_to ? min(piece.sectors, pc->block_sectors) :
						 piece_sectors(&piece, careful);
		err = write_piece(pc, &piece, open, plug);
		if (careful)
			wb_submit(open);
		if (err && !pc->data_crc && piece.sectors > pc->block_sectors) {
			single_to = pcache_extent_end(&piece);
			continue;
		}
		if (err) {
			pcache_extent_count_error(pc, &piece, err);
			good &= pcache_wb_remember(&pc->wb.unreadable, &piece);
		}
		at = pcache_extent_end(&piece);
	}
	return good;
}

/* Writes the batch. Returns false without memory to remember what went wrong. */
static bool write_batch(struct pcache *pc, bool careful)
{
	struct pcache_wb_bio *open = NULL;
	struct pcache_walk walk;
	struct pcache_extent e;
	struct blk_plug plug;
	bool good = true;

	wb_begin(&pc->wb);
	blk_start_plug(&plug);
	pcache_walk_begin(&walk, &pc->wb.batch);
	while (pcache_walk_next(&walk, &e))
		good &= write_extent(pc, &e, careful, &open, &plug);
	wb_submit(&open);
	blk_finish_plug(&plug);
	wb_drain(&pc->wb);
	return good;
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
			if (!pcache_wb_remember(&w->unwritten, &e))
				return false;
			at = pcache_extent_end(&e);
		}
	}
	return pcache_wb_tree_without(&w->batch, &w->unwritten);
}

/**
 * pcache_wb_write() - Write the batch, and flush the backing device.
 * @pc: cache
 * @rd: round; gets @written, @unreadable, @unwritten and @no_memory
 *
 * What could not be read, or was not written, is in wb.unreadable and wb.unwritten then, and
 * not in the batch any more.
 *
 * Context: the work; sleeps for I/O.
 *
 * Return: false: nothing counts as written.
 */
bool pcache_wb_write(struct pcache *pc, struct pcache_round *rd)
{
	struct pcache_writeback *w = &pc->wb;
	u32 all = pcache_tree_sectors(&w->batch);
	bool sorted = write_batch(pc, rd->settled && w->pause_ms);

	pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, w->nr_failed);
	/* A write shall not fail because of its neighbours in a bio. */
	if (w->nr_failed && rd->settled && !w->pause_ms) {
		w->nr_failed = 0;
		pcache_tree_clear(&w->unreadable);
		sorted = write_batch(pc, true);
		pcache_count(pc, PCACHE_STAT_WRITEBACK_ERRORS, w->nr_failed);
	}
	if (!sorted || !pcache_wb_tree_without(&w->batch, &w->unreadable) || !sort_out_failed(pc)) {
		rd->no_memory = true;
		return false;
	}
	rd->unwritten = pcache_tree_sectors(&w->unwritten);
	rd->written = all - pcache_tree_sectors(&w->unreadable) - rd->unwritten;
	/* Of what nobody needs it is all the same that it cannot be read. */
	pcache_wb_note_discarded(pc, &w->unreadable);
	pcache_wb_tree_without(&w->unreadable, &w->discarded);
	rd->unreadable = pcache_tree_sectors(&w->unreadable);
	if (!rd->written)
		return !rd->unwritten;
	if (pcache_flush_backing(pc))
		return false;
	pcache_count(pc, PCACHE_STAT_WRITEBACK_SECTORS, rd->written);
	return true;
}

/**
 * pcache_wb_bios_init() - Make what is needed to have bios in flight.
 * @w: write-back
 *
 * Return: 0 or -ENOMEM; then pcache_wb_bios_exit() cleans up.
 */
int pcache_wb_bios_init(struct pcache_writeback *w)
{
	spin_lock_init(&w->lock);
	init_waitqueue_head(&w->turn);
	init_completion(&w->idle);
	w->pages = kvmalloc_array(PAGES_MAX, sizeof(*w->pages), GFP_KERNEL);
	if (!w->pages)
		return -ENOMEM;
	for (; w->all_pages < PAGE_RESERVE; w->all_pages++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page)
			return -ENOMEM;
		add_page(w, page);
	}
	while (w->nr_bios < BIO_RESERVE) {
		struct pcache_wb_bio *wb = kmalloc(sizeof(*wb), GFP_KERNEL);

		if (!wb)
			return -ENOMEM;
		add_bio(w, wb);
	}
	return 0;
}

/* Keeps so much; nothing is in flight, and what has ended has been taken back. */
static void keep_memory(struct pcache_writeback *w, u32 pages, u32 bios)
{
	for (; w->nr_pages > pages; w->all_pages--)
		__free_page(w->pages[--w->nr_pages]);
	while (w->nr_bios > bios)
		kfree(take_bio(w));
}

/**
 * pcache_wb_bios_rest() - Give back what is more than the reserve.
 * @w: write-back
 *
 * Context: the work, at the end of a run.
 */
void pcache_wb_bios_rest(struct pcache_writeback *w)
{
	take_ended(w);
	keep_memory(w, PAGE_RESERVE, BIO_RESERVE);
}

/**
 * pcache_wb_bios_exit() - Free what pcache_wb_bios_init() allocated.
 * @w: write-back; nothing is in flight
 */
void pcache_wb_bios_exit(struct pcache_writeback *w)
{
	keep_memory(w, 0, 0);
	kvfree(w->pages);
}

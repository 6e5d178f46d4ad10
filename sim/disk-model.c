// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model of the backing device, a disk:
 *
 * - Requests in flight end in any order, each once, in interrupt context.
 * - A write that has ended is in a volatile cache, if the disk has one. A FLUSH that
 *   ends well has made durable every write that had ended before the FLUSH was
 *   submitted; a write with FUA is durable when it ends.
 * - A discard makes any blocks of its range zeroes, as a write of zeroes would, and leaves
 *   the others alone.
 * - A power cut leaves of each logical block the durable content or what was written
 *   to it since; of a write in flight any of its blocks. A block is never torn.
 * - Two writes to the same block in flight at a time, or a discard and another one, are a
 *   mistake: nobody could say which one stays.
 * - A failed write may have written any of its blocks, with FUA too to the cache only. Of
 *   what a failed FLUSH was for, any part may be durable, still in the cache, or dropped.
 *
 * Each content of a sector has a number, which goes with it wherever it is copied. The same
 * number is the same content, so nothing is copied over what has it; 0 is zeroes.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/bio.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <shim/host.h>

#include "port.h"
#include "disk-model.h"

#define MAX_IN_FLIGHT 512

struct request {
	struct bio *bio;
	u64 due_ns;
	u64 seq;		/* of a FLUSH: what was written up to here */
};

struct block_state {
	u64 written;		/* seq of the write that is in the cache; 0: durable */
};

struct window {
	u8 sector[DISK_MAX_SECTORS][SECTOR_SIZE] __aligned(64);
	u64 id[DISK_MAX_SECTORS];
};

static struct {
	struct disk_config config;
	struct window durable, cache;
	struct window off_durable, off_cache, off_flying;	/* when the power went off */
	bool is_flying[DISK_MAX_SECTORS];
	u64 last_id;		/* never goes back */
	struct block_state block[DISK_MAX_SECTORS];
	struct request queue[MAX_IN_FLIGHT];
	u32 nr;
	u64 seq;
	u64 failed;
	bool gone, stop;
	sector_t bad;
	u32 nr_bad;
	struct task_struct *task;
	void (*discarded)(sector_t sector, u32 sectors);
	struct block_device bdev;
} disk;

static u32 block_bytes(void)
{
	return disk.config.block_sectors << SECTOR_SHIFT;
}

static bool in_window(sector_t sector)
{
	return sector >= disk.config.first && sector < disk.config.first + disk.config.sectors;
}

static u32 index_of(sector_t sector)
{
	return sector - disk.config.first;
}

/* Sectors of a window */

static void put_sectors(struct window *w, u32 i, const void *src, u32 sectors)
{
	memcpy(w->sector[i], src, (size_t)sectors << SECTOR_SHIFT);
	for (u32 end = i + sectors; i < end; i++)
		w->id[i] = ++disk.last_id;
}

static void copy_sectors(struct window *to, const struct window *from, u32 i, u32 sectors)
{
	for (u32 end = i + sectors; i < end; i++) {
		if (to->id[i] == from->id[i])
			continue;
		to->id[i] = from->id[i];
		memcpy(to->sector[i], from->sector[i], SECTOR_SIZE);
	}
}

static void copy_window(struct window *to, const struct window *from)
{
	copy_sectors(to, from, 0, disk.config.sectors);
}

static void zero_window(struct window *w)
{
	for (u32 i = 0; i < DISK_MAX_SECTORS; i++)
		if (w->id[i])
			memset(w->sector[i], 0, SECTOR_SIZE);
	memset(w->id, 0, sizeof(w->id));
}

/* Blocks; @i is the window's index of a block's first sector */

static void make_durable(u32 i)
{
	copy_sectors(&disk.durable, &disk.cache, i, disk.config.block_sectors);
	disk.block[i].written = 0;
}

static bool flush_covers(u64 written)
{
	for (u32 k = 0; k < disk.nr; k++)
		if (disk.queue[k].seq >= written && (disk.queue[k].bio->bi_opf & REQ_PREFLUSH))
			return true;
	return false;
}

static void write_block(u32 i, const void *src, bool durable)
{
	u64 before = disk.block[i].written;

	/* What it overwrites may have become durable, and must if a FLUSH is under way. */
	if (before && (sim_next(sim_random()) & 1 || flush_covers(before)))
		make_durable(i);
	put_sectors(&disk.cache, i, src, disk.config.block_sectors);
	disk.block[i].written = ++disk.seq;
	if (durable || !disk.config.write_cache)
		make_durable(i);
}

static void drop_block(u32 i)
{
	copy_sectors(&disk.cache, &disk.durable, i, disk.config.block_sectors);
	disk.block[i].written = 0;
}

static void flush_blocks(u64 seq, bool all)
{
	for (u32 i = 0; i < disk.config.sectors; i += disk.config.block_sectors) {
		u32 what = all ? 0 : sim_below(sim_random(), 3);

		if (!disk.block[i].written || disk.block[i].written > seq)
			continue;
		if (what == 0)
			make_durable(i);
		else if (what == 1)
			drop_block(i);
	}
}

/* Requests */

static const u8 zeroes[DISK_MAX_BLOCK << SECTOR_SHIFT] __aligned(64);

static void discard_blocks(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

	for (; sector < bio_end_sector(bio); sector += disk.config.block_sectors)
		if (in_window(sector) && sim_below(sim_random(), 4))
			write_block(index_of(sector), zeroes, false);
}

/* Copies between a bio and the window; @all: each block, otherwise some. */
static void move_data(struct bio *bio, bool all)
{
	sector_t sector = bio->bi_iter.bi_sector;
	bool write = op_is_write(bio->bi_opf);
	static u8 buf[1 << 20] __aligned(64);
	u32 done = 0, step = block_bytes();
	struct bvec_iter iter;
	struct bio_vec bv;

	BUG_ON(bio->bi_iter.bi_size > sizeof(buf));
	if (bio_op(bio) == REQ_OP_DISCARD) {
		discard_blocks(bio);
		return;
	}
	if (write) {
		bio_for_each_bvec(bv, bio, iter) {
			memcpy(buf + done, bvec_virt(&bv), bv.bv_len);
			done += bv.bv_len;
		}
		for (u32 at = 0; at < done; at += step, sector += step >> SECTOR_SHIFT) {
			if (!in_window(sector))
				sim_fail("a write to sector %llu, which nobody wrote to", sector);
			if (all || sim_next(sim_random()) & 1)
				write_block(index_of(sector), buf + at,
					    (bio->bi_opf & REQ_FUA) &&
					    (all || sim_next(sim_random()) & 1));
		}
		return;
	}
	bio_for_each_bvec(bv, bio, iter) {
		for (u32 at = 0; at < bv.bv_len; at += SECTOR_SIZE, sector++) {
			if (in_window(sector))
				memcpy(bvec_virt(&bv) + at, disk.cache.sector[index_of(sector)],
				       SECTOR_SIZE);
			else
				memset(bvec_virt(&bv) + at, 0, SECTOR_SIZE);
		}
	}
}

static bool touches_bad(const struct bio *bio)
{
	return disk.nr_bad && bio->bi_iter.bi_sector < disk.bad + disk.nr_bad &&
	       bio_end_sector(bio) > disk.bad;
}

static bool fails(const struct bio *bio)
{
	bool write = op_is_write(bio->bi_opf);
	u32 rate = bio_sectors(bio) == 0 ? 0 :
		   write ? disk.config.write_errors : disk.config.read_errors;

	if (bio->bi_opf & REQ_PREFLUSH)
		rate = max(rate, disk.config.flush_errors);
	if (disk.gone || touches_bad(bio))
		return true;
	return rate && sim_chance(sim_random(), rate);
}

static void serve(struct request req)
{
	struct bio *bio = req.bio;
	bool failed = fails(bio);

	sim_moment();
	disk.failed += failed;
	if (!disk.gone && (bio->bi_opf & REQ_PREFLUSH))
		flush_blocks(req.seq, !failed);
	if (!disk.gone && bio_sectors(bio) && !(failed && !op_is_write(bio->bi_opf)))
		move_data(bio, !failed);
	bio->bi_status = failed ? (disk.gone ? BLK_STS_OFFLINE : BLK_STS_IOERR) : BLK_STS_OK;
	shim_irq_enter();
	bio_endio(bio);
	shim_irq_exit();
}

/* One that is due, at random; U32_MAX: none is, @next says when one will be. */
static u32 choose(u64 *next)
{
	u64 now = port_now_ns();
	u32 first = sim_below(sim_random(), disk.nr);

	*next = PORT_FOREVER;
	for (u32 k = 0; k < disk.nr; k++) {
		u32 i = (first + k) % disk.nr;

		if (disk.queue[i].due_ns <= now)
			return i;
		*next = min(*next, disk.queue[i].due_ns);
	}
	return U32_MAX;
}

static void disk_task(void *arg)
{
	while (!disk.stop) {
		u64 next = PORT_FOREVER;
		u32 i = disk.nr ? choose(&next) : U32_MAX;

		if (i == U32_MAX) {
			port_park(next);
		} else {
			struct request req = disk.queue[i];

			disk.queue[i] = disk.queue[--disk.nr];
			serve(req);
		}
	}
}

static void check_conflicts(const struct bio *bio)
{
	sector_t lo = bio->bi_iter.bi_sector, hi = bio_end_sector(bio);

	if (!op_is_write(bio->bi_opf) || !bio_sectors(bio))
		return;
	for (u32 i = 0; i < disk.nr; i++) {
		const struct bio *other = disk.queue[i].bio;

		if (op_is_write(other->bi_opf) && bio_sectors(other) &&
		    other->bi_iter.bi_sector < hi && bio_end_sector(other) > lo)
			sim_fail("two writes to sector %llu of the backing device are in flight",
				 max(lo, other->bi_iter.bi_sector));
	}
}

void port_bio_submit(struct bio *bio)
{
	u64 latency = disk.config.latency_ns;

	sim_point();
	check_conflicts(bio);
	if (bio_op(bio) == REQ_OP_DISCARD && disk.discarded)
		disk.discarded(bio->bi_iter.bi_sector, bio_sectors(bio));
	if (disk.nr == MAX_IN_FLIGHT)
		sim_fail("more than %d requests in flight", MAX_IN_FLIGHT);
	disk.queue[disk.nr++] = (struct request) {
		.bio = bio, .seq = disk.seq,
		.due_ns = latency ? port_now_ns() + sim_below(sim_random(), latency) : 0,
	};
	port_unpark(disk.task);
}

void disk_model_start(void)
{
	disk.stop = false;
	disk.nr = 0;
	disk.task = shim_spawn("disk", disk_task, NULL);
}

void disk_model_stop(void)
{
	if (disk.nr)
		sim_fail("%u requests are in flight when the backing device goes", disk.nr);
	disk.stop = true;
	port_unpark(disk.task);
	shim_join(disk.task);
}

/* Errors */

void disk_model_set_errors(u32 read, u32 write, u32 flush)
{
	disk.config.read_errors = read;
	disk.config.write_errors = write;
	disk.config.flush_errors = flush;
}

void disk_model_set_gone(bool gone)
{
	disk.gone = gone;
}

void disk_model_set_bad(sector_t sector, u32 sectors)
{
	disk.bad = sector;
	disk.nr_bad = sectors;
}

void disk_model_set_discarded(void (*fn)(sector_t sector, u32 sectors))
{
	disk.discarded = fn;
}

u64 disk_model_failed(void)
{
	return disk.failed;
}

bool disk_model_busy(void)
{
	return disk.nr;
}

/* Power */

static size_t window_bytes(void)
{
	return (size_t)disk.config.sectors << SECTOR_SHIFT;
}

static void note_flying(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_bvec(bv, bio, iter) {
		for (u32 at = 0; at < bv.bv_len; at += SECTOR_SIZE, sector++) {
			if (!in_window(sector))
				continue;
			put_sectors(&disk.off_flying, index_of(sector), bvec_virt(&bv) + at, 1);
			disk.is_flying[index_of(sector)] = true;
		}
	}
}

static void note_flying_discard(const struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

	for (; sector < bio_end_sector(bio); sector++) {
		if (!in_window(sector))
			continue;
		put_sectors(&disk.off_flying, index_of(sector), zeroes, 1);
		disk.is_flying[index_of(sector)] = true;
	}
}

void disk_model_off(void)
{
	memset(disk.is_flying, 0, sizeof(disk.is_flying));
	for (u32 i = 0; i < disk.nr; i++) {
		struct bio *bio = disk.queue[i].bio;

		if (bio_op(bio) == REQ_OP_DISCARD)
			note_flying_discard(bio);
		else if (op_is_write(bio->bi_opf) && bio_sectors(bio))
			note_flying(bio);
	}
	disk.nr = 0;
	copy_window(&disk.off_durable, &disk.durable);
	copy_window(&disk.off_cache, &disk.cache);
}

void disk_model_on(struct sim_random *r, enum disk_cut how)
{
	u32 step = disk.config.block_sectors;

	copy_window(&disk.durable, &disk.off_durable);
	for (u32 i = 0; i < disk.config.sectors; i += step) {
		bool keep = how == DISK_CUT_ALL || (how == DISK_CUT_SOME && sim_next(r) & 1);

		if (keep)
			copy_sectors(&disk.durable, &disk.off_cache, i, step);
		keep = how == DISK_CUT_ALL || (how == DISK_CUT_SOME && sim_next(r) & 1);
		if (keep && disk.is_flying[i])
			copy_sectors(&disk.durable, &disk.off_flying, i, step);
		disk.block[i].written = 0;
	}
	copy_window(&disk.cache, &disk.durable);
	disk.nr = 0;
}

bool disk_model_was_dirty(void)
{
	for (u32 i = 0; i < disk.config.sectors; i++)
		if (disk.is_flying[i])
			return true;
	return memcmp(disk.off_durable.sector, disk.off_cache.sector, window_bytes());
}

const u8 *disk_model_sector(sector_t sector)
{
	return disk.cache.sector[index_of(sector)];
}

const u8 *disk_model_durable(sector_t sector)
{
	return disk.durable.sector[index_of(sector)];
}

struct disk_content disk_model_durable_content(void)
{
	return (struct disk_content) { .sector = disk.durable.sector, .id = disk.durable.id };
}

struct disk_content disk_model_content(void)
{
	return (struct disk_content) { .sector = disk.cache.sector, .id = disk.cache.id };
}

void disk_model_save(u8 *content)
{
	memcpy(content, disk.durable.sector, window_bytes());
}

void disk_model_load(const u8 *content)
{
	disk_model_write(disk.config.first, content, disk.config.sectors);
	memset(disk.block, 0, sizeof(disk.block));
	disk.nr = 0;
}

void disk_model_write(sector_t sector, const void *src, u32 sectors)
{
	put_sectors(&disk.cache, index_of(sector), src, sectors);
	copy_sectors(&disk.durable, &disk.cache, index_of(sector), sectors);
}

void disk_model_new(const struct disk_config *config)
{
	disk.config = *config;
	zero_window(&disk.durable);
	zero_window(&disk.cache);
	memset(disk.block, 0, sizeof(disk.block));
	disk.nr = 0;
	disk.seq = 1;
	disk.failed = 0;
	disk.gone = false;
	disk.nr_bad = 0;
}

struct block_device *disk_model_bdev(void)
{
	u32 block = block_bytes();

	disk.bdev = (struct block_device) {
		.name = "vda", .nr_sectors = disk.config.first + disk.config.sectors,
		.queue.limits = {
			.logical_block_size = block, .physical_block_size = block,
			.io_min = block, .max_sectors = 2560, .max_hw_sectors = UINT_MAX,
			.max_segments = 128, .max_segment_size = UINT_MAX,
			.dma_alignment = 511, .features = BLK_FEAT_NOWAIT,
		},
	};
	disk.bdev.queue.limits.max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
	if (disk.config.discards) {
		disk.bdev.queue.limits.max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		disk.bdev.queue.limits.max_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		disk.bdev.queue.limits.discard_granularity = block;
	}
	if (disk.config.write_cache)
		disk.bdev.queue.limits.features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	return &disk.bdev;
}

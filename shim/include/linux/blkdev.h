/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_BLKDEV_H
#define SHIM_LINUX_BLKDEV_H

#include <linux/bio.h>
#include <linux/blk_types.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#define BDEVNAME_SIZE 32

#define BLK_FEAT_WRITE_CACHE (1u << 0)
#define BLK_FEAT_FUA (1u << 1)
#define BLK_FEAT_ROTATIONAL (1u << 2)
#define BLK_FEAT_STABLE_WRITES (1u << 5)
#define BLK_FEAT_SYNCHRONOUS (1u << 6)
#define BLK_FEAT_NOWAIT (1u << 7)
#define BLK_FEAT_DAX (1u << 8)
#define BLK_FEAT_POLL (1u << 9)

struct queue_limits {
	u32 features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int alignment_offset;
	unsigned int max_sectors;
	unsigned int max_hw_sectors;
	unsigned int chunk_sectors;
	unsigned int max_segments;
	unsigned int max_segment_size;
	unsigned int max_discard_sectors;
	unsigned int max_hw_discard_sectors;
	unsigned int max_user_discard_sectors;
	unsigned int max_secure_erase_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned int discard_granularity;
	unsigned int discard_alignment;
	unsigned int dma_alignment;
};

struct request_queue {
	struct queue_limits limits;
};

/*
 * A device of the back end (then submit is NULL and port its own) or a mapped
 * device of dm.c.
 */
struct block_device {
	const char *name;
	sector_t nr_sectors;
	dev_t bd_dev;
	bool read_only;
	bool busy;		/* claimed by someone: no table may have it */
	struct request_queue queue;
	struct dax_device *dax;
	void (*submit)(struct bio *bio);
	void *port;
};

#define BLK_OPEN_READ 1u
#define BLK_OPEN_WRITE 2u
#define BLK_OPEN_EXCL 4u
#define FMODE_READ 1u
#define FMODE_WRITE 2u

void submit_bio(struct bio *bio);
void submit_bio_noacct(struct bio *bio);
int submit_bio_wait(struct bio *bio);
int blkdev_issue_flush(struct block_device *bdev);
int blkdev_issue_discard(struct block_device *bdev, sector_t sector,
			 sector_t nr_sects, gfp_t gfp);
int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector,
			 sector_t nr_sects, gfp_t gfp, unsigned int flags);

int blk_status_to_errno(blk_status_t status);
blk_status_t errno_to_blk_status(int error);
const char *blk_op_str(enum req_op op);

/* Nothing is held back: a plug only has to be begun and ended in pairs. */
struct blk_plug {
	struct blk_plug *outer;
	bool begun;
};

void blk_start_plug(struct blk_plug *plug);
void blk_finish_plug(struct blk_plug *plug);

void blk_set_stacking_limits(struct queue_limits *lim);
int blk_stack_limits(struct queue_limits *t, struct queue_limits *b,
		     sector_t start);
void queue_limits_stack_bdev(struct queue_limits *t, struct block_device *bdev,
			     sector_t offset, const char *pfx);

static inline struct request_queue *bdev_get_queue(struct block_device *bdev)
{
	return &bdev->queue;
}

static inline struct queue_limits *bdev_limits(struct block_device *bdev)
{
	return &bdev->queue.limits;
}

static inline sector_t bdev_nr_sectors(struct block_device *bdev)
{
	return READ_ONCE(bdev->nr_sectors);
}

static inline loff_t bdev_nr_bytes(struct block_device *bdev)
{
	return bdev_nr_sectors(bdev) << SECTOR_SHIFT;
}

#define shim_bdev_limit(fn, field)					\
static inline unsigned int fn(struct block_device *bdev)		\
{									\
	return bdev->queue.limits.field;				\
}

shim_bdev_limit(bdev_logical_block_size, logical_block_size)
shim_bdev_limit(bdev_physical_block_size, physical_block_size)
shim_bdev_limit(bdev_io_min, io_min)
shim_bdev_limit(bdev_io_opt, io_opt)
shim_bdev_limit(bdev_max_discard_sectors, max_discard_sectors)
shim_bdev_limit(bdev_discard_granularity, discard_granularity)
shim_bdev_limit(bdev_max_secure_erase_sectors, max_secure_erase_sectors)
shim_bdev_limit(bdev_write_zeroes_sectors, max_write_zeroes_sectors)

static inline bool shim_bdev_has(struct block_device *bdev, u32 feature)
{
	return bdev->queue.limits.features & feature;
}

#define bdev_write_cache(b) shim_bdev_has(b, BLK_FEAT_WRITE_CACHE)
#define bdev_fua(b) shim_bdev_has(b, BLK_FEAT_FUA)
#define bdev_nowait(b) shim_bdev_has(b, BLK_FEAT_NOWAIT)
#define bdev_synchronous(b) shim_bdev_has(b, BLK_FEAT_SYNCHRONOUS)
#define bdev_stable_writes(b) shim_bdev_has(b, BLK_FEAT_STABLE_WRITES)
#define bdev_nonrot(b) (!shim_bdev_has(b, BLK_FEAT_ROTATIONAL))
#define bdev_read_only(b) READ_ONCE((b)->read_only)
#define bdev_is_partition(b) false
#define get_start_sect(b) ((void)(b), (sector_t)0)
#define bdev_is_zoned(b) false

static inline unsigned int bio_max_segs(unsigned int nr_segs)
{
	return min(nr_segs, BIO_MAX_VECS);
}

#define BLKDEV_ZERO_NOUNMAP (1 << 0)
#define BLKDEV_ZERO_NOFALLBACK (1 << 1)

#endif

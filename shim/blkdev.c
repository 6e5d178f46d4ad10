// SPDX-License-Identifier: GPL-2.0-or-later
/* Submission, limits of devices, and direct access to persistent memory. */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/dax.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include "port.h"

static const struct {
	blk_status_t status;
	int error;
} errors[] = {
	{ BLK_STS_OK, 0 },
	{ BLK_STS_NOTSUPP, -EOPNOTSUPP },
	{ BLK_STS_TIMEOUT, -ETIMEDOUT },
	{ BLK_STS_NOSPC, -ENOSPC },
	{ BLK_STS_TRANSPORT, -ENOLINK },
	{ BLK_STS_TARGET, -EREMOTEIO },
	{ BLK_STS_RESV_CONFLICT, -EBADE },
	{ BLK_STS_MEDIUM, -ENODATA },
	{ BLK_STS_PROTECTION, -EILSEQ },
	{ BLK_STS_RESOURCE, -ENOMEM },
	{ BLK_STS_DM_REQUEUE, -EREMCHG },
	{ BLK_STS_AGAIN, -EAGAIN },
	{ BLK_STS_DEV_RESOURCE, -EBUSY },
	{ BLK_STS_OFFLINE, -ENODEV },
	{ BLK_STS_INVAL, -EINVAL },
};

int blk_status_to_errno(blk_status_t status)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].status == status)
			return errors[i].error;
	return -EIO;
}

blk_status_t errno_to_blk_status(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].error == error)
			return errors[i].status;
	return BLK_STS_IOERR;
}

const char *blk_op_str(enum req_op op)
{
	switch (op) {
	case REQ_OP_READ:
		return "READ";
	case REQ_OP_WRITE:
		return "WRITE";
	case REQ_OP_FLUSH:
		return "FLUSH";
	case REQ_OP_DISCARD:
		return "DISCARD";
	case REQ_OP_WRITE_ZEROES:
		return "WRITE_ZEROES";
	default:
		return "UNKNOWN";
	}
}

/* Submission */

static void fail_bio(struct bio *bio, blk_status_t status, const char *why)
{
	if (why)
		pr_err_ratelimited("%s: %s: %s, sector %llu, %u sectors\n",
				   bio->bi_bdev->name,
				   blk_op_str(bio_op(bio)), why,
				   bio->bi_iter.bi_sector, bio_sectors(bio));
	bio->bi_status = status;
	bio_endio(bio);
}

static bool op_supported(struct block_device *bdev, enum req_op op)
{
	switch (op) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
	case REQ_OP_FLUSH:
		return true;
	case REQ_OP_DISCARD:
		return bdev_max_discard_sectors(bdev);
	case REQ_OP_SECURE_ERASE:
		return bdev_max_secure_erase_sectors(bdev);
	case REQ_OP_WRITE_ZEROES:
		return bdev_write_zeroes_sectors(bdev);
	default:
		return false;
	}
}

/* Whether the bio may go on; otherwise it has been ended. */
static bool bio_passes(struct bio *bio)
{
	struct block_device *bdev = bio->bi_bdev;
	unsigned int mask = bdev_logical_block_size(bdev) - 1;
	sector_t size = bdev_nr_sectors(bdev);

	if ((bio->bi_opf & REQ_NOWAIT) && !bdev_nowait(bdev)) {
		fail_bio(bio, BLK_STS_NOTSUPP, NULL);
		return false;
	}
	if (bio_sectors(bio) > size ||
	    bio->bi_iter.bi_sector > size - bio_sectors(bio)) {
		fail_bio(bio, BLK_STS_IOERR, "beyond the end of the device");
		return false;
	}
	if (((bio->bi_iter.bi_sector << SECTOR_SHIFT) |
	     bio->bi_iter.bi_size) & mask) {
		fail_bio(bio, BLK_STS_IOERR, "not aligned to logical blocks");
		return false;
	}
	if (!op_supported(bdev, bio_op(bio))) {
		fail_bio(bio, BLK_STS_NOTSUPP, NULL);
		return false;
	}
	if (bdev_read_only(bdev) && op_is_write(bio->bi_opf) && bio_sectors(bio)) {
		fail_bio(bio, BLK_STS_IOERR, "the device is read-only");
		return false;
	}
	if (op_is_flush(bio->bi_opf) && bio_op(bio) != REQ_OP_WRITE)
		shim_bug("FLUSH or FUA with something that is not a write");
	if (op_is_flush(bio->bi_opf) && !bdev_write_cache(bdev)) {
		bio->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA);
		if (!bio_sectors(bio)) {
			bio_endio(bio);
			return false;
		}
	}
	return true;
}

static void pass_down(struct bio *bio)
{
	if (bio->bi_bdev->submit)
		bio->bi_bdev->submit(bio);
	else
		port_bio_submit(bio);
}

/*
 * As in the kernel, what a driver submits while it handles a bio is only kept,
 * until the driver has returned; one that waits for it there waits for ever.
 */
void submit_bio_noacct(struct bio *bio)
{
	struct task_struct *task = current;
	struct bio_list lists[2];

	shim_bio_check(bio, "submit_bio");
	if (!bio->bi_bdev)
		shim_bug("a bio without a device is submitted");
	if (irqs_disabled() || in_atomic())
		shim_bug("a bio is submitted in atomic context");
	bio_clear_flag(bio, BIO_SHIM_ENDED);
	if (!bio_passes(bio))
		return;
	if (task->bio_list) {
		bio_list_add(&task->bio_list[0], bio);
		return;
	}
	bio_list_init(&lists[0]);
	task->bio_list = lists;
	do {
		/* What this one brings goes before what was kept. */
		lists[1] = lists[0];
		bio_list_init(&lists[0]);
		pass_down(bio);
		bio_list_merge(&lists[0], &lists[1]);
		bio = bio_list_pop(&lists[0]);
	} while (bio);
	task->bio_list = NULL;
}

void submit_bio(struct bio *bio)
{
	submit_bio_noacct(bio);
}

static void end_wait(struct bio *bio)
{
	complete(bio->bi_private);
}

int submit_bio_wait(struct bio *bio)
{
	DECLARE_COMPLETION_ONSTACK(done);

	might_sleep();
	bio->bi_private = &done;
	bio->bi_end_io = end_wait;
	bio->bi_opf |= REQ_SYNC;
	submit_bio(bio);
	wait_for_completion_io(&done);
	return blk_status_to_errno(bio->bi_status);
}

int blkdev_issue_flush(struct block_device *bdev)
{
	struct bio bio;
	int ret;

	bio_init(&bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return ret;
}

static int issue_range(struct block_device *bdev, enum req_op op,
		       sector_t sector, sector_t nr, unsigned int max_sectors)
{
	int ret = 0;

	if (!max_sectors)
		return -EOPNOTSUPP;
	while (nr && !ret) {
		unsigned int n = min_t(sector_t, nr,
				       min(max_sectors, UINT_MAX >> 10));
		struct bio bio;

		bio_init(&bio, bdev, NULL, 0, op);
		bio.bi_iter.bi_sector = sector;
		bio.bi_iter.bi_size = n << SECTOR_SHIFT;
		ret = submit_bio_wait(&bio);
		bio_uninit(&bio);
		sector += n;
		nr -= n;
	}
	return ret;
}

int blkdev_issue_discard(struct block_device *bdev, sector_t sector,
			 sector_t nr_sects, gfp_t gfp)
{
	return issue_range(bdev, REQ_OP_DISCARD, sector, nr_sects,
			   bdev_max_discard_sectors(bdev));
}

int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector,
			 sector_t nr_sects, gfp_t gfp, unsigned int flags)
{
	return issue_range(bdev, REQ_OP_WRITE_ZEROES, sector, nr_sects,
			   bdev_write_zeroes_sectors(bdev));
}

void blk_start_plug(struct blk_plug *plug)
{
	plug->outer = current->plug;
	plug->begun = true;
	current->plug = plug;
}

void blk_finish_plug(struct blk_plug *plug)
{
	if (current->plug != plug || !plug->begun)
		shim_bug("blk_finish_plug() of a plug that is not the last begun");
	plug->begun = false;
	current->plug = plug->outer;
}

/* Limits */

void blk_set_stacking_limits(struct queue_limits *lim)
{
	*lim = (struct queue_limits) {
		.features = BLK_FEAT_NOWAIT | BLK_FEAT_POLL,
		.logical_block_size = SECTOR_SIZE,
		.physical_block_size = SECTOR_SIZE,
		.io_min = SECTOR_SIZE,
		.max_sectors = UINT_MAX,
		.max_hw_sectors = UINT_MAX,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
		.max_hw_discard_sectors = UINT_MAX,
		.max_user_discard_sectors = UINT_MAX,
		.max_write_zeroes_sectors = UINT_MAX,
		.dma_alignment = SECTOR_SIZE - 1,
	};
}

static unsigned int gcd(unsigned int a, unsigned int b)
{
	return b ? gcd(b, a % b) : a;
}

static unsigned int lcm_not_zero(unsigned int a, unsigned int b)
{
	return a && b ? a / gcd(a, b) * b : a ?: b;
}

/* Where the first whole granule of @b begins, seen from @start. */
static unsigned int discard_alignment_at(const struct queue_limits *b,
					 sector_t start)
{
	unsigned int granularity = b->discard_granularity;
	unsigned int off = (start << SECTOR_SHIFT) % granularity;

	return (granularity + b->discard_alignment - off) % granularity;
}

static void stack_discard(struct queue_limits *t, const struct queue_limits *b,
			  sector_t start)
{
	t->max_discard_sectors = min_not_zero(t->max_discard_sectors,
					      b->max_discard_sectors);
	t->max_hw_discard_sectors = min_not_zero(t->max_hw_discard_sectors,
						 b->max_hw_discard_sectors);
	t->discard_granularity = max(t->discard_granularity,
				     b->discard_granularity);
	t->discard_alignment = lcm_not_zero(t->discard_alignment,
					    discard_alignment_at(b, start)) %
			       t->discard_granularity;
}

/* Makes @t fit for what stands on @b, too; -1 when nothing can. */
int blk_stack_limits(struct queue_limits *t, struct queue_limits *b,
		     sector_t start)
{
	const u32 any = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
			BLK_FEAT_ROTATIONAL | BLK_FEAT_STABLE_WRITES;
	const u32 all = BLK_FEAT_NOWAIT | BLK_FEAT_POLL | BLK_FEAT_DAX;
	int ret = 0;

	t->features |= b->features & any;
	t->features &= ~all | b->features;
	t->max_sectors = min_not_zero(t->max_sectors, b->max_sectors);
	t->max_hw_sectors = min_not_zero(t->max_hw_sectors, b->max_hw_sectors);
	t->max_segments = min_not_zero(t->max_segments, b->max_segments);
	t->max_segment_size = min_not_zero(t->max_segment_size,
					   b->max_segment_size);
	t->chunk_sectors = min_not_zero(t->chunk_sectors, b->chunk_sectors);
	t->max_write_zeroes_sectors = min(t->max_write_zeroes_sectors,
					  b->max_write_zeroes_sectors);
	if (b->discard_granularity)
		stack_discard(t, b, start);
	t->logical_block_size = max(t->logical_block_size,
				    b->logical_block_size);
	t->physical_block_size = max(t->physical_block_size,
				     b->physical_block_size);
	t->io_min = max(t->io_min, b->io_min);
	t->io_opt = lcm_not_zero(t->io_opt, b->io_opt);
	t->dma_alignment = max(t->dma_alignment, b->dma_alignment);
	if ((start << SECTOR_SHIFT) & (t->logical_block_size - 1))
		ret = -1;
	return ret;
}

void queue_limits_stack_bdev(struct queue_limits *t, struct block_device *bdev,
			     sector_t offset, const char *pfx)
{
	if (blk_stack_limits(t, bdev_limits(bdev), offset))
		pr_notice("%s: alignment inconsistency with %s\n", pfx,
			  bdev->name);
}

/* Persistent memory */

long dax_direct_access(struct dax_device *dax, pgoff_t pgoff, long nr_pages,
		       enum dax_access_mode mode, void **kaddr, pfn_t *pfn)
{
	unsigned long left;
	char *addr;

	if (!dax)
		return -EOPNOTSUPP;
	if (nr_pages < 0 || pgoff >= dax->nr_pages)
		return -ERANGE;
	left = dax->nr_pages - pgoff;
	if (dax->max_run)
		left = min(left, dax->max_run - pgoff % dax->max_run);
	addr = (char *)dax->base + pgoff * PAGE_SIZE;
	if (kaddr)
		*kaddr = addr;
	if (pfn)
		pfn->val = (unsigned long)addr >> PAGE_SHIFT;
	return min_t(unsigned long, left, nr_pages);
}

int dax_zero_page_range(struct dax_device *dax, pgoff_t pgoff, size_t nr_pages)
{
	static const u8 zeroes[PAGE_SIZE];

	if (pgoff >= dax->nr_pages || nr_pages > dax->nr_pages - pgoff)
		return -ERANGE;
	migrate_disable();
	for (size_t i = 0; i < nr_pages; i++)
		port_pmem_store((char *)dax->base + (pgoff + i) * PAGE_SIZE,
				zeroes, PAGE_SIZE);
	port_pmem_fence();
	migrate_enable();
	return 0;
}

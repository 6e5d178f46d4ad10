// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bios and their pools.  A magic number tells a bio from what was one, and
 * BIO_SHIM_ENDED one whose bi_end_io has been called: until it is submitted or
 * initialised anew, ending it once more aborts.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "shim-core.h"

#define BIO_MAGIC 0x6f6962e1
#define BIO_DEAD 0xdead0b10

struct bio_set fs_bio_set;

bool bvec_iter_advance(const struct bio_vec *vec, struct bvec_iter *iter,
		       unsigned int bytes)
{
	if (bytes > iter->bi_size)
		shim_bug("an iterator is moved past its end");
	iter->bi_size -= bytes;
	bytes += iter->bi_bvec_done;
	while (bytes && bytes >= vec[iter->bi_idx].bv_len)
		bytes -= vec[iter->bi_idx++].bv_len;
	iter->bi_bvec_done = bytes;
	return true;
}

void shim_bio_check(const struct bio *bio, const char *what)
{
	if (bio->shim_magic != BIO_MAGIC)
		shim_bug("%s: not a bio, or freed", what);
}

/*
 * Rescuers.  A task whose bios are only kept until it returns (see
 * submit_bio_noacct()) must not wait for one of them to come back to the pool:
 * before it waits, a work item takes those bios over and submits them.
 */

struct shim_rescuer {
	spinlock_t lock;
	struct bio_list bios;
	struct workqueue_struct *wq;
	struct work_struct work;
};

static void rescue(struct work_struct *work)
{
	struct shim_rescuer *r = container_of(work, struct shim_rescuer, work);
	struct bio *bio;

	for (;;) {
		spin_lock(&r->lock);
		bio = bio_list_pop(&r->bios);
		spin_unlock(&r->lock);
		if (!bio)
			return;
		submit_bio_noacct(bio);
	}
}

static struct shim_rescuer *make_rescuer(void)
{
	struct shim_rescuer *r = kzalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return NULL;
	r->wq = alloc_workqueue("bioset", WQ_MEM_RECLAIM, 0);
	if (!r->wq) {
		kfree(r);
		return NULL;
	}
	spin_lock_init(&r->lock);
	INIT_WORK(&r->work, rescue);
	return r;
}

static void free_rescuer(struct bio_set *bs)
{
	if (bs->shim_rescuer)
		destroy_workqueue(bs->shim_rescuer->wq);
	kfree(bs->shim_rescuer);
	bs->shim_rescuer = NULL;
}

/* Hands the set's bios on one of the task's two lists over. */
static void punt(struct bio_set *bs, struct bio_list *list)
{
	struct bio_list all = *list;
	struct bio *bio;

	bio_list_init(list);
	while ((bio = bio_list_pop(&all)))
		bio_list_add(bio->bi_pool == bs ? &bs->shim_rescuer->bios : list, bio);
}

static void *alloc_or_punt(struct bio_set *bs, mempool_t *pool, gfp_t gfp)
{
	struct bio_list *lists = current->bio_list;
	struct shim_rescuer *r = bs->shim_rescuer;
	void *p;

	if (!r || !lists || (bio_list_empty(&lists[0]) && bio_list_empty(&lists[1])))
		return mempool_alloc(pool, gfp);
	shim_check_alloc(gfp);
	p = mempool_alloc(pool, gfp & ~__GFP_DIRECT_RECLAIM);
	if (p || !gfpflags_allow_blocking(gfp))
		return p;
	spin_lock(&r->lock);
	punt(bs, &lists[0]);
	punt(bs, &lists[1]);
	spin_unlock(&r->lock);
	queue_work(r->wq, &r->work);
	return mempool_alloc(pool, gfp);
}

/* Pools */

int bioset_init(struct bio_set *bs, unsigned int pool_size,
		unsigned int front_pad, int flags)
{
	size_t bytes;

	memset(bs, 0, sizeof(*bs));
	bs->front_pad = front_pad;
	bs->shim_pad = ALIGN(front_pad, __alignof__(struct bio));
	bs->flags = flags;
	bs->shim_live = true;
	bytes = bs->shim_pad + sizeof(struct bio) +
		4 * sizeof(struct bio_vec);
	/* No power of two is meant here, so round to get the alignment. */
	if (mempool_init_kmalloc_pool(&bs->bio_pool, pool_size,
				      ALIGN(bytes, 16)) ||
	    mempool_init_kmalloc_pool(&bs->bvec_pool,
				      flags & BIOSET_NEED_BVECS ? pool_size : 0,
				      BIO_MAX_VECS * sizeof(struct bio_vec)))
		goto fail;
	if (flags & BIOSET_NEED_RESCUER) {
		bs->shim_rescuer = make_rescuer();
		if (!bs->shim_rescuer)
			goto fail;
	}
	return 0;
fail:
	bioset_exit(bs);
	return -ENOMEM;
}

void bioset_exit(struct bio_set *bs)
{
	if (!bs->shim_live)
		return;
	bs->shim_live = false;
	free_rescuer(bs);
	mempool_exit(&bs->bio_pool);
	mempool_exit(&bs->bvec_pool);
}

bool bioset_initialized(struct bio_set *bs)
{
	return bs->shim_live;
}

/* Initialisation */

void bio_init(struct bio *bio, struct block_device *bdev,
	      struct bio_vec *table, unsigned short max_vecs, blk_opf_t opf)
{
	*bio = (struct bio) {
		.bi_bdev = bdev,
		.bi_opf = opf,
		.bi_io_vec = table,
		.bi_max_vecs = max_vecs,
		.__bi_remaining = ATOMIC_INIT(1),
		.__bi_cnt = ATOMIC_INIT(1),
		.shim_magic = BIO_MAGIC,
	};
}

void bio_uninit(struct bio *bio)
{
	shim_bio_check(bio, "bio_uninit");
	bio->shim_magic = BIO_DEAD;
}

void bio_reset(struct bio *bio, struct block_device *bdev, blk_opf_t opf)
{
	struct bio_set *pool = bio->bi_pool;
	int refs = atomic_read(&bio->__bi_cnt);

	shim_bio_check(bio, "bio_reset");
	bio_init(bio, bdev, bio->bi_io_vec, bio->bi_max_vecs, opf);
	bio->bi_pool = pool;
	atomic_set(&bio->__bi_cnt, refs);
}

/*
 * Up to 4 vectors lie behind the bio; more come from the pool of 256, so that
 * a bio that is in use can always be had once others are put.
 */
static struct bio_vec *inline_vecs(struct bio *bio)
{
	return (struct bio_vec *)(bio + 1);
}

struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr_vecs,
			     blk_opf_t opf, gfp_t gfp, struct bio_set *bs)
{
	struct bio_vec *vecs;
	struct bio *bio;
	void *p;

	if (bs == &fs_bio_set) {
		bio = bio_kmalloc(nr_vecs, gfp);
		if (bio) {
			bio_init(bio, bdev, inline_vecs(bio), nr_vecs, opf);
			bio->bi_pool = bs;
		}
		return bio;
	}
	if (!bs->shim_live)
		shim_bug("a bio_set is used that does not exist");
	if (nr_vecs > BIO_MAX_VECS ||
	    (nr_vecs > 4 && !(bs->flags & BIOSET_NEED_BVECS)))
		shim_bug("a bio_set is asked for %d vectors", nr_vecs);
	p = alloc_or_punt(bs, &bs->bio_pool, gfp);
	if (!p)
		return NULL;
	bio = (struct bio *)((char *)p + bs->shim_pad);
	vecs = inline_vecs(bio);
	if (nr_vecs > 4) {
		vecs = alloc_or_punt(bs, &bs->bvec_pool, gfp);
		if (!vecs) {
			mempool_free(p, &bs->bio_pool);
			return NULL;
		}
	}
	bio_init(bio, bdev, nr_vecs ? vecs : NULL, nr_vecs, opf);
	bio->bi_pool = bs;
	return bio;
}

/* To be initialised and, after bio_uninit(), freed by the caller. */
struct bio *bio_kmalloc(unsigned short nr_vecs, gfp_t gfp)
{
	return kmalloc(sizeof(struct bio) + nr_vecs * sizeof(struct bio_vec),
		       gfp);
}

static void free_bio(struct bio *bio)
{
	struct bio_set *bs = bio->bi_pool;

	bio->shim_magic = BIO_DEAD;
	if (!bs)
		return;		/* its owner's */
	if (bs == &fs_bio_set) {
		kfree(bio);
		return;
	}
	if (bio->bi_max_vecs > 4 && !bio_flagged(bio, BIO_CLONED))
		mempool_free(bio->bi_io_vec, &bs->bvec_pool);
	mempool_free((char *)bio - bs->shim_pad, &bs->bio_pool);
}

void bio_put(struct bio *bio)
{
	int left;

	shim_bio_check(bio, "bio_put");
	left = atomic_dec_return(&bio->__bi_cnt);
	if (left < 0)
		shim_bug("bio_put() of a bio without a reference");
	if (left == 0)
		free_bio(bio);
}

/* Clones share the vectors of what they were cloned from. */
int bio_init_clone(struct block_device *bdev, struct bio *bio,
		   struct bio *src, gfp_t gfp)
{
	shim_bio_check(src, "bio_init_clone");
	bio_init(bio, bdev, src->bi_io_vec, 0, src->bi_opf);
	bio->bi_iter = src->bi_iter;
	bio->bi_ioprio = src->bi_ioprio;
	bio_set_flag(bio, BIO_CLONED);
	return 0;
}

struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src,
			    gfp_t gfp, struct bio_set *bs)
{
	struct bio *bio = bio_alloc_bioset(bdev, 0, src->bi_opf, gfp, bs);

	if (!bio)
		return NULL;
	bio_init_clone(bdev, bio, src, gfp);
	bio->bi_pool = bs;
	return bio;
}

/* Gives the first @sectors; @bio keeps the rest. */
struct bio *bio_split(struct bio *bio, int sectors, gfp_t gfp,
		      struct bio_set *bs)
{
	struct bio *split;

	if (sectors <= 0 || sectors >= (int)bio_sectors(bio))
		shim_bug("bio_split() at %d of %u", sectors, bio_sectors(bio));
	split = bio_alloc_clone(bio->bi_bdev, bio, gfp, bs);
	if (!split)
		return NULL;
	split->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	bio_advance(bio, split->bi_iter.bi_size);
	return split;
}

static void end_chained(struct bio *bio)
{
	struct bio *parent = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(parent->bi_status, bio->bi_status);
	bio_put(bio);
	bio_endio(parent);
}

void bio_chain(struct bio *bio, struct bio *parent)
{
	if (bio->bi_private || bio->bi_end_io)
		shim_bug("bio_chain() of a bio that has an end");
	bio->bi_private = parent;
	bio->bi_end_io = end_chained;
	bio_inc_remaining(parent);
}

void bio_endio(struct bio *bio)
{
	shim_bio_check(bio, "bio_endio");
	if (bio_flagged(bio, BIO_SHIM_ENDED))
		shim_bug("bio_endio() twice");
	if (bio_flagged(bio, BIO_CHAIN)) {
		int left = atomic_dec_return(&bio->__bi_remaining);

		if (left < 0)
			shim_bug("bio_endio() more often than it was chained");
		if (left > 0)
			return;
		bio_clear_flag(bio, BIO_CHAIN);
		atomic_set(&bio->__bi_remaining, 1);
	}
	bio_set_flag(bio, BIO_SHIM_ENDED);
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

/* Content */

void __bio_add_page(struct bio *bio, struct page *page, unsigned int len,
		    unsigned int off)
{
	if (bio_flagged(bio, BIO_CLONED) || bio->bi_vcnt >= bio->bi_max_vecs)
		shim_bug("a page is added to a full bio or a clone");
	bvec_set_page(&bio->bi_io_vec[bio->bi_vcnt++], page, len, off);
	bio->bi_iter.bi_size += len;
}

int bio_add_page(struct bio *bio, struct page *page, unsigned int len,
		 unsigned int off)
{
	struct bio_vec *last;

	if (bio_flagged(bio, BIO_CLONED) ||
	    len > UINT_MAX - bio->bi_iter.bi_size)
		return 0;
	if (bio->bi_vcnt) {
		last = &bio->bi_io_vec[bio->bi_vcnt - 1];
		if ((char *)bvec_virt(last) + last->bv_len ==
		    (char *)page_address(page) + off) {
			last->bv_len += len;
			bio->bi_iter.bi_size += len;
			return len;
		}
	}
	if (bio->bi_vcnt >= bio->bi_max_vecs)
		return 0;
	__bio_add_page(bio, page, len, off);
	return len;
}

void bio_trim(struct bio *bio, sector_t offset, sector_t size)
{
	if (offset + size > bio_sectors(bio))
		shim_bug("bio_trim() beyond the bio");
	if (offset)
		bio_advance(bio, offset << SECTOR_SHIFT);
	bio->bi_iter.bi_size = size << SECTOR_SHIFT;
}

void bio_copy_data_iter(struct bio *dst, struct bvec_iter *dst_iter,
			struct bio *src, struct bvec_iter *src_iter)
{
	while (src_iter->bi_size && dst_iter->bi_size) {
		struct bio_vec s = bio_iter_iovec(src, *src_iter);
		struct bio_vec d = bio_iter_iovec(dst, *dst_iter);
		unsigned int n = min(s.bv_len, d.bv_len);

		memcpy(bvec_virt(&d), bvec_virt(&s), n);
		bio_advance_iter(src, src_iter, n);
		bio_advance_iter(dst, dst_iter, n);
	}
}

void bio_copy_data(struct bio *dst, struct bio *src)
{
	struct bvec_iter d = dst->bi_iter, s = src->bi_iter;

	bio_copy_data_iter(dst, &d, src, &s);
}

void zero_fill_bio_iter(struct bio *bio, struct bvec_iter start)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	__bio_for_each_segment(bv, bio, iter, start)
		memzero_bvec(&bv);
}

void bio_free_pages(struct bio *bio)
{
	for (unsigned int i = 0; i < bio->bi_vcnt; i++) {
		struct bio_vec *bv = &bio->bi_io_vec[i];

		for (unsigned int n = 0; n < bv->bv_len; n += PAGE_SIZE)
			__free_page(bv->bv_page + n / PAGE_SIZE);
	}
}

unsigned int bio_segments(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int n = 0;

	if (!bio_has_data(bio))
		return !op_is_flush(bio->bi_opf);
	bio_for_each_segment(bv, bio, iter)
		n++;
	return n;
}

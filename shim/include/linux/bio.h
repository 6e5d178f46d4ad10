/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_BIO_H
#define SHIM_LINUX_BIO_H

#include <linux/blk_types.h>
#include <linux/kernel.h>
#include <linux/mempool.h>

#define BIO_POOL_SIZE 2
#define BIOSET_NEED_BVECS (1 << 0)
#define BIOSET_NEED_RESCUER (1 << 1)
#define BIOSET_PERCPU_CACHE (1 << 2)

int bioset_init(struct bio_set *bs, unsigned int pool_size,
		unsigned int front_pad, int flags);
/* Warns of bios that were not put. */
void bioset_exit(struct bio_set *bs);
bool bioset_initialized(struct bio_set *bs);

extern struct bio_set fs_bio_set;

void bio_init(struct bio *bio, struct block_device *bdev,
	      struct bio_vec *table, unsigned short max_vecs, blk_opf_t opf);
void bio_uninit(struct bio *bio);
void bio_reset(struct bio *bio, struct block_device *bdev, blk_opf_t opf);
struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr_vecs,
			     blk_opf_t opf, gfp_t gfp, struct bio_set *bs);
struct bio *bio_kmalloc(unsigned short nr_vecs, gfp_t gfp);
struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *src,
			    gfp_t gfp, struct bio_set *bs);
int bio_init_clone(struct block_device *bdev, struct bio *bio,
		   struct bio *src, gfp_t gfp);
struct bio *bio_split(struct bio *bio, int sectors, gfp_t gfp,
		      struct bio_set *bs);
void bio_put(struct bio *bio);
void bio_chain(struct bio *bio, struct bio *parent);

int bio_add_page(struct bio *bio, struct page *page, unsigned int len,
		 unsigned int off);
void __bio_add_page(struct bio *bio, struct page *page, unsigned int len,
		    unsigned int off);
void bio_trim(struct bio *bio, sector_t offset, sector_t size);
void bio_endio(struct bio *bio);
void bio_copy_data(struct bio *dst, struct bio *src);
void bio_copy_data_iter(struct bio *dst, struct bvec_iter *dst_iter,
			struct bio *src, struct bvec_iter *src_iter);
void zero_fill_bio_iter(struct bio *bio, struct bvec_iter start);
void bio_free_pages(struct bio *bio);
void shim_bio_check(const struct bio *bio, const char *what);

static inline struct bio *bio_alloc(struct block_device *bdev,
				    unsigned short nr_vecs, blk_opf_t opf,
				    gfp_t gfp)
{
	return bio_alloc_bioset(bdev, nr_vecs, opf, gfp, &fs_bio_set);
}

static inline void zero_fill_bio(struct bio *bio)
{
	zero_fill_bio_iter(bio, bio->bi_iter);
}

static inline bool bio_flagged(const struct bio *bio, unsigned int bit)
{
	return __atomic_load_n(&bio->bi_flags, __ATOMIC_RELAXED) & (1U << bit);
}

static inline void bio_set_flag(struct bio *bio, unsigned int bit)
{
	__atomic_fetch_or(&bio->bi_flags, 1U << bit, __ATOMIC_RELAXED);
}

static inline void bio_clear_flag(struct bio *bio, unsigned int bit)
{
	__atomic_fetch_and(&bio->bi_flags, ~(1U << bit), __ATOMIC_RELAXED);
}

static inline void bio_get(struct bio *bio)
{
	atomic_inc(&bio->__bi_cnt);
}

static inline void bio_inc_remaining(struct bio *bio)
{
	bio_set_flag(bio, BIO_CHAIN);
	atomic_inc(&bio->__bi_remaining);
}

static inline void bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_clear_flag(bio, BIO_REMAPPED);
	bio->bi_bdev = bdev;
}

static inline void bio_io_error(struct bio *bio)
{
	bio->bi_status = BLK_STS_IOERR;
	bio_endio(bio);
}

static inline void bio_wouldblock_error(struct bio *bio)
{
	bio_set_flag(bio, BIO_QUIET);
	bio->bi_status = BLK_STS_AGAIN;
	bio_endio(bio);
}

#define bvec_iter_sectors(iter) ((iter).bi_size >> 9)
#define bvec_iter_end_sector(iter) ((iter).bi_sector + bvec_iter_sectors(iter))
#define bio_sectors(bio) bvec_iter_sectors((bio)->bi_iter)
#define bio_end_sector(bio) bvec_iter_end_sector((bio)->bi_iter)
#define bio_data_dir(bio) (op_is_write(bio_op(bio)) ? WRITE : READ)
#define bio_prio(bio) ((bio)->bi_ioprio)
#define READ 0
#define WRITE 1

static inline bool bio_has_data(struct bio *bio)
{
	return bio && bio->bi_iter.bi_size &&
	       bio_op(bio) != REQ_OP_DISCARD &&
	       bio_op(bio) != REQ_OP_SECURE_ERASE &&
	       bio_op(bio) != REQ_OP_WRITE_ZEROES;
}

static inline bool bio_no_advance_iter(const struct bio *bio)
{
	return bio_op(bio) == REQ_OP_DISCARD ||
	       bio_op(bio) == REQ_OP_SECURE_ERASE ||
	       bio_op(bio) == REQ_OP_WRITE_ZEROES;
}

static inline void bio_advance_iter(const struct bio *bio,
				    struct bvec_iter *iter, unsigned int bytes)
{
	iter->bi_sector += bytes >> 9;
	if (bio_no_advance_iter(bio))
		iter->bi_size -= bytes;
	else
		bvec_iter_advance(bio->bi_io_vec, iter, bytes);
}

#define bio_advance_iter_single(bio, iter, bytes) \
	bio_advance_iter(bio, iter, bytes)

static inline void bio_advance(struct bio *bio, unsigned int bytes)
{
	bio_advance_iter(bio, &bio->bi_iter, bytes);
}

#define bio_iter_iovec(bio, iter) bvec_iter_bvec((bio)->bi_io_vec, (iter))
#define bio_iter_page(bio, iter) bvec_iter_page((bio)->bi_io_vec, (iter))
#define bio_iter_len(bio, iter) bvec_iter_len((bio)->bi_io_vec, (iter))
#define bio_iter_offset(bio, iter) bvec_iter_offset((bio)->bi_io_vec, (iter))
#define bio_page(bio) bio_iter_page((bio), (bio)->bi_iter)
#define bio_offset(bio) bio_iter_offset((bio), (bio)->bi_iter)
#define bio_iovec(bio) bio_iter_iovec((bio), (bio)->bi_iter)
#define bio_data(bio) \
	((char *)page_address(bio_page(bio)) + bio_offset(bio))

#define __bio_for_each_segment(bvl, bio, iter, start)			\
	for ((iter) = (start);						\
	     (iter).bi_size && (((bvl) = bio_iter_iovec((bio), (iter))), 1); \
	     bio_advance_iter((bio), &(iter), (bvl).bv_len))
#define bio_for_each_segment(bvl, bio, iter) \
	__bio_for_each_segment(bvl, bio, iter, (bio)->bi_iter)
#define __bio_for_each_bvec(bvl, bio, iter, start)			\
	for ((iter) = (start);						\
	     (iter).bi_size &&						\
	     (((bvl) = mp_bvec_iter_bvec((bio)->bi_io_vec, (iter))), 1); \
	     bio_advance_iter((bio), &(iter), (bvl).bv_len))
#define bio_for_each_bvec(bvl, bio, iter) \
	__bio_for_each_bvec(bvl, bio, iter, (bio)->bi_iter)
#define bio_for_each_bvec_all(bvl, bio, i)				\
	for ((i) = 0, (bvl) = (bio)->bi_io_vec; (i) < (bio)->bi_vcnt;	\
	     (i)++, (bvl)++)

unsigned int bio_segments(struct bio *bio);

struct bio_list {
	struct bio *head;
	struct bio *tail;
};

#define BIO_EMPTY_LIST { NULL, NULL }
#define bio_list_for_each(bio, bl) \
	for ((bio) = (bl)->head; (bio); (bio) = (bio)->bi_next)

static inline void bio_list_init(struct bio_list *bl)
{
	bl->head = bl->tail = NULL;
}

static inline bool bio_list_empty(const struct bio_list *bl)
{
	return bl->head == NULL;
}

static inline struct bio *bio_list_peek(struct bio_list *bl)
{
	return bl->head;
}

static inline void bio_list_add(struct bio_list *bl, struct bio *bio)
{
	bio->bi_next = NULL;
	if (bl->tail)
		bl->tail->bi_next = bio;
	else
		bl->head = bio;
	bl->tail = bio;
}

static inline void bio_list_add_head(struct bio_list *bl, struct bio *bio)
{
	bio->bi_next = bl->head;
	bl->head = bio;
	if (!bl->tail)
		bl->tail = bio;
}

static inline void bio_list_merge(struct bio_list *bl, struct bio_list *from)
{
	if (!from->head)
		return;
	if (bl->tail)
		bl->tail->bi_next = from->head;
	else
		bl->head = from->head;
	bl->tail = from->tail;
}

static inline void bio_list_merge_init(struct bio_list *bl,
				       struct bio_list *from)
{
	bio_list_merge(bl, from);
	bio_list_init(from);
}

static inline void bio_list_merge_head(struct bio_list *bl,
				       struct bio_list *from)
{
	if (!from->head)
		return;
	from->tail->bi_next = bl->head;
	if (!bl->tail)
		bl->tail = from->tail;
	bl->head = from->head;
}

static inline struct bio *bio_list_pop(struct bio_list *bl)
{
	struct bio *bio = bl->head;

	if (bio) {
		bl->head = bio->bi_next;
		if (!bl->head)
			bl->tail = NULL;
		bio->bi_next = NULL;
	}
	return bio;
}

static inline struct bio *bio_list_get(struct bio_list *bl)
{
	struct bio *bio = bl->head;

	bio_list_init(bl);
	return bio;
}

static inline unsigned int bio_list_size(const struct bio_list *bl)
{
	struct bio *bio;
	unsigned int n = 0;

	bio_list_for_each(bio, bl)
		n++;
	return n;
}

#include <linux/blkdev.h>

#endif

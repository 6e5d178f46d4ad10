/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_BVEC_H
#define SHIM_LINUX_BVEC_H

#include <linux/highmem.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/types.h>

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;		/* bytes left */
	unsigned int bi_idx;
	unsigned int bi_bvec_done;	/* bytes done of bi_io_vec[bi_idx] */
};

static inline void bvec_set_page(struct bio_vec *bv, struct page *page,
				 unsigned int len, unsigned int offset)
{
	bv->bv_page = page;
	bv->bv_len = len;
	bv->bv_offset = offset;
}

static inline void bvec_set_virt(struct bio_vec *bv, void *vaddr,
				 unsigned int len)
{
	bvec_set_page(bv, virt_to_page(vaddr), len, offset_in_page(vaddr));
}

/* What of bi_io_vec[bi_idx] lies ahead, over as many pages as it covers. */
static inline struct bio_vec mp_bvec_iter_bvec(const struct bio_vec *vec,
					       struct bvec_iter iter)
{
	const struct bio_vec *bv = vec + iter.bi_idx;
	unsigned int off = bv->bv_offset + iter.bi_bvec_done;

	return (struct bio_vec) {
		.bv_page = bv->bv_page + off / PAGE_SIZE,
		.bv_offset = off % PAGE_SIZE,
		.bv_len = min(iter.bi_size, bv->bv_len - iter.bi_bvec_done),
	};
}

/* The same, up to the end of its first page. */
static inline struct bio_vec bvec_iter_bvec(const struct bio_vec *vec,
					    struct bvec_iter iter)
{
	struct bio_vec bv = mp_bvec_iter_bvec(vec, iter);

	bv.bv_len = min_t(unsigned int, bv.bv_len, PAGE_SIZE - bv.bv_offset);
	return bv;
}

#define bvec_iter_len(vec, iter) (bvec_iter_bvec(vec, iter).bv_len)
#define bvec_iter_page(vec, iter) (bvec_iter_bvec(vec, iter).bv_page)
#define bvec_iter_offset(vec, iter) (bvec_iter_bvec(vec, iter).bv_offset)

bool bvec_iter_advance(const struct bio_vec *vec, struct bvec_iter *iter,
		       unsigned int bytes);

static inline void *bvec_virt(struct bio_vec *bv)
{
	return (char *)page_address(bv->bv_page) + bv->bv_offset;
}

static inline void *bvec_kmap_local(struct bio_vec *bv)
{
	return bvec_virt(bv);
}

static inline void memcpy_from_bvec(char *to, struct bio_vec *bv)
{
	memcpy(to, bvec_virt(bv), bv->bv_len);
}

static inline void memcpy_to_bvec(struct bio_vec *bv, const char *from)
{
	memcpy(bvec_virt(bv), from, bv->bv_len);
}

static inline void memzero_bvec(struct bio_vec *bv)
{
	memset(bvec_virt(bv), 0, bv->bv_len);
}

#define for_each_bvec(bvl, vec, iter, start)				\
	for ((iter) = (start);						\
	     (iter).bi_size && (((bvl) = bvec_iter_bvec((vec), (iter))), 1); \
	     bvec_iter_advance((vec), &(iter), (bvl).bv_len))

#endif

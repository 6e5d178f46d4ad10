// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The data of extents: copied out of the medium or to another place on it, safe against
 * media errors and, with data_crc, verified.
 *
 * The CRC of a key covers all its data, so reading a part of it reads the rest
 * as well; keys are short where there are CRCs (PCACHE_CRC_KEY_SECTORS).
 *
 * A reader's copy is verified where it lies, in the reader's pages: what was there when
 * the CRC was taken is what the reader got. These pages can change under a direct read,
 * so a CRC that does not match there proves nothing: then it is all done once more by way
 * of memory that nobody else has, and that decides.
 *
 * Callers hold a ref of the segment.
 */
#include <linux/crc32c.h>
#include <linux/highmem.h>

#include "pcache.h"
#include "pmem.h"
#include "trace.h"

/* Copies @bytes from @src to the bio at @iter, which moves on. */
static void copy_to_bio(struct bio *bio, struct bvec_iter *iter, const void *src, u32 bytes)
{
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, *iter);
		u32 n = min(bytes, bv.bv_len);
		void *dst = bvec_kmap_local(&bv);

		memcpy(dst, src, n);
		kunmap_local(dst);
		bio_advance_iter_single(bio, iter, n);
		src += n;
		bytes -= n;
	}
}

/* Straight from the medium to the bio; with @crc, goes on with it over what arrived there. */
static bool copy_straight(struct bio *bio, struct bvec_iter iter, const void *src, u32 bytes,
			  u32 *crc)
{
	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, iter);
		u32 n = min(bytes, bv.bv_len);
		void *dst = bvec_kmap_local(&bv);
		bool good = pmem_read(dst, src, n);

		if (good && crc)
			*crc = crc32c(*crc, dst, n);
		kunmap_local(dst);
		if (!good)
			return false;
		bio_advance_iter_single(bio, &iter, n);
		src += n;
		bytes -= n;
	}
	return true;
}

/*
 * Goes on with @crc over @sectors of the medium, by way of this CPU's bounce memory. With
 * @bio they are copied there at @iter, which moves on. At a media error it is that of the
 * pieces before it.
 */
static bool crc_sectors(struct pcache *pc, const void *src, u32 sectors, u32 *crc,
			struct bio *bio, struct bvec_iter *iter)
{
	u32 left = sectors << SECTOR_SHIFT, n;
	bool good = true;

	for (; good && left; left -= n, src += n) {
		u8 *buf = pcache_bounce_get(pc->bounce);

		n = min_t(u32, left, PCACHE_PIECE_BYTES);
		good = pmem_read(buf, src, n);
		if (good)
			*crc = crc32c(*crc, buf, n);
		if (good && bio)
			copy_to_bio(bio, iter, buf, n);
		pcache_bounce_put(pc->bounce);
	}
	return good;
}

/*
 * Copies an extent to a bio, and takes the CRC of the whole key: with @straight of the copy,
 * otherwise of memory that nobody else has.
 */
static int copy_and_verify(struct pcache *pc, const struct pcache_extent *e, struct bio *bio,
			   struct bvec_iter iter, bool straight)
{
	const void *key = pcache_seg_data(pc, e->seg, (e->off - e->key_delta) << SECTOR_SHIFT);
	const void *src = key + (e->key_delta << SECTOR_SHIFT);
	u32 bytes = e->sectors << SECTOR_SHIFT, crc = PCACHE_CRC_SEED;

	if (!crc_sectors(pc, key, e->key_delta, &crc, NULL, NULL))
		return -EIO;
	if (straight ? !copy_straight(bio, iter, src, bytes, &crc) :
		       !crc_sectors(pc, src, e->sectors, &crc, bio, &iter))
		return -EIO;
	if (!crc_sectors(pc, src + bytes, e->key_sectors - e->key_delta - e->sectors, &crc,
			 NULL, NULL))
		return -EIO;
	return crc == e->crc ? 0 : -EILSEQ;
}

/**
 * pcache_extent_copy_to_bio() - Copy an extent's data to a bio.
 * @pc: cache
 * @e: extent
 * @bio: bio
 * @iter: where in it; at least the extent's length is left there
 *
 * Return: 0; -EIO at a media error, -EILSEQ when the CRC does not match. The
 * bio then holds something.
 */
int pcache_extent_copy_to_bio(struct pcache *pc, const struct pcache_extent *e,
			      struct bio *bio, struct bvec_iter iter)
{
	const void *src = pcache_seg_data(pc, e->seg, e->off << SECTOR_SHIFT);
	int r;

	if (!pc->data_crc)
		return copy_straight(bio, iter, src, e->sectors << SECTOR_SHIFT, NULL) ? 0 : -EIO;
	r = copy_and_verify(pc, e, bio, iter, true);
	return r == -EILSEQ ? copy_and_verify(pc, e, bio, iter, false) : r;
}

/*
 * Copies up to a piece of the medium to another place on it; with data_crc goes on with the
 * CRC of either.
 */
static bool copy_piece(struct pcache *pc, void *dst, const void *src, u32 bytes, u32 *crc,
		       u32 *new_crc)
{
	u8 *buf = pcache_bounce_get(pc->bounce);
	bool good = pmem_read(buf, src, bytes);

	if (good && pc->data_crc) {
		*crc = crc32c(*crc, buf, bytes);
		*new_crc = crc32c(*new_crc, buf, bytes);
	}
	if (good)
		pcache_copy_store(pc, dst, buf, bytes);	/* E1 */
	pcache_bounce_put(pc->bounce);
	return good;
}

/**
 * pcache_extent_copy_to_own() - Copy an extent's data to pages that nobody else changes.
 * @pc: cache
 * @e: extent
 * @vec: pages, just as long as the extent
 *
 * What was copied is itself what is verified; only the rest of a key of which this is a part
 * goes by way of bounce memory.
 *
 * Return: as pcache_extent_copy_to_bio(); with an error the pages hold something.
 */
int pcache_extent_copy_to_own(struct pcache *pc, const struct pcache_extent *e,
			      struct bio_vec *vec)
{
	const void *src = pcache_seg_data(pc, e->seg, e->off << SECTOR_SHIFT);
	u32 left = e->sectors << SECTOR_SHIFT, crc = PCACHE_CRC_SEED;
	u32 before = pc->data_crc ? e->key_delta : 0;
	u32 behind = pc->data_crc ? e->key_sectors - before - e->sectors : 0;

	if (!crc_sectors(pc, src - (before << SECTOR_SHIFT), before, &crc, NULL, NULL))
		return -EIO;
	for (; left; vec++) {
		void *dst = bvec_kmap_local(vec);
		bool good = pmem_read(dst, src, vec->bv_len);

		if (good && pc->data_crc)
			crc = crc32c(crc, dst, vec->bv_len);
		kunmap_local(dst);
		if (!good)
			return -EIO;
		src += vec->bv_len;
		left -= vec->bv_len;
	}
	if (!crc_sectors(pc, src, behind, &crc, NULL, NULL))
		return -EIO;
	return pc->data_crc && crc != e->crc ? -EILSEQ : 0;
}

/**
 * pcache_extent_copy_to_room() - Copy an extent's data to another place in the cache.
 * @pc: cache
 * @e: extent, as long as the room
 * @room: where to
 * @crcs: with data_crc, gets the CRC of each key's data there
 *
 * Durable on return.
 *
 * Return: as pcache_extent_copy_to_bio(); with an error the room holds something.
 */
int pcache_extent_copy_to_room(struct pcache *pc, const struct pcache_extent *e,
			       const struct pcache_room *room, u32 *crcs)
{
	u32 before = pc->data_crc ? e->key_delta : 0, key = pcache_key_sectors_max(pc);
	u32 behind = pc->data_crc ? e->key_sectors - e->key_delta - e->sectors : 0;
	const void *src = pcache_seg_data(pc, e->seg, (e->off - before) << SECTOR_SHIFT);
	void *dst = pcache_seg_data(pc, room->seg, room->off << SECTOR_SHIFT);
	u32 crc = PCACHE_CRC_SEED, done, n;
	bool good;

	pmem_begin();
	good = crc_sectors(pc, src, before, &crc, NULL, NULL);
	src += before << SECTOR_SHIFT;
	for (done = 0; good && done < e->sectors; done += n) {
		if (pc->data_crc && done % key == 0)
			crcs[done / key] = PCACHE_CRC_SEED;
		n = min_t(u32, e->sectors - done, PCACHE_PIECE_SECTORS);
		good = copy_piece(pc, dst, src, n << SECTOR_SHIFT, &crc, &crcs[done / key]);
		src += n << SECTOR_SHIFT;
		dst += n << SECTOR_SHIFT;
	}
	good = good && crc_sectors(pc, src, behind, &crc, NULL, NULL);
	pmem_end();
	return !good ? -EIO : pc->data_crc && crc != e->crc ? -EILSEQ : 0;
}

/**
 * pcache_extent_crc() - CRC of an extent's bytes as they are on the medium.
 * @pc: cache
 * @e: extent
 *
 * At a media error, that of the pieces before it.
 */
u32 pcache_extent_crc(struct pcache *pc, const struct pcache_extent *e)
{
	const void *src = pcache_seg_data(pc, e->seg, e->off << SECTOR_SHIFT);
	u32 crc = PCACHE_CRC_SEED;

	crc_sectors(pc, src, e->sectors, &crc, NULL, NULL);
	return crc;
}

/**
 * pcache_extent_is_good() - Does the data of the key an extent is of fit its CRC?
 * @pc: cache, with data_crc
 * @e: extent
 */
bool pcache_extent_is_good(struct pcache *pc, const struct pcache_extent *e)
{
	struct pcache_extent key = *e;

	key.off -= e->key_delta;
	key.sectors = e->key_sectors;
	return pcache_extent_crc(pc, &key) == e->crc;
}

/**
 * pcache_extent_count_error() - Count and log that data could not be read.
 * @pc: cache
 * @e: extent
 * @err: what pcache_extent_copy_to_bio() returned
 */
void pcache_extent_count_error(struct pcache *pc, const struct pcache_extent *e, int err)
{
	bool crc = err == -EILSEQ;

	pcache_count(pc, crc ? PCACHE_STAT_CRC_ERRORS : PCACHE_STAT_MEDIA_ERRORS, 1);
	trace_pcache_failure(pc, crc ? "CRC error in cached data" : "media error in cached data",
			     e->sector, e->sectors);
	pcache_err_limit(pc, "%s in %s data of sectors %llu to %llu (segment %u, sector %u)",
			 crc ? "CRC error" : "media error", e->clean ? "clean" : "dirty",
			 (unsigned long long)e->sector,
			 (unsigned long long)pcache_extent_end(e) - 1, e->seg, e->off);
	if (!e->clean)
		pcache_event(pc);
	if (pcache_seg_note_bad(pc, e->seg))
		pcache_wear_out(pc);
}

/**
 * pcache_extent_init() - Make the bounce memory.
 * @pc: cache
 *
 * Return: 0 or -ENOMEM; then pcache_extent_exit() cleans up.
 */
int pcache_extent_init(struct pcache *pc)
{
	int cpu;

	pc->bounce = __alloc_percpu(sizeof(*pc->bounce), PCACHE_PIECE_BYTES);
	if (!pc->bounce)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(pc->bounce, cpu)->lock);
	return 0;
}

/**
 * pcache_extent_exit() - Free it.
 * @pc: cache
 */
void pcache_extent_exit(struct pcache *pc)
{
	free_percpu(pc->bounce);
}

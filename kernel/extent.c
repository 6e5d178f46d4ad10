// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The data of extents: copied out of the medium or to another place on it, safe against
 * media errors and, with data_crc, verified.
 *
 * The CRC of a key covers all its data, so reading a part of it reads the rest
 * as well; keys are short where there are CRCs (PCACHE_CRC_KEY_SECTORS). What
 * is verified is a private copy, a sector at a time on the stack: the pages of
 * a reader can change under a direct read.
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

/* Without CRC: straight from the medium to the bio. */
static int copy_plain(struct pcache *pc, const struct pcache_extent *e, struct bio *bio,
		      struct bvec_iter iter)
{
	const void *src = pcache_seg_data(pc, e->seg, e->off << SECTOR_SHIFT);
	u32 bytes = e->sectors << SECTOR_SHIFT;

	while (bytes) {
		struct bio_vec bv = bio_iter_iovec(bio, iter);
		u32 n = min(bytes, bv.bv_len);
		void *dst = bvec_kmap_local(&bv);
		bool good = pmem_read(dst, src, n);

		kunmap_local(dst);
		if (!good)
			return -EIO;
		bio_advance_iter_single(bio, &iter, n);
		src += n;
		bytes -= n;
	}
	return 0;
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
	const void *src;
	u8 buf[SECTOR_SIZE] __aligned(8) __uninitialized;
	u32 crc = PCACHE_CRC_SEED, i;

	if (!pc->data_crc)
		return copy_plain(pc, e, bio, iter);

	src = pcache_seg_data(pc, e->seg, (e->off - e->key_delta) << SECTOR_SHIFT);
	for (i = 0; i < e->key_sectors; i++, src += SECTOR_SIZE) {
		if (!pmem_read(buf, src, SECTOR_SIZE))
			return -EIO;
		crc = crc32c(crc, buf, SECTOR_SIZE);
		if (i >= e->key_delta && i < e->key_delta + e->sectors)
			copy_to_bio(bio, &iter, buf, SECTOR_SIZE);
	}
	return crc == e->crc ? 0 : -EILSEQ;
}

/* Goes on with a CRC over what is on the medium; false at a media error. */
static bool crc_on_media(u32 *crc, const void *src, u32 sectors)
{
	u8 buf[SECTOR_SIZE] __aligned(8);

	for (; sectors; sectors--, src += SECTOR_SIZE) {
		if (!pmem_read(buf, src, SECTOR_SIZE))
			return false;
		*crc = crc32c(*crc, buf, SECTOR_SIZE);
	}
	return true;
}

/**
 * pcache_extent_copy_to_own() - Copy an extent's data to pages that nobody else changes.
 * @pc: cache
 * @e: extent
 * @vec: pages, just as long as the extent
 *
 * What was copied is itself what is verified, so nothing goes by way of the stack but the
 * rest of a key of which this is a part.
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

	/* Not even called without need: the kernel may clear each function's stack. */
	if (before && !crc_on_media(&crc, src - (before << SECTOR_SHIFT), before))
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
	if (behind && !crc_on_media(&crc, src, behind))
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
	u32 skip = pc->data_crc ? e->key_delta : 0, key = pcache_key_sectors_max(pc);
	u32 sectors = pc->data_crc ? e->key_sectors : e->sectors;
	const void *src = pcache_seg_data(pc, e->seg, (e->off - skip) << SECTOR_SHIFT);
	void *dst = pcache_seg_data(pc, room->seg, room->off << SECTOR_SHIFT);
	u8 buf[SECTOR_SIZE] __aligned(8) __uninitialized;
	u32 crc = PCACHE_CRC_SEED, i, n;
	bool good = true;

	pmem_begin();
	for (i = 0; good && i < sectors; i++, src += SECTOR_SIZE) {
		good = pmem_read(buf, src, SECTOR_SIZE);
		if (pc->data_crc)
			crc = crc32c(crc, buf, SECTOR_SIZE);
		if (!good || i < skip || i >= skip + e->sectors)
			continue;
		n = i - skip;
		pmem_store(dst + (n << SECTOR_SHIFT), buf, SECTOR_SIZE);	/* E1 */
		if (!pc->data_crc)
			continue;
		crcs[n / key] = crc32c(n % key ? crcs[n / key] : PCACHE_CRC_SEED, buf,
				       SECTOR_SIZE);
	}
	pmem_end();
	return !good ? -EIO : pc->data_crc && crc != e->crc ? -EILSEQ : 0;
}

/**
 * pcache_extent_crc() - CRC of an extent's bytes as they are on the medium.
 * @pc: cache
 * @e: extent
 *
 * At a media error, that of the bytes before it.
 */
u32 pcache_extent_crc(struct pcache *pc, const struct pcache_extent *e)
{
	const void *src = pcache_seg_data(pc, e->seg, e->off << SECTOR_SHIFT);
	u8 buf[SECTOR_SIZE] __aligned(8) __uninitialized;
	u32 crc = PCACHE_CRC_SEED, i;

	for (i = 0; i < e->sectors; i++, src += SECTOR_SIZE) {
		if (!pmem_read(buf, src, SECTOR_SIZE))
			break;
		crc = crc32c(crc, buf, SECTOR_SIZE);
	}
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

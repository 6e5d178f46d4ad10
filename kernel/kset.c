// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One kset: read from the medium and judged, its keys taken apart and put
 * together, its number.
 *
 * A kset is copied into memory first and judged there; nothing of it is used
 * before that. This file knows nothing of the log around it.
 */
#include <linux/bitfield.h>
#include <linux/crc32c.h>
#include <linux/string.h>

#include "pcache.h"
#include "pmem.h"

static_assert(offsetof(struct pcache_kset, keys) ==
	      offsetof(struct pcache_kset, head) + sizeof(struct pcache_media_kset));

/**
 * pcache_kset_read() - Read what stands at a place in the log.
 * @pc: cache
 * @pos: where; the place itself is checked
 * @ks: gets the kset
 *
 * Return: what it is. Only with PCACHE_KSET_ORDINARY and PCACHE_KSET_IS_LAST may
 * @ks be used; its keys are still to be judged one by one.
 */
enum pcache_kset_kind pcache_kset_read(struct pcache *pc, const struct pcache_pos *pos,
				       struct pcache_kset *ks)
{
	const void *src = pcache_seg_data(pc, pos->seg, pos->off);
	u32 count, bytes = PCACHE_LAST_BYTES;
	bool last;

	if (!pmem_read(&ks->head, src, sizeof(ks->head)))
		return PCACHE_KSET_UNREADABLE;
	if (!memchr_inv(&ks->head, 0, sizeof(ks->head)))
		return PCACHE_KSET_ZERO;
	if (le64_to_cpu(ks->head.magic) != PCACHE_KSET_MAGIC)
		return PCACHE_KSET_TORN;

	last = le64_to_cpu(ks->head.flags) & PCACHE_KSET_LAST;
	count = le32_to_cpu(ks->head.count);
	ks->nr_keys = 0;
	if (!last && count) {
		if (count > PCACHE_KSET_KEYS)
			return PCACHE_KSET_TORN;
		bytes = PCACHE_KSET_BYTES(count);
		if (pos->off + bytes + PCACHE_LAST_BYTES > PCACHE_DATA_BYTES)
			return PCACHE_KSET_TORN;
		if (!pmem_read(ks->keys, src + sizeof(ks->head), bytes - sizeof(ks->head)))
			return PCACHE_KSET_UNREADABLE;
		ks->nr_keys = count;
	}
	if (le32_to_cpu(ks->head.crc) != pcache_crc(&ks->head, bytes))
		return PCACHE_KSET_TORN;
	if ((le64_to_cpu(ks->head.flags) & ~PCACHE_KSET_KNOWN) ||
	    (last ? count >= READ_ONCE(pc->n_segs) : count == 0))
		return PCACHE_KSET_ALIEN;
	ks->epoch = le64_to_cpu(ks->head.flags) & PCACHE_KSET_EPOCH;
	return last ? PCACHE_KSET_IS_LAST : PCACHE_KSET_ORDINARY;
}

/**
 * pcache_kset_next() - The place behind a kset.
 * @ks: kset
 * @kind: what pcache_kset_read() said of it
 * @pos: its place; moves on
 */
void pcache_kset_next(const struct pcache_kset *ks, enum pcache_kset_kind kind,
		      struct pcache_pos *pos)
{
	if (kind == PCACHE_KSET_IS_LAST) {
		pos->seg = le32_to_cpu(ks->head.count);
		pos->off = 0;
	} else {
		pos->off += PCACHE_KSET_BYTES(ks->nr_keys);
	}
	pos->ord++;
}

/**
 * pcache_kset_number() - A kset's number; 0: mainline wrote it.
 * @ks: kset
 */
u64 pcache_kset_number(const struct pcache_kset *ks)
{
	return FIELD_GET(PCACHE_KSET_NUMBER, le64_to_cpu(ks->head.flags));
}

/**
 * pcache_number_after() - The number that follows another.
 * @number: not 0
 */
u64 pcache_number_after(u64 number)
{
	return number == PCACHE_NUMBER_MAX ? 1 : number + 1;
}

/**
 * pcache_number_behind_mainline() - The first number behind a kset without one.
 * @ks: that kset
 * @next: the place behind it
 *
 * It depends on what the kset holds and where it ends, so that what an earlier
 * log left behind an equal one does not fit.
 */
u64 pcache_number_behind_mainline(const struct pcache_kset *ks, const struct pcache_pos *next)
{
	__le32 x[3] = { ks->head.crc, cpu_to_le32(next->seg), cpu_to_le32(next->off) };
	u64 number = crc32c(PCACHE_CRC_SEED, x, sizeof(x)) |
		     (u64)(crc32c(PCACHE_MARK_SEED, x, sizeof(x)) & 0xffff) << 32;

	return number ?: 1;
}

/**
 * pcache_key_encode() - Make a key of an extent.
 * @pc: cache
 * @e: extent; the whole of its key
 * @key: the key as on the medium
 */
void pcache_key_encode(struct pcache *pc, const struct pcache_extent *e,
		       struct pcache_media_key *key)
{
	key->off = cpu_to_le64((u64)e->sector << SECTOR_SHIFT);
	key->len = cpu_to_le32(e->sectors << SECTOR_SHIFT);
	key->flags = cpu_to_le32(e->clean ? PCACHE_KEY_CLEAN : 0);
	key->cache_seg_id = cpu_to_le32(e->seg);
	key->cache_seg_off = cpu_to_le32(e->off << SECTOR_SHIFT);
	key->seg_gen = cpu_to_le64(pcache_seg(pc, e->seg)->gen);
	key->data_crc = cpu_to_le32(pc->data_crc ? e->crc : 0);
	key->reserved = 0;
}

/* Whole blocks of the backing device, in one stretch. */
static inline bool range_allowed(const struct pcache *pc, u64 off, u32 len)
{
	u32 block = pc->block_sectors << SECTOR_SHIFT;

	if (len == 0 || (off | len) & (block - 1))
		return false;
	if ((off >> SECTOR_SHIFT) + (len >> SECTOR_SHIFT) > pc->backing_sectors)
		return false;
	/* Within one stretch, so no longer than that. */
	return off % PCACHE_STRETCH_BYTES + len <= PCACHE_STRETCH_BYTES;
}

/**
 * pcache_key_decode() - Judge a key and make an extent of it.
 * @pc: cache
 * @key: the key, in memory
 * @e: gets the extent; @e->clean says what the key's flag says
 *
 * The generation is judged before anything else that the key says, because
 * mainline leaves keys of reused segments in the log.
 *
 * Return: only with PCACHE_KEY_GOOD may @e be used; with PCACHE_KEY_STALE its sector
 * and sectors, which are 0 if that range is not allowed.
 */
enum pcache_key_verdict pcache_key_decode(struct pcache *pc, const struct pcache_media_key *key,
					  struct pcache_extent *e)
{
	u64 off = le64_to_cpu(key->off), gen = le64_to_cpu(key->seg_gen), seg_gen;
	u32 len = le32_to_cpu(key->len), seg_off = le32_to_cpu(key->cache_seg_off);
	u32 flags = le32_to_cpu(key->flags), seg = le32_to_cpu(key->cache_seg_id);
	bool allowed = range_allowed(pc, off, len);

	e->discarded = false;
	e->seg = seg;
	e->sector = off >> SECTOR_SHIFT;
	e->sectors = allowed ? len >> SECTOR_SHIFT : 0;
	if (seg >= READ_ONCE(pc->n_segs))
		return PCACHE_KEY_BAD;
	seg_gen = pcache_seg(pc, seg)->gen;
	if (gen < seg_gen)
		return PCACHE_KEY_STALE;
	if (gen > seg_gen || (flags & ~PCACHE_KEY_KNOWN))
		return PCACHE_KEY_BAD;
	if (!allowed || seg_off % SECTOR_SIZE)
		return PCACHE_KEY_BAD;
	if ((u64)seg_off + len > PCACHE_DATA_BYTES)
		return PCACHE_KEY_BAD;

	e->off = seg_off >> SECTOR_SHIFT;
	e->key_delta = 0;
	e->key_sectors = e->sectors;
	e->crc = le32_to_cpu(key->data_crc);
	e->clean = flags & PCACHE_KEY_CLEAN;
	e->used = false;
	return PCACHE_KEY_GOOD;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A cache device that has grown: the cache takes what there is more.
 *
 * Requests go on. What a power cut leaves is the old cache, or, once cache_info has the
 * new number of segments, the new one, which the next attach finishes. doc/design.rst,
 * "Resize", has each store (G1 to G6) with what has to be durable before it, and why
 * they come in this order.
 *
 * The admin mutex is held all the time, and super.lock only where the block is stored,
 * because reclaim stores that as well.
 */
#include <linux/bitfield.h>
#include <linux/crc32c.h>
#include <linux/sched/mm.h>

#include "pcache.h"
#include "pmem.h"

/*
 * G4: the super-block's number of segments. The CRC is in another word, and one word is all
 * that no power cut tears: so pad changes such that the CRC stays. It is made of the sum of
 * pad and the CRC of what stands before it: as that changes, so does pad.
 */
static void store_seg_num(struct pcache *pc, struct pcache_media_super *sb, u32 segs)
{
	const u32 at = offsetof(struct pcache_media_super, seg_num);
	const u32 covered = offsetof(struct pcache_media_super, pad) - sizeof(sb->crc);
	u32 before = crc32c(PCACHE_CRC_SEED, &sb->flags, covered);

	sb->seg_num = cpu_to_le32(segs);
	sb->pad ^= cpu_to_le32(before ^ crc32c(PCACHE_CRC_SEED, &sb->flags, covered));
	pmem_begin();
	pmem_store(pc->media + PCACHE_SUPER_OFF + at, &sb->seg_num,
		   sizeof(sb->seg_num) + sizeof(sb->pad));
	pmem_end();
}

/* G5: the list goes on with @next, unless it goes on already. */
static void store_link(struct pcache_slots *slots, struct pcache_media_seg_info *info, u32 next)
{
	if (!(info->flags & cpu_to_le32(PCACHE_SEG_HAS_NEXT)))
		info->next_seg = cpu_to_le32(next);
	info->flags |= cpu_to_le32(PCACHE_SEG_HAS_NEXT);
	pcache_slots_write_both(slots, info);
}

/*
 * Each link of the list that is not in both copies: that of the segment which ended it, and
 * what has rotted since, because the one cannot be told from the other.
 */
static bool store_links(struct pcache *pc)
{
	struct pcache_media_seg_info info;
	struct pcache_slots slots;
	u32 i;

	for (i = 0; i + 1 < pc->n_segs; i++) {
		void *next = pcache_seg(pc, i + 1)->media - PCACHE_SEGS_OFF;

		if (!pcache_seg_read_info(pcache_seg(pc, i)->media, &slots, &info))
			return false;
		if (!(info.flags & cpu_to_le32(PCACHE_SEG_HAS_NEXT)) || !pcache_slots_agree(&slots))
			store_link(&slots, &info, (next - pc->media) / PCACHE_SEG_BYTES);
		cond_resched();
	}
	return true;
}

/**
 * pcache_resize_finish() - Go on with a resize that was cut short behind G3.
 * @pc: cache; both slots of cache_info have all segments
 *
 * A4 has to follow, which is G6 as well.
 *
 * Context: resume; nobody else uses the cache. Return: false, and it is still to be gone
 * on with, where the medium cannot be read any more.
 */
bool pcache_resize_finish(struct pcache *pc)
{
	struct pcache_media_super sb;

	if (!pmem_read(&sb, pc->media + PCACHE_SUPER_OFF, sizeof(sb)))
		return false;
	if (le32_to_cpu(sb.seg_num) != pc->n_segs)
		store_seg_num(pc, &sb, pc->n_segs);			/* G4 */
	if (!store_links(pc))						/* G5 */
		return false;
	pcache_info(pc, "resize to %u segments was cut short, is finished", pc->n_segs);
	return true;
}

static void store_ext(struct pcache *pc, u32 grow_segs)
{
	struct pcache_super *su = &pc->super;

	lockdep_assert_held(&su->lock);
	su->ext.grow_segs = cpu_to_le32(grow_segs);
	pcache_slots_write_both(&su->ext_slots, &su->ext);
}

/* G1, G2: nobody reads any of this before G3. */
static int make_segments(struct pcache *pc, u32 to)
{
	u32 from = pc->n_segs, i;
	int r;

	mutex_lock(&pc->super.lock);
	store_ext(pc, to);						/* G1 */
	mutex_unlock(&pc->super.lock);
	for (i = from; i < to; i++) {
		pcache_super_format_segment(pcache_seg(pc, i)->media,	/* G2 */
					    i + 1 < to ? i + 1 : PCACHE_NO_SEG);
		cond_resched();
	}
	r = pcache_segs_read(pc, from, to);
	if (r) {
		mutex_lock(&pc->super.lock);
		store_ext(pc, 0);
		mutex_unlock(&pc->super.lock);
	}
	return r;
}

/* Makes @to segments of the cache that has @pc->n_segs; new ones are at @media. */
static int grow_to(struct pcache *pc, u32 to, void *media)
{
	struct pcache_super *su = &pc->super;
	struct pcache_media_seg_info info;
	struct pcache_media_super sb;
	struct pcache_slots slots;
	int r;

	if (!pcache_seg_read_info(pcache_seg(pc, pc->n_segs - 1)->media, &slots, &info) ||
	    !pmem_read(&sb, pc->media + PCACHE_SUPER_OFF, sizeof(sb)))
		return -EIO;
	r = pcache_segs_make(pc, pc->n_segs, to, media) ?: make_segments(pc, to);
	if (r)
		return r;
	mutex_lock(&su->lock);
	su->info.n_segs = cpu_to_le32(to);
	pcache_slots_write_both(&su->info_slots, &su->info);		/* G3 */
	store_seg_num(pc, &sb, to);					/* G4 */
	store_link(&slots, &info, pc->n_segs);				/* G5 */
	su->ext.info_seq = cpu_to_le32(su->info_slots.seq);
	store_ext(pc, 0);						/* G6 */
	mutex_unlock(&su->lock);
	WRITE_ONCE(su->seg_total, to);
	pcache_segs_publish(pc, to);
	return 0;
}

/* What the device has room for; the new part of it is mapped. */
static int ask_host(struct pcache *pc, u32 *segs, void **media)
{
	u64 from = PCACHE_SEGS_OFF + (u64)pc->n_segs * PCACHE_SEG_BYTES, bytes;
	int r = pc->grow ? pc->grow(pc->host, from, media, &bytes) : -EOPNOTSUPP;

	if (r)
		return r;
	bytes = max_t(u64, bytes, PCACHE_SEGS_OFF);
	*segs = min_t(u64, (bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES, PCACHE_MAX_SEGS);
	return 0;
}

static int resize(struct pcache *pc)
{
	void *media = NULL;
	u32 segs = 0;
	int r;

	/* Where Linux's own was told of more segments than it uses, nobody knows why. */
	if (READ_ONCE(pc->state) != PCACHE_RW || pc->n_segs != pc->super.seg_total ||
	    pc->super.growing)
		return -EINVAL;
	r = ask_host(pc, &segs, &media);
	if (r)
		return r;
	if (segs < pc->n_segs)
		return -ENOSPC;
	return segs > pc->n_segs ? grow_to(pc, segs, media) : 0;
}

/**
 * pcache_resize() - Take what the cache device has grown by.
 * @pc: cache, running; admin is held
 *
 * Memory for that must not wait for I/O: what it waits for may wait for admin.
 *
 * Context: may sleep.
 *
 * Return: 0, also when it has not grown; -ENOSPC when it has shrunk; or -errno. Then all is
 * as before.
 */
int pcache_resize(struct pcache *pc)
{
	u32 before = pc->n_segs;
	unsigned int noio;
	int r;

	lockdep_assert_held(&pc->admin);
	noio = memalloc_noio_save();
	r = resize(pc);
	memalloc_noio_restore(noio);
	if (r == -ENOSPC)
		pcache_warn(pc, "resize: the cache device has become smaller than the cache, which cannot shrink");
	else if (r)
		pcache_warn(pc, "resize: the cache stays at %u segments (%d)", before, r);
	if (r)
		return r;
	pcache_info(pc, "resize: %u segments, were %u", pc->n_segs, before);
	if (pc->n_segs > before) {
		pcache_io_space_freed(pc);
		pcache_writeback_marks_changed(pc);
		pcache_event(pc);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments: the list that formatting left, who uses each, generations, and the
 * data heads from which writes and fills take room.
 *
 * A segment is free, or it has refs: one for each key in the log that names it,
 * for each reservation, each reader, an open data head, or because the log
 * stands in it. A key's ref goes only when key_tail is past the key in both
 * slots. So a segment without refs is named by no key that any crash could
 * bring back. It is dead then: its generation is raised, and durable, before it
 * is free again.
 *
 * The free and dead lists, and the writes that wait for room, are under
 * segs->lock: a write is put on the waiting list in the same hold in which it
 * found nothing free, so no wake-up can be lost.
 */
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "pcache.h"
#include "pmem.h"

/* One data head for so many segments, and at most so many. */
#define HEAD_SEGS	32
#define HEADS_MAX	16

/**
 * pcache_segs_all() - How many segments there are, to look at all of them.
 * @pc: cache
 *
 * Without a lock and an id from elsewhere, only this makes sure that they are seen whole.
 */
u32 pcache_segs_all(const struct pcache *pc)
{
	return smp_load_acquire(&pc->n_segs);	/* pairs with pcache_segs_publish() */
}

/*
 * For keys of what data heads still have room for; for keys that are not
 * committed yet; for moving the log out of its last kset.
 */
static u32 reserved_for_log(const struct pcache_segs *segs)
{
	return DIV_ROUND_UP(segs->nr_heads, 8) + 1 + 1;
}

/**
 * pcache_seg_read_info() - Read a segment's information.
 * @media: where the segment is
 * @slots: for writing it
 * @info: gets it
 *
 * Return: false when neither copy is valid.
 */
bool pcache_seg_read_info(void *media, struct pcache_slots *slots,
			  struct pcache_media_seg_info *info)
{
	pcache_slots_init(slots, media + PCACHE_SEG_INFO_OFF, PCACHE_SEG_INFO_STRIDE,
			  sizeof(*info));
	return pcache_slots_read(slots, info);
}

static int load_generation(struct pcache_segment *s)
{
	struct pcache_media_gen gen;

	pcache_slots_init(&s->gen_slots, s->media + PCACHE_SEG_GEN_OFF,
			  PCACHE_SEG_GEN_STRIDE, sizeof(gen));
	if (!pcache_slots_read(&s->gen_slots, &gen))
		return -EUCLEAN;
	s->gen = le64_to_cpu(gen.gen);
	return 0;
}

/*
 * A segment names no next one, and others are to come. Mainline writes the link into slot 0
 * only; formatting makes the list the identity, which serves when that copy is lost. A
 * resize that was cut short may not have linked what it has made, which is the identity
 * too; that is so once.
 */
static bool mend_link(struct pcache *pc, u32 seg, u32 phys, const struct pcache_slots *slots,
		      struct pcache_media_seg_info *info)
{
	struct pcache_super *su = &pc->super;
	bool lost = slots->valid != 3;

	if (!lost && (!su->growing || su->list_ended))
		return false;
	su->list_ended |= !lost;
	info->flags |= cpu_to_le32(PCACHE_SEG_HAS_NEXT);
	info->next_seg = cpu_to_le32((lost ? phys : seg) + 1);
	return true;
}

/* Reads one segment of the list; @phys becomes the next one's. */
static int load_segment(struct pcache *pc, struct pcache_segment *s, u32 *phys,
			const char **error)
{
	bool more = s->id + 1 < pc->n_segs, has_next;
	struct pcache_media_seg_info info;
	struct pcache_slots slots;

	s->media = pc->media + PCACHE_SEGS_OFF + (u64)*phys * PCACHE_SEG_BYTES;
	if (!pcache_seg_read_info(s->media, &slots, &info)) {
		*error = "Cache segment information: both copies are invalid";
		return -EUCLEAN;
	}
	if (FIELD_GET(PCACHE_SEG_TYPE, le32_to_cpu(info.flags)) != PCACHE_SEG_TYPE_CACHE) {
		*error = "Cache segment information: not a cache segment";
		return -EUCLEAN;
	}
	has_next = info.flags & cpu_to_le32(PCACHE_SEG_HAS_NEXT);
	if (more && !has_next)
		has_next = mend_link(pc, s->id, *phys, &slots, &info);
	if (has_next != more) {
		*error = "Cache segment list: does not have as many segments as cache_info says";
		return -EUCLEAN;
	}
	if (load_generation(s)) {
		*error = "Cache segment generation: both copies are invalid";
		return -EUCLEAN;
	}
	*phys = le32_to_cpu(info.next_seg);
	return 0;
}

/* Follows the list of segments once around; checks ids and generations. */
static int load_list(struct pcache *pc, unsigned long *seen, const char **error)
{
	u32 phys = le32_to_cpu(pc->super.info.seg_id), i;
	int r;

	for (i = 0; i < pc->n_segs; i++) {
		if (phys >= pc->super.seg_total) {
			*error = "Cache segment list: an id is out of range";
			return -EUCLEAN;
		}
		if (test_and_set_bit(phys, seen)) {
			*error = "Cache segment list: an id is repeated";
			return -EUCLEAN;
		}
		r = load_segment(pc, pcache_seg(pc, i), &phys, error);
		if (r)
			return r;
	}
	return 0;
}

/**
 * pcache_segs_make() - Have memory for segments that nobody knows yet.
 * @pc: cache
 * @from: logical id of the first one
 * @to: and the one behind the last
 * @media: where the first one is; the others follow
 *
 * Return: 0 or -ENOMEM; what was allocated stays, for the next time.
 */
int pcache_segs_make(struct pcache *pc, u32 from, u32 to, void *media)
{
	struct pcache_segment **chunk = pc->segs.chunk;
	u32 i;

	for (i = from / PCACHE_CHUNK_SEGS; i < DIV_ROUND_UP(to, PCACHE_CHUNK_SEGS); i++) {
		if (!chunk[i])
			chunk[i] = kvcalloc(PCACHE_CHUNK_SEGS, sizeof(**chunk), GFP_KERNEL);
		if (!chunk[i])
			return -ENOMEM;
	}
	for (i = from; i < to; i++) {
		struct pcache_segment *s = pcache_seg(pc, i);

		INIT_LIST_HEAD(&s->link);
		s->id = i;
		s->media = media + (u64)(i - from) * PCACHE_SEG_BYTES;
	}
	return 0;
}

/**
 * pcache_segs_read() - Read what new segments have on the medium.
 * @pc: cache
 * @from: logical id of the first one
 * @to: and the one behind the last
 *
 * Return: 0, or -EIO when one cannot be used.
 */
int pcache_segs_read(struct pcache *pc, u32 from, u32 to)
{
	struct pcache_media_seg_info info;
	struct pcache_slots slots;
	u32 i;

	for (i = from; i < to; i++) {
		struct pcache_segment *s = pcache_seg(pc, i);

		if (!pcache_seg_read_info(s->media, &slots, &info) || load_generation(s))
			return -EIO;
	}
	return 0;
}

/**
 * pcache_segs_publish() - From now on there are more segments, all new ones free.
 * @pc: cache; admin is held
 * @to: so many there are
 *
 * Who counts those in use reads @nr_free first: so they are never more than all.
 */
void pcache_segs_publish(struct pcache *pc, u32 to)
{
	struct pcache_segs *segs = &pc->segs;
	u32 from = pc->n_segs, i;

	spin_lock(&segs->lock);
	for (i = from; i < to; i++)
		list_add_tail(&pcache_seg(pc, i)->link, &segs->free);
	smp_store_release(&pc->n_segs, to);
	smp_store_release(&segs->nr_free, segs->nr_free + to - from);
	spin_unlock(&segs->lock);
}

/**
 * pcache_segs_load() - Read and check the list of segments.
 * @pc: cache; its super-block and cache_info are loaded
 * @error: what is wrong with the medium
 *
 * All are without refs and without use until pcache_segs_settle().
 *
 * Return: 0 or -errno; then pcache_segs_exit() cleans up.
 */
int pcache_segs_load(struct pcache *pc, const char **error)
{
	struct pcache_segs *segs = &pc->segs;
	unsigned long *seen;
	u32 i;
	int r;

	segs->nr_heads = clamp(pc->n_segs / HEAD_SEGS, 1, min(num_online_cpus(), HEADS_MAX));
	/* The last one is for logging bad data again. */
	segs->reserved = reserved_for_log(segs) + 1;
	spin_lock_init(&segs->lock);
	INIT_LIST_HEAD(&segs->free);
	INIT_LIST_HEAD(&segs->dead);
	INIT_LIST_HEAD(&segs->waiting);
	segs->nr_free = 0;
	segs->chunk = kvcalloc(PCACHE_MAX_SEGS / PCACHE_CHUNK_SEGS, sizeof(*segs->chunk), GFP_KERNEL);
	segs->heads = kvcalloc(segs->nr_heads, sizeof(*segs->heads), GFP_KERNEL);
	seen = bitmap_zalloc(pc->super.seg_total, GFP_KERNEL);
	if (!segs->chunk || !segs->heads || !seen ||
	    pcache_segs_make(pc, 0, pc->n_segs, NULL)) {
		*error = "Cannot allocate memory for segments";
		r = -ENOMEM;
		goto out;
	}
	for (i = 0; i < segs->nr_heads; i++) {
		spin_lock_init(&segs->heads[i].lock);
		segs->heads[i].seg = PCACHE_NO_SEG;
	}
	r = pc->super.format ? 0 : load_list(pc, seen, error);
out:
	bitmap_free(seen);
	return r;
}

/**
 * pcache_segs_exit() - Free what pcache_segs_load() allocated.
 * @pc: cache
 */
void pcache_segs_exit(struct pcache *pc)
{
	u32 i;

	for (i = 0; pc->segs.chunk && i < PCACHE_MAX_SEGS / PCACHE_CHUNK_SEGS; i++)
		kvfree(pc->segs.chunk[i]);
	kvfree(pc->segs.chunk);
	kvfree(pc->segs.heads);
}

/**
 * pcache_segs_settle() - After replay: what has no refs is free.
 * @pc: cache; nobody else uses it yet
 */
void pcache_segs_settle(struct pcache *pc)
{
	struct pcache_segs *segs = &pc->segs;
	u32 i;

	for (i = 0; i < pc->n_segs; i++) {
		struct pcache_segment *s = pcache_seg(pc, i);

		if (atomic_read(&s->refs))
			continue;
		s->use = PCACHE_SEG_FREE;
		list_add_tail(&s->link, &segs->free);
		segs->nr_free++;
	}
}

/**
 * pcache_seg_put() - Give refs back.
 * @pc: cache
 * @seg: logical id
 * @refs: how many
 *
 * Context: any but interrupts; takes segs->lock.
 */
void pcache_seg_put(struct pcache *pc, u32 seg, u32 refs)
{
	struct pcache_segment *s = pcache_seg(pc, seg);

	if (!atomic_sub_and_test(refs, &s->refs))
		return;
	spin_lock(&pc->segs.lock);
	list_add_tail(&s->link, &pc->segs.dead);
	spin_unlock(&pc->segs.lock);
	pcache_reclaim_wake(pc);
}

/* Takes a free segment, with one ref, if more than @keep are free. */
static u32 seg_alloc(struct pcache *pc, u32 keep, enum pcache_seg_use use)
{
	struct pcache_segs *segs = &pc->segs;
	struct pcache_segment *s = NULL;

	spin_lock(&segs->lock);
	if (segs->nr_free > keep) {
		s = list_first_entry(&segs->free, struct pcache_segment, link);
		list_del_init(&s->link);
		WRITE_ONCE(segs->nr_free, segs->nr_free - 1);
		s->use = use;
		s->turned = 0;
		atomic_set(&s->refs, 1);
	}
	spin_unlock(&segs->lock);
	/* Who gets none wakes what makes room, or is reclaim itself. */
	if (s && pcache_segs_few(pc))
		pcache_reclaim_wake(pc);
	return s ? s->id : PCACHE_NO_SEG;
}

/**
 * pcache_seg_alloc_log() - Take a segment for the log; it may use the reserve.
 * @pc: cache
 *
 * Return: logical id, with one ref, or PCACHE_NO_SEG.
 */
u32 pcache_seg_alloc_log(struct pcache *pc)
{
	return seg_alloc(pc, 0, PCACHE_SEG_LOG);
}

/**
 * pcache_seg_unused_data() - Data of a free segment: nobody will miss what is there.
 * @pc: cache
 *
 * Context: nobody takes segments, nor will before the caller is through.
 *
 * Return: where it is; NULL: no segment is free.
 */
void *pcache_seg_unused_data(struct pcache *pc)
{
	struct pcache_segment *s;

	spin_lock(&pc->segs.lock);
	s = list_empty(&pc->segs.free) ? NULL :
	    list_last_entry(&pc->segs.free, struct pcache_segment, link);
	spin_unlock(&pc->segs.lock);
	return s ? pcache_seg_data(pc, s->id, 0) : NULL;
}

/* Takes room from one head. */
static bool head_take(struct pcache *pc, struct pcache_head *h, u32 sectors,
		      struct pcache_room *room)
{
	u32 full = PCACHE_NO_SEG;

	spin_lock(&h->lock);
	if (h->seg == PCACHE_NO_SEG) {
		h->seg = seg_alloc(pc, pc->segs.reserved, PCACHE_SEG_DATA);
		h->next = 0;
		if (h->seg == PCACHE_NO_SEG) {
			spin_unlock(&h->lock);
			return false;
		}
	}
	atomic_inc(&h->rooms);
	room->head = h;
	room->seg = h->seg;
	room->off = h->next;
	room->sectors = min_t(u32, sectors, PCACHE_DATA_SECTORS - h->next);
	h->next += room->sectors;
	pcache_seg_get(pc, room->seg);
	if (h->next == PCACHE_DATA_SECTORS) {
		full = h->seg;
		h->seg = PCACHE_NO_SEG;
	}
	spin_unlock(&h->lock);
	/* Its last ref may only go when the room's is dropped. */
	if (full != PCACHE_NO_SEG)
		pcache_seg_put(pc, full, 1);
	return true;
}

/**
 * pcache_room_get() - Reserve room for data.
 * @pc: cache
 * @sectors: how many are wanted
 * @room: what there is, at least one sector, with one ref of its segment
 *
 * Return: false when there is no room; else pcache_room_put() has to follow.
 */
bool pcache_room_get(struct pcache *pc, u32 sectors, struct pcache_room *room)
{
	u32 nr = pc->segs.nr_heads, first = raw_smp_processor_id() % nr, i;

	for (i = 0; i < nr; i++)
		if (head_take(pc, &pc->segs.heads[(first + i) % nr], sectors, room))
			return true;
	return false;
}

/**
 * pcache_room_put() - Give a reservation back.
 * @pc: cache
 * @room: it; its keys, if there are to be any, are logged
 *
 * Context: as pcache_seg_put().
 */
void pcache_room_put(struct pcache *pc, const struct pcache_room *room)
{
	/* A full barrier: either reclaim sees this, or this sees that it waits. */
	if (atomic_dec_and_test(&room->head->rooms) && READ_ONCE(pc->reclaim.rooms_awaited))
		pcache_reclaim_wake(pc);
	pcache_seg_put(pc, room->seg, 1);
}

/**
 * pcache_rooms_held() - Does anybody hold a reservation?
 * @pc: cache
 */
bool pcache_rooms_held(struct pcache *pc)
{
	u32 i;

	for (i = 0; i < pc->segs.nr_heads; i++)
		if (atomic_read(&pc->segs.heads[i].rooms))
			return true;
	return false;
}

/**
 * pcache_heads_open() - Has any data head a segment, so room?
 * @pc: cache
 *
 * What a head gave before it is seen closed, pcache_rooms_held() then counts, or it was
 * given back.
 *
 * Context: process context, no locks.
 */
bool pcache_heads_open(struct pcache *pc)
{
	u32 i;

	for (i = 0; i < pc->segs.nr_heads; i++) {
		struct pcache_head *h = &pc->segs.heads[i];
		bool open;

		spin_lock(&h->lock);
		open = h->seg != PCACHE_NO_SEG;
		spin_unlock(&h->lock);
		if (open)
			return true;
	}
	return false;
}

/**
 * pcache_heads_close() - Close all data heads; the next data opens new ones.
 * @pc: cache
 *
 * Context: process context, no locks.
 */
void pcache_heads_close(struct pcache *pc)
{
	u32 i;

	for (i = 0; i < pc->segs.nr_heads; i++) {
		struct pcache_head *h = &pc->segs.heads[i];
		u32 seg;

		spin_lock(&h->lock);
		seg = h->seg;
		h->seg = PCACHE_NO_SEG;
		spin_unlock(&h->lock);
		if (seg != PCACHE_NO_SEG)
			pcache_seg_put(pc, seg, 1);
	}
}

/**
 * pcache_segs_free_dead() - Raise the generation of dead segments and free them.
 * @pc: cache
 *
 * Context: the reclaim work, or nobody else uses the cache.
 *
 * Return: how many were freed.
 */
u32 pcache_segs_free_dead(struct pcache *pc)
{
	struct pcache_segs *segs = &pc->segs;
	struct pcache_segment *s, *next;
	u32 freed = 0;
	LIST_HEAD(dead);

	spin_lock(&segs->lock);
	list_splice_init(&segs->dead, &dead);
	spin_unlock(&segs->lock);

	list_for_each_entry_safe(s, next, &dead, link) {
		struct pcache_media_gen gen = { .gen = cpu_to_le64(s->gen + 1) };

		pcache_slots_write(&s->gen_slots, &gen);
		s->gen++;
		freed++;
		spin_lock(&segs->lock);
		s->use = PCACHE_SEG_FREE;
		list_move_tail(&s->link, &segs->free);
		WRITE_ONCE(segs->nr_free, segs->nr_free + 1);
		spin_unlock(&segs->lock);
	}
	pcache_count(pc, PCACHE_STAT_RECLAIMED_SEGMENTS, freed);
	return freed;
}

/**
 * pcache_segs_for_bad_data() - Is there room in the log for bad data?
 * @pc: cache; its keys have just been committed
 *
 * What the log may still need is left to it: a segment to move on into, and what keys
 * for the rest of the data heads' room take. Where that is too much the heads are
 * closed: then there is no such rest, and of what was reserved for the log, some of
 * which may be in use by now, one segment is enough.
 *
 * Context: process context, no locks.
 */
bool pcache_segs_for_bad_data(struct pcache *pc)
{
	u32 free = READ_ONCE(pc->segs.nr_free);

	if (free > PCACHE_BAD_DATA_KEEP + DIV_ROUND_UP(pc->segs.nr_heads, 8))
		return true;
	if (free > PCACHE_BAD_DATA_KEEP)
		pcache_heads_close(pc);
	return free > PCACHE_BAD_DATA_KEEP;
}

/**
 * pcache_seg_note_bad() - Some of a segment could not be read.
 * @pc: cache
 * @seg: logical id
 *
 * Each segment counts once, however often it is asked for.
 *
 * Context: process context; takes segs->lock. Return: are there too many by now?
 */
bool pcache_seg_note_bad(struct pcache *pc, u32 seg)
{
	u32 max = clamp(READ_ONCE(pc->n_segs) / 8, PCACHE_WORN_SEGS_MIN, PCACHE_WORN_SEGS);
	struct pcache_segment *s = pcache_seg(pc, seg);
	bool worn;

	spin_lock(&pc->segs.lock);
	if (!s->bad) {
		s->bad = true;
		WRITE_ONCE(pc->segs.nr_bad, pc->segs.nr_bad + 1);
	}
	worn = pc->segs.nr_bad >= max;
	spin_unlock(&pc->segs.lock);
	return worn;
}

/**
 * pcache_segs_used() - How many segments are in use.
 * @pc: cache
 */
u32 pcache_segs_used(struct pcache *pc)
{
	u32 free = smp_load_acquire(&pc->segs.nr_free);	/* pairs with pcache_segs_publish() */

	return READ_ONCE(pc->n_segs) - free;
}

/**
 * pcache_segs_few() - Is it time to reclaim?
 * @pc: cache
 */
bool pcache_segs_few(struct pcache *pc)
{
	return (u64)pcache_segs_used(pc) * 100 >= (u64)READ_ONCE(pc->n_segs) * READ_ONCE(pc->gc_percent) ||
	       READ_ONCE(pc->segs.nr_free) <= pc->segs.reserved + pc->segs.nr_heads;
}

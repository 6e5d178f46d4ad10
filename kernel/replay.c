// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log, read at attach: tails, a walk that fills the index, and the judgement
 * of where and why it ends.
 *
 * Only reads. Runs before anybody else uses the cache, so nothing is locked. The walk is
 * one task, since only a kset tells where the next one begins and what its number has to
 * be; it owns the segments' use and refs, the damage and the journal's places. The index,
 * which takes most of the time, is filled by lanes (lanes.c) meanwhile. They get each key
 * when it has been judged, and what is counted of it here is counted; so where the walk
 * ends, for whatever reason, the index has all keys before that place, and none behind it.
 *
 * The head is stored nowhere. Behind the last kset stand 24 zero bytes, or what
 * a power cut left of the next kset. The same could be a kset that was damaged
 * later, with acknowledged data behind it; numbers tell: if a kset of this log
 * with a later number stands within reach, the log was damaged there.
 */
#include <linux/slab.h>

#include "pcache.h"
#include "pmem.h"

#define KSET_MIN_BYTES	PCACHE_KSET_BYTES(1)
#define SCAN_BYTES	4096

/**
 * struct walk - the walk through the log
 * @ks: the kset looked at
 * @pos: its place
 * @number: of the kset before; 0: mainline's
 * @expected: the number a kset of ours must have here; 0: not known
 * @first: no kset has been taken yet
 * @stale: @ks has keys of an old generation
 * @met_dirty_tail: @pos is at or behind dirty_tail
 * @dirty_tail: as found on the medium; its ord is set when it is met
 * @scan: memory to look for later ksets in
 * @lanes: who puts keys into the index
 */
struct walk {
	struct pcache_kset *ks;
	struct pcache_pos pos;
	u64 number;
	u64 expected;
	bool first;
	bool stale;
	bool met_dirty_tail;
	struct pcache_pos dirty_tail;
	__le64 *scan;
	struct pcache_lanes *lanes;
};

static void damaged(struct pcache *pc, const struct pcache_pos *pos, const char *why)
{
	pc->damage.found = true;
	pc->damage.why = why;
	pc->damage.pos = *pos;
	pcache_err(pc, "log is damaged at %u:%u: %s", pos->seg, pos->off, why);
}

static bool pos_allowed(struct pcache *pc, const struct pcache_pos *pos)
{
	return pos->seg < pc->n_segs && pos->off % 8 == 0 &&
	       pos->off <= PCACHE_DATA_BYTES - PCACHE_LAST_BYTES;
}

/* Reads a tail; where neither slot is valid, takes what a clean detach noted. */
static int load_tail(struct pcache *pc, struct pcache_slots *slots, u32 off, int which,
		     struct pcache_pos *pos)
{
	const struct pcache_media_place *noted = &pc->super.ext.tails[which];
	struct pcache_media_tail tail;

	pcache_slots_init(slots, pc->media + off, PCACHE_TAIL_STRIDE, sizeof(tail));
	pos->ord = 0;
	if (pcache_slots_read(slots, &tail)) {
		pos->seg = le32_to_cpu(tail.cache_seg_id);
		pos->off = le32_to_cpu(tail.seg_off);
	} else if (pc->super.clean) {
		pos->seg = le32_to_cpu(noted->seg);
		pos->off = le32_to_cpu(noted->off);
		pcache_warn(pc, "%s is unreadable, taken from the extension block",
			    which ? "dirty_tail" : "key_tail");
	} else {
		return -EUCLEAN;
	}
	return pos_allowed(pc, pos) ? 0 : -EUCLEAN;
}

static int load_tails(struct pcache *pc, const char **error)
{
	struct pcache_journal *j = &pc->journal;

	if (load_tail(pc, &j->key_slots, PCACHE_KEY_TAIL_OFF, 0, &j->key_tail)) {
		*error = "Cache key_tail: both copies are invalid, or its place is not allowed";
		return -EUCLEAN;
	}
	if (load_tail(pc, &j->dirty_slots, PCACHE_DIRTY_TAIL_OFF, 1, &j->dirty_tail)) {
		*error = "Cache dirty_tail: both copies are invalid, or its place is not allowed";
		return -EUCLEAN;
	}
	return 0;
}

/* The log goes on in @seg. */
static bool enter_segment(struct pcache *pc, struct walk *w, u32 seg)
{
	struct pcache_segment *s = pcache_seg(pc, seg);

	if (s->use != PCACHE_SEG_FREE) {
		damaged(pc, &w->pos, "the log leads into a segment that is in use");
		return false;
	}
	s->use = PCACHE_SEG_LOG;
	atomic_inc(&s->refs);
	return true;
}

/* Refs are counted here alone, and nobody else touches them yet. False: damage. */
static bool replay_key(struct pcache *pc, struct walk *w, const struct pcache_media_key *key)
{
	struct pcache_extent e;
	struct pcache_segment *s;

	switch (pcache_key_decode(pc, key, &e)) {
	case PCACHE_KEY_BAD:
		damaged(pc, &w->pos, "a key has values that are not allowed");
		return false;
	case PCACHE_KEY_STALE:
		w->stale = true;
		/*
		 * Mainline has written it back and freed its data. What it hides, maybe in the
		 * same kset, is older than the backing device, and stays hidden.
		 */
		if (!w->met_dirty_tail && e.sectors)
			pcache_lanes_add(w->lanes, &e, true);
		return true;
	case PCACHE_KEY_GOOD:
		break;
	}
	s = pcache_seg(pc, e.seg);
	if (s->use == PCACHE_SEG_LOG) {
		damaged(pc, &w->pos, "a key names a segment of the log");
		return false;
	}
	s->use = PCACHE_SEG_DATA;
	atomic_set(&s->refs, atomic_read(&s->refs) + 1);
	if (!w->met_dirty_tail)
		e.clean = true;
	else
		pc->journal.held_sectors += e.sectors;
	pcache_lanes_add(w->lanes, &e, false);
	return true;
}

/* The number that a kset of ours has at the walk's place. */
static u64 expected_number(struct pcache *pc, const struct walk *w)
{
	const struct pcache_media_ext *ext = &pc->super.ext;

	if (!w->first)
		return w->expected;
	if (pc->super.ext_valid && le32_to_cpu(ext->own_seg) == w->pos.seg &&
	    le32_to_cpu(ext->own_off) == w->pos.off)
		return le64_to_cpu(ext->own_number);
	return 0;
}

/* May a kset with @number stand here? */
static bool number_fits(struct pcache *pc, const struct walk *w, u64 number)
{
	u64 expected = expected_number(pc, w);

	return number == 0 || number == expected || (w->first && expected == 0);
}

/* Takes the kset at the walk's place, and goes behind it. False: damage. */
static bool take_kset(struct pcache *pc, struct walk *w, enum pcache_kset_kind kind)
{
	struct pcache_pos here = w->pos, behind = w->pos;
	u64 number = pcache_kset_number(w->ks);
	u32 i;

	pcache_kset_next(w->ks, kind, &behind);
	w->stale = false;
	for (i = 0; i < w->ks->nr_keys; i++)
		if (!replay_key(pc, w, &w->ks->keys[i]))
			return false;
	if (kind == PCACHE_KSET_IS_LAST && !enter_segment(pc, w, behind.seg))
		return false;

	w->pos = behind;
	w->number = number;
	w->expected = number ? pcache_number_after(number) :
			       pcache_number_behind_mainline(w->ks, &behind);
	w->first = false;
	if (w->stale) {
		pc->journal.has_stale = true;
		pc->journal.stale_end = behind;
	}
	pc->journal.last = here;
	pc->journal.last_is_log_only = kind == PCACHE_KSET_IS_LAST;
	return true;
}

/* Is @number later than @expected, by at most @reach? */
static bool later_within(u64 number, u64 expected, u64 reach)
{
	u64 ahead = (number - expected) & PCACHE_NUMBER_MAX;

	return number != 0 && ahead > 0 && ahead <= reach;
}

/* Is there a kset at @at whose number is later than @expected by at most @reach? */
static bool later_kset_at(struct pcache *pc, struct walk *w, const struct pcache_pos *at,
			  u64 expected, u64 reach)
{
	enum pcache_kset_kind kind = pcache_kset_read(pc, at, w->ks);

	return (kind == PCACHE_KSET_ORDINARY || kind == PCACHE_KSET_IS_LAST) &&
	       later_within(pcache_kset_number(w->ks), expected, reach);
}

/* Looks for later ksets in the rest of the walk's segment, in steps of 8 bytes. */
static bool later_kset_in_segment(struct pcache *pc, struct walk *w, u64 expected)
{
	const u32 magic_off = offsetof(struct pcache_media_kset, magic);
	struct pcache_pos at = w->pos;
	__le64 *buf = w->scan;
	u32 off, i, n;

	for (off = w->pos.off + 8 + magic_off; off < PCACHE_DATA_BYTES; off += n) {
		n = min_t(u32, SCAN_BYTES, PCACHE_DATA_BYTES - off);
		if (!pmem_read(buf, pcache_seg_data(pc, w->pos.seg, off), n))
			continue;
		for (i = 0; i < n / sizeof(*buf); i++) {
			if (buf[i] != cpu_to_le64(PCACHE_KSET_MAGIC))
				continue;
			at.off = off + i * sizeof(*buf) - magic_off;
			if (at.off <= PCACHE_DATA_BYTES - PCACHE_LAST_BYTES &&
			    later_kset_at(pc, w, &at, expected,
					  (at.off - w->pos.off) / KSET_MIN_BYTES))
				return true;
		}
		cond_resched();
	}
	return false;
}

/*
 * Is there a kset of this log behind the walk's place, which has none? Between
 * the two at most as many are missing as have room in between.
 */
static bool later_kset_in_reach(struct pcache *pc, struct walk *w, u64 expected)
{
	u64 per_segment = PCACHE_DATA_BYTES / KSET_MIN_BYTES + 1;
	struct pcache_pos at = { };

	if (!expected)
		return false;
	if (later_kset_in_segment(pc, w, expected))
		return true;
	for (at.seg = 0; at.seg < pc->n_segs; at.seg++)
		if (later_kset_at(pc, w, &at, expected, per_segment * pc->n_segs))
			return true;
	return false;
}

/* No kset is taken at the walk's place: is that the end of the log? */
static void judge_end(struct pcache *pc, struct walk *w, enum pcache_kset_kind kind)
{
	const struct pcache_media_ext *ext = &pc->super.ext;
	u64 expected = expected_number(pc, w);

	if (kind == PCACHE_KSET_UNREADABLE) {
		damaged(pc, &w->pos, "media error");
		return;
	}
	if (kind == PCACHE_KSET_ALIEN) {
		damaged(pc, &w->pos, "a kset says what is not allowed");
		return;
	}
	if (pc->super.clean && (le32_to_cpu(ext->head_seg) != w->pos.seg ||
				le32_to_cpu(ext->head_off) != w->pos.off)) {
		damaged(pc, &w->pos, "it ends before the head of the last detach");
		return;
	}
	if (w->first && !expected && !pc->super.mainline_was_here) {
		damaged(pc, &w->pos, "there is no valid kset at key_tail");
		return;
	}
	/* What a clean detach has noted as the head needs no search for what is behind it. */
	if (!pc->super.clean && later_kset_in_reach(pc, w, expected)) {
		damaged(pc, &w->pos, "a kset is invalid and later ones are not");
		return;
	}
	if (kind == PCACHE_KSET_TORN)
		pcache_info(pc, "log ends at %u:%u with something that is no kset: cut short, or left by an older log",
			    w->pos.seg, w->pos.off);
}

/* Walks from key_tail to the end, or to damage, ahead of what gets into the index. */
static void walk_log(struct pcache *pc, struct walk *w)
{
	w->pos = pc->journal.key_tail;
	w->first = true;
	w->number = 0;
	w->met_dirty_tail = false;
	pc->journal.held_sectors = 0;
	if (!enter_segment(pc, w, w->pos.seg))
		return;
	for (;;) {
		enum pcache_kset_kind kind;

		if (pcache_pos_same(&w->pos, &w->dirty_tail)) {
			w->met_dirty_tail = true;
			w->dirty_tail.ord = w->pos.ord;
		}
		kind = pcache_kset_read(pc, &w->pos, w->ks);
		if ((kind == PCACHE_KSET_ORDINARY || kind == PCACHE_KSET_IS_LAST ||
		     kind == PCACHE_KSET_ALIEN) &&
		    !number_fits(pc, w, pcache_kset_number(w->ks)))
			kind = PCACHE_KSET_TORN;
		if (kind != PCACHE_KSET_ORDINARY && kind != PCACHE_KSET_IS_LAST) {
			judge_end(pc, w, kind);
			return;
		}
		if (!take_kset(pc, w, kind))
			return;
		cond_resched();
	}
}

/* A whole walk: what it has found is in the index. */
static void fill_index(struct pcache *pc, struct walk *w)
{
	walk_log(pc, w);
	pcache_lanes_drain(w->lanes);
}

/* Forgets what a walk has found. */
static void forget_walk(struct pcache *pc)
{
	u32 i;

	for (i = 0; i < pc->n_segs; i++) {
		atomic_set(&pcache_seg(pc, i)->refs, 0);
		pcache_seg(pc, i)->use = PCACHE_SEG_FREE;
	}
	for (i = 0; i < 1 << pc->shard_bits; i++)
		pcache_tree_clear(&pc->shards[i].tree);
	pcache_reset_counters(pc);
	memset(&pc->damage, 0, sizeof(pc->damage));
	pc->journal.has_stale = false;
}

/**
 * pcache_replay() - Read the log; fill the index; count refs.
 * @pc: cache; its super-block and segments are loaded
 * @error: why not
 *
 * Damage in the log is no error: @pc->damage tells of it, and what stands before
 * it is in the index.
 *
 * Context: may sleep. Return: 0 or -errno.
 */
int pcache_replay(struct pcache *pc, const char **error)
{
	struct pcache_journal *j = &pc->journal;
	struct walk w = { };
	int r = load_tails(pc, error);

	if (r)
		return r;
	w.ks = kmalloc(sizeof(*w.ks), GFP_KERNEL);
	w.scan = kmalloc(SCAN_BYTES, GFP_KERNEL);
	w.lanes = pcache_lanes_make(pc);
	if (!w.ks || !w.scan || !w.lanes) {
		*error = "Cannot allocate memory for the log";
		r = -ENOMEM;
		goto out;
	}
	j->last = j->key_tail;
	j->last_is_log_only = true;
	j->has_stale = false;
	w.dirty_tail = j->dirty_tail;
	fill_index(pc, &w);
	if (!w.met_dirty_tail && !pc->damage.found && j->dirty_slots.valid != 3) {
		pcache_warn(pc, "dirty_tail does not stand in the log, and one of its copies is invalid: all keys count as dirty");
		forget_walk(pc);
		w.dirty_tail = j->key_tail;
		fill_index(pc, &w);
	}
	if (!w.met_dirty_tail && !pc->damage.found) {
		*error = "Cache dirty_tail: does not stand at a kset of the log";
		r = -EUCLEAN;
	}
	j->dirty_tail = w.dirty_tail;
	j->head = w.pos;
	j->durable = w.pos;
	j->last_number = w.number;
	j->next_number = w.first ? 0 : w.expected;
out:
	pcache_lanes_free(w.lanes);
	kfree(w.scan);
	kfree(w.ks);
	return r;
}

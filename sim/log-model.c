// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model of a cache whose data is a log: what is written or filled goes to the head,
 * and so does what is copied for a second turn. What it supersedes stays where it is, as
 * garbage, until its segment's turn comes; then all of the segment goes. This is what the
 * engine can do; against the models of single units it shows what the log costs.
 *
 * Keys take segments as well, as many as they fill, and one more. Nothing is ever dirty
 * when its turn comes: write-back has come by.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#include "policy-models.h"

#define KEY_BYTES		40
#define KSET_BYTES		24
#define MERGED_SECTORS_MAX	8192	/* an extent lies in 4 MiB of the backing device */
#define KEY_SECTORS_MAX		512

struct slot {
	u32 unit;
	u32 first;		/* slot of the extent's first unit: there are its uses */
	u8 uses;
};

struct seg {
	u32 nr;			/* slots that are taken */
	u32 keys;
};

struct log_model {
	struct model m;
	struct log_config c;
	struct log_figures figures;
	struct slot *slot;
	struct seg *seg;
	u32 *where;		/* slot of a unit, and one; 0: it is not cached */
	u32 *sealed;		/* full segments, from the oldest on: a ring */
	u32 oldest;
	u32 nr_sealed;
	u32 *free_segs;
	u32 nr_free;
	u32 head;
	u64 keys;		/* of what is in a segment */
	bool reclaims;
};

static struct log_model *log_of(struct model *m)
{
	return container_of(m, struct log_model, m);
}

static bool is_live(const struct log_model *l, u32 slot)
{
	return l->where[l->slot[slot].unit] == slot + 1;
}

static u32 segs_of_keys(const struct log_model *l)
{
	u64 bytes = l->keys * KEY_BYTES + l->keys / l->c.kset_keys * KSET_BYTES;

	return bytes / ((u64)l->c.seg_units * l->c.unit_sectors * 512) + 1;
}

static bool few_are_free(const struct log_model *l)
{
	s64 nr_free = (s64)l->nr_free - segs_of_keys(l);

	return (l->c.segs - nr_free) * 100 >= (u64)l->c.segs * l->c.gc_percent ||
	       nr_free <= l->c.reserved + 1;
}

static u32 place(struct log_model *l, u32 first, u32 n, u8 uses);

/* Of a segment that goes, copies the slots from @slot on that are one extent. */
static u32 copy_extent(struct log_model *l, u32 slot, u32 end, u32 most)
{
	const struct slot *s = &l->slot[slot];
	u8 uses = l->slot[s->first].uses - 1;
	u32 n = 1, done;

	while (n < most && slot + n < end && is_live(l, slot + n) &&
	       s[n].first == s->first && s[n].unit == s->unit + n)
		n++;
	for (done = 0; done < n; )
		done += place(l, s->unit + done, n - done, uses);
	l->m.stored += n;
	l->figures.copied += n;
	return n;
}

/* What of a segment is live goes, but for what gets a second turn. */
static void empty_seg(struct log_model *l, u32 seg)
{
	u32 budget = l->c.seg_units * l->c.bound_percent / 100;
	u32 at = seg * l->c.seg_units, end = at + l->seg[seg].nr, n;

	for (; at < end; at += n) {
		bool used = l->slot[l->slot[at].first].uses;

		n = 1;
		if (!is_live(l, at))
			continue;
		if (used && budget) {
			n = copy_extent(l, at, end, budget);
			budget -= n;
		} else {
			l->where[l->slot[at].unit] = 0;
		}
		l->figures.live += n;
		l->figures.used += used ? n : 0;
	}
	l->figures.segs++;
}

static void reclaim(struct log_model *l)
{
	l->reclaims = true;
	while (l->nr_sealed && few_are_free(l)) {
		u32 seg = l->sealed[l->oldest];

		l->oldest = (l->oldest + 1) % l->c.segs;
		l->nr_sealed--;
		empty_seg(l, seg);
		l->keys -= l->seg[seg].keys;
		l->free_segs[l->nr_free++] = seg;
	}
	l->reclaims = false;
}

static void new_head(struct log_model *l)
{
	l->sealed[(l->oldest + l->nr_sealed++) % l->c.segs] = l->head;
	l->head = l->free_segs[--l->nr_free];
	l->seg[l->head] = (struct seg) { };
	if (!l->reclaims && few_are_free(l))
		reclaim(l);
}

/* Which extent does @unit, to be stored at @slot, belong to? */
static u32 extent_at(const struct log_model *l, u32 slot, u32 unit, bool new_key)
{
	const struct slot *before = &l->slot[slot - 1];

	if (slot % l->c.seg_units == 0 || l->c.grain == LOG_GRAIN_UNIT)
		return slot;
	if (!new_key)
		return before->first;
	if (l->c.grain == LOG_GRAIN_MERGED && before->unit + 1 == unit &&
	    unit % (MERGED_SECTORS_MAX / l->c.unit_sectors) && is_live(l, slot - 1))
		return before->first;
	return slot;
}

/* Stores one key; returns how many of @n units it has. */
static u32 place(struct log_model *l, u32 first, u32 n, u8 uses)
{
	struct seg *head = &l->seg[l->head];
	u32 slot, i;

	n = min(n, l->c.seg_units - head->nr);
	n = min(n, max(KEY_SECTORS_MAX / l->c.unit_sectors, 1U));
	slot = l->head * l->c.seg_units + head->nr;
	for (i = 0; i < n; i++, slot++) {
		u32 extent = extent_at(l, slot, first + i, !i);

		l->slot[slot] = (struct slot) { first + i, extent, extent == slot ? uses : 0 };
		l->where[first + i] = slot + 1;
	}
	head->nr += n;
	head->keys++;
	l->keys++;
	if (head->nr == l->c.seg_units)
		new_head(l);
	return n;
}

/* The end of a segment cuts a fill short. */
static void log_insert(struct model *m, u32 first, u32 n, bool fill)
{
	struct log_model *l = log_of(m);
	u32 room = l->c.seg_units - l->seg[l->head].nr;

	if (fill)
		n = min(n, room);
	m->fills += fill;
	m->stored += n;
	while (n) {
		u32 done = place(l, first, n, 0);

		first += done;
		n -= done;
	}
}

static bool log_touch(struct model *m, u32 unit)
{
	struct log_model *l = log_of(m);
	u32 slot = l->where[unit];
	struct slot *first;

	if (!slot)
		return false;
	first = &l->slot[l->slot[slot - 1].first];
	first->uses = min(first->uses + 1U, l->c.turns);
	return true;
}

static void log_free(struct model *m)
{
	struct log_model *l = log_of(m);

	free(l->slot);
	free(l->seg);
	free(l->where);
	free(l->sealed);
	free(l->free_segs);
	free(l);
}

static const struct model_ops log_ops = { "log", log_touch, log_insert, log_free };

/**
 * log_model_figures() - What segments held when they went.
 * @m: model of a log
 */
const struct log_figures *log_model_figures(const struct model *m)
{
	return &container_of(m, struct log_model, m)->figures;
}

/**
 * log_model_new() - Make a model of a log.
 * @config: what it is like
 * @units: are below this
 */
struct model *log_model_new(const struct log_config *config, u32 units)
{
	struct log_model *l = calloc(1, sizeof(*l));

	l->m.ops = &log_ops;
	l->c = *config;
	l->slot = calloc((size_t)config->segs * config->seg_units, sizeof(*l->slot));
	l->seg = calloc(config->segs, sizeof(*l->seg));
	l->where = calloc(units, sizeof(*l->where));
	l->sealed = calloc(config->segs, sizeof(*l->sealed));
	l->free_segs = calloc(config->segs, sizeof(*l->free_segs));
	for (u32 i = 1; i < config->segs; i++)
		l->free_segs[l->nr_free++] = config->segs - i;
	return &l->m;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The index: logical range -> place on the medium.
 *
 * A tree is an rbtree of leaves, each a sorted array of packed extents: about
 * 24 bytes for an extent (30 with data_crc) where one node each would be 64 and
 * more. Leaves split when full and merge with a neighbour when two thirds of
 * one can hold both. Extents of a tree never overlap.
 *
 * Nothing here allocates while a lock is held: a tree holds spare leaves, and
 * pcache_tree_prepare() tops them up before an operation that may need some.
 *
 * The cache's index is an array of shards, each a tree with a lock. A stretch
 * (4 MiB) of the backing device lies in one shard, so a request and a key,
 * which never cross a stretch, need one lock. All extents come from keys in
 * the log and go when key_tail passes these, so DRAM is bounded by the cache.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "pcache.h"

/*
 * A packed extent.
 *	where: sector 63..16, sectors - 1 15..3, discarded 2, used 1, clean 0
 *	place: seg 63..44, off 43..29, key_delta 28..16, key_sectors - 1 15..3
 */
struct entry {
	u64 where;
	u64 place;
};

#define ENTRY_CLEAN		BIT_ULL(0)
#define ENTRY_USED		BIT_ULL(1)
#define ENTRY_DISCARDED		BIT_ULL(2)
#define LEAF_HEADER_BYTES	(sizeof(struct rb_node) + 2 * sizeof(void *))
#define LEAF_ROOM_BYTES		(PCACHE_LEAF_BYTES - LEAF_HEADER_BYTES)
#define LEAF_PLAIN		(LEAF_ROOM_BYTES / sizeof(struct entry))
#define LEAF_CRC		(LEAF_ROOM_BYTES / (sizeof(struct entry) + sizeof(u32)))

struct pcache_leaf {
	struct rb_node node;
	struct pcache_leaf *next_spare;
	u32 nr;
	union {
		struct entry entry[LEAF_PLAIN];
		struct {
			struct entry entry_with_crc[LEAF_CRC];	/* the first of entry[] */
			u32 crc[LEAF_CRC];
		};
	};
};

static_assert(sizeof(struct pcache_leaf) <= PCACHE_LEAF_BYTES);
static_assert(PCACHE_STRETCH_SECTORS <= 1 << 13);
static_assert(PCACHE_DATA_SECTORS <= 1 << 15);
static_assert(PCACHE_MAX_SEGS <= 1 << 20);

/* As many insertions as need the two spare leaves of pcache_tree_clean(). */
#define TREE_CLEAN		10
/* Extents that are marked as discarded under one hold of a shard's lock. */
#define DISCARD_STEP		128

/* An extent of a tree: entry @i of @leaf. */
struct cursor {
	struct pcache_leaf *leaf;
	u32 i;
};

static u32 leaf_capacity(const struct pcache_tree *t)
{
	return t->crc ? LEAF_CRC : LEAF_PLAIN;
}

static sector_t entry_sector(const struct entry *en)
{
	return en->where >> 16;
}

static u32 entry_sectors(const struct entry *en)
{
	return ((en->where >> 3) & 0x1fff) + 1;
}

static void leaf_get(const struct pcache_tree *t, const struct pcache_leaf *leaf, u32 i,
		     struct pcache_extent *e)
{
	const struct entry *en = &leaf->entry[i];

	e->sector = entry_sector(en);
	e->sectors = entry_sectors(en);
	e->clean = en->where & ENTRY_CLEAN;
	e->used = en->where & ENTRY_USED;
	e->discarded = en->where & ENTRY_DISCARDED;
	e->seg = en->place >> 44;
	e->off = (en->place >> 29) & 0x7fff;
	e->key_delta = (en->place >> 16) & 0x1fff;
	e->key_sectors = ((en->place >> 3) & 0x1fff) + 1;
	e->crc = t->crc ? leaf->crc[i] : 0;
}

static void leaf_set(const struct pcache_tree *t, struct pcache_leaf *leaf, u32 i,
		     const struct pcache_extent *e)
{
	struct entry *en = &leaf->entry[i];

	en->where = (u64)e->sector << 16 | (u64)(e->sectors - 1) << 3 |
		    (e->discarded ? ENTRY_DISCARDED : 0) | (e->used ? ENTRY_USED : 0) |
		    (e->clean ? ENTRY_CLEAN : 0);
	en->place = (u64)e->seg << 44 | (u64)e->off << 29;
	if (t->crc) {
		en->place |= (u64)e->key_delta << 16 | (u64)(e->key_sectors - 1) << 3;
		leaf->crc[i] = e->crc;
	}
}

static void leaf_move(const struct pcache_tree *t, struct pcache_leaf *to, u32 to_i,
		      const struct pcache_leaf *from, u32 from_i, u32 nr)
{
	memmove(&to->entry[to_i], &from->entry[from_i], nr * sizeof(struct entry));
	if (t->crc)
		memmove(&to->crc[to_i], &from->crc[from_i], nr * sizeof(u32));
}

static struct pcache_leaf *leaf_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct pcache_leaf, node);
}

static struct pcache_leaf *leaf_next(struct pcache_leaf *leaf)
{
	return leaf_of(rb_next(&leaf->node));
}

static struct pcache_leaf *take_spare(struct pcache_tree *t)
{
	struct pcache_leaf *leaf = t->spares;

	t->spares = leaf->next_spare;
	t->nr_spares--;
	leaf->nr = 0;
	return leaf;
}

static void add_spare(struct pcache_tree *t, struct pcache_leaf *leaf)
{
	leaf->next_spare = t->spares;
	t->spares = leaf;
	t->nr_spares++;
}

/* Takes an empty leaf out of the tree. */
static void leaf_remove(struct pcache_tree *t, struct pcache_leaf *leaf)
{
	rb_erase(&leaf->node, &t->root);
	if (t->nr_spares < 1)
		add_spare(t, leaf);
	else
		mempool_free(leaf, t->pool);
}

/* Puts @new into the tree right behind @leaf. */
static void leaf_link_behind(struct pcache_tree *t, struct pcache_leaf *leaf,
			     struct pcache_leaf *new)
{
	struct rb_node *parent = &leaf->node;
	struct rb_node **link = &parent->rb_right;

	while (*link) {
		parent = *link;
		link = &parent->rb_left;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &t->root);
}

/* The last leaf that begins at or before @sector; else the first one. */
static struct pcache_leaf *leaf_for(struct pcache_tree *t, sector_t sector)
{
	struct rb_node *node = t->root.rb_node;
	struct pcache_leaf *best = NULL;

	while (node) {
		struct pcache_leaf *leaf = leaf_of(node);

		if (entry_sector(&leaf->entry[0]) <= sector) {
			best = leaf;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return best ?: leaf_of(rb_first(&t->root));
}

/* How many entries of @leaf begin before @sector. */
static u32 leaf_rank(const struct pcache_leaf *leaf, sector_t sector)
{
	u32 lo = 0, hi = leaf->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (entry_sector(&leaf->entry[mid]) < sector)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first entry that ends behind @sector; false: there is none. */
static bool seek(struct pcache_tree *t, sector_t sector, struct cursor *c)
{
	const struct entry *before;

	c->leaf = leaf_for(t, sector);
	if (!c->leaf)
		return false;
	c->i = leaf_rank(c->leaf, sector);
	if (c->i > 0) {
		before = &c->leaf->entry[c->i - 1];
		if (entry_sector(before) + entry_sectors(before) > sector)
			c->i--;
	}
	if (c->i == c->leaf->nr) {
		c->leaf = leaf_next(c->leaf);
		c->i = 0;
	}
	return c->leaf;
}

/*
 * Inserts @e as entry @i of @leaf. When that is full, what comes at its end goes
 * to the front of the next leaf, if there is room; otherwise the leaf splits.
 */
static void leaf_insert(struct pcache_tree *t, struct pcache_leaf *leaf, u32 i,
			const struct pcache_extent *e)
{
	struct pcache_leaf *next = i == leaf_capacity(t) ? leaf_next(leaf) : NULL;

	if (next && next->nr < leaf_capacity(t)) {
		leaf = next;
		i = 0;
	} else if (leaf->nr == leaf_capacity(t)) {
		struct pcache_leaf *new = take_spare(t);
		/* Ascending insertion leaves full leaves behind. */
		u32 keep = i == leaf->nr ? leaf->nr : leaf->nr / 2;

		new->nr = leaf->nr - keep;
		leaf_move(t, new, 0, leaf, keep, new->nr);
		leaf->nr = keep;
		leaf_link_behind(t, leaf, new);
		if (i > keep || new->nr == 0) {
			i -= keep;
			leaf = new;
		}
	}
	leaf_move(t, leaf, i + 1, leaf, i, leaf->nr - i);
	leaf_set(t, leaf, i, e);
	leaf->nr++;
}

/* Takes out entry @c->i; @c then is at the one behind it. False: no more. */
static bool cursor_remove(struct pcache_tree *t, struct cursor *c)
{
	struct pcache_leaf *leaf = c->leaf, *next;

	leaf->nr--;
	leaf_move(t, leaf, c->i, leaf, c->i + 1, leaf->nr - c->i);
	if (c->i < leaf->nr)
		return true;
	next = leaf_next(leaf);
	if (leaf->nr == 0)
		leaf_remove(t, leaf);
	c->leaf = next;
	c->i = 0;
	return next;
}

/* Can one entry be inserted as entry @i of @leaf without a spare leaf? */
static bool leaf_takes(const struct pcache_tree *t, struct pcache_leaf *leaf, u32 i)
{
	struct pcache_leaf *next = i == leaf_capacity(t) ? leaf_next(leaf) : NULL;

	return leaf->nr < leaf_capacity(t) || (next && next->nr < leaf_capacity(t));
}

static bool cursor_advance(struct cursor *c)
{
	if (++c->i == c->leaf->nr) {
		c->leaf = leaf_next(c->leaf);
		c->i = 0;
	}
	return c->leaf;
}

/* Merges the leaf that holds @sector's place with the next, if both are thin. */
static void leaf_merge(struct pcache_tree *t, sector_t sector)
{
	struct pcache_leaf *leaf = leaf_for(t, sector), *next;

	if (!leaf)
		return;
	next = leaf_next(leaf);
	if (!next || leaf->nr + next->nr > leaf_capacity(t) * 2 / 3)
		return;
	leaf_move(t, leaf, leaf->nr, next, 0, next->nr);
	leaf->nr += next->nr;
	next->nr = 0;
	leaf_remove(t, next);
}

/**
 * pcache_extent_part() - A part of an extent.
 * @e: extent
 * @from: first sector of the part
 * @to: the sector behind it
 */
struct pcache_extent pcache_extent_part(const struct pcache_extent *e, sector_t from, sector_t to)
{
	struct pcache_extent part = *e;
	u32 skip = from - e->sector;

	part.sector = from;
	part.sectors = to - from;
	part.off += skip;
	part.key_delta += skip;
	return part;
}

/**
 * pcache_same_place() - Do two extents have the same distance from place to sector?
 * @a: extent
 * @b: extent
 */
bool pcache_same_place(const struct pcache_extent *a, const struct pcache_extent *b)
{
	return a->seg == b->seg && a->off - a->sector == b->off - b->sector;
}

/**
 * pcache_tree_init() - Make an empty tree.
 * @t: to be made
 * @crc: its extents have CRCs
 * @pool: where its leaves come from
 */
void pcache_tree_init(struct pcache_tree *t, bool crc, mempool_t *pool)
{
	t->root = RB_ROOT;
	t->spares = NULL;
	t->nr_spares = 0;
	t->crc = crc;
	t->forgot = false;
	t->no_fills = false;
	t->pool = pool;
}

/**
 * pcache_tree_clear() - Take everything out, spares too.
 * @t: tree; nobody else uses it
 */
void pcache_tree_clear(struct pcache_tree *t)
{
	struct rb_node *node;

	t->forgot = false;
	t->no_fills = false;
	while ((node = rb_first(&t->root))) {
		rb_erase(node, &t->root);
		mempool_free(leaf_of(node), t->pool);
	}
	while (t->nr_spares)
		mempool_free(take_spare(t), t->pool);
}

/**
 * pcache_tree_need() - How many spare leaves an operation may use up.
 * @inserts: extents that it inserts next to each other
 *
 * They, and what the first cut leaves on the right, make at most one more entry
 * than @inserts. A full leaf splits in two that take 11 more each.
 */
u32 pcache_tree_need(u32 inserts)
{
	return 1 + (inserts + 1) / 11;
}

/**
 * pcache_tree_prepare() - Top up a tree's spare leaves.
 * @t: tree; nobody else uses it
 * @inserts: see pcache_tree_need()
 * @gfp: may it wait?
 *
 * Return: false when there is no memory.
 */
bool pcache_tree_prepare(struct pcache_tree *t, u32 inserts, gfp_t gfp)
{
	while (t->nr_spares < pcache_tree_need(inserts)) {
		struct pcache_leaf *leaf = mempool_alloc(t->pool, gfp);

		if (!leaf)
			return false;
		add_spare(t, leaf);
	}
	return true;
}

/* What is discarded counts as nothing. */
static void count_part(const struct pcache_extent *e, u32 sectors, struct pcache_delta *d)
{
	if (e->discarded)
		return;
	if (e->clean)
		d->clean += sectors;
	else
		d->dirty += sectors;
}

/* Does a cut with @match take @e out? */
static bool is_cut(const struct pcache_extent *e, const struct pcache_extent *match)
{
	if (!match)
		return true;
	return pcache_same_place(e, match) && (e->discarded ? match->discarded : e->clean);
}

/**
 * pcache_tree_cut() - Take a range out.
 * @t: tree, locked
 * @sector: first sector
 * @sectors: how many
 * @match: only what is clean, or discarded if this is, and lies at the same place as
 *	   this; NULL: everything
 * @d: what was taken out is added here
 *
 * Uses up to pcache_tree_need(0) spare leaves. With @match it does without: what
 * would need one is clean or discarded, and is taken out as well.
 */
void pcache_tree_cut(struct pcache_tree *t, sector_t sector, u32 sectors,
		     const struct pcache_extent *match, struct pcache_delta *d)
{
	sector_t end = sector + sectors;
	struct pcache_extent e, left, right;
	bool removed = false;
	struct cursor c;
	bool more;

	for (more = seek(t, sector, &c); more; ) {
		sector_t lo, hi;

		leaf_get(t, c.leaf, c.i, &e);
		if (e.sector >= end)
			break;
		if (!is_cut(&e, match)) {
			more = cursor_advance(&c);
			continue;
		}
		lo = max_t(sector_t, e.sector, sector);
		hi = min_t(sector_t, pcache_extent_end(&e), end);
		count_part(&e, hi - lo, d);

		left = pcache_extent_part(&e, e.sector, lo);
		right = pcache_extent_part(&e, hi, pcache_extent_end(&e));
		if (left.sectors && right.sectors && match && !t->nr_spares &&
		    !leaf_takes(t, c.leaf, c.i + 1)) {
			count_part(&e, right.sectors, d);
			right.sectors = 0;
			t->forgot = true;
		}
		/* A key of the same place may stand further on in the log, dirty. */
		t->no_fills |= match && e.discarded && t->forgot;
		if (left.sectors && right.sectors) {
			leaf_set(t, c.leaf, c.i, &left);
			leaf_insert(t, c.leaf, c.i + 1, &right);
			break;
		}
		if (right.sectors) {
			leaf_set(t, c.leaf, c.i, &right);
			break;
		}
		if (left.sectors) {
			leaf_set(t, c.leaf, c.i, &left);
			more = cursor_advance(&c);
		} else {
			more = cursor_remove(t, &c);
			removed = true;
		}
	}
	if (removed)
		leaf_merge(t, sector);
}

/* Can @b follow @a in one entry? */
static bool mergeable(const struct pcache_tree *t, const struct pcache_extent *a,
		      const struct pcache_extent *b)
{
	return !t->crc && pcache_extent_end(a) == b->sector && pcache_same_place(a, b) &&
	       a->clean == b->clean && a->discarded == b->discarded &&
	       a->sector / PCACHE_STRETCH_SECTORS == b->sector / PCACHE_STRETCH_SECTORS;
}

/**
 * pcache_tree_insert() - Put an extent in, over whatever was there.
 * @t: tree, locked
 * @e: extent
 * @d: what it overwrote is added here
 *
 * Uses up to pcache_tree_need(1) spare leaves.
 */
void pcache_tree_insert(struct pcache_tree *t, const struct pcache_extent *e,
			struct pcache_delta *d)
{
	struct pcache_extent new = *e, near;
	struct pcache_leaf *leaf;
	u32 i;

	pcache_tree_cut(t, e->sector, e->sectors, NULL, d);
	leaf = leaf_for(t, e->sector);
	if (!leaf) {
		leaf = take_spare(t);
		leaf_set(t, leaf, 0, &new);
		leaf->nr = 1;
		rb_link_node(&leaf->node, NULL, &t->root.rb_node);
		rb_insert_color(&leaf->node, &t->root);
		return;
	}
	i = leaf_rank(leaf, e->sector);
	if (i < leaf->nr) {
		leaf_get(t, leaf, i, &near);
		if (mergeable(t, &new, &near)) {
			new.sectors += near.sectors;
			new.used |= near.used;
			leaf->nr--;
			leaf_move(t, leaf, i, leaf, i + 1, leaf->nr - i);
		}
	}
	if (i > 0) {
		leaf_get(t, leaf, i - 1, &near);
		if (mergeable(t, &near, &new)) {
			near.sectors += new.sectors;
			near.used |= new.used;
			leaf_set(t, leaf, i - 1, &near);
			return;
		}
	}
	leaf_insert(t, leaf, i, &new);
}

/*
 * Marks a part of an entry as clean. Without a spare leaf for the split, it is
 * taken out instead: it is clean, and may be forgotten. False: not even that
 * works, because it lies in the middle of the entry.
 */
static bool clean_part(struct pcache_tree *t, const struct pcache_extent *whole,
		       struct pcache_extent *part, struct pcache_delta *d)
{
	bool middle = part->sector > whole->sector &&
		      pcache_extent_end(part) < pcache_extent_end(whole);
	struct pcache_delta ignored = { };

	if (t->nr_spares < pcache_tree_need(1) && middle)
		return false;
	part->clean = true;
	d->dirty += part->sectors;
	if (t->nr_spares >= pcache_tree_need(1)) {
		d->clean += part->sectors;
		pcache_tree_insert(t, part, &ignored);
	} else {
		pcache_tree_cut(t, part->sector, part->sectors, NULL, &ignored);
		t->forgot = true;
	}
	return true;
}

/**
 * pcache_tree_clean() - Mark as clean what still lies at an extent's place.
 * @t: tree, locked
 * @e: range and place
 * @d: sectors that were dirty, and those that now are clean, are added here
 *
 * Splits at both ends of the range, maybe in two leaves: uses up to two spare
 * leaves. Without them some of the range may be taken out instead.
 *
 * Return: false when a spare leaf is needed; what has been done stays done.
 */
bool pcache_tree_clean(struct pcache_tree *t, const struct pcache_extent *e,
		       struct pcache_delta *d)
{
	sector_t at = e->sector, end = pcache_extent_end(e);
	struct pcache_extent part, got;
	struct cursor c;

	while (at < end && seek(t, at, &c)) {
		sector_t hi;

		leaf_get(t, c.leaf, c.i, &got);
		if (got.sector >= end)
			break;
		hi = min_t(sector_t, pcache_extent_end(&got), end);
		if (!got.clean && !got.discarded && pcache_same_place(&got, e)) {
			part = pcache_extent_part(&got, max_t(sector_t, got.sector, at), hi);
			if (part.sectors == got.sectors) {
				d->dirty += part.sectors;
				d->clean += part.sectors;
				part.clean = true;
				leaf_set(t, c.leaf, c.i, &part);
			} else if (!clean_part(t, &got, &part, d)) {
				return false;
			}
		}
		at = hi;
	}
	return true;
}

/**
 * pcache_tree_discard() - Mark extents as discarded.
 * @t: tree, locked
 * @at: first sector
 * @end: the sector behind the last one
 * @max: how many extents at most
 * @d: sectors that were dirty, and those that were clean, are added here
 *
 * Uses up to two spare leaves. Without them what would have to be split stays as it is.
 *
 * Return: the sector to go on from; @end when all is done.
 */
sector_t pcache_tree_discard(struct pcache_tree *t, sector_t at, sector_t end, u32 max,
			     struct pcache_delta *d)
{
	struct pcache_delta ignored = { };
	struct pcache_extent part, got;
	struct cursor c;

	while (max-- && at < end) {
		sector_t hi;

		if (!seek(t, at, &c))
			return end;
		leaf_get(t, c.leaf, c.i, &got);
		if (got.sector >= end)
			return end;
		hi = min_t(sector_t, pcache_extent_end(&got), end);
		part = pcache_extent_part(&got, max_t(sector_t, got.sector, at), hi);
		part.discarded = true;
		at = hi;
		if (got.discarded)
			continue;
		if (t->nr_spares >= pcache_tree_need(1))
			pcache_tree_insert(t, &part, &ignored);
		else if (part.sectors == got.sectors)
			leaf_set(t, c.leaf, c.i, &part);
		else
			continue;
		count_part(&got, part.sectors, d);
	}
	return at;
}

/**
 * pcache_tree_first() - Find the first extent that ends behind a sector.
 * @t: tree, locked
 * @sector: where to begin
 * @e: the whole extent; it may begin before @sector
 *
 * Return: false when there is none.
 */
bool pcache_tree_first(struct pcache_tree *t, sector_t sector, struct pcache_extent *e)
{
	struct cursor c;

	if (!seek(t, sector, &c))
		return false;
	leaf_get(t, c.leaf, c.i, e);
	return true;
}

/**
 * pcache_tree_is_hole() - Is nothing in a range?
 * @t: tree, locked
 * @sector: first sector
 * @sectors: how many
 */
bool pcache_tree_is_hole(struct pcache_tree *t, sector_t sector, u32 sectors)
{
	struct pcache_extent e;

	return !pcache_tree_first(t, sector, &e) || e.sector >= sector + sectors;
}

/**
 * pcache_tree_use() - Note that the extent at a sector is used.
 * @t: tree, locked
 * @sector: in an extent
 */
void pcache_tree_use(struct pcache_tree *t, sector_t sector)
{
	struct cursor c;

	if (seek(t, sector, &c))
		c.leaf->entry[c.i].where |= ENTRY_USED;
}

/* The backing device has it, and somebody may need it. What is discarded is as clean as it was. */
static bool is_good_copy(const struct pcache_extent *e)
{
	return e->clean && !e->discarded;
}

/**
 * pcache_tree_find_used() - Find what of an extent is still there, clean, used, not discarded.
 * @t: tree, locked
 * @e: range and place
 * @from: where in the range to begin; may be its end
 * @part: the first such part
 *
 * Return: false when there is none.
 */
bool pcache_tree_find_used(struct pcache_tree *t, const struct pcache_extent *e, sector_t from,
			   struct pcache_extent *part)
{
	sector_t end = pcache_extent_end(e);
	struct pcache_extent got;
	struct cursor c;
	bool more;

	for (more = from < end && seek(t, from, &c); more; more = cursor_advance(&c)) {
		leaf_get(t, c.leaf, c.i, &got);
		if (got.sector >= end)
			break;
		if (!is_good_copy(&got) || !got.used || !pcache_same_place(&got, e))
			continue;
		*part = pcache_extent_part(&got, max_t(sector_t, got.sector, from),
					   min_t(sector_t, pcache_extent_end(&got), end));
		return true;
	}
	return false;
}

/**
 * pcache_tree_is_clean() - Is all of an extent at its place, clean and not discarded?
 * @t: tree, locked
 * @e: range and place
 */
bool pcache_tree_is_clean(struct pcache_tree *t, const struct pcache_extent *e)
{
	sector_t at = e->sector, end = pcache_extent_end(e);
	struct pcache_extent now;

	for (; at < end; at = pcache_extent_end(&now))
		if (!pcache_tree_first(t, at, &now) || now.sector > at || !is_good_copy(&now) ||
		    !pcache_same_place(&now, e))
			return false;
	return true;
}

/* Leaves that stay in reserve when memory is short. */
#define LEAF_RESERVE	64

/**
 * pcache_index_init() - Make the cache's index, empty.
 * @pc: cache; n_segs and data_crc are known
 *
 * Return: 0 or -ENOMEM; then pcache_index_exit() cleans up.
 */
int pcache_index_init(struct pcache *pc)
{
	u32 i;

	if (mempool_init_kmalloc_pool(&pc->leaf_pool, LEAF_RESERVE, PCACHE_LEAF_BYTES))
		return -ENOMEM;
	pc->shard_bits = max(4, order_base_2(pc->n_segs));
	pc->shards = kvcalloc(1 << pc->shard_bits, sizeof(*pc->shards), GFP_KERNEL);
	if (!pc->shards)
		return -ENOMEM;
	for (i = 0; i < 1 << pc->shard_bits; i++) {
		struct pcache_shard *sh = &pc->shards[i];

		spin_lock_init(&sh->lock);
		INIT_LIST_HEAD(&sh->misses);
		INIT_LIST_HEAD(&sh->directs);
		pcache_tree_init(&sh->tree, pc->data_crc, &pc->leaf_pool);
	}
	return 0;
}

/**
 * pcache_index_exit() - Forget all.
 * @pc: cache
 */
void pcache_index_exit(struct pcache *pc)
{
	u32 i;

	if (pc->shards)
		for (i = 0; i < 1 << pc->shard_bits; i++)
			pcache_tree_clear(&pc->shards[i].tree);
	kvfree(pc->shards);
	mempool_exit(&pc->leaf_pool);
}

/**
 * pcache_index_shard() - The shard of a sector.
 * @pc: cache
 * @sector: on the backing device
 */
struct pcache_shard *pcache_index_shard(struct pcache *pc, sector_t sector)
{
	return &pc->shards[hash_64(sector / PCACHE_STRETCH_SECTORS, pc->shard_bits)];
}

/*
 * Tops up a locked shard's spare leaves, letting go of the lock meanwhile.
 * False: not enough of them; locked all the same.
 */
static bool top_up(struct pcache *pc, struct pcache_shard *sh, u32 need, bool reserve, gfp_t gfp)
	__must_hold(&sh->lock)
{
	while (sh->tree.nr_spares < need) {
		struct pcache_leaf *leaf;

		spin_unlock(&sh->lock);
		leaf = reserve ? mempool_alloc(&pc->leaf_pool, gfp) :
				 kmalloc(PCACHE_LEAF_BYTES, gfp);
		spin_lock(&sh->lock);
		if (!leaf)
			return false;
		add_spare(&sh->tree, leaf);
	}
	return true;
}

/**
 * pcache_index_lock() - Lock a shard and see to spare leaves for an operation.
 * @pc: cache
 * @sh: shard
 * @inserts: see pcache_tree_need()
 *
 * Neither waits for memory nor takes it from the reserve.
 *
 * Return: false when there are not enough spare leaves; locked all the same.
 */
bool pcache_index_lock(struct pcache *pc, struct pcache_shard *sh, u32 inserts)
	__acquires(&sh->lock)
{
	spin_lock(&sh->lock);
	return top_up(pc, sh, pcache_tree_need(inserts), false, GFP_NOWAIT | __GFP_NOWARN);
}

/**
 * pcache_index_lock_wait() - As pcache_index_lock(), but wait for memory.
 * @pc: cache
 * @sh: shard
 * @inserts: see pcache_tree_need()
 *
 * What reclaim takes out of the index refills the reserve, which ends the wait.
 *
 * Context: may sleep; neither the reclaim work nor on its queue.
 */
void pcache_index_lock_wait(struct pcache *pc, struct pcache_shard *sh, u32 inserts)
	__acquires(&sh->lock)
{
	spin_lock(&sh->lock);
	top_up(pc, sh, pcache_tree_need(inserts), true, GFP_NOIO);
}

/**
 * pcache_index_insert() - Put an extent in; void the fills that it overlaps.
 * @pc: cache
 * @sh: its shard, locked with spare leaves for one insertion
 * @e: extent
 */
void pcache_index_insert(struct pcache *pc, struct pcache_shard *sh,
			 const struct pcache_extent *e)
{
	struct pcache_delta d = { };

	lockdep_assert_held(&sh->lock);
	pcache_read_void_fills(sh, e->sector, e->sectors);
	pcache_tree_insert(&sh->tree, e, &d);
	/* A clean one over cached data is a second turn of that data. */
	if (!e->clean && (d.dirty || d.clean))
		pcache_count(pc, PCACHE_STAT_WRITE_OVERWRITES, 1);
	pcache_count(pc, PCACHE_STAT_DIRTY_SECTORS, (e->clean ? 0 : e->sectors) - (s64)d.dirty);
	pcache_count(pc, PCACHE_STAT_CACHED_SECTORS, (s64)e->sectors - d.dirty - d.clean);
}

/**
 * pcache_index_drop() - Take out what still lies at an extent's place and is clean.
 * @pc: cache
 * @e: range and place
 * @passed: key_tail is about to pass its keys; otherwise they stay in the log, and so does
 *	    what is discarded
 *
 * What is dirty there belongs to a later key: unreadable data is logged again
 * under the same place.
 *
 * Needs no memory.
 */
void pcache_index_drop(struct pcache *pc, const struct pcache_extent *e, bool passed)
{
	struct pcache_shard *sh = pcache_index_shard(pc, e->sector);
	struct pcache_extent match = *e;
	struct pcache_delta d = { };

	match.discarded = passed;
	pcache_index_lock(pc, sh, 0);
	pcache_tree_cut(&sh->tree, e->sector, e->sectors, &match, &d);
	sh->tree.forgot |= !passed;
	spin_unlock(&sh->lock);
	pcache_count(pc, PCACHE_STAT_CACHED_SECTORS, -(s64)d.clean);
}

/* The first clean extent from @at on that is cached. */
static bool next_clean(struct pcache_shard *sh, sector_t at, struct pcache_extent *e)
{
	bool found;

	spin_lock(&sh->lock);
	while ((found = pcache_tree_first(&sh->tree, at, e)) && (!e->clean || e->discarded))
		at = pcache_extent_end(e);
	spin_unlock(&sh->lock);
	return found;
}

/**
 * pcache_index_forget_clean() - Forget what is clean, while its keys stay in the log.
 * @pc: cache
 *
 * Context: may sleep. Return: 0, or -EINTR after a signal, with some of it done.
 */
int pcache_index_forget_clean(struct pcache *pc)
{
	struct pcache_extent e;
	sector_t at;
	u32 i;

	for (i = 0; i < 1 << pc->shard_bits; i++) {
		for (at = 0; next_clean(&pc->shards[i], at, &e); at = pcache_extent_end(&e)) {
			if (signal_pending(current))
				return -EINTR;
			pcache_index_drop(pc, &e, false);
			cond_resched();
		}
	}
	return 0;
}

/**
 * pcache_index_will_forget() - A key is logged again, under the same place.
 * @pc: cache
 * @sector: of it
 *
 * What is clean there leaves the index when key_tail passes the older of the two.
 */
void pcache_index_will_forget(struct pcache *pc, sector_t sector)
{
	struct pcache_shard *sh = pcache_index_shard(pc, sector);

	spin_lock(&sh->lock);
	sh->tree.forgot = true;
	spin_unlock(&sh->lock);
}

/**
 * pcache_index_clean() - Mark as clean what still lies at an extent's place.
 * @pc: cache
 * @e: range and place
 *
 * Without memory, clean data is forgotten where that spares a split.
 *
 * Context: may sleep, as pcache_index_lock_wait().
 */
void pcache_index_clean(struct pcache *pc, const struct pcache_extent *e)
{
	struct pcache_shard *sh = pcache_index_shard(pc, e->sector);
	struct pcache_delta d = { };

	pcache_index_lock(pc, sh, TREE_CLEAN);
	while (!pcache_tree_clean(&sh->tree, e, &d)) {
		spin_unlock(&sh->lock);
		pcache_index_lock_wait(pc, sh, TREE_CLEAN);
	}
	spin_unlock(&sh->lock);
	pcache_count(pc, PCACHE_STAT_DIRTY_SECTORS, -(s64)d.dirty);
	pcache_count(pc, PCACHE_STAT_CACHED_SECTORS, (s64)d.clean - d.dirty);
}

/**
 * pcache_index_discard() - Mark what is cached of a range as discarded.
 * @pc: cache
 * @sector: first sector
 * @sectors: how many; in one stretch
 *
 * It is not read any more, and leaves the index when key_tail passes its keys. Without
 * memory for a split some may stay as it is.
 *
 * Context: process context, no locks. Return: true when some of it was dirty.
 */
bool pcache_index_discard(struct pcache *pc, sector_t sector, u32 sectors)
{
	struct pcache_shard *sh = pcache_index_shard(pc, sector);
	sector_t end = sector + sectors;
	bool dirty = false;

	while (sector < end) {
		struct pcache_delta d = { };

		pcache_index_lock(pc, sh, TREE_CLEAN);
		sector = pcache_tree_discard(&sh->tree, sector, end, DISCARD_STEP, &d);
		spin_unlock(&sh->lock);
		pcache_count(pc, PCACHE_STAT_DIRTY_SECTORS, -(s64)d.dirty);
		pcache_count(pc, PCACHE_STAT_CACHED_SECTORS, -(s64)d.dirty - d.clean);
		dirty |= d.dirty;
		cond_resched();
	}
	return dirty;
}

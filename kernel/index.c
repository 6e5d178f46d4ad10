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
#include <linux/cache.h>
#include <linux/log2.h>
#include <linux/prefetch.h>
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
#define ENTRY_FLAGS		(ENTRY_CLEAN | ENTRY_USED | ENTRY_DISCARDED)
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
/* Less: the end of a segment's data is not the begin of the next one's. */
static_assert(PCACHE_DATA_SECTORS < 1 << 15);
static_assert(PCACHE_MAX_SEGS <= 1 << 20);

/* As many insertions as need the two spare leaves of pcache_tree_clean(). */
#define TREE_CLEAN		10
/* With more insertions pcache_tree_need() may be too few. */
static_assert(PCACHE_CHUNK_KEYS <= TREE_CLEAN);
/* Extents that are marked as discarded under one hold of a shard's lock. */
#define DISCARD_STEP		128
/* And as clean. */
#define CLEAN_STEP		64
/*
 * For each segment so many shards, as power of two: a segment holds the data of four full
 * stretches. So a tree is seldom more than that of one stretch, and low: each level is a
 * cache line that a search waits for.
 */
#define SEG_SHARD_BITS		3

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

static sector_t entry_end(const struct entry *en)
{
	return entry_sector(en) + entry_sectors(en);
}

static u32 entry_seg(const struct entry *en)
{
	return en->place >> 44;
}

static u32 entry_off(const struct entry *en)
{
	return (en->place >> 29) & 0x7fff;
}

static u64 pack_where(sector_t sector, u32 sectors, u64 flags)
{
	return (u64)sector << 16 | (u64)(sectors - 1) << 3 | flags;
}

static struct entry pack(const struct pcache_tree *t, const struct pcache_extent *e)
{
	struct entry en = {
		.where = pack_where(e->sector, e->sectors,
				    (e->discarded ? ENTRY_DISCARDED : 0) |
				    (e->used ? ENTRY_USED : 0) | (e->clean ? ENTRY_CLEAN : 0)),
		.place = (u64)e->seg << 44 | (u64)e->off << 29,
	};

	if (t->crc)
		en.place |= (u64)e->key_delta << 16 | (u64)(e->key_sectors - 1) << 3;
	return en;
}

/* The part of an entry from @skip sectors behind its first one on, @sectors long. */
static struct entry entry_part(const struct pcache_tree *t, const struct entry *en, u32 skip,
			       u32 sectors)
{
	return (struct entry) {
		.where = pack_where(entry_sector(en) + skip, sectors, en->where & ENTRY_FLAGS),
		.place = en->place + ((u64)skip << 29) + (t->crc ? (u64)skip << 16 : 0),
	};
}

static u32 leaf_crc(const struct pcache_tree *t, const struct pcache_leaf *leaf, u32 i)
{
	return t->crc ? leaf->crc[i] : 0;
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
	e->seg = entry_seg(en);
	e->off = entry_off(en);
	e->key_delta = (en->place >> 16) & 0x1fff;
	e->key_sectors = ((en->place >> 3) & 0x1fff) + 1;
	e->crc = leaf_crc(t, leaf, i);
}

static void leaf_put(const struct pcache_tree *t, struct pcache_leaf *leaf, u32 i,
		     struct entry en, u32 crc)
{
	leaf->entry[i] = en;
	if (t->crc)
		leaf->crc[i] = crc;
}

static void leaf_set(const struct pcache_tree *t, struct pcache_leaf *leaf, u32 i,
		     const struct pcache_extent *e)
{
	leaf_put(t, leaf, i, pack(t, e), e->crc);
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
	u64 where = pack_where(sector, 1, 0);
	u32 lo = 0, hi = leaf->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (leaf->entry[mid].where < where)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first entry that ends behind @sector; false: there is none. */
static bool seek(struct pcache_tree *t, sector_t sector, struct cursor *c)
{
	c->leaf = leaf_for(t, sector);
	if (!c->leaf)
		return false;
	c->i = leaf_rank(c->leaf, sector);
	if (c->i > 0 && entry_end(&c->leaf->entry[c->i - 1]) > sector)
		c->i--;
	if (c->i == c->leaf->nr) {
		c->leaf = leaf_next(c->leaf);
		c->i = 0;
	}
	return c->leaf;
}

/*
 * Inserts @en as entry @i of @leaf. When that is full, what comes at its end goes
 * to the front of the next leaf, if there is room; otherwise the leaf splits.
 */
static void leaf_insert(struct pcache_tree *t, struct pcache_leaf *leaf, u32 i,
			struct entry en, u32 crc)
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
	leaf_put(t, leaf, i, en, crc);
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
 * than @inserts. A full leaf splits in two that take 11 more each. Leaves that merge meanwhile
 * may take only 7 more, and the one that gets free is kept only where no spare one is left:
 * therefore this is no bound for many insertions (31 have been seen to need 4 leaves, not 3).
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
static void count_part(u64 flags, u32 sectors, struct pcache_delta *d)
{
	if (flags & ENTRY_DISCARDED)
		return;
	if (flags & ENTRY_CLEAN)
		d->clean += sectors;
	else
		d->dirty += sectors;
}

/* As pcache_same_place(). */
static bool at_place_of(const struct entry *en, const struct pcache_extent *e)
{
	return entry_seg(en) == e->seg && entry_off(en) - entry_sector(en) == e->off - e->sector;
}

static void note_again(const struct entry *en, struct pcache_delta *d)
{
	if (d->over && at_place_of(en, d->over))
		d->again = true;
}

/* Does a cut with @match take @en out? */
static bool is_cut(const struct entry *en, const struct pcache_extent *match)
{
	bool discarded = en->where & ENTRY_DISCARDED;

	if (!at_place_of(en, match))
		return false;
	return discarded ? match->discarded : en->where & ENTRY_CLEAN;
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
	bool removed = false;
	struct cursor c;
	bool more;

	for (more = seek(t, sector, &c); more; ) {
		struct entry en = c.leaf->entry[c.i];
		u32 crc = leaf_crc(t, c.leaf, c.i), left, right;
		sector_t lo, hi;

		if (entry_sector(&en) >= end)
			break;
		if (match && !is_cut(&en, match)) {
			more = cursor_advance(&c);
			continue;
		}
		lo = max_t(sector_t, entry_sector(&en), sector);
		hi = min_t(sector_t, entry_end(&en), end);
		count_part(en.where, hi - lo, d);
		note_again(&en, d);

		left = lo - entry_sector(&en);
		right = entry_end(&en) - hi;
		if (left && right && match && !t->nr_spares && !leaf_takes(t, c.leaf, c.i + 1)) {
			count_part(en.where, right, d);
			right = 0;
			t->forgot = true;
		}
		/* A key of the same place may stand further on in the log, dirty. */
		t->no_fills |= match && (en.where & ENTRY_DISCARDED) && t->forgot;
		if (left)
			c.leaf->entry[c.i] = entry_part(t, &en, 0, left);
		if (right) {
			en = entry_part(t, &en, hi - entry_sector(&en), right);
			if (left)
				leaf_insert(t, c.leaf, c.i + 1, en, crc);
			else
				c.leaf->entry[c.i] = en;
			break;
		}
		if (left) {
			more = cursor_advance(&c);
		} else {
			more = cursor_remove(t, &c);
			removed = true;
		}
	}
	if (removed)
		leaf_merge(t, sector);
}

/* Can @b follow @a in one entry? Between their places is what is between their sectors. */
static inline bool mergeable(const struct pcache_tree *t, const struct entry *a, const struct entry *b)
{
	u64 unlike = ENTRY_CLEAN | ENTRY_DISCARDED;

	return !t->crc && b->place - a->place == (u64)entry_sectors(a) << 29 &&
	       entry_end(a) == entry_sector(b) &&
	       !((a->where ^ b->where) & unlike) &&
	       entry_sector(a) / PCACHE_STRETCH_SECTORS == entry_sector(b) / PCACHE_STRETCH_SECTORS;
}

static struct entry merged(const struct entry *a, const struct entry *b)
{
	return (struct entry) {
		.where = pack_where(entry_sector(a), entry_sectors(a) + entry_sectors(b),
				    (a->where | b->where) & ENTRY_FLAGS),
		.place = a->place,
	};
}

/**
 * struct gap - where a new extent goes in a leaf
 * @leaf: leaf
 * @from: the first entry that it overwrites, at least in part
 * @to: the one behind the last
 */
struct gap {
	struct pcache_leaf *leaf;
	u32 from;
	u32 to;
};

/* Finds what @en overwrites. False: some of that is in another leaf. No leaf is empty. */
static bool find_gap(const struct entry *en, struct pcache_leaf *leaf, struct gap *g)
{
	sector_t sector = entry_sector(en), end = entry_end(en);
	struct pcache_leaf *next;
	u32 i = leaf_rank(leaf, sector);

	g->leaf = leaf;
	g->from = i;
	if (i > 0 && entry_end(&leaf->entry[i - 1]) > sector)
		g->from--;
	while (i < leaf->nr && entry_sector(&leaf->entry[i]) < end)
		i++;
	g->to = i;
	if (i < leaf->nr || entry_end(&leaf->entry[i - 1]) >= end)
		return true;
	next = leaf_next(leaf);
	return !next || entry_sector(&next->entry[0]) >= end;
}

static void count_gap(const struct gap *g, const struct entry *en, struct pcache_delta *d)
{
	u32 i;

	for (i = g->from; i < g->to; i++) {
		const struct entry *old = &g->leaf->entry[i];
		sector_t lo = max_t(sector_t, entry_sector(old), entry_sector(en));
		sector_t hi = min_t(sector_t, entry_end(old), entry_end(en));

		count_part(old->where, hi - lo, d);
		note_again(old, d);
	}
}

/*
 * Puts an extent into one leaf: what is left of the first and the last entry that it
 * overwrites stays on its left and right, and what can be one entry becomes one. One move
 * makes room for all of it. False, and nothing is done: it has no room.
 */
static bool fill_gap(struct pcache_tree *t, const struct gap *g, struct entry en, u32 crc,
		     struct pcache_delta *d)
{
	struct pcache_leaf *leaf = g->leaf;
	const struct entry *at = leaf->entry, *before, *behind;
	u32 from = g->from, to = g->to, put, i;
	bool has_left = from < to && entry_sector(&at[from]) < entry_sector(&en);
	bool has_right = from < to && entry_end(&at[to - 1]) > entry_end(&en);
	u32 left_crc = has_left ? leaf_crc(t, leaf, from) : 0;
	u32 right_crc = has_right ? leaf_crc(t, leaf, to - 1) : 0;
	struct entry new = en, left, right;

	if (has_left)
		left = entry_part(t, &at[from], 0, entry_sector(&en) - entry_sector(&at[from]));
	if (has_right)
		right = entry_part(t, &at[to - 1], entry_end(&en) - entry_sector(&at[to - 1]),
				   entry_end(&at[to - 1]) - entry_end(&en));
	before = has_left ? &left : from > 0 ? &at[from - 1] : NULL;
	behind = has_right ? &right : to < leaf->nr ? &at[to] : NULL;
	if (before && mergeable(t, before, &new)) {
		new = merged(before, &new);
		from -= !has_left;
		has_left = false;
	}
	if (behind && mergeable(t, &new, behind)) {
		new = merged(&new, behind);
		to += !has_right;
		has_right = false;
	}

	put = has_left + 1 + has_right;
	if (leaf->nr - (to - from) + put > leaf_capacity(t))
		return false;
	count_gap(g, &en, d);
	if (to - from != put) {
		leaf_move(t, leaf, from + put, leaf, to, leaf->nr - to);
		leaf->nr = leaf->nr - (to - from) + put;
	}
	i = from;
	if (has_left)
		leaf_put(t, leaf, i++, left, left_crc);
	leaf_put(t, leaf, i++, new, crc);
	if (has_right)
		leaf_put(t, leaf, i, right, right_crc);
	if (to - from > put)
		leaf_merge(t, entry_sector(&en));
	return true;
}

/*
 * In a leaf that begins before @en, so that what it replaces has one before it.
 *
 * Takes the place of one entry of the same range, unless a neighbour and the new one are
 * to become one. Databases and file systems write the same blocks again and again.
 */
static bool overwrite(struct pcache_tree *t, const struct gap *g, const struct entry *en,
		      u32 crc, struct pcache_delta *d)
{
	struct entry *old = &g->leaf->entry[g->from];

	if (g->to - g->from != 1 || (old->where ^ en->where) & ~ENTRY_FLAGS ||
	    mergeable(t, old - 1, en) ||
	    (g->to < g->leaf->nr && mergeable(t, en, old + 1)))
		return false;
	count_part(old->where, entry_sectors(en), d);
	note_again(old, d);
	leaf_put(t, g->leaf, g->from, *en, crc);
	return true;
}

/* The same where nothing is. */
static bool fill_hole(struct pcache_tree *t, const struct gap *g, const struct entry *en, u32 crc)
{
	struct pcache_leaf *leaf = g->leaf;
	u32 i = g->from;

	if (g->to != i || leaf->nr == leaf_capacity(t) ||
	    mergeable(t, &leaf->entry[i - 1], en) ||
	    (i < leaf->nr && mergeable(t, en, &leaf->entry[i])))
		return false;
	leaf_move(t, leaf, i + 1, leaf, i, leaf->nr - i);
	leaf_put(t, leaf, i, *en, crc);
	leaf->nr++;
	return true;
}

/* The first extent of a tree. */
static void insert_first(struct pcache_tree *t, struct entry en, u32 crc)
{
	struct pcache_leaf *leaf = take_spare(t);

	leaf_put(t, leaf, 0, en, crc);
	leaf->nr = 1;
	rb_link_node(&leaf->node, NULL, &t->root.rb_node);
	rb_insert_color(&leaf->node, &t->root);
}

/**
 * pcache_tree_insert() - Put an extent in, over whatever was there.
 * @t: tree, locked
 * @e: extent
 * @d: what it overwrote is added here
 *
 * Nearly always all that changes is in one leaf that has room; otherwise the range is
 * taken out first. So it is where the leaf would not begin before the extent: then that
 * goes to the end of the leaf before, with those that are put in next to it, and
 * pcache_tree_need() holds.
 *
 * Uses up to pcache_tree_need(1) spare leaves.
 */
void pcache_tree_insert(struct pcache_tree *t, const struct pcache_extent *e,
			struct pcache_delta *d)
{
	struct entry en = pack(t, e);
	struct pcache_leaf *leaf = leaf_for(t, e->sector);
	struct gap gap;

	if (leaf && entry_sector(&leaf->entry[0]) < e->sector && find_gap(&en, leaf, &gap) &&
	    (overwrite(t, &gap, &en, e->crc, d) || fill_hole(t, &gap, &en, e->crc) ||
	     fill_gap(t, &gap, en, e->crc, d)))
		return;
	pcache_tree_cut(t, e->sector, e->sectors, NULL, d);
	leaf = leaf_for(t, e->sector);
	if (!leaf) {
		insert_first(t, en, e->crc);
		return;
	}
	find_gap(&en, leaf, &gap);
	if (!fill_gap(t, &gap, en, e->crc, d))
		leaf_insert(t, leaf, gap.from, en, e->crc);
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
		count_part(got.clean ? ENTRY_CLEAN : 0, part.sectors, d);
	}
	return at;
}

/**
 * pcache_trees_prefetch() - Have the CPU fetch the leaves that some sectors are in.
 * @t: a tree for each sector; nobody else changes it
 * @sector: they
 * @nr: how many, at most PCACHE_PREFETCH
 *
 * Where trees are larger than the CPU's cache each step of a search waits for memory. Here
 * all searches make a step before any of them makes the next, so that they wait together.
 */
void pcache_trees_prefetch(struct pcache_tree *const *t, const sector_t *sector, u32 nr)
{
	const struct pcache_leaf *at[PCACHE_PREFETCH], *best[PCACHE_PREFETCH];
	u32 left = 1, i, off;

	for (i = 0; i < nr; i++) {
		at[i] = leaf_of(t[i]->root.rb_node);
		best[i] = at[i];
		prefetch(at[i]);
	}
	while (left) {
		left = 0;
		for (i = 0; i < nr; i++) {
			const struct pcache_leaf *leaf = at[i];

			if (!leaf)
				continue;
			if (entry_sector(&leaf->entry[0]) <= sector[i]) {
				best[i] = leaf;
				at[i] = leaf_of(leaf->node.rb_right);
			} else {
				at[i] = leaf_of(leaf->node.rb_left);
			}
			prefetch(at[i]);
			left++;
		}
	}
	for (i = 0; i < nr; i++)
		for (off = L1_CACHE_BYTES; best[i] && off < PCACHE_LEAF_BYTES; off += L1_CACHE_BYTES)
			prefetch((const void *)best[i] + off);
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
 * pcache_tree_look_up() - Find what lies at a sector and right behind it.
 * @t: tree, locked
 * @sector: where
 * @end: behind it; the sector to stop before
 * @use: what is found counts as used
 * @e: gets the range from @sector on in which all is alike, and the place if there is one
 *
 * Return: is it cached? What is discarded counts as a hole.
 */
bool pcache_tree_look_up(struct pcache_tree *t, sector_t sector, sector_t end, bool use,
			 struct pcache_extent *e)
{
	struct cursor c;
	bool found = seek(t, sector, &c);
	u32 skip;

	if (found)
		leaf_get(t, c.leaf, c.i, e);
	if (!found || e->sector > sector) {
		e->sectors = (found ? min(e->sector, end) : end) - sector;
		e->sector = sector;
		return false;
	}
	skip = sector - e->sector;
	e->sectors = min(end, pcache_extent_end(e)) - sector;
	e->sector = sector;
	e->off += skip;
	e->key_delta += skip;
	if (e->discarded)
		return false;
	/* What is hot is not stored to at each hit. */
	if (use && !e->used)
		c.leaf->entry[c.i].where |= ENTRY_USED;
	return true;
}

/**
 * pcache_tree_sectors() - How many sectors are in a tree?
 * @t: tree; nobody else uses it
 */
u32 pcache_tree_sectors(struct pcache_tree *t)
{
	struct pcache_leaf *leaf;
	u32 sum = 0, i;

	for (leaf = leaf_of(rb_first(&t->root)); leaf; leaf = leaf_next(leaf))
		for (i = 0; i < leaf->nr; i++)
			sum += entry_sectors(&leaf->entry[i]);
	return sum;
}

/**
 * pcache_walk_begin() - Begin to go through a tree's extents, in their order.
 * @w: where it is; gets its begin
 * @t: tree; it does not change until the walk is over
 */
void pcache_walk_begin(struct pcache_walk *w, struct pcache_tree *t)
{
	w->tree = t;
	w->leaf = leaf_of(rb_first(&t->root));
	w->i = 0;
}

/**
 * pcache_walk_next() - The next extent of a walk.
 * @w: where it is
 * @e: gets the extent
 *
 * Return: false when there are no more.
 */
bool pcache_walk_next(struct pcache_walk *w, struct pcache_extent *e)
{
	if (!w->leaf)
		return false;
	leaf_get(w->tree, w->leaf, w->i, e);
	if (++w->i == w->leaf->nr) {
		w->leaf = leaf_next(w->leaf);
		w->i = 0;
	}
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

/*
 * As seek(), but looks into the rest of @c's leaf first: who goes through a range in order
 * finds most of it there. @c: NULL as leaf, or what was found for a sector not behind
 * this one, in the same hold of the lock.
 */
static bool seek_on(struct pcache_tree *t, sector_t sector, struct cursor *c)
{
	const struct entry *en;

	if (!c->leaf || entry_sector(&c->leaf->entry[c->leaf->nr - 1]) < sector)
		return seek(t, sector, c);
	/* The last one, if no other, ends behind it. */
	for (en = &c->leaf->entry[c->i]; entry_end(en) <= sector; en++)
		c->i++;
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
	pc->shard_bits = order_base_2(pc->n_segs) + SEG_SHARD_BITS;
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
	if (!list_empty(&sh->misses))
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

/* Marks @en as clean if the index has it just as it is. @c: as for seek_on(). */
static bool clean_same(struct pcache_tree *t, const struct entry *en, struct cursor *c)
{
	struct entry *got;

	if (!seek_on(t, entry_sector(en), c))
		return false;
	got = &c->leaf->entry[c->i];
	if ((got->where & ~ENTRY_USED) != en->where || got->place != en->place)
		return false;
	got->where |= ENTRY_CLEAN;
	return true;
}

/*
 * Marks as clean what a shard has just as it is in another tree, from @at on, which moves on:
 * to the first that is not so, or far enough for one hold of the lock. Returns the sectors.
 */
static u32 clean_run(struct pcache_shard *sh, struct cursor *at)
{
	u64 stretch = entry_sector(&at->leaf->entry[at->i]) / PCACHE_STRETCH_SECTORS;
	struct cursor c = { };
	u32 nr = 0, sectors = 0;

	spin_lock(&sh->lock);
	for (; at->leaf && nr < CLEAN_STEP; cursor_advance(at), nr++) {
		const struct entry *en = &at->leaf->entry[at->i];

		if (entry_sector(en) / PCACHE_STRETCH_SECTORS != stretch ||
		    !clean_same(&sh->tree, en, &c))
			break;
		sectors += entry_sectors(en);
	}
	spin_unlock(&sh->lock);
	return sectors;
}

/**
 * pcache_index_clean_all() - Mark as clean what still lies at the places of a tree's extents.
 * @pc: cache
 * @t: tree, of dirty extents; nobody else uses it
 *
 * What the index still has as it is in the tree, which is nearly all, needs no memory and no
 * split: many of these are done in one hold of the lock.
 *
 * Context: as pcache_index_clean().
 */
void pcache_index_clean_all(struct pcache *pc, struct pcache_tree *t)
{
	struct pcache_extent e;
	struct cursor at;
	u32 sectors;

	for (seek(t, 0, &at); at.leaf; cond_resched()) {
		sector_t sector = entry_sector(&at.leaf->entry[at.i]);

		sectors = clean_run(pcache_index_shard(pc, sector), &at);
		if (sectors) {
			pcache_count(pc, PCACHE_STAT_DIRTY_SECTORS, -(s64)sectors);
			continue;
		}
		leaf_get(t, at.leaf, at.i, &e);
		pcache_index_clean(pc, &e);
		cursor_advance(&at);
	}
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

	if (!READ_ONCE(pc->discarded))
		WRITE_ONCE(pc->discarded, true);
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

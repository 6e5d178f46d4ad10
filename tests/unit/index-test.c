// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pcache_tree_*() against a model that says for each sector where its data is.
 *
 * Before each operation the tree has exactly as many spare leaves as
 * pcache_tree_need() says, or none where the operation does without: one that is
 * missing makes the tree crash.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "pcache.h"

#define STRETCHES	3
#define SECTORS		(STRETCHES * PCACHE_STRETCH_SECTORS)
#define SEGS		6

/* What the model knows of a sector. */
struct cell {
	bool cached;
	bool clean;
	bool used;
	bool discarded;
	u32 seg;
	u32 off;
	u32 key_delta;
	u32 key_sectors;
	u32 crc;
};

static struct cell model[SECTORS];
static struct pcache_tree tree;
static mempool_t pool;
static struct host_random rnd;

/* Gives the tree so many spare leaves and no more. */
static void set_spares(u32 nr)
{
	struct pcache_tree surplus;

	CHECK(pcache_tree_prepare(&tree, 0, GFP_KERNEL));
	while (tree.nr_spares < nr)
		CHECK(pcache_tree_prepare(&tree, 11 * nr, GFP_KERNEL));
	surplus = tree;
	surplus.root = RB_ROOT;
	surplus.nr_spares = tree.nr_spares - nr;
	tree.nr_spares = nr;
	pcache_tree_clear(&surplus);
	tree.spares = surplus.spares;
}

/* As many as an operation may need. */
static void prepare(u32 inserts)
{
	set_spares(pcache_tree_need(inserts));
}

static u32 random_length(void)
{
	switch (host_below(&rnd, 1000)) {
	case 0:
		return 1 + host_below(&rnd, 5000);
	case 1 ... 19:
		return 1 + host_below(&rnd, 200);
	default:
		return 1 + host_below(&rnd, 9);
	}
}

/* A range in one stretch, often in the busy part of it. */
static void random_range(sector_t *sector, u32 *sectors)
{
	u32 at = host_below(&rnd, host_chance(&rnd, 70) ? 600 : PCACHE_STRETCH_SECTORS);

	*sectors = min_t(u32, random_length(), PCACHE_STRETCH_SECTORS - at);
	*sector = host_below(&rnd, STRETCHES) * PCACHE_STRETCH_SECTORS + at;
}

/* An extent that often goes on where another one ends, so that they merge. */
static struct pcache_extent random_extent(void)
{
	struct pcache_extent e = { };
	const struct cell *before;

	random_range(&e.sector, &e.sectors);
	before = e.sector ? &model[e.sector - 1] : NULL;
	if (before && before->cached && host_chance(&rnd, 60) &&
	    before->off + 1 + e.sectors <= PCACHE_DATA_SECTORS) {
		e.seg = before->seg;
		e.off = before->off + 1;
		e.clean = before->clean;
	} else {
		e.seg = host_below(&rnd, SEGS);
		e.off = host_below(&rnd, PCACHE_DATA_SECTORS - e.sectors + 1);
		e.clean = host_chance(&rnd, 50);
	}
	e.key_sectors = e.sectors;
	if (tree.crc)
		e.crc = host_next(&rnd);
	return e;
}

static void uncache(struct cell *c, struct pcache_delta *d)
{
	if (!c->cached)
		return;
	if (!c->discarded) {
		d->clean += c->clean;
		d->dirty += !c->clean;
	}
	c->cached = false;
}

static bool same_place(const struct cell *c, u32 i, const struct pcache_extent *e)
{
	return c->cached && c->seg == e->seg && c->off == e->off + i;
}

/* Does a cut with @e take it out? */
static bool is_dropped(const struct cell *c, u32 i, const struct pcache_extent *e)
{
	return same_place(c, i, e) && (c->discarded ? e->discarded : c->clean);
}

static void model_insert(const struct pcache_extent *e, struct pcache_delta *d)
{
	for (u32 i = 0; i < e->sectors; i++) {
		struct cell *c = &model[e->sector + i];

		uncache(c, d);
		*c = (struct cell) {
			.cached = true, .clean = e->clean, .seg = e->seg, .off = e->off + i,
			.key_delta = i, .key_sectors = e->key_sectors, .crc = e->crc,
		};
	}
}

/*
 * Extents that are merged are used if one was: so are, in a range and next to it, all
 * sectors of an extent.
 */
static void model_merge(sector_t sector, u32 sectors)
{
	sector_t at = sector ? sector - 1 : 0;
	struct pcache_extent e;

	for (; pcache_tree_first(&tree, at, &e) && e.sector <= sector + sectors;
	     at = pcache_extent_end(&e)) {
		bool used = false;

		for (u32 i = 0; i < e.sectors; i++)
			used |= model[e.sector + i].used;
		for (u32 i = 0; i < e.sectors; i++)
			model[e.sector + i].used = used;
	}
}

static void check_delta(const struct pcache_delta *is, const struct pcache_delta *expected)
{
	CHECK_EQ(is->dirty, expected->dirty);
	CHECK_EQ(is->clean, expected->clean);
}

/* Adjacent extents under one preparation, as pcache_log_extents() does it. */
static void do_insert(void)
{
	struct pcache_extent e = random_extent();
	u32 nr = host_chance(&rnd, 40) ? 1 + host_below(&rnd, PCACHE_CHUNK_KEYS) : 1;
	struct pcache_delta is, expected;

	prepare(nr);
	while (nr--) {
		is = expected = (struct pcache_delta) { };
		pcache_tree_insert(&tree, &e, &is);
		model_insert(&e, &expected);
		model_merge(e.sector, e.sectors);
		check_delta(&is, &expected);
		e.sector += e.sectors;
		e.off += e.sectors;
		e.sectors = min_t(u32, random_length(),
				  PCACHE_STRETCH_SECTORS - e.sector % PCACHE_STRETCH_SECTORS);
		e.key_sectors = e.sectors;
		if (e.sector % PCACHE_STRETCH_SECTORS == 0 ||
		    e.off + e.sectors > PCACHE_DATA_SECTORS)
			break;
	}
}

static void do_cut(void)
{
	struct pcache_delta is = { }, expected = { };
	sector_t sector;
	u32 sectors;

	random_range(&sector, &sectors);
	prepare(0);
	pcache_tree_cut(&tree, sector, sectors, NULL, &is);
	for (u32 i = 0; i < sectors; i++)
		uncache(&model[sector + i], &expected);
	check_delta(&is, &expected);
}

/* A range with the place of one of its sectors: what keys of the log give. */
static struct pcache_extent random_key(void)
{
	struct pcache_extent e = { };
	u32 from;

	random_range(&e.sector, &e.sectors);
	/* Or a part of one extent, maybe in the middle. */
	if (host_chance(&rnd, 50) && pcache_tree_first(&tree, e.sector, &e)) {
		from = host_below(&rnd, e.sectors);
		return pcache_extent_part(&e, e.sector + from, e.sector + from + 1 +
					  host_below(&rnd, e.sectors - from));
	}
	from = host_below(&rnd, e.sectors);
	for (u32 n = 0; n < 50 && !model[e.sector + from].cached; n++)
		from = host_below(&rnd, e.sectors);
	if (model[e.sector + from].off < from) {
		e.sector += from;
		e.sectors -= from;
		from = 0;
	}
	e.seg = model[e.sector + from].seg;
	e.off = model[e.sector + from].off - from;
	return e;
}

static void do_drop(void)
{
	struct pcache_extent e = random_key();
	struct pcache_delta is = { }, expected = { };

	e.discarded = host_chance(&rnd, 50);
	prepare(0);
	pcache_tree_cut(&tree, e.sector, e.sectors, &e, &is);
	for (u32 i = 0; i < e.sectors; i++) {
		struct cell *c = &model[e.sector + i];

		if (is_dropped(c, i, &e))
			uncache(c, &expected);
	}
	check_delta(&is, &expected);
}

static bool in_tree(sector_t sector, struct pcache_extent *e)
{
	return pcache_tree_first(&tree, sector, e) && e->sector <= sector;
}

static void do_clean(void)
{
	struct pcache_extent e = random_key();
	struct pcache_delta is = { }, expected = { };

	/* As pcache_index_clean() has it. */
	prepare(10);
	CHECK(pcache_tree_clean(&tree, &e, &is));
	for (u32 i = 0; i < e.sectors; i++) {
		struct cell *c = &model[e.sector + i];

		if (c->cached && !c->clean && !c->discarded && same_place(c, i, &e)) {
			c->clean = true;
			expected.dirty++;
			expected.clean++;
		}
	}
	model_merge(e.sector, e.sectors);
	check_delta(&is, &expected);
}

/* A read of cell @at and what follows: what is hit counts as used as a whole. */
static void do_look_up(void)
{
	sector_t at = host_below(&rnd, SECTORS), end = at + 1 + host_below(&rnd, SECTORS - at);
	bool use = host_chance(&rnd, 80), hit, found;
	struct pcache_extent e, whole;

	found = pcache_tree_first(&tree, at, &whole) && whole.sector <= at;
	hit = pcache_tree_look_up(&tree, at, end, use, &e);
	CHECK_EQ(hit, found && !whole.discarded);
	CHECK_EQ(hit, model[at].cached && !model[at].discarded);
	CHECK_EQ(e.sector, at);
	CHECK(e.sectors && pcache_extent_end(&e) <= end);
	for (u32 i = 0; i < e.sectors; i++) {
		CHECK_EQ(model[at + i].cached, found);
		CHECK(!hit || same_place(&model[at + i], i, &e));
	}
	for (u32 i = 0; hit && use && i < whole.sectors; i++)
		model[whole.sector + i].used = true;
}

/* May it be copied, to be clean? */
static bool is_good(const struct cell *c, u32 i, const struct pcache_extent *e)
{
	return c->clean && !c->discarded && same_place(c, i, e);
}

/* What reclaim asks before key_tail passes a key. */
static void do_find_used(void)
{
	struct pcache_extent e = random_key(), part;
	bool all_good = true, found = true;
	u32 i = 0, end;

	for (; found; i = end) {
		found = pcache_tree_find_used(&tree, &e, e.sector + i, &part);
		end = found ? part.sector - e.sector : e.sectors;
		CHECK(end >= i && end <= e.sectors && (!found || part.sectors));
		for (; i < end; i++) {
			const struct cell *c = &model[e.sector + i];

			CHECK(!(c->used && is_good(c, i, &e)), "sector %llu", e.sector + i);
		}
		for (end += found ? part.sectors : 0; i < end; i++) {
			const struct cell *c = &model[e.sector + i];

			CHECK(c->used && is_good(c, i, &e), "sector %llu", e.sector + i);
			CHECK_EQ(part.off + e.sector + i - part.sector, c->off);
		}
	}
	for (i = 0; i < e.sectors; i++)
		all_good &= is_good(&model[e.sector + i], i, &e);
	CHECK_EQ(pcache_tree_is_clean(&tree, &e), all_good);
}

/*
 * Without spare leaves
 */

/* In steps; without spare leaves what would have to be split stays as it is. */
static void do_discard(void)
{
	bool starved = host_chance(&rnd, 30);
	struct pcache_extent found;
	sector_t from, at, end, to;
	u32 sectors;

	random_range(&from, &sectors);
	for (at = from, end = from + sectors; at < end; at = to) {
		struct pcache_delta is = { }, expected = { };

		/* As pcache_index_discard() has it. */
		set_spares(starved ? host_below(&rnd, 2) : pcache_tree_need(10));
		to = pcache_tree_discard(&tree, at, end, 1 + host_below(&rnd, 20), &is);
		CHECK(to > at && to <= end);
		for (; at < to; at++) {
			struct cell *c = &model[at];

			if (!c->cached || c->discarded)
				continue;
			CHECK(in_tree(at, &found) && (found.discarded || starved));
			if (!found.discarded)
				continue;
			uncache(c, &expected);
			c->cached = c->discarded = true;
		}
		check_delta(&is, &expected);
	}
	model_merge(from, sectors);
}

/* More may go than was asked for, but only such data of the same place behind it. */
static void starved_drop(struct pcache_extent e)
{
	struct pcache_delta is = { }, expected = { };
	struct pcache_extent found;
	u32 i = 0;

	set_spares(0);
	pcache_tree_cut(&tree, e.sector, e.sectors, &e, &is);
	for (; e.sector + i < SECTORS; i++) {
		struct cell *c = &model[e.sector + i];

		if (i >= e.sectors && !is_dropped(c, i, &e))
			break;
		if (is_dropped(c, i, &e) && !in_tree(e.sector + i, &found))
			uncache(c, &expected);
		else if (i < e.sectors)
			CHECK(!is_dropped(c, i, &e), "sector %llu is left", e.sector + i);
	}
	check_delta(&is, &expected);
}

static void do_starved_drop(void)
{
	struct pcache_extent e = random_key();

	e.discarded = host_chance(&rnd, 50);
	starved_drop(e);
}

/* What becomes clean may be taken out instead; or it has to be tried again. */
static void do_starved_clean(void)
{
	struct pcache_extent e = random_key(), found;
	struct pcache_delta is = { }, expected = { };
	u32 nr_left = 0;
	bool all;

	set_spares(host_below(&rnd, 2));
	all = pcache_tree_clean(&tree, &e, &is);
	for (u32 i = 0; i < e.sectors; i++) {
		struct cell *c = &model[e.sector + i];

		if (!c->cached || c->clean || c->discarded || !same_place(c, i, &e))
			continue;
		if (!in_tree(e.sector + i, &found)) {
			uncache(c, &expected);
		} else if (found.clean) {
			c->clean = true;
			expected.clean++;
			expected.dirty++;
		} else {
			nr_left++;
		}
	}
	model_merge(e.sector, e.sectors);
	CHECK_EQ(nr_left == 0, all);
	check_delta(&is, &expected);
}

static void check_cell(const struct pcache_extent *e, u32 i)
{
	const struct cell *c = &model[e->sector + i];

	CHECK(c->cached, "sector %llu is in the tree, but not in the model", e->sector + i);
	CHECK_EQ(e->clean, c->clean);
	CHECK_EQ(e->used, c->used);
	CHECK_EQ(e->discarded, c->discarded);
	CHECK_EQ(e->seg, c->seg);
	CHECK_EQ(e->off + i, c->off);
	if (tree.crc) {
		CHECK_EQ(e->crc, c->crc);
		CHECK_EQ(e->key_delta + i, c->key_delta);
		CHECK_EQ(e->key_sectors, c->key_sectors);
	}
}

/* Walks the whole tree: sorted, without overlap, each sector as in the model. */
static u32 check_all(void)
{
	struct pcache_extent e, walked;
	struct pcache_walk walk;
	u32 nr = 0, sectors = 0;
	sector_t at = 0;

	pcache_walk_begin(&walk, &tree);
	for (; pcache_tree_first(&tree, at, &e); nr++) {
		CHECK(pcache_walk_next(&walk, &walked));
		CHECK_EQ(walked.sector, e.sector);
		CHECK_EQ(walked.off, e.off);
		sectors += e.sectors;
		CHECK(e.sectors > 0 && e.sector >= at, "%llu + %u at %llu", e.sector, e.sectors,
		      at);
		CHECK_EQ(e.sector / PCACHE_STRETCH_SECTORS,
			 (e.sector + e.sectors - 1) / PCACHE_STRETCH_SECTORS);
		for (; at < e.sector; at++)
			CHECK(!model[at].cached, "sector %llu is not in the tree", at);
		for (u32 i = 0; i < e.sectors; i++)
			check_cell(&e, i);
		at += e.sectors;
	}
	for (; at < SECTORS; at++)
		CHECK(!model[at].cached, "sector %llu is not in the tree", at);
	CHECK(!pcache_walk_next(&walk, &walked));
	CHECK_EQ(pcache_tree_sectors(&tree), sectors);
	return nr;
}

/* Finds what is at one random sector or behind it, from the middle of whatever covers it. */
static void do_find_first(void)
{
	sector_t at = host_below(&rnd, SECTORS);
	struct pcache_extent e;
	sector_t next = at;

	while (next < SECTORS && !model[next].cached)
		next++;
	if (!pcache_tree_first(&tree, at, &e)) {
		CHECK_EQ(next, SECTORS);
		return;
	}
	CHECK(e.sector <= next && next < pcache_extent_end(&e),
	      "first behind %llu is %llu + %u, expected one with %llu", at, e.sector, e.sectors,
	      next);
	check_cell(&e, next - e.sector);
}

static void run(bool crc, u64 seed, u32 ops)
{
	u32 most = 0;

	host_section("crc %d, seed %llu", crc, seed);
	host_seed(&rnd, seed);
	memset(model, 0, sizeof(model));
	pcache_tree_init(&tree, crc, &pool);
	for (u32 op = 0; op < ops; op++) {
		switch (host_below(&rnd, 13)) {
		case 0 ... 4:
			do_insert();
			break;
		case 5:
			do_cut();
			break;
		case 6:
			host_chance(&rnd, 70) ? do_drop() : do_starved_drop();
			break;
		case 7:
			host_chance(&rnd, 70) ? do_clean() : do_starved_clean();
			break;
		case 8:
			do_look_up();
			break;
		case 9:
			do_find_used();
			break;
		case 10:
			do_discard();
			break;
		default:
			do_find_first();
		}
		if (op % 256 == 0 || op + 1 == ops)
			most = max(most, check_all());
	}
	CHECK(most > min(ops / 40, 1000u), "%u extents at most, expected more", most);
	pcache_tree_clear(&tree);
	CHECK(!pcache_tree_first(&tree, 0, &(struct pcache_extent) { }));
}

/*
 * Extents that ascend leave full leaves behind. Where such a leaf's last extent is
 * cut in its middle, there is no room for the right part, in the next leaf neither.
 */
static void run_full_leaves(bool crc)
{
	const u32 nr = 100;
	struct pcache_extent e = { .sectors = 3, .seg = 1, .clean = true, .key_sectors = 3 };

	host_section("full leaves, crc %d", crc);
	memset(model, 0, sizeof(model));
	pcache_tree_init(&tree, crc, &pool);
	for (u32 i = 0; i < nr; i++) {
		struct pcache_delta is = { }, expected = { };

		e.sector = 3 * i;
		e.off = 4 * i;
		prepare(1);
		pcache_tree_insert(&tree, &e, &is);
		model_insert(&e, &expected);
	}
	CHECK_EQ(check_all(), nr);
	for (u32 i = 0; i < nr; i++) {
		e.sector = 3 * i;
		e.off = 4 * i;
		starved_drop(pcache_extent_part(&e, 3 * i + 1, 3 * i + 2));
		CHECK(in_tree(3 * i, &e) && e.sectors == 1);
		CHECK(i > nr / 2 || !in_tree(3 * i + 2, &e));
		e.sectors = 3;
	}
	check_all();
	pcache_tree_clear(&tree);
}

/*
 * What is discarded goes with its key. Where keys of the same place may stand in the log
 * twice, nobody knows then what is there.
 */
static void run_forgotten_discards(void)
{
	struct pcache_extent e = { .sectors = 8, .seg = 1 };
	struct pcache_delta d = { };

	host_section("forgotten discards");
	pcache_tree_init(&tree, false, &pool);
	for (u32 forgot = 0; forgot < 2; forgot++) {
		tree.forgot = forgot;
		prepare(10);
		pcache_tree_insert(&tree, &e, &d);
		CHECK_EQ(pcache_tree_discard(&tree, 0, 8, 10, &d), 8);
		pcache_tree_cut(&tree, 0, 8, &e, &d);
		CHECK(!pcache_tree_is_hole(&tree, 0, 8));
		CHECK(!tree.no_fills);
		e.discarded = true;
		pcache_tree_cut(&tree, 0, 8, &e, &d);
		CHECK(pcache_tree_is_hole(&tree, 0, 8));
		CHECK_EQ(tree.no_fills, forgot);
		e.discarded = false;
	}
	pcache_tree_clear(&tree);
	CHECK(!tree.no_fills);
}

static bool fail_all(gfp_t gfp, size_t size)
{
	return true;
}

/* There is one leaf in the pool's reserve, and no memory else. */
static void run_without_memory(void)
{
	host_section("without memory");
	pcache_tree_init(&tree, false, &pool);
	port_set_alloc_failure(fail_all);
	CHECK(pcache_tree_prepare(&tree, 0, GFP_NOWAIT));
	CHECK(!pcache_tree_prepare(&tree, 11, GFP_NOWAIT));
	CHECK_EQ(tree.nr_spares, 1);
	port_set_alloc_failure(NULL);
	CHECK(pcache_tree_prepare(&tree, 11, GFP_NOWAIT));
	CHECK_EQ(tree.nr_spares, 2);
	pcache_tree_clear(&tree);
}

int main(void)
{
	u64 seed = host_env("SEED", 1);
	u32 ops = max(host_env("OPS", 200000), 1000ULL);

	host_begin("index-test");
	printf("index-test: seed %llu, %u operations each without and with CRC\n",
	       (unsigned long long)seed, ops);
	CHECK(!mempool_init_kmalloc_pool(&pool, 1, PCACHE_LEAF_BYTES));
	run(false, seed, ops);
	run(true, seed, ops);
	run_full_leaves(false);
	run_full_leaves(true);
	run_forgotten_discards();
	run_without_memory();
	mempool_exit(&pool);
	return host_end();
}

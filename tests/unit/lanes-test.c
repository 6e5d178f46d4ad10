// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An attach fills the index on several CPUs: what it leaves is what the keys of the log say
 * when they are taken one after the other, however many CPUs there are.
 *
 * The log has keys of many shards, most of which overwrite others of theirs, and more of
 * them than the lanes' buffers hold. A model reads it key by key and knows each sector's
 * place.
 */
#include "fixture.h"

#define SEGS		500
#define STRETCHES	64
#define SECTORS		(STRETCHES * PCACHE_STRETCH_SECTORS)
/* Sectors of each stretch that are written. */
#define AREA		160
#define MAX_WRITE	8
#define CLEAN_WRITES	4000
#define DIRTY_WRITES	8000
/* More than any lane takes without having the CPU fetch leaves before it looks into them. */
#define MANY_WRITES	150000

/* CPUs only become more, so the first case alone has few: tasks that are there keep theirs. */
static const u32 cpus[] = { 1, 2, 3, 8, 8 };

/*
 * The medium
 */

static u32 *media_of(struct fixture *f, u32 seg, u32 off)
{
	return (void *)f->media + PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES +
	       PCACHE_SEG_DATA_OFF + off;
}

static void write_area(struct fixture *f, u32 times)
{
	while (times--) {
		u32 n = 1 + rnd(MAX_WRITE);

		write_sectors(f, rnd(STRETCHES) * PCACHE_STRETCH_SECTORS + rnd(AREA - n), n);
	}
	flush(f);
}

/* A log whose first part is clean, and a copy of the medium. */
static u8 *make_log(struct fixture *f, const char *options)
{
	u8 *copy;

	fixture_open(f, SEGS, SECTORS);
	attach(f, options);
	write_area(f, CLEAN_WRITES);
	CHECK_EQ(message(f, "flush"), 0);
	port_bdev_set_gone(f->h.disk, true);
	write_area(f, DIRTY_WRITES);
	detach(f);
	port_bdev_set_gone(f->h.disk, false);
	copy = malloc(f->media_bytes);
	memcpy(copy, f->media, f->media_bytes);
	return copy;
}

static struct pcache *try_create(struct fixture *f, const char **error)
{
	struct pcache_config config = {
		.name = "lanes", .media = f->media, .media_bytes = f->media_bytes,
		.backing = f->h.disk, .read_only = true,
	};

	CHECK(!pcache_parse_options(0, NULL, &config.options, NULL, 0));
	return pcache_create(&config, error);
}

static struct pcache *create(struct fixture *f)
{
	const char *error = NULL;
	struct pcache *pc = try_create(f, &error);

	CHECK(!IS_ERR(pc), "%s", error);
	return pc;
}

/*
 * The model
 */

struct place {
	u32 seg;
	u32 off;
	bool cached;
	bool clean;
};

/**
 * struct model - what the log says
 * @place: of each sector
 * @refs: of each segment
 * @forgot: shards, by their number
 * @dirty: sectors
 * @clean: sectors
 * @nr_keys: good ones
 * @nr_stale: those of an older generation
 */
struct model {
	struct place place[SECTORS];
	u32 refs[SEGS];
	bool forgot[1 << 12];
	u64 dirty;
	u64 clean;
	u32 nr_keys;
	u32 nr_stale;
};

static void model_set(struct model *m, u32 sector, struct place to)
{
	struct place *p = &m->place[sector];

	if (p->cached)
		*(p->clean ? &m->clean : &m->dirty) -= 1;
	*p = to;
	if (to.cached)
		*(to.clean ? &m->clean : &m->dirty) += 1;
}

/* False: it is not allowed. */
static bool model_key(struct model *m, const struct pcache *pc, const struct pcache_media_key *key,
		      bool dirty_part)
{
	u32 sector = le64_to_cpu(key->off) >> SECTOR_SHIFT;
	u32 n = le32_to_cpu(key->len) >> SECTOR_SHIFT, seg = le32_to_cpu(key->cache_seg_id);
	u32 off = le32_to_cpu(key->cache_seg_off) >> SECTOR_SHIFT;
	bool *forgot = &m->forgot[pcache_index_shard_nr(pc, sector)];
	u64 gen = le64_to_cpu(key->seg_gen), now = pcache_seg(pc, seg)->gen;

	if (gen > now)
		return false;
	if (gen < now) {
		m->nr_stale++;
		if (dirty_part)
			return true;
		*forgot = true;
		for (u32 i = 0; i < n; i++)
			model_set(m, sector + i, (struct place) { });
		return true;
	}
	m->nr_keys++;
	m->refs[seg]++;
	for (u32 i = 0; i < n; i++) {
		const struct place *p = &m->place[sector + i];
		struct place to = { .seg = seg, .off = off + i, .cached = true,
				    .clean = !dirty_part };

		*forgot |= p->cached && p->seg == to.seg && p->off == to.off;
		model_set(m, sector + i, to);
	}
	return true;
}

/* Reads the log as far as @pc has, from @dirty on as dirty. */
static struct model *model_of(struct fixture *f, const struct pcache *pc, struct pcache_pos dirty)
{
	struct model *m = calloc(1, sizeof(*m));
	struct pcache_pos at = pc->journal.key_tail;
	bool dirty_part = false;

	m->refs[at.seg]++;
	for (;;) {
		const struct pcache_media_kset *ks = (void *)media_of(f, at.seg, at.off);
		const struct pcache_media_key *key = (void *)(ks + 1);
		u32 count = le32_to_cpu(ks->count);

		dirty_part |= pcache_pos_same(&at, &dirty);
		if (pcache_pos_same(&at, &pc->journal.head) && !pc->damage.found)
			return m;
		CHECK(le64_to_cpu(ks->magic) == PCACHE_KSET_MAGIC);
		if (le64_to_cpu(ks->flags) & PCACHE_KSET_LAST) {
			at = (struct pcache_pos) { .seg = count };
			m->refs[at.seg]++;
			continue;
		}
		for (u32 i = 0; i < count; i++)
			if (!model_key(m, pc, &key[i], dirty_part))
				return m;
		at.off += PCACHE_KSET_BYTES(count);
	}
}

/*
 * What is in memory
 */

static void check_index(const struct model *m, struct pcache *pc)
{
	u64 sectors = 0;

	for (u32 i = 0; i < 1 << pc->shard_bits; i++) {
		struct pcache_shard *sh = &pc->shards[i];
		struct pcache_extent e;

		CHECK(sh->tree.forgot == m->forgot[i], "shard %u", i);
		for (u64 at = 0; pcache_tree_first(&sh->tree, at, &e); at = pcache_extent_end(&e)) {
			CHECK(e.sector >= at && pcache_index_shard(pc, e.sector) == sh);
			for (u32 k = 0; k < e.sectors; k++) {
				const struct place *p = &m->place[e.sector + k];

				CHECK(p->cached && p->seg == e.seg && p->off == e.off + k &&
				      p->clean == e.clean, "sector %u",
				      (u32)e.sector + k);
			}
			sectors += e.sectors;
		}
	}
	CHECK_EQ(sectors, m->dirty + m->clean);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_DIRTY_SECTORS), m->dirty);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_CACHED_SECTORS), m->dirty + m->clean);
	CHECK_EQ(pcache_stat(pc, PCACHE_STAT_WRITE_OVERWRITES), 0);
	for (u32 i = 0; i < SEGS; i++) {
		const struct pcache_segment *s = pcache_seg(pc, i);

		CHECK(atomic_read(&s->refs) == m->refs[i], "segment %u", i);
		CHECK((s->use == PCACHE_SEG_FREE) == !m->refs[i], "segment %u", i);
	}
}

/* As one CPU leaves it, so do more. @keys: so many the log has at least. */
static void check_attaches(struct fixture *f, u32 keys)
{
	for (u32 i = 0; i < ARRAY_SIZE(cpus); i++) {
		struct model *m;
		struct pcache *pc;

		if (cpus[i] > nr_cpu_ids)
			shim_set_cpus(cpus[i]);
		host_section("%u CPUs", nr_cpu_ids);
		pc = create(f);
		m = model_of(f, pc, pc->journal.dirty_tail);
		CHECK(m->nr_keys >= keys, "%u keys", m->nr_keys);
		check_index(m, pc);
		pcache_destroy(pc);
		free(m);
	}
}

static void drop(struct fixture *f, u8 *copy)
{
	free(copy);
	fixture_close(f);
}

static void test_overlapping(void)
{
	static const char * const options[] = { "2 gc_percent 90", "4 data_crc true gc_percent 90" };

	for (u32 i = 0; i < ARRAY_SIZE(options); i++) {
		struct fixture f;
		u8 *copy = make_log(&f, options[i]);

		check_attaches(&f, CLEAN_WRITES + DIRTY_WRITES);
		/* And all is read. */
		attach(&f, "");
		for (u32 s = 0; s < STRETCHES; s++)
			check_range(&f, s * PCACHE_STRETCH_SECTORS, AREA);
		detach(&f);
		drop(&f, copy);
	}
}

/* So many keys that searches are made side by side. */
static void test_many(void)
{
	struct fixture f;

	fixture_open(&f, SEGS, SECTORS);
	attach(&f, "2 gc_percent 90");
	port_bdev_set_gone(f.h.disk, true);
	for (u32 i = 0; i < MANY_WRITES; i++)
		write_sectors(&f, rnd(SECTORS), 1);
	detach(&f);
	port_bdev_set_gone(f.h.disk, false);
	check_attaches(&f, MANY_WRITES);
	fixture_close(&f);
}

/* Calls @change for each kset of the log; it gets a CRC that fits. */
static void for_each_kset(struct fixture *f, void (*change)(struct pcache_media_kset *, u32 nr))
{
	struct pcache *pc = create(f);
	struct pcache_pos at = pc->journal.key_tail;

	for (u32 nr = 0; !pcache_pos_same(&at, &pc->journal.head); nr++) {
		struct pcache_media_kset *ks = (void *)media_of(f, at.seg, at.off);
		u32 count = le32_to_cpu(ks->count);

		if (le64_to_cpu(ks->flags) & PCACHE_KSET_LAST) {
			at = (struct pcache_pos) { .seg = count };
			continue;
		}
		change(ks, nr);
		mend_crc(ks, PCACHE_KSET_BYTES(count));
		at.off += PCACHE_KSET_BYTES(count);
	}
	pcache_destroy(pc);
}

static void log_again(struct pcache_media_kset *ks, u32 nr)
{
	struct pcache_media_key *key = (void *)(ks + 1);
	u32 count = le32_to_cpu(ks->count);

	if (nr % 7 == 3 && count > 1)
		key[count / 2] = key[count / 2 - 1];
}

/* Some keys are logged again. */
static void test_logged_again(void)
{
	struct fixture f;
	u8 *copy = make_log(&f, "2 gc_percent 90");
	struct pcache *pc;
	u32 forgot = 0;

	for_each_kset(&f, log_again);
	check_attaches(&f, CLEAN_WRITES + DIRTY_WRITES);
	pc = create(&f);
	for (u32 i = 0; i < 1 << pc->shard_bits; i++)
		forgot += pc->shards[i].tree.forgot;
	CHECK(forgot > 4 && forgot < STRETCHES / 2, "%u shards", forgot);
	pcache_destroy(pc);
	drop(&f, copy);
}

/* Keys of two segments are of an old generation: one has clean ones, one has dirty ones. */
static void test_stale(void)
{
	struct fixture f;
	u8 *copy = make_log(&f, "2 gc_percent 90");
	struct pcache *pc = create(&f);
	struct model *m;

	for (u32 seg = 0, left = 2; seg < SEGS && left; seg++) {
		struct pcache_media_gen *gen = (void *)media_of(&f, seg, 0) - PCACHE_SEG_DATA_OFF +
					       PCACHE_SEG_GEN_OFF;

		if (pcache_seg(pc, seg)->use != PCACHE_SEG_DATA)
			continue;
		for (u32 slot = 0; slot < 2; slot++) {
			gen[slot].gen = cpu_to_le64(pcache_seg(pc, seg)->gen + 1);
			mend_crc(&gen[slot], sizeof(gen[slot]));
		}
		left--;
	}
	pcache_destroy(pc);
	check_attaches(&f, DIRTY_WRITES);
	pc = create(&f);
	m = model_of(&f, pc, pc->journal.dirty_tail);
	CHECK(m->nr_stale > 50 && pc->journal.has_stale, "%u keys", m->nr_stale);
	free(m);
	pcache_destroy(pc);
	drop(&f, copy);
}

static u32 damaged_kset, damaged_key;

static void damage_one(struct pcache_media_kset *ks, u32 nr)
{
	struct pcache_media_key *key = (void *)(ks + 1);

	if (nr == damaged_kset)
		key[damaged_key % le32_to_cpu(ks->count)].seg_gen = cpu_to_le64(1000);
}

/* A key in the midst of the log is not allowed: all before it is there, and nothing behind. */
static void test_damage(void)
{
	struct fixture f;
	u8 *copy = make_log(&f, "2 gc_percent 90");

	for (damaged_kset = 1; damaged_kset < 60; damaged_kset += 19) {
		const char *error = NULL;
		struct pcache *pc;

		damaged_key = rnd(PCACHE_KSET_KEYS);
		memcpy(f.media, copy, f.media_bytes);
		for_each_kset(&f, damage_one);
		host_clear_log();
		check_attaches(&f, damaged_kset);
		CHECK(host_logged("a key has values that are not allowed"));
		pc = try_create(&f, &error);
		CHECK(pc->damage.found);
		pcache_destroy(pc);
	}
	drop(&f, copy);
}

/* dirty_tail stands nowhere: the log is walked twice, and all is dirty. */
static void test_second_walk(void)
{
	struct fixture f;
	u8 *copy = make_log(&f, "2 gc_percent 90");
	struct pcache_media_tail *tail = (void *)f.media + PCACHE_DIRTY_TAIL_OFF;

	for (u32 slot = 0; slot < 2; slot++, tail = (void *)tail + PCACHE_TAIL_STRIDE) {
		tail->seg_off = cpu_to_le32(le32_to_cpu(tail->seg_off) + 8);
		mend_crc(tail, sizeof(*tail));
		if (slot == 0)
			tail->header.crc ^= cpu_to_le32(1);
	}
	host_clear_log();
	check_attaches(&f, CLEAN_WRITES + DIRTY_WRITES);
	CHECK(host_logged("all keys count as dirty"));
	drop(&f, copy);
}

static int allocs_left;

static bool fail_one(gfp_t gfp, size_t size)
{
	return __atomic_sub_fetch(&allocs_left, 1, __ATOMIC_RELAXED) == 0;
}

/* One allocation fails: then there is no cache, or all of it; never a part. */
static void test_no_memory(void)
{
	struct fixture f;
	u8 *copy = make_log(&f, "2 gc_percent 90");
	u32 failed = 0;

	for (u32 nr = 1; nr < 400; nr += nr < 80 ? 1 : 40) {
		const char *error = NULL;
		struct pcache *pc;

		allocs_left = nr;
		port_set_alloc_failure(fail_one);
		pc = try_create(&f, &error);
		port_set_alloc_failure(NULL);
		CHECK(allocs_left <= 0);
		if (IS_ERR(pc)) {
			CHECK(PTR_ERR(pc) == -ENOMEM && strstr(error, "Cannot allocate memory"),
			      "allocation %u: %ld, %s", nr, PTR_ERR(pc), error);
			failed++;
		} else {
			struct model *m = model_of(&f, pc, pc->journal.dirty_tail);

			check_index(m, pc);
			pcache_destroy(pc);
			free(m);
		}
	}
	/* Two buffers of each lane among them. */
	CHECK(failed > 16 + 10, "%u failed", failed);
	drop(&f, copy);
}

static const struct test_case cases[] = {
	{ "overlapping", test_overlapping },
	{ "many", test_many },
	{ "logged_again", test_logged_again },
	{ "stale", test_stale },
	{ "damage", test_damage },
	{ "second_walk", test_second_walk },
	{ "no_memory", test_no_memory },
};

int main(int argc, char **argv)
{
	shim_set_cpus(1);
	return run_cases("lanes-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

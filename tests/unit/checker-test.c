// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulator's checker and its model of Linux's own dm-pcache.
 *
 * With small segments: what the engine leaves satisfies the checker at every
 * moment, and names the content that is read; then each rule is broken once, and
 * the checker must say so. With segments of 16 MiB: the caches that Linux's own
 * made.
 */
#include "fixture.h"
#include "checker.h"
#include "mainline.h"

#include <linux/crc32c.h>

/* With segments of 16 MiB: another program of the same source. */
#define FULL		(PCACHE_SEG_BYTES == SZ_16M)
#define SECTORS		2048
#define SEGS		(PCACHE_MIN_SEGS + 8)
#define MAX_KSETS	4096
#define IMAGES		"tests/images/mainline"
#define IMAGE_SECTORS	(SZ_64M >> SECTOR_SHIFT)
#define MAX_SECTORS	(FULL ? IMAGE_SECTORS : SECTORS)

static struct fixture f;
static struct mainline m;
static struct checker ck;
static struct checker_place places[MAX_SECTORS], others[MAX_SECTORS];

/*
 * Runs
 */

static u64 bad_lo, bad_hi;	/* what cannot be read */

static bool readable(const void *data, u64 off, u64 bytes)
{
	return off + bytes <= bad_lo || off >= bad_hi;
}

static const struct checker_image *image(void)
{
	static struct checker_image img;

	img = (struct checker_image) {
		.media = f.media,
		.bytes = f.media_bytes,
		.backing_sectors = f.sectors,
		.readable = bad_hi ? readable : NULL,
	};
	return &img;
}

static bool run(enum checker_state state)
{
	ck.places = places;
	ck.nr_sectors = f.sectors;
	return checker_run(image(), state, &ck);
}

/* Where a sector's newest content is. */
static const u8 *content(const struct checker_place *p, u32 sector)
{
	return p->off ? f.media + p->off : f.disk + ((u64)sector << SECTOR_SHIFT);
}

/* Linux's own finds the same as the checker, and can go on. */
static void check_mainline(const char *what, bool reclaims)
{
	CHECK(mainline_attach(&m, image()), "%s: mainline: %s", what, m.error);
	mainline_places(&m, 0, f.sectors, others);
	for (u32 i = 0; i < f.sectors; i++)
		CHECK(places[i].off == others[i].off && places[i].dirty == others[i].dirty,
		      "%s, sector %u: checker 0x%llx, dirty %d; mainline 0x%llx, dirty %d", what,
		      i, places[i].off, places[i].dirty, others[i].off, others[i].dirty);
	CHECK(m.head.seg == ck.end[0] && m.head.off == ck.end[1], "%s", what);
	CHECK(mainline_reclaim(&m) == reclaims, "%s: mainline: %s", what, m.error);
}

#if !FULL

/* The places name the newest content; the disk has the rest. */
static void check_places(const char *what)
{
	for (u32 i = 0; i < f.sectors; i++) {
		const u8 *is = content(&places[i], i);

		CHECK(version_of(is, i) == f.newest[i], "%s, sector %u: %s, expected version %u",
		      what, i, host_pattern_describe(is), f.newest[i]);
		CHECK(!places[i].bad, "%s, sector %u is bad", what, i);
		if (!places[i].dirty && places[i].off)
			CHECK(version_of(f.disk + ((u64)i << SECTOR_SHIFT), i) == f.newest[i],
			      "%s, sector %u is clean, but not on the disk", what, i);
	}
}

static void check_good(const char *what, enum checker_state state)
{
	CHECK(run(state), "%s: %s", what, ck.error);
	CHECK(ck.formatted && !ck.damaged && !ck.unfinished && !ck.error[0], "%s: %s", what,
	      ck.error);
	CHECK(ck.segs_log && ck.n_segs >= PCACHE_MIN_SEGS);
	if (state != CHECKER_CRASHED)
		check_good("the same after a power cut", CHECKER_CRASHED);
	else
		check_mainline(what, true);
}

/* Waits until nothing is stored any more. */
static void settle(void)
{
	u32 before, now = 0;

	do {
		before = now;
		usleep(20000);
		now = crc32c(1, f.media, f.media_bytes);
	} while (now != before);
}

static void fail_writes(bool fail)
{
	port_bdev_clear_faults(f.h.disk);
	if (fail)
		port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, 0, f.sectors, PORT_FAULT_ALWAYS,
				BLK_STS_IOERR);
}

/*
 * What the engine leaves
 */

static void load_rounds(const char *options)
{
	u32 turns = 0, first_seg = 0, end[2] = { 0, 0 }, just_attached = 0;

	fixture_open(&f, SEGS, SECTORS);
	CHECK(run(CHECKER_CRASHED) && !ck.formatted && !ck.unfinished, "%s", ck.error);
	CHECK(!run(CHECKER_RUNNING));
	for (u32 round = 0; round < 12; round++) {
		attach(&f, options);
		settle();
		/* Reclaim may have gone on, and put a LAST into the log. */
		check_good("attached", CHECKER_RUNNING);
		if (ck.end[0] == end[0] && ck.end[1] == end[1]) {
			check_good("just attached", CHECKER_ATTACHED);
			just_attached++;
		}
		check_places("attached");
		fail_writes(round % 3 == 1);
		for (u32 i = 0; i < 10; i++) {
			random_writes(&f, 1 + rnd(round % 3 == 1 ? 4 : 60), 1 + rnd(20));
			flush(&f);
		}
		check_range(&f, 0, f.sectors);
		settle();
		check_good("running", CHECKER_RUNNING);
		check_places("running");
		turns += ck.key_tail[0] != first_seg;
		first_seg = ck.key_tail[0];
		detach(&f);
		check_good("detached", CHECKER_DETACHED);
		check_places("detached");
		fail_writes(false);
		memcpy(end, ck.end, sizeof(end));
	}
	CHECK(just_attached > 2, "only %u times", just_attached);
	CHECK(turns > 2, "the log moved only %u times", turns);
	fixture_close(&f);
}

static void test_engine(void)
{
	load_rounds("2 gc_percent 30");
	load_rounds("4 gc_percent 30 data_crc true");
}

/*
 * Rules broken one by one, in an image with clean and dirty keys, of two attaches,
 * with a LAST: records of it, and what changes them
 */

static u8 *base;
static u64 base_hash;
static struct kset_place ksets[MAX_KSETS];
static u32 nr_ksets, last_kset, own_kset;

static struct pcache_media_super *super(void)
{
	return (void *)f.media + PCACHE_SUPER_OFF;
}

static struct pcache_media_info *info(u32 slot)
{
	return (void *)f.media + PCACHE_INFO_OFF + slot * PCACHE_INFO_STRIDE;
}

static struct pcache_media_ext *ext(u32 slot)
{
	return (void *)f.media + PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;
}

/* 0: key_tail, 1: dirty_tail */
static struct pcache_media_tail *tail(u32 which, u32 slot)
{
	return (void *)f.media + PCACHE_CTRL_OFF + (2 * which + slot) * PCACHE_TAIL_STRIDE;
}

static struct pcache_media_seg_info *seg_info(u32 seg, u32 slot)
{
	return (void *)f.media + seg_off(seg) + slot * PCACHE_SEG_INFO_STRIDE;
}

static struct pcache_media_gen *gen(u32 seg, u32 slot)
{
	return (void *)f.media + seg_off(seg) + PCACHE_SEG_GEN_OFF + slot * PCACHE_SEG_GEN_STRIDE;
}

static struct pcache_media_kset *kset(u32 i)
{
	return (void *)f.media + ksets[i].off;
}

static struct pcache_media_key *key(u32 i)
{
	return (void *)(kset(i) + 1);
}

static void mend_kset(u32 i)
{
	mend_crc(kset(i), ksets[i].keys ? PCACHE_KSET_BYTES(ksets[i].keys) : sizeof(*kset(i)));
}

/* In both slots of a record. */
#define BOTH(record, change) do {				\
	for (u32 slot_ = 0; slot_ < 2; slot_++) {		\
		typeof(record(0)) r = record(slot_);		\
								\
		change;						\
		mend_crc(r, sizeof(*r));			\
	}							\
} while (0)

#define IN_KEY(i, change) do {					\
	struct pcache_media_key *k = key(i);			\
								\
	change;							\
	mend_kset(i);						\
} while (0)

static struct pcache_media_tail *key_tail(u32 slot) { return tail(0, slot); }
static struct pcache_media_tail *dirty_tail(u32 slot) { return tail(1, slot); }

/* Where a place of the medium is in the log. */
static u32 seg_of(u64 off)
{
	return (off - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;
}

static u32 off_of(u64 off)
{
	return off - data_off(seg_of(off), 0);
}

static u8 *end_of_log(void)
{
	return f.media + ksets[nr_ksets - 1].off + PCACHE_KSET_BYTES(ksets[nr_ksets - 1].keys);
}

/* As if no detach had come. */
static void undetach(void)
{
	BOTH(ext, r->state = PCACHE_EXT_IN_USE);
}

static void make_base(const char *options)
{
	fixture_open(&f, SEGS + 16, SECTORS);
	attach(&f, options);
	for (u32 i = 0; i < 40; i++)
		CHECK(!try_write(&f, i * 8, 8, REQ_FUA));
	host_message(&f.h, "flush");
	settle();
	detach(&f);
	CHECK(run(CHECKER_DETACHED), "%s", ck.error);
	nr_ksets = ck.nr_ksets;
	CHECK(nr_ksets && !ck.nr_dirty_keys && ck.key_tail[0] + ck.key_tail[1] == 0);
	own_kset = nr_ksets;
	attach(&f, options);
	fail_writes(true);
	for (u32 i = 0; i < PCACHE_DATA_BYTES / PCACHE_KSET_BYTES(1); i++)
		CHECK(!try_write(&f, 1024 + i % 1000, 1, REQ_FUA));
	settle();
	detach(&f);
	CHECK(run(CHECKER_DETACHED), "%s", ck.error);
	check_places("base");
	CHECK(ck.nr_dirty_keys && ck.segs_log == 2);
	base_hash = ck.hash;
	nr_ksets = find_ksets(&f, 0, 0, ksets, MAX_KSETS);
	CHECK_EQ(nr_ksets, ck.nr_ksets);
	for (last_kset = 0; ksets[last_kset].keys; last_kset++)
		;
	base = malloc(f.media_bytes);
	memcpy(base, f.media, f.media_bytes);
}

static void drop_base(void)
{
	free(base);
	fixture_close(&f);
}

/*
 * What is changed, and what the checker has to say of it
 */

static void super_flipped(void) { super()->pad ^= 1; }
static void super_flags(void)
{
	super()->flags = PCACHE_SUPER_BIGENDIAN;
	mend_crc(super(), sizeof(*super()));
}
static void super_large(void)
{
	super()->seg_num += 100;
	mend_crc(super(), sizeof(*super()));
}
static void super_small(void)
{
	super()->seg_num = PCACHE_MIN_SEGS - 1;
	mend_crc(super(), sizeof(*super()));
}
static void info_mode(void) { BOTH(info, r->flags |= 5 << 2); }
static void info_one(void) { info(1)->flags ^= 1; }
static void info_none(void) { BOTH(info, r->seg_id++); info(0)->seg_id++; info(1)->seg_id++; }
static void info_flags(void) { BOTH(info, r->flags |= BIT(20)); }
static void info_begun(void) { BOTH(info, r->flags &= ~PCACHE_INFO_INIT_DONE); }
static void info_segs(void) { BOTH(info, r->n_segs = PCACHE_MIN_SEGS - 1); }
static void info_differ(void)
{
	info(0)->flags ^= 1 << 7;
	mend_crc(info(0), sizeof(*info(0)));
}
static void ext_one(void) { ext(0)->created ^= 1; }
static void ext_tag(void) { BOTH(ext, r->tag++); }
static void ext_feature(void) { BOTH(ext, r->features_incompat = 1); }
static void ext_info_seq(void) { BOTH(ext, r->info_seq++); }
static void ext_state(void) { BOTH(ext, r->state = PCACHE_EXT_IN_USE | PCACHE_EXT_CLEAN); }
static void ext_in_use(void) { undetach(); }
static void ext_backing(void) { undetach(); BOTH(ext, r->backing_sectors++); }
static void ext_own_nowhere(void) { undetach(); BOTH(ext, r->own_off += 8); }
static void ext_own_number(void) { BOTH(ext, r->own_number += 5); }
static void ext_rest(void) { undetach(); BOTH(ext, r->rest[7] = 1); }
static void ext_state_running(void) { BOTH(ext, r->state = PCACHE_EXT_IN_USE | BIT(1)); }
static void ext_tails_odd(void)
{
	key_tail(0)->header.crc++;
	key_tail(1)->header.crc++;
	BOTH(ext, r->tails[0].off = 4);
}
static void ext_head(void) { BOTH(ext, r->head_off += 8); }
static void ext_head_number(void) { BOTH(ext, r->head_number++); }
static void ext_tails(void) { BOTH(ext, r->tails[1].off += 8); }
static void ext_tails_crc(void) { BOTH(ext, r->tails_crc++); }

/* As an attach leaves it. */
static void attached(void)
{
	undetach();
	BOTH(ext, r->own_seg = r->head_seg; r->own_off = r->head_off;
	     r->own_number = r->head_number + 1);
}
static void attached_no_number(void) { attached(); BOTH(ext, r->own_number = 0); }
static void attached_number(void) { attached(); BOTH(ext, r->own_number++); }

static void seg_repeated(void)
{
	for (u32 i = 0; i < 2; i++) {
		seg_info(3, i)->next_seg = 2;
		mend_crc(seg_info(3, i), sizeof(*seg_info(3, i)));
	}
}
static void seg_range(void)
{
	for (u32 i = 0; i < 2; i++) {
		seg_info(3, i)->next_seg = 1000;
		mend_crc(seg_info(3, i), sizeof(*seg_info(3, i)));
	}
}
static void seg_type(void)
{
	for (u32 i = 0; i < 2; i++) {
		seg_info(3, i)->flags ^= 6;
		mend_crc(seg_info(3, i), sizeof(*seg_info(3, i)));
	}
}
static void seg_next(void)
{
	for (u32 i = 0; i < 2; i++) {
		seg_info(ck.n_segs - 1, i)->flags |= PCACHE_SEG_HAS_NEXT;
		mend_crc(seg_info(ck.n_segs - 1, i), sizeof(*seg_info(0, i)));
	}
}
static void seg_none(void) { seg_info(4, 0)->flags ^= 8; seg_info(4, 1)->flags ^= 8; }
static void gen_none(void) { gen(5, 0)->gen ^= 8; gen(5, 1)->gen ^= 8; }

static void raise_gen(u32 seg)
{
	u64 now = max(gen(seg, 0)->gen, gen(seg, 1)->gen) + 1;

	for (u32 i = 0; i < 2; i++) {
		gen(seg, i)->gen = now;
		mend_crc(gen(seg, i), sizeof(*gen(seg, i)));
	}
}
static void gen_old(void) { undetach(); raise_gen(key(own_kset + 3)->cache_seg_id); }
static void gen_old_detached(void) { raise_gen(key(own_kset + 3)->cache_seg_id); }
static void tail_one(void) { key_tail(0)->seg_off ^= 8; }
static void tail_none(void)
{
	undetach();
	key_tail(0)->header.crc++;
	key_tail(1)->header.crc++;
}
static void tail_odd(void) { undetach(); BOTH(key_tail, r->seg_off += 4); }
static void tail_at_end(void) { undetach(); BOTH(dirty_tail, r->seg_off = PCACHE_DATA_BYTES); }
static void tail_seg(void) { undetach(); BOTH(dirty_tail, r->cache_seg_id = 1000); }
static void tail_past_all(void)
{
	u32 seg = seg_of(end_of_log() - f.media), off = off_of(end_of_log() - f.media);

	undetach();
	BOTH(key_tail, r->cache_seg_id = seg; r->seg_off = off);
	BOTH(dirty_tail, r->cache_seg_id = seg; r->seg_off = off);
}
static void tail_older(void)
{
	struct pcache_media_tail *t;

	undetach();
	t = key_tail((s8)(key_tail(1)->header.seq - key_tail(0)->header.seq) <= 0);
	t->seg_off = 8;
	mend_crc(t, sizeof(*t));
}
static void tail_older_reused(void)
{
	struct pcache_media_tail *t;

	undetach();
	t = key_tail((s8)(key_tail(1)->header.seq - key_tail(0)->header.seq) > 0);
	t->cache_seg_id = seg_of(ksets[own_kset].off);
	t->seg_off = off_of(ksets[own_kset].off);
	mend_crc(t, sizeof(*t));
	BOTH(dirty_tail, r->cache_seg_id = t->cache_seg_id; r->seg_off = t->seg_off);
	raise_gen(key(0)->cache_seg_id);
	for (u32 i = own_kset; i < nr_ksets; i++)
		if (ksets[i].keys && key(i)->cache_seg_id == key(0)->cache_seg_id)
			IN_KEY(i, k->seg_gen++);
}
static void dirty_nowhere(void) { undetach(); BOTH(dirty_tail, r->seg_off += 8); }
static void dirty_one_nowhere(void)
{
	struct pcache_media_tail *t;

	undetach();
	t = dirty_tail((s8)(dirty_tail(1)->header.seq - dirty_tail(0)->header.seq) <= 0);
	t->seg_off += 8;
	mend_crc(t, sizeof(*t));
}

static void log_flipped(void) { undetach(); key(own_kset + 7)->off ^= 1 << 12; }
static void log_first_flipped(void) { undetach(); key(0)->off ^= 1 << 12; }
static void log_last_flipped(void) { key(nr_ksets - 1)->off ^= 1 << 12; }
static void log_torn(void) { undetach(); log_last_flipped(); BOTH(ext, r->own_off = r->own_off); }
static void log_number(void)
{
	undetach();
	kset(own_kset + 7)->flags += 5ULL << 16;
	mend_kset(own_kset + 7);
}
static void log_no_number(void)
{
	undetach();
	kset(nr_ksets - 1)->flags &= 0xffff;
	mend_kset(nr_ksets - 1);
}
static void log_epoch_last(void)
{
	kset(last_kset)->flags |= PCACHE_KSET_EPOCH;
	mend_kset(last_kset);
}
static void log_flags(void)
{
	kset(own_kset + 2)->flags |= BIT(5);
	mend_kset(own_kset + 2);
}
static void log_no_epoch(void)
{
	kset(own_kset)->flags &= ~PCACHE_KSET_EPOCH;
	mend_kset(own_kset);
}
static void log_cycle(void)
{
	kset(last_kset)->count = 0;
	mend_kset(last_kset);
}
static void log_into_data(void)
{
	kset(last_kset)->count = key(1)->cache_seg_id;
	mend_kset(last_kset);
}
static void log_not_zero(void) { end_of_log()[16] = 1; }
static void log_remnant(void) { undetach(); memset(end_of_log(), 'x', 24); }
static void log_remnant_number(void)
{
	struct pcache_media_kset *ks = (void *)end_of_log();

	undetach();
	ks->flags = kset(nr_ksets - 1)->flags + (9ULL << 16);
}

static void key_flags(void) { IN_KEY(9, k->flags |= PCACHE_KEY_EMPTY); }
static void key_odd(void) { IN_KEY(9, k->off += 8); }
static void key_none(void) { IN_KEY(9, k->len = 0); }
static void key_stretch(void) { IN_KEY(9, k->off = SZ_4M - 512; k->len = 1024); }
static void key_range(void) { IN_KEY(9, k->off = (u64)SECTORS << SECTOR_SHIFT); }
static void key_area(void) { IN_KEY(9, k->cache_seg_off = PCACHE_DATA_BYTES - 512; k->len = 1024); }
static void key_seg(void) { IN_KEY(9, k->cache_seg_id = 1000); }
static void key_in_log(void) { IN_KEY(9, k->cache_seg_id = seg_of(ksets[9].off)); }
static void key_gen(void) { IN_KEY(9, k->seg_gen++); }
static void key_reserved(void) { IN_KEY(9, k->reserved = 1); }
static void key_shares(void)
{
	IN_KEY(9, k->cache_seg_id = key(12)->cache_seg_id;
	       k->cache_seg_off = key(12)->cache_seg_off;
	       k->seg_gen = key(12)->seg_gen);
}

/**
 * struct breach - a rule broken, or a thing that may happen
 * @name: what is done
 * @make: does it
 * @state: what the checker is told
 * @says: what it must say; NULL: nothing
 * @damaged: and it would be refused
 * @hidden: recovery reads nothing of it: the hash is as before
 */
struct breach {
	const char *name;
	void (*make)(void);
	enum checker_state state;
	const char *says;
	bool damaged;
	bool hidden;
};

#define GOOD(make, state) \
	{ #make, make, CHECKER_##state, NULL, false, false }
#define WRONG(make, state, says) \
	{ #make, make, CHECKER_##state, says, false, false }
#define REFUSED(make, state, says) \
	{ #make, make, CHECKER_##state, says, true, false }

static const struct breach breaches[] = {
	REFUSED(super_flipped, CRASHED, "no super-block"),
	REFUSED(super_flags, CRASHED, "super-block: flags"),
	REFUSED(super_large, CRASHED, "do not fit"),
	REFUSED(super_small, CRASHED, "super-block: seg_num"),
	REFUSED(info_mode, CRASHED, "cache_info: flags"),
	GOOD(info_one, CRASHED),
	WRONG(info_one, DETACHED, "cache_info: slot 1 is not valid"),
	REFUSED(info_none, CRASHED, "cache_info: no slot is valid"),
	REFUSED(info_flags, CRASHED, "cache_info: flags"),
	REFUSED(info_begun, CRASHED, "cache_info: flags"),
	REFUSED(info_segs, CRASHED, "cache_info: n_segs"),
	WRONG(info_differ, DETACHED, "cache_info: the slots differ"),
	GOOD(ext_one, CRASHED),
	WRONG(ext_one, DETACHED, "extension block: slot 0 is not valid"),
	GOOD(ext_tag, CRASHED),
	WRONG(ext_tag, DETACHED, "none with the tag"),
	REFUSED(ext_feature, CRASHED, "features_incompat"),
	GOOD(ext_info_seq, CRASHED),
	WRONG(ext_info_seq, DETACHED, "info_seq"),
	WRONG(ext_state, DETACHED, "expected \"cleanly detached\" alone"),
	GOOD(ext_in_use, RUNNING),
	WRONG(ext_in_use, DETACHED, "expected a clean detach"),
	WRONG(ext_backing, RUNNING, "backing_sectors"),
	GOOD(ext_own_nowhere, CRASHED),
	WRONG(ext_own_nowhere, RUNNING, "own place"),
	{ "ext_own_number", ext_own_number, CHECKER_CRASHED, "not own_number", false, true },
	WRONG(attached_no_number, RUNNING, "own_number 0x0"),
	WRONG(ext_rest, RUNNING, "its rest is not zero"),
	WRONG(ext_state_running, RUNNING, "expected \"in use\" alone"),
	GOOD(attached, ATTACHED),
	WRONG(attached_number, ATTACHED, "not the one that is due"),
	REFUSED(ext_tails_odd, CRASHED, "extension block: key_tail at"),
	WRONG(ext_in_use, ATTACHED, "is not the log's end"),
	REFUSED(ext_head, CRASHED, "was detached with its head at"),
	WRONG(ext_head_number, CRASHED, "head_number"),
	WRONG(ext_tails, CRASHED, "dirty_tail is"),
	WRONG(ext_tails_crc, DETACHED, "tails_crc is wrong"),
	REFUSED(seg_repeated, CRASHED, "physical id 2 is out of range or repeated"),
	REFUSED(seg_range, CRASHED, "physical id 1000 is out of range or repeated"),
	REFUSED(seg_type, CRASHED, "seg_info flags"),
	REFUSED(seg_next, CRASHED, "the last one has a next one"),
	REFUSED(seg_none, CRASHED, "segment 4: no valid seg_info"),
	REFUSED(gen_none, CRASHED, "segment 5: no valid generation"),
	WRONG(gen_old, CRASHED, "of an old generation"),
	WRONG(gen_old_detached, CRASHED, "of an old generation"),
	GOOD(tail_one, CRASHED),
	WRONG(tail_one, DETACHED, "key_tail: slot 0 is not valid"),
	REFUSED(tail_none, CRASHED, "key_tail: no slot is valid"),
	REFUSED(tail_odd, CRASHED, "key_tail: slot 0 has the place"),
	REFUSED(tail_at_end, CRASHED, "dirty_tail: slot 0 has the place"),
	REFUSED(tail_seg, CRASHED, "dirty_tail: slot 0 has the place"),
	REFUSED(tail_past_all, CRASHED, "nothing stands at key_tail"),
	WRONG(tail_older, CRASHED, "its older slot does not lead"),
	WRONG(tail_older_reused, CRASHED, "given out since"),
	REFUSED(dirty_nowhere, CRASHED, "is nowhere in the log"),
	WRONG(dirty_one_nowhere, CRASHED, "is nowhere in the log"),
	REFUSED(log_flipped, CRASHED, "but a later one at"),
	REFUSED(log_first_flipped, CRASHED, "nothing stands at key_tail"),
	REFUSED(log_last_flipped, CRASHED, "was detached with its head"),
	GOOD(log_torn, CRASHED),
	WRONG(log_torn, RUNNING, "no 24 zero bytes"),
	REFUSED(log_number, CRASHED, "but a later one at"),
	WRONG(log_no_number, CRASHED, "an epoch, but no number"),
	WRONG(log_epoch_last, CRASHED, "a LAST that begins an epoch"),
	WRONG(log_flags, CRASHED, "flags 0x"),
	WRONG(log_no_epoch, CRASHED, "the first of an attach, but no epoch begins"),
	REFUSED(log_cycle, CRASHED, "which is in use"),
	REFUSED(log_into_data, CRASHED, "which is in use"),
	WRONG(log_not_zero, DETACHED, "no 24 zero bytes"),
	WRONG(log_remnant, CRASHED, "a remnant"),
	WRONG(log_remnant_number, CRASHED, "a remnant"),
	REFUSED(key_flags, CRASHED, "unknown flags"),
	REFUSED(key_odd, CRASHED, "no multiple of 512"),
	REFUSED(key_none, CRASHED, "no multiple of 512"),
	REFUSED(key_stretch, CRASHED, "crosses a stretch"),
	REFUSED(key_range, CRASHED, "the backing device does not have"),
	REFUSED(key_area, CRASHED, "not in one data area"),
	REFUSED(key_seg, CRASHED, "segment 1000"),
	REFUSED(key_in_log, CRASHED, "in a segment of the log"),
	REFUSED(key_gen, CRASHED, "generation"),
	REFUSED(key_reserved, CRASHED, "must be zero"),
	WRONG(key_shares, CRASHED, "that of other ones too"),
};

static void test_breaches(void)
{
	make_base("2 gc_percent 90");
	for (u32 i = 0; i < ARRAY_SIZE(breaches); i++) {
		const struct breach *b = &breaches[i];
		bool good;

		memcpy(f.media, base, f.media_bytes);
		b->make();
		good = run(b->state);
		CHECK(good == !b->says && (good || strstr(ck.error, b->says)),
		      "%s: \"%s\", expected \"%s\"", b->name, ck.error, b->says ?: "");
		CHECK_EQ(ck.damaged, b->damaged);
		CHECK((ck.hash == base_hash) == b->hidden, "%s: the hash is %s", b->name,
		      b->hidden ? "another" : "the same");
	}
	/* Where Linux's own was, there may be such keys, until a clean detach. */
	ck.mainline_left = true;
	memcpy(f.media, base, f.media_bytes);
	gen_old();
	CHECK(run(CHECKER_CRASHED) && ck.nr_stale_keys, "%s", ck.error);
	memcpy(f.media, base, f.media_bytes);
	gen_old_detached();
	CHECK(!run(CHECKER_CRASHED) && strstr(ck.error, "cleanly detached with"), "%s", ck.error);
	memcpy(f.media, base, f.media_bytes);
	attached();
	raise_gen(key(0)->cache_seg_id);
	CHECK(!run(CHECKER_ATTACHED) && strstr(ck.error, "in the first kset"), "%s", ck.error);
	ck.mainline_left = false;
	f.media_bytes = 4096;
	CHECK(!run(CHECKER_CRASHED) && strstr(ck.error, "the device has"), "%s", ck.error);
	f.media_bytes = media_bytes_of(SEGS + 16);
	drop_base();
}

/*
 * A format that was cut short
 */

static void expect(const char *what, bool good, bool unfinished, bool damaged, const char *says)
{
	CHECK(run(CHECKER_CRASHED) == good && strstr(ck.error, says), "%s: \"%s\", expected \"%s\"",
	      what, ck.error, says);
	CHECK(ck.unfinished == unfinished && ck.damaged == damaged && !ck.formatted, "%s", what);
	CHECK(!run(CHECKER_RUNNING), "%s", what);
}

static void wipe_tails(void)
{
	memset(f.media + PCACHE_CTRL_OFF, 0, PCACHE_TAILS_BYTES);
}

static void test_format(void)
{
	fixture_open(&f, SEGS, SECTORS);
	expect("blank", true, false, false, "");
	ext(0)->magic = PCACHE_EXT_MAGIC;
	ext(0)->header.seq = 1;
	expect("torn block", true, false, false, "");
	f.media[100] = 1;
	expect("no cache", false, false, true, "no super-block");
	f.media[100] = 0;
	ext(0)->magic = 0;
	ext(0)->header.seq = 0;
	attach(&f, "");
	detach(&f);
	CHECK(run(CHECKER_DETACHED) && ck.formatted && ck.segs_log == 1 && !ck.segs_data, "%s",
	      ck.error);

	BOTH(ext, r->state = PCACHE_EXT_FORMATTING);
	CHECK(run(CHECKER_CRASHED) && ck.formatted, "%s", ck.error);
	super()->magic = 0;
	info(0)->header.seq = 7;
	expect("an older cache", true, false, true, "no super-block");
	wipe_tails();
	memset(info(0), 0, sizeof(*info(0)));
	memset(info(1), 0, sizeof(*info(1)));
	expect("wiped", true, true, false, "");
	super()->magic = PCACHE_SUPER_MAGIC;
	expect("with super-block", true, true, false, "");
	info(1)->n_segs = super()->seg_num;
	info(1)->tag = ext(0)->tag;
	expect("torn cache_info", true, true, false, "");
	tail(1, 1)->header.seq = 2;
	expect("with tails", true, true, false, "");
	tail(1, 1)->seg_off = 8;
	expect("tails elsewhere", false, false, true, "no slot is valid");
	wipe_tails();
	memset(ext(0), 0, sizeof(*ext(0)));
	memset(ext(1), 0, sizeof(*ext(1)));
	info(1)->tag = 0;
	expect("mainline's", true, true, false, "");
	info(1)->tag = 1;
	expect("mainline's with a tag", false, false, true, "no slot is valid");
	fixture_close(&f);
}

/*
 * Media errors, and CRCs of data
 */

static void bad_range(u64 off, u64 bytes)
{
	bad_lo = off;
	bad_hi = off + bytes;
}

static void expect_damage(const char *what, u64 off, u64 bytes, bool damaged)
{
	bad_range(off, bytes);
	CHECK(run(CHECKER_CRASHED) && ck.damaged == damaged, "%s: %s", what, ck.error);
	bad_hi = 0;
}

static u32 bad_places(void)
{
	u32 n = 0;

	for (u32 i = 0; i < f.sectors; i++)
		n += places[i].bad;
	return n;
}

static void test_unreadable(void)
{
	make_base("2 gc_percent 90");
	expect_damage("super-block", PCACHE_SUPER_OFF, 64, true);
	expect_damage("cache_info", PCACHE_INFO_OFF, 64, false);
	expect_damage("block", PCACHE_EXT_OFF, 256, false);
	expect_damage("tails, detached", PCACHE_CTRL_OFF, 64, false);
	CHECK(ck.nr_keys == nr_ksets - 1 && ck.nr_dirty_keys, "%s", ck.error);
	expect_damage("generations", seg_off(3) + PCACHE_SEG_GEN_OFF, 64, true);
	expect_damage("seg_info", seg_off(3), 64, false);
	expect_damage("a kset", ksets[20].off, 64, true);
	expect_damage("the log's end", end_of_log() - f.media, 64, true);
	expect_damage("data", data_off(key(0)->cache_seg_id, key(0)->cache_seg_off + 512), 512,
		      false);
	CHECK_EQ(bad_places(), 1);
	undetach();
	expect_damage("tails, running", PCACHE_CTRL_OFF, 64, true);
	drop_base();
}

static void test_data_crc(void)
{
	u64 data;

	make_base("4 gc_percent 90 data_crc true");
	CHECK(run(CHECKER_DETACHED) && ck.data_crc && !bad_places());
	data = data_off(key(0)->cache_seg_id, key(0)->cache_seg_off);
	f.media[data + 700] ^= 4;
	CHECK(run(CHECKER_DETACHED) && ck.hash == base_hash, "%s", ck.error);
	CHECK(bad_places() == 8 && places[0].bad && places[7].bad && !places[0].dirty);
	f.media[data + 700] ^= 4;
	bad_range(data + 512, 512);
	CHECK(run(CHECKER_DETACHED) && ck.hash == base_hash, "%s", ck.error);
	CHECK(bad_places() == 8 && places[0].bad && places[7].bad);
	bad_hi = 0;
	IN_KEY(nr_ksets - 1, k->data_crc ^= 1);
	CHECK(run(CHECKER_DETACHED) && ck.hash == base_hash && bad_places() == 1, "%s", ck.error);
	drop_base();
}

/*
 * What the hash must not depend on
 */

static void test_hash(void)
{
	make_base("2 gc_percent 90");
	BOTH(ext, r->uuid[3]++; r->label[0] = 'x'; r->created += 77; r->tag += 5);
	BOTH(info, r->tag += 5);
	BOTH(ext, r->own_number += 1000; r->head_number += 1000);
	for (u32 i = 0; i < nr_ksets; i++) {
		kset(i)->flags += 1000ULL << 16;
		mend_kset(i);
	}
	for (u32 i = 0; i < nr_ksets; i++)
		if (ksets[i].keys)
			f.media[data_off(key(i)->cache_seg_id, key(i)->cache_seg_off) + i % 512]++;
	CHECK(run(CHECKER_DETACHED), "%s", ck.error);
	CHECK(ck.hash == base_hash);
	IN_KEY(20, k->flags ^= PCACHE_KEY_CLEAN);
	CHECK(run(CHECKER_DETACHED), "%s", ck.error);
	CHECK(ck.hash != base_hash);
	drop_base();
}

/*
 * Sessions of Linux's own, and of the engine on what that left
 */

static long stores_left;	/* then the power is gone */
static u64 stores;
static u32 fences;

static void store(void *data, u64 off, const void *src, u64 bytes)
{
	stores++;
	if (--stores_left >= 0) {
		memcpy(f.media + off, src, bytes);
		return;
	}
	/* The one that the power cut meets gets through in part. */
	for (u64 i = 0; stores_left == -1 && i < bytes; i += 8)
		if (rnd(2))
			memcpy(f.media + off + i, src + i, min(bytes - i, (u64)8));
}

static void fence(void *data)
{
	fences++;
}

static void write_back(void *data, u64 sector, u32 sectors, const u8 *from)
{
	if (stores_left >= 0)
		memcpy(f.disk + (sector << SECTOR_SHIFT), from, sectors << SECTOR_SHIFT);
}

static void flush_disk(void *data)
{
	fences++;
}

static const struct mainline_ops ops = {
	.store = store,
	.fence = fence,
	.write = write_back,
	.flush = flush_disk,
};

static void mainline_write(u32 max_sectors)
{
	u32 n = 1 + rnd(max_sectors), at = rnd(f.sectors - n + 1);

	/* Room for data, and for a kset at each of its two ends. */
	while (mainline_free_segs(&m) < 4 && mainline_step_writeback(&m))
		;
	while (mainline_free_segs(&m) < 4 && mainline_step_reclaim(&m))
		;
	/* It keeps nothing back: the last kset's data may leave it no more than that. */
	if (stores_left < 0 || mainline_free_segs(&m) < 4)
		return;
	next_versions(&f, f.buf, at, n);
	CHECK(mainline_step_write(&m, at, n, f.buf));
	if (stores_left >= 0)
		note_written(&f, at, n, false);
}

static void mainline_session(u32 writes, u32 max_sectors, u32 commit_every)
{
	for (u32 i = 0; i < writes && stores_left >= 0; i++) {
		mainline_write(max_sectors);
		if (!rnd(commit_every)) {
			CHECK(mainline_commit(&m));
			if (stores_left >= 0)
				memcpy(f.durable, f.newest, f.sectors * sizeof(u32));
		}
		if (!rnd(6))
			mainline_step_writeback(&m);
		if (!rnd(10))
			mainline_step_reclaim(&m);
	}
}

static void mainline_open(bool data_crc)
{
	fixture_open(&f, SEGS, SECTORS);
	m.nr_buffers = 1 + rnd(3);
	stores_left = LONG_MAX;
	mainline_format(&m, image(), &ops, NULL, data_crc);
}

/* What may be read after a power cut: nothing older than what was committed. */
static void check_crashed(const char *what, bool left)
{
	ck.mainline_left = left;
	CHECK(run(CHECKER_CRASHED) && ck.formatted && !ck.damaged, "%s: %s", what, ck.error);
	for (u32 i = 0; i < f.sectors; i++) {
		u32 v = version_of(content(&places[i], i), i);

		CHECK(v != NO_VERSION && v >= f.durable[i],
		      "%s, sector %u: %s, expected version %u", what, i,
		      host_pattern_describe(content(&places[i], i)), f.durable[i]);
	}
}

/* What is there now is what counts from now on. */
static void settle_versions(void)
{
	for (u32 i = 0; i < f.sectors; i++) {
		f.newest[i] = f.durable[i] = version_of(content(&places[i], i), i);
		f.base = max(f.base, f.newest[i]) + 1;
	}
}

static void turns_of_mainline(bool data_crc)
{
	static struct checker_place running[SECTORS];
	u64 before;

	mainline_open(data_crc);
	for (u32 round = 0; round < 20; round++) {
		u32 free_segs;

		CHECK(mainline_begin(&m, image(), &ops, NULL), "%s", m.error);
		mainline_session(600, round & 1 ? 3 : 40, round & 1 ? 1 : 8);
		CHECK(mainline_commit(&m));
		free_segs = mainline_free_segs(&m);
		mainline_places(&m, 0, f.sectors, running);
		memcpy(places, running, sizeof(places));
		check_places("while it runs");
		check_good("mainline's", CHECKER_CRASHED);
		check_places("mainline's");
		/* Something clean may be in its index and no more in its log. */
		for (u32 i = 0; i < f.sectors; i++)
			CHECK(places[i].dirty == running[i].dirty &&
			      (places[i].off == running[i].off || !places[i].off), "sector %u", i);
		CHECK(mainline_free_segs(&m) - free_segs <= 1, "but for that of the data head");
		CHECK(!ck.nr_stale_keys);
	}
	before = crc32c(1, f.media, f.media_bytes);
	mainline_attach(&m, image());
	mainline_writeback(&m, write_back, NULL);
	CHECK(before == crc32c(1, f.media, f.media_bytes), "attach and write-back have stored");
	check_disk(&f);
	CHECK(stores > 1000 && fences > 1000);
	fixture_close(&f);
}

static void test_mainline(void)
{
	turns_of_mainline(false);
	turns_of_mainline(true);
}

static char written[200];

static void note_write(void *data, u64 sector, u32 sectors, const u8 *from)
{
	size_t at = strlen(written);

	snprintf(written + at, sizeof(written) - at, " %llu+%u v%u", sector, sectors,
		 version_of(from, sector));
}

static void mainline_put(u32 sector, u32 n, u32 version, bool fill)
{
	host_pattern(f.buf, sector, n, version);
	CHECK(fill ? mainline_step_fill(&m, sector, n, f.buf) :
		     mainline_step_write(&m, sector, n, f.buf));
}

/* What Linux's own does, as its source says. */
static void test_mainline_ways(void)
{
	u32 seg;

	mainline_open(true);
	CHECK(mainline_begin(&m, image(), &ops, NULL), "%s", m.error);
	CHECK(info(0)->header.seq == 2 && info(1)->header.seq == 1);
	mainline_put(10, 4, 1, false);
	mainline_put(12, 4, 2, false);
	mainline_put(30, 4, 3, true);
	mainline_put(0, 2, 4, false);
	mainline_put(11, 1, 5, false);
	CHECK(mainline_commit(&m));
	mainline_put(10, 1, 6, false);
	CHECK(mainline_commit(&m));
	CHECK(mainline_attach(&m, image()) && m.nr_keys == 6 && m.nr_ksets == 2, "%s", m.error);
	CHECK_EQ(mainline_writeback(&m, note_write, NULL), 5);
	CHECK_TEXT(written, " 0+2 v4 10+1 v1 11+1 v5 12+4 v2 10+1 v6");

	/* The first store of a tail goes to the current slot, the next ones take turns. */
	CHECK(mainline_begin(&m, image(), &ops, NULL), "%s", m.error);
	CHECK(info(0)->header.seq == 2 && info(1)->header.seq == 3);
	CHECK(mainline_step_writeback(&m));
	CHECK(dirty_tail(0)->header.seq == 2 && !dirty_tail(1)->header.crc);
	CHECK(mainline_step_writeback(&m) && !mainline_step_writeback(&m));
	CHECK(dirty_tail(0)->header.seq == 2 && dirty_tail(1)->header.seq == 3);
	CHECK(mainline_step_reclaim(&m) && mainline_step_reclaim(&m) && !mainline_step_reclaim(&m));
	CHECK(key_tail(0)->header.seq == 2 && key_tail(1)->header.seq == 3);

	/* No key names the segment any more. */
	seg = m.keys[0].seg;
	CHECK(gen(seg, 0)->header.seq == 2 && gen(seg, 0)->gen == 1 && !gen(seg, 1)->gen);
	mainline_put(40, 4, 7, false);
	CHECK(mainline_commit(&m));
	CHECK(mainline_attach(&m, image()), "%s", m.error);
	f.media[data_off(m.keys[0].seg, m.keys[0].seg_off) + 900]++;
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "CRC of its data"), "%s", m.error);
	fixture_close(&f);
}

/* Where it would free what the log still needs, it is said. */
static void test_mainline_reclaim(void)
{
	u32 seg;

	make_base("2 gc_percent 90");
	CHECK(mainline_attach(&m, image()) && mainline_reclaim(&m), "%s", m.error);
	seg = key(0)->cache_seg_id;
	raise_gen(seg);
	CHECK(mainline_attach(&m, image()) && m.nr_stale, "%s", m.error);
	CHECK(!mainline_reclaim(&m) && strstr(m.error, "no reference left"), "%s", m.error);
	m.keeps_refs = true;
	CHECK(mainline_attach(&m, image()) && mainline_reclaim(&m), "%s", m.error);
	m.keeps_refs = false;
	/* A later key has the new generation: it goes with the older ones. */
	IN_KEY(own_kset + 2, k->cache_seg_id = seg; k->seg_gen = gen(seg, 0)->gen);
	CHECK(mainline_attach(&m, image()) && m.nr_stale, "%s", m.error);
	CHECK(!mainline_reclaim(&m) && strstr(m.error, "which the log needs"), "%s", m.error);
	memcpy(f.media, base, f.media_bytes);
	BOTH(dirty_tail, r->seg_off += 8);
	CHECK(mainline_attach(&m, image()) && !m.dirty_met, "%s", m.error);
	CHECK(!mainline_reclaim(&m) && strstr(m.error, "never comes to dirty_tail"), "%s", m.error);
	memcpy(f.media, base, f.media_bytes);
	key_in_log();
	CHECK(mainline_attach(&m, image()), "%s", m.error);
	CHECK(!mainline_reclaim(&m) && strstr(m.error, "which the log needs"), "%s", m.error);
	key_range();
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "backing device"), "%s", m.error);
	key_stretch();
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "key of"), "%s", m.error);
	memcpy(f.media, base, f.media_bytes);
	log_cycle();
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "leads nowhere"), "%s", m.error);
	tail_none();
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "key tail"), "%s", m.error);
	seg_none();
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "seg_info"), "%s", m.error);
	memcpy(f.media, base, f.media_bytes);
	bad_range(ksets[5].off, 64);
	CHECK(!mainline_attach(&m, image()) && strstr(m.error, "cannot be read"), "%s", m.error);
	bad_hi = 0;
	drop_base();
}

/* One after the other, each finds what the other left. */
static void test_both(void)
{
	mainline_open(false);
	for (u32 round = 0; round < 8; round++) {
		CHECK(mainline_begin(&m, image(), &ops, NULL), "%s", m.error);
		mainline_session(100 + rnd(200), 1 + rnd(30), 8);
		CHECK(mainline_commit(&m));
		check_good("mainline's", CHECKER_CRASHED);
		check_places("mainline's");
		attach(&f, "2 gc_percent 30");
		check_range(&f, 0, f.sectors);
		if (rnd(2)) {
			/* There is no end to waiting for room while nothing is written back. */
			host_message(&f.h, "flush");
			fail_writes(true);
		}
		random_writes(&f, 1 + rnd(60), 1 + rnd(8));
		flush(&f);
		settle();
		check_good("the engine's, running", CHECKER_RUNNING);
		check_places("the engine's, running");
		detach(&f);
		fail_writes(false);
		check_good("the engine's", CHECKER_DETACHED);
		check_places("the engine's");
	}
	fixture_close(&f);
}

/* Power cuts in a session of Linux's own; then it attaches, or the engine does. */
static void test_mainline_cuts(void)
{
	u32 stale = 0;

	for (u32 i = 0; i < 150; i++) {
		mainline_open(i & 1);
		CHECK(mainline_begin(&m, image(), &ops, NULL), "%s", m.error);
		mainline_session(200 + rnd(300), 30, 8);
		stores_left = rnd(200);
		mainline_session(400, 30, 8);
		stores_left = LONG_MAX;
		check_crashed("mainline's, cut", false);
		stale += !!ck.nr_stale_keys;
		settle_versions();
		attach(&f, i & 1 ? "2 data_crc true" : "");
		check_all(&f);
		random_writes(&f, 20, 8);
		detach(&f);
		ck.mainline_left = true;
		CHECK(run(CHECKER_DETACHED), "%s", ck.error);
		check_places("the engine's");
		fixture_close(&f);
	}
	CHECK(stale > 3, "keys of old generations in %u images only", stale);
}

#else /* FULL */

/*
 * Caches of Linux's own
 */

static u8 *whole;

static void unpack(const char *dir, const char *name, const char *what, u8 *memory, size_t bytes)
{
	char command[512];
	size_t n = SZ_1M, at = 0;
	FILE *file;

	snprintf(command, sizeof(command), "zstd -q -d -c --long=27 '%s/%s.%s.zst'", dir, name,
		 what);
	file = popen(command, "r");
	CHECK(file, "%s", command);
	for (; at < bytes && (n = fread(whole, 1, SZ_1M, file)) > 0; at += n)
		if (memchr_inv(whole, 0, n))
			memcpy(memory + at, whole, n);
	CHECK(pclose(file) == 0 && at == bytes, "%s: %zu bytes", command, at);
}

static void write_disk(void *data, u64 sector, u32 sectors, const u8 *from)
{
	memcpy(f.disk + (sector << SECTOR_SHIFT), from, (size_t)sectors << SECTOR_SHIFT);
}

static void check_digest(const char *what, const struct checker_place *p, const char *digest)
{
	char is[65];

	for (u32 i = 0; i < f.sectors; i++)
		memcpy(whole + ((size_t)i << SECTOR_SHIFT), content(&p[i], i), SECTOR_SIZE);
	host_sha256(whole, SZ_64M, is);
	CHECK(!strcmp(is, digest), "%s: SHA-256 is %s, expected %s", what, is, digest);
}

static void check_image(const char *name, const char *digest)
{
	double begun = host_seconds();

	CHECK(run(CHECKER_CRASHED) && ck.formatted && !ck.damaged, "%s", ck.error);
	CHECK_EQ(bad_hi, 0);
	check_digest("checker", places, digest);
	CHECK(!run(CHECKER_ATTACHED), "there is no block");
	begun = host_seconds();
	CHECK(run(CHECKER_CRASHED));
	printf("%s: %u ksets, %u keys, %u stale, %u dirty, %u+%u segments, %.0f us\n", name,
	       ck.nr_ksets, ck.nr_keys, ck.nr_stale_keys, ck.nr_dirty_keys, ck.segs_log,
	       ck.segs_data, (host_seconds() - begun) * 1e6);
	check_mainline(name, !ck.nr_stale_keys);
	check_digest("mainline", others, digest);
	/* When all is written back, the backing device has it alone. */
	CHECK(mainline_writeback(&m, write_disk, NULL) > 0 || !ck.nr_dirty_keys);
	memset(others, 0, sizeof(others));
	check_digest("written back", others, digest);
}

static void test_images(void)
{
	const char *elsewhere = getenv("PCACHE_IMAGES") ?: "../shared/images";
	char line[1024], name[64], crc[8], digest[65], path[512];
	FILE *file = fopen(IMAGES "/README.md", "r");
	u32 found = 0;

	CHECK(file, IMAGES "/README.md: the test runs at the top of the tree");
	CHECK((whole = malloc(SZ_64M)));
	while (fgets(line, sizeof(line), file)) {
		const char *dir = IMAGES;

		if (sscanf(line, "| %63s | %7s | %*[^|]| `%64[0-9a-f]` |", name, crc, digest) != 3)
			continue;
		snprintf(path, sizeof(path), "%s/%s.pmem.zst", dir, name);
		if (access(path, R_OK))
			dir = elsewhere;
		snprintf(path, sizeof(path), "%s/%s.pmem.zst", dir, name);
		if (access(path, R_OK)) {
			printf("%s is skipped, it is not in %s\n", name, elsewhere);
			continue;
		}
		memset(&f, 0, sizeof(f));
		host_open(&f.h, SZ_512M, SZ_64M);
		fixture_init(&f);
		unpack(dir, name, "pmem", f.media, SZ_512M);
		unpack(dir, name, "disk", f.disk, SZ_64M);
		check_image(name, digest);
		CHECK_EQ(ck.data_crc, !strcmp(crc, "true"));
		fixture_close(&f);
		found++;
	}
	fclose(file);
	free(whole);
	mainline_free(&m);
	CHECK(found >= 4, "%u images", found);
}

static void apply(void *data, u64 off, const void *src, u64 bytes)
{
	memcpy(f.media + off, src, bytes);
}

static void no_fence(void *data)
{
}

/* The model formats as Linux's own did. */
static void test_format(void)
{
	const struct mainline_ops ops = { .store = apply, .fence = no_fence };
	u8 *theirs;

	memset(&f, 0, sizeof(f));
	host_open(&f.h, SZ_512M, SZ_64M);
	fixture_init(&f);
	mainline_format(&m, image(), &ops, NULL, false);
	CHECK((theirs = calloc(1, SZ_512M)));
	CHECK((whole = malloc(SZ_1M)));
	unpack(IMAGES, "fresh", "pmem", theirs, SZ_512M);
	CHECK(!memcmp(theirs, f.media, SZ_512M));
	free(theirs);
	free(whole);
	mainline_free(&m);
	fixture_close(&f);
}
#endif

#define CASE(name) { #name, test_##name }

static const struct test_case cases[] = {
#if !FULL
	CASE(engine),
	CASE(breaches),
	CASE(format),
	CASE(unreadable),
	CASE(data_crc),
	CASE(hash),
	CASE(mainline),
	CASE(mainline_ways),
	CASE(mainline_reclaim),
	CASE(both),
	CASE(mainline_cuts),
#else
	CASE(images),
	CASE(format),
#endif
};

int main(int argc, char **argv)
{
	return run_cases(FULL ? "checker-full-test" : "checker-test", cases, ARRAY_SIZE(cases), 60,
			 argc, argv);
}

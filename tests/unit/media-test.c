// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What may be found on the medium: anything. Bytes flipped, values that are not
 * allowed under CRCs that fit, a format that was cut short anywhere, what a power
 * cut leaves of a load. Each is refused with a message and nothing changed, or
 * what is read is right; nothing crashes or hangs.
 *
 * Stores to the medium pass through __wrap_port_pmem_store() here: it can stop
 * them for good after the nth, and it knows which words a power cut may take: any
 * of those that were stored since the last fence of their task.
 */
#include <pthread.h>

#include <linux/bitfield.h>

#include "fixture.h"

#define SECTORS	512
#define SEGS	(PCACHE_MIN_SEGS + 4)

/*
 * The model of persistent memory
 */

struct pending {
	struct pending *next;
	u64 off;
	u32 bytes;
	int task;
	u8 data[] __aligned(8);
};

static struct {
	pthread_mutex_t lock;
	u8 *media;		/* NULL: nothing is watched */
	u64 bytes;
	u8 *durable;		/* what is past a fence; NULL: not asked for */
	struct pending *first;
	struct pending **last;
	bool limited;
	long stores_left;	/* with limited: later ones do nothing */
	u64 stores;
} model = { .lock = PTHREAD_MUTEX_INITIALIZER };

void __real_port_pmem_store(void *dst, const void *src, size_t n);
void __real_port_page_copy(void *dst, const void *src);
void __real_port_pmem_fence(void);
void __wrap_port_pmem_store(void *dst, const void *src, size_t n);
void __wrap_port_page_copy(void *dst, const void *src);
void __wrap_port_pmem_fence(void);

/* Applies each 8-byte word of a store, or, with @some, one in two. */
static void apply(u8 *dst, const void *src, size_t n, bool some)
{
	for (size_t i = 0; i < n; i += 8)
		if (!some || rnd(2))
			memcpy(dst + i, src + i, min(n - i, (size_t)8));
}

static void note_pending(u64 off, const void *src, size_t n)
{
	struct pending *p = malloc(sizeof(*p) + n);

	p->next = NULL;
	p->off = off;
	p->bytes = n;
	p->task = current->id;
	memcpy(p->data, src, n);
	*model.last = p;
	model.last = &p->next;
}

void __wrap_port_pmem_store(void *dst, const void *src, size_t n)
{
	u64 off = (u8 *)dst - model.media;

	pthread_mutex_lock(&model.lock);
	if (!model.media || off >= model.bytes) {
		__real_port_pmem_store(dst, src, n);
		goto out;
	}
	model.stores++;
	if (model.limited && --model.stores_left < 0) {
		/* The one that the power cut meets gets through in part. */
		if (model.stores_left == -1)
			apply(dst, src, n, true);
		goto out;
	}
	__real_port_pmem_store(dst, src, n);
	if (model.durable)
		note_pending(off, src, n);
out:
	pthread_mutex_unlock(&model.lock);
}

/* To the medium it is a store like others; whether it is written back the simulator judges. */
void __wrap_port_page_copy(void *dst, const void *src)
{
	u64 off = (u8 *)dst - model.media;

	if (model.media && off < model.bytes)
		__wrap_port_pmem_store(dst, src, PAGE_SIZE);
	else
		__real_port_page_copy(dst, src);
}

void __wrap_port_pmem_fence(void)
{
	struct pending **p = &model.first;
	int task = current->id;

	pthread_mutex_lock(&model.lock);
	while (*p) {
		struct pending *done = *p;

		if (done->task != task) {
			p = &done->next;
			continue;
		}
		apply(model.durable + done->off, done->data, done->bytes, false);
		*p = done->next;
		free(done);
	}
	model.last = p;
	pthread_mutex_unlock(&model.lock);
	__real_port_pmem_fence();
}

static void model_begin(struct fixture *f, bool crashes)
{
	pthread_mutex_lock(&model.lock);
	memset(&model.media, 0, sizeof(model) - offsetof(typeof(model), media));
	model.last = &model.first;
	model.media = f->media;
	model.bytes = f->media_bytes;
	if (crashes) {
		model.durable = malloc(f->media_bytes);
		memcpy(model.durable, f->media, f->media_bytes);
	}
	pthread_mutex_unlock(&model.lock);
}

static void model_end(void)
{
	pthread_mutex_lock(&model.lock);
	CHECK(!model.first, "a store was not fenced");
	free(model.durable);
	model.media = NULL;
	model.durable = NULL;
	pthread_mutex_unlock(&model.lock);
}

/**
 * struct crash - what a power cut leaves
 * @media: of the cache device
 * @disk: of the backing device
 * @least: of each sector, the version that was durable
 * @most: of each sector, the newest one that may be there
 */
struct crash {
	u8 *media;
	u8 *disk;
	u32 *least;
	u32 *most;
};

/*
 * Cuts the power, or so it will seem. While the medium is held, no word of it
 * gets durable, and so nothing gets to the backing device that depends on one.
 */
static void take_crash(struct fixture *f, struct crash *c)
{
	struct pending *p;

	c->media = malloc(f->media_bytes);
	c->disk = malloc(f->sectors << SECTOR_SHIFT);
	c->least = malloc(f->sectors * sizeof(u32));
	c->most = malloc(f->sectors * sizeof(u32));
	memcpy(c->least, f->durable, f->sectors * sizeof(u32));
	pthread_mutex_lock(&model.lock);
	memcpy(c->media, model.durable, f->media_bytes);
	for (p = model.first; p; p = p->next)
		apply(c->media + p->off, p->data, p->bytes, true);
	port_bdev_hold(f->h.disk, true);
	memcpy(c->disk, f->disk, f->sectors << SECTOR_SHIFT);
	port_bdev_hold(f->h.disk, false);
	pthread_mutex_unlock(&model.lock);
	/* One write of each writer may be on its way. */
	for (u32 i = 0; i < f->sectors; i++)
		c->most[i] = next_version(f, i);
}

static void drop_crash(struct crash *c)
{
	free(c->media);
	free(c->disk);
	free(c->least);
	free(c->most);
}

/* Puts both devices into the state that a power cut left. */
static void boot(struct fixture *f, const struct crash *c)
{
	memcpy(f->media, c->media, f->media_bytes);
	memcpy(f->disk, c->disk, f->sectors << SECTOR_SHIFT);
}

/*
 * Each sector as of its last FLUSH, or a later version that was written since the
 * last power cut (one that was lost then may not come back).
 */
static void check_after_crash(struct fixture *f, const struct crash *c)
{
	CHECK_EQ(try_read(f, 0, f->sectors), 0);
	for (u32 i = 0; i < f->sectors; i++) {
		const void *is = f->buf + (i << SECTOR_SHIFT);
		u32 v = version_of(is, i);

		CHECK(v == c->least[i] || (v > c->least[i] && v > f->base && v <= c->most[i]),
		      "after a power cut, sector %u: %s, expected version %u to %u, above %u", i,
		      host_pattern_describe(is), c->least[i], c->most[i], f->base);
		f->newest[i] = v;
		f->durable[i] = v;
	}
}

/* One power cut after another: under load, and while the one before is recovered from. */
static void power_cuts(const char *options, u32 cuts)
{
	const struct writer how = {
		.max_sectors = 24, .writes = U32_MAX, .flush_every = 5, .fua_every = 4,
	};
	struct crash c;
	struct fixture f;

	fixture_open(&f, SMALL_SEGS, SECTORS);
	attach(&f, options);
	detach(&f);
	for (u32 i = 0; i < cuts; i++) {
		struct writer w[2];
		u32 nr = i % 4 == 3 ? 0 : 2;

		f.base = (i + 1) << 16;
		model_begin(&f, true);
		if (i % 4 == 1)
			port_bdev_set_gone(f.h.disk, true);
		attach(&f, options);
		start_writers(&f, w, nr, &how);
		usleep(rnd(12000));
		take_crash(&f, &c);
		port_bdev_set_gone(f.h.disk, false);
		for (u32 k = 0; k < nr; k++)
			WRITE_ONCE(w[k].writes, 0);
		join_writers(w, nr);
		detach(&f);
		model_end();

		boot(&f, &c);
		attach(&f, options);
		check_after_crash(&f, &c);
		check_all(&f);
		if (i % 8 == 7) {
			CHECK_EQ(message(&f, "flush"), 0);
			check_disk(&f);
		}
		detach(&f);
		/* Now and then nothing of that gets to the devices. */
		if (i % 3 == 1)
			boot(&f, &c);
		drop_crash(&c);
	}
	attach(&f, "");
	check_all(&f);
	CHECK_EQ(message(&f, "flush"), 0);
	detach(&f);
	check_disk(&f);
	fixture_close(&f);
}

static void test_power_cuts(void)
{
	power_cuts("writeback false", 16);
	power_cuts("2 writeback_order fast", 16);
	power_cuts("writeback true", 16);
	power_cuts("4 writeback_order fast data_crc true", 16);
}

/*
 * Write-back in order: the backing device alone
 */

#define MAX_VERSIONS	1024

/* In which epoch each version of each sector was written. */
static u32 epoch_of[SECTORS][MAX_VERSIONS];

/*
 * What stands on the backing device must be some epoch's state, with some of the
 * next one's writes.
 */
static void check_epochs(const u8 *disk)
{
	u32 newest = 0;

	for (u32 i = 0; i < SECTORS; i++) {
		u32 v = version_of(disk + (i << SECTOR_SHIFT), i);

		CHECK(v != NO_VERSION, "sector %u: %s", i,
		      host_pattern_describe(disk + (i << SECTOR_SHIFT)));
		newest = max(newest, v ? epoch_of[i][v] : 0);
	}
	for (u32 i = 0; i < SECTORS; i++) {
		u32 v = version_of(disk + (i << SECTOR_SHIFT), i);

		CHECK(v + 1 == MAX_VERSIONS || !epoch_of[i][v + 1] || epoch_of[i][v + 1] >= newest,
		      "sector %u has version %u, but %u is of epoch %u, and there is data of epoch %u",
		      i, v, v + 1, epoch_of[i][v + 1], newest);
	}
}

static bool is_torn(const u8 *disk)
{
	for (u32 i = 0; i < SECTORS; i++)
		if (version_of(disk + (i << SECTOR_SHIFT), i) == NO_VERSION)
			return true;
	return false;
}

/* What is done already when no more is begun is copied as a whole. */
static void check_disk_order(struct fixture *f, u8 *copy)
{
	u32 tries = 0;

	port_bdev_hold(f->h.disk, true);
	do {
		memcpy(copy, f->disk, SECTORS << SECTOR_SHIFT);
	} while (is_torn(copy) && tries++ < 1000 && !usleep(1000));
	port_bdev_hold(f->h.disk, false);
	check_epochs(copy);
}

static void backing_order(const char *options, bool faults)
{
	u32 epoch = 1;
	struct fixture f;
	u8 *copy;

	memset(epoch_of, 0, sizeof(epoch_of));
	fixture_open(&f, SMALL_SEGS, SECTORS);
	copy = malloc(SECTORS << SECTOR_SHIFT);
	attach(&f, options);
	for (u32 i = 0; i < 3000; i++) {
		u32 n = 1 + rnd(12), at = rnd(SECTORS - n + 1);

		for (u32 k = at; k < at + n; k++) {
			CHECK(f.newest[k] + 1 < MAX_VERSIONS);
			epoch_of[k][f.newest[k] + 1] = epoch;
		}
		write_sectors(&f, at, n);
		if (faults && rnd(40) == 0)
			port_bdev_fault(f.h.disk, PORT_FAULT_WRITE, rnd(SECTORS), 4, 1,
					BLK_STS_IOERR);
		if (rnd(7) == 0) {
			flush(&f);
			epoch++;
		}
		if (rnd(5) == 0)
			check_disk_order(&f, copy);
		if (faults && rnd(300) == 0)
			port_bdev_clear_faults(f.h.disk);
		if (rnd(600) == 0) {
			detach(&f);
			check_epochs(f.disk);
			attach(&f, options);
			epoch++;
		}
	}
	port_bdev_clear_faults(f.h.disk);
	CHECK_EQ(message(&f, "flush"), 0);
	check_disk(&f);
	detach(&f);
	free(copy);
	fixture_close(&f);
}

static void test_backing_order(void)
{
	backing_order("", false);
	backing_order("2 data_crc true", false);
}

static void test_backing_order_with_errors(void)
{
	backing_order("", true);
}

/*
 * A medium with everything on it
 */

/**
 * struct sample - a cache whose medium is to be damaged
 * @f: it; its devices hold it
 * @good: as it is before that
 * @least: of each sector, the version that must be read if the last kset is lost
 * @ksets: of its log
 * @nr_ksets: how many
 * @copy: to compare with
 */
struct sample {
	struct fixture f;
	struct crash good;
	u32 least[SECTORS];
	struct kset_place ksets[128];
	u32 nr_ksets;
	u8 *copy;
};

/* With @crash, as a power cut left it; otherwise cleanly detached. */
static void make_sample(struct sample *s, const char *options, bool crash)
{
	struct fixture *f = &s->f;
	struct host_status st;

	fixture_open(f, SEGS, SECTORS);
	attach(f, options);
	for (u32 i = 0; i < 150; i++)
		write_sectors(f, rnd(SECTORS - 12), 1 + rnd(12));
	CHECK_EQ(message(f, "flush"), 0);
	for (u32 i = 0; i < 12; i++) {
		write_sectors(f, 200 + 3 * i, 3);
		flush(f);
		CHECK_EQ(message(f, "flush"), 0);
	}
	port_bdev_set_gone(f->h.disk, true);
	for (u32 i = 0; i < 10; i++) {
		write_sectors(f, 20 * i, 1 + i % 4);
		if (i % 3 == 0)
			write_sectors(f, 300 + 5 * i, 2);
		flush(f);
	}
	memcpy(s->least, f->newest, sizeof(s->least));
	write_sectors(f, 57, 4);
	flush(f);
	s->good.media = malloc(f->media_bytes);
	s->good.disk = malloc(SECTORS << SECTOR_SHIFT);
	/* Until nobody stores any more. */
	do {
		memcpy(s->good.media, f->media, f->media_bytes);
		usleep(20000);
	} while (memcmp(s->good.media, f->media, f->media_bytes));
	st = status(f);
	detach(f);
	if (!crash)
		memcpy(s->good.media, f->media, f->media_bytes);
	memcpy(s->good.disk, f->disk, SECTORS << SECTOR_SHIFT);
	port_bdev_set_gone(f->h.disk, false);
	s->nr_ksets = find_ksets(f, st.key_tail[0], st.key_tail[1], s->ksets,
				 ARRAY_SIZE(s->ksets));
	CHECK(s->nr_ksets >= 8 && s->nr_ksets < ARRAY_SIZE(s->ksets), "%u ksets", s->nr_ksets);
	s->copy = malloc(f->media_bytes);
	boot(f, &s->good);
}

static void drop_sample(struct sample *s)
{
	free(s->good.media);
	free(s->good.disk);
	free(s->copy);
	fixture_close(&s->f);
}

/* All is as it was: the media, and what is read. */
static void check_sample(struct sample *s)
{
	boot(&s->f, &s->good);
	attach(&s->f, "2 format never");
	check_all(&s->f);
	detach(&s->f);
	boot(&s->f, &s->good);
}

/* Attached read-only, in spite of damage: nothing that was never written there. */
static void check_read_only(struct sample *s, const char *what)
{
	struct fixture *f = &s->f;

	CHECK_EQ(try_read(f, 0, SECTORS), 0);
	for (u32 i = 0; i < SECTORS; i++) {
		u32 v = version_of(f->buf + (i << SECTOR_SHIFT), i);

		CHECK(v != NO_VERSION && v <= f->newest[i], "%s, read-only, sector %u: %s", what,
		      i, host_pattern_describe(f->buf + (i << SECTOR_SHIFT)));
	}
}

/*
 * Attaches a damaged medium both ways. Refused: with a message, and the medium is
 * unchanged. Not refused: what is read is right; @may_lose: or the last kset is
 * gone.
 */
static void try_damaged(struct sample *s, const char *what, bool may_lose)
{
	struct fixture *f = &s->f;

	memcpy(s->copy, f->media, f->media_bytes);
	if (try_attach(f, "", true)) {
		CHECK(f->error[0], "%s", what);
	} else {
		check_read_only(s, what);
		detach(f);
	}
	CHECK(!memcmp(s->copy, f->media, f->media_bytes), "%s", what);
	if (try_attach(f, "", false)) {
		CHECK(f->error[0], "%s", what);
		CHECK(!memcmp(s->copy, f->media, f->media_bytes), "%s", what);
	} else {
		CHECK_EQ(try_read(f, 0, SECTORS), 0);
		check_content(what, f->buf, 0, SECTORS, may_lose ? s->least : f->newest,
			      f->newest);
		detach(f);
	}
	boot(f, &s->good);
}

/* Flips one bit of each @step-th byte. */
static void flip(struct sample *s, const char *name, u64 off, u32 bytes, u32 step, bool may_lose)
{
	char what[80];

	for (u64 at = off; at < off + bytes; at += step) {
		u8 bit = 1 << rnd(8);

		s->f.media[at] ^= bit;
		snprintf(what, sizeof(what), "%s, byte %llu, bit 0x%x", name,
			 (unsigned long long)(at - off), bit);
		try_damaged(s, what, may_lose);
	}
}

static void flip_all(const char *options, bool crash)
{
	struct sample s = { };

	make_sample(&s, options, crash);
	check_sample(&s);
	flip(&s, "super-block", PCACHE_SUPER_OFF, 24, 1, false);
	for (u32 slot = 0; slot < 2; slot++) {
		flip(&s, "cache_info", PCACHE_INFO_OFF + slot * PCACHE_INFO_STRIDE, 24, 1, false);
		flip(&s, "extension block", PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE, 256, 7,
		     false);
	}
	flip(&s, "tails", PCACHE_CTRL_OFF, PCACHE_TAILS_BYTES, 1, false);
	for (u32 seg = 0; seg < SEGS; seg += 5) {
		flip(&s, "seg_info slot 0", seg_off(seg), 16, 2, false);
		flip(&s, "seg_info slot 1", seg_off(seg) + PCACHE_SEG_INFO_STRIDE, 16, 2, false);
		flip(&s, "generations", seg_off(seg) + PCACHE_SEG_GEN_OFF, 32, 2, false);
	}
	for (u32 i = 0; i < s.nr_ksets; i++) {
		bool last = i == s.nr_ksets - 1;

		flip(&s, last ? "last kset" : "kset", s.ksets[i].off,
		     PCACHE_KSET_BYTES(s.ksets[i].keys), i % 5 && !last ? 11 : 1, last && crash);
	}
	flip(&s, "zeroes behind the log", s.ksets[s.nr_ksets - 1].off +
	     PCACHE_KSET_BYTES(s.ksets[s.nr_ksets - 1].keys), 24, 1, false);
	check_sample(&s);
	drop_sample(&s);
}

static void test_flips_after_detach(void)
{
	flip_all("", false);
}

static void test_flips_after_crash(void)
{
	flip_all("", true);
}

static void test_flips_with_crc(void)
{
	flip_all("2 data_crc true", true);
}

/*
 * Values that are not allowed, under CRCs that fit
 */

static void *at(struct sample *s, u64 off)
{
	return s->f.media + off;
}

/* A change of both slots of a record. */
#define BOTH(s, type, off, stride, change) do {				\
	for (u32 slot_ = 0; slot_ < 2; slot_++) {			\
		type *r = at(s, (off) + slot_ * (stride));		\
		change;							\
		mend_crc(r, sizeof(*r));				\
	}								\
} while (0)
#define SUPER(s, change) do {						\
	struct pcache_media_super *r = at(s, PCACHE_SUPER_OFF);		\
	change;								\
	mend_crc(r, sizeof(*r));					\
} while (0)
#define INFO(s, change) \
	BOTH(s, struct pcache_media_info, PCACHE_INFO_OFF, PCACHE_INFO_STRIDE, change)
#define EXT(s, change) \
	BOTH(s, struct pcache_media_ext, PCACHE_EXT_OFF, PCACHE_EXT_STRIDE, change)
#define KEY_TAIL(s, change) \
	BOTH(s, struct pcache_media_tail, PCACHE_KEY_TAIL_OFF, PCACHE_TAIL_STRIDE, change)
#define DIRTY_TAIL(s, change) \
	BOTH(s, struct pcache_media_tail, PCACHE_DIRTY_TAIL_OFF, PCACHE_TAIL_STRIDE, change)
#define SEG_INFO(s, seg, change) \
	BOTH(s, struct pcache_media_seg_info, seg_off(seg), PCACHE_SEG_INFO_STRIDE, change)

/* A change of an ordinary kset that is followed by others. */
#define KSET(s, change) do {						\
	struct pcache_media_kset *r = at(s, (s)->ksets[mid_kset(s)].off); \
	struct pcache_media_key *key = (void *)(r + 1);			\
	u32 keys = (s)->ksets[mid_kset(s)].keys;			\
	(void)key;							\
	change;								\
	mend_crc(r, PCACHE_KSET_BYTES(keys));				\
} while (0)

/* The segment that a place on the medium is in. */
static u32 segment_of(u64 off)
{
	return (off - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;
}

static u32 mid_kset(struct sample *s)
{
	u32 i = s->nr_ksets - 4;

	while (!s->ksets[i].keys)
		i--;
	return i;
}

#define LE32(field, op)	(field = cpu_to_le32(op))
#define LE64(field, op)	(field = cpu_to_le64(op))

static void super_bigendian(struct sample *s) { SUPER(s, LE32(r->flags, 1)); }
static void super_swapped(struct sample *s) { SUPER(s, r->magic = swab64(r->magic)); }
static void super_crc(struct sample *s)
{
	((struct pcache_media_super *)at(s, PCACHE_SUPER_OFF))->crc ^= 1;
}
static void super_flags(struct sample *s) { SUPER(s, LE32(r->flags, 0x20)); }
static void super_no_segs(struct sample *s) { SUPER(s, LE32(r->seg_num, 0)); }
static void super_few(struct sample *s) { SUPER(s, LE32(r->seg_num, PCACHE_MIN_SEGS - 1)); }
static void super_many(struct sample *s) { SUPER(s, LE32(r->seg_num, PCACHE_MAX_SEGS + 1)); }
static void super_longer(struct sample *s) { SUPER(s, LE32(r->seg_num, SEGS + 1)); }
static void super_shorter(struct sample *s) { SUPER(s, LE32(r->seg_num, SEGS - 1)); }
static void info_no_segs(struct sample *s) { INFO(s, LE32(r->n_segs, 0)); }
static void info_longer(struct sample *s) { INFO(s, LE32(r->n_segs, SEGS + 1)); }
static void info_shorter(struct sample *s) { INFO(s, LE32(r->n_segs, SEGS - 1)); }
static void info_huge(struct sample *s) { INFO(s, LE32(r->n_segs, U32_MAX)); }
static void info_not_done(struct sample *s) { INFO(s, r->flags &= ~cpu_to_le32(2)); }
static void info_flags(struct sample *s) { INFO(s, r->flags |= cpu_to_le32(1 << 13)); }
static void info_mode(struct sample *s) { INFO(s, r->flags |= cpu_to_le32(4 << 2)); }
static void info_percent(struct sample *s) { INFO(s, LE32(r->flags, 2 | 91 << 6)); }
static void info_first(struct sample *s) { INFO(s, LE32(r->seg_id, SEGS)); }
static void info_second(struct sample *s) { INFO(s, LE32(r->seg_id, 1)); }
static void info_version(struct sample *s) { INFO(s, r->header.version = 1); }
static void ext_feature(struct sample *s) { EXT(s, LE32(r->features_incompat, 4)); }
static void ext_number(struct sample *s) { EXT(s, r->own_number = 0); }
static void ext_backing(struct sample *s) { EXT(s, LE64(r->backing_sectors, SECTORS + 1)); }
static void ext_head(struct sample *s) { EXT(s, LE32(r->head_off, le32_to_cpu(r->head_off) + 64)); }
static void key_tail_seg(struct sample *s) { KEY_TAIL(s, LE32(r->cache_seg_id, SEGS)); }
static void key_tail_off(struct sample *s) { KEY_TAIL(s, LE32(r->seg_off, PCACHE_DATA_BYTES)); }
static void key_tail_odd(struct sample *s) { KEY_TAIL(s, r->seg_off |= cpu_to_le32(1)); }
static void key_tail_free(struct sample *s)
{
	KEY_TAIL(s, LE32(r->seg_off, PCACHE_DATA_BYTES - 64));
}
static void key_tail_late(struct sample *s)
{
	/* Behind dirty_tail: the two are out of order. */
	u64 off = s->ksets[s->nr_ksets - 2].off;
	u32 seg = segment_of(off);

	KEY_TAIL(s, LE32(r->cache_seg_id, seg); LE32(r->seg_off, off - data_off(seg, 0)));
}
static void dirty_tail_seg(struct sample *s) { DIRTY_TAIL(s, LE32(r->cache_seg_id, U32_MAX)); }
static void dirty_tail_off(struct sample *s) { DIRTY_TAIL(s, LE32(r->seg_off, U32_MAX - 7)); }
static void dirty_tail_within(struct sample *s)
{
	DIRTY_TAIL(s, LE32(r->seg_off, le32_to_cpu(r->seg_off) + 8));
}
/* The place where this cache's own ksets begin has another number than the block says. */
static void ext_other_number(struct sample *s)
{
	const struct pcache_media_tail *tail = at(s, PCACHE_KEY_TAIL_OFF);
	const struct pcache_media_kset *first = at(s, s->ksets[0].off);
	u64 number = FIELD_GET(PCACHE_KSET_NUMBER, le64_to_cpu(first->flags));

	EXT(s, r->own_seg = tail->cache_seg_id; r->own_off = tail->seg_off;
	    LE64(r->own_number, number - 1));
}
static void list_range(struct sample *s) { SEG_INFO(s, 3, LE32(r->next_seg, SEGS)); }
static void list_cycle(struct sample *s) { SEG_INFO(s, 3, LE32(r->next_seg, 1)); }
static void list_self(struct sample *s) { SEG_INFO(s, 3, LE32(r->next_seg, 3)); }
static void list_short(struct sample *s) { SEG_INFO(s, 3, LE32(r->flags, 2)); }
static void list_long(struct sample *s) { SEG_INFO(s, SEGS - 1, LE32(r->flags, 3)); }
static void seg_type(struct sample *s) { SEG_INFO(s, 3, LE32(r->flags, 5)); }
static void gen_lost(struct sample *s) { memset(at(s, seg_off(3) + PCACHE_SEG_GEN_OFF), 0, 32); }
static void kset_no_keys(struct sample *s) { KSET(s, r->count = 0; keys = 0); }
static void kset_129(struct sample *s) { KSET(s, LE32(r->count, 129); keys = 129); }
static void kset_huge(struct sample *s) { KSET(s, LE32(r->count, U32_MAX)); }
static void kset_flags(struct sample *s) { KSET(s, r->flags |= cpu_to_le64(1 << 5)); }
static void kset_number(struct sample *s) { KSET(s, r->flags ^= cpu_to_le64(1ULL << 40)); }
/* It is bad, and the one behind it has the number that it should have. */
static void kset_number_again(struct sample *s)
{
	const struct pcache_media_kset *mid = at(s, s->ksets[mid_kset(s)].off);
	struct pcache_media_kset *next = at(s, s->ksets[mid_kset(s) + 1].off);

	next->flags = (next->flags & ~cpu_to_le64(PCACHE_KSET_NUMBER)) |
		      (mid->flags & cpu_to_le64(PCACHE_KSET_NUMBER));
	mend_crc(next, PCACHE_KSET_BYTES(s->ksets[mid_kset(s) + 1].keys));
	kset_number(s);
}
static void kset_last_range(struct sample *s)
{
	KSET(s, LE32(r->count, SEGS); r->flags |= cpu_to_le64(PCACHE_KSET_LAST); keys = 0);
}
static void kset_last_cycle(struct sample *s)
{
	u32 seg = segment_of(s->ksets[mid_kset(s)].off);

	KSET(s, LE32(r->count, seg); r->flags |= cpu_to_le64(PCACHE_KSET_LAST); keys = 0);
}
/* Gives the log's ksets other numbers, up to @last. 0: none, as Linux's own. */
static void renumber(struct sample *s, u64 last)
{
	for (u32 i = 0; i < s->nr_ksets; i++) {
		struct pcache_media_kset *r = at(s, s->ksets[i].off);
		u64 number = last ? last - (s->nr_ksets - 1 - i) : 0;

		r->flags = (r->flags & ~cpu_to_le64(PCACHE_KSET_NUMBER)) |
			   cpu_to_le64(FIELD_PREP(PCACHE_KSET_NUMBER, number));
		mend_crc(r, PCACHE_KSET_BYTES(s->ksets[i].keys));
	}
	EXT(s, LE32(r->own_seg, U32_MAX));
}
/* No number ends the walk around it. */
static void kset_cycle_unnumbered(struct sample *s)
{
	struct kset_place *mid = &s->ksets[mid_kset(s)];
	u32 keys = mid->keys;

	kset_last_cycle(s);
	mid->keys = 0;
	renumber(s, 0);
	mid->keys = keys;
}
/* It fits into its segment, but nothing does behind it. */
static void kset_at_end(struct sample *s)
{
	const struct kset_place *mid = &s->ksets[mid_kset(s)];
	u32 bytes = PCACHE_KSET_BYTES(mid->keys), off = PCACHE_DATA_BYTES - bytes;
	u32 seg = segment_of(mid->off);

	memcpy(at(s, seg_off(seg) + PCACHE_SEG_DATA_OFF + off), at(s, mid->off), bytes);
	KEY_TAIL(s, LE32(r->cache_seg_id, seg); LE32(r->seg_off, off));
	DIRTY_TAIL(s, LE32(r->cache_seg_id, seg); LE32(r->seg_off, off));
}
static void key_odd(struct sample *s) { KSET(s, LE64(key->off, le64_to_cpu(key->off) + 1)); }
static void key_empty(struct sample *s) { KSET(s, key->len = 0); }
static void key_short(struct sample *s) { KSET(s, LE32(key->len, 511)); }
static void key_long(struct sample *s) { KSET(s, LE32(key->len, 8 << 20)); }
static void key_beyond(struct sample *s) { KSET(s, LE64(key->off, SECTORS << SECTOR_SHIFT)); }
static void key_wraps(struct sample *s) { KSET(s, LE64(key->off, -512LL)); }
static void key_across(struct sample *s)
{
	KSET(s, LE64(key->off, (SECTORS - 1) << SECTOR_SHIFT); LE32(key->len, 1024));
}
static void key_seg(struct sample *s) { KSET(s, LE32(key->cache_seg_id, SEGS)); }
static void key_seg_odd(struct sample *s)
{
	KSET(s, LE32(key->cache_seg_off, le32_to_cpu(key->cache_seg_off) + 8));
}
static void key_seg_end(struct sample *s) { KSET(s, LE32(key->cache_seg_off, PCACHE_DATA_BYTES)); }
static void key_seg_across(struct sample *s)
{
	KSET(s, LE32(key->cache_seg_off, PCACHE_DATA_BYTES - 512); LE32(key->len, 1024));
}
static void key_in_log(struct sample *s)
{
	u32 seg = segment_of(s->ksets[mid_kset(s)].off);
	const struct pcache_media_gen *gen = at(s, seg_off(seg) + PCACHE_SEG_GEN_OFF);

	if ((s8)(gen[1].header.seq - gen[0].header.seq) > 0)
		gen++;
	KSET(s, LE32(key->cache_seg_id, seg); key->seg_gen = gen->gen);
}
static void key_gen(struct sample *s) { KSET(s, LE64(key->seg_gen, le64_to_cpu(key->seg_gen) + 1)); }
static void key_gen_huge(struct sample *s) { KSET(s, LE64(key->seg_gen, U64_MAX)); }
static void key_flags(struct sample *s) { KSET(s, key->flags |= cpu_to_le32(1)); }
static void key_flags_high(struct sample *s) { KSET(s, key->flags |= cpu_to_le32(1U << 31)); }

#define SEGS_RANGE	"Cache super-block: number of segments is out of range"
#define BIG_ENDIAN_MADE	"Cache was made on a big-endian machine, which is not supported"
#define SUPER_SHORT	"Cache device is smaller than its super-block says"
#define INFO_RANGE	"Cache information: number of segments is out of range"
#define INFO_FLAGS	"Cache information: flags are not allowed"
#define LIST_RANGE	"Cache segment list: an id is out of range"
#define LIST_REPEATED	"Cache segment list: an id is repeated"
#define LIST_LENGTH	"Cache segment list: does not have as many segments as cache_info says"
#define KEY_TAIL_BAD	"Cache key_tail: both copies are invalid, or its place is not allowed"
#define DIRTY_TAIL_BAD	"Cache dirty_tail: both copies are invalid, or its place is not allowed"
#define DIRTY_TAIL_OUT	"Cache dirty_tail: does not stand at a kset of the log"
#define DAMAGED		"Cache log is damaged (see the kernel log): attach read-only, or repair"
#define KEY_BAD		"a key has values that are not allowed"
#define KSET_BAD	"a kset says what is not allowed"
#define KSET_INVALID	"a kset is invalid and later ones are not"

/* @logged: for damage in the log, which is only told there, and can be read up to it. */
static const struct mutation {
	const char *name;
	void (*change)(struct sample *s);
	const char *error;
	const char *logged;
} mutations[] = {
#define M(name, error)	{ #name, name, error, NULL }
	M(super_bigendian, BIG_ENDIAN_MADE),
	M(super_swapped, BIG_ENDIAN_MADE),
	M(super_crc, "Cache super-block has a wrong CRC"),
	M(super_flags, "Cache super-block has flags that this version does not know"),
	M(super_no_segs, SEGS_RANGE),
	M(super_few, SEGS_RANGE),
	M(super_many, SEGS_RANGE),
	M(super_longer, SUPER_SHORT),
	M(super_shorter, INFO_RANGE),
	M(info_no_segs, INFO_RANGE),
	M(info_longer, INFO_RANGE),
	M(info_shorter, LIST_LENGTH),
	M(info_huge, INFO_RANGE),
	M(info_not_done, INFO_FLAGS),
	M(info_flags, INFO_FLAGS),
	M(info_mode, INFO_FLAGS),
	M(info_percent, "Cache information: gc_percent is out of range"),
	M(info_first, LIST_RANGE),
	M(info_second, LIST_LENGTH),
	M(info_version, "Cache information: both copies are invalid"),
	M(ext_feature, "Cache has incompatible features that this version does not know"),
	M(ext_number, "Cache extension block has values that are not allowed"),
	M(ext_backing, "Backing device is smaller than the one the cache is bound to"),
	M(key_tail_seg, KEY_TAIL_BAD),
	M(key_tail_off, KEY_TAIL_BAD),
	M(key_tail_odd, KEY_TAIL_BAD),
	M(key_tail_late, DIRTY_TAIL_OUT),
	M(dirty_tail_seg, DIRTY_TAIL_BAD),
	M(dirty_tail_off, DIRTY_TAIL_BAD),
	M(dirty_tail_within, DIRTY_TAIL_OUT),
	M(list_range, LIST_RANGE),
	M(list_cycle, LIST_REPEATED),
	M(list_self, LIST_REPEATED),
	M(list_short, LIST_LENGTH),
	M(list_long, LIST_LENGTH),
	M(seg_type, "Cache segment information: not a cache segment"),
	M(gen_lost, "Cache segment generation: both copies are invalid"),
#undef M
#define M(name, logged)	{ #name, name, DAMAGED, logged }
	M(ext_head, "it ends before the head of the last detach"),
	M(ext_other_number, "it ends before the head of the last detach"),
	M(key_tail_free, "there is no valid kset at key_tail"),
	M(kset_no_keys, KSET_BAD),
	M(kset_129, "it ends before the head of the last detach"),
	M(kset_huge, "it ends before the head of the last detach"),
	M(kset_flags, KSET_BAD),
	M(kset_number, "it ends before the head of the last detach"),
	M(kset_number_again, "it ends before the head of the last detach"),
	M(kset_last_range, KSET_BAD),
	M(kset_last_cycle, "the log leads into a segment that is in use"),
	M(kset_cycle_unnumbered, "the log leads into a segment that is in use"),
	M(kset_at_end, "there is no valid kset at key_tail"),
	M(key_odd, KEY_BAD),
	M(key_empty, KEY_BAD),
	M(key_short, KEY_BAD),
	M(key_long, KEY_BAD),
	M(key_beyond, KEY_BAD),
	M(key_wraps, KEY_BAD),
	M(key_across, KEY_BAD),
	M(key_seg, KEY_BAD),
	M(key_seg_odd, KEY_BAD),
	M(key_seg_end, KEY_BAD),
	M(key_seg_across, KEY_BAD),
	M(key_in_log, "a key names a segment of the log"),
	M(key_gen, KEY_BAD),
	M(key_gen_huge, KEY_BAD),
	M(key_flags, KEY_BAD),
	M(key_flags_high, KEY_BAD),
#undef M
};

static void check_mutation(struct sample *s, const struct mutation *m, bool crash)
{
	struct fixture *f = &s->f;
	char what[80];
	int r;

	snprintf(what, sizeof(what), "%s%s", m->name, crash ? ", after a crash" : "");
	host_section("%s", what);
	m->change(s);
	host_clear_log();
	memcpy(s->copy, f->media, f->media_bytes);
	CHECK_TEXT(refusal(f, "", false), m->error);
	CHECK(!m->logged || crash || host_logged(m->logged), "%s: %s", what, m->logged);
	r = try_attach(f, "", true);
	CHECK(!r == !!m->logged, "%s, read-only: %d, %s", what, r, f->error);
	if (r) {
		CHECK_TEXT(f->error, m->error);
	} else {
		CHECK_TEXT(status(f).needs_check, "needs_check");
		check_read_only(s, what);
		detach(f);
	}
	CHECK(!memcmp(s->copy, f->media, f->media_bytes), "%s", what);
	boot(f, &s->good);
}

static void test_mutations(void)
{
	for (u32 crash = 0; crash < 2; crash++) {
		struct sample s = { };

		make_sample(&s, "", crash);
		for (u32 i = 0; i < ARRAY_SIZE(mutations); i++)
			/* Only a clean detach tells the head. */
			if (!crash || mutations[i].change != ext_head)
				check_mutation(&s, &mutations[i], crash);
		check_sample(&s);
		drop_sample(&s);
	}
}

/* Behind the log's end stands what has a later number, but whose CRC is wrong. */
static void later_without_crc(struct sample *s)
{
	const struct kset_place *last = &s->ksets[s->nr_ksets - 1];
	struct pcache_media_kset *r = at(s, last->off + PCACHE_KSET_BYTES(last->keys) + 256);

	memcpy(r, at(s, last->off), PCACHE_KSET_BYTES(last->keys));
	LE64(r->flags, le64_to_cpu(r->flags) + FIELD_PREP(PCACHE_KSET_NUMBER, 2));
}

/* Behind the end, and the last number of all, a kset of Linux's own, which has none. */
static void unnumbered_behind_last_number(struct sample *s)
{
	const struct kset_place *last = &s->ksets[s->nr_ksets - 1];
	u32 bytes = PCACHE_KSET_BYTES(last->keys);
	struct pcache_media_kset *r = at(s, last->off + bytes + 256);

	renumber(s, PCACHE_NUMBER_MAX - 1);
	memcpy(r, at(s, last->off), bytes);
	r->flags &= ~cpu_to_le64(PCACHE_KSET_NUMBER);
	mend_crc(r, bytes);
}

/* Behind the end stands what an older turn of the log left: whole, and with an older number. */
static void remnant_behind_end(struct sample *s)
{
	const struct kset_place *last = &s->ksets[s->nr_ksets - 1];
	const struct kset_place *old = &s->ksets[mid_kset(s)];

	memcpy(at(s, last->off + PCACHE_KSET_BYTES(last->keys)), at(s, old->off),
	       PCACHE_KSET_BYTES(old->keys));
}

/* Its keys are old data: the log ends before it. */
static void test_remnant(void)
{
	for (u32 crash = 0; crash < 2; crash++) {
		struct sample s = { };

		make_sample(&s, "", crash);
		remnant_behind_end(&s);
		attach(&s.f, "2 format never");
		check_all(&s.f);
		detach(&s.f);
		check_sample(&s);
		drop_sample(&s);
	}
}

/* With a mended number, and what else may differ without harm. */
static void test_harmless(void)
{
	struct sample s = { };

	make_sample(&s, "", false);
	EXT(&s, r->magic ^= 1);
	try_damaged(&s, "no extension block", false);
	EXT(&s, LE32(r->tag, le32_to_cpu(r->tag) ^ 1));
	try_damaged(&s, "an older cache's extension block", false);
	EXT(&s, r->tag = 0);
	try_damaged(&s, "extension block without a tag", false);
	EXT(&s, LE32(r->features_compat, 1); memset(r->label, 'x', sizeof(r->label)));
	try_damaged(&s, "compatible feature, label", false);
	EXT(&s, LE32(r->tails_crc, 1));
	try_damaged(&s, "tails moved since", false);
	EXT(&s, LE32(r->own_seg, U32_MAX); LE32(r->own_off, 3));
	try_damaged(&s, "own place out of range", false);
	EXT(&s, LE32(r->head_seg, U32_MAX));
	CHECK_TEXT(refusal(&s.f, "", false), DAMAGED);
	boot(&s.f, &s.good);
	INFO(&s, r->flags |= cpu_to_le32(3 << 2));
	try_damaged(&s, "cache mode writeonly", false);
	/* As Linux's own leaves it, which writes the link to slot 0 only; and that is lost. */
	SEG_INFO(&s, 3, r->flags &= ~cpu_to_le32(PCACHE_SEG_HAS_NEXT); r->next_seg = 0);
	memset(at(&s, seg_off(3)), 0xff, 16);
	attach(&s.f, "2 format never");
	check_all(&s.f);
	detach(&s.f);
	boot(&s.f, &s.good);
	/* A magic where no kset has room any more. */
	*(__le64 *)at(&s, seg_off(segment_of(s.ksets[s.nr_ksets - 1].off) + 1) - 8) =
		cpu_to_le64(PCACHE_KSET_MAGIC);
	attach(&s.f, "2 format never");
	check_all(&s.f);
	detach(&s.f);
	/* An older cache's block, which was bound to something else. */
	boot(&s.f, &s.good);
	EXT(&s, r->tag ^= 1; LE64(r->backing_sectors, U64_MAX));
	attach(&s.f, "2 format never");
	check_all(&s.f);
	detach(&s.f);
	boot(&s.f, &s.good);
	later_without_crc(&s);
	attach(&s.f, "2 format never");
	check_all(&s.f);
	detach(&s.f);
	boot(&s.f, &s.good);
	unnumbered_behind_last_number(&s);
	attach(&s.f, "2 format never");
	check_all(&s.f);
	detach(&s.f);
	check_sample(&s);
	drop_sample(&s);
}

/*
 * One copy of dirty_tail is lost, the other one's place is not in the log any more: all
 * keys count as dirty then, and nothing is lost.
 */
static void test_old_dirty_tail(void)
{
	struct sample s = { };
	struct fixture *f = &s.f;
	u64 dirty;

	make_sample(&s, "", true);
	attach(f, "");
	dirty = status(f).dirty_sectors;
	detach(f);
	boot(f, &s.good);
	DIRTY_TAIL(&s, LE32(r->seg_off, le32_to_cpu(r->seg_off) + 8));
	memset(at(&s, PCACHE_DIRTY_TAIL_OFF), 0xff, PCACHE_TAIL_STRIDE);
	/* So that it stays as it is. */
	port_bdev_set_gone(f->h.disk, true);
	attach(f, "");
	CHECK(host_logged("all keys count as dirty"));
	CHECK(status(f).dirty_sectors > dirty);
	CHECK_EQ(status(f).dirty_sectors, status(f).cached_sectors);
	port_bdev_set_gone(f->h.disk, false);
	check_all(f);
	CHECK_EQ(message(f, "flush"), 0);
	check_disk(f);
	detach(f);
	check_sample(&s);
	drop_sample(&s);
}

/* A device that has become smaller, or a signature of something else. */
static void test_cut_short(void)
{
	static const struct {
		u64 off;
		const char *text;
	} foreign[] = {
		{ 0, "XFSB" }, { 510, "\x55\xaa" }, { 512, "EFI PART" }, { 1080, "\x53\xef" },
		{ 4096, "bcache" },
		{ PCACHE_EXT_OFF + offsetof(struct pcache_media_ext, magic), "other" },
		{ 4118, "SWAPSPACE2" }, { 65535, "x" },
	};
	struct sample s = { };
	struct fixture *f = &s.f;
	sector_t sectors;

	make_sample(&s, "", false);
	sectors = f->h.pmem->nr_sectors;
	f->h.pmem->nr_sectors -= 8;
	CHECK_TEXT(refusal(f, "", false), SUPER_SHORT);
	CHECK_TEXT(refusal(f, "", true), SUPER_SHORT);
	f->h.pmem->nr_sectors = 8;
	CHECK_TEXT(refusal(f, "", true), "Cache device is too small (512 MiB at least)");
	f->h.pmem->nr_sectors = sectors;
	for (u32 i = 0; i < ARRAY_SIZE(foreign); i++) {
		memset(f->media, 0, f->media_bytes);
		memcpy(f->media + foreign[i].off, foreign[i].text, strlen(foreign[i].text));
		memcpy(s.copy, f->media, f->media_bytes);
		CHECK(try_attach(f, "", false), "%s is overwritten", foreign[i].text);
		CHECK(!memcmp(s.copy, f->media, f->media_bytes));
	}
	/* Noise. */
	for (u32 i = 0; i < 20; i++) {
		for (u64 at = 0; at < f->media_bytes; at += 8)
			*(u64 *)(f->media + at) = host_next(&rnd_state);
		if (i % 2)
			memcpy(f->media + PCACHE_SUPER_OFF, s.good.media + PCACHE_SUPER_OFF, 16);
		if (i % 4 == 3)
			memcpy(f->media + PCACHE_INFO_OFF, s.good.media + PCACHE_INFO_OFF, 16);
		memcpy(s.copy, f->media, f->media_bytes);
		CHECK(try_attach(f, "", false));
		CHECK(try_attach(f, "", true));
		CHECK(!memcmp(s.copy, f->media, f->media_bytes));
	}
	boot(f, &s.good);
	check_sample(&s);
	drop_sample(&s);
}

/* A key may not cross the end of a stretch of 4 MiB, nor does one that is made here. */
static void test_key_across_stretch(void)
{
	const u32 last = PCACHE_STRETCH_SECTORS - 1;
	struct sample s = { };
	struct fixture *f = &s.f;
	struct pcache_media_kset *ks;
	struct pcache_media_key *key;

	fixture_open(f, SEGS, 2 * PCACHE_STRETCH_SECTORS);
	attach(f, "");
	port_bdev_set_gone(f->h.disk, true);
	write_sectors(f, last, 2);
	flush(f);
	CHECK_EQ(find_ksets(f, 0, 0, s.ksets, ARRAY_SIZE(s.ksets)), 1);
	CHECK_EQ(s.ksets[0].keys, 2);
	detach(f);
	port_bdev_set_gone(f->h.disk, false);
	ks = at(&s, s.ksets[0].off);
	key = (void *)(ks + 1);
	CHECK_EQ(le64_to_cpu(key->off), last << SECTOR_SHIFT);
	CHECK_EQ(le32_to_cpu(key->len), SECTOR_SIZE);
	LE32(key->len, 2 * SECTOR_SIZE);
	mend_crc(ks, PCACHE_KSET_BYTES(2));
	CHECK_TEXT(refusal(f, "", false), DAMAGED);
	CHECK(host_logged(KEY_BAD));
	LE32(key->len, SECTOR_SIZE);
	mend_crc(ks, PCACHE_KSET_BYTES(2));
	attach(f, "");
	check_all(f);
	detach(f);
	fixture_close(f);
}

/*
 * A log in two segments
 */

/* Writes ksets until the log goes on in another segment, and one there; gives the first. */
static u32 turn_log(struct fixture *f, u32 keys)
{
	u32 first = status(f).key_head[0], at = 0;

	while (status(f).key_head[0] == first) {
		for (u32 i = 0; i < keys; i++, at += 2)
			write_sectors(f, at % SECTORS, 1);
		flush(f);
	}
	write_sectors(f, 1, 1);
	flush(f);
	return first;
}

/* What leads to the next segment is lost: the kset there shows that the log was longer. */
static void test_lost_last(void)
{
	static struct kset_place ksets[1024];
	struct fixture f;
	u32 nr, i;
	u8 *copy;

	fixture_open(&f, 2 * SEGS, SECTORS);
	copy = malloc(f.media_bytes);
	attach(&f, "");
	port_bdev_set_gone(f.h.disk, true);
	nr = turn_log(&f, 1);
	nr = find_ksets(&f, nr, 0, ksets, ARRAY_SIZE(ksets));
	for (i = 0; i < nr && ksets[i].keys; i++)
		;
	CHECK(i < nr - 1, "%u ksets, none is a LAST", nr);
	/* The power goes here. */
	memcpy(copy, f.media, f.media_bytes);
	detach(&f);
	port_bdev_set_gone(f.h.disk, false);
	memcpy(f.media, copy, f.media_bytes);
	f.media[ksets[i].off] ^= 1;
	CHECK_TEXT(refusal(&f, "", false), DAMAGED);
	CHECK(host_logged(KSET_INVALID));
	f.media[ksets[i].off] ^= 1;
	attach(&f, "");
	check_all(&f);
	detach(&f);
	free(copy);
	fixture_close(&f);
}

/*
 * All segments are in use, as only Linux's own leaves a cache: it keeps none back for the
 * log. They are named by the only kset, which has to go before anything is free.
 */

static u64 generation(struct fixture *f, u32 seg)
{
	const struct pcache_media_gen *gen = (void *)f->media + seg_off(seg) + PCACHE_SEG_GEN_OFF;

	return max(le64_to_cpu(gen[0].gen), le64_to_cpu(gen[1].gen));
}

/*
 * Makes a kset as Linux's own does, in an empty log: a key of one sector in each segment
 * but the log's. Nothing was ever written to these sectors, nor to these places.
 */
static void make_mainline_kset(struct sample *s)
{
	struct fixture *f = &s->f;
	struct pcache_media_kset *ks = (void *)f->media + data_off(0, 0);
	struct pcache_media_key *key = (void *)(ks + 1);
	u32 nr = 0;

	for (u32 seg = 1; seg < SEGS; seg++, key++, nr++) {
		LE64(key->off, (300 + 8 * seg) << SECTOR_SHIFT);
		LE32(key->len, SECTOR_SIZE);
		LE32(key->cache_seg_id, seg);
		LE64(key->seg_gen, generation(f, seg));
	}
	LE64(ks->magic, PCACHE_KSET_MAGIC);
	LE32(ks->count, nr);
	mend_crc(ks, PCACHE_KSET_BYTES(nr));
	/* It has attached since the last detach. */
	INFO(s, r->header.seq += 2);
}

static void test_no_segment_left(void)
{
	struct sample s = { };
	struct fixture *f = &s.f;

	fixture_open(f, SEGS, SECTORS);
	attach(f, "");
	detach(f);
	make_mainline_kset(&s);
	host_attach_ro(&f->h, "");
	CHECK_EQ(status(f).segs_used, SEGS);
	detach(f);
	attach(f, "");
	write_sectors(f, 40, 8);
	check_all(f);
	CHECK(status(f).segs_used < SEGS - 4);
	CHECK_EQ(message(f, "flush"), 0);
	CHECK_TEXT(status(f).state, "rw");
	detach(f);
	check_disk(f);
	attach(f, "");
	check_all(f);
	detach(f);
	fixture_close(f);
}

/*
 * Keys of an old generation, as Linux's own leaves them in the log
 */

/* Raises a segment's generation: the log's keys that name it are old now. */
static void raise_generation(struct fixture *f, u32 seg)
{
	struct pcache_media_gen *gen = (void *)f->media + seg_off(seg) + PCACHE_SEG_GEN_OFF;
	u64 next = generation(f, seg) + 1;

	for (u32 slot = 0; slot < 2; slot++) {
		gen[slot].gen = cpu_to_le64(next);
		mend_crc(&gen[slot], sizeof(gen[slot]));
	}
}

static bool has_stale_keys(struct fixture *f)
{
	struct kset_place ksets[128];
	struct host_status st;
	u32 nr, stale = 0;

	host_attach_ro(&f->h, "");
	st = status(f);
	detach(f);
	nr = find_ksets(f, st.key_tail[0], st.key_tail[1], ksets, ARRAY_SIZE(ksets));
	for (u32 i = 0; i < nr; i++) {
		const struct pcache_media_kset *ks = (void *)f->media + ksets[i].off;
		const struct pcache_media_key *key = (void *)(ks + 1);

		for (u32 k = 0; k < ksets[i].keys; k++, key++)
			stale += le64_to_cpu(key->seg_gen) <
				 generation(f, le32_to_cpu(key->cache_seg_id));
	}
	return stale;
}

/* Says whether the extension block tells of a clean detach. */
static bool detached_cleanly(struct fixture *f)
{
	for (u32 slot = 0; slot < 2; slot++) {
		const struct pcache_media_ext *ext = (void *)f->media + PCACHE_EXT_OFF +
						     slot * PCACHE_EXT_STRIDE;

		if (!(le32_to_cpu(ext->state) & PCACHE_EXT_CLEAN))
			return false;
	}
	return true;
}

static void check_no_stale_keys(struct fixture *f)
{
	CHECK(!host_logged("keys of an old generation stay in the log"));
	CHECK(!has_stale_keys(f));
	CHECK(detached_cleanly(f));
	attach(f, "");
	check_all(f);
	CHECK_EQ(message(f, "flush"), 0);
	check_disk(f);
	detach(f);
}

/*
 * A segment full of data, then, with @more, data in others; the first one's keys become
 * old, dirty or (with @clean) clean, and what they named is lost.
 */
static void make_stale(struct fixture *f, bool clean, bool more)
{
	fixture_open(f, SMALL_SEGS, SECTORS);
	attach(f, "");
	if (!clean)
		port_bdev_set_gone(f->h.disk, true);
	write_sectors(f, 0, PCACHE_DATA_SECTORS);
	flush(f);
	if (clean)
		CHECK_EQ(message(f, "flush"), 0);
	port_bdev_set_gone(f->h.disk, true);
	for (u32 i = 0; more && i < 3; i++) {
		write_sectors(f, 300 + 20 * i, 20);
		flush(f);
	}
	raise_generation(f, segment_of(place_of(f, 0, 1)));
	detach(f);
	memset(f->newest, 0, PCACHE_DATA_SECTORS * sizeof(u32));
	memset(f->disk, 0, PCACHE_DATA_SECTORS << SECTOR_SHIFT);
	port_bdev_set_gone(f->h.disk, false);
	CHECK(has_stale_keys(f));
	host_clear_log();
}

/* They leave the log at the latest when it is detached, whether or not more is logged. */
static void test_stale_keys(void)
{
	for (u32 i = 0; i < 8; i++) {
		struct fixture f;

		make_stale(&f, i & 1, i & 2);
		attach(&f, "");
		if (i & 4)
			check_all(&f);
		detach(&f);
		check_no_stale_keys(&f);
		fixture_close(&f);
	}
}

/*
 * Clean ones at key_tail are passed at attach; the dirty data behind them then neither has
 * to be written back by a detach, nor keeps it from being a clean one.
 */
static void test_stale_keys_before_dirty(void)
{
	struct fixture f;

	make_stale(&f, true, true);
	port_bdev_set_gone(f.h.disk, true);
	attach(&f, "");
	check_range(&f, 300, 60);
	detach(&f);
	CHECK(!has_stale_keys(&f));
	CHECK(detached_cleanly(&f));
	port_bdev_set_gone(f.h.disk, false);
	host_clear_log();
	attach(&f, "");
	check_all(&f);
	detach(&f);
	check_no_stale_keys(&f);
	fixture_close(&f);
}

/* With dirty data before them they stay, and the detach is none that Linux's own may follow. */
static void test_stale_keys_behind_dirty(void)
{
	struct fixture f;

	make_stale(&f, false, true);
	port_bdev_set_gone(f.h.disk, true);
	attach(&f, "");
	check_range(&f, 300, 60);
	detach(&f);
	CHECK(host_logged("keys of an old generation stay in the log behind dirty data"));
	CHECK(!detached_cleanly(&f));
	port_bdev_set_gone(f.h.disk, false);
	CHECK(has_stale_keys(&f));
	host_clear_log();
	attach(&f, "");
	check_all(&f);
	detach(&f);
	check_no_stale_keys(&f);
	fixture_close(&f);
}

/* The log goes on in another segment amidst of them. */
static void test_stale_keys_in_two_segments(void)
{
	struct fixture f;

	fixture_open(&f, 4 * SEGS, SECTORS);
	attach(&f, "2 gc_percent 90");
	turn_log(&f, PCACHE_KSET_KEYS);
	CHECK_EQ(message(&f, "flush"), 0);
	detach(&f);
	for (u32 seg = 0; seg < 4 * SEGS; seg++)
		raise_generation(&f, seg);
	CHECK(has_stale_keys(&f));
	host_clear_log();
	attach(&f, "");
	CHECK_EQ(status(&f).cached_sectors, 0);
	check_all(&f);
	detach(&f);
	check_no_stale_keys(&f);
	fixture_close(&f);
}

/*
 * A format that was cut short
 */

/* Resumes, with the power cut at the store after @stores; what comes of it is lost. */
static void cut_format(struct fixture *f, const char *options, long stores)
{
	model_begin(f, false);
	model.limited = true;
	model.stores_left = stores;
	if (!try_attach(f, options, false))
		detach(f);
	model_end();
}

/* How many stores there are in all. */
static u64 count_stores(struct fixture *f, const char *options)
{
	u64 stores;

	model_begin(f, false);
	attach(f, options);
	stores = model.stores;
	detach(f);
	model_end();
	return stores;
}

static void test_format_cut_short(void)
{
	struct fixture f;
	u64 stores;

	fixture_open(&f, SEGS, SECTORS);
	stores = count_stores(&f, "");
	CHECK(stores > 5 * SEGS);
	for (u64 i = 0; i < stores; i++) {
		memset(f.media, 0, f.media_bytes);
		cut_format(&f, "2 data_crc true", i);
		/* It begins again, or there is an empty cache; but the first word tells little. */
		if (i == 0 && try_attach(&f, "", false)) {
			CHECK_TEXT(f.error, "Cache device has no pcache super-block, and its first 64 KiB are not zero (format force overwrites it)");
			attach(&f, "2 format force");
		} else if (i) {
			attach(&f, "");
		}
		CHECK_EQ(status(&f).dirty_sectors, 0);
		write_sectors(&f, rnd(SECTORS - 8), 8);
		check_all(&f);
		detach(&f);
		attach(&f, "2 format never");
		check_all(&f);
		detach(&f);
	}
	fixture_close(&f);
}

/* A byte that is changed. */
struct patch {
	const char *name;
	u64 off;
	u8 value;
};

#define NO_SUPER	"Cache device has no pcache super-block, and its first 64 KiB are not zero (format force overwrites it)"
#define NO_INFO		"Cache information: both copies are invalid"

static bool super_is_there(const u8 *media)
{
	const struct pcache_media_super *sb = (void *)media + PCACHE_SUPER_OFF;

	return le64_to_cpu(sb->magic) == PCACHE_SUPER_MAGIC;
}

/* Leaves a format cut short right before (with @super: after) the super-block's magic. */
static void make_unfinished(struct sample *s, bool super)
{
	struct fixture *f = &s->f;
	u64 i = 0;

	fixture_open(f, SEGS, SECTORS);
	s->good.media = malloc(f->media_bytes);
	s->good.disk = calloc(SECTORS, SECTOR_SIZE);
	s->copy = malloc(f->media_bytes);
	for (;;) {
		memset(f->media, 0, f->media_bytes);
		cut_format(f, "", i++);
		if (super_is_there(f->media))
			break;
		memcpy(s->good.media, f->media, f->media_bytes);
	}
	if (super) {
		memcpy(s->good.media, f->media, f->media_bytes);
		/* Of cache_info a part may be there already. */
		memset(s->good.media + PCACHE_INFO_OFF, 0, 2 * PCACHE_INFO_STRIDE);
	}
	host_clear_log();
	boot(f, &s->good);
}

/* Refused, unchanged; then all is as it was. */
static void refuse_unfinished(struct sample *s, const char *what, const char *expected)
{
	struct fixture *f = &s->f;

	host_section("an unfinished format, %s", what);
	memcpy(s->copy, f->media, f->media_bytes);
	CHECK_TEXT(refusal(f, "", false), expected);
	CHECK(!memcmp(s->copy, f->media, f->media_bytes), "%s", what);
	port_pmem_heal(f->h.pmem, 0, f->media_bytes);
	boot(f, &s->good);
}

static void begin_again(struct sample *s, const char *what)
{
	struct fixture *f = &s->f;

	host_section("an unfinished format, %s", what);
	attach(f, "");
	CHECK_EQ(status(f).cached_sectors, 0);
	write_sectors(f, 7, 8);
	check_all(f);
	detach(f);
	memset(f->newest, 0, SECTORS * sizeof(u32));
	boot(f, &s->good);
}

static void refuse_patches(struct sample *s, const struct patch *patches, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		s->f.media[patches[i].off] = patches[i].value;
		refuse_unfinished(s, patches[i].name, NO_SUPER);
	}
}

#define INFO_FIELD(slot, field) \
	(PCACHE_INFO_OFF + (slot) * PCACHE_INFO_STRIDE + offsetof(struct pcache_media_info, field))
#define TAIL_FIELD(slot, field) \
	(PCACHE_CTRL_OFF + (slot) * PCACHE_TAIL_STRIDE + offsetof(struct pcache_media_tail, field))

/* What no format writes there. */
static const struct patch not_of_a_format[] = {
	{ "cache_info: seq", INFO_FIELD(0, header.seq), 3 },
	{ "cache_info: version", INFO_FIELD(0, header.version), 1 },
	{ "cache_info: reserved", INFO_FIELD(1, header.res), 1 },
	{ "cache_info: first segment", INFO_FIELD(1, seg_id), 1 },
	{ "cache_info: number of segments", INFO_FIELD(0, n_segs), SEGS - 1 },
	{ "cache_info: flags", INFO_FIELD(0, flags) + 1, 0x20 },
	{ "cache_info: tag", INFO_FIELD(1, tag), 1 },
	{ "tail: seq", TAIL_FIELD(0, header.seq), 3 },
	{ "tail: segment", TAIL_FIELD(1, cache_seg_id), 1 },
	{ "tail: offset", TAIL_FIELD(3, seg_off), 8 },
};

#define EXT_FIELD(slot, field) \
	(PCACHE_EXT_OFF + (slot) * PCACHE_EXT_STRIDE + offsetof(struct pcache_media_ext, field))

/* What the first store of a format, torn, does not leave on a blank device. */
static const struct patch not_of_a_first_store[] = {
	{ "before the super-block", 100, 1 },
	{ "behind the blocks", 0x8000, 1 },
	{ "magic", EXT_FIELD(0, magic), 1 },
	{ "seq", EXT_FIELD(0, header.seq), 3 },
	{ "version", EXT_FIELD(0, header.version), 1 },
	{ "reserved", EXT_FIELD(1, header.res), 1 },
	{ "label", EXT_FIELD(1, label) + PCACHE_LABEL_BYTES - 1, 'x' },
	{ "incompatible feature", EXT_FIELD(0, features_incompat), 1 },
	{ "compatible feature", EXT_FIELD(0, features_compat), 1 },
	{ "state", EXT_FIELD(0, state), PCACHE_EXT_IN_USE },
	{ "own segment", EXT_FIELD(1, own_seg), 1 },
	{ "own offset", EXT_FIELD(0, own_off), 8 },
	{ "head", EXT_FIELD(0, head_seg), 1 },
	{ "tails", EXT_FIELD(1, tails) + 15, 1 },
	{ "seq of cache_info", EXT_FIELD(0, info_seq), 1 },
	{ "CRC of the tails", EXT_FIELD(0, tails_crc), 1 },
	{ "rest", EXT_FIELD(1, rest) + 35, 1 },
};

/* Before the super-block is back: only what is nothing but that is formatted again. */
static void test_unfinished_without_super(void)
{
	static const u32 unreadable[] = { PCACHE_EXT_OFF, PCACHE_EXT_OFF + PCACHE_EXT_STRIDE, 1024,
					  (64 << 10) - 64 };
	struct sample s = { };
	struct fixture *f = &s.f;

	make_unfinished(&s, false);
	begin_again(&s, "as it is");
	refuse_patches(&s, not_of_a_format, ARRAY_SIZE(not_of_a_format));
	port_pmem_poison(f->h.pmem, PCACHE_INFO_OFF, 64);
	refuse_unfinished(&s, "cache_info unreadable", NO_SUPER);
	port_pmem_poison(f->h.pmem, PCACHE_CTRL_OFF + PCACHE_TAIL_STRIDE, PCACHE_TAIL_STRIDE);
	refuse_unfinished(&s, "a tail unreadable", NO_SUPER);
	EXT(&s, LE32(r->features_incompat, 1));
	refuse_unfinished(&s, "an unknown feature",
			  "Cache has incompatible features that this version does not know");
	EXT(&s, r->magic ^= 1);
	refuse_unfinished(&s, "another block", NO_SUPER);
	EXT(&s, r->state = 0);
	refuse_unfinished(&s, "a block of a whole cache",
			  "Cache super-block is damaged, and its extension block says that there is a cache");
	/* Nor is a blank device of which not all can be read. */
	memset(s.good.media, 0, f->media_bytes);
	boot(f, &s.good);
	begin_again(&s, "blank");
	refuse_patches(&s, not_of_a_first_store, ARRAY_SIZE(not_of_a_first_store));
	for (u32 i = 0; i < ARRAY_SIZE(unreadable); i++) {
		port_pmem_poison(f->h.pmem, unreadable[i], 64);
		refuse_unfinished(&s, "blank, but unreadable", NO_SUPER);
	}
	drop_sample(&s);
}

/* The super-block is back, cache_info is not. */
static void test_unfinished_without_info(void)
{
	struct sample s = { };
	struct fixture *f = &s.f;

	make_unfinished(&s, true);
	begin_again(&s, "as it is");
	CHECK(host_logged("formatting was cut short, begins again"));
	CHECK_TEXT(refusal(f, "2 format never", false),
		   "Cache device is not completely formatted, and format is never");
	memcpy(at(&s, INFO_FIELD(0, tag)), at(&s, EXT_FIELD(0, tag)), sizeof(__le32));
	begin_again(&s, "the block's tag");
	f->media[INFO_FIELD(0, tag)] = 1;
	refuse_unfinished(&s, "a foreign tag", NO_INFO);
	EXT(&s, r->state = 0);
	refuse_unfinished(&s, "a block of a whole cache", NO_INFO);
	/* As Linux's own leaves it, without a block. */
	memset(f->media + PCACHE_EXT_OFF, 0, 2 * PCACHE_EXT_STRIDE);
	begin_again(&s, "without a block");
	memset(f->media + PCACHE_EXT_OFF, 0, 2 * PCACHE_EXT_STRIDE);
	f->media[INFO_FIELD(1, tag)] = 1;
	refuse_unfinished(&s, "a tag without a block", NO_INFO);
	drop_sample(&s);
}

/* The same over a cache that is clean. */
static void test_forced_format_cut_short(void)
{
	u32 newest[SECTORS];
	struct fixture f;
	u64 stores;
	u8 *old, *disk;

	fixture_open(&f, SEGS, SECTORS);
	attach(&f, "2 data_crc true");
	random_writes(&f, 100, 12);
	CHECK_EQ(message(&f, "flush"), 0);
	check_all(&f);
	detach(&f);
	old = malloc(f.media_bytes);
	disk = malloc(SECTORS << SECTOR_SHIFT);
	memcpy(old, f.media, f.media_bytes);
	memcpy(disk, f.disk, SECTORS << SECTOR_SHIFT);
	memcpy(newest, f.newest, sizeof(newest));
	stores = count_stores(&f, "4 format force data_crc false");
	for (u64 i = 0; i < stores; i++) {
		memcpy(f.media, old, f.media_bytes);
		memcpy(f.disk, disk, SECTORS << SECTOR_SHIFT);
		memcpy(f.newest, newest, sizeof(newest));
		cut_format(&f, "4 format force data_crc false", i);
		/* The old one, an empty one, or nothing that counts as a cache. */
		if (try_attach(&f, "", false)) {
			CHECK(f.error[0]);
			attach(&f, "2 format force");
		}
		CHECK_EQ(status(&f).dirty_sectors, 0);
		check_all(&f);
		write_sectors(&f, rnd(SECTORS - 8), 8);
		check_all(&f);
		CHECK_EQ(message(&f, "flush"), 0);
		detach(&f);
		attach(&f, "2 format never");
		check_all(&f);
		detach(&f);
	}
	free(old);
	free(disk);
	fixture_close(&f);
}

/* A copy of a record that cannot be read to its end is none, whatever the rest was. */
static void test_unreadable_slot(void)
{
	struct {
		struct pcache_media_header header;
		u8 zero[sizeof(struct pcache_media_ext) - sizeof(struct pcache_media_header)];
	} record = { };
	struct pcache_slots slots;
	struct fixture f;

	fixture_open(&f, SEGS, SECTORS);
	for (int slot = 0; slot < 2; slot++) {
		pcache_slots_init(&slots, f.media, PAGE_SIZE, sizeof(record));
		pcache_slots_write_both(&slots, &record);
		port_pmem_poison(f.h.pmem, slot * PAGE_SIZE + 64, 64);
		pcache_slots_init(&slots, f.media, PAGE_SIZE, sizeof(record));
		CHECK(pcache_slots_read(&slots, &record));
		CHECK_EQ(slots.valid, slot ? 1 : 2);
		port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	}
	fixture_close(&f);
}

static const struct test_case cases[] = {
	{ "power_cuts", test_power_cuts },
	{ "backing_order", test_backing_order },
	{ "backing_order_with_errors", test_backing_order_with_errors },
	{ "flips_after_detach", test_flips_after_detach },
	{ "flips_after_crash", test_flips_after_crash },
	{ "flips_with_crc", test_flips_with_crc },
	{ "mutations", test_mutations },
	{ "remnant", test_remnant },
	{ "harmless", test_harmless },
	{ "old_dirty_tail", test_old_dirty_tail },
	{ "cut_short", test_cut_short },
	{ "key_across_stretch", test_key_across_stretch },
	{ "lost_last", test_lost_last },
	{ "unreadable_slot", test_unreadable_slot },
	{ "no_segment_left", test_no_segment_left },
	{ "stale_keys", test_stale_keys },
	{ "stale_keys_before_dirty", test_stale_keys_before_dirty },
	{ "stale_keys_behind_dirty", test_stale_keys_behind_dirty },
	{ "stale_keys_in_two_segments", test_stale_keys_in_two_segments },
	{ "format_cut_short", test_format_cut_short },
	{ "unfinished_without_super", test_unfinished_without_super },
	{ "unfinished_without_info", test_unfinished_without_info },
	{ "forced_format_cut_short", test_forced_format_cut_short },
};

int main(int argc, char **argv)
{
	return run_cases("media-test", cases, ARRAY_SIZE(cases), 90, argc, argv);
}

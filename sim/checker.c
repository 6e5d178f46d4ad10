// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judges an image of a cache device by the rules of the on-media format.
 *
 * It reads the image as recovery would, says what it found, and names the first rule
 * that is broken. What it says of damage follows doc/format.rst, "End and damage".
 *
 * "Ours" below is an image whose extension block belongs to the cache and knows the
 * current cache information: Linux's own dm-pcache was not here since. Only there do
 * the rules hold that Linux's own does not keep: older slots of the tails, and what
 * stands at the log's end.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/byteorder.h>
#include <linux/crc32c.h>
#include <linux/limits.h>

#include "checker.h"
#include "format.h"

#define WORDS(bytes)		((bytes) / sizeof(u64))
#define MIX			0x9e3779b97f4a7c15ULL
#define STRETCH_WORDS		(PCACHE_STRETCH_SECTORS / 64)
#define SMALLEST_KSET		PCACHE_KSET_BYTES(1)
/* Bits of a kset's flags that say nothing of this format. */
#define FLAGS_UNKNOWN		(~(u64)(PCACHE_KSET_LAST | PCACHE_KSET_EPOCH | PCACHE_KSET_NUMBER))
#define NO_PLACE		U32_MAX

struct place {
	u32 seg;
	u32 off;
};

/* A record that stands twice. */
struct slots {
	const void *rec[2];
	bool valid[2];
	bool unreadable;	/* one of them */
	int now;		/* the current one; -1: none */
};

/* What a segment is used for by the log that was walked. */
enum {
	USED_LOG = 1,
	USED_DATA = 2,
};

/* Entry i: logical segment i; but @listed: physical segment i is in the list. */
struct segment {
	u64 gen;
	u32 phys;
	u8 used;
	bool listed;
};

struct key_ref {
	const struct pcache_media_key *key;
	bool dirty;
	bool stale;		/* and clean: the backing device has its range */
};

/* The number that the next kset had to have. */
struct due {
	bool known;
	u64 number;
};

struct kset_at {
	const struct pcache_media_kset *ks;
	u64 number;
	u32 count;
	u32 bytes;
	bool last;
	struct place behind;
};

enum found {
	FOUND_NONE,
	FOUND_KSET,
	FOUND_UNREADABLE,
};

struct run {
	const struct checker_image *img;
	struct checker *c;
	enum checker_state state;
	bool broken;
	u64 hash;

	u32 seg_num;
	u32 phys_end;		/* physical ids are less */
	bool list_ended;	/* a resize has not linked what it has made */
	struct slots info, ext, tail[2];	/* tail: key, dirty */
	const struct pcache_media_info *now;	/* current cache information */
	const struct pcache_media_ext *block;	/* current block; NULL: none that belongs here */
	bool ours;
	bool detached;

	struct place at[2][2];		/* of tail, of slot */
	struct place key_tail, dirty_tail, own, end;
	bool dirty_met, slot_met[2], own_met, want_epoch;
	bool walked;			/* to an end, undamaged */
	bool mainlines;			/* ksets without number are in the log */
	bool last_ours;			/* the last kset has a number */
	u32 nr_refs;			/* of mem.keys */
	bool stale_in_front;		/* a clean kset with stale keys at key_tail, not the last */
	u64 last_number;
};

/* Kept between runs, so that a run allocates nothing. */
static struct {
	struct segment *segs;
	u64 nr_segs;
	struct key_ref *keys;
	u64 nr_keys;
	u64 *claimed;		/* a bit for each sector of the backing device */
	u32 *claimed_run;	/* the run that a stretch of it is of */
	u64 stretches;
	u64 *placed;		/* a bit for each sector of the cache device */
	u64 placed_words;
	u32 run;
} mem;

/*
 * Small things
 */

static void *grow(void *old, u64 *nr, u64 need, size_t size)
{
	u64 more = need + need / 2 + 64;

	if (need <= *nr)
		return old;
	old = realloc(old, more * size);
	if (!old)
		abort();
	memset((u8 *)old + *nr * size, 0, (more - *nr) * size);
	*nr = more;
	return old;
}

static inline void put(struct run *r, u64 word)
{
	u64 h = (r->hash ^ word) * MIX;

	r->hash = h ^ (h >> 29);
}

static void say(struct run *r, const char *fmt, va_list args)
{
	if (!r->c->error[0])
		vsnprintf(r->c->error, sizeof(r->c->error), fmt, args);
}

/* A rule is broken; the run goes on where it can. */
__attribute__((__format__(__printf__, 2, 3)))
static void broken(struct run *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(r, fmt, args);
	va_end(args);
	r->broken = true;
}

/* A read-write attach is refused; that is no broken rule if a media error is why. */
__attribute__((__format__(__printf__, 3, 4)))
static bool refused(struct run *r, bool media_error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(r, fmt, args);
	va_end(args);
	put(r, 0xdead);
	r->c->damaged = true;
	if (!media_error)
		r->broken = true;
	return false;
}

static inline bool readable(const struct run *r, u64 off, u64 bytes)
{
	return !r->img->readable || r->img->readable(r->img->data, off, bytes);
}

static inline u32 crc_of(const void *rec, u32 bytes)
{
	return crc32c(PCACHE_CRC_SEED, (const u8 *)rec + 4, bytes - 4);
}

static inline bool same(struct place a, struct place b)
{
	return a.seg == b.seg && a.off == b.off;
}

/* Of a place in a data area, on the cache device. */
static inline u64 media_off(u32 seg, u32 off)
{
	return PCACHE_SEGS_OFF + (u64)mem.segs[seg].phys * PCACHE_SEG_BYTES +
	       PCACHE_SEG_DATA_OFF + off;
}

static bool all_zero(const void *p, u64 bytes)
{
	const u64 *w = p;

	for (u64 i = 0; i < WORDS(bytes); i++)
		if (w[i])
			return false;
	return true;
}

/*
 * Linux's own leaves the version of tails and generations (16 bytes apart) as its stack
 * had it.
 */
static struct slots read_slots(struct run *r, u64 off, u32 stride, u32 bytes)
{
	struct slots s = { .now = -1 };

	for (int i = 0; i < 2; i++) {
		const struct pcache_media_header *h;

		h = s.rec[i] = r->img->media + off + i * stride;
		if (!readable(r, off + i * stride, bytes))
			s.unreadable = true;
		else
			s.valid[i] = le32_to_cpu(h->crc) == crc_of(h, bytes) &&
				     (!h->version || stride == PCACHE_TAIL_STRIDE);
	}
	return s;
}

/* Which slot is current. */
static void choose(struct slots *s)
{
	const struct pcache_media_header *a = s->rec[0], *b = s->rec[1];

	if (s->valid[0] && s->valid[1])
		s->now = (s8)(b->seq - a->seq) > 0;
	else
		s->now = s->valid[1] ? 1 : s->valid[0] ? 0 : -1;
}

/* The same content in both; of the headers Linux's own leaves rubbish in the rest. */
static bool slots_agree(const struct slots *s, u32 bytes)
{
	const u32 skip = sizeof(struct pcache_media_header);

	return !memcmp((const u8 *)s->rec[0] + skip, (const u8 *)s->rec[1] + skip, bytes - skip);
}

/*
 * Super-block, cache information, extension block
 */

static bool super_valid(struct run *r)
{
	const struct pcache_media_super *sb = (const void *)(r->img->media + PCACHE_SUPER_OFF);

	r->seg_num = le32_to_cpu(sb->seg_num);
	return readable(r, PCACHE_SUPER_OFF, sizeof(*sb)) &&
	       le64_to_cpu(sb->magic) == PCACHE_SUPER_MAGIC &&
	       le32_to_cpu(sb->crc) == crc_of(sb, sizeof(*sb));
}

static bool check_super(struct run *r)
{
	const struct pcache_media_super *sb = (const void *)(r->img->media + PCACHE_SUPER_OFF);

	if (sb->flags)
		return refused(r, false, "super-block: flags 0x%x", le32_to_cpu(sb->flags));
	if (r->seg_num < PCACHE_MIN_SEGS || r->seg_num > PCACHE_MAX_SEGS)
		return refused(r, false, "super-block: seg_num %u", r->seg_num);
	if (PCACHE_SEGS_OFF + (u64)r->seg_num * PCACHE_SEG_BYTES > r->img->bytes)
		return refused(r, false, "super-block: %u segments do not fit", r->seg_num);
	put(r, r->seg_num);
	return true;
}

static void read_ext(struct run *r)
{
	r->ext = read_slots(r, PCACHE_EXT_OFF, PCACHE_EXT_STRIDE, sizeof(*r->block));
	for (int i = 0; i < 2; i++) {
		const struct pcache_media_ext *e = r->ext.rec[i];

		r->ext.valid[i] &= le64_to_cpu(e->magic) == PCACHE_EXT_MAGIC;
	}
	choose(&r->ext);
}

static const struct pcache_media_ext *current_ext(const struct run *r)
{
	return r->ext.now < 0 ? NULL : r->ext.rec[r->ext.now];
}

static bool says_formatting(const struct run *r)
{
	const struct pcache_media_ext *e = current_ext(r);

	return e && (le32_to_cpu(e->state) & PCACHE_EXT_FORMATTING);
}

/* Does a slot of the cache information hold nothing but what a format writes? */
static bool info_as_formatted(const struct run *r, const struct pcache_media_info *i, u32 segs)
{
	const struct pcache_media_ext *e = current_ext(r);
	u32 n = le32_to_cpu(i->n_segs);

	return i->header.seq <= 2 && !i->header.version && !i->header.res && !i->seg_id &&
	       (!n || n == segs) && !(le32_to_cpu(i->flags) & ~PCACHE_INFO_KNOWN) &&
	       (!i->tag || (e && i->tag == e->tag));
}

static bool as_formatted(const struct run *r, u32 segs)
{
	for (int i = 0; i < 2; i++)
		if (!info_as_formatted(r, r->info.rec[i], segs))
			return false;
	for (int i = 0; i < 4; i++) {
		const struct pcache_media_tail *t = r->tail[i / 2].rec[i % 2];

		if (t->header.seq > 2 || t->cache_seg_id || t->seg_off)
			return false;
	}
	return !r->info.unreadable && !r->tail[0].unreadable && !r->tail[1].unreadable;
}

static u32 segs_that_fit(const struct run *r)
{
	u64 n = (r->img->bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;

	return n < PCACHE_MAX_SEGS ? n : PCACHE_MAX_SEGS;
}

/* May a slot of the block be what is left of the very first store of a format? */
static bool block_as_formatted(const struct pcache_media_ext *e)
{
	struct pcache_media_ext rest = *e;

	if ((rest.magic && le64_to_cpu(rest.magic) != PCACHE_EXT_MAGIC) || rest.header.seq > 2 ||
	    (rest.state && rest.state != cpu_to_le32(PCACHE_EXT_FORMATTING)) ||
	    (rest.info_seq && le32_to_cpu(rest.info_seq) != 0x100))
		return false;
	rest.header.crc = rest.state = rest.tag = rest.info_seq = 0;
	rest.header.seq = 0;
	rest.magic = rest.backing_sectors = rest.own_number = rest.created = 0;
	memset(rest.uuid, 0, sizeof(rest.uuid));
	memset(rest.backing_id, 0, sizeof(rest.backing_id));
	return all_zero(&rest, sizeof(rest));
}

/* Are the first 64 KiB zero, but for such a store? */
static bool blank(const struct run *r)
{
	const u64 first = 65536;
	u64 bytes = r->img->bytes < first ? r->img->bytes : first, at = 0;

	if (!readable(r, 0, bytes))
		return false;
	for (u32 slot = 0; slot < 2; slot++) {
		u64 off = PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;
		const struct pcache_media_ext *ext = (const void *)(r->img->media + off);

		if (!all_zero(r->img->media + at, off - at) || !block_as_formatted(ext))
			return false;
		at = off + sizeof(*ext);
	}
	return all_zero(r->img->media + at, bytes - at);
}

/* There is none: a blank device, a format that was cut short, or no cache. */
static void without_super(struct run *r)
{
	if (blank(r) && r->ext.now < 0) {
		put(r, 1);
	} else if (says_formatting(r) && as_formatted(r, segs_that_fit(r))) {
		put(r, 2);
		r->c->unfinished = true;
	} else {
		/* A format over an older cache may leave that, before it wipes it. */
		if (says_formatting(r) && !r->ext.unreadable &&
		    !(r->ext.valid[0] && r->ext.valid[1] &&
		      slots_agree(&r->ext, sizeof(struct pcache_media_ext))))
			broken(r, "the super-block goes before both slots say \"formatting\"");
		refused(r, says_formatting(r) || !readable(r, PCACHE_SUPER_OFF,
								sizeof(struct pcache_media_super)),
			"there is no super-block, and no format that may begin again");
	}
}

static void without_info(struct run *r)
{
	if ((r->ext.now < 0 || says_formatting(r)) && as_formatted(r, r->seg_num)) {
		put(r, 3);
		r->c->unfinished = true;
	} else {
		refused(r, r->info.unreadable, "cache_info: no slot is valid");
	}
}

/* A resize puts its aim into the block first, and into the super-block behind cache_info. */
static bool check_n_segs(struct run *r)
{
	const struct pcache_media_ext *e = current_ext(r);
	u32 n = r->c->n_segs, to = 0;

	if (e && e->tag && e->tag == r->now->tag)
		to = le32_to_cpu(e->grow_segs);
	put(r, to);
	if (to && r->state != CHECKER_CRASHED)
		broken(r, "extension block: grow_segs %u in a cache that is attached", to);
	r->c->growing = to && to == n;
	if (n < PCACHE_MIN_SEGS || n > (r->c->growing ? PCACHE_MAX_SEGS : r->seg_num) ||
	    PCACHE_SEGS_OFF + (u64)n * PCACHE_SEG_BYTES > r->img->bytes)
		return refused(r, false, "cache_info: n_segs %u", n);
	if (n < r->seg_num)
		return refused(r, false, "cache_info: n_segs %u, the super-block has %u", n,
			       r->seg_num);
	r->phys_end = n;
	return true;
}

static bool check_info(struct run *r)
{
	u32 flags = le32_to_cpu(r->now->flags);

	r->c->n_segs = le32_to_cpu(r->now->n_segs);
	r->c->data_crc = flags & PCACHE_INFO_DATA_CRC;
	if (flags & ~PCACHE_INFO_KNOWN || !(flags & PCACHE_INFO_INIT_DONE))
		return refused(r, false, "cache_info: flags 0x%x", flags);
	if ((flags & PCACHE_INFO_MODE) >> 2 > 3 || (flags & PCACHE_INFO_GC_PERCENT) >> 6 > 90)
		return refused(r, false, "cache_info: flags 0x%x", flags);
	return check_n_segs(r);
}

/* Is the block that of this cache, and what does it know? */
static bool check_ext(struct run *r)
{
	const struct pcache_media_ext *e = current_ext(r);
	u32 crc = crc32c(PCACHE_CRC_SEED, r->img->media + PCACHE_CTRL_OFF, PCACHE_TAILS_BYTES);
	bool doubt;

	r->own.seg = NO_PLACE;
	if (!e || !e->tag || e->tag != r->now->tag)
		return true;
	r->block = e;
	r->own = (struct place) { le32_to_cpu(e->own_seg), le32_to_cpu(e->own_off) };
	if (e->features_incompat)
		return refused(r, false, "extension block: features_incompat 0x%x",
			       le32_to_cpu(e->features_incompat));
	r->ours = le32_to_cpu(e->info_seq) == r->now->header.seq;
	doubt = r->tail[0].unreadable || r->tail[1].unreadable || r->tail[0].now < 0 ||
		r->tail[1].now < 0;
	r->detached = r->ours && (le32_to_cpu(e->state) & PCACHE_EXT_CLEAN) &&
		      (doubt || crc == le32_to_cpu(e->tails_crc));
	return true;
}

static void hash_info(struct run *r)
{
	const struct pcache_media_ext *e = current_ext(r);

	put(r, r->info.now);
	for (int i = 0; i < 2; i++) {
		const struct pcache_media_info *n = r->info.rec[i];

		put(r, r->info.valid[i]);
		if (!r->info.valid[i])
			continue;
		put(r, (u64)n->header.seq << 32 | le32_to_cpu(n->flags));
		put(r, (u64)le32_to_cpu(n->seg_id) << 32 | le32_to_cpu(n->n_segs));
		put(r, !n->tag + (e && n->tag == e->tag ? 2 : 0));
	}
}

static void hash_ext(struct run *r)
{
	put(r, r->ext.now);
	for (int i = 0; i < 2; i++) {
		const struct pcache_media_ext *e = r->ext.rec[i];

		put(r, r->ext.valid[i]);
		if (!r->ext.valid[i])
			continue;
		put(r, (u64)le32_to_cpu(e->state) << 32 | le32_to_cpu(e->info_seq));
		put(r, (u64)le32_to_cpu(e->own_seg) << 32 | le32_to_cpu(e->own_off));
		put(r, (u64)le32_to_cpu(e->head_seg) << 32 | le32_to_cpu(e->head_off));
		for (int t = 0; t < 2; t++)
			put(r, (u64)le32_to_cpu(e->tails[t].seg) << 32 |
			       le32_to_cpu(e->tails[t].off));
		put(r, !e->tag + !e->own_number * 2 + !e->head_number * 4 +
		       (r->now && e->tag == r->now->tag) * 8 +
		       (le64_to_cpu(e->backing_sectors) == r->img->backing_sectors) * 16);
		put(r, (u64)le32_to_cpu(e->features_incompat) << 32 |
		       le32_to_cpu(e->features_compat));
	}
	put(r, r->ours + r->detached * 2);
}

/*
 * Segments
 */

static void hash_segment(struct run *r, const struct slots *info, const struct slots *gen)
{
	put(r, info->valid[0] + info->valid[1] * 2 + info->now * 4 + gen->valid[0] * 16 +
	       gen->valid[1] * 32 + gen->now * 64);
	for (int i = 0; i < 2; i++) {
		const struct pcache_media_seg_info *s = info->rec[i];
		const struct pcache_media_gen *g = gen->rec[i];

		if (info->valid[i])
			put(r, (u64)le32_to_cpu(s->flags) << 32 | le32_to_cpu(s->next_seg));
		if (gen->valid[i])
			put(r, le64_to_cpu(g->gen));
	}
}

/* Reads a segment of the list; @next: the physical id of the one behind it. */
static bool read_segment(struct run *r, u32 seg, u32 *next)
{
	u32 phys = *next, flags;
	u64 off = PCACHE_SEGS_OFF + (u64)phys * PCACHE_SEG_BYTES;
	const struct pcache_media_seg_info *s;
	struct slots info, gen;

	if (phys >= r->phys_end || mem.segs[phys].listed)
		return refused(r, false, "segment %u: physical id %u is out of range or repeated",
			       seg, phys);
	mem.segs[phys].listed = true;
	info = read_slots(r, off + PCACHE_SEG_INFO_OFF, PCACHE_SEG_INFO_STRIDE, sizeof(*s));
	gen = read_slots(r, off + PCACHE_SEG_GEN_OFF, PCACHE_SEG_GEN_STRIDE,
			 sizeof(struct pcache_media_gen));
	choose(&info);
	choose(&gen);
	hash_segment(r, &info, &gen);
	if (info.now < 0 || gen.now < 0)
		return refused(r, info.unreadable || gen.unreadable, "segment %u: no valid %s", seg,
			       info.now < 0 ? "seg_info" : "generation");
	s = info.rec[info.now];
	flags = le32_to_cpu(s->flags);
	if ((flags & PCACHE_SEG_TYPE) >> 1 != PCACHE_SEG_TYPE_CACHE)
		return refused(r, false, "segment %u: seg_info flags 0x%x", seg, flags);
	if (seg + 1 == r->c->n_segs && (flags & PCACHE_SEG_HAS_NEXT))
		return refused(r, false, "segment %u: the last one has a next one", seg);
	if (seg + 1 < r->c->n_segs && !(flags & PCACHE_SEG_HAS_NEXT) && info.valid[0] &&
	    info.valid[1]) {
		if (!r->c->growing || r->list_ended)
			return refused(r, false, "segment %u: has no next one", seg);
		r->list_ended = true;
	}
	*next = flags & PCACHE_SEG_HAS_NEXT ? le32_to_cpu(s->next_seg) : phys + 1;
	if (r->state != CHECKER_CRASHED && seg + 1 < r->c->n_segs && !info.unreadable &&
	    !(info.valid[0] && info.valid[1]))
		broken(r, "segment %u: seg_info: slot %d is not valid", seg, info.valid[0] ? 1 : 0);
	mem.segs[seg].phys = phys;
	mem.segs[seg].gen = le64_to_cpu(((const struct pcache_media_gen *)gen.rec[gen.now])->gen);
	return true;
}

static bool read_segments(struct run *r)
{
	u32 next = le32_to_cpu(r->now->seg_id);

	mem.segs = grow(mem.segs, &mem.nr_segs, r->phys_end, sizeof(*mem.segs));
	for (u32 i = 0; i < r->phys_end; i++) {
		mem.segs[i].used = 0;
		mem.segs[i].listed = false;
	}
	for (u32 i = 0; i < r->c->n_segs; i++)
		if (!read_segment(r, i, &next))
			return false;
	return true;
}

static void use_segment(struct run *r, u32 seg, u8 use)
{
	if (mem.segs[seg].used & use)
		return;
	mem.segs[seg].used |= use;
	if (use == USED_LOG)
		r->c->segs_log++;
	else
		r->c->segs_data++;
}

/*
 * Tails
 */

static const char *const tail_name[] = { "key_tail", "dirty_tail" };

static void read_tails(struct run *r)
{
	for (int t = 0; t < 2; t++) {
		r->tail[t] = read_slots(r, t ? PCACHE_DIRTY_TAIL_OFF : PCACHE_KEY_TAIL_OFF,
					PCACHE_TAIL_STRIDE, sizeof(struct pcache_media_tail));
		choose(&r->tail[t]);
	}
}

static bool tail_allowed(const struct run *r, struct place p)
{
	return p.seg < r->c->n_segs && !(p.off % 8) &&
	       p.off <= PCACHE_DATA_BYTES - PCACHE_LAST_BYTES;
}

static bool check_tail(struct run *r, int t, struct place *now)
{
	const struct slots *s = &r->tail[t];

	put(r, s->now);
	for (int i = 0; i < 2; i++) {
		const struct pcache_media_tail *rec = s->rec[i];
		struct place p = { le32_to_cpu(rec->cache_seg_id), le32_to_cpu(rec->seg_off) };

		r->at[t][i] = p;
		put(r, s->valid[i]);
		if (!s->valid[i])
			continue;
		put(r, (u64)p.seg << 40 | (u64)p.off << 8 | rec->header.seq);
		if (!tail_allowed(r, p))
			return refused(r, false, "%s: slot %d has the place %u:0x%x",
				       tail_name[t], i, p.seg, p.off);
	}
	if (s->now >= 0) {
		*now = r->at[t][s->now];
		return true;
	}
	if (!r->detached)
		return refused(r, s->unreadable, "%s: no slot is valid", tail_name[t]);
	now->seg = le32_to_cpu(r->block->tails[t].seg);
	now->off = le32_to_cpu(r->block->tails[t].off);
	return tail_allowed(r, *now) ||
	       refused(r, false, "extension block: %s at %u:0x%x", tail_name[t], now->seg,
		       now->off);
}

/*
 * The log
 */

static enum found look(const struct run *r, struct place at, struct kset_at *k)
{
	u64 off = media_off(at.seg, at.off);
	u32 room = PCACHE_DATA_BYTES - at.off;
	u64 flags;

	k->ks = (const void *)(r->img->media + off);
	if (room < sizeof(*k->ks))
		return FOUND_NONE;
	if (!readable(r, off, sizeof(*k->ks)))
		return FOUND_UNREADABLE;
	if (le64_to_cpu(k->ks->magic) != PCACHE_KSET_MAGIC)
		return FOUND_NONE;
	flags = le64_to_cpu(k->ks->flags);
	k->count = le32_to_cpu(k->ks->count);
	k->last = flags & PCACHE_KSET_LAST;
	k->number = flags >> 16;
	k->bytes = sizeof(*k->ks);
	k->behind = (struct place) { k->count, 0 };
	if (k->last) {
		if (k->count >= r->c->n_segs)
			return FOUND_NONE;
	} else {
		if (!k->count || k->count > PCACHE_KSET_KEYS ||
		    PCACHE_KSET_BYTES(k->count) + PCACHE_LAST_BYTES > room)
			return FOUND_NONE;
		k->bytes = PCACHE_KSET_BYTES(k->count);
		k->behind = (struct place) { at.seg, at.off + k->bytes };
		if (!readable(r, off, k->bytes))
			return FOUND_UNREADABLE;
	}
	return le32_to_cpu(k->ks->crc) == crc_of(k->ks, k->bytes) ? FOUND_KSET : FOUND_NONE;
}

static bool fits(const struct due *due, u64 number)
{
	return !number || !due->known || number == due->number;
}

static struct due due_behind(const struct kset_at *k)
{
	__le32 x[3] = { k->ks->crc, cpu_to_le32(k->behind.seg), cpu_to_le32(k->behind.off) };
	struct due due = { .known = true };

	if (k->number) {
		due.number = k->number == PCACHE_NUMBER_MAX ? 1 : k->number + 1;
	} else {
		due.number = crc32c(PCACHE_CRC_SEED, x, sizeof(x)) |
			     (u64)(crc32c(PCACHE_MARK_SEED, x, sizeof(x)) & 0xffff) << 32;
		due.number += !due.number;
	}
	return due;
}

static bool is_later(const struct due *due, u64 number, u64 most)
{
	return number && ((number - due->number) & PCACHE_NUMBER_MAX) <= most;
}

/* Is there a kset behind @at which shows that ksets from there on are damaged? */
static bool later_kset(const struct run *r, struct place at, const struct due *due,
		       struct place *where)
{
	const u64 *w = (const void *)(r->img->media + media_off(at.seg, at.off));
	u64 most = (u64)r->c->n_segs * (PCACHE_DATA_BYTES / SMALLEST_KSET + 1);
	u64 end = WORDS(PCACHE_DATA_BYTES - at.off);
	struct kset_at k;

	for (u64 i = 1; i + 3 <= end; i++) {
		if (le64_to_cpu(w[i + 1]) != PCACHE_KSET_MAGIC)
			continue;
		*where = (struct place) { at.seg, at.off + i * 8 };
		if (look(r, *where, &k) == FOUND_KSET &&
		    is_later(due, k.number, i * 8 / SMALLEST_KSET))
			return true;
	}
	for (u32 i = 0; i < r->c->n_segs; i++) {
		*where = (struct place) { i, 0 };
		if (look(r, *where, &k) == FOUND_KSET && is_later(due, k.number, most))
			return true;
	}
	return false;
}

/* Words of a torn kset: each is zero or what this log stores next. */
static bool torn_or_zero(const struct run *r, const u64 *w, const struct due *due)
{
	u32 count = le64_to_cpu(w[0]) >> 32;
	u64 flags = le64_to_cpu(w[2]), number = flags >> 16;

	if (w[0] && count > PCACHE_KSET_KEYS && count >= r->c->n_segs)
		return false;
	if (w[1] && le64_to_cpu(w[1]) != PCACHE_KSET_MAGIC)
		return false;
	return !(flags & FLAGS_UNKNOWN) && (!number || number == due->number);
}

/* What stands where the log ends, undamaged. */
static void check_remnant(struct run *r, struct place at, const struct due *due)
{
	const u64 *w = (const void *)(r->img->media + media_off(at.seg, at.off));

	put(r, !!w[0] + !!w[1] * 2 + !!w[2] * 4 + (w[1] == PCACHE_KSET_MAGIC) * 8);
	if (!w[0] && !w[1] && !w[2])
		return;
	if (r->state != CHECKER_CRASHED)
		broken(r, "end of the log at %u:0x%x: no 24 zero bytes", at.seg, at.off);
	else if ((r->last_ours || (r->ours && same(at, r->own))) && due->known &&
		 !torn_or_zero(r, w, due))
		broken(r, "end of the log at %u:0x%x: a remnant", at.seg, at.off);
}

/* No kset of this log stands at @at: end or damage. */
static void end_of_log(struct run *r, struct place at, const struct due *due, enum found found)
{
	struct place later;

	put(r, 0xe4d);
	if (found == FOUND_UNREADABLE) {
		refused(r, true, "the log cannot be read at %u:0x%x", at.seg, at.off);
		return;
	}
	if (r->detached && !(at.seg == le32_to_cpu(r->block->head_seg) &&
			     at.off == le32_to_cpu(r->block->head_off))) {
		refused(r, false, "the log ends at %u:0x%x, was detached with its head at %u:0x%x",
			at.seg, at.off, le32_to_cpu(r->block->head_seg),
			le32_to_cpu(r->block->head_off));
		return;
	}
	if (same(at, r->key_tail) && !due->known && r->ours) {
		refused(r, false, "nothing stands at key_tail, %u:0x%x", at.seg, at.off);
		return;
	}
	if (due->known && later_kset(r, at, due, &later)) {
		refused(r, false, "no kset at %u:0x%x, but a later one at %u:0x%x", at.seg, at.off,
			later.seg, later.off);
		return;
	}
	r->walked = true;
	check_remnant(r, at, due);
}

/* What of a key that is not stale must hold; NULL: all. */
static const char *key_fault(const struct run *r, const struct pcache_media_key *key, bool numbered)
{
	u64 off = le64_to_cpu(key->off), len = le32_to_cpu(key->len);
	u32 place = le32_to_cpu(key->cache_seg_off);

	if (le32_to_cpu(key->flags) & ~PCACHE_KEY_KNOWN)
		return "unknown flags";
	if (!len || (off | len | place) % 512)
		return "an offset or length that is no multiple of 512";
	if (off / PCACHE_STRETCH_BYTES != (off + len - 1) / PCACHE_STRETCH_BYTES)
		return "a range that crosses a stretch of 4 MiB";
	if (off >> 9 >= r->img->backing_sectors || (off + len) >> 9 > r->img->backing_sectors)
		return "a range that the backing device does not have";
	if (place + len > PCACHE_DATA_BYTES)
		return "data that is not in one data area";
	if (mem.segs[le32_to_cpu(key->cache_seg_id)].used & USED_LOG)
		return "data in a segment of the log";
	if (numbered && (key->reserved || (!r->c->data_crc && key->data_crc)))
		return "words that must be zero";
	return NULL;
}

static struct key_ref *new_ref(struct run *r, const struct pcache_media_key *key)
{
	struct key_ref *ref;

	if (r->nr_refs == mem.nr_keys)
		mem.keys = grow(mem.keys, &mem.nr_keys, r->nr_refs + 1, sizeof(*ref));
	ref = &mem.keys[r->nr_refs++];
	*ref = (struct key_ref) { .key = key };
	return ref;
}

static void keep_key(struct run *r, const struct pcache_media_key *key)
{
	struct key_ref *ref = new_ref(r, key);

	r->c->nr_keys++;
	ref->dirty = r->dirty_met && !(le32_to_cpu(key->flags) & PCACHE_KEY_CLEAN);
	r->c->nr_dirty_keys += ref->dirty;
	use_segment(r, le32_to_cpu(key->cache_seg_id), USED_DATA);
}

static bool take_key(struct run *r, struct place at, const struct kset_at *k, u32 i, bool *stale)
{
	const struct pcache_media_key *key = (const void *)(k->ks + 1);
	u32 seg;
	u64 gen;
	const char *fault;

	key += i;
	seg = le32_to_cpu(key->cache_seg_id);
	gen = le64_to_cpu(key->seg_gen);
	put(r, le64_to_cpu(key->off));
	put(r, (u64)le32_to_cpu(key->len) << 32 | le32_to_cpu(key->flags));
	put(r, (u64)seg << 32 | le32_to_cpu(key->cache_seg_off));
	put(r, gen);
	if (seg >= r->c->n_segs)
		return refused(r, false, "kset at %u:0x%x, key %u: segment %u", at.seg, at.off, i,
			       seg);
	if (gen > mem.segs[seg].gen)
		return refused(r, false,
			       "kset at %u:0x%x, key %u: generation %llu, segment %u has %llu",
			       at.seg, at.off, i, gen, seg, mem.segs[seg].gen);
	if (gen < mem.segs[seg].gen) {
		r->c->nr_stale_keys++;
		*stale = true;
		/* What it hides stays hidden: it was written back before its data went. */
		if (!r->dirty_met && !key_fault(r, key, false))
			new_ref(r, key)->stale = true;
		return true;
	}
	fault = key_fault(r, key, k->number);
	if (fault)
		return refused(r, false, "kset at %u:0x%x, key %u has %s", at.seg, at.off, i,
			       fault);
	keep_key(r, key);
	return true;
}

/* Rules of a kset's flags and number that readers do not need. */
static void check_flags(struct run *r, struct place at, const struct kset_at *k)
{
	u64 flags = le64_to_cpu(k->ks->flags);

	if (flags & FLAGS_UNKNOWN)
		broken(r, "kset at %u:0x%x: flags 0x%llx", at.seg, at.off, flags);
	if (k->last && (flags & PCACHE_KSET_EPOCH))
		broken(r, "kset at %u:0x%x: a LAST that begins an epoch", at.seg, at.off);
	if (!k->number && (flags & PCACHE_KSET_EPOCH))
		broken(r, "kset at %u:0x%x: an epoch, but no number", at.seg, at.off);
	if (!r->ours)
		return;
	if (same(at, r->own) && k->number != le64_to_cpu(r->block->own_number))
		broken(r, "kset at the own place, %u:0x%x: number %llx, not own_number", at.seg,
		       at.off, k->number);
	if (r->want_epoch && !k->last && !(flags & PCACHE_KSET_EPOCH))
		broken(r, "kset at %u:0x%x: the first of an attach, but no epoch begins", at.seg,
		       at.off);
	if (!k->last)
		r->want_epoch = false;
}

static bool take_kset(struct run *r, struct place at, const struct kset_at *k)
{
	bool stale = false, first = !r->c->nr_ksets++;

	put(r, (u64)at.seg << 32 | at.off);
	put(r, (le64_to_cpu(k->ks->flags) & 0xffff) | (u64)!!k->number << 16 |
	       (u64)k->count << 32);
	check_flags(r, at, k);
	r->mainlines |= !k->number;
	r->last_ours = k->number;
	r->last_number = k->number;
	if (k->last) {
		if (mem.segs[k->count].used)
			return refused(r, false,
				       "kset at %u:0x%x: LAST leads to segment %u, which is in use",
				       at.seg, at.off, k->count);
		use_segment(r, k->count, USED_LOG);
		return true;
	}
	for (u32 i = 0; i < k->count; i++)
		if (!take_key(r, at, k, i, &stale))
			return false;
	r->stale_in_front |= first && stale && !r->dirty_met;
	return true;
}

static void pass(struct run *r, struct place at)
{
	if (same(at, r->dirty_tail))
		r->dirty_met = true;
	for (int i = 0; i < 2; i++)
		if (r->tail[1].valid[i] && same(at, r->at[1][i]))
			r->slot_met[i] = true;
	if (same(at, r->own))
		r->own_met = r->want_epoch = true;
}

static void walk(struct run *r)
{
	struct place at = r->key_tail;
	struct due due = { .known = false };
	struct kset_at k;
	enum found found;

	if (same(at, r->own)) {
		due.known = true;
		due.number = le64_to_cpu(r->block->own_number);
	}
	use_segment(r, at.seg, USED_LOG);
	for (;;) {
		pass(r, at);
		found = look(r, at, &k);
		if (found != FOUND_KSET || !fits(&due, k.number))
			break;
		if (!take_kset(r, at, &k))
			return;
		due = due_behind(&k);
		at = k.behind;
	}
	if (r->state == CHECKER_ATTACHED && same(at, r->own) && due.known &&
	    due.number != le64_to_cpu(r->block->own_number))
		broken(r, "extension block: own_number is not the one that is due");
	end_of_log(r, at, &due, found);
	r->end = at;
}

/*
 * What must hold of the log as a whole
 */

/* From the older slot of key_tail one comes to the newer, and nothing there was reused. */
static void check_older_key_tail(struct run *r)
{
	const struct slots *s = &r->tail[0];
	struct due due = { .known = false };
	struct place at;
	struct kset_at k;

	if (!r->ours || !s->valid[0] || !s->valid[1])
		return;
	at = r->at[0][!s->now];
	for (u32 turns = 0; !same(at, r->key_tail);) {
		if (look(r, at, &k) != FOUND_KSET || !fits(&due, k.number) ||
		    (turns += k.last) > r->c->n_segs) {
			broken(r, "key_tail: its older slot does not lead to the newer, at %u:0x%x",
			       at.seg, at.off);
			return;
		}
		for (u32 i = 0; !k.last && i < k.count; i++) {
			const struct pcache_media_key *key = (const void *)(k.ks + 1);
			u32 seg = le32_to_cpu(key[i].cache_seg_id);

			if (seg >= r->c->n_segs || (!r->c->mainline_left &&
			    le64_to_cpu(key[i].seg_gen) != mem.segs[seg].gen))
				broken(r, "key_tail: its older slot has segment %u, given out since",
				       seg);
		}
		due = due_behind(&k);
		at = k.behind;
	}
}

static void check_dirty_tail(struct run *r)
{
	const struct slots *s = &r->tail[1];

	if (!r->walked)
		return;
	for (int i = 0; i < 2 && r->ours; i++)
		if (s->valid[i] && !r->slot_met[i])
			broken(r, "dirty_tail: slot %d at %u:0x%x is nowhere in the log", i,
			       r->at[1][i].seg, r->at[1][i].off);
	if (r->dirty_met)
		return;
	if (s->valid[0] && s->valid[1]) {
		refused(r, false, "dirty_tail: %u:0x%x is nowhere in the log", r->dirty_tail.seg,
			r->dirty_tail.off);
		return;
	}
	put(r, 0xd177);
	r->dirty_tail = r->key_tail;
	for (u32 i = 0; i < r->nr_refs; i++) {
		struct key_ref *ref = &mem.keys[i];

		ref->dirty = !ref->stale && !(le32_to_cpu(ref->key->flags) & PCACHE_KEY_CLEAN);
		r->c->nr_dirty_keys += ref->dirty;
	}
}

static void check_stale(struct run *r)
{
	struct checker *c = r->c;

	if (!c->nr_stale_keys)
		return;
	if (!r->mainlines && r->ours && !c->mainline_left)
		broken(r, "%u keys of an old generation", c->nr_stale_keys);
	if (r->detached)
		broken(r, "cleanly detached with %u keys of an old generation", c->nr_stale_keys);
	if (r->state == CHECKER_ATTACHED && r->stale_in_front && c->nr_ksets > 1)
		broken(r, "attached with old generations in the first kset, which is clean");
}

/*
 * What must hold while attached
 */

static void check_both_slots(struct run *r, const struct slots *s, u32 bytes, const char *name)
{
	if (s->unreadable)
		return;
	if (!s->valid[0] || !s->valid[1])
		broken(r, "%s: slot %d is not valid", name, s->valid[0] ? 1 : 0);
	else if (bytes && !slots_agree(s, bytes))
		broken(r, "%s: the slots differ", name);
}

static void check_attached_ext(struct run *r)
{
	const struct pcache_media_ext *e = r->block;
	u32 state = le32_to_cpu(e->state);

	if (r->state != CHECKER_DETACHED && state != PCACHE_EXT_IN_USE)
		broken(r, "extension block: state 0x%x, expected \"in use\" alone", state);
	if (!r->ours)
		broken(r, "extension block: info_seq 0x%x, cache_info has 0x%x",
		       le32_to_cpu(e->info_seq), r->now->header.seq);
	if (le64_to_cpu(e->backing_sectors) != r->img->backing_sectors)
		broken(r, "extension block: backing_sectors %llu", le64_to_cpu(e->backing_sectors));
	if (*(const __le32 *)e->rest || !all_zero(e->rest + 4, sizeof(e->rest) - 4))
		broken(r, "extension block: its rest is not zero");
	if (!e->own_number || le64_to_cpu(e->own_number) > PCACHE_NUMBER_MAX)
		broken(r, "extension block: own_number 0x%llx", le64_to_cpu(e->own_number));
	if (!r->walked)
		return;
	if (r->own.seg != NO_PLACE && !r->own_met)
		broken(r, "extension block: the own place, %u:0x%x, is nowhere in the log",
		       r->own.seg, r->own.off);
	if (r->state == CHECKER_ATTACHED && !same(r->own, r->end))
		broken(r, "extension block: the own place, %u:0x%x, is not the log's end, %u:0x%x",
		       r->own.seg, r->own.off, r->end.seg, r->end.off);
}

/* Between a format and the attach that follows: what the former leaves. */
static void check_formatted(struct run *r)
{
	if (!r->block || !says_formatting(r) || r->c->mainline_left)
		return;
	for (int t = 0; t < 2; t++)
		check_both_slots(r, &r->tail[t], sizeof(struct pcache_media_tail), tail_name[t]);
	for (u32 i = 0; i < r->c->n_segs; i++)
		if (mem.segs[i].gen)
			broken(r, "segment %u has been formatted, and has generation %llu", i,
			       mem.segs[i].gen);
	if (r->c->nr_ksets)
		broken(r, "%u ksets after a format", r->c->nr_ksets);
}

static void check_attached(struct run *r)
{
	bool just = r->state == CHECKER_ATTACHED;

	if (r->state == CHECKER_CRASHED)
		return;
	check_both_slots(r, &r->info, sizeof(*r->now), "cache_info");
	check_both_slots(r, &r->ext, sizeof(*r->block), "extension block");
	for (int t = 0; t < 2; t++)
		check_both_slots(r, &r->tail[t], just ? sizeof(struct pcache_media_tail) : 0,
				 tail_name[t]);
	if (!r->block)
		broken(r, "extension block: none with the tag of cache_info");
	else
		check_attached_ext(r);
}

/* A clean detach knows the log's end, its last number, and both tails. */
static void check_detached(struct run *r)
{
	const struct pcache_media_ext *e = r->block;

	if (r->state == CHECKER_DETACHED && e && !r->detached && !r->c->nr_stale_keys)
		broken(r, "extension block: state 0x%x, tails_crc is %s, expected a clean detach",
		       le32_to_cpu(e->state), le32_to_cpu(e->state) & PCACHE_EXT_CLEAN ?
		       "wrong" : "not looked at");
	if (!r->detached || !r->walked)
		return;
	if (le32_to_cpu(e->state) != PCACHE_EXT_CLEAN)
		broken(r, "extension block: state 0x%x, expected \"cleanly detached\" alone",
		       le32_to_cpu(e->state));
	put(r, le64_to_cpu(e->head_number) == r->last_number);
	if (le64_to_cpu(e->head_number) != r->last_number)
		broken(r, "extension block: head_number %llx, the last kset has %llx",
		       le64_to_cpu(e->head_number), r->last_number);
	for (int t = 0; t < 2; t++) {
		struct place now = t ? r->dirty_tail : r->key_tail;

		if (le32_to_cpu(e->tails[t].seg) != now.seg ||
		    le32_to_cpu(e->tails[t].off) != now.off)
			broken(r, "extension block: %s is %u:0x%x there, but %u:0x%x", tail_name[t],
			       le32_to_cpu(e->tails[t].seg), le32_to_cpu(e->tails[t].off), now.seg,
			       now.off);
	}
}

/*
 * Where each sector's newest content is
 */

/* Sets bits; was one of them set? */
static bool set_bits(u64 *map, u64 first, u32 n)
{
	u64 found = 0;

	while (n) {
		u32 bit = first % 64, some = n < 64 - bit ? n : 64 - bit;
		u64 mask = (~0ULL >> (64 - some)) << bit;

		found |= map[first / 64] & mask;
		map[first / 64] |= mask;
		first += some;
		n -= some;
	}
	return found;
}

enum verdict {
	UNKNOWN,
	GOOD,
	BAD,
};

/* With CRCs all of a key's data is checked before any of it is used. */
static enum verdict data_verdict(const struct run *r, const struct pcache_media_key *key, u64 data)
{
	u32 len = le32_to_cpu(key->len);

	if (!r->c->data_crc)
		return UNKNOWN;
	return readable(r, data, len) && crc32c(PCACHE_CRC_SEED, r->img->media + data, len) ==
	       le32_to_cpu(key->data_crc) ? GOOD : BAD;
}

static void fill_window(struct run *r, const struct key_ref *ref, u64 data, u64 sector, u32 n,
			enum verdict *verdict)
{
	struct checker *c = r->c;
	u64 key_sector = le64_to_cpu(ref->key->off) >> 9;

	for (u64 s = sector; s < sector + n; s++) {
		struct checker_place *p;

		if (s < c->first_sector || s - c->first_sector >= c->nr_sectors)
			continue;
		if (*verdict == UNKNOWN)
			*verdict = data_verdict(r, ref->key, data);
		p = &c->places[s - c->first_sector];
		p->off = data + ((s - key_sector) << 9);
		p->dirty = ref->dirty;
		p->bad = *verdict == BAD || (*verdict == UNKNOWN && !readable(r, p->off, 512));
	}
}

/* A run of sectors of which @ref is the newest key. */
static void live_run(struct run *r, const struct key_ref *ref, u64 sector, u32 n,
		     enum verdict *verdict)
{
	const struct pcache_media_key *key = ref->key;
	u64 data = media_off(le32_to_cpu(key->cache_seg_id), le32_to_cpu(key->cache_seg_off));
	u64 at = (data >> 9) + sector - (le64_to_cpu(key->off) >> 9);

	if (ref->stale)
		return;
	if (set_bits(mem.placed, at, n))
		broken(r, "sectors from %llu on: their data, %u:0x%llx, is that of other ones too",
		       sector, le32_to_cpu(key->cache_seg_id), at << 9);
	if (sector < r->c->first_sector + r->c->nr_sectors && sector + n > r->c->first_sector)
		fill_window(r, ref, data, sector, n, verdict);
}

static void place_key(struct run *r, const struct key_ref *ref)
{
	u64 sector = le64_to_cpu(ref->key->off) >> 9, stretch = sector / PCACHE_STRETCH_SECTORS;
	u64 end = sector + (le32_to_cpu(ref->key->len) >> 9);
	enum verdict verdict = UNKNOWN;
	u64 *map = mem.claimed;

	if (mem.claimed_run[stretch] != mem.run) {
		mem.claimed_run[stretch] = mem.run;
		memset(map + stretch * STRETCH_WORDS, 0, STRETCH_WORDS * sizeof(u64));
	}
	while (sector < end) {
		u32 bit = sector % 64, some = end - sector < 64 - bit ? end - sector : 64 - bit;
		u64 live = (~0ULL >> (64 - some)) << bit & ~map[sector / 64];

		map[sector / 64] |= live;
		while (live) {
			u32 from = __builtin_ctzll(live);
			u64 rest = ~(live >> from);
			u32 n = rest ? __builtin_ctzll(rest) : 64;

			live_run(r, ref, sector - bit + from, n, &verdict);
			live = n == 64 ? 0 : live & ~(((1ULL << n) - 1) << from);
		}
		sector += some;
	}
}

/* The newest key wins: from the last one back, each takes what is left. */
static void place_all(struct run *r)
{
	u64 stretches = r->img->backing_sectors / PCACHE_STRETCH_SECTORS + 1;
	u64 words = (r->img->bytes >> 9) / 64 + 1, had = mem.stretches;

	mem.claimed_run = grow(mem.claimed_run, &mem.stretches, stretches, sizeof(u32));
	if (mem.stretches != had) {
		free(mem.claimed);
		mem.claimed = calloc(mem.stretches, STRETCH_WORDS * sizeof(u64));
		if (!mem.claimed)
			abort();
	}
	mem.placed = grow(mem.placed, &mem.placed_words, words, sizeof(u64));
	memset(mem.placed, 0, words * sizeof(u64));
	if (!++mem.run) {
		memset(mem.claimed_run, 0, mem.stretches * sizeof(u32));
		mem.run = 1;
	}
	for (u32 i = r->nr_refs; i-- > 0;)
		place_key(r, &mem.keys[i]);
}

/*
 * A run
 */

static void run_cache(struct run *r)
{
	struct checker *c = r->c;

	if (!check_info(r) || !check_ext(r))
		return;
	c->formatted = true;
	hash_ext(r);
	if (!read_segments(r) || !check_tail(r, 0, &r->key_tail) ||
	    !check_tail(r, 1, &r->dirty_tail))
		return;
	walk(r);
	check_dirty_tail(r);
	check_older_key_tail(r);
	check_stale(r);
	check_formatted(r);
	check_attached(r);
	check_detached(r);
	place_all(r);
	memcpy(c->key_tail, &r->key_tail, sizeof(c->key_tail));
	memcpy(c->dirty_tail, &r->dirty_tail, sizeof(c->dirty_tail));
	memcpy(c->end, &r->end, sizeof(c->end));
}

static void run_image(struct run *r)
{
	if (r->img->bytes < PCACHE_SEGS_OFF) {
		refused(r, false, "the device has %llu bytes", r->img->bytes);
		return;
	}
	read_ext(r);
	read_tails(r);
	r->info = read_slots(r, PCACHE_INFO_OFF, PCACHE_INFO_STRIDE, sizeof(*r->now));
	choose(&r->info);
	if (r->info.now >= 0)
		r->now = r->info.rec[r->info.now];
	if (!super_valid(r)) {
		without_super(r);
	} else if (check_super(r)) {
		hash_info(r);
		if (r->now)
			run_cache(r);
		else
			without_info(r);
	}
	if (r->state != CHECKER_CRASHED && !r->c->formatted)
		broken(r, "there is no cache");
}

bool checker_run(const struct checker_image *img, enum checker_state state, struct checker *c)
{
	struct run r = { .img = img, .c = c, .state = state };

	if (c->nr_sectors)
		memset(c->places, 0, c->nr_sectors * sizeof(*c->places));
	memset(&c->formatted, 0, sizeof(*c) - offsetof(struct checker, formatted));
	run_image(&r);
	put(&r, c->formatted + c->unfinished * 2 + c->damaged * 4);
	c->hash = r.hash;
	return !r.broken;
}

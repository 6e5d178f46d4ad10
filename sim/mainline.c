// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of what Linux's own dm-pcache (6.18 and later) does with a cache device.
 *
 * What it does otherwise than this code, as far as the medium shows it:
 *  - it knows no numbers: a kset is what has magic and CRC;
 *  - the CRC of a key's data is verified before its generation is looked at;
 *  - the first store of a tail after attach goes to the current slot;
 *  - data, the zeroes behind a kset and the kset itself share one fence;
 *  - a generation is raised before key_tail is stored past the keys that named it;
 *  - the segment of a log gets no new generation when the log has left it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/byteorder.h>
#include <linux/crc32c.h>
#include <linux/limits.h>

#include "mainline.h"

#define NONE		U32_MAX
#define NO_KSET		U64_MAX
#define GC_PERCENT	70

static const u8 zeroes[4096];

/*
 * Small things
 */

__attribute__((__format__(__printf__, 2, 3)))
static bool wrong(struct mainline *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(m->error, sizeof(m->error), fmt, args);
	va_end(args);
	return false;
}

static void *at_least(void *old, u32 *room, u64 need, size_t size)
{
	if (need <= *room)
		return old;
	*room = need + need / 2 + 64;
	old = realloc(old, *room * size);
	if (!old)
		abort();
	return old;
}

static bool readable(const struct mainline *m, u64 off, u64 bytes)
{
	return !m->img->readable || m->img->readable(m->img->data, off, bytes);
}

static u32 crc_of(const void *rec, u32 bytes)
{
	return crc32c(PCACHE_CRC_SEED, (const u8 *)rec + 4, bytes - 4);
}

static u64 seg_off(const struct mainline *m, u32 seg)
{
	return PCACHE_SEGS_OFF + (u64)m->segs[seg].phys * PCACHE_SEG_BYTES;
}

static u64 data_off(const struct mainline *m, struct mainline_place p)
{
	return seg_off(m, p.seg) + PCACHE_SEG_DATA_OFF + p.off;
}

static bool same(struct mainline_place a, struct mainline_place b)
{
	return a.seg == b.seg && a.off == b.off;
}

static u32 room_at(struct mainline_place p)
{
	return PCACHE_DATA_BYTES - p.off;
}

/*
 * Reading: records
 */

/* The newest valid slot to @rec. Gives its number; -1: none; -2: one cannot be read. */
static int find_latest(const struct mainline *m, u64 off, u32 stride, void *rec, u32 bytes)
{
	const struct pcache_media_header *h[2];
	int latest = -1;

	for (int i = 0; i < 2; i++) {
		h[i] = (const void *)(m->img->media + off + i * stride);
		if (!readable(m, off + i * stride, bytes))
			return -2;
		if (le32_to_cpu(h[i]->crc) != crc_of(h[i], bytes))
			continue;
		if (latest < 0 || (s8)(h[i]->seq - h[latest]->seq) > 0)
			latest = i;
	}
	if (latest >= 0)
		memcpy(rec, h[latest], bytes);
	return latest;
}

static bool read_super(struct mainline *m)
{
	const struct pcache_media_super *sb = (const void *)(m->img->media + PCACHE_SUPER_OFF);
	u64 most = (m->img->bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;

	if (!readable(m, PCACHE_SUPER_OFF, sizeof(*sb)))
		return wrong(m, "super-block: cannot be read");
	if (le64_to_cpu(sb->magic) != PCACHE_SUPER_MAGIC)
		return wrong(m, "super-block: magic");
	if (le32_to_cpu(sb->crc) != crc_of(sb, sizeof(*sb)))
		return wrong(m, "super-block: CRC");
	if (le32_to_cpu(sb->flags) & PCACHE_SUPER_BIGENDIAN)
		return wrong(m, "super-block: big-endian");
	m->seg_num = le32_to_cpu(sb->seg_num);
	if (!m->seg_num || m->seg_num > most || m->seg_num > PCACHE_MAX_SEGS)
		return wrong(m, "super-block: %u segments", m->seg_num);
	return true;
}

static bool read_info(struct mainline *m)
{
	int slot = find_latest(m, PCACHE_INFO_OFF, PCACHE_INFO_STRIDE, &m->info, sizeof(m->info));

	if (slot < 0)
		return wrong(m, "cache_info: %s",
			     slot == -1 ? "it would format" : "cannot be read");
	if (!(le32_to_cpu(m->info.flags) & PCACHE_INFO_INIT_DONE))
		return wrong(m, "cache_info: it would format");
	m->info_slot = slot;
	m->data_crc = le32_to_cpu(m->info.flags) & PCACHE_INFO_DATA_CRC;
	m->n_segs = le32_to_cpu(m->info.n_segs);
	if (m->n_segs > m->seg_num)
		return wrong(m, "cache_info: %u segments of %u", m->n_segs, m->seg_num);
	return true;
}

static bool read_segment(struct mainline *m, u32 i, u32 *next)
{
	struct mainline_segment *s = &m->segs[i];
	struct pcache_media_seg_info info;
	struct pcache_media_gen gen = { .gen = 0 };
	int slot;

	*s = (struct mainline_segment) { .phys = *next };
	if (*next >= m->seg_num)
		return wrong(m, "segment %u: physical id %u", i, *next);
	if (find_latest(m, seg_off(m, i) + PCACHE_SEG_INFO_OFF, PCACHE_SEG_INFO_STRIDE, &info,
			sizeof(info)) < 0)
		return wrong(m, "segment %u: seg_info", i);
	slot = find_latest(m, seg_off(m, i) + PCACHE_SEG_GEN_OFF, PCACHE_SEG_GEN_STRIDE, &gen,
			   sizeof(gen));
	if (slot == -2)
		return wrong(m, "segment %u: generation", i);
	if (slot >= 0) {
		s->gen = le64_to_cpu(gen.gen);
		s->gen_seq = gen.header.seq;
		s->gen_slot = slot;
	}
	*next = le32_to_cpu(info.next_seg);
	if (i + 1 < m->n_segs && !(le32_to_cpu(info.flags) & PCACHE_SEG_HAS_NEXT))
		return wrong(m, "segment %u: no next one", i);
	return true;
}

static bool read_segments(struct mainline *m)
{
	u32 next = le32_to_cpu(m->info.seg_id);

	m->segs = at_least(m->segs, &m->segs_room, m->n_segs, sizeof(*m->segs));
	for (u32 i = 0; i < m->n_segs; i++)
		if (!read_segment(m, i, &next))
			return false;
	return true;
}

static bool read_tail(struct mainline *m, int t, u64 off)
{
	struct pcache_media_tail rec;
	int slot = find_latest(m, off, PCACHE_TAIL_STRIDE, &rec, sizeof(rec));
	struct mainline_tail *tail = &m->tails[t];

	if (slot < 0)
		return wrong(m, "%s tail", t ? "dirty" : "key");
	tail->at.seg = le32_to_cpu(rec.cache_seg_id);
	tail->at.off = le32_to_cpu(rec.seg_off);
	tail->seq = rec.header.seq;
	tail->slot = slot;
	if (tail->at.seg >= m->n_segs || tail->at.off >= PCACHE_DATA_BYTES)
		return wrong(m, "%s tail: %u:0x%x", t ? "dirty" : "key", tail->at.seg,
			     tail->at.off);
	return true;
}

/*
 * Reading: the log
 */

/* The kset at a place; NULL: none. @m->error has something to say if it cannot be read. */
static const struct pcache_media_kset *kset_at(struct mainline *m, struct mainline_place at,
					       u32 *bytes)
{
	u64 off = data_off(m, at);
	const struct pcache_media_kset *ks = (const void *)(m->img->media + off);
	u32 count;

	if (room_at(at) < sizeof(*ks))
		return NULL;
	if (!readable(m, off, sizeof(*ks))) {
		wrong(m, "kset at %u:0x%x: cannot be read", at.seg, at.off);
		return NULL;
	}
	count = le32_to_cpu(ks->count);
	if (le64_to_cpu(ks->magic) != PCACHE_KSET_MAGIC)
		return NULL;
	if (le64_to_cpu(ks->flags) & PCACHE_KSET_LAST)
		count = 0;
	*bytes = PCACHE_KSET_BYTES(count);
	if (count > PCACHE_KSET_KEYS || *bytes > room_at(at))
		return NULL;
	if (!readable(m, off, *bytes)) {
		wrong(m, "kset at %u:0x%x: cannot be read", at.seg, at.off);
		return NULL;
	}
	return le32_to_cpu(ks->crc) == crc_of(ks, *bytes) ? ks : NULL;
}

static bool is_last(const struct pcache_media_kset *ks)
{
	return le64_to_cpu(ks->flags) & PCACHE_KSET_LAST;
}

static struct mainline_place behind(const struct pcache_media_kset *ks, struct mainline_place at,
				    u32 bytes)
{
	if (is_last(ks))
		return (struct mainline_place) { le32_to_cpu(ks->count), 0 };
	return (struct mainline_place) { at.seg, at.off + bytes };
}

static const struct pcache_media_key *key_of(const struct pcache_media_kset *ks, u32 i)
{
	return (const struct pcache_media_key *)(ks + 1) + i;
}

static struct mainline_place place_of(const struct pcache_media_key *key)
{
	return (struct mainline_place) { le32_to_cpu(key->cache_seg_id),
					 le32_to_cpu(key->cache_seg_off) };
}

/* Would it read something that is not there? It hardly looks. */
static bool key_fits(struct mainline *m, const struct pcache_media_key *key)
{
	u64 off = le64_to_cpu(key->off), len = le32_to_cpu(key->len);
	struct mainline_place p = place_of(key);

	if (p.seg >= m->n_segs || p.off > PCACHE_DATA_BYTES || len > room_at(p))
		return wrong(m, "key of %llu+%llu: its data is nowhere", off, len);
	if (!len || off >> 9 >= m->img->backing_sectors ||
	    (off + len) >> 9 > m->img->backing_sectors)
		return wrong(m, "key of %llu+%llu: the backing device does not have that", off,
			     len);
	if (off / PCACHE_STRETCH_BYTES != (off + len - 1) / PCACHE_STRETCH_BYTES)
		return wrong(m, "key of %llu+%llu: in two of its trees", off, len);
	return true;
}

static bool data_good(const struct mainline *m, const struct pcache_media_key *key)
{
	u64 off = data_off(m, place_of(key));
	u32 len = le32_to_cpu(key->len);

	return !m->data_crc || (readable(m, off, len) &&
		crc32c(PCACHE_CRC_SEED, m->img->media + off, len) == le32_to_cpu(key->data_crc));
}

static void index_key(struct mainline *m, const struct pcache_media_key *key, u64 kset)
{
	m->keys = at_least(m->keys, &m->keys_room, (u64)m->nr_keys + 1, sizeof(*m->keys));
	m->keys[m->nr_keys++] = (struct mainline_key) {
		.off = le64_to_cpu(key->off),
		.gen = le64_to_cpu(key->seg_gen),
		.kset = kset,
		.len = le32_to_cpu(key->len),
		.flags = le32_to_cpu(key->flags),
		.seg = le32_to_cpu(key->cache_seg_id),
		.seg_off = le32_to_cpu(key->cache_seg_off),
	};
}

static bool replay_kset(struct mainline *m, const struct pcache_media_kset *ks)
{
	for (u32 i = 0; i < le32_to_cpu(ks->count); i++) {
		const struct pcache_media_key *key = key_of(ks, i);
		struct mainline_segment *s;

		if (!key_fits(m, key))
			return false;
		if (!data_good(m, key))
			return wrong(m, "key of %llu+%u: CRC of its data", le64_to_cpu(key->off),
				     le32_to_cpu(key->len));
		s = &m->segs[le32_to_cpu(key->cache_seg_id)];
		s->used = true;
		if (le64_to_cpu(key->seg_gen) < s->gen) {
			m->nr_stale++;
			s->refs += m->keeps_refs;
			continue;
		}
		s->refs++;
		index_key(m, key, m->nr_ksets);
	}
	m->nr_ksets++;
	return true;
}

static bool replay(struct mainline *m)
{
	struct mainline_place at = m->tails[0].at;
	const struct pcache_media_kset *ks;
	u32 bytes, turns = 0;

	m->segs[at.seg].used = true;
	for (;;) {
		if (same(at, m->tails[1].at)) {
			m->dirty_met = true;
			m->dirty_kset = m->nr_ksets;
		}
		ks = kset_at(m, at, &bytes);
		if (!ks)
			break;
		if (is_last(ks)) {
			if (le32_to_cpu(ks->count) >= m->n_segs || ++turns > m->n_segs)
				return wrong(m, "LAST at %u:0x%x leads nowhere", at.seg, at.off);
			m->segs[le32_to_cpu(ks->count)].used = true;
		} else if (!replay_kset(m, ks)) {
			return false;
		}
		at = behind(ks, at, bytes);
	}
	m->head = at;
	return !m->error[0];
}

bool mainline_attach(struct mainline *m, const struct checker_image *img)
{
	m->img = img;
	m->ops = NULL;
	m->error[0] = '\0';
	m->nr_keys = m->nr_stale = m->last_seg = 0;
	m->nr_ksets = m->dirty_kset = 0;
	m->dirty_met = false;
	m->data_head.seg = NONE;
	for (u32 i = 0; i < MAINLINE_BUFFERS; i++)
		m->buffers[i].kset.count = 0;
	return read_super(m) && read_info(m) && read_segments(m) &&
	       read_tail(m, 0, PCACHE_KEY_TAIL_OFF) && read_tail(m, 1, PCACHE_DIRTY_TAIL_OFF) &&
	       replay(m);
}

void mainline_places(const struct mainline *m, u64 first_sector, u32 nr_sectors,
		     struct checker_place *places)
{
	u64 lo = first_sector << 9, hi = (first_sector + nr_sectors) << 9;

	memset(places, 0, nr_sectors * sizeof(*places));
	for (const struct mainline_key *k = m->keys; k < m->keys + m->nr_keys; k++) {
		u64 from = k->off < lo ? lo : k->off;
		u64 to = k->off + k->len > hi ? hi : k->off + k->len;
		u64 data;

		if (from >= to || k->gen < m->segs[k->seg].gen)
			continue;
		data = data_off(m, (struct mainline_place) { k->seg, k->seg_off }) - k->off;
		for (; from < to; from += 512)
			places[(from - lo) >> 9] = (struct checker_place) {
				.off = data + from,
				.dirty = !(k->flags & PCACHE_KEY_CLEAN) &&
					 (k->kset >= m->dirty_kset || !m->dirty_met),
				.bad = !readable(m, data + from, 512),
			};
	}
}

/*
 * Write-back: the keys of one kset go to a tree, so that the newest wins, and from there
 * to the backing device by offset.
 */

/* What is left of a key. */
struct piece {
	u64 off;
	u64 end;
	u64 data;
	bool clean;
};

struct tree {
	struct piece pieces[2 * PCACHE_KSET_KEYS + 1];
	u32 nr;
};

static void insert_piece(struct tree *t, u32 at, struct piece p)
{
	memmove(&t->pieces[at + 1], &t->pieces[at], (t->nr++ - at) * sizeof(p));
	t->pieces[at] = p;
}

static void tree_add(struct tree *t, struct piece new)
{
	u32 i = 0;

	while (i < t->nr && t->pieces[i].end <= new.off)
		i++;
	if (i < t->nr && t->pieces[i].off < new.off) {
		struct piece rest = t->pieces[i];

		t->pieces[i++].end = new.off;
		if (rest.end > new.end) {
			rest.data += new.end - rest.off;
			rest.off = new.end;
			insert_piece(t, i, rest);
		}
	}
	while (i < t->nr && t->pieces[i].end <= new.end) {
		memmove(&t->pieces[i], &t->pieces[i + 1], (t->nr - i - 1) * sizeof(new));
		t->nr--;
	}
	if (i < t->nr && t->pieces[i].off < new.end) {
		t->pieces[i].data += new.end - t->pieces[i].off;
		t->pieces[i].off = new.end;
	}
	insert_piece(t, i, new);
}

/* Gives how many writes that makes; -1: data is not as its CRC says. */
static int writeback_kset(struct mainline *m, const struct pcache_media_kset *ks,
			  mainline_write_fn write, void *data)
{
	struct tree t = { .nr = 0 };
	int n = 0;

	for (u32 i = 0; i < le32_to_cpu(ks->count); i++) {
		const struct pcache_media_key *key = key_of(ks, i);
		u64 off = le64_to_cpu(key->off);

		if (!key_fits(m, key) || !data_good(m, key))
			return -1;
		tree_add(&t, (struct piece) {
			.off = off,
			.end = off + le32_to_cpu(key->len),
			.data = data_off(m, place_of(key)),
			.clean = le32_to_cpu(key->flags) & PCACHE_KEY_CLEAN,
		});
	}
	for (u32 i = 0; i < t.nr; i++) {
		const struct piece *p = &t.pieces[i];

		if (p->clean)
			continue;
		n++;
		if (write)
			write(data, p->off >> 9, (p->end - p->off) >> 9, m->img->media + p->data);
	}
	return n;
}

u32 mainline_writeback(struct mainline *m, mainline_write_fn write, void *data)
{
	struct mainline_place at = m->tails[1].at;
	const struct pcache_media_kset *ks;
	u32 bytes, turns = 0, writes = 0;

	while ((ks = kset_at(m, at, &bytes)) && turns <= m->n_segs) {
		if (is_last(ks)) {
			turns++;
			if (le32_to_cpu(ks->count) >= m->n_segs)
				break;
		} else {
			int n = writeback_kset(m, ks, write, data);

			if (n < 0)
				break;
			writes += n;
		}
		at = behind(ks, at, bytes);
	}
	return writes;
}

/*
 * Reclaim in thought
 */

/* Does a kset from @at on name the segment, or stand in it? */
static bool log_needs(struct mainline *m, struct mainline_place at, u32 first_key, u32 seg)
{
	const struct pcache_media_kset *ks;
	u32 bytes;

	while ((ks = kset_at(m, at, &bytes))) {
		for (u32 i = first_key; !is_last(ks) && i < le32_to_cpu(ks->count); i++)
			if (le32_to_cpu(key_of(ks, i)->cache_seg_id) == seg &&
			    le64_to_cpu(key_of(ks, i)->seg_gen) >= m->segs[seg].gen)
				return true;
		first_key = 0;
		if (at.seg == seg)
			return true;
		at = behind(ks, at, bytes);
	}
	return at.seg == seg;
}

static bool reclaim_in_thought(struct mainline *m, const struct pcache_media_kset *ks,
			       struct mainline_place at)
{
	for (u32 i = 0; i < le32_to_cpu(ks->count); i++) {
		u32 seg = le32_to_cpu(key_of(ks, i)->cache_seg_id);
		struct mainline_segment *s = &m->segs[seg];

		if (--s->refs < 0)
			return wrong(m, "reclaim at %u:0x%x: segment %u has no reference left",
				     at.seg, at.off, seg);
		if (!s->refs && log_needs(m, at, i + 1, seg))
			return wrong(m, "reclaim at %u:0x%x frees segment %u, which the log needs",
				     at.seg, at.off, seg);
		if (!s->refs)
			s->gen++;
	}
	return true;
}

bool mainline_reclaim(struct mainline *m)
{
	struct mainline_place at = m->tails[0].at, next;
	const struct pcache_media_kset *ks;
	u32 bytes;

	if (m->error[0])
		return false;
	if (!m->dirty_met)
		return wrong(m, "reclaim never comes to dirty_tail, %u:0x%x", m->tails[1].at.seg,
			     m->tails[1].at.off);
	while (!same(at, m->tails[1].at)) {
		ks = kset_at(m, at, &bytes);
		next = behind(ks, at, bytes);
		if (!is_last(ks)) {
			if (!reclaim_in_thought(m, ks, at))
				return false;
		} else if (m->tails[1].at.seg == at.seg) {
			break;
		} else if (log_needs(m, next, 0, at.seg)) {
			return wrong(m, "reclaim frees segment %u of the log, which the log needs",
				     at.seg);
		}
		at = next;
	}
	return true;
}

/*
 * A session: records
 */

static void store(struct mainline *m, u64 off, const void *src, u64 bytes)
{
	m->ops->store(m->data, off, src, bytes);
}

static void fence(struct mainline *m)
{
	m->ops->fence(m->data);
}

static struct pcache_media_header header(u8 seq, u32 rest)
{
	return (struct pcache_media_header) {
		.seq = seq,
		.version = rest,
		.res = cpu_to_le16(rest >> 8),
	};
}

/* Makes a record whole, and stores it durably. */
static void store_record(struct mainline *m, u64 off, void *rec, u32 bytes)
{
	*(__le32 *)rec = cpu_to_le32(crc_of(rec, bytes));
	store(m, off, rec, bytes);
	fence(m);
}

static void store_info(struct mainline *m)
{
	m->info.header.seq++;
	m->info_slot = !m->info_slot;
	store_record(m, PCACHE_INFO_OFF + m->info_slot * PCACHE_INFO_STRIDE, &m->info,
		     sizeof(m->info));
}

static void store_tail(struct mainline *m, int t, struct mainline_place at)
{
	struct mainline_tail *tail = &m->tails[t];
	struct pcache_media_tail rec = {
		.header = header(++tail->seq, m->stack),
		.cache_seg_id = cpu_to_le32(at.seg),
		.seg_off = cpu_to_le32(at.off),
	};

	tail->at = at;
	store_record(m, (t ? PCACHE_DIRTY_TAIL_OFF : PCACHE_KEY_TAIL_OFF) +
		     tail->slot * PCACHE_TAIL_STRIDE, &rec, sizeof(rec));
	tail->slot = !tail->slot;
}

static void store_gen(struct mainline *m, u32 seg)
{
	struct mainline_segment *s = &m->segs[seg];
	struct pcache_media_gen rec = {
		.header = header(++s->gen_seq, m->stack),
		.gen = cpu_to_le64(s->gen),
	};

	s->gen_slot = !s->gen_slot;
	store_record(m, seg_off(m, seg) + PCACHE_SEG_GEN_OFF +
		     s->gen_slot * PCACHE_SEG_GEN_STRIDE, &rec, sizeof(rec));
}

/*
 * A session: format
 */

static void store_seg_info(struct mainline *m, u32 seg, u8 seq, bool has_next)
{
	struct pcache_media_seg_info rec = {
		.header = header(seq, 0),
		.flags = cpu_to_le32(PCACHE_SEG_TYPE_CACHE << 1 | has_next),
		.next_seg = cpu_to_le32(has_next ? seg + 1 : 0),
	};

	store_record(m, seg_off(m, seg) + PCACHE_SEG_INFO_OFF + (seq & 1) * PCACHE_SEG_INFO_STRIDE,
		     &rec, sizeof(rec));
}

static void store_zeroes(struct mainline *m, u64 off, u64 bytes)
{
	while (bytes) {
		u64 n = bytes < sizeof(zeroes) ? bytes : sizeof(zeroes);

		store(m, off, zeroes, n);
		off += n;
		bytes -= n;
	}
}

static void format_segment(struct mainline *m, u32 seg)
{
	m->segs[seg] = (struct mainline_segment) { .phys = seg };
	if (seg)
		store_seg_info(m, seg - 1, 2, true);
	store_zeroes(m, seg_off(m, seg), PCACHE_SEG_DATA_OFF);
	store_gen(m, seg);
	store_seg_info(m, seg, 1, false);
	store_zeroes(m, seg_off(m, seg) + PCACHE_SEG_DATA_OFF, PCACHE_LAST_BYTES);
	fence(m);
}

void mainline_format(struct mainline *m, const struct checker_image *img,
		     const struct mainline_ops *ops, void *data, bool data_crc)
{
	u32 segs = (img->bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;
	struct pcache_media_super sb = {
		.magic = cpu_to_le64(PCACHE_SUPER_MAGIC),
		.seg_num = cpu_to_le32(segs),
	};

	m->img = img;
	m->ops = ops;
	m->data = data;
	m->segs = at_least(m->segs, &m->segs_room, segs, sizeof(*m->segs));
	store_zeroes(m, PCACHE_INFO_OFF, PCACHE_SEGS_OFF - PCACHE_INFO_OFF);
	store_record(m, PCACHE_SUPER_OFF, &sb, sizeof(sb));
	for (u32 i = 0; i < segs; i++)
		format_segment(m, i);
	memset(m->tails, 0, sizeof(m->tails));
	store_tail(m, 1, (struct mainline_place) { 0, 0 });
	store_tail(m, 0, (struct mainline_place) { 0, 0 });
	m->info = (struct pcache_media_info) {
		.n_segs = cpu_to_le32(segs),
		.flags = cpu_to_le32(PCACHE_INFO_INIT_DONE | GC_PERCENT << 6 |
				     (data_crc ? PCACHE_INFO_DATA_CRC : 0)),
	};
	m->info_slot = 0;
	store_info(m);
}

/*
 * A session: writes
 */

bool mainline_begin(struct mainline *m, const struct checker_image *img,
		    const struct mainline_ops *ops, void *data)
{
	if (!mainline_attach(m, img))
		return false;
	m->ops = ops;
	m->data = data;
	if (!m->nr_buffers)
		m->nr_buffers = 1;
	store_info(m);
	return true;
}

u32 mainline_free_segs(const struct mainline *m)
{
	u32 n = 0;

	for (u32 i = 0; i < m->n_segs; i++)
		n += !m->segs[i].used;
	return n;
}

/* The next free one from where the last one was found; NONE: there is none. */
static u32 take_segment(struct mainline *m)
{
	for (u32 i = 0; i < m->n_segs; i++) {
		u32 seg = (m->last_seg + i) % m->n_segs;

		if (m->segs[seg].used)
			continue;
		m->segs[seg].used = true;
		m->last_seg = seg;
		return seg;
	}
	return NONE;
}

static void put_segment(struct mainline *m, u32 seg)
{
	struct mainline_segment *s = &m->segs[seg];

	if (--s->refs)
		return;
	s->gen++;
	store_gen(m, seg);
	s->used = false;
}

/* Room for data; @len becomes less where the segment has no more. */
static bool take_room(struct mainline *m, struct mainline_place *at, u32 *len)
{
	if (m->data_head.seg == NONE) {
		m->data_head = (struct mainline_place) { take_segment(m), 0 };
		if (m->data_head.seg == NONE)
			return false;
		m->segs[m->data_head.seg].refs++;
	}
	*at = m->data_head;
	m->segs[at->seg].refs++;
	if (room_at(*at) > *len) {
		m->data_head.off += *len;
		return true;
	}
	*len = room_at(*at);
	m->data_head.seg = NONE;
	put_segment(m, at->seg);
	return true;
}

/* A LAST, and the log goes on in another segment. */
static bool turn_log(struct mainline *m)
{
	u32 next = take_segment(m);
	struct pcache_media_kset last = {
		.count = cpu_to_le32(next),
		.magic = cpu_to_le64(PCACHE_KSET_MAGIC),
		.flags = cpu_to_le64(PCACHE_KSET_LAST),
	};

	if (next == NONE)
		return false;
	store(m, data_off(m, (struct mainline_place) { next, 0 }), zeroes, PCACHE_LAST_BYTES);
	store_record(m, data_off(m, m->head), &last, sizeof(last));
	m->head = (struct mainline_place) { next, 0 };
	return true;
}

/* The keys of a buffer have their kset. */
static void note_kset(struct mainline *m, const struct mainline_buffer *b)
{
	u32 left = le32_to_cpu(b->kset.count);

	for (u32 i = m->nr_keys; left && i-- > 0;) {
		struct mainline_key *k = &m->keys[i];

		if (k->kset != NO_KSET || &m->buffers[k->off / PCACHE_STRETCH_BYTES %
						      m->nr_buffers] != b)
			continue;
		k->kset = m->nr_ksets;
		left--;
	}
	m->nr_ksets++;
}

static bool close_kset(struct mainline *m, struct mainline_buffer *b)
{
	u32 bytes = PCACHE_KSET_BYTES(le32_to_cpu(b->kset.count));

	if (!b->kset.count)
		return true;
	if (room_at(m->head) < bytes + PCACHE_LAST_BYTES && !turn_log(m))
		return false;
	b->kset.magic = cpu_to_le64(PCACHE_KSET_MAGIC);
	b->kset.flags = 0;
	store(m, data_off(m, m->head) + bytes, zeroes, PCACHE_LAST_BYTES);
	store_record(m, data_off(m, m->head), &b->kset, bytes);
	m->head.off += bytes;
	note_kset(m, b);
	b->kset.count = 0;
	return true;
}

bool mainline_commit(struct mainline *m)
{
	for (u32 i = 0; i < m->nr_buffers; i++)
		if (!close_kset(m, &m->buffers[i]))
			return false;
	return true;
}

/* One key, as much as its stretch and the data's segment allow; *@sectors gets that. */
static bool write_key(struct mainline *m, u64 sector, u32 *sectors, const void *data, u32 flags)
{
	u32 in_stretch = PCACHE_STRETCH_SECTORS - sector % PCACHE_STRETCH_SECTORS;
	struct mainline_buffer *b = &m->buffers[sector / PCACHE_STRETCH_SECTORS % m->nr_buffers];
	u32 len = (*sectors < in_stretch ? *sectors : in_stretch) << 9;
	u32 count = le32_to_cpu(b->kset.count);
	struct pcache_media_key *key;
	struct mainline_place at;

	if ((count == PCACHE_KSET_KEYS && !close_kset(m, b)) || !take_room(m, &at, &len))
		return false;
	key = &b->keys[le32_to_cpu(b->kset.count)];
	store(m, data_off(m, at), data, len);
	*key = (struct pcache_media_key) {
		.off = cpu_to_le64(sector << 9),
		.len = cpu_to_le32(len),
		.flags = cpu_to_le32(flags),
		.cache_seg_id = cpu_to_le32(at.seg),
		.cache_seg_off = cpu_to_le32(at.off),
		.seg_gen = cpu_to_le64(m->segs[at.seg].gen),
		.data_crc = cpu_to_le32(m->data_crc ? crc32c(PCACHE_CRC_SEED, data, len) : 0),
	};
	b->kset.count = cpu_to_le32(le32_to_cpu(b->kset.count) + 1);
	index_key(m, key, NO_KSET);
	if (le32_to_cpu(b->kset.count) == PCACHE_KSET_KEYS)
		close_kset(m, b);
	*sectors = len >> 9;
	return true;
}

static bool write_keys(struct mainline *m, u64 sector, u32 sectors, const void *data, u32 flags)
{
	while (sectors) {
		u32 n = sectors;

		if (!write_key(m, sector, &n, data, flags))
			return false;
		sector += n;
		sectors -= n;
		data = (const u8 *)data + ((size_t)n << 9);
	}
	return true;
}

bool mainline_step_write(struct mainline *m, u64 sector, u32 sectors, const void *data)
{
	return write_keys(m, sector, sectors, data, 0);
}

bool mainline_step_fill(struct mainline *m, u64 sector, u32 sectors, const void *data)
{
	return write_keys(m, sector, sectors, data, PCACHE_KEY_CLEAN);
}

/*
 * A session: write-back and reclaim
 */

bool mainline_step_writeback(struct mainline *m)
{
	struct mainline_place at = m->tails[1].at;
	const struct pcache_media_kset *ks;
	u32 bytes;

	ks = kset_at(m, at, &bytes);
	if (!ks || (is_last(ks) && le32_to_cpu(ks->count) >= m->n_segs))
		return false;
	if (!is_last(ks)) {
		if (writeback_kset(m, ks, m->ops->write, m->data) < 0)
			return false;
		m->ops->flush(m->data);
		m->dirty_kset++;
	}
	store_tail(m, 1, behind(ks, at, bytes));
	return true;
}

bool mainline_step_reclaim(struct mainline *m)
{
	struct mainline_place at = m->tails[0].at;
	const struct pcache_media_kset *ks;
	u32 bytes;

	if (same(at, m->tails[1].at))
		return false;
	ks = kset_at(m, at, &bytes);
	if (!ks || (is_last(ks) && (m->tails[1].at.seg == at.seg ||
				    le32_to_cpu(ks->count) >= m->n_segs)))
		return false;
	for (u32 i = 0; !is_last(ks) && i < le32_to_cpu(ks->count); i++) {
		if (!key_fits(m, key_of(ks, i)) || !data_good(m, key_of(ks, i)))
			return false;
		put_segment(m, le32_to_cpu(key_of(ks, i)->cache_seg_id));
	}
	store_tail(m, 0, behind(ks, at, bytes));
	if (is_last(ks))
		m->segs[at.seg].used = false;
	return true;
}

void mainline_free(struct mainline *m)
{
	free(m->keys);
	free(m->segs);
	m->keys = NULL;
	m->segs = NULL;
	m->keys_room = m->segs_room = 0;
}

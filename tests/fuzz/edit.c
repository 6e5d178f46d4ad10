// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes of a good medium: what each does, and how CRCs are mended. */
#include <stdlib.h>
#include <string.h>

#include <linux/crc32c.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "edit.h"
#include "format.h"
#include "pmem-model.h"
#include "world.h"

#define MAX_TOUCHED	(4 * EDIT_MAX)
#define SECTOR		512

/* A structure that has changed: its CRC is to be mended. */
struct touched {
	enum edit_kind kind;
	u64 off;
};

static struct sample bases[EDIT_BASES] = {
	{ .load = SAMPLE_BLANK, .segs = 8 },
	{ .load = SAMPLE_EMPTY, .segs = 8, .detached = true },
	{ .load = SAMPLE_EMPTY, .segs = 10, .cut_after = 150 },
	{ .load = SAMPLE_LIGHT, .segs = 9, .detached = true },
	{ .load = SAMPLE_LIGHT, .segs = 12, .turns = 2, .data_crc = true },
	{ .load = SAMPLE_FULL, .segs = 21, .turns = 2 },
	{ .load = SAMPLE_FULL, .segs = 21, .turns = 2, .detached = true },
	{ .load = SAMPLE_FULL, .segs = 21, .turns = 2, .data_crc = true },
};

static struct {
	struct edit_result *out;
	struct touched touched[MAX_TOUCHED];
	u32 nr_touched;
	struct sample log;	/* its ksets, as they become */
} ed;

/*
 * Structures and their fields
 */

struct field {
	u8 off;
	u8 bytes;
};

#define F(type, member) { offsetof(type, member), sizeof(((type *)NULL)->member) }
#define HEADER	{ 4, 1 }, { 5, 1 }, { 6, 2 }
#define FIELDS(...) .fields = (const struct field[]){ __VA_ARGS__ }, \
	.nr_fields = sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field)

static const struct kind {
	u32 bytes;
	u32 stride;		/* from slot to slot; 0: there is one */
	u64 off;
	u32 nr_fields;
	const struct field *fields;
} kinds[EDIT_KINDS] = {
	[EDIT_SUPER] = {
		sizeof(struct pcache_media_super), 0, PCACHE_SUPER_OFF,
		FIELDS(F(struct pcache_media_super, flags), F(struct pcache_media_super, magic),
		       F(struct pcache_media_super, seg_num), F(struct pcache_media_super, pad))
	},
	[EDIT_INFO] = {
		sizeof(struct pcache_media_info), PCACHE_INFO_STRIDE, PCACHE_INFO_OFF,
		FIELDS(HEADER, F(struct pcache_media_info, seg_id),
		       F(struct pcache_media_info, n_segs), F(struct pcache_media_info, flags),
		       F(struct pcache_media_info, tag))
	},
	[EDIT_EXT] = {
		sizeof(struct pcache_media_ext), PCACHE_EXT_STRIDE, PCACHE_EXT_OFF,
		FIELDS(HEADER, F(struct pcache_media_ext, magic),
		       F(struct pcache_media_ext, backing_sectors), { 72, 8 },
		       F(struct pcache_media_ext, features_incompat),
		       F(struct pcache_media_ext, features_compat),
		       F(struct pcache_media_ext, state), F(struct pcache_media_ext, own_seg),
		       F(struct pcache_media_ext, own_off), F(struct pcache_media_ext, tag),
		       F(struct pcache_media_ext, own_number),
		       F(struct pcache_media_ext, head_seg), F(struct pcache_media_ext, head_off),
		       F(struct pcache_media_ext, head_number), { 192, 4 }, { 196, 4 },
		       { 200, 4 }, { 204, 4 }, F(struct pcache_media_ext, info_seq),
		       F(struct pcache_media_ext, tails_crc), { 216, 8 })
	},
	[EDIT_KEY_TAIL] = {
		sizeof(struct pcache_media_tail), PCACHE_TAIL_STRIDE, PCACHE_KEY_TAIL_OFF,
		FIELDS(HEADER, F(struct pcache_media_tail, cache_seg_id),
		       F(struct pcache_media_tail, seg_off))
	},
	[EDIT_DIRTY_TAIL] = {
		sizeof(struct pcache_media_tail), PCACHE_TAIL_STRIDE, PCACHE_DIRTY_TAIL_OFF,
		FIELDS(HEADER, F(struct pcache_media_tail, cache_seg_id),
		       F(struct pcache_media_tail, seg_off))
	},
	[EDIT_SEG_INFO] = {
		sizeof(struct pcache_media_seg_info), PCACHE_SEG_INFO_STRIDE, PCACHE_SEG_INFO_OFF,
		FIELDS(HEADER, F(struct pcache_media_seg_info, flags),
		       F(struct pcache_media_seg_info, next_seg))
	},
	[EDIT_GEN] = {
		sizeof(struct pcache_media_gen), PCACHE_SEG_GEN_STRIDE, PCACHE_SEG_GEN_OFF,
		FIELDS(HEADER, F(struct pcache_media_gen, gen))
	},
	[EDIT_KSET] = {
		sizeof(struct pcache_media_kset), 0, 0,
		FIELDS(F(struct pcache_media_kset, count), F(struct pcache_media_kset, magic),
		       F(struct pcache_media_kset, flags), { 18, 4 })
	},
	[EDIT_KEY] = {
		sizeof(struct pcache_media_key), 0, 0,
		FIELDS(F(struct pcache_media_key, off), F(struct pcache_media_key, len),
		       F(struct pcache_media_key, flags),
		       F(struct pcache_media_key, cache_seg_id),
		       F(struct pcache_media_key, cache_seg_off),
		       F(struct pcache_media_key, seg_gen), F(struct pcache_media_key, data_crc),
		       F(struct pcache_media_key, reserved))
	},
};

const struct sample *edit_base(u32 i)
{
	return &bases[i % EDIT_BASES];
}

static u8 *at(u64 off)
{
	return ed.out->media + off;
}

static u64 seg_off(u32 seg)
{
	return PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES;
}

static u32 nr_segs(void)
{
	return (ed.out->bytes - PCACHE_SEGS_OFF) / PCACHE_SEG_BYTES;
}

static u64 segment_of(u32 which)
{
	return seg_off(which % nr_segs());
}

/* Where a structure's slot 0 is; 0: there is no such one. */
static u64 place_of(enum edit_kind kind, u32 which, u32 part)
{
	const struct sample_kset *k;

	switch (kind) {
	case EDIT_SEG_INFO:
	case EDIT_GEN:
		return segment_of(which) + kinds[kind].off;
	case EDIT_KSET:
	case EDIT_KEY:
		if (!ed.log.nr_ksets)
			return 0;
		k = &ed.log.ksets[which % ed.log.nr_ksets];
		if (kind == EDIT_KSET)
			return k->off;
		return k->keys ? k->off + PCACHE_KSET_BYTES(part % k->keys) : 0;
	default:
		return kinds[kind].off;
	}
}

static void touch(enum edit_kind kind, u64 off)
{
	if (ed.nr_touched < MAX_TOUCHED)
		ed.touched[ed.nr_touched++] = (struct touched) { kind, off };
}

/*
 * One change
 */

static u64 load_field(u64 off, u32 bytes)
{
	u64 value = 0;

	memcpy(&value, at(off), bytes);
	return value;
}

static void change_field(const struct edit *e, u64 off, const struct field *f)
{
	u64 old = load_field(off + f->off, f->bytes), value = e->value, from;

	switch (e->op % EDIT_OPS) {
	case EDIT_ADD:
		value = old + e->value;
		break;
	case EDIT_XOR:
		value = old ^ e->value;
		break;
	case EDIT_COPY:
		from = place_of(e->kind, e->value, e->value >> 32);
		value = from ? load_field(from + f->off, f->bytes) : old;
		break;
	}
	memcpy(at(off + f->off), &value, f->bytes);
}

static void change_record(const struct edit *e)
{
	const struct kind *k = &kinds[e->kind];
	const struct field *f = &k->fields[e->field % k->nr_fields];
	u64 off = place_of(e->kind, e->which, e->part);
	u32 slots = e->slots & (EDIT_SLOT_0 | EDIT_SLOT_1);

	if (!off || off + k->stride + k->bytes > ed.out->bytes)
		return;
	if (!slots || !k->stride)
		slots = EDIT_SLOT_0 | EDIT_SLOT_1;
	for (u32 slot = 0; slot < (k->stride ? 2 : 1); slot++) {
		if (!(slots & (1 << slot)))
			continue;
		change_field(e, off + slot * k->stride, f);
		if (e->slots & EDIT_NO_CRC)
			continue;
		touch(e->kind, off + slot * k->stride);
		if (e->kind == EDIT_KEY)
			touch(EDIT_KSET, place_of(EDIT_KSET, e->which, 0));
	}
}

static u32 where(const struct edit *e)
{
	return e->which | (u32)e->part << 16;
}

static void change_raw(const struct edit *e)
{
	u64 off = (u64)where(e) % (ed.out->bytes / 8) * 8, value = e->value;

	if (e->op % EDIT_OPS == EDIT_XOR)
		value ^= load_field(off, 8);
	memcpy(at(off), &value, 1 + e->field % 8);
}

/* Zeroed, a copy of another sector, or of an earlier moment; the whole or half of it. */
static void change_sector(const struct edit *e)
{
	const struct sample *base = ed.out->base;
	u64 off = (u64)where(e) % (ed.out->bytes / SECTOR) * SECTOR;
	u64 from = e->value % (ed.out->bytes / SECTOR) * SECTOR;
	u32 bytes = e->field & 1 ? SECTOR / 2 : SECTOR, half = e->field & 2 ? SECTOR - bytes : 0;

	switch (e->op % EDIT_OPS) {
	case EDIT_SET:
		memset(at(off + half), 0, bytes);
		break;
	case EDIT_COPY:
		if (base->nr_older && off + SECTOR <= base->bytes)
			memcpy(at(off + half), base->older[e->value % base->nr_older] + off + half,
			       bytes);
		break;
	default:
		memmove(at(off + half), at(from + half), bytes);
	}
}

static void add_media_error(const struct edit *e)
{
	if (ed.out->nr_poison < EDIT_POISON)
		ed.out->poison[ed.out->nr_poison++] =
			(u64)where(e) % (ed.out->bytes / 64) * 64;
}

/*
 * Ksets
 */

static u32 bytes_of_kset(u64 off)
{
	const struct pcache_media_kset *ks = (const void *)at(off);
	u64 room = PCACHE_SEG_BYTES - (off - PCACHE_SEGS_OFF) % PCACHE_SEG_BYTES;
	u32 count = le32_to_cpu(ks->count);

	if (le64_to_cpu(ks->flags) & PCACHE_KSET_LAST || count > PCACHE_KSET_KEYS ||
	    PCACHE_KSET_BYTES(count) > room)
		return sizeof(*ks);
	return PCACHE_KSET_BYTES(count);
}

static void mend(u64 off, u32 bytes)
{
	__le32 crc = cpu_to_le32(crc32c(PCACHE_CRC_SEED, at(off + 4), bytes - 4));

	memcpy(at(off), &crc, sizeof(crc));
}

static u64 number_behind(const struct sample_kset *k, const struct sample_kset *next)
{
	const struct pcache_media_kset *ks = (const void *)at(k->off);
	u64 number = le64_to_cpu(ks->flags) >> 16;
	__le32 x[3] = { ks->crc, cpu_to_le32(next->seg), cpu_to_le32(next->seg_off) };

	if (number)
		return number == PCACHE_NUMBER_MAX ? 1 : number + 1;
	number = crc32c(PCACHE_CRC_SEED, x, sizeof(x)) |
		 (u64)(crc32c(PCACHE_MARK_SEED, x, sizeof(x)) & 0xffff) << 32;
	return number ?: 1;
}

static void set_number(u64 off, u64 number)
{
	struct pcache_media_kset *ks = (void *)at(off);
	u64 flags = le64_to_cpu(ks->flags) & 0xffff;

	ks->flags = cpu_to_le64(flags | number << 16);
	mend(off, bytes_of_kset(off));
}

/* op: those of @part ksets as if mainline had written them, the rest as is due. */
static void change_numbers(const struct edit *e)
{
	u32 n = ed.log.nr_ksets, first, zero;

	if (!n)
		return;
	first = e->which % n;
	zero = first + e->part % (n - first + 1);
	for (u32 i = first; i < n; i++) {
		const struct sample_kset *k = &ed.log.ksets[i];
		u64 number = i < zero ? 0 : e->value & PCACHE_NUMBER_MAX;

		if (i >= zero && i > first)
			number = number_behind(k - 1, k);
		set_number(k->off, number);
	}
}

static u64 generation_of(u32 seg)
{
	const struct pcache_media_gen *gen = (const void *)at(seg_off(seg) + PCACHE_SEG_GEN_OFF);

	if ((s8)(gen[1].header.seq - gen[0].header.seq) > 0)
		gen++;
	return le64_to_cpu(gen->gen);
}

/* Keys of a new kset: sectors and places follow from the change's value. */
static void make_keys(const struct edit *e, struct pcache_media_key *key, u32 count)
{
	u32 seg = e->which % nr_segs(), sector = e->value % (SAMPLE_FIRST + SAMPLE_SECTORS);
	u32 len = 1 + (e->value >> 16 & 7), off = (e->value >> 24) % PCACHE_DATA_SECTORS;

	for (u32 i = 0; i < count; i++) {
		u64 data;

		off %= PCACHE_DATA_SECTORS - len + 1;
		data = seg_off(seg) + PCACHE_SEG_DATA_OFF + off * SECTOR;
		key[i] = (struct pcache_media_key) {
			.off = cpu_to_le64((u64)(sector + i) * SECTOR),
			.len = cpu_to_le32(len * SECTOR),
			.flags = cpu_to_le32(e->slots & EDIT_SLOT_0 ? PCACHE_KEY_CLEAN : 0),
			.cache_seg_id = cpu_to_le32(seg),
			.cache_seg_off = cpu_to_le32(off * SECTOR),
			.seg_gen = cpu_to_le64(generation_of(seg)),
			.data_crc = cpu_to_le32(ed.out->base->data_crc ?
				crc32c(PCACHE_CRC_SEED, at(data), len * SECTOR) : 0),
		};
		off += e->value >> 32 & 7;
		sector += e->value >> 36 & 7;
	}
}

/* field: how many keys; 0: a LAST that leads into segment @which. */
static void add_kset(const struct edit *e)
{
	struct sample_kset *k = &ed.log.ksets[ed.log.nr_ksets], *next = k + 1;
	u32 count = min_t(u32, e->field, PCACHE_KSET_KEYS), bytes = PCACHE_KSET_BYTES(count);
	struct pcache_media_kset *ks = (void *)at(k->off);
	u64 flags = count ? (e->slots & EDIT_SLOT_1 ? PCACHE_KSET_EPOCH : 0) : PCACHE_KSET_LAST;

	if (!ed.log.end || ed.log.nr_ksets + 2 > SAMPLE_KSETS ||
	    k->seg_off + bytes + PCACHE_LAST_BYTES > PCACHE_DATA_BYTES)
		return;
	if (ed.log.nr_ksets)
		flags |= number_behind(k - 1, k) << 16;
	else
		flags |= e->value << 16;
	*ks = (struct pcache_media_kset) {
		.magic = cpu_to_le64(PCACHE_KSET_MAGIC), .flags = cpu_to_le64(flags),
		.count = cpu_to_le32(count ?: e->which % nr_segs()),
	};
	make_keys(e, (void *)(ks + 1), count);
	mend(k->off, bytes);
	k->keys = count;
	*next = (struct sample_kset) { .seg = k->seg, .seg_off = k->seg_off + bytes };
	if (!count)
		*next = (struct sample_kset) { .seg = e->which % nr_segs() };
	next->off = seg_off(next->seg) + PCACHE_SEG_DATA_OFF + next->seg_off;
	if (!(e->op & 1))
		memset(at(next->off), 0, PCACHE_LAST_BYTES);
	ed.log.nr_ksets++;
}

static void change(const struct edit *e)
{
	switch (e->kind) {
	case EDIT_RAW:
		change_raw(e);
		break;
	case EDIT_SECTOR:
		change_sector(e);
		break;
	case EDIT_MEDIA_ERROR:
		add_media_error(e);
		break;
	case EDIT_NEW_KSET:
		add_kset(e);
		break;
	case EDIT_NUMBERS:
		change_numbers(e);
		break;
	default:
		change_record(e);
	}
}

/*
 * Mending
 */

static void mend_data_crc(u64 off)
{
	struct pcache_media_key *key = (void *)at(off);
	u32 seg = le32_to_cpu(key->cache_seg_id), place = le32_to_cpu(key->cache_seg_off);
	u32 len = le32_to_cpu(key->len);

	if (seg < nr_segs() && place < PCACHE_DATA_BYTES && len <= PCACHE_DATA_BYTES - place)
		key->data_crc = cpu_to_le32(crc32c(PCACHE_CRC_SEED,
			at(seg_off(seg) + PCACHE_SEG_DATA_OFF + place), len));
}

static void mend_kind(enum edit_kind kind)
{
	for (u32 i = 0; i < ed.nr_touched; i++) {
		const struct touched *t = &ed.touched[i];

		if (t->kind != kind)
			continue;
		if (kind == EDIT_KEY)
			mend_data_crc(t->off);
		else
			mend(t->off, kind == EDIT_KSET ? bytes_of_kset(t->off) :
						       kinds[kind].bytes);
	}
}

static void mend_tails_crc(void)
{
	__le32 crc = cpu_to_le32(crc32c(PCACHE_CRC_SEED, at(PCACHE_CTRL_OFF),
					PCACHE_TAILS_BYTES));

	for (u32 slot = 0; slot < 2; slot++) {
		u64 off = PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;

		memcpy(at(off + offsetof(struct pcache_media_ext, tails_crc)), &crc, sizeof(crc));
		touch(EDIT_EXT, off);
	}
}

static void mend_all(void)
{
	static const enum edit_kind order[] = {
		EDIT_KEY_TAIL, EDIT_DIRTY_TAIL, EDIT_SUPER, EDIT_INFO, EDIT_SEG_INFO, EDIT_GEN,
	};

	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		mend_kind(order[i]);
	if (ed.out->head.how & EDIT_TAILS_CRC)
		mend_tails_crc();
	mend_kind(EDIT_EXT);
	if (ed.out->head.how & EDIT_DATA_CRC)
		mend_kind(EDIT_KEY);
	mend_kind(EDIT_KSET);
}

static u64 changed_size(const struct sample *base, u8 how)
{
	u64 bytes = base->bytes;

	if (how & EDIT_LARGER)
		bytes += ALIGN(3 * PCACHE_SEG_BYTES, PAGE_SIZE);
	if (how & EDIT_SMALLER)
		bytes -= PAGE_SIZE;
	return bytes;
}

bool edit_apply(const u8 *data, size_t size, struct edit_result *out)
{
	struct edit e;
	size_t at_byte;

	if (size < sizeof(out->head))
		return false;
	memcpy(&out->head, data, sizeof(out->head));
	out->base = edit_base(out->head.base);
	out->bytes = changed_size(out->base, out->head.how);
	out->nr_poison = 0;
	memcpy(out->media, out->base->media, min(out->bytes, out->base->bytes));
	if (out->bytes > out->base->bytes)
		memset(out->media + out->base->bytes, 0, out->bytes - out->base->bytes);
	ed.out = out;
	ed.nr_touched = 0;
	ed.log.nr_ksets = out->base->nr_ksets;
	ed.log.end = out->base->end;
	memcpy(ed.log.ksets, out->base->ksets, (ed.log.nr_ksets + 1) * sizeof(*ed.log.ksets));
	for (at_byte = sizeof(out->head); at_byte + sizeof(e) <= size; at_byte += sizeof(e)) {
		memcpy(&e, data + at_byte, sizeof(e));
		e.kind %= EDIT_KINDS;
		change(&e);
	}
	mend_all();
	return true;
}

void edit_init(void)
{
	for (u32 i = 0; i < EDIT_BASES; i++) {
		bases[i].seed = i + 1;
		sample_make(&bases[i]);
	}
}

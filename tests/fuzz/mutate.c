// SPDX-License-Identifier: GPL-2.0-or-later
/* Mutations of the inputs of edit.c: a change more or less, another value or place. */
#include <string.h>

#include <linux/kernel.h>

#include "edit.h"
#include "format.h"
#include "world.h"

static u64 seg_off(u32 seg)
{
	return PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES;
}

static u64 interesting(struct sim_random *r, const struct sample *base)
{
	static const u64 values[] = {
		0, 1, 2, 3, 7, 8, 16, 24, 63, 64, 127, 128, 129, 255, 256, 511, 512, 513, 1024,
		4096, 8192, 0xffff, 0x10000, PCACHE_MIN_SEGS - 1, PCACHE_MIN_SEGS,
		PCACHE_MAX_SEGS, PCACHE_DATA_BYTES, PCACHE_DATA_BYTES - 24,
		PCACHE_DATA_BYTES - 64, PCACHE_DATA_BYTES - 88, PCACHE_DATA_BYTES - 512,
		PCACHE_STRETCH_BYTES, PCACHE_STRETCH_BYTES - 512, PCACHE_STRETCH_BYTES + 512,
		SAMPLE_FIRST * 512, (SAMPLE_FIRST + SAMPLE_SECTORS) * 512,
		(SAMPLE_FIRST + SAMPLE_SECTORS) * 512 - 512, S32_MAX, 1ULL << 31, U32_MAX,
		U32_MAX - 7, U32_MAX - 511, 1ULL << 32, 1ULL << 47, PCACHE_NUMBER_MAX, 1ULL << 48,
		1ULL << 63, U64_MAX, U64_MAX - 511,
	};
	u64 value;

	switch (sim_below(r, 4)) {
	case 0:		/* something of the medium itself */
		memcpy(&value, base->media + sim_below(r, base->bytes / 8 - 1) * 8, 8);
		return value;
	case 1:		/* something of its log */
		if (!base->nr_ksets)
			return base->segs;
		value = sim_below(r, base->nr_ksets + 1);
		return sim_below(r, 2) ? base->ksets[value].seg_off : base->ksets[value].seg;
	case 2:
		return values[sim_below(r, ARRAY_SIZE(values))];
	default:
		return (s64)sim_below(r, 33) - 16;
	}
}

/* A sector or line among the metadata, mostly. */
static u32 some_place(struct sim_random *r, const struct sample *base, u32 unit)
{
	u64 off;

	switch (sim_below(r, 4)) {
	case 0:
		off = sim_below(r, PCACHE_SEGS_OFF);
		break;
	case 1:
		off = seg_off(sim_below(r, base->segs)) + sim_below(r, 3) * 4096;
		break;
	case 2:
		off = base->ksets[sim_below(r, base->nr_ksets + 1)].off;
		break;
	default:
		off = sim_below(r, base->bytes);
	}
	return off / unit;
}

static void draw_edit(struct sim_random *r, const struct sample *base, struct edit *e)
{
	static const u8 units[EDIT_KINDS] = {
		[EDIT_RAW] = 3, [EDIT_SECTOR] = 9, [EDIT_MEDIA_ERROR] = 6,
	};
	u64 v = sim_next(r);

	*e = (struct edit) {
		.kind = sim_below(r, EDIT_KINDS), .slots = v & 3, .field = v >> 8 & 31,
		.op = v >> 16 & 3, .which = sim_below(r, 160), .part = sim_below(r, 8),
		.value = interesting(r, base),
	};
	if (!sim_below(r, 12))
		e->slots |= EDIT_NO_CRC;
	if (sim_below(r, 2) && base->nr_ksets)
		e->which = base->nr_ksets - 1 - sim_below(r, min(base->nr_ksets, 8U));
	if (units[e->kind]) {
		u32 place = some_place(r, base, 1U << units[e->kind]);

		e->which = place;
		e->part = place >> 16;
	}
	if (e->kind == EDIT_NEW_KSET) {
		e->field = sim_below(r, 8) ? sim_below(r, 6) : sim_below(r, 129);
		e->value = sim_below(r, SAMPLE_SECTORS) + SAMPLE_FIRST + (v >> 32 << 16);
	}
}

static void tweak_edit(struct sim_random *r, const struct sample *base, struct edit *e)
{
	static const s64 steps[] = { 1, -1, 8, -8, 24, -24, 40, 64, -64, 512, -512, 4096 };

	switch (sim_below(r, 8)) {
	case 0:
		e->value = interesting(r, base);
		break;
	case 1:
		e->value += steps[sim_below(r, ARRAY_SIZE(steps))];
		break;
	case 2:
		e->value ^= 1ULL << sim_below(r, 64);
		break;
	case 3:
		e->which += steps[sim_below(r, 4)];
		break;
	case 4:
		e->field = sim_below(r, 24);
		break;
	case 5:
		e->op = sim_below(r, EDIT_OPS);
		break;
	case 6:
		e->slots = sim_below(r, 4);
		break;
	default:
		e->part = sim_below(r, 16);
	}
}

static u32 nr_edits(size_t size)
{
	return size < sizeof(struct edit_head) ? 0 :
	       (size - sizeof(struct edit_head)) / sizeof(struct edit);
}

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

static void mutate_once(struct sim_random *r, struct edit_head *head, struct edit *edits, u32 *n,
			u32 most)
{
	const struct sample *base = edit_base(head->base);
	u32 i = *n ? sim_below(r, *n) : 0;

	switch (sim_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		if (*n < most)
			draw_edit(r, base, &edits[(*n)++]);
		break;
	case 3:
	case 4:
		if (*n)
			tweak_edit(r, base, &edits[i]);
		break;
	case 5:
		if (*n)
			edits[i] = edits[--*n];
		break;
	case 6:
		if (*n)
			LLVMFuzzerMutate((u8 *)&edits[i], sizeof(*edits), sizeof(*edits));
		break;
	default:
		((u8 *)head)[sim_below(r, sizeof(*head))] = sim_next(r);
	}
}

size_t edit_mutate(u8 *data, size_t size, size_t max_size, u32 seed)
{
	struct edit edits[EDIT_MAX];
	struct edit_head head = { };
	struct sim_random r;
	u32 n = min_t(u32, nr_edits(size), EDIT_MAX), most;

	if (max_size < sizeof(head))
		return 0;
	most = min_t(u32, nr_edits(max_size), EDIT_MAX);
	sim_seed(&r, seed);
	if (size >= sizeof(head))
		memcpy(&head, data, sizeof(head));
	memcpy(edits, data + sizeof(head), n * sizeof(*edits));
	for (u32 times = 1 + sim_below(&r, 3); times; times--)
		mutate_once(&r, &head, edits, &n, most);
	memcpy(data, &head, sizeof(head));
	memcpy(data + sizeof(head), edits, n * sizeof(*edits));
	return sizeof(head) + n * sizeof(*edits);
}

size_t edit_cross(const u8 *a, size_t a_size, const u8 *b, size_t b_size, u8 *out,
		  size_t max_size, u32 seed)
{
	u32 most = min_t(u32, nr_edits(max_size), EDIT_MAX), n = 0;
	const u8 *from[2] = { a, b };
	u32 have[2] = { nr_edits(a_size), nr_edits(b_size) };
	struct sim_random r;

	if (max_size < sizeof(struct edit_head) || a_size < sizeof(struct edit_head))
		return 0;
	sim_seed(&r, seed);
	memcpy(out, a, sizeof(struct edit_head));
	for (u32 k = 0; k < 2; k++)
		for (u32 i = 0; i < have[k] && n < most; i++)
			if (sim_below(&r, 3))
				memcpy(out + sizeof(struct edit_head) + n++ * sizeof(struct edit),
				       from[k] + sizeof(struct edit_head) +
				       i * sizeof(struct edit), sizeof(struct edit));
	return sizeof(struct edit_head) + n * sizeof(struct edit);
}

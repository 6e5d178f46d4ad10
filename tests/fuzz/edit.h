/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzer of media reads: a header, and changes of a good medium, each of one
 * structure. CRCs are mended after all changes, so that what is behind them is reached.
 */
#ifndef FUZZ_EDIT_H
#define FUZZ_EDIT_H

#include <linux/types.h>

#include "sample.h"

#define EDIT_BASES	8
#define EDIT_MAX	64
#define EDIT_POISON	4

enum edit_kind {
	EDIT_RAW,		/* up to 8 bytes anywhere */
	EDIT_SUPER,
	EDIT_INFO,
	EDIT_EXT,
	EDIT_KEY_TAIL,
	EDIT_DIRTY_TAIL,
	EDIT_SEG_INFO,		/* @which: segment */
	EDIT_GEN,		/* @which: segment */
	EDIT_KSET,		/* @which: of the log */
	EDIT_KEY,		/* @which: kset, @part: key */
	EDIT_SECTOR,		/* a whole sector: zeroed, copied, an older one */
	EDIT_MEDIA_ERROR,	/* a line that cannot be read */
	EDIT_NEW_KSET,		/* put behind the last one */
	EDIT_NUMBERS,		/* of the ksets from @which on */
	EDIT_KINDS,
};

enum edit_op {
	EDIT_SET,
	EDIT_ADD,
	EDIT_XOR,
	EDIT_COPY,		/* from record @value of its kind */
	EDIT_OPS,
};

/* edit.slots */
#define EDIT_SLOT_0	0x01
#define EDIT_SLOT_1	0x02	/* neither or both: both */
#define EDIT_NO_CRC	0x80	/* the CRC is left as it is */

/* edit_head.how */
#define EDIT_CUT	0x01	/* the power goes, instead of a detach */
#define EDIT_TAILS_CRC	0x02	/* tails_crc of the extension block is mended, too */
#define EDIT_DATA_CRC	0x04	/* data_crc of changed keys is mended, too */
#define EDIT_LARGER	0x08	/* the device has 3 segments more */
#define EDIT_SMALLER	0x10	/* the device has a page less */

/**
 * struct edit_head - what an input begins with
 * @base: which good medium
 * @seed: of the world
 * @how: see above
 * @tasks: how tasks are switched, how many CPUs there are
 * @work: what is done with the cache
 * @options: of the table
 * @place: where else is read
 */
struct edit_head {
	u8 base;
	u8 seed;
	u8 how;
	u8 tasks;
	u8 work;
	u8 options;
	u8 place;
	u8 unused;
};

/**
 * struct edit - one change; each value is taken modulo what is there
 * @kind: enum edit_kind
 * @slots: which slots, see above
 * @field: of the structure
 * @op: enum edit_op
 * @which: which structure
 * @part: which of its parts
 * @value: what for
 */
struct edit {
	u8 kind;
	u8 slots;
	u8 field;
	u8 op;
	u16 which;
	u16 part;
	u64 value;
};

/**
 * struct edit_result - a medium
 * @base: what it is made of
 * @head: of the input
 * @media: its content
 * @bytes: its size
 * @poison: offsets of lines that cannot be read
 * @nr_poison: how many
 */
struct edit_result {
	const struct sample *base;
	struct edit_head head;
	u8 *media;
	u64 bytes;
	u64 poison[EDIT_POISON];
	u32 nr_poison;
};

/* Makes the good media; once. */
void edit_init(void);
const struct sample *edit_base(u32 i);
/* Makes the medium that an input describes; false: it is too short. */
bool edit_apply(const u8 *data, size_t size, struct edit_result *out);
/* Changes an input, or puts two together; as libFuzzer asks for it. */
size_t edit_mutate(u8 *data, size_t size, size_t max_size, u32 seed);
size_t edit_cross(const u8 *a, size_t a_size, const u8 *b, size_t b_size, u8 *out,
		  size_t max_size, u32 seed);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The on-media format: little-endian structures, their places, their flags.
 *
 *	0x0000	never written
 *	0x1000	super-block; extension block slots at 0x1400 and 0x1800
 *	0x2000	cache_info slot 0
 *	0x3000	cache_info slot 1
 *	0x4000	cache_ctrl: key_tail[2], dirty_tail[2]
 *	0x5000	segment 0, segment 1, ... 16 MiB each:
 *
 *		+0x0000	seg_info slot 0
 *		+0x1000	seg_info slot 1
 *		+0x2000	generation slots, 16 bytes each
 *		+0x3000	data area: ksets or user data, up to the segment's end
 *
 * A kset in the data area of a log segment:
 *
 *	| kset header, 24 | key 0, 40 | key 1, 40 | ... | 24 zero bytes or next
 *
 * Every structure begins with its CRC: crc32c() of what follows up to the
 * structure's end, without inversion, from PCACHE_CRC_SEED. doc/format.rst
 * has the rules for using all this.
 */
#ifndef PCACHE_FORMAT_H
#define PCACHE_FORMAT_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/sizes.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define PCACHE_CRC_SEED			0x0003B15A
#define PCACHE_MARK_SEED		0x000A51B3	/* second half of a number behind mainline's */

#define PCACHE_SUPER_OFF		0x1000
#define PCACHE_EXT_OFF			0x1400
#define PCACHE_EXT_STRIDE		0x0400
#define PCACHE_INFO_OFF			0x2000
#define PCACHE_INFO_STRIDE		0x1000
#define PCACHE_CTRL_OFF			0x4000
#define PCACHE_KEY_TAIL_OFF		0x4000
#define PCACHE_DIRTY_TAIL_OFF		0x4020
#define PCACHE_TAIL_STRIDE		16
#define PCACHE_TAILS_BYTES		64
#define PCACHE_SEGS_OFF			0x5000

/* Unit tests make segments small and few, so that the log turns often. */
#ifndef PCACHE_SEG_BYTES
#define PCACHE_SEG_BYTES		SZ_16M
#define PCACHE_MIN_SEGS			31
#define PCACHE_MIN_BYTES		SZ_512M
#endif
#define PCACHE_MAX_SEGS			1048576

#define PCACHE_SEG_INFO_OFF		0
#define PCACHE_SEG_INFO_STRIDE		4096
#define PCACHE_SEG_GEN_OFF		8192
#define PCACHE_SEG_GEN_STRIDE		16
#define PCACHE_SEG_DATA_OFF		12288
#define PCACHE_DATA_BYTES		(PCACHE_SEG_BYTES - PCACHE_SEG_DATA_OFF)
#define PCACHE_DATA_SECTORS		(PCACHE_DATA_BYTES >> 9)

/* A key's logical range lies in one stretch. */
#define PCACHE_STRETCH_BYTES		SZ_4M
#define PCACHE_STRETCH_SECTORS		(PCACHE_STRETCH_BYTES >> 9)

struct pcache_media_header {
	__le32 crc;
	u8 seq;
	u8 version;		/* 0 */
	__le16 res;
};

#define PCACHE_SUPER_MAGIC		0x65B05EFA96C596EFULL
#define PCACHE_SUPER_BIGENDIAN		BIT(0)

struct pcache_media_super {
	__le32 crc;
	__le32 flags;
	__le64 magic;
	__le32 seg_num;
	__le32 pad;
};

#define PCACHE_INFO_DATA_CRC		BIT(0)
#define PCACHE_INFO_INIT_DONE		BIT(1)
#define PCACHE_INFO_MODE		GENMASK(5, 2)
#define PCACHE_INFO_GC_PERCENT		GENMASK(12, 6)
#define PCACHE_INFO_KNOWN		GENMASK(12, 0)

struct pcache_media_info {
	struct pcache_media_header header;
	__le32 seg_id;		/* physical id of the first cache segment */
	__le32 n_segs;
	__le32 flags;
	__le32 tag;		/* of the extension block that belongs here; mainline: reserved */
};

struct pcache_media_tail {
	struct pcache_media_header header;
	__le32 cache_seg_id;	/* logical */
	__le32 seg_off;		/* bytes, in the data area */
};

#define PCACHE_SEG_HAS_NEXT		BIT(0)
#define PCACHE_SEG_TYPE			GENMASK(4, 1)
#define PCACHE_SEG_TYPE_CACHE		1

struct pcache_media_seg_info {
	struct pcache_media_header header;
	__le32 flags;
	__le32 next_seg;	/* physical id */
};

struct pcache_media_gen {
	struct pcache_media_header header;
	__le64 gen;
};

#define PCACHE_KSET_MAGIC		0x676894A64E164F1AULL
#define PCACHE_KSET_LAST		BIT_ULL(0)
#define PCACHE_KSET_EPOCH		BIT_ULL(1)	/* first ordinary kset of an epoch */
#define PCACHE_KSET_NUMBER		GENMASK_ULL(63, 16)
#define PCACHE_KSET_KNOWN		(PCACHE_KSET_LAST | PCACHE_KSET_EPOCH | PCACHE_KSET_NUMBER)
#define PCACHE_NUMBER_MAX		GENMASK_ULL(47, 0)

struct pcache_media_kset {
	__le32 crc;
	__le32 count;		/* of keys; in a LAST kset the logical id of the next log segment */
	__le64 magic;
	__le64 flags;
};

#define PCACHE_KEY_EMPTY		BIT(0)	/* never on media */
#define PCACHE_KEY_CLEAN		BIT(1)
#define PCACHE_KEY_KNOWN		PCACHE_KEY_CLEAN

struct pcache_media_key {
	__le64 off;		/* bytes, on the backing device */
	__le32 len;		/* bytes */
	__le32 flags;
	__le32 cache_seg_id;	/* logical */
	__le32 cache_seg_off;	/* bytes, in the data area */
	__le64 seg_gen;
	__le32 data_crc;
	__le32 reserved;
};

/* The same for full ksets. */
#ifndef PCACHE_KSET_KEYS
#define PCACHE_KSET_KEYS		128
#endif
#define PCACHE_KSET_BYTES(keys) \
	(sizeof(struct pcache_media_kset) + (keys) * sizeof(struct pcache_media_key))
#define PCACHE_KSET_MAX_BYTES		PCACHE_KSET_BYTES(PCACHE_KSET_KEYS)
/* What is zero behind a kset, and what must fit behind an ordinary one. */
#define PCACHE_LAST_BYTES		sizeof(struct pcache_media_kset)

#define PCACHE_EXT_MAGIC		0x7845656863616370ULL	/* "pcacheEx" */
#define PCACHE_EXT_IN_USE		BIT(0)
#define PCACHE_EXT_NEEDS_CHECK		BIT(1)
#define PCACHE_EXT_FORMATTING		BIT(2)
#define PCACHE_EXT_CLEAN		BIT(3)	/* cleanly detached */
#define PCACHE_LABEL_BYTES		32
#define PCACHE_BACKING_ID_BYTES		64

struct pcache_media_place {
	__le32 seg;
	__le32 off;
};

struct pcache_media_ext {
	struct pcache_media_header header;
	__le64 magic;
	u8 uuid[16];
	u8 label[PCACHE_LABEL_BYTES];
	__le64 backing_sectors;
	u8 backing_id[PCACHE_BACKING_ID_BYTES];
	__le32 features_incompat;
	__le32 features_compat;
	__le32 state;
	__le32 own_seg;
	__le32 own_off;
	__le32 tag;
	__le64 own_number;
	__le64 created;		/* seconds since 1970 */
	__le32 head_seg;
	__le32 head_off;
	__le64 head_number;	/* of the last kset; 0: none, or mainline's */
	struct pcache_media_place tails[2];	/* key, dirty */
	__le32 info_seq;
	__le32 tails_crc;
	__le32 grow_segs;	/* a resize is under way to so many; else 0 */
	u8 rest[36];
};

static_assert(sizeof(struct pcache_media_header) == 8);
static_assert(sizeof(struct pcache_media_super) == 24);
static_assert(offsetof(struct pcache_media_super, magic) == 8);
static_assert(sizeof(struct pcache_media_info) == 24);
static_assert(offsetof(struct pcache_media_info, tag) == 20);
static_assert(sizeof(struct pcache_media_tail) == PCACHE_TAIL_STRIDE);
static_assert(sizeof(struct pcache_media_seg_info) == 16);
static_assert(sizeof(struct pcache_media_gen) == PCACHE_SEG_GEN_STRIDE);
static_assert(sizeof(struct pcache_media_kset) == 24);
static_assert(offsetof(struct pcache_media_kset, flags) == 16);
static_assert(sizeof(struct pcache_media_key) == 40);
static_assert(offsetof(struct pcache_media_key, cache_seg_id) == 16);
static_assert(offsetof(struct pcache_media_key, seg_gen) == 24);
static_assert(offsetof(struct pcache_media_key, data_crc) == 32);
static_assert(sizeof(struct pcache_media_ext) == 256);
static_assert(offsetof(struct pcache_media_ext, backing_sectors) == 64);
static_assert(offsetof(struct pcache_media_ext, backing_id) == 72);
static_assert(offsetof(struct pcache_media_ext, features_incompat) == 136);
static_assert(offsetof(struct pcache_media_ext, own_number) == 160);
static_assert(offsetof(struct pcache_media_ext, head_seg) == 176);
static_assert(offsetof(struct pcache_media_ext, tails) == 192);
static_assert(offsetof(struct pcache_media_ext, info_seq) == 208);
static_assert(offsetof(struct pcache_media_ext, grow_segs) == 216);
static_assert(PCACHE_DATA_BYTES % 512 == 0);

#endif /* PCACHE_FORMAT_H */

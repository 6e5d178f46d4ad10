// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The format, byte for byte: the format's test vectors as the engine makes and
 * takes them, and what formatting leaves on the medium.
 */
#include <stdio.h>
#include <stdlib.h>

#include <linux/bitfield.h>
#include <linux/crc32c.h>

#include "host.h"
#include "pcache.h"

#define SEGS		31
#define CACHE_BYTES	SZ_512M
#define DISK_BYTES	SZ_64M

static struct host host;

static const u8 *media(u64 off)
{
	return (u8 *)host_pmem(&host) + off;
}

static u64 seg_off(u32 seg)
{
	return PCACHE_SEGS_OFF + (u64)seg * PCACHE_SEG_BYTES;
}

static u32 word(u64 off)
{
	return le32_to_cpu(*(__le32 *)media(off));
}

static u64 word64(u64 off)
{
	return le64_to_cpu(*(__le64 *)media(off));
}

/* The bytes at @off are those of @hex, where blanks do not count. */
static void check_bytes(const char *what, const void *at, const char *hex)
{
	const u8 *p = at;

	for (; *hex; hex++) {
		u32 byte;

		if (*hex == ' ')
			continue;
		CHECK(sscanf(hex++, "%2x", &byte) == 1);
		CHECK(*p == byte, "%s, byte %zu: is %02x, expected %02x", what,
		      (size_t)(p - (u8 *)at), *p, byte);
		p++;
	}
}

static bool is_zero(u64 off, size_t bytes)
{
	return !memchr_inv(media(off), 0, bytes);
}

/* The CRC that a record on the medium has is right, and is @expected if that is not 0. */
static void check_crc(u64 off, size_t bytes, u32 expected)
{
	CHECK_EQ(word(off), pcache_crc(media(off), bytes));
	if (expected)
		CHECK_EQ(word(off), expected);
}

/* The header of a record with slots. */
static void check_header(u64 off, u32 seq)
{
	CHECK_EQ(*media(off + 4), seq);
	CHECK_EQ(*media(off + 5), 0);
	CHECK_EQ(*(u16 *)media(off + 6), 0);
}

/*
 * Vectors
 */

static void test_crc_of_structures(void)
{
	struct pcache_media_super sb = {
		.magic = cpu_to_le64(PCACHE_SUPER_MAGIC), .seg_num = cpu_to_le32(31),
	};
	struct pcache_media_info info = {
		.header.seq = 1, .n_segs = cpu_to_le32(31),
		.flags = cpu_to_le32(PCACHE_INFO_INIT_DONE |
				     FIELD_PREP(PCACHE_INFO_GC_PERCENT, 70)),
	};
	struct pcache_media_kset last = {
		.count = cpu_to_le32(5), .magic = cpu_to_le64(PCACHE_KSET_MAGIC),
		.flags = cpu_to_le64(PCACHE_KSET_LAST),
	};

	host_section("CRC of structures");
	sb.crc = cpu_to_le32(pcache_crc(&sb, sizeof(sb)));
	check_bytes("super-block", &sb, "42777f04 00000000 ef96c596fa5eb065 1f000000 00000000");
	info.header.crc = cpu_to_le32(pcache_crc(&info, sizeof(info)));
	check_bytes("cache_info", &info, "6dfecadd 01000000 00000000 1f000000 82110000 00000000");
	info.flags |= cpu_to_le32(PCACHE_INFO_DATA_CRC);
	CHECK_EQ(le32_to_cpu(info.flags), 0x1183);
	CHECK_EQ(pcache_crc(&info, sizeof(info)), 0x94F6834A);
	last.crc = cpu_to_le32(pcache_crc(&last, sizeof(last)));
	check_bytes("LAST", &last, "a5c21759 05000000 1a4f164ea6946867 0100000000000000");
}

static void test_crc_of_slots(void)
{
	struct pcache_media_gen gen = { .header.seq = 1 };
	struct pcache_media_tail tail = { .header.seq = 1 };
	struct pcache_media_seg_info first = { .header.seq = 1, .flags = cpu_to_le32(2) };
	struct pcache_media_seg_info second = {
		.header.seq = 2, .flags = cpu_to_le32(3), .next_seg = cpu_to_le32(1),
	};

	host_section("CRC of records with slots");
	CHECK_EQ(pcache_crc(&gen, sizeof(gen)), 0x6EF5DFB0);
	CHECK_EQ(pcache_crc(&tail, sizeof(tail)), 0x6EF5DFB0);
	CHECK_EQ(pcache_crc(&first, sizeof(first)), 0xFC8D25FE);
	CHECK_EQ(pcache_crc(&second, sizeof(second)), 0x3B668E31);
}

/* A zeroed structure has a CRC that is not zero, so it is not valid. */
static void test_zeroed(void)
{
	u8 media_slots[2 * PCACHE_SEG_GEN_STRIDE] __aligned(8) = { };
	struct pcache_media_gen gen;
	struct pcache_slots slots;
	u8 zero[24] = { };

	host_section("zeroed structures");
	CHECK_EQ(pcache_crc(zero, 4 + 12), 0x5F840B80);
	CHECK_EQ(pcache_crc(zero, 4 + 16), 0x3AA04A5B);
	CHECK_EQ(pcache_crc(zero, 4 + 20), 0xB9B69066);
	pcache_slots_init(&slots, media_slots, PCACHE_SEG_GEN_STRIDE, sizeof(gen));
	CHECK(!pcache_slots_read(&slots, &gen));
}

/*
 * Slots
 */

static void check_current(u8 *slots_media, int slot, u8 seq, u64 value)
{
	struct pcache_media_gen gen;
	struct pcache_slots slots;

	pcache_slots_init(&slots, slots_media, PCACHE_SEG_GEN_STRIDE, sizeof(gen));
	CHECK(pcache_slots_read(&slots, &gen));
	CHECK_EQ(slots.current_slot, slot);
	CHECK_EQ(slots.seq, seq);
	CHECK_EQ(le64_to_cpu(gen.gen), value);
}

static void put_slot(u8 *slots_media, int slot, u8 seq, u64 value)
{
	struct pcache_media_gen gen = { .header.seq = seq, .gen = cpu_to_le64(value) };

	gen.header.crc = cpu_to_le32(pcache_crc(&gen, sizeof(gen)));
	memcpy(slots_media + slot * PCACHE_SEG_GEN_STRIDE, &gen, sizeof(gen));
}

static void test_slots(void)
{
	u8 m[2 * PCACHE_SEG_GEN_STRIDE] __aligned(8) = { };
	struct pcache_media_gen gen = { };
	struct pcache_slots slots;
	u32 i;

	host_section("slots");
	/* Mainline's first write of such a record goes to slot 1 with seq 1. */
	pcache_slots_init(&slots, m, PCACHE_SEG_GEN_STRIDE, sizeof(gen));
	pcache_slots_write(&slots, &gen);
	CHECK(!memchr_inv(m, 0, 16));
	check_bytes("generation", m + 16, "b0dff56e 01000000 0000000000000000");
	/* Writes take turns; seq goes around. */
	for (i = 2; i < 600; i++) {
		gen.gen = cpu_to_le64(i);
		pcache_slots_write(&slots, &gen);
		check_current(m, i % 2, i, i);
	}
	put_slot(m, 0, 7, 100);
	put_slot(m, 1, 7, 200);
	check_current(m, 0, 7, 100);
	put_slot(m, 1, 7 + 127, 200);
	check_current(m, 1, 7 + 127, 200);
	put_slot(m, 1, 7 + 129, 200);
	check_current(m, 0, 7, 100);
	/* A torn one does not count. */
	put_slot(m, 1, 8, 200);
	m[16 + 8] ^= 1;
	check_current(m, 0, 7, 100);
	/* Mainline does not set the version of generations and tails. */
	put_slot(m, 1, 8, 200);
	m[16 + 5] = 1;
	*(__le32 *)(m + 16) = cpu_to_le32(pcache_crc(m + 16, 16));
	check_current(m, 1, 8, 200);
}

/* A record whose slots are far apart is of no other version than ours. */
static void test_version(void)
{
	struct pcache_media_info info = { .header.version = 1 };
	u8 *m = calloc(2, PCACHE_INFO_STRIDE);
	struct pcache_slots slots;

	host_section("version");
	for (info.header.version = 0; info.header.version < 2; info.header.version++) {
		info.header.crc = cpu_to_le32(pcache_crc(&info, sizeof(info)));
		memcpy(m, &info, sizeof(info));
		pcache_slots_init(&slots, m, PCACHE_INFO_STRIDE, sizeof(info));
		CHECK_EQ(pcache_slots_read(&slots, &info), info.header.version == 0);
	}
	free(m);
}

/*
 * What formatting leaves
 */

static void check_super_and_info(bool crc)
{
	u32 tag = word(PCACHE_INFO_OFF + 20), flags = crc ? 0x1183 : 0x1182;
	u32 slot;

	CHECK(is_zero(0, PCACHE_SUPER_OFF));
	check_bytes("super-block", media(PCACHE_SUPER_OFF),
		    "42777f04 00000000 ef96c596fa5eb065 1f000000 00000000");
	CHECK(is_zero(PCACHE_SUPER_OFF + 24, PCACHE_EXT_OFF - PCACHE_SUPER_OFF - 24));
	CHECK(tag != 0);
	for (slot = 0; slot < 2; slot++) {
		u64 off = PCACHE_INFO_OFF + slot * PCACHE_INFO_STRIDE;

		check_crc(off, sizeof(struct pcache_media_info), 0);
		CHECK_EQ(word(off + 8), 0);
		CHECK_EQ(word(off + 12), SEGS);
		CHECK_EQ(word(off + 16), flags);
		CHECK_EQ(word(off + 20), tag);
		CHECK(is_zero(off + 24, PCACHE_INFO_STRIDE - 24));
	}
}

/* Both slots of both tails are valid, and at 0:0. */
static void check_tails(void)
{
	u64 off;

	for (off = PCACHE_CTRL_OFF; off < PCACHE_CTRL_OFF + PCACHE_TAILS_BYTES; off += 16) {
		check_crc(off, sizeof(struct pcache_media_tail), 0);
		CHECK(*media(off + 4) == 1 || *media(off + 4) == 2);
		CHECK(is_zero(off + 8, 8));
	}
	/* What mainline leaves is there, too. */
	check_crc(PCACHE_KEY_TAIL_OFF, 16, 0x6EF5DFB0);
	check_crc(PCACHE_DIRTY_TAIL_OFF, 16, 0x6EF5DFB0);
	CHECK(is_zero(PCACHE_CTRL_OFF + PCACHE_TAILS_BYTES, 4096 - PCACHE_TAILS_BYTES));
}

static void check_segment(u32 seg)
{
	u64 info0 = seg_off(seg) + PCACHE_SEG_INFO_OFF, info1 = info0 + PCACHE_SEG_INFO_STRIDE;
	u64 gen = seg_off(seg) + PCACHE_SEG_GEN_OFF;
	bool last = seg + 1 == SEGS;

	/* Both slots say the same: mainline leaves slot 1 without the next one's id. */
	check_crc(info1, 16, last ? 0xFC8D25FE : 0);
	check_header(info1, 1);
	CHECK_EQ(word(info1 + 8), last ? 2 : 3);
	CHECK_EQ(word(info1 + 12), last ? 0 : seg + 1);
	check_crc(info0, 16, seg == 0 ? 0x3B668E31 : 0);
	check_header(info0, 2);
	CHECK_EQ(word(info0 + 8), last ? 2 : 3);
	CHECK_EQ(word(info0 + 12), last ? 0 : seg + 1);
	CHECK(is_zero(gen, 16));
	check_crc(gen + 16, 16, 0x6EF5DFB0);
	check_header(gen + 16, 1);
	CHECK_EQ(word64(gen + 24), 0);
	CHECK(is_zero(seg_off(seg) + PCACHE_SEG_DATA_OFF, PCACHE_LAST_BYTES));
}

/* One slot of the extension block; attached or cleanly detached. */
static void check_ext(u64 off, u32 state, const char *backing_id)
{
	CHECK_EQ(sizeof(struct pcache_media_ext), 256);
	check_crc(off, 256, 0);
	check_bytes("magic", media(off + 8), "7063616368654578");
	CHECK(!memcmp(media(off + 8), "pcacheEx", 8));
	CHECK(!is_zero(off + 16, 16), "uuid");
	CHECK(is_zero(off + 32, 32), "label");
	CHECK_EQ(word64(off + 64), DISK_BYTES >> SECTOR_SHIFT);
	CHECK(!strcmp((char *)media(off + 72), backing_id));
	CHECK(is_zero(off + 72 + strlen(backing_id), 64 - strlen(backing_id)));
	CHECK_EQ(word(off + 136), 0);
	CHECK_EQ(word(off + 140), 0);
	CHECK_EQ(word(off + 144), state);
	CHECK_EQ(word(off + 148), 0);
	CHECK_EQ(word(off + 152), 0);
	CHECK_EQ(word(off + 156), word(PCACHE_INFO_OFF + 20));
	CHECK(word64(off + 160) != 0 && word64(off + 160) >> 48 == 0, "own_number");
	CHECK(word64(off + 168) > 1700000000, "created");
	CHECK(is_zero(off + 176, 32), "head and tails of an empty log");
	CHECK_EQ(word(off + 208), max(*media(PCACHE_INFO_OFF + 4),
				      *media(PCACHE_INFO_OFF + PCACHE_INFO_STRIDE + 4)));
	if (state == PCACHE_EXT_CLEAN)
		CHECK_EQ(word(off + 212), crc32c(PCACHE_CRC_SEED, media(PCACHE_CTRL_OFF), 64));
	CHECK(is_zero(off + 216, 40), "rest");
}

static void check_formatted(bool crc)
{
	u32 seg;

	check_super_and_info(crc);
	check_tails();
	for (seg = 0; seg < SEGS; seg++)
		check_segment(seg);
}

static void test_format(bool crc)
{
	host_section("format, data_crc %d", crc);
	host_open(&host, CACHE_BYTES, DISK_BYTES);
	host_attach(&host, crc ? "4 data_crc true backing_id disk-7" :
				 "4 data_crc false backing_id disk-7");
	check_formatted(crc);
	check_ext(PCACHE_EXT_OFF, PCACHE_EXT_IN_USE, "disk-7");
	check_ext(PCACHE_EXT_OFF + PCACHE_EXT_STRIDE, PCACHE_EXT_IN_USE, "disk-7");
	host_detach(&host);
	check_formatted(crc);
	check_ext(PCACHE_EXT_OFF, PCACHE_EXT_CLEAN, "disk-7");
	check_ext(PCACHE_EXT_OFF + PCACHE_EXT_STRIDE, PCACHE_EXT_CLEAN, "disk-7");
	/* Attached once more, it is not formatted once more. */
	host_clear_log();
	host_attach(&host, "");
	CHECK(!host_logged("formatting"));
	host_detach(&host);
	check_formatted(crc);
	host_close(&host);
}

/*
 * The log
 */

static u64 number_of(u64 kset)
{
	return word64(kset + 16) >> 16;
}

/* One write with a FLUSH: a kset of one key, at the place of the log's head. */
static void test_kset(bool crc)
{
	static u8 buf[8 * SECTOR_SIZE] __aligned(PAGE_SIZE);
	u64 log = seg_off(0) + PCACHE_SEG_DATA_OFF, key = log + 24, data;
	u64 own;

	host_section("kset, data_crc %d", crc);
	host_open(&host, CACHE_BYTES, DISK_BYTES);
	host_attach(&host, crc ? "2 data_crc true" : "2 data_crc false");
	own = word64(PCACHE_EXT_OFF + 160);
	host_pattern(buf, 1001, 8, 1);
	host_write(&host, 1001, buf, 8);
	host_flush(&host);

	check_crc(log, 24 + 40, 0);
	CHECK_EQ(word(log + 4), 1);
	check_bytes("kset's magic", media(log + 8), "1a4f164ea6946867");
	CHECK_EQ(word64(log + 16) & 0xffff, PCACHE_KSET_EPOCH);
	CHECK_EQ(number_of(log), own);
	CHECK_EQ(word64(key), 1001 * SECTOR_SIZE);
	CHECK_EQ(word(key + 8), 8 * SECTOR_SIZE);
	CHECK_EQ(word(key + 12), 0);
	CHECK(word(key + 16) != 0 && word(key + 16) < SEGS, "segment %u", word(key + 16));
	CHECK_EQ(word64(key + 24), 0);
	CHECK_EQ(word(key + 32), crc ? crc32c(PCACHE_CRC_SEED, buf, sizeof(buf)) : 0);
	CHECK_EQ(word(key + 36), 0);
	CHECK(is_zero(key + 40, 24), "behind the kset");
	data = seg_off(word(key + 16)) + PCACHE_SEG_DATA_OFF + word(key + 20);
	CHECK(!memcmp(media(data), buf, sizeof(buf)));

	host_write(&host, 5, buf, 1);
	host_flush(&host);
	CHECK_EQ(number_of(key + 40), pcache_number_after(own));
	CHECK_EQ(word64(key + 40 + 16) & 0xffff, PCACHE_KSET_EPOCH);
	host_detach(&host);
	CHECK_EQ(word(PCACHE_EXT_OFF + 180), 2 * (24 + 40));
	CHECK_EQ(word64(PCACHE_EXT_OFF + 184), pcache_number_after(own));
	host_close(&host);
}

/* The number behind a kset of mainline's is made of its CRC and the place behind it. */
static void test_number_behind_mainline(void)
{
	struct pcache_kset ks = { .head.crc = cpu_to_le32(0x11223344) };
	struct pcache_pos next = { .seg = 3, .off = 64 };
	__le32 x[3] = { cpu_to_le32(0x11223344), cpu_to_le32(3), cpu_to_le32(64) };
	u64 number = pcache_number_behind_mainline(&ks, &next);

	host_section("numbers");
	CHECK_EQ(number & U32_MAX, crc32c(0x3B15A, x, sizeof(x)));
	CHECK_EQ(number >> 32, crc32c(0xA51B3, x, sizeof(x)) & 0xffff);
	CHECK_EQ(pcache_number_after(1), 2);
	CHECK_EQ(pcache_number_after((1ULL << 48) - 1), 1);
}

/* More of the device than fits is left; the number of segments is the device's. */
static void test_larger_device(void)
{
	host_section("a larger device");
	host_open(&host, CACHE_BYTES + 2 * PCACHE_SEG_BYTES + PAGE_SIZE, DISK_BYTES);
	host_attach(&host, "");
	CHECK_EQ(word(PCACHE_SUPER_OFF + 16), SEGS + 2);
	CHECK_EQ(word(PCACHE_INFO_OFF + 12), SEGS + 2);
	host_detach(&host);
	host_close(&host);
}

int main(void)
{
	host_begin("format-test");
	test_crc_of_structures();
	test_crc_of_slots();
	test_zeroed();
	test_slots();
	test_version();
	test_number_behind_mainline();
	test_format(false);
	test_format(true);
	test_kset(false);
	test_kset(true);
	test_larger_device();
	return host_end();
}

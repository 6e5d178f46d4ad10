// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC-32C as the kernel's library gives it: no inversion at either end. */
#include <linux/compiler.h>
#include <linux/crc32c.h>
#include <linux/string.h>

#define POLY 0x82f63b78u	/* reflected */

static u32 table[256];

static u32 crc_table(u32 crc, const u8 *p, unsigned int len)
{
	while (len--)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

#if defined(__x86_64__)
/*
 * An instruction waits for the result of the one before, so three lanes go side by side.
 * That of what comes first is then moved past the next one: past[] is what so many
 * zeroes make of each byte of a CRC.
 */
#define LANE_BYTES 168		/* three of them are nearly a sector */

static u32 past[4][256];

static void fill_past(void)
{
	static const u8 zeroes[LANE_BYTES];

	for (u32 i = 0; i < 4; i++)
		for (u32 byte = 0; byte < 256; byte++)
			past[i][byte] = crc_table(byte << (8 * i), zeroes, LANE_BYTES);
}

static u32 move_past(u32 crc)
{
	return past[0][crc & 0xff] ^ past[1][crc >> 8 & 0xff] ^ past[2][crc >> 16 & 0xff] ^
	       past[3][crc >> 24];
}

static u64 word_at(const u8 *p)
{
	u64 word;

	memcpy(&word, p, 8);
	return word;
}

__attribute__((__target__("sse4.2")))
static u32 crc_lanes(u32 crc, const u8 *p)
{
	u64 a = crc, b = 0, c = 0;

	for (u32 i = 0; i < LANE_BYTES; i += 8) {
		a = __builtin_ia32_crc32di(a, word_at(p + i));
		b = __builtin_ia32_crc32di(b, word_at(p + i + LANE_BYTES));
		c = __builtin_ia32_crc32di(c, word_at(p + i + 2 * LANE_BYTES));
	}
	return move_past(move_past(a) ^ b) ^ c;
}

__attribute__((__target__("sse4.2")))
static u32 crc_hardware(u32 crc, const u8 *p, unsigned int len)
{
	u64 crc64;

	for (; len >= 3 * LANE_BYTES; p += 3 * LANE_BYTES, len -= 3 * LANE_BYTES)
		crc = crc_lanes(crc, p);
	crc64 = crc;
	for (; len >= 8; p += 8, len -= 8)
		crc64 = __builtin_ia32_crc32di(crc64, word_at(p));
	crc = crc64;
	while (len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

static bool has_hardware(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2");
}
#else
#define crc_hardware crc_table
#define has_hardware() false
#define fill_past() ((void)0)
#endif

static bool hardware;

static void __attribute__((__constructor__)) choose(void)
{
	hardware = has_hardware();
	for (u32 i = 0; i < 256; i++) {
		u32 v = i;

		for (int bit = 0; bit < 8; bit++)
			v = (v >> 1) ^ (v & 1 ? POLY : 0);
		table[i] = v;
	}
	fill_past();
}

u32 crc32c(u32 crc, const void *data, unsigned int len)
{
	return hardware ? crc_hardware(crc, data, len) :
			  crc_table(crc, data, len);
}

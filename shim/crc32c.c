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
__attribute__((__target__("sse4.2")))
static u32 crc_hardware(u32 crc, const u8 *p, unsigned int len)
{
	u64 crc64 = crc, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		crc64 = __builtin_ia32_crc32di(crc64, word);
	}
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
}

u32 crc32c(u32 crc, const void *data, unsigned int len)
{
	return hardware ? crc_hardware(crc, data, len) :
			  crc_table(crc, data, len);
}

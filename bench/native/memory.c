// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DRAM of a cached block of 4 KiB: unique random blocks over half the span, beyond what an
 * empty cache of the same size takes.
 *
 * The linker puts functions before the back end's that know how much is allocated. Each
 * object counts with the size that the kernel's allocator would have for it.
 */
#include <malloc.h>
#include <stdio.h>

#include <linux/log2.h>

#include "native.h"
#include "port.h"

static u64 allocated;

void *__real_port_mem_get(size_t size, size_t align);
void *__wrap_port_mem_get(size_t size, size_t align);
void __real_port_mem_put(void *p);
void __wrap_port_mem_put(void *p);
size_t __wrap_port_mem_size(const void *p);

/* Of kmalloc(); beyond its caches whole pages. */
static u64 kernel_bytes(size_t size)
{
	if (size > 8192)
		return ALIGN(size, BLOCK);
	if (size > 64 && size <= 96)
		return 96;
	if (size > 128 && size <= 192)
		return 192;
	return roundup_pow_of_two(max(size, (size_t)8));
}

/* What was asked for stands at the end of what there is. */
static size_t *size_of(const void *p)
{
	return (size_t *)((char *)p + malloc_usable_size((void *)p)) - 1;
}

void *__wrap_port_mem_get(size_t size, size_t align)
{
	void *p = __real_port_mem_get(size + sizeof(size_t), align);

	*size_of(p) = size;
	__atomic_fetch_add(&allocated, kernel_bytes(size), __ATOMIC_RELAXED);
	return p;
}

void __wrap_port_mem_put(void *p)
{
	if (p)
		__atomic_fetch_sub(&allocated, kernel_bytes(*size_of(p)), __ATOMIC_RELAXED);
	__real_port_mem_put(p);
}

size_t __wrap_port_mem_size(const void *p)
{
	return *size_of(p);
}

u64 memory_bytes(void)
{
	return __atomic_load_n(&allocated, __ATOMIC_RELAXED);
}

static void measure_with(const char *set, const char *text, const char *options, double limit)
{
	const u32 bits = 20, blocks = 1 << (bits - 1);
	u64 fixed, empty, full;
	char name[80], line[100];
	struct cache c;

	cache_open(&c, blocks / SEG_BLOCKS * 5 / 4 + 24, 1 << bits, true);
	fixed = memory_bytes();
	cache_format(&c, options);
	empty = memory_bytes();
	cache_fill(&c, 0, blocks, bits);
	full = memory_bytes();
	snprintf(name, sizeof(name), "memory.%s.extent_bytes", set);
	snprintf(line, sizeof(line), "of an extent%s", text);
	figure_goal(name, line, (double)(full - empty) / blocks, "B", AT_MOST, limit);
	snprintf(name, sizeof(name), "memory.%s.all_bytes", set);
	figure(name, "   the same with all that an empty cache of its size has",
	       (double)(full - fixed) / blocks, "B");
	cache_detach(&c);
	cache_close(&c);
}

void measure_memory(void)
{
	say("\nDRAM: 524,288 unique random blocks of 4 KiB, half the span\n");
	tap_set_stores(STORES_NO_BLOCKS);
	measure_with("plain", "", "8 " STILL, 32);
	tap_set_stores(STORES_CACHED);
	/* A block's data is stored sector by sector: none of it is left out. */
	measure_with("crc", ", with data_crc", "10 data_crc true " STILL, 40);
}

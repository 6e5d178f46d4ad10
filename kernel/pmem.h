/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only stores to the medium, the only fences, and the only reads of it.
 *
 * A store is durable after the next fence of the same CPU. Therefore stores and
 * their fence stand between pmem_begin() and pmem_end(), which keep the task on
 * its CPU (it may still be preempted: another task's stores there do no harm).
 * Stores bypass the CPU cache, so there is nothing to flush; those of data may go through
 * it, a page at a time, and then begin to write its lines back at once.
 */
#ifndef PCACHE_PMEM_H
#define PCACHE_PMEM_H

#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/**
 * pmem_begin() - Begin a run of stores that one fence makes durable.
 */
static inline void pmem_begin(void)
{
	migrate_disable();
}

/**
 * pmem_store() - Store to the medium; durable after the next pmem_fence().
 * @dst: on the medium
 * @src: in memory that nobody changes meanwhile
 * @bytes: how many; a multiple of 4, as is @dst
 */
static __always_inline void pmem_store(void *dst, const void *src, size_t bytes)
{
	memcpy_flushcache(dst, src, bytes);
}

/**
 * pmem_store_page() - Store a page through the CPU's cache; still to be written back.
 * @dst: on the medium, a whole page
 * @src: in memory, a whole page
 */
static inline void pmem_store_page(void *dst, void *src)
{
	copy_page(dst, src);
}

/**
 * pmem_write_back() - Begin to write back what went through the cache.
 * @dst: on the medium
 * @bytes: how many
 *
 * Durable after the next pmem_fence().
 */
static inline void pmem_write_back(void *dst, size_t bytes)
{
	arch_wb_cache_pmem(dst, bytes);
}

/**
 * pmem_fence() - All stores of this CPU before are durable before any after.
 */
static inline void pmem_fence(void)
{
	pmem_wmb();
}

/**
 * pmem_end() - End a run of stores: what it stored is durable now.
 */
static inline void pmem_end(void)
{
	pmem_wmb();
	migrate_enable();
}

/**
 * pmem_read() - Read the medium, safe against media errors.
 * @dst: in memory
 * @src: on the medium
 * @bytes: how many
 *
 * Return: true when all was read; false at a media error, @dst then holds
 * something.
 */
static inline bool pmem_read(void *dst, const void *src, size_t bytes)
{
	return copy_mc_to_kernel(dst, src, bytes) == 0;
}

#endif /* PCACHE_PMEM_H */

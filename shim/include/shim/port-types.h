/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_PORT_TYPES_H
#define SHIM_PORT_TYPES_H

#include <linux/types.h>

/*
 * The part of the seam (port.h) that the kernel's own headers need: they put
 * a lock into their structures and route the stores to persistent memory.
 */
struct port_lock {
	u32 word;		/* 0 is free; the rest is the back end's */
};

static inline bool port_lock_is_locked(const struct port_lock *lock)
{
	return __atomic_load_n(&lock->word, __ATOMIC_RELAXED) != 0;
}

void port_lock(struct port_lock *lock, bool spin);
bool port_trylock(struct port_lock *lock);
void port_unlock(struct port_lock *lock);

void port_page_copy(void *dst, const void *src);
void port_pmem_store(void *dst, const void *src, size_t n);
void port_pmem_flush(const void *addr, size_t n);
void port_pmem_fence(void);
size_t port_pmem_load(void *dst, const void *src, size_t n);

#endif

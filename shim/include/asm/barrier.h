/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_ASM_BARRIER_H
#define SHIM_ASM_BARRIER_H

#include <linux/compiler.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif

/*
 * ThreadSanitizer knows no fences.  It sees one location instead that every
 * barrier changes: stronger than a fence, so it reports no false race.
 */
#ifdef __SANITIZE_THREAD__
extern int shim_fence_word;
#define shim_fence(order) \
	((void)__atomic_fetch_add(&shim_fence_word, 1, __ATOMIC_SEQ_CST))
#else
#define shim_fence(order) __atomic_thread_fence(order)
#endif

#define mb() shim_fence(__ATOMIC_SEQ_CST)
#define rmb() shim_fence(__ATOMIC_ACQUIRE)
#define wmb() shim_fence(__ATOMIC_RELEASE)
#define smp_mb() shim_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() shim_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() shim_fence(__ATOMIC_RELEASE)
#define smp_mb__before_atomic() smp_mb()
#define smp_mb__after_atomic() smp_mb()
#define smp_mb__after_spinlock() smp_mb()
#define smp_load_acquire(p) \
	(shim_atomic_point(1), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define smp_store_release(p, v) \
	(shim_atomic_point(1), \
	 __atomic_store_n(p, (__typeof__(*(p)))(v), __ATOMIC_RELEASE))
#define smp_store_mb(var, value)					\
do {									\
	WRITE_ONCE(var, value);						\
	smp_mb();							\
} while (0)

void port_pmem_fence(void);
#define pmem_wmb() port_pmem_fence()

#endif

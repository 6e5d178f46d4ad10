/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_COMPILER_H
#define SHIM_LINUX_COMPILER_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif
#define noinline __attribute__((__noinline__))
#define __maybe_unused __attribute__((__unused__))
#define __always_unused __attribute__((__unused__))
#define __must_check __attribute__((__warn_unused_result__))
#define __packed __attribute__((__packed__))
#define __aligned(n) __attribute__((__aligned__(n)))
#define __printf(a, b) __attribute__((__format__(__printf__, a, b)))
#define __scanf(a, b) __attribute__((__format__(__scanf__, a, b)))
#define __noreturn __attribute__((__noreturn__))
#define __uninitialized __attribute__((__uninitialized__))
#define __cold __attribute__((__cold__))
#define __weak __attribute__((__weak__))
#ifndef __used
#define __used __attribute__((__used__))
#endif
#define __malloc __attribute__((__malloc__))
#if __has_attribute(__nonstring__)
#define __nonstring __attribute__((__nonstring__))
#else
#define __nonstring
#endif
#define __counted_by(member)
#define __counted_by_le(member)
#define __cacheline_aligned __attribute__((__aligned__(64)))
#define ____cacheline_aligned __attribute__((__aligned__(64)))
#define ____cacheline_aligned_in_smp __attribute__((__aligned__(64)))
#define __read_mostly
#define __ro_after_init
#define fallthrough __attribute__((__fallthrough__))

/* sparse's annotations */
#define __user
#define __iomem
#define __percpu
#define __rcu
#define __force
#define __must_hold(x)
#define __acquires(x)
#define __releases(x)
#define __acquire(x) ((void)0)
#define __release(x) ((void)0)
#define __cond_acquires(x)
#define __cond_lock(x, c) (c)
#define __private

#define barrier() __asm__ __volatile__("" : : : "memory")

/*
 * Where another CPU may come in between: before an atomic operation that changes
 * something, an acquire or a release (1), or a marked load or store (2).  What is
 * compiled with SHIM_ATOMIC_POINTS has points there, if the world wants them.
 */
#ifdef SHIM_ATOMIC_POINTS
extern unsigned int sim_atomic_points;
void sim_point(void);
#define shim_atomic_point(kind) \
	(unlikely((kind) <= sim_atomic_points) ? sim_point() : (void)0)
#else
#define shim_atomic_point(kind) ((void)0)
#endif

/*
 * Relaxed atomics rather than volatile, so that ThreadSanitizer takes a
 * marked access for what it is.
 */
#define READ_ONCE(x) \
	(shim_atomic_point(2), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#define WRITE_ONCE(x, v) \
	(shim_atomic_point(2), \
	 __atomic_store_n(&(x), (__typeof__(x))(v), __ATOMIC_RELAXED))
#define data_race(expr) ({ (expr); })

#define __same_type(a, b) \
	__builtin_types_compatible_p(__typeof__(a), __typeof__(b))

#include <linux/build_bug.h>

#endif

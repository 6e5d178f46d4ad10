/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#include <asm/barrier.h>
#include <linux/compiler.h>
#include <linux/types.h>

/*
 * As in the kernel: an operation that returns a value and has no suffix is
 * fully ordered, one that returns nothing is relaxed.
 */
#define shim_atomic_ops(pfx, type, val)					\
static inline val pfx##_read(const type *v)				\
{									\
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);		\
}									\
static inline val pfx##_read_acquire(const type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);		\
}									\
static inline void pfx##_set(type *v, val i)				\
{									\
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
static inline void pfx##_set_release(type *v, val i)			\
{									\
	shim_atomic_point(1);						\
	__atomic_store_n(&v->counter, i, __ATOMIC_RELEASE);		\
}									\
static inline void pfx##_add(val i, type *v)				\
{									\
	shim_atomic_point(1);						\
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
static inline void pfx##_sub(val i, type *v)				\
{									\
	shim_atomic_point(1);						\
	__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
static inline void pfx##_inc(type *v) { pfx##_add(1, v); }		\
static inline void pfx##_dec(type *v) { pfx##_sub(1, v); }		\
static inline void pfx##_and(val i, type *v)				\
{									\
	shim_atomic_point(1);						\
	__atomic_fetch_and(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
static inline void pfx##_or(val i, type *v)				\
{									\
	shim_atomic_point(1);						\
	__atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED);		\
}									\
static inline val pfx##_fetch_add(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_fetch_add_relaxed(val i, type *v)		\
{									\
	shim_atomic_point(1);						\
	return __atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);	\
}									\
static inline val pfx##_fetch_sub(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_fetch_sub(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_fetch_inc(type *v) { return pfx##_fetch_add(1, v); } \
static inline val pfx##_fetch_dec(type *v) { return pfx##_fetch_sub(1, v); } \
static inline val pfx##_fetch_or(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_fetch_and(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_fetch_and(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_add_return(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_sub_return(val i, type *v)			\
{									\
	shim_atomic_point(1);						\
	return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline val pfx##_inc_return(type *v)				\
{									\
	return pfx##_add_return(1, v);					\
}									\
static inline val pfx##_dec_return(type *v)				\
{									\
	return pfx##_sub_return(1, v);					\
}									\
static inline bool pfx##_dec_and_test(type *v)				\
{									\
	return pfx##_sub_return(1, v) == 0;				\
}									\
static inline bool pfx##_inc_and_test(type *v)				\
{									\
	return pfx##_add_return(1, v) == 0;				\
}									\
static inline bool pfx##_sub_and_test(val i, type *v)			\
{									\
	return pfx##_sub_return(i, v) == 0;				\
}									\
static inline bool pfx##_add_negative(val i, type *v)			\
{									\
	return pfx##_add_return(i, v) < 0;				\
}									\
static inline val pfx##_xchg(type *v, val i)				\
{									\
	shim_atomic_point(1);						\
	return __atomic_exchange_n(&v->counter, i, __ATOMIC_SEQ_CST);	\
}									\
static inline bool pfx##_try_cmpxchg(type *v, val *old, val new_)	\
{									\
	shim_atomic_point(1);						\
	return __atomic_compare_exchange_n(&v->counter, old, new_, false, \
				__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);	\
}									\
static inline bool pfx##_try_cmpxchg_release(type *v, val *old, val new_) \
{									\
	return pfx##_try_cmpxchg(v, old, new_);				\
}									\
static inline val pfx##_cmpxchg(type *v, val old, val new_)		\
{									\
	pfx##_try_cmpxchg(v, &old, new_);				\
	return old;							\
}									\
static inline val pfx##_fetch_add_unless(type *v, val a, val u)		\
{									\
	val c = pfx##_read(v);						\
	do {								\
		if (c == u)						\
			break;						\
	} while (!pfx##_try_cmpxchg(v, &c, c + a));			\
	return c;							\
}									\
static inline bool pfx##_add_unless(type *v, val a, val u)		\
{									\
	return pfx##_fetch_add_unless(v, a, u) != u;			\
}									\
static inline bool pfx##_inc_not_zero(type *v)				\
{									\
	return pfx##_add_unless(v, 1, 0);				\
}									\
static inline val pfx##_dec_if_positive(type *v)			\
{									\
	val c = pfx##_read(v);						\
	do {								\
		if (c - 1 < 0)						\
			break;						\
	} while (!pfx##_try_cmpxchg(v, &c, c - 1));			\
	return c - 1;							\
}

shim_atomic_ops(atomic, atomic_t, int)
shim_atomic_ops(atomic64, atomic64_t, s64)
shim_atomic_ops(atomic_long, atomic_long_t, s64)

#define ATOMIC64_INIT(i) { (i) }
#define ATOMIC_LONG_INIT(i) { (i) }

#define xchg(ptr, v)							\
	(shim_atomic_point(1),						\
	 __atomic_exchange_n(ptr, (__typeof__(*(ptr)))(v), __ATOMIC_SEQ_CST))
#define xchg_relaxed(ptr, v)						\
	(shim_atomic_point(1),						\
	 __atomic_exchange_n(ptr, (__typeof__(*(ptr)))(v), __ATOMIC_RELAXED))
#define cmpxchg(ptr, old, new_)						\
({									\
	__typeof__(*(ptr)) __cx_old = (old);				\
	shim_atomic_point(1);						\
	__atomic_compare_exchange_n(ptr, &__cx_old, new_, false,	\
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
	__cx_old;							\
})
#define cmpxchg64(ptr, old, new_) cmpxchg(ptr, old, new_)
#define try_cmpxchg(ptr, oldp, new_)					\
	(shim_atomic_point(1),						\
	 __atomic_compare_exchange_n(ptr, oldp, new_, false,		\
				     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))

#endif

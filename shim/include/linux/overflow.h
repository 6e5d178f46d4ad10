/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_OVERFLOW_H
#define SHIM_LINUX_OVERFLOW_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/types.h>

#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d) __builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)
#define check_shl_overflow(a, s, d)					\
({									\
	__typeof__(a) __so_a = (a);					\
	unsigned int __so_s = (s);					\
	bool __so_bad = __so_s >= sizeof(*(d)) * 8 || __so_a < 0;	\
	*(d) = __so_bad ? 0 : (__typeof__(*(d)))((u64)__so_a << __so_s); \
	__so_bad || *(d) < 0 || (u64)(*(d)) >> __so_s != (u64)__so_a;	\
})

static inline size_t size_mul(size_t a, size_t b)
{
	size_t n;

	return check_mul_overflow(a, b, &n) ? SIZE_MAX : n;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t n;

	return check_add_overflow(a, b, &n) ? SIZE_MAX : n;
}

#define array_size(a, b) size_mul(a, b)
#define array3_size(a, b, c) size_mul(size_mul(a, b), c)
#define flex_array_size(p, member, n) size_mul(n, sizeof(*(p)->member))
#define struct_size(p, member, n) \
	size_add(sizeof(*(p)), size_mul(n, sizeof(*(p)->member)))
#define struct_size_t(type, member, n) \
	struct_size((type *)NULL, member, n)

#endif

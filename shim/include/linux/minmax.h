/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MINMAX_H
#define SHIM_LINUX_MINMAX_H

#include <linux/compiler.h>
#include <linux/types.h>

/* As in the kernel, mixed signedness is an error unless it cannot matter. */
#define shim_is_signed(x) (((__typeof__(x))(-1)) < (__typeof__(x))1)
#define shim_sign_ok(x, y)						\
	(shim_is_signed(x) == shim_is_signed(y) ||			\
	 shim_nonneg_const(x) || shim_nonneg_const(y) ||		\
	 shim_is_signed((x) + 0) == shim_is_signed((y) + 0))
#define shim_nonneg_const(x)						\
	__builtin_choose_expr(__builtin_constant_p(x), !((u64)(x) >> 63), 0)
#define shim_minmax(x, y, op)						\
({									\
	__auto_type __mm_x = (x);					\
	__auto_type __mm_y = (y);					\
	_Static_assert(shim_sign_ok(x, y), "min/max of mixed signs");	\
	__mm_x op __mm_y ? __mm_x : __mm_y;				\
})
#define min(x, y) shim_minmax(x, y, <)
#define max(x, y) shim_minmax(x, y, >)
#define umin(x, y) min((u64)(x), (u64)(y))
#define umax(x, y) max((u64)(x), (u64)(y))
#define min3(x, y, z) min(min(x, y), z)
#define max3(x, y, z) max(max(x, y), z)
#define min_t(type, x, y)						\
({									\
	type __mt_x = (x);						\
	type __mt_y = (y);						\
	__mt_x < __mt_y ? __mt_x : __mt_y;				\
})
#define max_t(type, x, y)						\
({									\
	type __mt_x = (x);						\
	type __mt_y = (y);						\
	__mt_x > __mt_y ? __mt_x : __mt_y;				\
})
#define min_not_zero(x, y)						\
({									\
	__auto_type __mnz_x = (x);					\
	__auto_type __mnz_y = (y);					\
	__mnz_x == 0 ? __mnz_y :					\
		(__mnz_y == 0 ? __mnz_x : min(__mnz_x, __mnz_y));	\
})
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(type, v, lo, hi) min_t(type, max_t(type, v, lo), hi)
#define clamp_val(v, lo, hi) clamp_t(__typeof__(v), v, lo, hi)
#define swap(a, b)							\
do {									\
	__typeof__(a) __sw_tmp = (a);					\
	(a) = (b);							\
	(b) = __sw_tmp;							\
} while (0)
#define in_range(v, start, len) ((v) - (start) < (len))

#endif

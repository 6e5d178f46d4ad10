/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MATH_H
#define SHIM_LINUX_MATH_H

#include <linux/types.h>
#include <linux/align.h>

#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define DIV_ROUND_DOWN_ULL(n, d) ((u64)(n) / (d))
#define DIV_ROUND_UP_ULL(n, d) (((u64)(n) + (d) - 1) / (d))
#define DIV_ROUND_UP_SECTOR_T(n, d) DIV_ROUND_UP_ULL(n, d)
#define DIV_ROUND_CLOSEST(n, d) (((n) + (d) / 2) / (d))
#define round_up(x, y) ((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))((y) - 1)))
#define roundup(x, y)				\
({						\
	__typeof__(y) __ru_y = (y);		\
	(((x) + (__ru_y - 1)) / __ru_y) * __ru_y; \
})
#define rounddown(x, y)				\
({						\
	__typeof__(x) __rd_x = (x);		\
	__rd_x - (__rd_x % (y));		\
})
#define mult_frac(x, n, d)			\
({						\
	__typeof__(x) __mf_x = (x);		\
	__typeof__(n) __mf_n = (n);		\
	__typeof__(d) __mf_d = (d);		\
	(__mf_x / __mf_d) * __mf_n +		\
		((__mf_x % __mf_d) * __mf_n) / __mf_d; \
})
#define abs(x)					\
({						\
	__auto_type __abs_x = (x);		\
	__abs_x < 0 ? -__abs_x : __abs_x;	\
})
#define abs_diff(a, b)				\
({						\
	__auto_type __ad_a = (a);		\
	__typeof__(__ad_a) __ad_b = (b);	\
	__ad_a > __ad_b ? __ad_a - __ad_b : __ad_b - __ad_a; \
})

unsigned long int_sqrt(unsigned long x);

#endif

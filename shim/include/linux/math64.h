/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MATH64_H
#define SHIM_LINUX_MATH64_H

#include <linux/math.h>

static inline u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
	*rem = n % d;
	return n / d;
}

static inline u64 div64_u64_rem(u64 n, u64 d, u64 *rem)
{
	*rem = n % d;
	return n / d;
}

static inline u64 div_u64(u64 n, u32 d) { return n / d; }
static inline s64 div_s64(s64 n, s32 d) { return n / d; }
static inline u64 div64_u64(u64 n, u64 d) { return n / d; }
static inline s64 div64_s64(s64 n, s64 d) { return n / d; }
static inline u64 div64_ul(u64 n, unsigned long d) { return n / d; }

static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 d)
{
	return (unsigned __int128)a * b / d;
}

static inline u64 mul_u64_u32_div(u64 a, u32 b, u32 d)
{
	return (unsigned __int128)a * b / d;
}

#define do_div(n, base)				\
({						\
	u32 __dd_base = (base);			\
	u32 __dd_rem = (u64)(n) % __dd_base;	\
	(n) = (u64)(n) / __dd_base;		\
	__dd_rem;				\
})

static inline u32 sector_div_shim(sector_t *s, u32 d)
{
	u32 rem = *s % d;

	*s /= d;
	return rem;
}
#define sector_div(s, d) sector_div_shim(&(s), (d))

#endif

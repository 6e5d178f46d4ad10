/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_KTIME_H
#define SHIM_LINUX_KTIME_H

#include <linux/jiffies.h>
#include <linux/types.h>

u64 ktime_get_ns(void);
time64_t ktime_get_real_seconds(void);
u64 ktime_get_real_ns(void);

static inline ktime_t ktime_get(void) { return ktime_get_ns(); }
static inline ktime_t ktime_get_real(void) { return ktime_get_real_ns(); }

static inline time64_t ktime_get_seconds(void)
{
	return ktime_get_ns() / NSEC_PER_SEC;
}

#define ktime_get_boottime_ns() ktime_get_ns()
#define ktime_get_mono_fast_ns() ktime_get_ns()
#define ktime_get_raw_ns() ktime_get_ns()
#define ktime_get_coarse_ns() ktime_get_ns()
#define ktime_to_ns(k) ((s64)(k))
#define ktime_to_us(k) ((s64)(k) / NSEC_PER_USEC)
#define ktime_to_ms(k) ((s64)(k) / NSEC_PER_MSEC)
#define ns_to_ktime(ns) ((ktime_t)(ns))
#define ms_to_ktime(ms) ((ktime_t)(ms) * NSEC_PER_MSEC)
#define ktime_sub(a, b) ((a) - (b))
#define ktime_add(a, b) ((a) + (b))
#define ktime_add_ns(a, b) ((a) + (ktime_t)(b))
#define ktime_add_ms(a, b) ((a) + ms_to_ktime(b))
#define ktime_before(a, b) ((a) < (b))
#define ktime_after(a, b) ((a) > (b))
#define ktime_us_delta(a, b) ktime_to_us((a) - (b))
#define ktime_ms_delta(a, b) ktime_to_ms((a) - (b))

#endif

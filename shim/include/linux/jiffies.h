/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_JIFFIES_H
#define SHIM_LINUX_JIFFIES_H

#include <linux/limits.h>
#include <linux/types.h>

#define HZ 1000UL
#define MSEC_PER_SEC 1000L
#define USEC_PER_MSEC 1000L
#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define USEC_PER_SEC 1000000L
#define NSEC_PER_SEC 1000000000L
#define MAX_JIFFY_OFFSET ((LONG_MAX >> 1) - 1)

/* Wraps five minutes after the clock's start. */
#define INITIAL_JIFFIES (-300UL * HZ)
unsigned long shim_jiffies(void);
#define jiffies shim_jiffies()
#define get_jiffies_64() ((u64)jiffies)

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return (int)ms < 0 ? (unsigned long)MAX_JIFFY_OFFSET : ms;
}

static inline unsigned long usecs_to_jiffies(unsigned int us)
{
	return (us + 999UL) / 1000;
}

static inline unsigned long nsecs_to_jiffies(u64 ns)
{
	return ns / 1000000;
}

static inline unsigned int jiffies_to_msecs(unsigned long j)
{
	return j;
}

static inline unsigned int jiffies_to_usecs(unsigned long j)
{
	return j * 1000;
}

static inline u64 jiffies_to_nsecs(unsigned long j)
{
	return (u64)j * 1000000;
}

#define secs_to_jiffies(s) ((s) * HZ)
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
#define time_in_range(a, b, c) (time_after_eq(a, b) && time_before_eq(a, c))
#define time_is_before_jiffies(a) time_after(jiffies, a)
#define time_is_after_jiffies(a) time_before(jiffies, a)
#define time_is_before_eq_jiffies(a) time_after_eq(jiffies, a)
#define time_is_after_eq_jiffies(a) time_before_eq(jiffies, a)
#define round_jiffies_relative(j) (j)
#define round_jiffies_up_relative(j) (j)
#define round_jiffies(j) (j)

#endif

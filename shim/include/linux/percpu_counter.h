/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PERCPU_COUNTER_H
#define SHIM_LINUX_PERCPU_COUNTER_H

#include <linux/atomic.h>
#include <linux/gfp.h>

struct percpu_counter {
	atomic64_t count;
};

static inline int percpu_counter_init(struct percpu_counter *c, s64 n,
				      gfp_t gfp)
{
	(void)gfp;
	atomic64_set(&c->count, n);
	return 0;
}

static inline void percpu_counter_destroy(struct percpu_counter *c)
{
	(void)c;
}

static inline void percpu_counter_add(struct percpu_counter *c, s64 n)
{
	atomic64_add(n, &c->count);
}

static inline s64 percpu_counter_sum(struct percpu_counter *c)
{
	return atomic64_read(&c->count);
}

#define percpu_counter_inc(c) percpu_counter_add(c, 1)
#define percpu_counter_dec(c) percpu_counter_add(c, -1)
#define percpu_counter_sub(c, n) percpu_counter_add(c, -(s64)(n))
#define percpu_counter_read(c) percpu_counter_sum(c)
#define percpu_counter_read_positive(c) percpu_counter_sum(c)
#define percpu_counter_sum_positive(c) percpu_counter_sum(c)

#endif

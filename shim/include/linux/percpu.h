/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PERCPU_H
#define SHIM_LINUX_PERCPU_H

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/smp.h>

/*
 * The slots of one allocation lie a fixed distance apart, so that the address
 * of a member in the first one leads to that member in any other.  Several
 * threads may share a CPU number: the this_cpu_ operations are atomic, and
 * what is reached through this_cpu_ptr() needs a lock if it is changed.
 */
#define SHIM_PERCPU_STRIDE (4096 + 64)

void *shim_alloc_percpu(size_t size, gfp_t gfp);
void free_percpu(void *p);

#define alloc_percpu_gfp(type, gfp)					\
({									\
	_Static_assert(sizeof(type) <= SHIM_PERCPU_STRIDE, "percpu size"); \
	(type *)shim_alloc_percpu(sizeof(type), gfp);			\
})
#define alloc_percpu(type) alloc_percpu_gfp(type, GFP_KERNEL)
#define __alloc_percpu(size, align) shim_alloc_percpu(size, GFP_KERNEL)

#define per_cpu_ptr(p, cpu) \
	((__typeof__(p))((char *)(p) + SHIM_PERCPU_STRIDE * (size_t)(cpu)))
#define raw_cpu_ptr(p) per_cpu_ptr(p, raw_smp_processor_id())
#define this_cpu_ptr(p) per_cpu_ptr(p, smp_processor_id())
#define get_cpu_ptr(p) ({ preempt_disable(); this_cpu_ptr(p); })
#define put_cpu_ptr(p) ((void)(p), preempt_enable())

#define this_cpu_add(v, n) \
	((void)__atomic_fetch_add(raw_cpu_ptr(&(v)), n, __ATOMIC_RELAXED))
#define this_cpu_sub(v, n) \
	((void)__atomic_fetch_sub(raw_cpu_ptr(&(v)), n, __ATOMIC_RELAXED))
#define this_cpu_inc(v) this_cpu_add(v, 1)
#define this_cpu_dec(v) this_cpu_sub(v, 1)
#define this_cpu_read(v) __atomic_load_n(raw_cpu_ptr(&(v)), __ATOMIC_RELAXED)
#define this_cpu_write(v, n) \
	__atomic_store_n(raw_cpu_ptr(&(v)), n, __ATOMIC_RELAXED)
#define this_cpu_add_return(v, n) \
	__atomic_add_fetch(raw_cpu_ptr(&(v)), n, __ATOMIC_RELAXED)
#define this_cpu_inc_return(v) this_cpu_add_return(v, 1)
#define raw_cpu_add(v, n) this_cpu_add(v, n)
#define raw_cpu_inc(v) this_cpu_inc(v)
#define __this_cpu_add(v, n) this_cpu_add(v, n)
#define __this_cpu_inc(v) this_cpu_inc(v)

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_LOCAL_LOCK_H
#define SHIM_LINUX_LOCAL_LOCK_H

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <shim/port-types.h>

/*
 * A lock of a CPU's own. Several threads may share a CPU number, so there is a lock
 * indeed; its holder may not sleep, as in a kernel that is preempted nowhere else.
 */
typedef struct {
	struct port_lock lock;
} local_lock_t;

#define local_lock_init(l) ((void)(*(l) = (local_lock_t) { 0 }))

static inline void shim_local_lock(local_lock_t *first)
{
	preempt_disable();
	port_lock(&this_cpu_ptr(first)->lock, true);
}

static inline void shim_local_unlock(local_lock_t *first)
{
	port_unlock(&this_cpu_ptr(first)->lock);
	preempt_enable();
}

#define local_lock(l) shim_local_lock(l)
#define local_unlock(l) shim_local_unlock(l)

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host (a test, a simulator, a server) may ask of the shim besides the
 * kernel's interface.
 */
#ifndef SHIM_HOST_H
#define SHIM_HOST_H

#include <linux/types.h>

struct task_struct;

/* Where log lines go; @level as in KERN_.  NULL: to stderr. */
typedef void (*shim_log_fn)(void *data, int level, const char *text);
void shim_set_log(shim_log_fn fn, void *data);

/* How many WARN_ON() struck since the last shim_clear_warnings(). */
unsigned int shim_warnings(void);
void shim_clear_warnings(void);

/* How many CPUs there are; before anything else, at most NR_CPUS. */
void shim_set_cpus(unsigned int n);

/* Objects that are allocated now: kmalloc, slabs, pages, vmalloc, percpu. */
long shim_allocations(void);

/* Timers that are armed and work items that are queued or run. */
unsigned int shim_scheduled(void);

/* A task of the host's.  It must hold nothing when @fn returns. */
struct task_struct *shim_spawn(const char *name, void (*fn)(void *),
			       void *arg);
void shim_join(struct task_struct *task);

/* A fatal signal for @task: what waits interruptibly or killably gives up. */
void shim_signal(struct task_struct *task, bool pending);

/* What a back end puts around the completion of I/O. */
void shim_irq_enter(void);
void shim_irq_exit(void);

/*
 * Ends the shim's own tasks (workers, timers); they start again on demand.
 * All work queues but the system's must be gone.
 */
void shim_stop(void);

/* Forgets the classes and the order of locks: for a host that begins anew. */
void shim_forget_lock_order(void);

#endif

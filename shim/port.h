/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * THE SEAM.  The shim (every other file of this folder) turns the kernel's
 * interface into the few functions below, and one back end, chosen at link
 * time, fills them: port-threads.c with pthreads and real files and memory, a
 * simulator with one thread and a seeded scheduler.
 *
 * What a back end must guarantee:
 *
 * Tasks.  Whatever runs is a struct task_struct, and shim_task (thread local)
 * is the one that runs here; the back end sets it before a task's function is
 * called and whenever it switches.  task->cpu is below nr_cpu_ids and may
 * change only while task->no_migrate, task->preempt, task->hardirq,
 * task->softirq and task->irq_disabled are all 0.  A thread that the back end
 * did not start becomes a task at its first use of the shim.
 *
 * Sleeping.  Each task has one permit, at first absent.  port_unpark() gives
 * it, twice is once.  port_park() takes it, waiting for it until the deadline;
 * it may also return early, so that every caller looks at its condition in a
 * loop.  What was stored before port_unpark() is seen after the port_park()
 * that took the permit.  port_unpark() may be called in any context and never
 * waits; its task lives at least until its wait is over.  There are no timers
 * in the seam: timer.c is a task that parks with a deadline.
 *
 * Locks.  A zeroed struct port_lock is free.  Locking acquires and unlocking
 * releases in the sense of C11.  @spin tells a spinlock (held briefly, by a
 * task that does not sleep) from a mutex (its holder may park).  The shim has
 * checked owner, order and context before it calls; a back end that runs one
 * task at a time lets another one run until the lock is free.  The task that
 * unlocks may have freed the memory around the lock by the time a second task
 * is in port_lock() no more; the back end must not look at a lock after it has
 * released it.
 *
 * Points.  A deterministic back end may switch tasks in every function here
 * except the clock and port_random(), also in atomic context: the rules of the
 * kernel (a spinlock's holder and its contender are on different CPUs) are
 * kept by the locks themselves.  port_yield() does nothing else.
 *
 * Clock.  port_now_ns() never goes back and begins anywhere; port_real_ns()
 * counts from 1970.  A virtual clock may stand still until all tasks are
 * parked.
 *
 * Memory.  port_mem_get() gives memory, aligned as asked (to a power of two of
 * at least 16), or ends the program; port_mem_put() takes it back, and
 * port_mem_size() says how much may be used.  port_alloc_fails() is asked before
 * each allocation of the kernel's that may fail: true makes it fail.  It is
 * never asked with __GFP_NOFAIL.
 *
 * Persistent memory.  port_pmem_store() stores past the caches (it may do so
 * in any order of the 8-byte words), port_page_copy() copies a page through them,
 * to any memory, port_pmem_flush() begins to write cached lines back,
 * port_pmem_fence() returns when both are durable for what the current CPU
 * stored and flushed; nothing else is a fence.  port_pmem_load()
 * copies and returns how many bytes at the end it could not read because of a
 * media error, 0 if all went well; it takes addresses outside of persistent
 * memory, too.
 *
 * Block devices.  port_bio_submit() gets a bio whose sectors are within the
 * device and aligned to its logical blocks, with bi_bdev->port the back end's
 * own.  It must not call bio_endio() itself: it queues, and later a task of
 * the back end, between shim_irq_enter() and shim_irq_exit(), sets bi_status
 * and calls bio_endio() once.  It honours REQ_PREFLUSH before and REQ_FUA
 * after the data as a disk would.  A bio without data and with REQ_PREFLUSH
 * is a flush: it covers every write whose bio_endio() was called before the
 * submission.  Until bio_endio() the bio's memory is the back end's; after it,
 * nothing of the bio is.
 *
 * End.  port_panic() does not return: a rule has been broken, and the message
 * is in the log.
 */
#ifndef SHIM_PORT_H
#define SHIM_PORT_H

#include <linux/types.h>
#include <shim/port-types.h>
#include <shim/task.h>

struct bio;

#define PORT_FOREVER (~0ULL)

void port_task_start(struct task_struct *task, void (*fn)(void *), void *arg);
void port_task_join(struct task_struct *task);
void port_task_adopt(struct task_struct *task);

void port_park(u64 deadline_ns);
void port_unpark(struct task_struct *task);
void port_yield(void);
/* The current task may go on on another CPU, if nothing else keeps it on its own. */
void port_unpinned(void);

u64 port_now_ns(void);
u64 port_real_ns(void);
void port_random(void *buf, size_t len);

void *port_mem_get(size_t size, size_t align);
void port_mem_put(void *p);
size_t port_mem_size(const void *p);
bool port_alloc_fails(gfp_t gfp, size_t size);

void port_bio_submit(struct bio *bio);

void port_panic(void) __attribute__((__noreturn__));

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_SCHED_H
#define SHIM_LINUX_SCHED_H

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/types.h>
#include <shim/task.h>

#define current shim_current()

#define TASK_RUNNING 0x0
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_WAKEKILL 0x100
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_IDLE TASK_UNINTERRUPTIBLE
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)
#define TASK_COMM_LEN 16
#define MAX_SCHEDULE_TIMEOUT ((long)(~0UL >> 1))

#define PF_WQ_WORKER 0x00000020
#define PF_MEMALLOC 0x00000800
#define PF_MEMALLOC_NOFS 0x00040000
#define PF_MEMALLOC_NOIO 0x00080000
#define PF_LOCAL_THROTTLE 0x00100000
#define PF_KTHREAD 0x00200000

void schedule(void);
void io_schedule(void);
long schedule_timeout(long timeout);
long schedule_timeout_uninterruptible(long timeout);
long schedule_timeout_interruptible(long timeout);
int wake_up_process(struct task_struct *task);

#define set_current_state(s) smp_store_mb(current->state, s)
#define __set_current_state(s) WRITE_ONCE(current->state, s)

bool signal_pending(struct task_struct *task);
#define fatal_signal_pending(task) signal_pending(task)

void cond_resched(void);
#define yield() cond_resched()
#define need_resched() false
#define task_pid_nr(task) ((task)->id)

static inline unsigned int current_flags_set_shim(unsigned int flags)
{
	unsigned int old = current->flags & flags;

	current->flags |= flags;
	return old;
}

static inline void current_restore_flags(unsigned long orig,
					 unsigned long flags)
{
	current->flags = (current->flags & ~flags) | (orig & flags);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_WAIT_H
#define SHIM_LINUX_WAIT_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

typedef struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
} wait_queue_head_t;

struct wait_queue_entry;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry,
				 unsigned int mode, int flags, void *key);

typedef struct wait_queue_entry {
	unsigned int flags;
	void *private;
	wait_queue_func_t func;
	struct list_head entry;
} wait_queue_entry_t;

#define WQ_FLAG_EXCLUSIVE 0x01

int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode,
			     int flags, void *key);
int default_wake_function(struct wait_queue_entry *entry, unsigned int mode,
			  int flags, void *key);

#define __WAIT_QUEUE_HEAD_INITIALIZER(name)			\
{								\
	.lock = __SPIN_LOCK_UNLOCKED(name.lock),		\
	.head = LIST_HEAD_INIT((name).head),			\
}
#define DECLARE_WAIT_QUEUE_HEAD(name) \
	wait_queue_head_t name = __WAIT_QUEUE_HEAD_INITIALIZER(name)
#define DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name) DECLARE_WAIT_QUEUE_HEAD(name)
#define DEFINE_WAIT_FUNC(name, function)			\
	struct wait_queue_entry name = {			\
		.private = current,				\
		.func = (function),				\
		.entry = LIST_HEAD_INIT((name).entry),		\
	}
#define DEFINE_WAIT(name) DEFINE_WAIT_FUNC(name, autoremove_wake_function)
#define DECLARE_WAITQUEUE(name, task)				\
	struct wait_queue_entry name = {			\
		.private = (task),				\
		.func = default_wake_function,			\
		.entry = LIST_HEAD_INIT((name).entry),		\
	}

void shim_init_waitqueue(struct wait_queue_head *wq, const char *name,
			 struct lock_class_key *key);
#define init_waitqueue_head(wq)						\
do {									\
	static struct lock_class_key __key;				\
	shim_init_waitqueue(wq, #wq, &__key);				\
} while (0)

void init_wait_entry(struct wait_queue_entry *entry, int flags);
void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e);
void add_wait_queue_exclusive(struct wait_queue_head *wq,
			      struct wait_queue_entry *e);
void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e);
void __add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e);
void __remove_wait_queue(struct wait_queue_head *wq,
			 struct wait_queue_entry *e);
void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *e,
		     int state);
bool prepare_to_wait_exclusive(struct wait_queue_head *wq,
			       struct wait_queue_entry *e, int state);
long prepare_to_wait_event(struct wait_queue_head *wq,
			   struct wait_queue_entry *e, int state);
void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *e);
void shim_wake_up(struct wait_queue_head *wq, unsigned int mode, int nr);
void shim_wake_up_locked(struct wait_queue_head *wq, unsigned int mode,
			 int nr);

#define wake_up(wq) shim_wake_up(wq, TASK_NORMAL, 1)
#define wake_up_nr(wq, nr) shim_wake_up(wq, TASK_NORMAL, nr)
#define wake_up_all(wq) shim_wake_up(wq, TASK_NORMAL, 0)
#define wake_up_interruptible(wq) shim_wake_up(wq, TASK_INTERRUPTIBLE, 1)
#define wake_up_interruptible_all(wq) shim_wake_up(wq, TASK_INTERRUPTIBLE, 0)
#define wake_up_locked(wq) shim_wake_up_locked(wq, TASK_NORMAL, 1)
#define wake_up_all_locked(wq) shim_wake_up_locked(wq, TASK_NORMAL, 0)

static inline int waitqueue_active(struct wait_queue_head *wq)
{
	return !list_empty(&wq->head);
}

static inline bool wq_has_sleeper(struct wait_queue_head *wq)
{
	smp_mb();
	return waitqueue_active(wq);
}

/* Sleeps by @sleep until @cond; gives 0, or -ERESTARTSYS after a signal. */
#define shim_wait(wq, cond, state, exclusive, sleep)			\
({									\
	struct wait_queue_entry __sw_entry;				\
	long __sw_ret = 0;						\
	init_wait_entry(&__sw_entry, exclusive);			\
	for (;;) {							\
		long __sw_int =						\
			prepare_to_wait_event(&(wq), &__sw_entry, state); \
		if (cond)						\
			break;						\
		if (__sw_int) {						\
			__sw_ret = __sw_int;				\
			break;						\
		}							\
		sleep;							\
	}								\
	finish_wait(&(wq), &__sw_entry);				\
	__sw_ret;							\
})

#define wait_event(wq, cond)						\
do {									\
	might_sleep();							\
	if (!(cond))							\
		shim_wait(wq, cond, TASK_UNINTERRUPTIBLE, 0, schedule()); \
} while (0)
#define io_wait_event(wq, cond) wait_event(wq, cond)
#define wait_event_exclusive_cmd(wq, cond, c1, c2)			\
do {									\
	if (!(cond))							\
		shim_wait(wq, cond, TASK_UNINTERRUPTIBLE,		\
			  WQ_FLAG_EXCLUSIVE, c1; schedule(); c2);	\
} while (0)
#define shim_wait_signal(wq, cond, state, exclusive)			\
({									\
	might_sleep();							\
	(int)((cond) ? 0 :						\
	      shim_wait(wq, cond, state, exclusive, schedule()));	\
})
#define wait_event_interruptible(wq, cond) \
	shim_wait_signal(wq, cond, TASK_INTERRUPTIBLE, 0)
#define wait_event_interruptible_exclusive(wq, cond) \
	shim_wait_signal(wq, cond, TASK_INTERRUPTIBLE, WQ_FLAG_EXCLUSIVE)
#define wait_event_killable(wq, cond) \
	shim_wait_signal(wq, cond, TASK_KILLABLE, 0)
#define wait_event_killable_exclusive(wq, cond) \
	shim_wait_signal(wq, cond, TASK_KILLABLE, WQ_FLAG_EXCLUSIVE)
#define wait_event_idle(wq, cond) wait_event(wq, cond)
#define wait_event_idle_exclusive(wq, cond)				\
do {									\
	might_sleep();							\
	if (!(cond))							\
		shim_wait(wq, cond, TASK_UNINTERRUPTIBLE,		\
			  WQ_FLAG_EXCLUSIVE, schedule());		\
} while (0)

/* 0 if @timeout passed without @cond, otherwise what is left, at least 1. */
#define shim_wait_timeout(wq, cond, state, timeout)			\
({									\
	long __st_left = (timeout);					\
	bool __st_cond;							\
	long __st_ret;							\
	might_sleep();							\
	__st_ret = shim_wait(wq, (__st_cond = (cond)) || !__st_left,	\
			     state, 0,					\
			     __st_left = schedule_timeout(__st_left));	\
	__st_ret ? __st_ret :						\
		__st_cond ? (__st_left ? __st_left : 1) : 0;		\
})
#define wait_event_timeout(wq, cond, timeout) \
	shim_wait_timeout(wq, cond, TASK_UNINTERRUPTIBLE, timeout)
#define wait_event_idle_timeout(wq, cond, timeout) \
	wait_event_timeout(wq, cond, timeout)
#define wait_event_interruptible_timeout(wq, cond, timeout) \
	shim_wait_timeout(wq, cond, TASK_INTERRUPTIBLE, timeout)
#define wait_event_killable_timeout(wq, cond, timeout) \
	shim_wait_timeout(wq, cond, TASK_KILLABLE, timeout)

/* @lock is held when @cond is looked at and when these return. */
#define wait_event_lock_irq(wq, cond, lock)				\
do {									\
	if (!(cond))							\
		shim_wait(wq, cond, TASK_UNINTERRUPTIBLE, 0,		\
			  spin_unlock_irq(&(lock)); schedule();		\
			  spin_lock_irq(&(lock)));			\
} while (0)
#define wait_event_interruptible_lock_irq(wq, cond, lock)		\
	((int)((cond) ? 0 :						\
	       shim_wait(wq, cond, TASK_INTERRUPTIBLE, 0,		\
			 spin_unlock_irq(&(lock)); schedule();		\
			 spin_lock_irq(&(lock)))))

#endif

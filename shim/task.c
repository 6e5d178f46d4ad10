// SPDX-License-Identifier: GPL-2.0-or-later
/* Tasks, sleeping, wait queues and completions. */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

__thread struct task_struct *shim_task;

static int last_id;

struct spawn {
	struct task_struct *task;
	void (*fn)(void *arg);
	void *arg;
};

static void name_task(struct task_struct *task, const char *name)
{
	task->id = __atomic_fetch_add(&last_id, 1, __ATOMIC_RELAXED);
	task->cpu = task->id % nr_cpu_ids;
	strscpy(task->comm, name, sizeof(task->comm));
}

struct task_struct *shim_adopt_thread(void)
{
	/* Thread local, so that it needs no one to free it. */
	static __thread struct task_struct task;

	shim_task = &task;
	name_task(&task, "host");
	port_task_adopt(&task);
	return &task;
}

static void run_spawned(void *arg)
{
	struct spawn *spawn = arg;

	spawn->fn(spawn->arg);
	shim_task_exit_check(current);
	port_mem_put(spawn);
}

struct task_struct *shim_spawn(const char *name, void (*fn)(void *), void *arg)
{
	struct task_struct *task = port_mem_get(sizeof(*task), 64);
	struct spawn *spawn = port_mem_get(sizeof(*spawn), 16);

	memset(task, 0, sizeof(*task));
	name_task(task, name);
	*spawn = (struct spawn) { .task = task, .fn = fn, .arg = arg };
	port_task_start(task, run_spawned, spawn);
	return task;
}

void shim_join(struct task_struct *task)
{
	port_task_join(task);
	port_mem_put(task);
}

/* Sleeping */

static void sleep_until(u64 deadline_ns)
{
	struct task_struct *task = current;

	if (in_atomic() || irqs_disabled())
		shim_bug("scheduling in atomic context");
	shim_worker_sleeps();
	while (READ_ONCE(task->state) != TASK_RUNNING) {
		port_park(deadline_ns);
		if (deadline_ns != PORT_FOREVER &&
		    port_now_ns() >= deadline_ns)
			WRITE_ONCE(task->state, TASK_RUNNING);
	}
	smp_mb();
	shim_worker_wakes();
}

void schedule(void)
{
	if (READ_ONCE(current->state) == TASK_RUNNING)
		port_yield();
	else
		sleep_until(PORT_FOREVER);
}

void io_schedule(void)
{
	schedule();
}

long schedule_timeout(long timeout)
{
	u64 now = port_now_ns(), deadline = now + jiffies_to_nsecs(timeout);

	if (timeout < 0)
		shim_bug("schedule_timeout(%ld)", timeout);
	if (timeout > MAX_JIFFY_OFFSET / NSEC_PER_SEC) {
		schedule();
		return timeout;
	}
	sleep_until(deadline);
	now = port_now_ns();
	return now < deadline ? (long)((deadline - now) / NSEC_PER_MSEC) : 0;
}

long schedule_timeout_uninterruptible(long timeout)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	return schedule_timeout(timeout);
}

long schedule_timeout_interruptible(long timeout)
{
	__set_current_state(TASK_INTERRUPTIBLE);
	return schedule_timeout(timeout);
}

void msleep(unsigned int ms)
{
	schedule_timeout_uninterruptible(msecs_to_jiffies(ms));
}

void usleep_range(unsigned long min_us, unsigned long max_us)
{
	__set_current_state(TASK_UNINTERRUPTIBLE);
	sleep_until(port_now_ns() + min_us * NSEC_PER_USEC);
}

void cond_resched(void)
{
	port_yield();
}

static int wake_task(struct task_struct *task, unsigned int mode)
{
	unsigned int state;

	smp_mb();
	state = READ_ONCE(task->state);
	do {
		if (!(state & mode))
			return 0;
	} while (!try_cmpxchg(&task->state, &state, TASK_RUNNING));
	port_unpark(task);
	return 1;
}

int wake_up_process(struct task_struct *task)
{
	return wake_task(task, TASK_NORMAL);
}

bool signal_pending(struct task_struct *task)
{
	return READ_ONCE(task->signal);
}

void shim_signal(struct task_struct *task, bool pending)
{
	WRITE_ONCE(task->signal, pending);
	if (pending)
		wake_task(task, TASK_INTERRUPTIBLE | TASK_WAKEKILL);
}

static bool must_give_up(int state)
{
	return (state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) &&
	       signal_pending(current);
}

/*
 * Wait queues.  Their lock is taken past lock.c: it is the innermost of all,
 * and the code below takes nothing inside it.
 */

void shim_init_waitqueue(struct wait_queue_head *wq, const char *name,
			 struct lock_class_key *key)
{
	shim_spin_init(&wq->lock, name, key);
	INIT_LIST_HEAD(&wq->head);
}

int default_wake_function(struct wait_queue_entry *entry, unsigned int mode,
			  int flags, void *key)
{
	return wake_task(entry->private, mode);
}

int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode,
			     int flags, void *key)
{
	int woken = wake_task(entry->private, mode);

	if (woken)
		list_del_init(&entry->entry);
	return woken;
}

void init_wait_entry(struct wait_queue_entry *entry, int flags)
{
	entry->flags = flags;
	entry->private = current;
	entry->func = autoremove_wake_function;
	INIT_LIST_HEAD(&entry->entry);
}

void __add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	list_add(&e->entry, &wq->head);
}

void __remove_wait_queue(struct wait_queue_head *wq,
			 struct wait_queue_entry *e)
{
	list_del(&e->entry);
}

void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	port_lock(&wq->lock.lock, true);
	e->flags &= ~WQ_FLAG_EXCLUSIVE;
	__add_wait_queue(wq, e);
	port_unlock(&wq->lock.lock);
}

void add_wait_queue_exclusive(struct wait_queue_head *wq,
			      struct wait_queue_entry *e)
{
	port_lock(&wq->lock.lock, true);
	e->flags |= WQ_FLAG_EXCLUSIVE;
	list_add_tail(&e->entry, &wq->head);
	port_unlock(&wq->lock.lock);
}

void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	port_lock(&wq->lock.lock, true);
	__remove_wait_queue(wq, e);
	port_unlock(&wq->lock.lock);
}

/* Those that are not exclusive stand in front, as wake-ups expect. */
static void queue_entry(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	if (!list_empty(&e->entry))
		return;
	if (e->flags & WQ_FLAG_EXCLUSIVE)
		list_add_tail(&e->entry, &wq->head);
	else
		list_add(&e->entry, &wq->head);
}

void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *e,
		     int state)
{
	e->flags &= ~WQ_FLAG_EXCLUSIVE;
	port_lock(&wq->lock.lock, true);
	queue_entry(wq, e);
	set_current_state(state);
	port_unlock(&wq->lock.lock);
}

bool prepare_to_wait_exclusive(struct wait_queue_head *wq,
			       struct wait_queue_entry *e, int state)
{
	bool first;

	e->flags |= WQ_FLAG_EXCLUSIVE;
	port_lock(&wq->lock.lock, true);
	first = list_empty(&wq->head);
	queue_entry(wq, e);
	set_current_state(state);
	port_unlock(&wq->lock.lock);
	return first;
}

long prepare_to_wait_event(struct wait_queue_head *wq,
			   struct wait_queue_entry *e, int state)
{
	long ret = 0;

	port_lock(&wq->lock.lock, true);
	if (must_give_up(state)) {
		/* An exclusive wake-up must not end here: let it go by. */
		list_del_init(&e->entry);
		ret = -ERESTARTSYS;
	} else {
		queue_entry(wq, e);
		set_current_state(state);
	}
	port_unlock(&wq->lock.lock);
	return ret;
}

void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	__set_current_state(TASK_RUNNING);
	port_lock(&wq->lock.lock, true);
	if (!list_empty(&e->entry))
		list_del_init(&e->entry);
	port_unlock(&wq->lock.lock);
}

void shim_wake_up_locked(struct wait_queue_head *wq, unsigned int mode, int nr)
{
	struct wait_queue_entry *e, *next;

	list_for_each_entry_safe(e, next, &wq->head, entry) {
		bool exclusive = e->flags & WQ_FLAG_EXCLUSIVE;

		if (e->func(e, mode, 0, NULL) && exclusive && !--nr)
			break;
	}
}

void shim_wake_up(struct wait_queue_head *wq, unsigned int mode, int nr)
{
	port_lock(&wq->lock.lock, true);
	shim_wake_up_locked(wq, mode, nr);
	port_unlock(&wq->lock.lock);
}

/* Completions: done, and who waits for it, under the queue's lock */

void init_completion(struct completion *c)
{
	c->done = 0;
	init_waitqueue_head(&c->wait);
}

void reinit_completion(struct completion *c)
{
	WRITE_ONCE(c->done, 0);
}

void complete(struct completion *c)
{
	port_lock(&c->wait.lock.lock, true);
	if (c->done != UINT_MAX)
		c->done++;
	shim_wake_up_locked(&c->wait, TASK_NORMAL, 1);
	port_unlock(&c->wait.lock.lock);
}

void complete_all(struct completion *c)
{
	port_lock(&c->wait.lock.lock, true);
	c->done = UINT_MAX;
	shim_wake_up_locked(&c->wait, TASK_NORMAL, 0);
	port_unlock(&c->wait.lock.lock);
}

bool try_wait_for_completion(struct completion *c)
{
	bool done;

	port_lock(&c->wait.lock.lock, true);
	done = c->done;
	if (done && c->done != UINT_MAX)
		c->done--;
	port_unlock(&c->wait.lock.lock);
	return done;
}

bool completion_done(struct completion *c)
{
	bool done;

	port_lock(&c->wait.lock.lock, true);
	done = c->done;
	port_unlock(&c->wait.lock.lock);
	return done;
}

void wait_for_completion(struct completion *c)
{
	might_sleep();
	shim_wait(c->wait, try_wait_for_completion(c), TASK_UNINTERRUPTIBLE,
		  WQ_FLAG_EXCLUSIVE, schedule());
}

void wait_for_completion_io(struct completion *c)
{
	wait_for_completion(c);
}

int wait_for_completion_interruptible(struct completion *c)
{
	might_sleep();
	return shim_wait(c->wait, try_wait_for_completion(c),
			 TASK_INTERRUPTIBLE, WQ_FLAG_EXCLUSIVE, schedule());
}

int wait_for_completion_killable(struct completion *c)
{
	might_sleep();
	return shim_wait(c->wait, try_wait_for_completion(c), TASK_KILLABLE,
			 WQ_FLAG_EXCLUSIVE, schedule());
}

unsigned long wait_for_completion_timeout(struct completion *c,
					  unsigned long timeout)
{
	return wait_event_timeout(c->wait, try_wait_for_completion(c),
				  (long)timeout);
}

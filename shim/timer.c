// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Timers: a list in the order of expiry, and a task that sleeps until the
 * first is due and runs it as a softirq would.  The task is started by the
 * first timer that is armed.
 */
#include <linux/bug.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

static struct port_lock lock;
static LIST_HEAD(armed);		/* by expiry; under lock */
static unsigned int nr_armed;
static struct timer_list *running;
static struct task_struct *task;
static bool stopping;
static DECLARE_WAIT_QUEUE_HEAD(idle);	/* nothing is running any more */

static u64 due_ns(unsigned long expires)
{
	long left = expires - jiffies;

	if (left <= 0)
		return 0;
	if (left > 1L << 40)
		return PORT_FOREVER;
	/* The first moment at which jiffies has the value. */
	return (u64)(expires - INITIAL_JIFFIES) * (NSEC_PER_SEC / HZ);
}

static void run_timer(struct timer_list *timer)
{
	void (*function)(struct timer_list *) = timer->function;

	list_del_init(&timer->entry);
	WRITE_ONCE(timer->armed, false);
	WRITE_ONCE(nr_armed, nr_armed - 1);
	running = timer;
	port_unlock(&lock);
	current->softirq++;
	function(timer);
	current->softirq--;
	if (current->preempt || current->nr_held)
		shim_bug("a timer's function ends in atomic context");
	port_lock(&lock, true);
	running = NULL;
	wake_up_all(&idle);
}

static void timer_task(void *arg)
{
	port_lock(&lock, true);
	while (!stopping) {
		struct timer_list *first;
		u64 deadline = PORT_FOREVER;

		first = list_first_entry_or_null(&armed, struct timer_list,
						 entry);
		if (first) {
			if (time_before_eq(first->expires, jiffies)) {
				run_timer(first);
				continue;
			}
			deadline = due_ns(first->expires);
		}
		port_unlock(&lock);
		port_park(deadline);
		port_lock(&lock, true);
	}
	port_unlock(&lock);
}

void shim_timer_setup(struct timer_list *timer,
		      void (*function)(struct timer_list *), u32 flags)
{
	INIT_LIST_HEAD(&timer->entry);
	timer->function = function;
	timer->flags = flags;
	timer->armed = false;
	timer->shutdown = false;
}

static void arm(struct timer_list *timer, unsigned long expires)
{
	struct list_head *pos;

	timer->expires = expires;
	WRITE_ONCE(timer->armed, true);
	WRITE_ONCE(nr_armed, nr_armed + 1);
	list_for_each_prev(pos, &armed) {
		struct timer_list *other =
			list_entry(pos, struct timer_list, entry);

		if (time_before_eq(other->expires, expires))
			break;
	}
	list_add(&timer->entry, pos);
	if (!task)
		task = shim_spawn("timers", timer_task, NULL);
	else if (armed.next == &timer->entry)
		port_unpark(task);
}

static bool disarm(struct timer_list *timer)
{
	bool was = timer->armed;

	if (was) {
		list_del_init(&timer->entry);
		WRITE_ONCE(timer->armed, false);
		WRITE_ONCE(nr_armed, nr_armed - 1);
	}
	return was;
}

enum { ARM_ALWAYS, ARM_PENDING, ARM_EARLIER };

static int change(struct timer_list *timer, unsigned long expires, int how)
{
	int was;

	if (!timer->function)
		shim_bug("a timer is used that was never set up");
	port_lock(&lock, true);
	was = timer->armed;
	if (timer->shutdown || (how == ARM_PENDING && !was) ||
	    (how == ARM_EARLIER && was &&
	     time_before_eq(timer->expires, expires))) {
		port_unlock(&lock);
		return was;
	}
	disarm(timer);
	arm(timer, expires);
	port_unlock(&lock);
	return was;
}

int mod_timer(struct timer_list *timer, unsigned long expires)
{
	return change(timer, expires, ARM_ALWAYS);
}

int mod_timer_pending(struct timer_list *timer, unsigned long expires)
{
	return change(timer, expires, ARM_PENDING);
}

int timer_reduce(struct timer_list *timer, unsigned long expires)
{
	return change(timer, expires, ARM_EARLIER);
}

void add_timer(struct timer_list *timer)
{
	if (timer_pending(timer))
		shim_bug("add_timer() of a timer that is armed");
	mod_timer(timer, timer->expires);
}

int timer_pending(const struct timer_list *timer)
{
	return READ_ONCE(timer->armed);
}

static int delete(struct timer_list *timer, bool shutdown)
{
	int was;

	port_lock(&lock, true);
	was = disarm(timer);
	timer->shutdown |= shutdown;
	port_unlock(&lock);
	return was;
}

static bool is_running(struct timer_list *timer)
{
	bool yes;

	port_lock(&lock, true);
	yes = running == timer;
	port_unlock(&lock);
	return yes;
}

static int delete_sync(struct timer_list *timer, bool shutdown)
{
	int was;

	if (in_hardirq() || current == READ_ONCE(task))
		shim_bug("a timer is waited for in interrupt context");
	do {
		was = delete(timer, shutdown);
		wait_event(idle, !is_running(timer));
	} while (timer_pending(timer));
	return was;
}

int shim_timer_delete(struct timer_list *timer)
{
	return delete(timer, false);
}

int timer_delete_sync(struct timer_list *timer)
{
	return delete_sync(timer, false);
}

int timer_shutdown(struct timer_list *timer)
{
	return delete(timer, true);
}

int timer_shutdown_sync(struct timer_list *timer)
{
	return delete_sync(timer, true);
}

unsigned int shim_timers_armed(void)
{
	return READ_ONCE(nr_armed);
}

void shim_timers_stop(void)
{
	struct task_struct *old;

	port_lock(&lock, true);
	old = task;
	stopping = true;
	port_unlock(&lock);
	if (old) {
		port_unpark(old);
		shim_join(old);
	}
	port_lock(&lock, true);
	task = NULL;
	stopping = false;
	port_unlock(&lock);
}

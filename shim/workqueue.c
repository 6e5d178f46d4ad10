// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work queues.  One lock protects all of them.
 *
 * A queued item is either ready (on the list that the workers take from, in
 * order) or, when as many items of its queue as may be active are, on the
 * queue's own list of those that wait.  An item that is taken while a worker
 * runs it already is handed to that worker: an item never runs twice at once.
 *
 * Workers are tasks that all queues share.  So many as there are CPUs, and at
 * least 4, run at a time; one that blocks makes room for another, which is
 * what keeps an item that waits for another one from waiting for ever.
 *
 * Each queueing has a number.  Who flushes waits until nothing of a queue, or
 * of an item, is left with a number up to the one that it found.
 */
#include <stdarg.h>

#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

#define WQ_MAGIC 0x77715155
#define MAX_WORKERS 512

struct workqueue_struct {
	u32 magic;
	char name[32];
	struct lockdep_map dep_map;
	bool serves_io;			/* WQ_MEM_RECLAIM */
	int max_active;
	int nr_active;			/* ready or running */
	struct list_head inactive;	/* wait for their turn */
	u64 seq;			/* of the last queueing */
	unsigned int nr_queued;		/* ready, waiting or running */
	bool draining;
	struct list_head all;
};

struct shim_worker {
	struct task_struct *task;
	struct list_head all;
	struct list_head idle;		/* empty while it is not */
	struct list_head mine;		/* handed to it, see above */
	struct work_struct *work;	/* runs; may be freed memory by now */
	work_func_t func;
	struct workqueue_struct *wq;
	u64 seq;
};

static struct port_lock lock;
static LIST_HEAD(queues);
static LIST_HEAD(ready);
static LIST_HEAD(workers);
static LIST_HEAD(idle_workers);
static unsigned int nr_workers, nr_running;
static unsigned int nr_queued;		/* of all queues, and delayed ones */
static bool stopping;
/* Woken whenever an item has run or was taken off. */
static DECLARE_WAIT_QUEUE_HEAD(progress);

static void worker_task(void *arg);

static void check_queue(struct workqueue_struct *wq)
{
	if (!wq || wq->magic != WQ_MAGIC)
		shim_bug("a work queue is used that does not exist (any more)");
}

/* Workers */

static unsigned int running_limit(void)
{
	return max(nr_cpu_ids, 4U);
}

static void need_worker(void)
{
	struct shim_worker *w;

	if (list_empty(&ready) || nr_running >= running_limit() || stopping)
		return;
	w = list_first_entry_or_null(&idle_workers, struct shim_worker, idle);
	if (w) {
		list_del_init(&w->idle);
		nr_running++;
		port_unpark(w->task);
		return;
	}
	if (nr_workers == MAX_WORKERS)
		return;
	w = port_mem_get(sizeof(*w), 16);
	memset(w, 0, sizeof(*w));
	INIT_LIST_HEAD(&w->idle);
	INIT_LIST_HEAD(&w->mine);
	list_add_tail(&w->all, &workers);
	nr_workers++;
	nr_running++;
	w->task = shim_spawn("kworker", worker_task, w);
}

void shim_worker_sleeps(void)
{
	if (!current->worker)
		return;
	port_lock(&lock, true);
	nr_running--;
	need_worker();
	port_unlock(&lock);
}

void shim_worker_wakes(void)
{
	if (!current->worker)
		return;
	port_lock(&lock, true);
	nr_running++;
	port_unlock(&lock);
}

static struct shim_worker *runner_of(struct work_struct *work,
				     struct workqueue_struct *wq)
{
	struct shim_worker *w;

	list_for_each_entry(w, &workers, all)
		if (w->work == work && w->func == work->func && w->wq == wq)
			return w;
	return NULL;
}

static void make_ready(struct workqueue_struct *wq, struct work_struct *work)
{
	wq->nr_active++;
	work->active = true;
	list_add_tail(&work->entry, &ready);
	need_worker();
}

static void no_longer_active(struct workqueue_struct *wq)
{
	struct work_struct *next;

	wq->nr_active--;
	if (wq->nr_active >= wq->max_active)
		return;
	next = list_first_entry_or_null(&wq->inactive, struct work_struct,
					entry);
	if (next) {
		list_del_init(&next->entry);
		make_ready(wq, next);
	}
}

/* A waiter looks under lock, after it has queued itself. */
static void tell_progress(void)
{
	if (waitqueue_active(&progress))
		wake_up_all(&progress);
}

static void forget(struct workqueue_struct *wq, bool was_active)
{
	wq->nr_queued--;
	nr_queued--;
	if (was_active)
		no_longer_active(wq);
	tell_progress();
}

static void run_work(struct shim_worker *w, struct work_struct *work)
{
	struct workqueue_struct *wq = work->wq;
	struct lockdep_map map = work->dep_map;	/* the item may free itself */
	struct task_struct *task = current;

	w->work = work;
	w->func = work->func;
	w->wq = wq;
	w->seq = work->seq;
	list_del_init(&work->entry);
	work->active = false;
	WRITE_ONCE(work->pending, 0);
	need_worker();
	port_unlock(&lock);
	if (wq->serves_io)
		shim_serve_io_begin();
	shim_run_begin(&wq->dep_map);
	shim_run_begin(&map);
	w->func(work);
	shim_run_end();
	if (wq->serves_io)
		shim_serve_io_end();
	if (task->nr_held || in_atomic() || irqs_disabled() ||
	    task->no_migrate || task->plug ||
	    (task->flags & (PF_MEMALLOC | PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS)))
		shim_bug("a work function of %s leaks a lock or a context",
			 wq->name);
	port_lock(&lock, true);
	w->work = NULL;
	w->wq = NULL;
	forget(wq, true);
}

/* An item for @w; one that another worker runs goes to that one. */
static struct work_struct *take_work(struct shim_worker *w)
{
	for (;;) {
		struct shim_worker *other;
		struct work_struct *work;

		work = list_first_entry_or_null(&w->mine, struct work_struct,
						entry);
		if (work)
			return work;
		if (nr_running > running_limit())
			return NULL;
		work = list_first_entry_or_null(&ready, struct work_struct,
						entry);
		if (!work)
			return NULL;
		other = runner_of(work, work->wq);
		if (!other)
			return work;
		list_move_tail(&work->entry, &other->mine);
	}
}

static void worker_task(void *arg)
{
	struct shim_worker *w = arg;

	current->worker = w;
	current->flags |= PF_WQ_WORKER;
	port_lock(&lock, true);
	for (;;) {
		struct work_struct *work = take_work(w);

		if (work) {
			run_work(w, work);
			continue;
		}
		if (stopping)
			break;
		nr_running--;
		list_add(&w->idle, &idle_workers);
		/* Whoever takes it off counts it as running again. */
		while (!list_empty(&w->idle)) {
			port_unlock(&lock);
			port_park(PORT_FOREVER);
			port_lock(&lock, true);
		}
	}
	nr_running--;
	port_unlock(&lock);
	current->worker = NULL;
}

void shim_workers_stop(void)
{
	struct workqueue_struct *wq;
	struct shim_worker *w, *next;
	LIST_HEAD(gone);

	port_lock(&lock, true);
	list_for_each_entry(wq, &queues, all)
		WARN(1, "work queue %s was never destroyed\n", wq->name);
	stopping = true;
	while (!list_empty(&idle_workers)) {
		w = list_first_entry(&idle_workers, struct shim_worker, idle);
		list_del_init(&w->idle);
		nr_running++;
		port_unpark(w->task);
	}
	list_splice_init(&workers, &gone);
	port_unlock(&lock);
	list_for_each_entry_safe(w, next, &gone, all) {
		shim_join(w->task);
		port_mem_put(w);
	}
	port_lock(&lock, true);
	nr_workers = 0;
	stopping = false;
	port_unlock(&lock);
}

/* Queues */

struct workqueue_struct *shim_alloc_workqueue(struct lock_class_key *key,
					      const char *fmt, unsigned int flags,
					      int max_active, ...)
{
	struct workqueue_struct *wq;
	va_list args;

	might_sleep();
	if (shim_alloc_check(GFP_KERNEL, sizeof(*wq)))
		return NULL;
	wq = port_mem_get(sizeof(*wq), 16);
	memset(wq, 0, sizeof(*wq));
	va_start(args, max_active);
	vscnprintf(wq->name, sizeof(wq->name), fmt, args);
	va_end(args);
	wq->magic = WQ_MAGIC;
	shim_dep_init(&wq->dep_map, key, fmt);
	wq->serves_io = flags & WQ_MEM_RECLAIM;
	wq->max_active = max_active ? min(max_active, WQ_MAX_ACTIVE) :
				      WQ_DFL_ACTIVE;
	INIT_LIST_HEAD(&wq->inactive);
	port_lock(&lock, true);
	list_add_tail(&wq->all, &queues);
	port_unlock(&lock);
	return wq;
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	check_queue(wq);
	drain_workqueue(wq);
	port_lock(&lock, true);
	list_del(&wq->all);
	wq->magic = 0;
	port_unlock(&lock);
	port_mem_put(wq);
}

static struct port_lock system_lock;
static struct workqueue_struct *system_queue;

struct workqueue_struct *shim_system_wq(void)
{
	port_lock(&system_lock, false);
	if (!system_queue) {
		static struct workqueue_struct queue = {
			.magic = WQ_MAGIC,
			.name = "events",
			.dep_map = { .name = "events" },
			.max_active = WQ_DFL_ACTIVE,
			.inactive = LIST_HEAD_INIT(queue.inactive),
		};

		system_queue = &queue;
	}
	port_unlock(&system_lock);
	return system_queue;
}

/*
 * A queue without WQ_MEM_RECLAIM has no worker of its own: while memory is short, its
 * items wait for I/O.  What serves I/O must neither wait for them nor leave them work.
 */
static void check_forward_progress(const struct workqueue_struct *wq)
{
	if (!wq->serves_io && shim_serves_io())
		shim_bug("%s has no WQ_MEM_RECLAIM, and a task that serves I/O uses it",
			 wq->name);
}

/* Queueing.  The callers hold lock, and the item is pending by their hand. */

static void insert_work(struct workqueue_struct *wq, struct work_struct *work)
{
	check_queue(wq);
	if (wq->draining && (!current->worker || current->worker->wq != wq)) {
		WARN_ONCE(1, "work queued on %s, which is being drained\n",
			  wq->name);
		WRITE_ONCE(work->pending, 0);
		nr_queued--;
		return;
	}
	work->wq = wq;
	work->seq = ++wq->seq;
	wq->nr_queued++;
	if (wq->nr_active < wq->max_active) {
		make_ready(wq, work);
	} else {
		work->active = false;
		list_add_tail(&work->entry, &wq->inactive);
	}
}

static bool claim(struct work_struct *work)
{
	if (!work->func)
		shim_bug("a work item is used that was never initialised");
	if (work->pending || work->disabled)
		return false;
	if (!list_empty(&work->entry))
		shim_bug("a work item was initialised while it was queued");
	WRITE_ONCE(work->pending, 1);
	nr_queued++;
	return true;
}

/* Takes the item off its list; it is as if it had not been queued. */
static bool unqueue(struct work_struct *work)
{
	if (list_empty(&work->entry))
		return false;
	list_del_init(&work->entry);
	WRITE_ONCE(work->pending, 0);
	forget(work->wq, work->active);
	work->active = false;
	return true;
}

void shim_init_work(struct work_struct *work, work_func_t func, const char *name,
		    struct lock_class_key *key)
{
	*work = (struct work_struct) { .func = func };
	shim_dep_init(&work->dep_map, key, name);
	INIT_LIST_HEAD(&work->entry);
}

static void delayed_work_due(struct timer_list *timer)
{
	struct delayed_work *dwork = from_timer(dwork, timer, timer);

	port_lock(&lock, true);
	/* Unless it was cancelled or moved while this timer came up. */
	if (dwork->work.pending && list_empty(&dwork->work.entry) &&
	    !timer_pending(timer))
		insert_work(dwork->wq, &dwork->work);
	port_unlock(&lock);
}

void shim_init_delayed_work(struct delayed_work *dwork, work_func_t func,
			    const char *name, struct lock_class_key *key)
{
	shim_init_work(&dwork->work, func, name, key);
	dwork->wq = NULL;
	timer_setup(&dwork->timer, delayed_work_due, 0);
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	bool ok;

	port_lock(&lock, true);
	check_queue(wq);
	check_forward_progress(wq);
	ok = claim(work);
	if (ok)
		insert_work(wq, work);
	port_unlock(&lock);
	return ok;
}

static void start_delay(struct workqueue_struct *wq,
			struct delayed_work *dwork, unsigned long delay)
{
	dwork->wq = wq;
	if (delay)
		mod_timer(&dwork->timer, jiffies + delay);
	else
		insert_work(wq, &dwork->work);
}

bool queue_delayed_work(struct workqueue_struct *wq,
			struct delayed_work *dwork, unsigned long delay)
{
	bool ok;

	port_lock(&lock, true);
	check_queue(wq);
	check_forward_progress(wq);
	ok = claim(&dwork->work);
	if (ok)
		start_delay(wq, dwork, delay);
	port_unlock(&lock);
	return ok;
}

/* Stops what is pending of @dwork, be it queued or delayed. */
static bool unqueue_delayed(struct delayed_work *dwork)
{
	struct work_struct *work = &dwork->work;

	if (!work->pending)
		return false;
	timer_delete(&dwork->timer);
	if (!unqueue(work)) {
		WRITE_ONCE(work->pending, 0);
		nr_queued--;
		tell_progress();
	}
	return true;
}

bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
		      unsigned long delay)
{
	bool was;

	port_lock(&lock, true);
	check_queue(wq);
	check_forward_progress(wq);
	was = unqueue_delayed(dwork);
	if (claim(&dwork->work))
		start_delay(wq, dwork, delay);
	port_unlock(&lock);
	return was;
}

/* Waiting */

static bool is_running(struct work_struct *work, u64 seq)
{
	struct shim_worker *w;

	list_for_each_entry(w, &workers, all)
		if (w->work == work && w->seq <= seq)
			return true;
	return false;
}

static bool work_left(struct work_struct *work, u64 seq)
{
	bool left;

	port_lock(&lock, true);
	left = (!list_empty(&work->entry) && work->seq <= seq) ||
	       is_running(work, seq);
	port_unlock(&lock);
	return left;
}

static bool wait_for_work(struct work_struct *work, bool cancel)
{
	struct shim_worker *self = current->worker;
	struct workqueue_struct *wq;
	u64 seq;

	might_sleep();
	if (self && self->work == work)
		shim_bug("a work item waits for itself");
	shim_wait_begin(&work->dep_map);
	port_lock(&lock, true);
	seq = work->seq;
	wq = list_empty(&work->entry) && !is_running(work, seq) ? NULL : work->wq;
	if (wq)
		check_forward_progress(wq);
	/* What stands before it, if all have but one worker. */
	if (wq && !cancel && (wq->serves_io || wq->max_active == 1))
		shim_wait_begin(&wq->dep_map);
	port_unlock(&lock);
	if (!work_left(work, seq))
		return false;
	wait_event(progress, !work_left(work, seq));
	return true;
}

bool flush_work(struct work_struct *work)
{
	return wait_for_work(work, false);
}

bool flush_delayed_work(struct delayed_work *dwork)
{
	port_lock(&lock, true);
	if (timer_delete(&dwork->timer))
		insert_work(dwork->wq, &dwork->work);
	port_unlock(&lock);
	return wait_for_work(&dwork->work, false);
}

bool cancel_work(struct work_struct *work)
{
	bool was;

	port_lock(&lock, true);
	was = unqueue(work);
	port_unlock(&lock);
	return was;
}

bool cancel_delayed_work(struct delayed_work *dwork)
{
	bool was;

	port_lock(&lock, true);
	was = unqueue_delayed(dwork);
	port_unlock(&lock);
	return was;
}

bool disable_work(struct work_struct *work)
{
	bool was;

	port_lock(&lock, true);
	work->disabled++;
	was = unqueue(work);
	port_unlock(&lock);
	return was;
}

bool disable_work_sync(struct work_struct *work)
{
	bool was = disable_work(work);

	wait_for_work(work, true);
	return was;
}

bool enable_work(struct work_struct *work)
{
	bool last;

	port_lock(&lock, true);
	if (!work->disabled)
		shim_bug("a work item is enabled that was not disabled");
	last = --work->disabled == 0;
	port_unlock(&lock);
	return last;
}

bool disable_delayed_work_sync(struct delayed_work *dwork)
{
	bool was;

	port_lock(&lock, true);
	dwork->work.disabled++;
	was = unqueue_delayed(dwork);
	port_unlock(&lock);
	/* The timer's function may be about to look at it. */
	timer_delete_sync(&dwork->timer);
	wait_for_work(&dwork->work, true);
	return was;
}

bool enable_delayed_work(struct delayed_work *dwork)
{
	return enable_work(&dwork->work);
}

bool cancel_work_sync(struct work_struct *work)
{
	bool was = disable_work_sync(work);

	enable_work(work);
	return was;
}

bool cancel_delayed_work_sync(struct delayed_work *dwork)
{
	bool was = disable_delayed_work_sync(dwork);

	enable_delayed_work(dwork);
	return was;
}

static bool queue_left(struct workqueue_struct *wq, u64 seq)
{
	struct work_struct *work;
	struct shim_worker *w;
	bool left = false;

	port_lock(&lock, true);
	if (wq->nr_queued) {
		list_for_each_entry(work, &ready, entry)
			left |= work->wq == wq && work->seq <= seq;
		list_for_each_entry(work, &wq->inactive, entry)
			left |= work->seq <= seq;
		list_for_each_entry(w, &workers, all) {
			left |= w->work && w->wq == wq && w->seq <= seq;
			list_for_each_entry(work, &w->mine, entry)
				left |= work->wq == wq && work->seq <= seq;
		}
	}
	port_unlock(&lock);
	return left;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	u64 seq;

	might_sleep();
	check_queue(wq);
	if (current->worker && current->worker->wq == wq)
		shim_bug("a work item of %s flushes it", wq->name);
	check_forward_progress(wq);
	shim_wait_begin(&wq->dep_map);
	port_lock(&lock, true);
	seq = wq->seq;
	port_unlock(&lock);
	wait_event(progress, !queue_left(wq, seq));
}

void drain_workqueue(struct workqueue_struct *wq)
{
	might_sleep();
	check_queue(wq);
	if (current->worker && current->worker->wq == wq)
		shim_bug("a work item of %s drains it", wq->name);
	check_forward_progress(wq);
	shim_wait_begin(&wq->dep_map);
	port_lock(&lock, true);
	wq->draining = true;
	port_unlock(&lock);
	wait_event(progress, !queue_left(wq, U64_MAX));
	port_lock(&lock, true);
	wq->draining = false;
	port_unlock(&lock);
}

unsigned int work_busy(struct work_struct *work)
{
	unsigned int busy = 0;

	port_lock(&lock, true);
	if (work->pending)
		busy |= WORK_BUSY_PENDING;
	if (is_running(work, U64_MAX))
		busy |= WORK_BUSY_RUNNING;
	port_unlock(&lock);
	return busy;
}

struct work_struct *current_work(void)
{
	return current->worker ? current->worker->work : NULL;
}

unsigned int shim_works_scheduled(void)
{
	return READ_ONCE(nr_queued);
}

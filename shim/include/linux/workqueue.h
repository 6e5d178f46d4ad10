/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_WORKQUEUE_H
#define SHIM_LINUX_WORKQUEUE_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/timer.h>

struct work_struct;
struct workqueue_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	struct list_head entry;
	work_func_t func;
	struct workqueue_struct *wq;	/* where it was queued last */
	u64 seq;			/* of its last queueing */
	int pending;
	int disabled;
	bool active;			/* counted in wq->nr_active */
	struct lockdep_map dep_map;
};

struct delayed_work {
	struct work_struct work;
	struct timer_list timer;
	struct workqueue_struct *wq;
};

enum {
	WQ_UNBOUND = 1 << 1,
	WQ_FREEZABLE = 1 << 2,
	WQ_MEM_RECLAIM = 1 << 3,
	WQ_HIGHPRI = 1 << 4,
	WQ_CPU_INTENSIVE = 1 << 5,
	WQ_SYSFS = 1 << 6,
	__WQ_ORDERED = 1 << 17,
	WQ_MAX_ACTIVE = 512,
	WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2,
	WORK_CPU_UNBOUND = 64,
};

void shim_init_work(struct work_struct *work, work_func_t func, const char *name,
		    struct lock_class_key *key);
void shim_init_delayed_work(struct delayed_work *dwork, work_func_t func,
			    const char *name, struct lock_class_key *key);
#define INIT_WORK(w, f)							\
do {									\
	static struct lock_class_key __key;				\
	shim_init_work(w, f, "work item " #w, &__key);			\
} while (0)
#define INIT_WORK_ONSTACK(w, f) INIT_WORK(w, f)
#define INIT_DELAYED_WORK(w, f)						\
do {									\
	static struct lock_class_key __key;				\
	shim_init_delayed_work(w, f, "work item " #w, &__key);		\
} while (0)
#define destroy_work_on_stack(w) ((void)(w))

struct workqueue_struct *shim_alloc_workqueue(struct lock_class_key *key,
					      const char *fmt, unsigned int flags,
					      int max_active, ...) __printf(2, 5);
#define alloc_workqueue(fmt, flags, args...)				\
({									\
	static struct lock_class_key __key;				\
	shim_alloc_workqueue(&__key, fmt, flags, ##args);		\
})
#define alloc_ordered_workqueue(fmt, flags, args...) \
	alloc_workqueue(fmt, WQ_UNBOUND | __WQ_ORDERED | (flags), 1, ##args)
#define create_singlethread_workqueue(name) \
	alloc_ordered_workqueue("%s", WQ_MEM_RECLAIM, name)
void destroy_workqueue(struct workqueue_struct *wq);

bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
bool queue_delayed_work(struct workqueue_struct *wq,
			struct delayed_work *dwork, unsigned long delay);
bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork,
		      unsigned long delay);
#define queue_work_on(cpu, wq, work) queue_work(wq, work)
#define queue_delayed_work_on(cpu, wq, d, t) queue_delayed_work(wq, d, t)
#define mod_delayed_work_on(cpu, wq, d, t) mod_delayed_work(wq, d, t)

bool cancel_work(struct work_struct *work);
bool cancel_work_sync(struct work_struct *work);
bool cancel_delayed_work(struct delayed_work *dwork);
bool cancel_delayed_work_sync(struct delayed_work *dwork);
bool flush_work(struct work_struct *work);
bool flush_delayed_work(struct delayed_work *dwork);
void flush_workqueue(struct workqueue_struct *wq);
#define __flush_workqueue(wq) flush_workqueue(wq)
void drain_workqueue(struct workqueue_struct *wq);
bool disable_work(struct work_struct *work);
bool disable_work_sync(struct work_struct *work);
bool enable_work(struct work_struct *work);
bool disable_delayed_work_sync(struct delayed_work *dwork);
bool enable_delayed_work(struct delayed_work *dwork);
unsigned int work_busy(struct work_struct *work);
struct work_struct *current_work(void);

#define work_pending(w) (READ_ONCE((w)->pending) != 0)
#define delayed_work_pending(d) work_pending(&(d)->work)
#define WORK_BUSY_PENDING 1
#define WORK_BUSY_RUNNING 2

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

struct workqueue_struct *shim_system_wq(void);
#define system_wq shim_system_wq()
#define system_unbound_wq shim_system_wq()
#define system_long_wq shim_system_wq()
#define system_highpri_wq shim_system_wq()
#define schedule_work(w) queue_work(system_wq, w)
#define schedule_delayed_work(d, t) queue_delayed_work(system_wq, d, t)

#endif

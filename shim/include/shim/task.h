/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_TASK_H
#define SHIM_TASK_H

#include <linux/types.h>

struct bio_list;
struct blk_plug;
struct lockdep_map;
struct shim_worker;

#define SHIM_MAX_HELD 32

/* A task: a thread, or what a simulator makes of one. */
struct task_struct {
	unsigned int flags;		/* PF_ */
	unsigned int state;
	int id;
	int cpu;
	char comm[16];
	bool signal;			/* pending, and fatal */

	/* context: how deep in each */
	int hardirq;
	int softirq;
	int irq_disabled;		/* by local_irq_save() and the like */
	int bh_disabled;
	int preempt;			/* preempt_disable() and spinlocks */
	int no_migrate;
	int serves_io;			/* see shim_check_alloc() */
	u64 inside;			/* classes of the work item and the queue that run */

	int nr_held;
	struct {
		const struct lockdep_map *map;
		unsigned char kind;	/* enum shim_lock_kind */
		unsigned char class;
	} held[SHIM_MAX_HELD];

	struct bio_list *bio_list;	/* two, of the submit_bio() in progress */
	struct blk_plug *plug;
	struct shim_worker *worker;

	u32 port_word;			/* the back end's */
	void *port;
};

/* The back end keeps it: the task that runs on this thread. */
extern __thread struct task_struct *shim_task;

struct task_struct *shim_adopt_thread(void);

static inline struct task_struct *shim_current(void)
{
	struct task_struct *task = shim_task;

	return __builtin_expect(task != NULL, 1) ? task : shim_adopt_thread();
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the shim share among themselves. */
#ifndef SHIM_CORE_H
#define SHIM_CORE_H

#include <linux/types.h>

struct lockdep_map;
struct task_struct;

/* lock.c */
void shim_task_exit_check(struct task_struct *task);
void shim_log_held(struct task_struct *task);
/* lock.c: may the task allocate with these flags, here and under what it holds? */
void shim_check_alloc(gfp_t gfp);
/* lock.c: does the task serve I/O, an interrupt included? */
bool shim_serves_io(void);
/* Around a work function, for the item and its queue; and who waits for it to end. */
void shim_run_begin(const struct lockdep_map *map);
void shim_run_end(void);
void shim_wait_begin(const struct lockdep_map *map);
/* Around what I/O waits for, other than a bio on its way down. */
void shim_serve_io_begin(void);
void shim_serve_io_end(void);

/* workqueue.c: a worker is about to block, or goes on */
void shim_worker_sleeps(void);
void shim_worker_wakes(void);
unsigned int shim_works_scheduled(void);
void shim_workers_stop(void);

/* timer.c */
unsigned int shim_timers_armed(void);
void shim_timers_stop(void);

/* slab.c: does this allocation fail; aborts if its flags do not fit */
bool shim_alloc_check(gfp_t gfp, size_t size);

#endif

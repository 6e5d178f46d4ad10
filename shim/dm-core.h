/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dm.c (mapped devices and their I/O) and dm-table.c share. */
#ifndef SHIM_DM_CORE_H
#define SHIM_DM_CORE_H

#include <linux/device-mapper.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <shim/dm-host.h>

#define DM_MAX_TARGETS 16

struct dm_table {
	struct mapped_device *md;
	blk_mode_t mode;
	sector_t size;
	unsigned int nr_targets;
	struct dm_target targets[DM_MAX_TARGETS];
	struct list_head devices;
	struct bio_set clones;
	bool live;		/* its events reach the mapped device */
	unsigned int users;	/* of the live table; under md->lock */
};

struct mapped_device {
	struct block_device bdev;
	char name[DM_NAME_LEN];
	char number[16];
	struct mutex suspend_lock;	/* all changes of state */
	struct dm_table *map;		/* changes under both locks */
	struct dm_table *loaded;
	spinlock_t lock;		/* irq-safe; protects what follows */
	bool blocked;			/* bios are put off */
	unsigned int in_flight;
	struct bio_list deferred;
	wait_queue_head_t wait;		/* users or in_flight became 0 */
	bool suspended;
	bool post_suspending;
	bool noflush;
	struct workqueue_struct *wq;
	struct work_struct work;	/* submits what was put off */
	atomic_t events;
};

int dm_table_create(struct mapped_device *md, const char *text, blk_mode_t mode,
		    struct dm_table **result, char *error, size_t error_size);
void dm_table_destroy(struct dm_table *t);
struct dm_target *dm_table_find(struct dm_table *t, sector_t sector);
int dm_table_limits(struct dm_table *t, struct queue_limits *limits);
void dm_table_presuspend(struct dm_table *t);
void dm_table_presuspend_undo(struct dm_table *t);
void dm_table_postsuspend(struct dm_table *t);
int dm_table_resume(struct dm_table *t);
size_t dm_clone_pad(unsigned int per_io_data_size);

#endif

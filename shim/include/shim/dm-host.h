/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dmsetup and the block layer are to a target in the kernel: a host
 * registers devices, makes mapped devices out of table lines, and submits I/O.
 */
#ifndef SHIM_DM_HOST_H
#define SHIM_DM_HOST_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>

/*
 * Makes @bdev known to dm_get_device() by its name (or its number, "240:0"),
 * with bdev->dax as its direct access.  -EEXIST: the name is taken.
 */
int dm_host_add_bdev(struct block_device *bdev);
void dm_host_remove_bdev(struct block_device *bdev);

/* A mapped device without a table; suspended, as after dmsetup create -n. */
struct mapped_device *dm_host_create(const char *name);

/*
 * dmsetup load: @table is lines of "START LENGTH TYPE ARGS...".  What replaces
 * the live table waits for dm_host_resume().  On failure @error (may be NULL)
 * gets what the target said in ti->error.
 */
int dm_host_load(struct mapped_device *md, const char *table, bool read_only,
		 char *error, size_t error_size);
/* dmsetup clear: drops a table that was loaded and not resumed. */
void dm_host_clear(struct mapped_device *md);

/* dmsetup resume; swaps a loaded table in, suspending for it if need be. */
int dm_host_resume(struct mapped_device *md);
/* dmsetup suspend, with or without --noflush; -EINTR after shim_signal(). */
int dm_host_suspend(struct mapped_device *md, bool noflush);

/* -EBUSY while I/O is in flight. */
int dm_host_remove(struct mapped_device *md);

/* dm_host_create(), load and resume; NULL on failure, nothing is left. */
struct mapped_device *dm_host_start(const char *name, const char *table,
				    bool read_only, char *error,
				    size_t error_size);

/* A line for each target, as dmsetup status or table prints it. */
int dm_host_status(struct mapped_device *md, status_type_t type,
		   unsigned int flags, char *buf, size_t size);
/* The same with --inactive: of the table that was loaded and not resumed. */
int dm_host_status_loaded(struct mapped_device *md, status_type_t type,
			  char *buf, size_t size);
/* As the target's message(): 1 means that @result holds text. */
int dm_host_message(struct mapped_device *md, const char *message,
		    char *result, size_t size);

struct block_device *dm_host_bdev(struct mapped_device *md);
struct dm_target *dm_host_target(struct mapped_device *md, unsigned int nr);
unsigned int dm_host_events(struct mapped_device *md);
unsigned int dm_host_in_flight(struct mapped_device *md);

/*
 * I/O of any block device.  @op is a REQ_OP_ with REQ_ flags; @buf is not
 * needed by what carries no data.  The synchronous one gives an errno.
 */
int dm_host_rw(struct block_device *bdev, blk_opf_t op, sector_t sector,
	       void *buf, unsigned int sectors);
void dm_host_rw_async(struct block_device *bdev, blk_opf_t op, sector_t sector,
		      void *buf, unsigned int sectors,
		      void (*done)(void *data, int error), void *data);
int dm_host_flush(struct block_device *bdev);

#endif

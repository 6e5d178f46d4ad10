/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of the backing device; disk-model.c tells what it promises. */
#ifndef SIM_DISK_MODEL_H
#define SIM_DISK_MODEL_H

#include <linux/blkdev.h>
#include <shim/sim.h>

#define DISK_MAX_SECTORS 1024
#define DISK_MAX_BLOCK 8

/**
 * struct disk_config - what the disk is like
 * @first: the first sector that it keeps; those before read as zero
 * @sectors: how many it keeps
 * @block_sectors: of a logical block
 * @write_cache: it has a volatile one
 * @discards: it takes them
 * @read_errors: how many reads of 1024 fail
 * @write_errors: how many writes of 1024 fail
 * @flush_errors: how many flushes of 1024 fail
 * @latency_ns: of a request, at most; 0: none
 */
struct disk_config {
	sector_t first;
	u32 sectors;
	u32 block_sectors;
	bool write_cache;
	bool discards;
	u32 read_errors;
	u32 write_errors;
	u32 flush_errors;
	u64 latency_ns;
};

enum disk_cut {
	DISK_CUT_NONE,		/* what is not flushed is lost */
	DISK_CUT_ALL,
	DISK_CUT_SOME,		/* each block or not */
	DISK_CUTS,
};

/* A disk that reads as zero. */
void disk_model_new(const struct disk_config *config);
struct block_device *disk_model_bdev(void);
/* Its task, in a world: begun before the first request, ended after the last. */
void disk_model_start(void);
void disk_model_stop(void);

/* Changes of the errors' rates; a device that is gone fails everything. */
void disk_model_set_errors(u32 read, u32 write, u32 flush);
void disk_model_set_gone(bool gone);
/* Sectors that can never be read or written; 0: none. */
void disk_model_set_bad(sector_t sector, u32 sectors);
/* Called when a discard comes, if it is not NULL. */
void disk_model_set_discarded(void (*fn)(sector_t sector, u32 sectors));
/* Did any request fail since disk_model_new()? */
u64 disk_model_failed(void);
/* Is a request with the disk? */
bool disk_model_busy(void);

/* As for persistent memory. */
void disk_model_off(void);
void disk_model_on(struct sim_random *r, enum disk_cut how);
/* Was there anything that a cut could take, when the power went off? */
bool disk_model_was_dirty(void);
/* Of a sector of the window: what the disk would read now; what a cut leaves at least. */
const u8 *disk_model_sector(sector_t sector);
const u8 *disk_model_durable(sector_t sector);

/**
 * struct disk_content - what the window holds
 * @sector: of each sector
 * @id: of each sector: a number that it never has again with other content
 */
struct disk_content {
	const u8 (*sector)[SECTOR_SIZE];
	const u64 *id;
};

/* Of all sectors: what the disk would read now; what a cut leaves at least. */
struct disk_content disk_model_content(void);
struct disk_content disk_model_durable_content(void);
/* The whole window, durable. */
void disk_model_save(u8 *content);
void disk_model_load(const u8 *content);
/* Writes from outside; durable. */
void disk_model_write(sector_t sector, const void *src, u32 sectors);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices of port-threads.c, and how they can be made to fail. */
#ifndef SHIM_THREADS_H
#define SHIM_THREADS_H

#include <linux/blkdev.h>

/**
 * struct port_bdev_config - what a block device shall be
 * @name: for dm_get_device(); kept by reference
 * @path: the file that it is in; NULL: in memory, zeroed
 * @bytes: its size; 0 with @path: as large as the file
 * @pmem: it is persistent memory, so that bdev->dax is there
 * @read_only: and the file is opened so
 * @write_cache: it has one (what FLUSH and FUA do then only shows in the
 *		 counters: nothing is lost here)
 * @block_size: logical, in bytes; 0: 512
 * @threads: how many requests are done at a time; 0: 2
 * @discard: it takes discards and write zeroes
 */
struct port_bdev_config {
	const char *name;
	const char *path;
	u64 bytes;
	bool pmem;
	bool read_only;
	bool write_cache;
	unsigned int block_size;
	unsigned int threads;
	bool discard;
};

/* NULL with errno set when the file cannot be had. */
struct block_device *port_bdev_open(const struct port_bdev_config *config);
/* Aborts while a request is in flight. */
void port_bdev_close(struct block_device *bdev);

/* The content of a device in memory or of persistent memory, else NULL. */
void *port_bdev_memory(struct block_device *bdev);

/* Faults.  What they fail is not done, and they are looked at in order. */
#define PORT_FAULT_READ 1u
#define PORT_FAULT_WRITE 2u	/* discard and write zeroes, too */
#define PORT_FAULT_FLUSH 4u	/* FLUSH, of PREFLUSH too; wherever it is */
#define PORT_FAULT_ALWAYS (-1)

/*
 * The next @times requests of the kinds in @ops that touch one of @sectors
 * from @sector on fail with @status.  At most 16 at a time.
 */
void port_bdev_fault(struct block_device *bdev, unsigned int ops,
		     sector_t sector, sector_t sectors, int times,
		     blk_status_t status);
void port_bdev_clear_faults(struct block_device *bdev);

/* A device that is gone fails everything, until it is back. */
void port_bdev_set_gone(struct block_device *bdev, bool gone);
/* Each request is done no sooner than this after it was submitted. */
void port_bdev_set_latency(struct block_device *bdev, u64 ns);
/* Requests are kept, and done once hold is over. */
void port_bdev_hold(struct block_device *bdev, bool hold);

struct port_bdev_stats {
	u64 reads, writes, flushes, fuas, discards;
	u64 read_sectors, write_sectors;
	u64 failed;
	unsigned int in_flight;
};

void port_bdev_get_stats(struct block_device *bdev,
			 struct port_bdev_stats *stats);

/*
 * Media errors of persistent memory, by lines of 64 bytes: port_pmem_load()
 * stops before the first poisoned one.  Stores leave the poison where it is,
 * unless the device was told that a store of a whole line heals it.
 */
void port_pmem_poison(struct block_device *bdev, u64 offset, u64 bytes);
void port_pmem_heal(struct block_device *bdev, u64 offset, u64 bytes);
void port_pmem_heal_by_store(struct block_device *bdev, bool heal);

/* True makes an allocation fail.  NULL: none fails. */
void port_set_alloc_failure(bool (*fails)(gfp_t gfp, size_t size));

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backing device for media that say anything: it keeps every sector, not only those
 * of a window, since keys of such media name any. Otherwise it is simpler than the
 * model in sim/, whose interface this is: no volatile cache, no errors but those that
 * fail each write. Requests end in any order, and two writes to a sector in flight are
 * a mistake here as well.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/bio.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <shim/host.h>

#include "disk-model.h"
#include "port.h"

#define MAX_SECTORS	8448
#define MAX_IN_FLIGHT	512

static struct {
	u8 data[MAX_SECTORS][SECTOR_SIZE] __aligned(64);
	u32 touched[MAX_SECTORS];	/* sectors that are not zero, maybe */
	bool is_touched[MAX_SECTORS];
	u32 nr_touched;
	u32 sectors;
	struct bio *queue[MAX_IN_FLIGHT];
	u32 nr;
	bool no_writes, stop;
	u64 failed;
	struct task_struct *task;
	struct block_device bdev;
} disk;

static void touch(u32 sector)
{
	if (!disk.is_touched[sector]) {
		disk.is_touched[sector] = true;
		disk.touched[disk.nr_touched++] = sector;
	}
}

static void move_data(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	bool write = op_is_write(bio->bi_opf);
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_bvec(bv, bio, iter) {
		for (u32 at = 0; at < bv.bv_len; at += SECTOR_SIZE, sector++) {
			if (write) {
				touch(sector);
				memcpy(disk.data[sector], bvec_virt(&bv) + at, SECTOR_SIZE);
			} else {
				memcpy(bvec_virt(&bv) + at, disk.data[sector], SECTOR_SIZE);
			}
		}
	}
}

static void serve(struct bio *bio)
{
	bool failed = disk.no_writes && op_is_write(bio->bi_opf);

	if (bio_sectors(bio) && !failed)
		move_data(bio);
	disk.failed += failed;
	bio->bi_status = failed ? BLK_STS_IOERR : BLK_STS_OK;
	shim_irq_enter();
	bio_endio(bio);
	shim_irq_exit();
}

static void disk_task(void *arg)
{
	while (!disk.stop) {
		u32 i = disk.nr ? sim_below(sim_random(), disk.nr) : 0;
		struct bio *bio;

		if (!disk.nr) {
			port_park(PORT_FOREVER);
			continue;
		}
		bio = disk.queue[i];
		disk.queue[i] = disk.queue[--disk.nr];
		serve(bio);
	}
}

static void check_conflicts(const struct bio *bio)
{
	sector_t lo = bio->bi_iter.bi_sector, hi = bio_end_sector(bio);

	if (hi > disk.sectors)
		sim_fail("a request beyond the end of the backing device");
	if (!op_is_write(bio->bi_opf))
		return;
	for (u32 i = 0; i < disk.nr; i++)
		if (op_is_write(disk.queue[i]->bi_opf) &&
		    disk.queue[i]->bi_iter.bi_sector < hi && bio_end_sector(disk.queue[i]) > lo)
			sim_fail("two writes to sector %llu of the backing device are in flight",
				 max(lo, disk.queue[i]->bi_iter.bi_sector));
}

void port_bio_submit(struct bio *bio)
{
	sim_point();
	if (bio_sectors(bio))
		check_conflicts(bio);
	if (disk.nr == MAX_IN_FLIGHT)
		sim_fail("more than %d requests in flight", MAX_IN_FLIGHT);
	disk.queue[disk.nr++] = bio;
	port_unpark(disk.task);
}

void disk_model_start(void)
{
	disk.stop = false;
	disk.nr = 0;
	disk.task = shim_spawn("disk", disk_task, NULL);
}

void disk_model_stop(void)
{
	if (disk.nr)
		sim_fail("%u requests are in flight when the backing device goes", disk.nr);
	disk.stop = true;
	port_unpark(disk.task);
	shim_join(disk.task);
}

void disk_model_set_errors(u32 read, u32 write, u32 flush)
{
	disk.no_writes = write;
}

u64 disk_model_failed(void)
{
	return disk.failed;
}

void disk_model_off(void)
{
	disk.nr = 0;
}

void disk_model_on(struct sim_random *r, enum disk_cut how)
{
	disk.nr = 0;
}

const u8 *disk_model_sector(sector_t sector)
{
	return disk.data[sector];
}

const u8 *disk_model_durable(sector_t sector)
{
	return disk.data[sector];
}

void disk_model_write(sector_t sector, const void *src, u32 sectors)
{
	for (u32 i = 0; i < sectors; i++) {
		touch(sector + i);
		memcpy(disk.data[sector + i], src + (i << SECTOR_SHIFT), SECTOR_SIZE);
	}
}

void disk_model_new(const struct disk_config *config)
{
	BUG_ON(config->first + config->sectors > MAX_SECTORS);
	for (u32 i = 0; i < disk.nr_touched; i++) {
		memset(disk.data[disk.touched[i]], 0, SECTOR_SIZE);
		disk.is_touched[disk.touched[i]] = false;
	}
	disk.nr_touched = 0;
	disk.sectors = config->first + config->sectors;
	disk.nr = 0;
	disk.failed = 0;
	disk.no_writes = false;
}

struct block_device *disk_model_bdev(void)
{
	disk.bdev = (struct block_device) {
		.name = "vda", .nr_sectors = disk.sectors,
		.queue.limits = {
			.logical_block_size = SECTOR_SIZE, .physical_block_size = SECTOR_SIZE,
			.io_min = SECTOR_SIZE, .max_sectors = 2560, .max_hw_sectors = UINT_MAX,
			.max_segments = 128, .max_segment_size = UINT_MAX,
			.dma_alignment = 511,
			.features = BLK_FEAT_NOWAIT | BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA,
		},
	};
	return &disk.bdev;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine plays a trace, and it is counted what it had to read from the backing device
 * and what it stored in the cache. It runs in one thread, always in the same way, with
 * devices that do no more than they must: the cache device is plain memory, and the
 * backing device reads as zeroes and forgets what is written.
 *
 * One request comes after the other, with a pause in which all that is left to do gets
 * done; so data is clean long before its turn comes.
 *
 * How large segments are is fixed when this is compiled: there is a program for each of
 * some sizes, and `misses` runs the one that fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/bio.h>
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <shim/dm-host.h>
#include <shim/host.h>
#include <shim/sim.h>

#include "format.h"
#include "policy-models.h"
#include "port.h"
#include "trace-source.h"

#define PAUSE_US	100
#define QUEUE		1024

static struct {
	struct trace trace;
	u32 segs, gc_percent, from, cutoff_kb;
	const char *eviction;
	struct miss_figures now, at_from;
	u8 *media;
	u64 media_bytes;
	struct bio *queue[QUEUE];
	u32 queue_at, queued;
	bool stop;
	struct task_struct *disk;
	struct mapped_device *md;
} run;

static u8 buffer[TRACE_MAX_SECTORS << SECTOR_SHIFT] __aligned(4096);

/* The cache device */

void port_pmem_store(void *dst, const void *src, size_t n)
{
	u8 *to = dst;

	if (to >= run.media && to < run.media + run.media_bytes)
		run.now.stored_bytes += n;
	memcpy(dst, src, n);
	sim_point();
}

void port_page_copy(void *dst, const void *src)
{
	port_pmem_store(dst, src, PAGE_SIZE);
}

void port_pmem_flush(const void *addr, size_t n)
{
}

void port_pmem_fence(void)
{
	sim_point();
}

size_t port_pmem_load(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
	return 0;
}

/* The backing device */

static void serve(struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	if (!op_is_write(bio->bi_opf))
		bio_for_each_bvec(bv, bio, iter)
			memset(bvec_virt(&bv), 0, bv.bv_len);
	bio->bi_status = BLK_STS_OK;
	shim_irq_enter();
	bio_endio(bio);
	shim_irq_exit();
}

static void disk_task(void *arg)
{
	while (!run.stop) {
		if (!run.queued) {
			port_park(PORT_FOREVER);
			continue;
		}
		run.queued--;
		serve(run.queue[run.queue_at++ % QUEUE]);
	}
}

void port_bio_submit(struct bio *bio)
{
	if (run.queued == QUEUE)
		sim_fail("more than %d requests are in flight", QUEUE);
	if (!op_is_write(bio->bi_opf))
		run.now.missed_bytes += bio->bi_iter.bi_size;
	run.queue[(run.queue_at + run.queued++) % QUEUE] = bio;
	port_unpark(run.disk);
}

/* Playing */

/* Of the status line's words; doc/dm-pcache.rst has them. */
#define FILLS_WORD	22

static void note_fills(void)
{
	char line[1024], *word = line;

	if (dm_host_status(run.md, STATUSTYPE_INFO, 0, line, sizeof(line)))
		sim_fail("there is no status");
	for (u32 i = 0; i < FILLS_WORD && word; i++) {
		word = strchr(word, ' ');
		word += !!word;
	}
	run.now.fills = word ? strtoull(word, NULL, 10) : 0;
}

static void play(const struct trace_request *rq)
{
	struct block_device *bdev = dm_host_bdev(run.md);
	u64 bytes = (u64)rq->sectors << SECTOR_SHIFT;
	int r;

	switch (rq->op) {
	case TRACE_READ:
		run.now.read_bytes += bytes;
		r = dm_host_rw(bdev, REQ_OP_READ, rq->sector, buffer, rq->sectors);
		break;
	case TRACE_WRITE:
		run.now.written_bytes += bytes;
		r = dm_host_rw(bdev, REQ_OP_WRITE, rq->sector, buffer, rq->sectors);
		break;
	default:
		r = dm_host_flush(bdev);
	}
	if (r)
		sim_fail("a request ends with %d", r);
	usleep_range(PAUSE_US, PAUSE_US);
}

static void attach(void)
{
	char table[200], error[256] = "";

	snprintf(table, sizeof(table),
		 "0 %llu pcache pmem0 vda 6 gc_percent %u eviction %s sequential_cutoff_kb %u",
		 (unsigned long long)ALIGN(run.trace.end, TRACE_BLOCK_SECTORS), run.gc_percent,
		 run.eviction, run.cutoff_kb);
	run.md = dm_host_start("cache", table, false, error, sizeof(error));
	if (!run.md)
		sim_fail("attaching: %s", error);
}

static void play_all(void)
{
	attach();
	for (u32 i = 0; i < run.trace.nr; i++) {
		if (i == run.from) {
			note_fills();
			run.at_from = run.now;
		}
		play(&run.trace.request[i]);
	}
	note_fills();
	if (dm_host_suspend(run.md, false) || dm_host_remove(run.md))
		sim_fail("it cannot be detached");
}

static struct queue_limits limits(u32 features)
{
	return (struct queue_limits) {
		.logical_block_size = SECTOR_SIZE, .physical_block_size = SECTOR_SIZE,
		.io_min = SECTOR_SIZE, .max_sectors = 2560, .max_hw_sectors = UINT_MAX,
		.max_segments = 128, .max_segment_size = UINT_MAX, .dma_alignment = 511,
		.features = BLK_FEAT_NOWAIT | features,
	};
}

static void log_line(void *data, int level, const char *text)
{
	if (level <= 3)
		fputs(text, stderr);
}

static void first_task(void *arg)
{
	static struct dax_device dax;
	static struct block_device pmem, disk;

	shim_set_log(log_line, NULL);
	dax = (struct dax_device) {
		.name = "pmem0", .base = run.media, .nr_pages = run.media_bytes >> PAGE_SHIFT,
		.synchronous = true,
	};
	pmem = (struct block_device) {
		.name = "pmem0", .nr_sectors = run.media_bytes >> SECTOR_SHIFT, .dax = &dax,
		.queue.limits = limits(BLK_FEAT_DAX | BLK_FEAT_SYNCHRONOUS),
	};
	disk = (struct block_device) {
		.name = "vda", .nr_sectors = ALIGN(run.trace.end, TRACE_BLOCK_SECTORS),
		.queue.limits = limits(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA),
	};
	if (shim_module_init() || dm_host_add_bdev(&pmem) || dm_host_add_bdev(&disk))
		sim_fail("the module or the devices cannot be made");
	run.disk = shim_spawn("disk", disk_task, NULL);
	play_all();
	dm_host_remove_bdev(&pmem);
	dm_host_remove_bdev(&disk);
	run.stop = true;
	port_unpark(run.disk);
	shim_join(run.disk);
	shim_module_exit();
	shim_stop();
}

static bool run_engine(void)
{
	const struct sim_config config = { .seed = 1, .cpus = 1 };

	run.media_bytes = ALIGN(PCACHE_SEGS_OFF + (u64)run.segs * PCACHE_SEG_BYTES, PAGE_SIZE);
	run.media = mmap(NULL, run.media_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (run.media == MAP_FAILED) {
		perror("mmap");
		return false;
	}
	sim_init();
	return sim_run(&config, first_task, NULL) == SIM_DONE && !shim_warnings();
}

int main(int argc, char **argv)
{
	struct trace_spec spec;
	const char *error;

	if (argc != 13) {
		fprintf(stderr, "usage: %s TRACE SEED REQUESTS BLOCKS CACHE_BLOCKS THETA WRITE_PERCENT"
			" SEGS GC_PERCENT EVICTION CUTOFF_KB FROM\nPrints bytes read, missed, written, stored, and fills."
			" Started by misses.\n", argv[0]);
		return 2;
	}
	spec = (struct trace_spec) {
		.name = argv[1], .seed = strtoull(argv[2], NULL, 0), .requests = atoi(argv[3]),
		.blocks = atoi(argv[4]), .cache_blocks = atoi(argv[5]), .theta = atof(argv[6]),
		.write_percent = atoi(argv[7]),
	};
	run.segs = atoi(argv[8]);
	run.gc_percent = atoi(argv[9]);
	run.eviction = argv[10];
	run.cutoff_kb = atoi(argv[11]);
	run.from = atoi(argv[12]);
	error = trace_make(&spec, &run.trace);
	if (error) {
		fprintf(stderr, "%s: %s\n", spec.name, error);
		return 1;
	}
	if (!run_engine())
		return 1;
	printf("%llu %llu %llu %llu %llu\n",
	       (unsigned long long)(run.now.read_bytes - run.at_from.read_bytes),
	       (unsigned long long)(run.now.missed_bytes - run.at_from.missed_bytes),
	       (unsigned long long)(run.now.written_bytes - run.at_from.written_bytes),
	       (unsigned long long)(run.now.stored_bytes - run.at_from.stored_bytes),
	       (unsigned long long)(run.now.fills - run.at_from.fills));
	trace_free(&run.trace);
	return 0;
}

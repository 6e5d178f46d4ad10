// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A session of Linux's own dm-pcache: it attaches what the engine left, writes, commits,
 * writes back and reclaims, and the power may go between any two of its stores.
 *
 * What it stored is taken to be durable then: it neither keeps the zeroes behind a kset
 * ahead of the kset, nor frees a segment only when both slots of key_tail are past it,
 * so that with words lost its own log may break, whoever attaches it next.
 */
#include <stdio.h>
#include <string.h>

#include <linux/blkdev.h>
#include <linux/kernel.h>

#include "disk-model.h"
#include "mainline.h"
#include "mainline-session.h"
#include "oracle.h"
#include "pmem-model.h"
#include "session.h"

static struct {
	struct mainline_session *s;
	struct mainline model;
	struct sim_random random;
	u32 left;		/* until the cut */
	u8 buf[64 << SECTOR_SHIFT];
	char error[300];
} ms;

/* Nothing gets anywhere after the cut. */
static bool power_is_on(void)
{
	if (!ms.s->cut && ms.s->cut_after && !--ms.left)
		ms.s->cut = true;
	return !ms.s->cut;
}

static void store(void *data, u64 off, const void *src, u64 bytes)
{
	if (power_is_on())
		pmem_model_store(0, off, src, bytes);
}

static void fence(void *data)
{
	if (!ms.s->cut)
		pmem_model_fence(0);
}

static void write_disk(void *data, u64 sector, u32 sectors, const u8 *from)
{
	if (power_is_on())
		disk_model_write(sector, from, sectors);
}

static void flush_disk(void *data)
{
}

static const struct mainline_ops ops = {
	.store = store, .fence = fence, .write = write_disk, .flush = flush_disk,
};

static bool write_at(u32 at, u32 n)
{
	u64 sector = session_first_sector(ms.s->p) + at;
	u32 write = oracle_write_begin(sector, n);
	bool done;

	oracle_fill(ms.buf, write, sector, n);
	done = mainline_step_write(&ms.model, sector, n, ms.buf);
	if (!ms.s->cut)
		oracle_write_end(write, !done, false);
	return done;
}

static void write_once(void)
{
	const struct sim_params *p = ms.s->p;
	u32 n = ALIGN(1 + sim_below(&ms.random, min(p->max_sectors, 8U)), p->align);

	write_at(sim_below(&ms.random, p->sectors - n + 1) / p->align * p->align, n);
}

static void commit(void)
{
	u64 begin = oracle_now();

	if (mainline_commit(&ms.model) && !ms.s->cut)
		oracle_flush_end(begin);
}

static void fill(void)
{
	const u32 n = PCACHE_DATA_SECTORS;

	for (u32 at = 0; write_at(at, n); at = (at + n) % ms.s->p->sectors)
		;
	commit();
	while (mainline_step_writeback(&ms.model))
		;
}

static void step(void)
{
	switch (sim_below(&ms.random, 6)) {
	case 0:
		commit();
		break;
	case 1:
		mainline_step_writeback(&ms.model);
		break;
	case 2:
		mainline_step_reclaim(&ms.model);
		break;
	default:
		write_once();
	}
}

const char *mainline_session_run(struct mainline_session *s)
{
	const struct checker_image image = {
		.media = pmem_model_view(), .bytes = pmem_model_bytes(),
		.backing_sectors = session_first_sector(s->p) + s->p->sectors,
	};

	ms.s = s;
	ms.left = s->cut_after;
	s->cut = false;
	sim_seed(&ms.random, s->seed);
	/* Some kernels clear the stack, from which it takes bytes of some records. */
	ms.model.stack = sim_next(&ms.random) & 1 ? sim_next(&ms.random) & 0xffffff : 0;
	if (s->format) {
		static const u64 no_magic;

		store(NULL, PCACHE_SUPER_OFF + offsetof(struct pcache_media_super, magic),
		      &no_magic, sizeof(no_magic));
		mainline_format(&ms.model, &image, &ops, NULL, s->p->data_crc);
	}
	if (!mainline_begin(&ms.model, &image, &ops, NULL)) {
		snprintf(ms.error, sizeof(ms.error), "Linux's own refuses what the engine left: %s",
			 ms.model.error);
		return ms.error;
	}
	if (s->fill)
		fill();
	for (u32 i = 0; i < s->writes && !s->cut; i++)
		step();
	if (!s->cut)
		commit();
	return NULL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The message resize: a cache device that has grown is used while requests come, and
 * whatever a power cut leaves on the way is the old cache or the new one.
 */
#include "checker.h"
#include "fixture.h"
#include "mainline.h"

#define SEGS	8
#define MORE	12

/* The device is made as large as it will be; until then nobody sees the rest. */
static void set_device_segs(struct fixture *f, u32 segs)
{
	u64 bytes = media_bytes_of(segs);

	f->h.pmem->nr_sectors = bytes >> SECTOR_SHIFT;
	f->h.pmem->dax->nr_pages = bytes >> PAGE_SHIFT;
	f->media_bytes = bytes;
}

static void open_small(struct fixture *f)
{
	fixture_open(f, MORE, SMALL_SECTORS);
	/* What will be new is no zeroes. */
	memset(f->media + seg_off(SEGS), 0x5a, f->media_bytes - seg_off(SEGS));
	set_device_segs(f, SEGS);
}

static void hold_dirty(struct fixture *f)
{
	port_bdev_fault(f->h.disk, PORT_FAULT_WRITE, 0, f->sectors, PORT_FAULT_ALWAYS,
			BLK_STS_IOERR);
}

static struct checker_image image_of(struct fixture *f)
{
	return (struct checker_image) {
		.media = f->media, .bytes = f->media_bytes, .backing_sectors = f->sectors,
	};
}

static u32 attached_by_mainline(struct fixture *f)
{
	static struct mainline m;
	const struct checker_image image = image_of(f);
	u32 segs = 0;

	if (mainline_attach(&m, &image)) {
		CHECK_EQ(m.n_segs, m.seg_num);
		segs = m.n_segs;
	}
	mainline_free(&m);
	return segs;
}

static void check_format(struct fixture *f, enum checker_state state)
{
	const struct checker_image image = image_of(f);
	struct checker c = { };

	CHECK(checker_run(&image, state, &c), "%s", c.error);
}

/* Either copy may be lost. */
static void check_links(struct fixture *f)
{
	for (u32 i = 0; i < MORE; i++) {
		const struct pcache_media_seg_info *a, *b;

		a = (void *)f->media + seg_off(i) + PCACHE_SEG_INFO_OFF;
		b = (void *)a + PCACHE_SEG_INFO_STRIDE;
		CHECK_EQ(le32_to_cpu(a->flags) & PCACHE_SEG_HAS_NEXT, i + 1 < MORE);
		CHECK_EQ(a->flags, b->flags);
		CHECK_EQ(a->next_seg, b->next_seg);
	}
}

/* Writes wait for room that only the resize can make. */
static void test_live(void)
{
	const struct writer how = { .max_sectors = 24, .writes = 60 };
	struct host_status st;
	struct fixture f;
	struct writer w;
	u32 used;

	open_small(&f);
	attach(&f, "");
	CHECK_EQ(message(&f, "resize"), 0);
	CHECK(host_logged("resize: 8 segments, were 8"));
	hold_dirty(&f);
	start_writers(&f, &w, 1, &how);
	AWAIT(status(&f).space_waits > 0);
	set_device_segs(&f, MORE);
	used = status(&f).segs_used;
	CHECK_EQ(status(&f).cache_segs, SEGS);
	CHECK_EQ(message(&f, "resize"), 0);
	st = status(&f);
	CHECK_EQ(st.cache_segs, MORE);
	CHECK_EQ(st.seg_total, MORE);
	AWAIT(status(&f).segs_used > used || READ_ONCE(w.done) == 60);
	port_bdev_clear_faults(f.h.disk);
	join_writers(&w, 1);
	check_all(&f);
	flush(&f);
	CHECK_EQ(message(&f, "resize"), 0);
	CHECK(host_logged("resize: 12 segments, were 12"));
	/* Smaller again: refused, and nothing else happens. */
	set_device_segs(&f, MORE - 1);
	CHECK_EQ(message(&f, "resize"), -ENOSPC);
	CHECK_EQ(status(&f).cache_segs, MORE);
	set_device_segs(&f, MORE);
	random_writes(&f, 200, 24);
	check_links(&f);
	detach(&f);
	check_format(&f, CHECKER_DETACHED);
	CHECK_EQ(attached_by_mainline(&f), MORE);
	attach(&f, "");
	CHECK_EQ(status(&f).cache_segs, MORE);
	check_all(&f);
	random_writes(&f, 200, 24);
	CHECK_EQ(message(&f, "flush"), 0);
	check_disk(&f);
	detach(&f);
	/* A device that was larger at the attach, too; and one that is smaller is refused. */
	set_device_segs(&f, MORE - 1);
	CHECK_TEXT(refusal(&f, "", false), "Cache device is smaller than its super-block says");
	fixture_close(&f);
}

/* The new part is not in one piece, nor where the old one's end was; and once more. */
static void test_pieces(void)
{
	struct fixture f;

	open_small(&f);
	attach(&f, "2 data_crc true");
	random_writes(&f, 20, 8);
	f.h.pmem->dax->max_run = 4;
	for (u32 segs = SEGS + 1; segs <= MORE; segs++) {
		set_device_segs(&f, segs);
		CHECK_EQ(message(&f, "resize"), 0);
		CHECK_EQ(status(&f).cache_segs, segs);
		random_writes(&f, 100, 24);
		check_all(&f);
	}
	flush(&f);
	detach(&f);
	check_format(&f, CHECKER_DETACHED);
	attach(&f, "");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_refused(void)
{
	struct fixture f;

	open_small(&f);
	attach(&f, "");
	random_writes(&f, 20, 8);
	CHECK_EQ(dm_host_suspend(f.h.md, false), 0);
	set_device_segs(&f, MORE);
	CHECK_EQ(message(&f, "resize"), -EINVAL);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	detach(&f);
	host_attach_ro(&f.h, "");
	CHECK_EQ(message(&f, "resize"), -EINVAL);
	CHECK_EQ(status(&f).cache_segs, SEGS);
	check_all(&f);
	detach(&f);
	attach(&f, "");
	CHECK_EQ(status(&f).cache_segs, SEGS);
	CHECK_EQ(message(&f, "resize"), 0);
	CHECK_EQ(status(&f).cache_segs, MORE);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/*
 * Power cuts: the medium as it was behind each store of the resize. Only stores of 16 bytes
 * and more, and the 8 of the super-block, come by; words of them are torn one by one.
 */

static struct {
	struct fixture *f;
	u8 *image[400];
	u32 nr;
	bool on;
} cuts;

void __real_port_pmem_store(void *dst, const void *src, size_t n);
void __wrap_port_pmem_store(void *dst, const void *src, size_t n);

static u8 *keep_image(void)
{
	struct fixture *f = cuts.f;
	u8 *image;

	CHECK(cuts.nr < ARRAY_SIZE(cuts.image));
	image = cuts.image[cuts.nr++] = malloc(f->media_bytes);
	memcpy(image, f->media, f->media_bytes);
	return image;
}

void __wrap_port_pmem_store(void *dst, const void *src, size_t n)
{
	if (cuts.on && n > 8 && n <= 24) {
		u64 off = (u8 *)dst - cuts.f->media;

		for (size_t word = 0; word < n; word += 8)
			memcpy(keep_image() + off + word, src + word, 8);
	}
	__real_port_pmem_store(dst, src, n);
	if (cuts.on)
		keep_image();
}

/* One image: Linux's own first, then a look, then on with it. */
static void check_cut(struct fixture *f, u32 *segs, u32 *mainline)
{
	const u32 used[] = { SEGS, MORE, 0 };
	u32 by_mainline = attached_by_mainline(f), now;
	bool known = false;

	check_format(f, CHECKER_CRASHED);
	for (u32 i = 0; i < 3; i++)
		known |= by_mainline == used[i];
	CHECK(known, "%u segments", by_mainline);
	*mainline |= by_mainline == SEGS ? 1 : by_mainline ? 4 : 2;
	host_attach_ro(&f->h, "");
	now = status(f).cache_segs;
	check_all(f);
	detach(f);
	attach(f, "");
	CHECK_EQ(status(f).cache_segs, now);
	CHECK(now == SEGS || now == MORE);
	CHECK(by_mainline != SEGS || now == SEGS);
	CHECK(by_mainline != MORE || now == MORE);
	*segs |= now == SEGS ? 1 : 2;
	check_all(f);
	check_format(f, CHECKER_RUNNING);
	CHECK_EQ(attached_by_mainline(f), now);
	CHECK_EQ(message(f, "resize"), 0);
	CHECK_EQ(status(f).cache_segs, MORE);
	check_links(f);
	detach(f);
	check_format(f, CHECKER_DETACHED);
	CHECK_EQ(attached_by_mainline(f), MORE);
}

static void test_cuts(void)
{
	u32 segs = 0, mainline = 0;
	struct fixture f;

	open_small(&f);
	attach(&f, "");
	hold_dirty(&f);
	random_writes(&f, 10, 8);
	flush(&f);
	set_device_segs(&f, MORE);
	cuts.f = &f;
	cuts.nr = 0;
	cuts.on = true;
	CHECK_EQ(message(&f, "resize"), 0);
	cuts.on = false;
	detach(&f);
	CHECK(cuts.nr > 40, "%u stores", cuts.nr);
	for (u32 i = 0; i < cuts.nr; i++) {
		memcpy(f.media, cuts.image[i], f.media_bytes);
		host_clear_log();
		check_cut(&f, &segs, &mainline);
		free(cuts.image[i]);
	}
	/* The old cache and the new one; attached as old, refused, attached as new. */
	CHECK_EQ(segs, 3);
	CHECK_EQ(mainline, 7);
	port_bdev_clear_faults(f.h.disk);
	fixture_close(&f);
}

/* What the block says of a resize has to fit all else. */
static void test_bad_block(void)
{
	struct fixture f;
	struct pcache_media_ext *ext;

	open_small(&f);
	attach(&f, "");
	random_writes(&f, 20, 8);
	detach(&f);
	for (u32 pass = 0; pass < 4; pass++) {
		const u32 say[] = { 0, SEGS - 1, SEGS + 1, U32_MAX };

		for (u32 slot = 0; slot < 2; slot++) {
			ext = (void *)f.media + PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;
			ext->grow_segs = cpu_to_le32(say[pass]);
			mend_crc(ext, sizeof(*ext));
		}
		/* cache_info has not followed: nothing has happened. */
		attach(&f, "");
		CHECK_EQ(status(&f).cache_segs, SEGS);
		check_all(&f);
		detach(&f);
		CHECK_EQ(ext->grow_segs, 0);
	}
	/* It has, and the device has not so much. */
	for (u32 slot = 0; slot < 2; slot++) {
		struct pcache_media_info *info = (void *)f.media + PCACHE_INFO_OFF +
						 slot * PCACHE_INFO_STRIDE;

		ext = (void *)f.media + PCACHE_EXT_OFF + slot * PCACHE_EXT_STRIDE;
		ext->grow_segs = cpu_to_le32(SEGS + 1);
		mend_crc(ext, sizeof(*ext));
		info->n_segs = cpu_to_le32(SEGS + 1);
		mend_crc(info, sizeof(*info));
	}
	CHECK_TEXT(refusal(&f, "", false), "Cache device is smaller than its extension block says");
	/* It has, and the segment that is to be there never was. */
	set_device_segs(&f, SEGS + 1);
	CHECK_TEXT(refusal(&f, "", false), "Cache segment information: both copies are invalid");
	fixture_close(&f);
}

static struct pcache_media_seg_info *seg_info(struct fixture *f, u32 seg, u32 slot)
{
	return (void *)f->media + seg_off(seg) + PCACHE_SEG_INFO_OFF + slot * PCACHE_SEG_INFO_STRIDE;
}

/* As a power cut behind G3 leaves the block. */
static void set_growing(struct fixture *f, u32 segs)
{
	for (u32 slot = 0; slot < 2; slot++) {
		struct pcache_media_ext *ext = (void *)f->media + PCACHE_EXT_OFF +
					       slot * PCACHE_EXT_STRIDE;

		ext->grow_segs = cpu_to_le32(segs);
		mend_crc(ext, sizeof(*ext));
	}
}

/* Cut short before G5, or in it, and one copy of a new segment's link has rotted since. */
static void test_rotten_link(void)
{
	struct fixture f;

	open_small(&f);
	set_device_segs(&f, MORE);
	for (u32 unlinked = 1; unlinked <= 2; unlinked++) {
		for (u32 slot = 0; slot < 2; slot++) {
			attach(&f, "2 format force");
			CHECK(!host_logged("was cut short"));
			random_writes(&f, 10, 8);
			flush(&f);
			CHECK_EQ(message(&f, "flush"), 0);
			detach(&f);
			set_growing(&f, MORE);
			for (u32 i = 0; i < unlinked; i++) {
				struct pcache_media_seg_info *info = seg_info(&f, SEGS - 1, i);

				info->flags &= ~cpu_to_le32(PCACHE_SEG_HAS_NEXT);
				info->next_seg = 0;
				mend_crc(info, sizeof(*info));
			}
			seg_info(&f, MORE - 2, slot)->header.crc ^= 1;
			attach(&f, "");
			CHECK(host_logged("resize to 12 segments was cut short, is finished"));
			CHECK_EQ(status(&f).cache_segs, MORE);
			CHECK(seg_info(&f, SEGS - 1, 0)->next_seg == cpu_to_le32(SEGS));
			CHECK(seg_info(&f, SEGS - 1, 1)->next_seg == cpu_to_le32(SEGS));
			check_all(&f);
			detach(&f);
			attach(&f, "");
			check_all(&f);
			detach(&f);
			/* What is formatted anew has nothing to go on with. */
			set_growing(&f, MORE);
			host_clear_log();
		}
	}
	fixture_close(&f);
}

/* What has been made is read before anything depends on it. */
static void test_bad_memory(void)
{
	struct fixture f;

	open_small(&f);
	attach(&f, "");
	random_writes(&f, 20, 8);
	set_device_segs(&f, MORE);
	port_pmem_poison(f.h.pmem, seg_off(SEGS + 1) + PCACHE_SEG_GEN_OFF, 64);
	CHECK_EQ(message(&f, "resize"), -EIO);
	CHECK(host_logged("resize: the cache stays at 8 segments (-5)"));
	CHECK_EQ(status(&f).cache_segs, SEGS);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	port_pmem_poison(f.h.pmem, seg_off(SEGS + 2) + PCACHE_SEG_INFO_OFF, 64);
	port_pmem_poison(f.h.pmem, seg_off(SEGS + 2) + PCACHE_SEG_INFO_OFF + PCACHE_SEG_INFO_STRIDE,
			 64);
	CHECK_EQ(message(&f, "resize"), -EIO);
	CHECK_EQ(status(&f).cache_segs, SEGS);
	check_all(&f);
	detach(&f);
	check_format(&f, CHECKER_DETACHED);
	attach(&f, "");
	CHECK_EQ(status(&f).cache_segs, SEGS);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	CHECK_EQ(message(&f, "resize"), 0);
	CHECK_EQ(status(&f).cache_segs, MORE);
	check_all(&f);
	detach(&f);
	attach(&f, "");
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

/* What there was can no longer be read: nothing is begun. */
static void test_bad_end(void)
{
	struct fixture f;

	open_small(&f);
	attach(&f, "");
	random_writes(&f, 20, 8);
	set_device_segs(&f, MORE);
	for (u32 super = 0; super < 2; super++) {
		if (super)
			port_pmem_poison(f.h.pmem, PCACHE_SUPER_OFF, 64);
		for (u32 slot = 0; slot < 2 && !super; slot++)
			port_pmem_poison(f.h.pmem, seg_off(SEGS - 1) + PCACHE_SEG_INFO_OFF +
					 slot * PCACHE_SEG_INFO_STRIDE, 64);
		CHECK_EQ(message(&f, "resize"), -EIO);
		CHECK_EQ(status(&f).cache_segs, SEGS);
		CHECK_EQ(f.media[seg_off(SEGS)], 0x5a);
		port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	}
	CHECK_EQ(message(&f, "resize"), 0);
	CHECK_EQ(status(&f).cache_segs, MORE);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static u32 fail_in;

static bool fail_nth(gfp_t gfp, size_t size)
{
	return fail_in && !--fail_in;
}

/* Each allocation fails once: nothing is begun. */
static void test_no_memory(void)
{
	const u32 more = PCACHE_CHUNK_SEGS + 4;
	struct fixture f;
	u32 nth = 0;
	int r;

	fixture_open(&f, more, SMALL_SECTORS);
	set_device_segs(&f, SEGS);
	attach(&f, "");
	random_writes(&f, 20, 8);
	CHECK_EQ(message(&f, "flush"), 0);
	AWAIT(!shim_scheduled());
	set_device_segs(&f, more);
	port_set_alloc_failure(fail_nth);
	do {
		fail_in = ++nth;
		r = message(&f, "resize");
		CHECK(!r || r == -ENOMEM, "%d", r);
		CHECK_EQ(status(&f).cache_segs, r ? SEGS : more);
	} while (r);
	port_set_alloc_failure(NULL);
	CHECK_EQ(nth, 3);
	random_writes(&f, 100, 24);
	check_all(&f);
	detach(&f);
	check_format(&f, CHECKER_DETACHED);
	fixture_close(&f);
}

/* A resize that was cut short cannot be finished at this attach: another one finishes it. */
static void finished_later(u64 bad, u64 bad_too)
{
	struct fixture f;
	char line[64];

	open_small(&f);
	set_device_segs(&f, MORE);
	attach(&f, "");
	random_writes(&f, 10, 8);
	flush(&f);
	detach(&f);
	set_growing(&f, MORE);
	snprintf(line, sizeof(line), "0 %u pcache pmem0 vda", f.sectors);
	host_clear_log();
	f.h.md = dm_host_create("cache");
	CHECK_EQ(dm_host_load(f.h.md, line, false, NULL, 0), 0);
	port_pmem_poison(f.h.pmem, bad, 64);
	port_pmem_poison(f.h.pmem, bad_too, 64);
	CHECK_EQ(dm_host_resume(f.h.md), 0);
	CHECK_EQ(message(&f, "resize"), -EINVAL);
	check_all(&f);
	port_pmem_heal(f.h.pmem, 0, f.media_bytes);
	random_writes(&f, 10, 8);
	detach(&f);
	CHECK(!host_logged("was cut short"));
	attach(&f, "");
	CHECK(host_logged("resize to 12 segments was cut short, is finished"));
	CHECK_EQ(message(&f, "resize"), 0);
	check_all(&f);
	detach(&f);
	fixture_close(&f);
}

static void test_finished_later(void)
{
	u64 info = seg_off(2) + PCACHE_SEG_INFO_OFF;

	finished_later(PCACHE_SUPER_OFF, PCACHE_SUPER_OFF);
	finished_later(info, info + PCACHE_SEG_INFO_STRIDE);
}

static const struct test_case cases[] = {
	{ "live", test_live },
	{ "pieces", test_pieces },
	{ "refused", test_refused },
	{ "cuts", test_cuts },
	{ "bad_block", test_bad_block },
	{ "rotten_link", test_rotten_link },
	{ "bad_memory", test_bad_memory },
	{ "bad_end", test_bad_end },
	{ "no_memory", test_no_memory },
	{ "finished_later", test_finished_later },
};

int main(int argc, char **argv)
{
	return run_cases("resize-test", cases, ARRAY_SIZE(cases), 60, argc, argv);
}

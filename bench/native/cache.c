// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A cache without Device-Mapper: the engine gets its medium and its requests
 * directly, so that what is measured is the engine and as little as can be besides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/atomic.h>
#include <linux/err.h>

#include "native.h"

#define SPARSE_FILE	"build/bench-native.disk"

static void log_line(void *data, int level, const char *text)
{
	if (level <= 4)
		fputs(text, stderr);
}

void quiet_log(void)
{
	shim_set_log(log_line, NULL);
}

static void *get_media(u64 bytes, bool sparse)
{
	void *p = mmap(NULL, bytes + SZ_2M, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail("no memory for a medium of %llu MiB", bytes >> 20);
	/* The kernel maps persistent memory with large pages, too. */
	if (!sparse) {
		madvise(p, bytes + SZ_2M, MADV_HUGEPAGE);
		memset(p, 0, bytes);
	}
	return p;
}

void cache_open(struct cache *c, u32 segs, u64 disk_blocks, bool sparse)
{
	*c = (struct cache) {
		.media_bytes = PCACHE_SEGS_OFF + (u64)segs * PCACHE_SEG_BYTES,
		.disk_blocks = disk_blocks,
	};
	c->media = get_media(c->media_bytes, sparse);
	c->disk = port_bdev_open(&(struct port_bdev_config) {
		.name = "vda", .bytes = disk_blocks * BLOCK, .write_cache = true,
		.path = sparse ? SPARSE_FILE : NULL,
	});
	if (!c->disk)
		fail("no backing device of %llu MiB", disk_blocks * BLOCK >> 20);
	unlink(SPARSE_FILE);
}

void cache_close(struct cache *c)
{
	port_bdev_close(c->disk);
	munmap(c->media, c->media_bytes + SZ_2M);
}

static void parse(const char *options, struct pcache_options *o)
{
	char text[300], why[200], *word[20], *rest = text;
	u32 nr = 0;

	snprintf(text, sizeof(text), "%s", options);
	while (nr < ARRAY_SIZE(word) && (word[nr] = strsep(&rest, " ")))
		nr++;
	if (pcache_parse_options(nr, word, o, why, sizeof(why)))
		fail("%s: %s", options, why);
}

void cache_attach(struct cache *c, const char *options)
{
	const char *error = NULL;
	struct pcache_config config = {
		.name = "bench", .media = c->media, .media_bytes = c->media_bytes,
		.backing = c->disk,
	};

	parse(options, &config.options);
	/* It is compared with stores past the cache, and tap.c knows no others. */
	config.options.copy = PCACHE_COPY_NT;
	c->pc = pcache_create(&config, &error);
	if (IS_ERR(c->pc))
		fail("attaching with '%s': %s", options, error);
	if (pcache_resume(c->pc))
		fail("resuming with '%s'", options);
}

void cache_format(struct cache *c, const char *options)
{
	char text[300];

	/* What has dirty data is not formatted. */
	memset(c->media, 0, PCACHE_SEGS_OFF);
	snprintf(text, sizeof(text), "%d format force%s", 2 + atoi(options),
		 strchrnul(options, ' '));
	cache_attach(c, text);
}

void cache_detach(struct cache *c)
{
	pcache_suspend(c->pc);
	pcache_destroy(c->pc);
	c->pc = NULL;
}

enum { ON_ITS_WAY, DONE, AWAITED };

static void ended(struct bio *bio)
{
	struct request *r = container_of(bio, struct request, bio);

	if (__atomic_exchange_n(&r->state, DONE, __ATOMIC_ACQ_REL) == AWAITED)
		complete(&r->done);
}

static void wait_for(struct request *r)
{
	int state = ON_ITS_WAY;

	init_completion(&r->done);
	if (__atomic_compare_exchange_n(&r->state, &state, AWAITED, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		wait_for_completion(&r->done);
}

void cache_do(struct cache *c, struct request *r, blk_opf_t op, u64 block, void *buf, u32 bytes)
{
	bio_init(&r->bio, c->disk, &r->vec, 1, op);
	r->bio.bi_iter.bi_sector = block * BLOCK_SECTORS;
	r->bio.bi_end_io = ended;
	if (bytes)
		__bio_add_page(&r->bio, virt_to_page(buf), bytes, 0);
	r->state = ON_ITS_WAY;
	pcache_submit(c->pc, &r->rq, &r->bio);
	if (__atomic_load_n(&r->state, __ATOMIC_ACQUIRE) != DONE)
		wait_for(r);
	if (r->bio.bi_status)
		fail("a request ends with status %d", r->bio.bi_status);
}

void cache_fill(struct cache *c, u64 from, u64 to, u32 bits)
{
	struct request r;
	void *buf = aligned_alloc(BLOCK, BLOCK);

	memset(buf, 0x5a, BLOCK);
	for (; from < to; from++)
		cache_do(c, &r, REQ_OP_WRITE, scatter(from, bits), buf, BLOCK);
	free(buf);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model of persistent memory, as the engine may rely on it:
 *
 * - A store (past the caches, or cached and then flushed) is seen by every CPU at
 *   once, and becomes durable at some moment after it, at the latest at the next
 *   fence of the CPU that stored. Until then a power cut leaves any subset of its
 *   8-byte words, whatever their order: some that were stored later and not some
 *   that were stored before. An aligned word of 8 bytes is never torn.
 * - A store that goes through the caches is not durable before somebody has begun to write
 *   its lines back and the same CPU has fenced after that. It may be durable any time before:
 *   a line can leave the cache by itself.
 * - A fence waits for the stores of its own CPU only. A task that moves to another
 *   CPU between store and fence has not fenced what it stored. A locked instruction
 *   is no fence.
 * - Where two stores meet the same word without a fence in between, the earlier
 *   value may or may not have been durable for a while: the model decides when the
 *   later one comes. Two CPUs that do so are a mistake; nobody could say who wins.
 * - A line of 64 bytes may have a media error: a load that is safe against machine
 *   checks stops before it. Only a device that can do that heals it by a store of the
 *   whole line; otherwise the store is lost on the line, which stays as bad as it was,
 *   until firmware is asked to clear it, and the engine never asks.
 *
 * The engine's mapping of the medium can be neither written nor read: a store that does
 * not come through memcpy_flushcache() or copy_page() faults, and so does a load that is
 * not safe against machine checks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dax.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <shim/host.h>

#include "port.h"
#include "pmem-model.h"

#define MAX_PENDING 4096
#define MAX_CPUS 8
#define CHUNK 256		/* of what is copied back at pmem_model_on() */
#define LINE 64
#define MAX_POISON 64
/* What is longer is user data. */
#define METADATA_MAX 6000

static struct {
	u8 *mapped;		/* where the engine has it */
	u8 *view;		/* what CPUs see */
	u8 *durable;
	u8 *base;		/* of chunks that are touched: durable, when the power went off */
	u64 bytes;
	struct pmem_store pending[MAX_CPUS][MAX_PENDING];
	u32 nr_pending[MAX_CPUS];
	struct pmem_store off[MAX_PENDING];	/* pending, when it went off */
	u32 nr_off;
	u8 *off_data;
	u32 *touched;		/* chunks that have changed since, maybe */
	u32 nr_touched;
	u8 *is_touched;
	u32 *used;		/* chunks that are not zero, maybe */
	u32 nr_used;
	u8 *is_used;
	u32 poison[MAX_POISON];	/* lines */
	u32 nr_poison;
	bool store_heals;
	bool was_poisoned;
	struct pmem_counts counts;
	struct block_device bdev;
	struct dax_device dax;
} pm;

static void use(u32 c)
{
	if (pm.is_used[c])
		return;
	pm.is_used[c] = 1;
	pm.used[pm.nr_used++] = c;
}

/* Before the first change of what is durable there. */
static void touch(u64 off, u64 n)
{
	for (u32 c = off / CHUNK; c <= (off + n - 1) / CHUNK; c++) {
		if (pm.is_touched[c])
			continue;
		pm.is_touched[c] = 1;
		pm.touched[pm.nr_touched++] = c;
		memcpy(pm.base + (u64)c * CHUNK, pm.durable + (u64)c * CHUNK, CHUNK);
		use(c);
	}
}

static void untouch(void)
{
	for (u32 i = 0; i < pm.nr_touched; i++)
		pm.is_touched[pm.touched[i]] = 0;
	pm.nr_touched = 0;
}

static bool on_medium(const void *addr)
{
	return (const u8 *)addr >= pm.mapped && (const u8 *)addr < pm.mapped + pm.bytes;
}

/* Stores and fences */

static void make_durable(u64 off, u64 n)
{
	touch(off, n);
	memcpy(pm.durable + off, pm.view + off, n);
}

/* @off and @n are about to be stored again; the value before may be durable by now. */
static void settle_overlap(u32 cpu, u32 off, u32 n)
{
	for (u32 c = 0; c < MAX_CPUS; c++) {
		for (u32 i = 0; i < pm.nr_pending[c]; i++) {
			const struct pmem_store *p = &pm.pending[c][i];
			u32 lo = max(p->off, off), hi = min(p->off + p->len, off + n);

			if (lo >= hi)
				continue;
			if (c != cpu)
				sim_fail("two CPUs store to 0x%x without a fence between", lo);
			for (lo &= ~7U; lo < hi; lo += 8)
				if (sim_next(sim_random()) & 1)
					make_durable(lo, 8);
		}
	}
}

static void heal_lines(u64 off, u64 n)
{
	for (u32 i = 0; i < pm.nr_poison; ) {
		u64 line = (u64)pm.poison[i] * LINE;

		if (line >= off && line + LINE <= off + n)
			pm.poison[i] = pm.poison[--pm.nr_poison];
		else
			i++;
	}
}

static void check_store(u64 off, size_t n)
{
	if (off + n > pm.bytes)
		sim_fail("a store beyond the end of the medium, at 0x%llx", off);
	if ((off | n) & 3)
		sim_fail("a store of %zu bytes at 0x%llx, expected multiples of 4", n, off);
	if (!current->no_migrate && !in_atomic())
		sim_fail("a store at 0x%llx by a task that could move to another CPU", off);
	if (n >= SECTOR_SIZE && sim_spinlock_held())
		sim_fail("%zu bytes are copied to the medium under a spinlock", n);
}

static void model_store(u32 cpu, u64 off, const void *src, u64 n, bool cached)
{
	if (pm.nr_pending[cpu])
		settle_overlap(cpu, off, n);
	else
		for (u32 c = 0; c < MAX_CPUS; c++)
			if (pm.nr_pending[c]) {
				settle_overlap(cpu, off, n);
				break;
			}
	if (pm.nr_pending[cpu] == MAX_PENDING)
		sim_fail("%d stores without a fence", MAX_PENDING);
	touch(off, n);
	memcpy(pm.view + off, src, n);
	pm.pending[cpu][pm.nr_pending[cpu]++] = (struct pmem_store) {
		.off = off, .len = n, .cached = cached,
	};
	if (pm.nr_poison && pm.store_heals)
		heal_lines(off, n);
	pm.counts.stores++;
	pm.counts.bytes += n;
}

void pmem_model_store(u32 cpu, u64 off, const void *src, u64 n)
{
	model_store(cpu, off, src, n, false);
}

void pmem_model_fence(u32 cpu)
{
	struct pmem_store *p = pm.pending[cpu];
	u32 left = 0;

	for (u32 i = 0; i < pm.nr_pending[cpu]; i++) {
		if (p[i].cached)
			p[left++] = p[i];
		else
			make_durable(p[i].off, p[i].len);
	}
	pm.nr_pending[cpu] = left;
	pm.counts.fences++;
}

/* What was stored there through the caches is on its way now, for @cpu's next fence. */
static void model_flush(u32 cpu, u64 off, u64 n)
{
	for (u32 i = 0; i < pm.nr_pending[cpu]; i++) {
		struct pmem_store *p = &pm.pending[cpu][i];

		if (!p->cached || p->off + p->len <= off || p->off >= off + n)
			continue;
		if (p->off < off || p->off + p->len > off + n)
			sim_fail("a part of a store at 0x%x is written back", p->off);
		p->cached = false;
	}
}

void port_pmem_store(void *dst, const void *src, size_t n)
{
	u64 off = (u8 *)dst - pm.mapped;

	sim_point();
	if (!on_medium(dst)) {
		memcpy(dst, src, n);
	} else if (n) {
		check_store(off, n);
		pmem_model_store(current->cpu, off, src, n);
	}
	sim_point();
}

void port_page_copy(void *dst, const void *src)
{
	u64 off = (u8 *)dst - pm.mapped;

	if (!on_medium(dst)) {
		memcpy(dst, src, PAGE_SIZE);
		return;
	}
	sim_point();
	check_store(off, PAGE_SIZE);
	model_store(current->cpu, off, src, PAGE_SIZE, true);
	sim_point();
}

void port_pmem_flush(const void *addr, size_t n)
{
	sim_point();
	if (on_medium(addr))
		model_flush(current->cpu, (u8 *)addr - pm.mapped, n);
	sim_point();
}

void port_pmem_fence(void)
{
	sim_point();
	sim_moment();
	pmem_model_fence(current->cpu);
	sim_point();
}

size_t port_pmem_load(void *dst, const void *src, size_t n)
{
	u64 off = (const u8 *)src - pm.mapped, bad = n;

	sim_point();
	if (n >= SECTOR_SIZE && on_medium(src) && sim_spinlock_held())
		sim_fail("%zu bytes are copied from the medium under a spinlock", n);
	if (on_medium(src) && off + n > pm.bytes)
		sim_fail("a load beyond the end of the medium, at 0x%llx", off);
	if (pm.nr_poison && on_medium(src)) {
		for (u32 i = 0; i < pm.nr_poison; i++) {
			u64 line = (u64)pm.poison[i] * LINE;

			if (line + LINE > off && line < off + n)
				bad = min(bad, line > off ? line - off : 0);
		}
	}
	memcpy(dst, on_medium(src) ? pm.view + off : src, bad);
	sim_point();
	return n - bad;
}

/* Power */

/* From here on CPUs see what is durable. */
static void drop_pending(void)
{
	for (u32 c = 0; c < MAX_CPUS; c++) {
		for (u32 i = 0; i < pm.nr_pending[c]; i++) {
			const struct pmem_store *p = &pm.pending[c][i];

			memcpy(pm.view + p->off, pm.durable + p->off, p->len);
		}
		pm.nr_pending[c] = 0;
	}
}

void pmem_model_off(void)
{
	u32 used = 0;

	pm.nr_off = 0;
	for (u32 c = 0; c < MAX_CPUS; c++) {
		for (u32 i = 0; i < pm.nr_pending[c] && pm.nr_off < MAX_PENDING; i++) {
			struct pmem_store *p = &pm.pending[c][i];

			memcpy(pm.off_data + used, pm.view + p->off, p->len);
			p->data = pm.off_data + used;
			used += ALIGN(p->len, 8);
			pm.off[pm.nr_off++] = *p;
		}
	}
	drop_pending();
	untouch();
}

void pmem_model_settle(void)
{
	pmem_model_off();
	pm.nr_off = 0;
}

/* As pmem_model_off() left it. */
static void go_back(void)
{
	for (u32 i = 0; i < pm.nr_touched; i++) {
		u64 off = (u64)pm.touched[i] * CHUNK;

		memcpy(pm.durable + off, pm.base + off, CHUNK);
		memcpy(pm.view + off, pm.base + off, CHUNK);
	}
	untouch();
	memset(pm.nr_pending, 0, sizeof(pm.nr_pending));
}

static void set_durable(u64 off, const void *src, u64 n)
{
	touch(off, n);
	memcpy(pm.durable + off, src, n);
	memcpy(pm.view + off, src, n);
}

u32 pmem_model_unfenced(const struct pmem_store **stores)
{
	*stores = pm.off;
	return pm.nr_off;
}

void pmem_model_on_words(bool (*keep)(void *arg, u32 store, u32 word), void *arg)
{
	go_back();
	for (u32 i = 0; i < pm.nr_off; i++) {
		const struct pmem_store *p = &pm.off[i];
		u32 word = 0;

		for (u32 at = 0, n; at < p->len; at += n, word++) {
			/* A word is one by its address, not by where the store begins. */
			n = min(p->len - at, 8 - ((p->off + at) & 7));
			if (keep(arg, i, word))
				set_durable(p->off + at, p->data + at, n);
		}
	}
}

struct choice {
	struct sim_random *random;
	enum pmem_cut how;
	u32 at, left;
	u32 store;
	bool keep_store;
};

static bool choose(void *arg, u32 store, u32 word)
{
	struct choice *c = arg;

	switch (c->how) {
	case PMEM_CUT_ALL:
		return true;
	case PMEM_CUT_WORDS:
		return sim_next(c->random) & 1;
	case PMEM_CUT_STORES:
		if (store != c->store) {
			c->store = store;
			c->keep_store = sim_next(c->random) & 1;
		}
		return c->keep_store;
	case PMEM_CUT_PREFIX:
		return c->at++ < c->left;
	case PMEM_CUT_ONE_LESS:
		return c->at++ != c->left;
	case PMEM_CUT_ONE:
		return c->at++ == c->left;
	default:
		return false;
	}
}

void pmem_model_on(struct sim_random *r, enum pmem_cut how)
{
	struct choice c = { .random = r, .how = how, .store = U32_MAX };
	u32 words = 1;

	for (u32 i = 0; i < pm.nr_off; i++)
		words += pm.off[i].len / 8;
	c.left = sim_below(r, words);
	pmem_model_on_words(choose, &c);
}

void pmem_model_write(u64 off, const void *src, u64 n)
{
	set_durable(off, src, n);
}

/* Media errors */

void pmem_model_poison(u64 off, u64 n)
{
	for (u64 line = off / LINE; line * LINE < off + n && pm.nr_poison < MAX_POISON; line++)
		pm.poison[pm.nr_poison++] = line;
	pm.was_poisoned = true;
}

void pmem_model_rot(u64 off, u8 bits)
{
	touch(off, 1);
	pm.view[off] ^= bits;
	pm.durable[off] ^= bits;
	pm.base[off] ^= bits;
	pm.was_poisoned = true;
}

void pmem_model_set_store_heals(bool heals)
{
	pm.store_heals = heals;
}

bool pmem_model_was_poisoned(void)
{
	return pm.was_poisoned;
}

void pmem_model_heal(void)
{
	pm.nr_poison = 0;
}

u32 pmem_model_nr_poisoned(void)
{
	return pm.nr_poison;
}

bool pmem_model_readable(const void *unused, u64 off, u64 n)
{
	for (u32 i = 0; i < pm.nr_poison; i++)
		if ((u64)pm.poison[i] * LINE < off + n && (u64)(pm.poison[i] + 1) * LINE > off)
			return false;
	return true;
}

/* The device */

const u8 *pmem_model_durable(void)
{
	return pm.durable;
}

const u8 *pmem_model_view(void)
{
	return pm.view;
}

u64 pmem_model_bytes(void)
{
	return pm.bytes;
}

const struct pmem_counts *pmem_model_counts(void)
{
	return &pm.counts;
}

void pmem_model_load(const u8 *image)
{
	memset(pm.nr_pending, 0, sizeof(pm.nr_pending));
	pm.nr_off = 0;
	pm.nr_poison = 0;
	pm.was_poisoned = false;
	for (u32 c = 0; c < pm.bytes / CHUNK; c++)
		use(c);
	untouch();
	memcpy(pm.durable, image, pm.bytes);
	memcpy(pm.view, image, pm.bytes);
}

void pmem_model_new(u64 bytes)
{
	static const u8 zeroes[CHUNK];

	BUG_ON(bytes > PMEM_MAX_BYTES || bytes % PAGE_SIZE);
	for (u32 i = 0; i < pm.nr_used; i++) {
		u64 off = (u64)pm.used[i] * CHUNK;

		memcpy(pm.view + off, zeroes, CHUNK);
		memcpy(pm.durable + off, zeroes, CHUNK);
		pm.is_used[pm.used[i]] = 0;
	}
	pm.nr_used = 0;
	untouch();
	pm.bytes = bytes;
	pm.nr_poison = 0;
	pm.was_poisoned = false;
	pm.nr_off = 0;
	memset(pm.nr_pending, 0, sizeof(pm.nr_pending));
	memset(&pm.counts, 0, sizeof(pm.counts));
}

void pmem_model_grow(u64 bytes)
{
	BUG_ON(bytes > PMEM_MAX_BYTES || bytes % PAGE_SIZE || bytes < pm.bytes);
	pm.bytes = bytes;
}

void pmem_model_grow_used(u64 bytes)
{
	pmem_model_grow(bytes);
	pm.dax.nr_pages = pm.bytes >> PAGE_SHIFT;
	WRITE_ONCE(pm.bdev.nr_sectors, pm.bytes >> SECTOR_SHIFT);
}

struct block_device *pmem_model_bdev(void)
{
	pm.dax = (struct dax_device) {
		.name = "pmem0", .base = pm.mapped, .nr_pages = pm.bytes >> PAGE_SHIFT,
		.synchronous = true,
	};
	pm.bdev = (struct block_device) {
		.name = "pmem0", .nr_sectors = pm.bytes >> SECTOR_SHIFT, .dax = &pm.dax,
		.queue.limits = {
			.logical_block_size = SECTOR_SIZE, .physical_block_size = SECTOR_SIZE,
			.io_min = SECTOR_SIZE, .max_sectors = 2560, .max_hw_sectors = UINT_MAX,
			.max_segments = 128, .max_segment_size = UINT_MAX,
			.dma_alignment = 511,
			.features = BLK_FEAT_NOWAIT | BLK_FEAT_DAX | BLK_FEAT_SYNCHRONOUS,
		},
	};
	return &pm.bdev;
}

static void *map(int fd, int prot)
{
	void *p = mmap(NULL, PMEM_MAX_BYTES, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

void pmem_model_init(void)
{
	u32 chunks = PMEM_MAX_BYTES / CHUNK;
	int fd = memfd_create("pmem", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PMEM_MAX_BYTES)) {
		perror("memfd");
		exit(1);
	}
	pm.nr_used = pm.nr_touched = 0;
	pm.mapped = map(fd, PROT_NONE);
	pm.view = map(fd, PROT_READ | PROT_WRITE);
	close(fd);
	pm.durable = calloc(1, PMEM_MAX_BYTES);
	pm.base = calloc(1, PMEM_MAX_BYTES);
	pm.off_data = malloc(PMEM_MAX_BYTES);
	pm.touched = calloc(chunks, sizeof(u32));
	pm.is_touched = calloc(chunks, 1);
	pm.used = calloc(chunks, sizeof(u32));
	pm.is_used = calloc(chunks, 1);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes to the medium and comes from it. The linker puts these functions before the
 * back end's: they can note each store, fence and read, to do the same bare; store past
 * the CPU's cache; or leave user data out, so that a medium takes no more memory than its
 * metadata.
 */
#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

#include <linux/compiler.h>
#include <shim/port-types.h>

#include "native.h"

enum what { STORE, FENCE, READ_BLOCK };

struct access {
	enum what what;
	u32 bytes;
	void *media;
	const void *src;
};

/* Of a recording. */
#define MAX_ACCESSES	(1 << 14)
#define ARENA_BYTES	(1 << 20)

struct recording {
	struct access *access;
	u32 nr;
	u8 *arena;
	u32 used;
};

static enum tap_stores stores;
static bool recording;
static __thread bool recorded;	/* by this thread */
static struct recording ring[TAP_KEPT];
static u32 latest;
static u64 fences, stored_bytes;

void __real_port_pmem_store(void *dst, const void *src, size_t n);
void __wrap_port_pmem_store(void *dst, const void *src, size_t n);
void __real_port_pmem_fence(void);
void __wrap_port_pmem_fence(void);
size_t __real_port_pmem_load(void *dst, const void *src, size_t n);
size_t __wrap_port_pmem_load(void *dst, const void *src, size_t n);

void tap_set_stores(enum tap_stores how)
{
	WRITE_ONCE(stores, how);
}

/* As memcpy_flushcache() of the kernel on x86: words past the cache. */
static void stream(void *dst, const void *src, size_t n)
{
	long long *to = dst;
	const long long *from = src;
	size_t i, words = n / 8;

	for (i = 0; i + 4 <= words; i += 4) {
		_mm_stream_si64(to + i, from[i]);
		_mm_stream_si64(to + i + 1, from[i + 1]);
		_mm_stream_si64(to + i + 2, from[i + 2]);
		_mm_stream_si64(to + i + 3, from[i + 3]);
	}
	for (; i < words; i++)
		_mm_stream_si64(to + i, from[i]);
	if (n % 8)
		memcpy(to + i, from + i, n % 8);
}

static void note(enum what what, void *media, const void *src, u32 bytes)
{
	struct recording *r = &ring[latest];

	if (r->nr == MAX_ACCESSES || r->used + bytes > ARENA_BYTES)
		fail("too much is done to the medium to be noted");
	/*
	 * Metadata in memory changes later on; the submitter's pages do not. With data_crc a
	 * block comes by way of memory that stays, too. No metadata is as long.
	 */
	if (what == STORE && bytes != BLOCK) {
		src = memcpy(r->arena + r->used, src, bytes);
		r->used += ALIGN(bytes, 8);
	}
	r->access[r->nr++] = (struct access) {
		.what = what, .bytes = bytes, .media = media, .src = src,
	};
}

void __wrap_port_pmem_store(void *dst, const void *src, size_t n)
{
	if (unlikely(recording) && recorded)
		note(STORE, dst, src, n);
	if (stores == STORES_STREAMED)
		stream(dst, src, n);
	else if (stores == STORES_CACHED || n != BLOCK)
		__real_port_pmem_store(dst, src, n);
}

void __wrap_port_pmem_fence(void)
{
	if (unlikely(recording) && recorded)
		note(FENCE, NULL, NULL, 0);
	if (stores == STORES_STREAMED)
		_mm_sfence();
	else
		__real_port_pmem_fence();
}

size_t __wrap_port_pmem_load(void *dst, const void *src, size_t n)
{
	if (unlikely(recording) && recorded)
		note(READ_BLOCK, (void *)src, NULL, n);
	return __real_port_pmem_load(dst, src, n);
}

void tap_record(void)
{
	struct recording *r;

	latest = (latest + 1) % TAP_KEPT;
	r = &ring[latest];
	r->access = r->access ?: calloc(MAX_ACCESSES, sizeof(*r->access));
	r->arena = r->arena ?: calloc(1, ARENA_BYTES);
	r->nr = 0;
	r->used = 0;
	recorded = true;
	WRITE_ONCE(recording, true);
}

void tap_stop(void)
{
	const struct recording *r = &ring[latest];

	WRITE_ONCE(recording, false);
	recorded = false;
	fences = 0;
	stored_bytes = 0;
	for (u32 i = 0; i < r->nr; i++) {
		fences += r->access[i].what == FENCE;
		stored_bytes += r->access[i].what == STORE ? r->access[i].bytes : 0;
	}
}

u64 tap_fences(void)
{
	return fences;
}

u64 tap_stored_bytes(void)
{
	return stored_bytes;
}

void tap_replay(u32 num, u32 den, void *read_to)
{
	const struct recording *r = &ring[(latest + 1) % TAP_KEPT];
	const struct access *a = r->access + (u64)r->nr * num / den;
	const struct access *end = r->access + (u64)r->nr * (num + 1) / den;
	bool streamed = stores == STORES_STREAMED;

	for (; a < end; a++) {
		if (a->what == READ_BLOCK)
			memcpy(read_to, a->media, a->bytes);
		else if (a->what == FENCE && streamed)
			_mm_sfence();
		else if (a->what == FENCE)
			smp_mb();
		else if (streamed)
			stream(a->media, a->src, a->bytes);
		else
			memcpy(a->media, a->src, a->bytes);
	}
}

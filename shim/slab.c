// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory.  Every object is one of the back end's, so that AddressSanitizer sees
 * where each begins and ends; what is counted is what is out.  Sizes that are
 * a power of two are aligned to themselves, as the kernel promises.
 */
#include <stdarg.h>

#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <shim/host.h>

#include "port.h"
#include "shim-core.h"

static long nr_objects;

long shim_allocations(void)
{
	return READ_ONCE(nr_objects);
}

static void count(int n)
{
	__atomic_fetch_add(&nr_objects, n, __ATOMIC_RELAXED);
}

bool shim_alloc_check(gfp_t gfp, size_t size)
{
	shim_check_alloc(gfp);
	return !(gfp & __GFP_NOFAIL) && port_alloc_fails(gfp, size);
}

static void *get_memory(size_t size, size_t align, gfp_t gfp)
{
	void *p;

	if (shim_alloc_check(gfp, size))
		return NULL;
	p = port_mem_get(size, align);
	if (gfp & __GFP_ZERO)
		memset(p, 0, port_mem_size(p));
	count(1);
	return p;
}

static void put_memory(const void *p)
{
	count(-1);
	port_mem_put((void *)p);
}

static size_t natural_align(size_t size)
{
	return is_power_of_2(size) ? min(size, PAGE_SIZE) : 8;
}

void *kmalloc(size_t size, gfp_t gfp)
{
	if (size == 0)
		return ZERO_SIZE_PTR;
	if (size > KMALLOC_MAX_SIZE) {
		WARN_ONCE(!(gfp & __GFP_NOWARN), "kmalloc(%zu)\n", size);
		return NULL;
	}
	return get_memory(size, natural_align(size), gfp);
}

void kfree(const void *p)
{
	if (!ZERO_OR_NULL_PTR(p))
		put_memory(p);
}

size_t ksize(const void *p)
{
	return ZERO_OR_NULL_PTR(p) ? 0 : port_mem_size(p);
}

void *krealloc(const void *p, size_t size, gfp_t gfp)
{
	size_t old = ksize(p);
	void *new;

	if (size == 0) {
		kfree(p);
		return ZERO_SIZE_PTR;
	}
	new = kmalloc(size, gfp);
	if (!new)
		return NULL;
	if (old)
		memcpy(new, p, min(old, size));
	kfree(p);
	return new;
}

void *kmemdup(const void *src, size_t len, gfp_t gfp)
{
	void *p = kmalloc(len, gfp);

	if (p)
		memcpy(p, src, len);
	return p;
}

char *kmemdup_nul(const char *s, size_t len, gfp_t gfp)
{
	char *p = kmalloc(len + 1, gfp);

	if (p) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

char *kstrdup(const char *s, gfp_t gfp)
{
	return s ? kmemdup_nul(s, strlen(s), gfp) : NULL;
}

char *kstrndup(const char *s, size_t max, gfp_t gfp)
{
	return s ? kmemdup_nul(s, strnlen(s, max), gfp) : NULL;
}

char *kasprintf(gfp_t gfp, const char *fmt, ...)
{
	va_list args, again;
	char *p;
	int len;

	BUG_ON(!fmt);
	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	p = kmalloc(len + 1, gfp);
	if (p)
		vsnprintf(p, len + 1, fmt, again);
	va_end(again);
	va_end(args);
	return p;
}

/* vmalloc: a list of areas, so that is_vmalloc_addr() can tell */

struct area {
	struct list_head link;
	char *start;
	size_t size;
};

static struct port_lock area_lock;
static LIST_HEAD(areas);

static struct area *find_area(const void *addr)
{
	struct area *a;

	list_for_each_entry(a, &areas, link)
		if ((char *)addr >= a->start &&
		    (char *)addr < a->start + a->size)
			return a;
	return NULL;
}

bool is_vmalloc_addr(const void *addr)
{
	bool yes;

	port_lock(&area_lock, true);
	yes = find_area(addr) != NULL;
	port_unlock(&area_lock);
	return yes;
}

void *__vmalloc(unsigned long size, gfp_t gfp)
{
	struct area *a;
	void *p;

	if (size == 0)
		return NULL;
	p = get_memory(size, PAGE_SIZE, gfp);
	if (!p)
		return NULL;
	a = port_mem_get(sizeof(*a), 16);
	a->start = p;
	a->size = size;
	port_lock(&area_lock, true);
	list_add(&a->link, &areas);
	port_unlock(&area_lock);
	return p;
}

void *vmalloc(unsigned long size)
{
	return __vmalloc(size, GFP_KERNEL);
}

void *vzalloc(unsigned long size)
{
	return __vmalloc(size, GFP_KERNEL | __GFP_ZERO);
}

void vfree(const void *addr)
{
	struct area *a;

	if (!addr)
		return;
	port_lock(&area_lock, true);
	a = find_area(addr);
	if (!a || a->start != addr)
		shim_bug("vfree() of what vmalloc() did not give");
	list_del(&a->link);
	port_unlock(&area_lock);
	port_mem_put(a);
	put_memory(addr);
}

void *vmap(struct page **pages, unsigned int count_, unsigned long flags,
	   pgprot_t prot)
{
	/* Its page tables. */
	shim_check_alloc(GFP_KERNEL);
	for (unsigned int i = 1; i < count_; i++)
		if (pages[i] != pages[0] + i)
			return NULL;
	return count_ ? page_address(pages[0]) : NULL;
}

void vunmap(const void *addr)
{
	might_sleep();
}

#define KVMALLOC_SMALL (32 * 1024)

void *kvmalloc(size_t size, gfp_t gfp)
{
	return size <= KVMALLOC_SMALL ? kmalloc(size, gfp) :
	       size == SIZE_MAX ? NULL : __vmalloc(size, gfp);
}

void kvfree(const void *p)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	if (is_vmalloc_addr(p))
		vfree(p);
	else
		kfree(p);
}

/* Pages */

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	return get_memory(PAGE_SIZE << order, PAGE_SIZE, gfp);
}

void __free_pages(struct page *page, unsigned int order)
{
	if (page)
		put_memory(page);
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	return (unsigned long)alloc_pages(gfp, order);
}

void free_pages(unsigned long addr, unsigned int order)
{
	__free_pages((struct page *)addr, order);
}

unsigned long totalram_pages(void)
{
	return 1UL << (32 - PAGE_SHIFT);
}

/* Per CPU */

void *shim_alloc_percpu(size_t size, gfp_t gfp)
{
	size_t all = (nr_cpu_ids - 1) * SHIM_PERCPU_STRIDE + ALIGN(size, 64);

	return get_memory(all, 64, gfp | __GFP_ZERO);
}

void free_percpu(void *p)
{
	if (p)
		put_memory(p);
}

/* Slabs */

struct kmem_cache {
	const char *name;
	unsigned int size;
	unsigned int align;
	void (*ctor)(void *obj);
	long out;
};

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
				     unsigned int align, slab_flags_t flags,
				     void (*ctor)(void *))
{
	struct kmem_cache *cache = kzalloc(sizeof(*cache), GFP_KERNEL);

	if (!cache)
		return NULL;
	if (flags & SLAB_HWCACHE_ALIGN && size > 32)
		align = max(align, 64U);
	cache->name = name;
	cache->size = size;
	cache->align = max(align, 8U);
	cache->ctor = ctor;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	if (!cache)
		return;
	might_sleep();
	WARN(cache->out, "slab %s: %ld objects are left\n", cache->name,
	     cache->out);
	kfree(cache);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	void *obj = get_memory(cache->size, cache->align, gfp);

	if (!obj)
		return NULL;
	if (cache->ctor)
		cache->ctor(obj);
	__atomic_fetch_add(&cache->out, 1, __ATOMIC_RELAXED);
	return obj;
}

void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	if (!obj)
		return;
	if (__atomic_fetch_sub(&cache->out, 1, __ATOMIC_RELAXED) <= 0)
		shim_bug("slab %s: more freed than allocated", cache->name);
	put_memory(obj);
}

unsigned int kmem_cache_size(struct kmem_cache *cache)
{
	return cache->size;
}

/* Memory pools */

#define POOLED_BYTE 0x6d
#define POOLED_BYTES 512

/*
 * Elements that lie in a pool have a pattern, pages at their beginning, unless only
 * their owner knows their size.
 */
static size_t pattern_bytes(const mempool_t *pool, const void *element)
{
	const struct kmem_cache *cache = pool->pool_data;

	if (pool->free == mempool_free_pages)
		return POOLED_BYTES;
	if (pool->free == mempool_free_slab)
		return cache->ctor ? 0 : cache->size;
	return pool->free == mempool_kfree || pool->free == mempool_kvfree ?
	       (size_t)pool->pool_data : 0;
}

static void fill_element(const mempool_t *pool, void *element)
{
	memset(element, POOLED_BYTE, pattern_bytes(pool, element));
}

static void check_element(const mempool_t *pool, const void *element)
{
	size_t bytes = pattern_bytes(pool, element);

	if (memchr_inv(element, POOLED_BYTE, bytes))
		shim_bug("an element of a mempool was written to after it was freed (%zu bytes)",
			 bytes);
}

static void *take_element(mempool_t *pool)
{
	unsigned long flags;
	void *element = NULL;

	spin_lock_irqsave(&pool->lock, flags);
	if (pool->curr_nr) {
		WRITE_ONCE(pool->curr_nr, pool->curr_nr - 1);
		element = pool->elements[pool->curr_nr];
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	if (element)
		check_element(pool, element);
	return element;
}

static bool put_element(mempool_t *pool, void *element)
{
	unsigned long flags;
	bool kept;

	spin_lock_irqsave(&pool->lock, flags);
	kept = pool->curr_nr < pool->min_nr;
	if (kept) {
		fill_element(pool, element);
		pool->elements[pool->curr_nr] = element;
		WRITE_ONCE(pool->curr_nr, pool->curr_nr + 1);
	}
	/* Under the lock, after which the pool may be gone. */
	if (kept)
		wake_up(&pool->wait);
	spin_unlock_irqrestore(&pool->lock, flags);
	return kept;
}

int mempool_init(mempool_t *pool, int min_nr, mempool_alloc_t *alloc,
		 mempool_free_t *free, void *pool_data)
{
	memset(pool, 0, sizeof(*pool));
	spin_lock_init(&pool->lock);
	init_waitqueue_head(&pool->wait);
	pool->alloc = alloc;
	pool->free = free;
	pool->pool_data = pool_data;
	pool->min_nr = min_nr;
	pool->elements = kcalloc(max(min_nr, 1), sizeof(void *), GFP_KERNEL);
	if (!pool->elements)
		return -ENOMEM;
	while (pool->curr_nr < min_nr) {
		void *element = alloc(GFP_KERNEL, pool_data);

		if (!element) {
			mempool_exit(pool);
			return -ENOMEM;
		}
		fill_element(pool, element);
		pool->elements[pool->curr_nr++] = element;
	}
	return 0;
}

void mempool_exit(mempool_t *pool)
{
	if (!pool->elements)
		return;
	WARN(atomic_read(&pool->shim_out) > 0, "mempool: %d elements are left\n",
	     atomic_read(&pool->shim_out));
	while (pool->curr_nr)
		pool->free(take_element(pool), pool->pool_data);
	kfree(pool->elements);
	pool->elements = NULL;
}

mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc,
			  mempool_free_t *free, void *pool_data)
{
	mempool_t *pool = kmalloc(sizeof(*pool), GFP_KERNEL);

	if (pool && mempool_init(pool, min_nr, alloc, free, pool_data)) {
		kfree(pool);
		return NULL;
	}
	return pool;
}

void mempool_destroy(mempool_t *pool)
{
	if (!pool)
		return;
	mempool_exit(pool);
	kfree(pool);
}

/* Also while others allocate from it. */
int mempool_resize(mempool_t *pool, int new_min_nr)
{
	void **elements, **old;
	unsigned long flags;
	void *element;

	elements = kcalloc(max(new_min_nr, 1), sizeof(void *), GFP_KERNEL);
	if (!elements)
		return -ENOMEM;
	for (;;) {
		spin_lock_irqsave(&pool->lock, flags);
		if (pool->curr_nr <= new_min_nr)
			break;
		element = pool->elements[pool->curr_nr - 1];
		check_element(pool, element);
		WRITE_ONCE(pool->curr_nr, pool->curr_nr - 1);
		spin_unlock_irqrestore(&pool->lock, flags);
		pool->free(element, pool->pool_data);
	}
	memcpy(elements, pool->elements, pool->curr_nr * sizeof(void *));
	old = pool->elements;
	pool->elements = elements;
	WRITE_ONCE(pool->min_nr, new_min_nr);
	spin_unlock_irqrestore(&pool->lock, flags);
	kfree(old);
	while (!mempool_is_saturated(pool)) {
		element = pool->alloc(GFP_KERNEL, pool->pool_data);
		if (!element)
			break;
		if (!put_element(pool, element))
			pool->free(element, pool->pool_data);
	}
	return 0;
}

void *mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	gfp_t try = (gfp | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) &
		    ~(__GFP_DIRECT_RECLAIM | __GFP_IO);
	void *element;

	if (!pool->elements)
		shim_bug("a mempool is used that does not exist");
	WARN_ON_ONCE(gfp & __GFP_ZERO);
	/* The flags of the second try, which the pool seldom comes to. */
	shim_check_alloc(gfp);
	element = pool->alloc(try, pool->pool_data);
	if (!element)
		element = take_element(pool);
	if (!element && gfpflags_allow_blocking(gfp))
		wait_event(pool->wait, (element = take_element(pool)));
	if (element)
		atomic_inc(&pool->shim_out);
	return element;
}

void mempool_free(void *element, mempool_t *pool)
{
	if (!element)
		return;
	/* May become negative: what the pool's allocator gave may end here, too. */
	atomic_dec(&pool->shim_out);
	smp_rmb();
	if (mempool_is_saturated(pool) || !put_element(pool, element))
		pool->free(element, pool->pool_data);
}

void *mempool_alloc_slab(gfp_t gfp, void *pool_data)
{
	return kmem_cache_alloc(pool_data, gfp);
}

void mempool_free_slab(void *element, void *pool_data)
{
	kmem_cache_free(pool_data, element);
}

void *mempool_kmalloc(gfp_t gfp, void *pool_data)
{
	return kmalloc((size_t)pool_data, gfp);
}

void mempool_kfree(void *element, void *pool_data)
{
	kfree(element);
}

void *mempool_kvmalloc(gfp_t gfp, void *pool_data)
{
	return kvmalloc((size_t)pool_data, gfp);
}

void mempool_kvfree(void *element, void *pool_data)
{
	kvfree(element);
}

void *mempool_alloc_pages(gfp_t gfp, void *pool_data)
{
	return alloc_pages(gfp, (unsigned int)(size_t)pool_data);
}

void mempool_free_pages(void *element, void *pool_data)
{
	__free_pages(element, (unsigned int)(size_t)pool_data);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MEMPOOL_H
#define SHIM_LINUX_MEMPOOL_H

#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

typedef void *(mempool_alloc_t)(gfp_t gfp, void *pool_data);
typedef void (mempool_free_t)(void *element, void *pool_data);

typedef struct mempool_s {
	spinlock_t lock;
	int min_nr;
	int curr_nr;
	void **elements;
	void *pool_data;
	mempool_alloc_t *alloc;
	mempool_free_t *free;
	wait_queue_head_t wait;
	atomic_t shim_out;	/* allocated and not yet freed */
} mempool_t;

int mempool_init(mempool_t *pool, int min_nr, mempool_alloc_t *alloc,
		 mempool_free_t *free, void *pool_data);
/* Both warn of elements that were not given back. */
void mempool_exit(mempool_t *pool);
void mempool_destroy(mempool_t *pool);
mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc,
			  mempool_free_t *free, void *pool_data);
int mempool_resize(mempool_t *pool, int new_min_nr);
void *mempool_alloc(mempool_t *pool, gfp_t gfp);
void mempool_free(void *element, mempool_t *pool);

static inline bool mempool_initialized(mempool_t *pool)
{
	return pool->elements != NULL;
}

static inline bool mempool_is_saturated(mempool_t *pool)
{
	return READ_ONCE(pool->curr_nr) >= READ_ONCE(pool->min_nr);
}

void *mempool_alloc_slab(gfp_t gfp, void *pool_data);
void mempool_free_slab(void *element, void *pool_data);
void *mempool_kmalloc(gfp_t gfp, void *pool_data);
void mempool_kfree(void *element, void *pool_data);
void *mempool_kvmalloc(gfp_t gfp, void *pool_data);
void mempool_kvfree(void *element, void *pool_data);
void *mempool_alloc_pages(gfp_t gfp, void *pool_data);
void mempool_free_pages(void *element, void *pool_data);

#define mempool_init_slab_pool(p, n, cache) \
	mempool_init(p, n, mempool_alloc_slab, mempool_free_slab, cache)
#define mempool_create_slab_pool(n, cache) \
	mempool_create(n, mempool_alloc_slab, mempool_free_slab, cache)
#define mempool_init_kmalloc_pool(p, n, size)				\
	mempool_init(p, n, mempool_kmalloc, mempool_kfree,		\
		     (void *)(unsigned long)(size))
#define mempool_create_kmalloc_pool(n, size)				\
	mempool_create(n, mempool_kmalloc, mempool_kfree,		\
		       (void *)(unsigned long)(size))
#define mempool_init_kvmalloc_pool(p, n, size)				\
	mempool_init(p, n, mempool_kvmalloc, mempool_kvfree,		\
		     (void *)(unsigned long)(size))
#define mempool_create_kvmalloc_pool(n, size)				\
	mempool_create(n, mempool_kvmalloc, mempool_kvfree,		\
		       (void *)(unsigned long)(size))
#define mempool_init_page_pool(p, n, order)				\
	mempool_init(p, n, mempool_alloc_pages, mempool_free_pages,	\
		     (void *)(unsigned long)(order))
#define mempool_create_page_pool(n, order)				\
	mempool_create(n, mempool_alloc_pages, mempool_free_pages,	\
		       (void *)(unsigned long)(order))

#endif

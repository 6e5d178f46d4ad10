/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/overflow.h>
#include <linux/types.h>

#define SLAB_HWCACHE_ALIGN 0x2000u
#define SLAB_RECLAIM_ACCOUNT 0x20000u
#define SLAB_MEM_SPREAD 0u
#define SLAB_PANIC 0x40000u
#define SLAB_ACCOUNT 0x4000000u
#define ARCH_KMALLOC_MINALIGN 8
#define KMALLOC_MAX_SIZE (4UL << 20)
#define ZERO_SIZE_PTR ((void *)16)
#define ZERO_OR_NULL_PTR(p) ((unsigned long)(p) <= (unsigned long)ZERO_SIZE_PTR)

void *kmalloc(size_t size, gfp_t gfp) __malloc;
void *krealloc(const void *p, size_t size, gfp_t gfp);
void kfree(const void *p);
void *kvmalloc(size_t size, gfp_t gfp) __malloc;
void kvfree(const void *p);
size_t ksize(const void *p);
void *kmemdup(const void *src, size_t len, gfp_t gfp);
char *kstrdup(const char *s, gfp_t gfp);
char *kstrndup(const char *s, size_t max, gfp_t gfp);
char *kmemdup_nul(const char *s, size_t len, gfp_t gfp);
char *kasprintf(gfp_t gfp, const char *fmt, ...) __printf(2, 3);

#define kmalloc_node(size, gfp, node) kmalloc(size, gfp)
#define kzalloc(size, gfp) kmalloc(size, (gfp) | __GFP_ZERO)
#define kzalloc_node(size, gfp, node) kzalloc(size, gfp)
#define kmalloc_array(n, size, gfp) kmalloc(array_size(n, size), gfp)
#define kcalloc(n, size, gfp) kzalloc(array_size(n, size), gfp)
#define krealloc_array(p, n, size, gfp) krealloc(p, array_size(n, size), gfp)
#define kvmalloc_node(size, gfp, node) kvmalloc(size, gfp)
#define kvzalloc(size, gfp) kvmalloc(size, (gfp) | __GFP_ZERO)
#define kvmalloc_array(n, size, gfp) kvmalloc(array_size(n, size), gfp)
#define kvcalloc(n, size, gfp) kvzalloc(array_size(n, size), gfp)
#define kfree_const(p) kfree(p)

struct kmem_cache;

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
				     unsigned int align, slab_flags_t flags,
				     void (*ctor)(void *));
/* Objects that are still allocated are a warning, and stay allocated. */
void kmem_cache_destroy(struct kmem_cache *cache);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp) __malloc;
void kmem_cache_free(struct kmem_cache *cache, void *obj);
unsigned int kmem_cache_size(struct kmem_cache *cache);

#define kmem_cache_alloc_node(c, gfp, node) kmem_cache_alloc(c, gfp)
#define kmem_cache_zalloc(c, gfp) kmem_cache_alloc(c, (gfp) | __GFP_ZERO)
#define KMEM_CACHE(type, flags)						\
	kmem_cache_create(#type, sizeof(struct type),			\
			  __alignof__(struct type), flags, NULL)

#endif

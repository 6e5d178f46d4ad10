/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_HIGHMEM_H
#define SHIM_LINUX_HIGHMEM_H

#include <linux/mm.h>
#include <linux/string.h>

#define kmap_local_page(page) page_address(page)
#define kunmap_local(addr) ((void)(addr))
#define kmap_atomic(page) page_address(page)
#define kunmap_atomic(addr) ((void)(addr))

static inline void memcpy_from_page(char *to, struct page *page,
				    size_t offset, size_t len)
{
	memcpy(to, (char *)page_address(page) + offset, len);
}

static inline void memcpy_to_page(struct page *page, size_t offset,
				  const char *from, size_t len)
{
	memcpy((char *)page_address(page) + offset, from, len);
}

static inline void memcpy_page(struct page *dst, size_t dst_off,
			       struct page *src, size_t src_off, size_t len)
{
	memcpy((char *)page_address(dst) + dst_off,
	       (char *)page_address(src) + src_off, len);
}

static inline void memzero_page(struct page *page, size_t offset, size_t len)
{
	memset((char *)page_address(page) + offset, 0, len);
}

static inline void clear_page(void *page) { memset(page, 0, PAGE_SIZE); }
static inline void clear_highpage(struct page *page) { clear_page(page); }
#define flush_dcache_page(page) ((void)(page))

#endif

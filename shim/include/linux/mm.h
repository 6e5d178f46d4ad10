/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <linux/align.h>
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/slab.h>

#define PAGE_ALIGN(addr) ALIGN(addr, PAGE_SIZE)
#define PAGE_ALIGNED(addr) IS_ALIGNED((unsigned long)(addr), PAGE_SIZE)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define page_address(page) ((void *)(page))
#define page_to_virt(page) ((void *)(page))
#define virt_to_page(addr) ((struct page *)((unsigned long)(addr) & PAGE_MASK))
#define page_to_pfn(page) ((unsigned long)(page) >> PAGE_SHIFT)
#define pfn_to_page(pfn) ((struct page *)((unsigned long)(pfn) << PAGE_SHIFT))
#define nth_page(page, n) ((page) + (n))
#define virt_addr_valid(addr) ((addr) != NULL && !is_vmalloc_addr(addr))
#define get_order(size) shim_get_order(size)
/* Through the CPU's caches, where it is to persistent memory. */
#define copy_page(to, from) port_page_copy(to, from)
#define ZERO_PAGE(addr) virt_to_page(shim_zero_page)

extern const unsigned char shim_zero_page[PAGE_SIZE];

static inline int shim_get_order(unsigned long size)
{
	int order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

unsigned long totalram_pages(void);
bool is_vmalloc_addr(const void *addr);
#define vmalloc_to_page(addr) virt_to_page(addr)

#endif

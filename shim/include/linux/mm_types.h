/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MM_TYPES_H
#define SHIM_LINUX_MM_TYPES_H

#include <linux/align.h>
#include <linux/types.h>

#undef PAGE_SIZE
#undef PAGE_MASK
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

/*
 * A page is its own content: its descriptor's address is where the data are,
 * and the next descriptor is that of the next page.
 */
struct page {
	u8 shim_data[PAGE_SIZE];
};

typedef struct {
	u64 val;
} pfn_t;

typedef struct {
	unsigned long pgprot;
} pgprot_t;
#define PAGE_KERNEL ((pgprot_t) { 0 })

#endif

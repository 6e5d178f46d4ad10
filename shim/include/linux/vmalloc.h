/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_VMALLOC_H
#define SHIM_LINUX_VMALLOC_H

#include <linux/mm.h>

#define VM_MAP 0x4

void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void *__vmalloc(unsigned long size, gfp_t gfp);
void vfree(const void *addr);
/* Pages that do not lie one behind the other cannot be mapped here: NULL. */
void *vmap(struct page **pages, unsigned int count, unsigned long flags,
	   pgprot_t prot);
void vunmap(const void *addr);

#define vmalloc_array(n, size) vmalloc(array_size(n, size))
#define vcalloc(n, size) vzalloc(array_size(n, size))

#endif

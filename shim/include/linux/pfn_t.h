/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PFN_T_H
#define SHIM_LINUX_PFN_T_H

#include <linux/mm_types.h>

static inline struct page *pfn_t_to_page(pfn_t pfn)
{
	return (struct page *)(unsigned long)(pfn.val << PAGE_SHIFT);
}

static inline bool pfn_t_has_page(pfn_t pfn)
{
	return pfn.val != 0;
}

#endif

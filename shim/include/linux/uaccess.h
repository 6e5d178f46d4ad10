/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_UACCESS_H
#define SHIM_LINUX_UACCESS_H

#include <linux/types.h>
#include <shim/port-types.h>

/* Returns how many bytes at the end could not be read. */
static inline unsigned long copy_mc_to_kernel(void *dst, const void *src,
					      size_t n)
{
	return port_pmem_load(dst, src, n);
}

#endif

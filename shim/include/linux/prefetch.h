/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_PREFETCH_H
#define SHIM_LINUX_PREFETCH_H

static inline void prefetch(const void *p)
{
	__builtin_prefetch(p);
}

#endif

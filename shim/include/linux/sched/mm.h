/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_SCHED_MM_H
#define SHIM_LINUX_SCHED_MM_H

#include <linux/gfp.h>
#include <linux/sched.h>

#define shim_memalloc_scope(name, flag)					\
static inline unsigned int memalloc_##name##_save(void)			\
{									\
	return current_flags_set_shim(flag);				\
}									\
static inline void memalloc_##name##_restore(unsigned int flags)	\
{									\
	current_restore_flags(flags, flag);				\
}

shim_memalloc_scope(noio, PF_MEMALLOC_NOIO)
shim_memalloc_scope(nofs, PF_MEMALLOC_NOFS)
shim_memalloc_scope(noreclaim, PF_MEMALLOC)

static inline gfp_t current_gfp_context(gfp_t gfp)
{
	if (current->flags & PF_MEMALLOC_NOIO)
		gfp &= ~(__GFP_IO | __GFP_FS);
	else if (current->flags & PF_MEMALLOC_NOFS)
		gfp &= ~__GFP_FS;
	return gfp;
}

#endif

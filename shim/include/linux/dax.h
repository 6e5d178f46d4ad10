/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_DAX_H
#define SHIM_LINUX_DAX_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pfn_t.h>
#include <linux/types.h>
#include <shim/port-types.h>

enum dax_access_mode {
	DAX_ACCESS,
	DAX_RECOVERY_WRITE,
};

/* A region of persistent memory of the back end. */
struct dax_device {
	const char *name;
	void *base;
	unsigned long nr_pages;
	bool synchronous;
	unsigned long max_run;	/* pages that one dax_direct_access() gives */
	void *port;
};

long dax_direct_access(struct dax_device *dax, pgoff_t pgoff, long nr_pages,
		       enum dax_access_mode mode, void **kaddr, pfn_t *pfn);
int dax_zero_page_range(struct dax_device *dax, pgoff_t pgoff,
			size_t nr_pages);

static inline void dax_flush(struct dax_device *dax, void *addr, size_t size)
{
	(void)dax;
	port_pmem_flush(addr, size);
}

static inline void arch_wb_cache_pmem(void *addr, size_t size)
{
	port_pmem_flush(addr, size);
}

static inline int dax_read_lock(void) { return 0; }
static inline void dax_read_unlock(int id) { (void)id; }

static inline bool dax_synchronous(struct dax_device *dax)
{
	return dax->synchronous;
}

static inline bool dax_alive(struct dax_device *dax)
{
	return dax != NULL;
}

static inline bool dax_write_cache_enabled(struct dax_device *dax)
{
	return dax->synchronous;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MODULE_H
#define SHIM_LINUX_MODULE_H

#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>

struct module;
#define THIS_MODULE ((struct module *)NULL)

#define MODULE_LICENSE(s)
#define MODULE_AUTHOR(s)
#define MODULE_DESCRIPTION(s)
#define MODULE_ALIAS(s)
#define MODULE_VERSION(s)
#define MODULE_SOFTDEP(s)
#define MODULE_IMPORT_NS(s)
#define MODULE_DEVICE_TABLE(type, name)

static inline bool try_module_get(struct module *m) { (void)m; return true; }
static inline void module_put(struct module *m) { (void)m; }
static inline void __module_get(struct module *m) { (void)m; }

/* What a host calls instead of insmod and rmmod. */
int shim_module_init(void);
void shim_module_exit(void);

#define module_init(fn) int shim_module_init(void) { return fn(); }
#define module_exit(fn) void shim_module_exit(void) { fn(); }

#endif

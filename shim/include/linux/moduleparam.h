/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_MODULEPARAM_H
#define SHIM_LINUX_MODULEPARAM_H

#define module_param(name, type, perm) \
	_Static_assert(sizeof(name) > 0, "module_param")
#define module_param_named(name, value, type, perm) \
	_Static_assert(sizeof(value) > 0, "module_param_named")
#define MODULE_PARM_DESC(name, desc)

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_CONTAINER_OF_H
#define SHIM_LINUX_CONTAINER_OF_H

#include <linux/stddef.h>
#include <linux/compiler.h>

#define container_of(ptr, type, member)					\
({									\
	void *__co_ptr = (void *)(ptr);					\
	_Static_assert(__same_type(*(ptr), ((type *)0)->member) ||	\
		       __same_type(*(ptr), void), "container_of type");	\
	(type *)((char *)__co_ptr - offsetof(type, member));		\
})
#define container_of_const(ptr, type, member) container_of(ptr, type, member)

#endif

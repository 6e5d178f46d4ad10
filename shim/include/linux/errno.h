/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_ERRNO_H
#define SHIM_LINUX_ERRNO_H

/* Also reached by libc's own <errno.h>, so nothing but numbers is in here. */
#include <asm/errno.h>

#define ERESTARTSYS 512
#define ENOTSUPP 524

#endif

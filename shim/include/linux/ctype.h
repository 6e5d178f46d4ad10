/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHIM_LINUX_CTYPE_H
#define SHIM_LINUX_CTYPE_H

/* ASCII only, whatever the host's locale. */
#undef isdigit
#undef isspace
#undef isalpha
#undef isalnum
#undef isupper
#undef islower
#undef isprint
#undef isxdigit
#undef isgraph
#undef ispunct
#undef iscntrl
#undef tolower
#undef toupper

#define shim_in(c, lo, hi) ((unsigned int)((unsigned char)(c) - (lo)) <= (hi) - (lo))
#define isdigit(c) shim_in(c, '0', '9')
#define isupper(c) shim_in(c, 'A', 'Z')
#define islower(c) shim_in(c, 'a', 'z')
#define isalpha(c) (isupper(c) || islower(c))
#define isalnum(c) (isalpha(c) || isdigit(c))
#define isspace(c) ((c) == ' ' || shim_in(c, '\t', '\r'))
#define isxdigit(c) (isdigit(c) || shim_in(c, 'a', 'f') || shim_in(c, 'A', 'F'))
#define isprint(c) shim_in(c, 0x20u, 0x7eu)
#define isgraph(c) shim_in(c, 0x21u, 0x7eu)
#define ispunct(c) (isgraph(c) && !isalnum(c))
#define iscntrl(c) (!isprint(c) && (unsigned char)(c) < 0x80)
#define tolower(c) (isupper(c) ? (c) + 32 : (c))
#define toupper(c) (islower(c) ? (c) - 32 : (c))

#endif

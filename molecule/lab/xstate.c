/*
 * Copyright (c) 2026, the selfhosted.mlflow authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lets user-mode Linux before 6.13 run on processors with AMX or APX.
 *
 * Such a kernel keeps a process's vector registers in 2696 bytes (x87 to PKRU), but the machine's
 * kernel takes them back only whole, and with AMX they are 11008 bytes: PTRACE_SETREGSET fails with
 * EFAULT and init dies. Preloaded into linux.uml, this asks for the whole state, hands over the part
 * that fits, and fills the rest with zeroes on the way back. Nothing is lost: a guest's kernel never
 * grants its processes the registers beyond.
 *
 * Written without headers, so that any C compiler will do. Layouts: "Intel 64 and IA-32
 * Architectures Software Developer's Manual", volume 1, chapter 13 (XSAVE); ptrace(2).
 */

#define RTLD_NEXT ((void *)-1L)
#define PTRACE_GETREGSET 0x4204
#define PTRACE_SETREGSET 0x4205
#define NT_X86_XSTATE 0x202
#define WHOLE 65536
#define STATE_COMPONENTS 512 /* XSTATE_BV, the first field of the XSAVE header */
#define KNOWN_COMPONENTS 0x3ffUL /* x87 to PKRU: what lies in the first 2696 bytes */

typedef unsigned long word;
struct span { void *base; word length; };
typedef long function(word, word, word, word);

extern void *dlsym(void *, const char *);
extern void *memcpy(void *, const void *, word);
extern void *memset(void *, int, word);

/* Not on the stack: the stacks of a user-mode kernel are small. It calls ptrace from one thread. */
static unsigned char whole[WHOLE] __attribute__((aligned(64)));
static word whole_length;
static function *next;

static void keep_known_components(unsigned char *state)
{
    *(word *)(state + STATE_COMPONENTS) &= KNOWN_COMPONENTS;
}

long ptrace(word request, word process, word address, word data)
{
    struct span *wanted = (struct span *)data, span = { whole, WHOLE };
    long result;

    if (!next)
        next = (function *)dlsym(RTLD_NEXT, "ptrace");
    if (address != NT_X86_XSTATE || (request != PTRACE_GETREGSET && request != PTRACE_SETREGSET))
        return next(request, process, address, data);
    if (request == PTRACE_GETREGSET) {
        result = next(request, process, address, (word)&span);
        if (result < 0)
            return result;
        whole_length = span.length;
        if (wanted->length > whole_length)
            wanted->length = whole_length;
        else if (wanted->length < whole_length)
            keep_known_components(whole);
        memcpy(wanted->base, whole, wanted->length);
        return result;
    }
    if (wanted->length >= whole_length)
        return next(request, process, address, data);
    memcpy(whole, wanted->base, wanted->length);
    memset(whole + wanted->length, 0, whole_length - wanted->length);
    keep_known_components(whole);
    span.length = whole_length;
    return next(request, process, address, (word)&span);
}

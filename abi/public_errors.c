/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stddef.h>

#include "abi/public_errors.h"

static const struct {
    int err;
    const char *text;
} errors[] = {
    {0, "success"},
    {EINVAL, "an argument that is never right"},
    {E2BIG, "a struct of a newer header with a field set that this library does not know"},
    {ENOMEM, "no memory, address space or mappings left"},
    {EAGAIN, "the host refuses another process or thread for now"},
    {EMFILE, "no descriptor left"},
    {EBUSY, "the handle is in use in a way that forbids this"},
    {ESRCH, "the subprocess is dead"},
    {EFAULT, "guest memory that is not there or forbids the access"},
    {EPERM, "the host forbids what the backend needs"},
    {EACCES, "the descriptor cannot be mapped in the way asked for"},
    {EBADF, "the descriptor is not open"},
    {ENODEV, "the descriptor cannot be mapped"},
    {EEXIST, "something is mapped there already"},
    {EOPNOTSUPP, "this backend, machine or kernel cannot do that"},
    {EIO, "the host did something that the library cannot explain"},
};

#define ERROR_COUNT (sizeof(errors) / sizeof(errors[0]))

int public_error_listed(int err)
{
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (errors[i].err == -err)
            return err;
    }
    return -EIO;
}

const char *public_error_text(int err)
{
    /* Negating the smallest int would overflow; it is no error of ours either way. */
    unsigned int number = err < 0 ? 0u - (unsigned int)err : (unsigned int)err;

    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if ((unsigned int)errors[i].err == number)
            return errors[i].text;
    }
    return "not an error of this library";
}

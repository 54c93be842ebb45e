/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "row_values.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "native.h"

#define MAX_NAME  96
#define OPERATORS "+-*&|"

/* The places of all guests, put together by the linker: each has the address and the name (guests/ARCH/guest.inc). */
struct guest_label {
    const unsigned char *at;
    const char *name;
};
extern const struct guest_label __start_guest_labels[], __stop_guest_labels[];

static const unsigned char *label_find(const char *name)
{
    for (const struct guest_label *label = __start_guest_labels; label < __stop_guest_labels; label++) {
        if (strcmp(label->name, name) == 0)
            return label->at;
    }
    return NULL;
}

static const unsigned char *label_at(const struct row *row, const char *name)
{
    const unsigned char *at = label_find(name);

    if (!at)
        row_failed(row, "no guest has the label %s", name);
    return at;
}

struct guest_code row_guest(const struct row *row, const char *name)
{
    char end[MAX_NAME];

    snprintf(end, sizeof(end), "%s_end", name);
    return (struct guest_code){.start = label_at(row, name), .end = label_at(row, end)};
}

struct field {
    const char *name;
    uint64_t value;
};

static bool field_of(const struct field *fields, const char *name, uint64_t *value)
{
    for (; fields->name; fields++) {
        if (strcmp(fields->name, name) == 0) {
            *value = fields->value;
            return true;
        }
    }
    return false;
}

static bool syscall_value(const tg_event_syscall *call, const char *name, uint64_t *value)
{
    if (strncmp(name, "arg", 3) == 0 && name[3] >= '0' && name[3] <= '5' && !name[4]) {
        *value = call->args[name[3] - '0'];
        return true;
    }
    return field_of((const struct field[]){{"nr", call->nr}, {"ip", call->ip}, {0}}, name, value);
}

static bool fault_value(const tg_event_fault *fault, const char *name, uint64_t *value)
{
    return field_of((const struct field[]){{"addr", fault->addr},
                                           {"ip", fault->ip},
                                           {"access", fault->access},
                                           {"signo", (uint64_t)fault->signo},
                                           {"code", (uint64_t)fault->code},
                                           {"trap", fault->trap},
                                           {"error_code", fault->error_code},
                                           {0}},
                    name, value);
}

static bool exception_value(const tg_event_exception *exception, const char *name, uint64_t *value)
{
    return field_of((const struct field[]){{"addr", exception->addr},
                                           {"ip", exception->ip},
                                           {"signo", (uint64_t)exception->signo},
                                           {"code", (uint64_t)exception->code},
                                           {"errno", (uint64_t)exception->trap_errno},
                                           {"trap", exception->trap},
                                           {"error_code", exception->error_code},
                                           {0}},
                    name, value);
}

static bool event_value(const tg_event *event, const char *name, uint64_t *value)
{
    const struct field common[] = {
        {"kind", event->kind}, {"flags", event->flags}, {"arch", event->arch}, {"user_data", event->user_data}, {0}};
    const struct field dead[] = {
        {"reason", (uint64_t)event->u.dead.reason}, {"status", (uint64_t)event->u.dead.status}, {0}};

    if (field_of(common, name, value))
        return true;
    switch (event->kind) {
    case TG_EVENT_SYSCALL:
        return syscall_value(&event->u.syscall, name, value);
    case TG_EVENT_FAULT:
        return fault_value(&event->u.fault, name, value);
    case TG_EVENT_EXCEPTION:
        return exception_value(&event->u.exception, name, value);
    case TG_EVENT_DEAD:
        return field_of(dead, name, value);
    default:
        return false;
    }
}

static bool info_value(const tg_platform *platform, const char *name, uint64_t *value)
{
    const tg_info info = platform_info(platform);

    return field_of(
        (const struct field[]){
            {"page_size", info.page_size}, {"capabilities", info.capabilities}, {"arch", info.arch}, {0}},
        name, value);
}

static bool stats_value(const tg_platform *platform, const char *name, uint64_t *value)
{
    const tg_stats stats = platform_stats(platform);

    return field_of((const struct field[]){{"subprocesses", stats.subprocesses},
                                           {"contexts", stats.contexts},
                                           {"switches", stats.switches},
                                           {"syscalls", stats.syscalls},
                                           {"faults", stats.faults},
                                           {"interrupts", stats.interrupts},
                                           {0}},
                    name, value);
}

static bool context_value(const tg_context *context, const char *name, uint64_t *value)
{
    if (strcmp(name, "tls") == 0) {
        CHECK_OK(tg_context_get_tls(context, value));
        return true;
    }
    return arch_register_get(context, name, value);
}

/* Names with a dot belong to what stands before it; the rest are variables, definitions and registers, in this order.
 */
static bool name_value(const struct row_scene *scene, const struct row *row, const char *name, uint64_t *value)
{
    const struct row_block *definition;

    if (strncmp(name, "event.", 6) == 0)
        return event_value(scene->event, name + 6, value);
    if (strncmp(name, "info.", 5) == 0)
        return info_value(scene->platform, name + 5, value);
    if (strncmp(name, "stats.", 6) == 0)
        return stats_value(scene->platform, name + 6, value);
    if (strncmp(name, "cpu.", 4) == 0)
        return arch_cpu_has(name + 4, value);
    if (strncmp(name, "native.", 7) == 0) {
        *value = (uint64_t)native_run(row_guest(row, name + 7)).signo;
        return true;
    }
    for (const struct row_variable *variable = scene->variables; variable->name; variable++) {
        if (strcmp(variable->name, name) == 0) {
            *value = variable->value;
            return true;
        }
    }
    definition = row_block_find("define", name);
    if (definition) {
        *value = row_value(scene, row, definition->head->words[2]);
        return true;
    }
    if (strcmp(name, "pid") == 0) {
        *value = (uint64_t)tg_subprocess_pid(scene->subprocess);
        return true;
    }
    return scene->context && context_value(scene->context, name, value);
}

/* GUEST:LABEL is where the label is when the guest is loaded at GUEST_CODE_AT. */
static uint64_t atom_value(const struct row_scene *scene, const struct row *row, char *text)
{
    char *label = strchr(text, ':');
    uint64_t value;
    char *end;

    if (isdigit((unsigned char)*text)) {
        value = strtoull(text, &end, 0);
        if (*end)
            row_failed(row, "%s is no number", text);
        return value;
    }
    if (label) {
        *label++ = '\0';
        return GUEST_CODE_AT + (uint64_t)(label_at(row, label) - label_at(row, text));
    }
    if (!name_value(scene, row, text, &value))
        row_failed(row, "nothing is called %s here", text);
    return value;
}

/* The next atom and the sign or inversion in front of it. */
static uint64_t term_value(const struct row_scene *scene, const struct row *row, const char **text)
{
    char atom[MAX_NAME];
    char prefix = **text == '-' || **text == '~' ? *(*text)++ : 0;
    size_t length = strcspn(*text, OPERATORS);
    uint64_t value;

    if (length >= sizeof(atom))
        row_failed(row, "a name of %zu characters", length);
    memcpy(atom, *text, length);
    atom[length] = '\0';
    *text += length;
    value = atom_value(scene, row, atom);
    return prefix == '-' ? -value : prefix == '~' ? ~value : value;
}

uint64_t row_value(const struct row_scene *scene, const struct row *row, const char *text)
{
    uint64_t value = term_value(scene, row, &text);

    while (*text) {
        char operation = *text++;
        uint64_t right = term_value(scene, row, &text);

        switch (operation) {
        case '+':
            value += right;
            break;
        case '-':
            value -= right;
            break;
        case '*':
            value *= right;
            break;
        case '&':
            value &= right;
            break;
        default:
            value |= right;
            break;
        }
    }
    return value;
}

void row_let(struct row_scene *scene, const struct row *row, const char *name, uint64_t value)
{
    struct row_variable *variable = scene->variables;

    while (variable->name && strcmp(variable->name, name) != 0)
        variable++;
    if (variable == &scene->variables[ROW_VARIABLES - 1])
        row_failed(row, "too many variables");
    if (!variable->name)
        variable->name = strdup(name);
    variable->value = value;
}

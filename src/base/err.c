/* Errors by number: text for people, Kafka's code for clients, errno translated, and `struct why` wrapped outward.
 *
 * One table made from err_list.h, indexed from E_BASE. An unknown number is never a crash: it reads "unknown error". */
#include <errno.h>
#include <odradek/base.h>
#include <odradek/kafka_errors.h>

static const struct {
    const char *text;
    int16_t kafka;
} table[] = {
#define ERR(name, text, kafka) { text, kafka },
#include <odradek/err_list.h>
#undef ERR
};

static int row_of(int err)
{
    int i = err - E_BASE - 1;
    return i >= 0 && i < (int)ARRAY_LEN(table) ? i : -1;
}

const char *err_text(int err)
{
    int i = row_of(err);
    if (i >= 0) return table[i].text;
    if (err == 0) return "no error";
    const char *text = err < 0 && err > -4096 ? strerrordesc_np(-err) : NULL;
    return text ? text : "unknown error";
}

int err_kafka(int err)
{
    if (err == 0) return KAFKA_NONE;
    int i = row_of(err);
    if (i < 0) i = row_of(err_of_errno(err));
    return table[i].kafka;
}

int err_of_errno(int neg)
{
    if (neg >= 0 || row_of(neg) >= 0) return neg;
    switch (-neg) {
    case ENOSPC:
    case EDQUOT: return E_NO_SPACE;
    case ENOENT: return E_NOT_FOUND;
    case EEXIST: return E_EXISTS;
    case EAGAIN: return E_LOCKED;
    case ENOMEM: return E_NO_MEMORY;
    case EMFILE:
    case ENFILE: return E_NO_FILES;
    case EINVAL: return E_INVALID;
    default: return E_IO;
    }
}

/* The arguments may point into w->text, so the new text is made beside it. What does not fit is cut at the innermost end. */
static void set_text(struct why *w, const char *fmt, va_list ap, bool wrap)
{
    struct why now;
    int n = vsnprintf(now.text, sizeof(now.text), fmt, ap);
    size_t at = MIN((size_t)MAX(n, 0), sizeof(now.text) - 1), room = sizeof(now.text) - 1 - at;
    if (wrap && w->text[0] && room > 2) {
        size_t rest = MIN(strnlen(w->text, sizeof(w->text)), room - 2);
        memcpy(now.text + at, ": ", 2);
        memcpy(now.text + at + 2, w->text, rest);
        at += 2 + rest;
    }
    now.text[at] = 0;
    memcpy(w->text, now.text, at + 1);
}

int why(struct why *w, int err, const char *fmt, ...)
{
    if (!w) return err;
    va_list ap;
    va_start(ap, fmt);
    set_text(w, fmt, ap, false);
    va_end(ap);
    return err;
}

int why_wrap(struct why *w, int err, const char *fmt, ...)
{
    if (!w) return err;
    va_list ap;
    va_start(ap, fmt);
    set_text(w, fmt, ap, true);
    va_end(ap);
    return err;
}

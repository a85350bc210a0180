/* What the parts of _frames share: how a column's values come and go, and how fields are read. */

#ifndef VO_FRAMES_H
#define VO_FRAMES_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, WHOLE, REAL, TEXT, WHOLES, REALS };

typedef struct {
    int32_t kind;  /* one of the above */
    int32_t wire;  /* bytes of an item as the database sends it */
    int32_t size;  /* bytes of an item as it is written; the last ones of the wire's */
    int32_t count; /* items of a value; -1 where it varies */
} Spec;

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} Span;

/* What went wrong, said once other threads wait again: column, and a sentence. */
typedef struct {
    int column;
    const char *what;
} Fault;

#define TRUNCATED "the database sent a row that ends early"
#define FIELDS "the database sent rows with another number of fields"

static inline int32_t int32_at(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

static inline int int16_at(const uint8_t *p) { return (int16_t)((unsigned)p[0] << 8 | p[1]); }

/* The next field of a row: its length, -1 for no value, -2 where the bytes end early. */
static inline int32_t next_field(Span *in, const uint8_t **value)
{
    if (in->end - in->at < 4)
        return -2;
    int32_t length = int32_at(in->at);
    in->at += 4;
    *value = in->at;
    if (length < -1 || (length > 0 && in->end - in->at < length))
        return -2;
    if (length > 0)
        in->at += length;
    return length;
}

/* In _frames_pack.c: bytes that a value takes without its count, or -1 with the fault said; and the
   value written, or NULL with the fault said. */
int64_t vo_width_of(const Spec *spec, const uint8_t *value, int32_t length, Fault *fault);
uint8_t *vo_put_value(const Spec *spec, int masked, const uint8_t *value, int32_t length,
                      uint8_t *out, Fault *fault);
PyObject *vo_raise(const Fault *fault);
int vo_columns_of(const Py_buffer *spec);

PyObject *vo_pack(PyObject *module, PyObject *args);
PyObject *vo_columns(PyObject *module, PyObject *args);
PyObject *vo_base64(PyObject *module, PyObject *args);
PyObject *vo_tabledata(PyObject *module, PyObject *args);

#endif

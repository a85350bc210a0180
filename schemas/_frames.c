/* The parts of an answer's way that touch every value, compiled: see schemas/kernel.py.

   split      find whole rows in what COPY (FORMAT binary) sends
   pack       write such rows as VOTable's BINARY2 or BINARY
   columns    write such rows column by column
   base64     write bytes as base64
   tabledata  write what COPY (FORMAT text) sends as rows of TABLEDATA

   All of them work on bytes, trust no length they read, and let other threads run meanwhile.
   Only the limited API is used, so that one file serves every Python from 3.11 on. */

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

static const char TRUNCATED[] = "the database sent a row that ends early";
static const char FIELDS[] = "the database sent rows with another number of fields";
static const char WIDTH[] = "the database sent a value of another width";
static const char ARRAY[] = "the database sent an array that cannot be read";
static const char RANGE[] = "the database sent a value out of the range of its datatype";
static const char TAKEN[] = "holds the value that stands for no value";

static int32_t int32_at(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

static int int16_at(const uint8_t *p) { return (int16_t)((unsigned)p[0] << 8 | p[1]); }

static uint8_t *put_int32(uint8_t *out, uint32_t value)
{
    out[0] = value >> 24;
    out[1] = value >> 16;
    out[2] = value >> 8;
    out[3] = value;
    return out + 4;
}

static int is_ragged(const Spec *spec)
{
    return spec->kind >= TEXT && spec->count < 0;
}

/* The next field of a row: its length, -1 for no value, -2 where the bytes end early. */
static int32_t next_field(Span *in, const uint8_t **value)
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

/* The items of an array (array_send of PostgreSQL): their number, or -1 where it cannot be. */
static int64_t array_items(const uint8_t *value, int32_t length, Span *items)
{
    if (length < 12)
        return -1;
    int32_t dimensions = int32_at(value);
    if (dimensions < 0 || dimensions > 6 || length < 12 + 8 * dimensions)
        return -1;
    int64_t count = dimensions ? 1 : 0;
    for (int d = 0; d < dimensions; d++) {
        int32_t extent = int32_at(value + 12 + 8 * d);
        if (extent < 0 || (count *= extent) > length)
            return -1;
    }
    items->at = value + 12 + 8 * dimensions;
    items->end = value + length;
    return count;
}

/* The item that stands for no value. Where a mask says what has none it may be any; else it is
   NaN, or the lowest whole number. */
static uint8_t *put_nothing(const Spec *spec, int masked, uint8_t *out)
{
    memset(out, 0, spec->size);
    if (spec->kind == FLAG)
        out[0] = '?';
    else if (spec->kind == REAL || spec->kind == REALS) {
        out[0] = 0x7f;
        out[1] = spec->size == 4 ? 0xc0 : 0xf8;
    } else if (!masked && spec->kind != TEXT && spec->size > 1)
        out[0] = 0x80;
    return out + spec->size;
}

/* One item of a number; it must not be the one that stands for no value where there is no mask. */
static uint8_t *put_item(const Spec *spec, int masked, const uint8_t *value, uint8_t *out)
{
    const uint8_t *tail = value + spec->wire - spec->size;
    memcpy(out, tail, spec->size);
    if (masked || spec->kind != WHOLE || out[0] != 0x80)
        return out + spec->size;
    for (int i = 1; i < spec->size; i++)
        if (out[i])
            return out + spec->size;
    return NULL;
}

/* Within an array no value is NaN or 0; the room that an array of fixed size leaves likewise. */
static uint8_t *put_array(const Spec *spec, int masked, const uint8_t *value, int32_t length,
                          uint8_t *out, Fault *fault)
{
    Span items = {value, value};
    int64_t count = length < 0 ? 0 : array_items(value, length, &items);
    if (spec->count >= 0 && count > spec->count)
        count = spec->count;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *item = items.at;
        int32_t width = next_field(&items, &item);
        if (width == -1)
            out = put_nothing(spec, 1, out);
        else if (width == spec->wire)
            out = put_item(spec, 1, item, out);
        else {
            fault->what = ARRAY;
            return NULL;
        }
    }
    for (int64_t i = count; i < spec->count; i++)
        out = put_nothing(spec, masked || length >= 0, out);
    return out;
}

/* Bytes that a value takes without its count, or -1 with the fault said. */
static int64_t width_of(const Spec *spec, const uint8_t *value, int32_t length, Fault *fault)
{
    Span items;
    int64_t count;
    if (length >= 0 && spec->kind < TEXT && length != spec->wire) {
        fault->what = WIDTH;
        return -1;
    }
    if (length > spec->size && spec->kind == WHOLE && value[0]) {
        fault->what = RANGE;
        return -1;
    }
    if (length >= 0 && spec->kind > TEXT) {
        count = array_items(value, length, &items);
        if (count < 0) {
            fault->what = ARRAY;
            return -1;
        }
    } else
        count = length < 0 ? 0 : length;
    if (spec->kind < TEXT)
        return spec->size;
    return (spec->count >= 0 ? spec->count : count) * spec->size;
}

static uint8_t *put_value(const Spec *spec, int masked, const uint8_t *value, int32_t length,
                          uint8_t *out, Fault *fault)
{
    if (spec->kind > TEXT)
        return put_array(spec, masked, value, length, out, fault);
    if (spec->kind == TEXT) {
        int32_t taken = length < 0 ? 0 : length;
        if (spec->count >= 0) {
            taken = taken < spec->count ? taken : spec->count;
            memset(out + taken, 0, spec->count - taken);
        }
        memcpy(out, value, taken);
        return out + (spec->count >= 0 ? spec->count : taken);
    }
    if (length < 0)
        return put_nothing(spec, masked, out);
    if (spec->kind == FLAG) {
        *out = *value ? 'T' : 'F';
        return out + 1;
    }
    out = put_item(spec, masked, value, out);
    if (!out)
        fault->what = TAKEN;
    return out;
}

/* Go through all rows; with `out` write them, without it only measure. -1 where a fault is said. */
static int64_t pack_rows(Span in, Py_ssize_t rows, const Spec *specs, int n, int masked,
                         uint8_t *out, Fault *fault)
{
    int64_t total = 0;
    for (Py_ssize_t row = 0; row < rows; row++) {
        fault->column = -1;
        if (in.end - in.at < 2 || int16_at(in.at) != n) {
            fault->what = FIELDS;
            return -1;
        }
        in.at += 2;
        uint8_t *mask = out;
        if (masked) {
            total += (n + 7) / 8;
            if (out) {
                memset(mask, 0, (n + 7) / 8);
                out += (n + 7) / 8;
            }
        }
        for (int i = 0; i < n; i++) {
            const Spec *spec = specs + i;
            const uint8_t *value = in.at;
            int32_t length = next_field(&in, &value);
            fault->column = i;
            if (length < -1) {
                fault->what = TRUNCATED;
                return -1;
            }
            int64_t width = width_of(spec, value, length, fault);
            if (width < 0)
                return -1;
            total += width + (is_ragged(spec) ? 4 : 0);
            if (!out)
                continue;
            if (masked && length < 0)
                mask[i / 8] |= 0x80 >> i % 8;
            if (is_ragged(spec))
                out = put_int32(out, (uint32_t)(width / spec->size));
            out = put_value(spec, masked, value, length, out, fault);
            if (!out)
                return -1;
        }
    }
    return total;
}

static PyObject *raise_fault(const Fault *fault)
{
    PyObject *facts = Py_BuildValue("(is)", fault->column, fault->what);
    if (facts) {
        PyErr_SetObject(PyExc_ValueError, facts);
        Py_DECREF(facts);
    }
    return NULL;
}

static int columns_of(const Py_buffer *spec)
{
    return (int)(spec->len / (Py_ssize_t)sizeof(Spec));
}

PyDoc_STRVAR(split_doc, "split(data, start, most) -> place after the last whole row, number of "
                        "whole rows, whether the trailer came");

static PyObject *split(PyObject *module, PyObject *args)
{
    Py_buffer data;
    Py_ssize_t start, most, rows = 0;
    int ended = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*nn", &data, &start, &most))
        return NULL;
    const uint8_t *base = data.buf;
    Span in = {base + (start < data.len ? start : data.len), base + data.len};
    const uint8_t *whole = in.at;
    Py_BEGIN_ALLOW_THREADS
    while (rows < most && in.end - in.at >= 2) {
        int n = int16_at(in.at);
        in.at += 2;
        if (n < 0) {
            ended = 1;
            break;
        }
        int32_t length = 0;
        const uint8_t *value;
        while (n-- > 0 && (length = next_field(&in, &value)) >= -1)
            ;
        if (length < -1)
            break;
        whole = in.at;
        rows++;
    }
    Py_END_ALLOW_THREADS
    Py_ssize_t end = whole - base;
    PyBuffer_Release(&data);
    return Py_BuildValue("nni", end, rows, ended);
}

PyDoc_STRVAR(pack_doc, "pack(data, rows, spec, masked) -> rows as BINARY2, or as BINARY where they "
                       "are not masked. ValueError(column, sentence)");

static PyObject *pack(PyObject *module, PyObject *args)
{
    Py_buffer data, spec;
    Py_ssize_t rows;
    int masked;
    PyObject *packed = NULL;
    Fault fault = {-1, ""};
    (void)module;
    if (!PyArg_ParseTuple(args, "y*ny*p", &data, &rows, &spec, &masked))
        return NULL;
    Span in = {data.buf, (const uint8_t *)data.buf + data.len};
    int64_t size;
    Py_BEGIN_ALLOW_THREADS
    size = pack_rows(in, rows, spec.buf, columns_of(&spec), masked, NULL, &fault);
    Py_END_ALLOW_THREADS
    if (size >= 0 && (packed = PyBytes_FromStringAndSize(NULL, size))) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
        Py_BEGIN_ALLOW_THREADS
        size = pack_rows(in, rows, spec.buf, columns_of(&spec), masked, out, &fault);
        Py_END_ALLOW_THREADS
    }
    if (size < 0) {
        Py_CLEAR(packed);
        raise_fault(&fault);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&spec);
    return packed;
}

/* Where the values of one column go. */
typedef struct {
    uint8_t *values;
    uint8_t *nulls;
    int64_t *sizes; /* NULL for scalars */
    int64_t total;
} Column;

static int column_rows(Span in, Py_ssize_t rows, const Spec *specs, int n, Column *columns,
                       int measure, Fault *fault)
{
    for (Py_ssize_t row = 0; row < rows; row++) {
        fault->column = -1;
        if (in.end - in.at < 2 || int16_at(in.at) != n) {
            fault->what = FIELDS;
            return -1;
        }
        in.at += 2;
        for (int i = 0; i < n; i++) {
            Spec spec = specs[i];
            const uint8_t *value = in.at;
            int32_t length = next_field(&in, &value);
            fault->column = i;
            if (length < -1) {
                fault->what = TRUNCATED;
                return -1;
            }
            spec.count = -1; /* nothing is cut or filled here */
            int64_t width = width_of(&spec, value, length, fault);
            if (width < 0)
                return -1;
            if (measure) {
                columns[i].total += width;
                continue;
            }
            columns[i].nulls[row] = length < 0;
            if (columns[i].sizes)
                columns[i].sizes[row] = width;
            if (spec.kind == FLAG)
                *columns[i].values++ = length > 0 && *value;
            else if (!(columns[i].values = put_value(&spec, 1, value, length, columns[i].values,
                                                     fault)))
                return -1;
        }
    }
    return 0;
}

/* Bytes objects for every column's parts: a list of (values, nulls, sizes or None). */
static PyObject *make_room(Py_ssize_t rows, const Spec *specs, int n, Column *columns)
{
    PyObject *made = PyList_New(n);
    for (int i = 0; made && i < n; i++) {
        PyObject *sizes = Py_None;
        PyObject *values = PyBytes_FromStringAndSize(NULL, columns[i].total);
        PyObject *nulls = PyBytes_FromStringAndSize(NULL, rows);
        if (specs[i].kind >= TEXT)
            sizes = PyBytes_FromStringAndSize(NULL, rows * (Py_ssize_t)sizeof(int64_t));
        else
            Py_INCREF(sizes);
        if (!values || !nulls || !sizes) {
            Py_XDECREF(values);
            Py_XDECREF(nulls);
            Py_XDECREF(sizes);
            Py_CLEAR(made);
            break;
        }
        columns[i].values = (uint8_t *)PyBytes_AsString(values);
        columns[i].nulls = (uint8_t *)PyBytes_AsString(nulls);
        columns[i].sizes = sizes == Py_None ? NULL : (int64_t *)PyBytes_AsString(sizes);
        PyObject *parts = Py_BuildValue("(NNN)", values, nulls, sizes);
        if (!parts || PyList_SetItem(made, i, parts) < 0)
            Py_CLEAR(made);
    }
    return made;
}

PyDoc_STRVAR(columns_doc, "columns(data, rows, spec) -> for each column its values, big-endian, a "
                          "byte for each null, and int64 sizes or None. ValueError as pack");

static PyObject *columns(PyObject *module, PyObject *args)
{
    Py_buffer data, spec;
    Py_ssize_t rows;
    PyObject *made = NULL;
    Fault fault = {-1, ""};
    int failed;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*ny*", &data, &rows, &spec))
        return NULL;
    int n = columns_of(&spec);
    Span in = {data.buf, (const uint8_t *)data.buf + data.len};
    Column *places = calloc(n ? n : 1, sizeof(Column));
    if (!places)
        PyErr_NoMemory();
    else {
        Py_BEGIN_ALLOW_THREADS
        failed = column_rows(in, rows, spec.buf, n, places, 1, &fault);
        Py_END_ALLOW_THREADS
        if (!failed && (made = make_room(rows, spec.buf, n, places))) {
            Py_BEGIN_ALLOW_THREADS
            failed = column_rows(in, rows, spec.buf, n, places, 0, &fault);
            Py_END_ALLOW_THREADS
        }
        if (failed) {
            Py_CLEAR(made);
            raise_fault(&fault);
        }
    }
    free(places);
    PyBuffer_Release(&data);
    PyBuffer_Release(&spec);
    return made;
}

PyObject *vo_base64(PyObject *module, PyObject *args);
PyObject *vo_tabledata(PyObject *module, PyObject *args);

static PyMethodDef METHODS[] = {
    {"split", split, METH_VARARGS, split_doc},
    {"pack", pack, METH_VARARGS, pack_doc},
    {"columns", columns, METH_VARARGS, columns_doc},
    {"base64", vo_base64, METH_VARARGS, "base64(data) -> base64 of it, and a line's end"},
    {"tabledata", vo_tabledata, METH_VARARGS,
     "tabledata(lines, nulls, reals) -> whole lines of COPY (FORMAT text) as rows of TABLEDATA; "
     "nulls has the text of no value for each column, reals a byte: is it of float or double"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_frames", "Rows of COPY to rows of answers.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__frames(void) { return PyModuleDef_Init(&MODULE); }

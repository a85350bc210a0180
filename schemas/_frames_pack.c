/* Rows of COPY (FORMAT binary) as VOTable's BINARY2 and BINARY. */

#include "_frames.h"

static const char WIDTH[] = "the database sent a value of another width";
static const char ARRAY[] = "the database sent an array that cannot be read";
static const char RANGE[] = "the database sent a value out of the range of its datatype";
static const char TAKEN[] = "holds the value that stands for no value";

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
int64_t vo_width_of(const Spec *spec, const uint8_t *value, int32_t length, Fault *fault)
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

uint8_t *vo_put_value(const Spec *spec, int masked, const uint8_t *value, int32_t length,
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
            int64_t width = vo_width_of(spec, value, length, fault);
            if (width < 0)
                return -1;
            total += width + (is_ragged(spec) ? 4 : 0);
            if (!out)
                continue;
            if (masked && length < 0)
                mask[i / 8] |= 0x80 >> i % 8;
            if (is_ragged(spec))
                out = put_int32(out, (uint32_t)(width / spec->size));
            out = vo_put_value(spec, masked, value, length, out, fault);
            if (!out)
                return -1;
        }
    }
    return total;
}

PyObject *vo_raise(const Fault *fault)
{
    PyObject *facts = Py_BuildValue("(is)", fault->column, fault->what);
    if (facts) {
        PyErr_SetObject(PyExc_ValueError, facts);
        Py_DECREF(facts);
    }
    return NULL;
}

int vo_columns_of(const Py_buffer *spec)
{
    return (int)(spec->len / (Py_ssize_t)sizeof(Spec));
}

PyObject *vo_pack(PyObject *module, PyObject *args)
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
    size = pack_rows(in, rows, spec.buf, vo_columns_of(&spec), masked, NULL, &fault);
    Py_END_ALLOW_THREADS
    if (size >= 0 && (packed = PyBytes_FromStringAndSize(NULL, size))) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
        Py_BEGIN_ALLOW_THREADS
        size = pack_rows(in, rows, spec.buf, vo_columns_of(&spec), masked, out, &fault);
        Py_END_ALLOW_THREADS
    }
    if (size < 0) {
        Py_CLEAR(packed);
        vo_raise(&fault);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&spec);
    return packed;
}


/* Rows of COPY (FORMAT binary), column by column. */

#include "_frames.h"

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
            int64_t width = vo_width_of(&spec, value, length, fault);
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
            else if (!(columns[i].values = vo_put_value(&spec, 1, value, length, columns[i].values,
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

PyObject *vo_columns(PyObject *module, PyObject *args)
{
    Py_buffer data, spec;
    Py_ssize_t rows;
    PyObject *made = NULL;
    Fault fault = {-1, ""};
    int failed;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*ny*", &data, &rows, &spec))
        return NULL;
    int n = vo_columns_of(&spec);
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
            vo_raise(&fault);
        }
    }
    free(places);
    PyBuffer_Release(&data);
    PyBuffer_Release(&spec);
    return made;
}


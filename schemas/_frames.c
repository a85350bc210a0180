/* The parts of an answer's way that touch every value, compiled: see schemas/kernel.py.

   split      find whole rows in what COPY (FORMAT binary) sends
   pack       write such rows as VOTable's BINARY2 or BINARY
   columns    write such rows column by column
   base64     write bytes as base64
   tabledata  write what COPY (FORMAT text) sends as rows of TABLEDATA

   All of them work on bytes, trust no length they read, and let other threads run meanwhile.
   Only the limited API is used, so that one file serves every Python from 3.11 on. */

#include "_frames.h"

#define ABI 1 /* raised with every change of a signature, here and in schemas/kernel.py */

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

PyDoc_STRVAR(columns_doc, "columns(data, rows, spec) -> for each column its values, big-endian, a "
                          "byte for each null, and int64 sizes or None. ValueError as pack");

static PyMethodDef METHODS[] = {
    {"split", split, METH_VARARGS, split_doc},
    {"pack", vo_pack, METH_VARARGS, pack_doc},
    {"columns", vo_columns, METH_VARARGS, columns_doc},
    {"base64", vo_base64, METH_VARARGS, "base64(data) -> base64 of it, and a line's end"},
    {"tabledata", vo_tabledata, METH_VARARGS,
     "tabledata(lines, nulls, reals) -> whole lines of COPY (FORMAT text) as rows of TABLEDATA; "
     "nulls has the text of no value for each column, reals a byte: is it of float or double"},
    {NULL, NULL, 0, NULL},
};

static int add_abi(PyObject *module) { return PyModule_AddIntConstant(module, "abi", ABI); }

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, add_abi}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_frames", "Rows of COPY to rows of answers.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__frames(void) { return PyModuleDef_Init(&MODULE); }

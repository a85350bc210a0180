/* Parts of reduction._resample. Only the limited API is used, so that one file serves every Python
   from 3.11 on. */

#ifndef VO_RESAMPLE_H
#define VO_RESAMPLE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

extern const char resample_spline_doc[], resample_fill_doc[];

/* Give all buffers back; 0, and a ValueError, if what they held was not right. */
int resample_released(Py_buffer *buffers, int many, int right);
PyObject *resample_spline(PyObject *module, PyObject *args);
PyObject *resample_fill(PyObject *module, PyObject *args);

#endif

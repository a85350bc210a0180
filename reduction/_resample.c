/* A frame at fractional pixels, by a separable kernel of six taps: see reduction/steps/resample.py.

   The same sums as the numpy way there, in the same precision but for the order of additions.
   Only the limited API is used, so that one file serves every Python from 3.11 on. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>

#define TAPS 6
#define BEFORE 2 /* taps before the pixel that the position falls in */

typedef struct {
    const float *image, *weight, *table, *reach;
    const uint8_t *bad, *near;
    Py_ssize_t ny, nx, phases;
    float limit;
} Frame;

typedef struct {
    float *value, *weight;
    uint8_t *hole;
} Out;

static inline void taps(const Frame *f, const float *table, double part, float w[TAPS])
{
    double at = part * (double)f->phases;
    Py_ssize_t k = (Py_ssize_t)at;
    if (k >= f->phases)
        k = f->phases - 1;
    float t = (float)(at - (double)k);
    const float *low = table + k * TAPS, *high = low + TAPS;
    for (int i = 0; i < TAPS; i++)
        w[i] = low[i] + t * (high[i] - low[i]);
}

static inline Py_ssize_t within(Py_ssize_t i, Py_ssize_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Part of the value's absolute weight that is on bad pixels or outside the frame. */
static float share(const Frame *f, Py_ssize_t x0, Py_ssize_t y0, double px, double py)
{
    float bad = 0.0f, all = 0.0f, wx[TAPS], wy[TAPS];
    taps(f, f->reach, px, wx);
    taps(f, f->reach, py, wy);
    for (int j = 0; j < TAPS; j++)
        for (int i = 0; i < TAPS; i++) {
            Py_ssize_t x = x0 + i, y = y0 + j;
            float w = fabsf(wx[i] * wy[j]);
            all += w;
            if (x < 0 || y < 0 || x >= f->nx || y >= f->ny || f->bad[y * f->nx + x])
                bad += w;
        }
    return bad / all;
}

static inline void sample(const Frame *f, double x, double y, const Out *out, Py_ssize_t at)
{
    if (!(x >= -0.5 && y >= -0.5 && x <= (double)f->nx - 0.5 && y <= (double)f->ny - 0.5)) {
        out->value[at] = NAN;
        out->weight[at] = 0.0f;
        out->hole[at] = 1;
        return;
    }
    double fx = floor(x), fy = floor(y);
    Py_ssize_t ix = (Py_ssize_t)fx, iy = (Py_ssize_t)fy;
    Py_ssize_t x0 = ix - BEFORE, y0 = iy - BEFORE;
    float wx[TAPS], wy[TAPS], total = 0.0f;
    taps(f, f->table, x - fx, wx);
    taps(f, f->table, y - fy, wy);
    int inside = x0 >= 0 && y0 >= 0 && x0 + TAPS <= f->nx && y0 + TAPS <= f->ny;
    if (inside) {
        const float *row = f->image + y0 * f->nx + x0;
        for (int j = 0; j < TAPS; j++, row += f->nx)
            total += wy[j] * (row[0] * wx[0] + row[1] * wx[1] + row[2] * wx[2] + row[3] * wx[3] +
                              row[4] * wx[4] + row[5] * wx[5]);
    } else {
        for (int j = 0; j < TAPS; j++) {
            const float *row = f->image + within(y0 + j, f->ny) * f->nx;
            float sum = 0.0f;
            for (int i = 0; i < TAPS; i++)
                sum += row[within(x0 + i, f->nx)] * wx[i];
            total += wy[j] * sum;
        }
    }
    out->value[at] = total;
    int hole = 0;
    if (!inside || f->near[within(iy, f->ny) * f->nx + within(ix, f->nx)])
        hole = share(f, x0, y0, x - fx, y - fy) > f->limit;
    out->hole[at] = (uint8_t)hole;
    Py_ssize_t nearest = within((Py_ssize_t)floor(y + 0.5), f->ny) * f->nx +
                         within((Py_ssize_t)floor(x + 0.5), f->nx);
    out->weight[at] = hole ? 0.0f : f->weight[nearest];
}

PyDoc_STRVAR(resample_doc,
             "resample(image, weight, bad, near, table, reach, (ny, nx), nodes_x, nodes_y, (my, mx), step, "
             "(shift_y, shift_x), limit, value, weight, hole, (oy, ox)): fill the last arrays");

static int sizes_agree(const Py_buffer *b, const Py_ssize_t *n, const Py_ssize_t *m,
                       const Py_ssize_t *o)
{
    Py_ssize_t frame = n[0] * n[1], nodes = m[0] * m[1] * 8, made = o[0] * o[1];
    return n[0] > 0 && n[1] > 0 && m[0] > 1 && m[1] > 1 && b[0].len == frame * 4 &&
           b[1].len == frame * 4 && b[2].len == frame && b[3].len == frame &&
           b[4].len >= 2 * TAPS * 4 && b[4].len % (TAPS * 4) == 0 && b[5].len == b[4].len &&
           b[6].len == nodes && b[7].len == nodes && b[8].len == made * 4 &&
           b[9].len == made * 4 && b[10].len == made;
}

static void fill(const Frame *f, const double *gx, const double *gy, const Py_ssize_t *m, double step,
                 double sy, double sx, const Out *out, const Py_ssize_t *o)
{
    for (Py_ssize_t r = 0; r < o[0]; r++) {
        double v = ((double)r + sy) / step;
        Py_ssize_t j = within((Py_ssize_t)floor(v), m[0] - 1);
        v -= (double)j;
        const double *x0 = gx + j * m[1], *x1 = x0 + m[1];
        const double *y0 = gy + j * m[1], *y1 = y0 + m[1];
        for (Py_ssize_t c = 0; c < o[1]; c++) {
            double u = ((double)c + sx) / step;
            Py_ssize_t i = within((Py_ssize_t)floor(u), m[1] - 1);
            u -= (double)i;
            double x = (x0[i] * (1.0 - u) + x0[i + 1] * u) * (1.0 - v) +
                       (x1[i] * (1.0 - u) + x1[i + 1] * u) * v;
            double y = (y0[i] * (1.0 - u) + y0[i + 1] * u) * (1.0 - v) +
                       (y1[i] * (1.0 - u) + y1[i + 1] * u) * v;
            sample(f, x, y, out, r * o[1] + c);
        }
    }
}

static PyObject *resample(PyObject *module, PyObject *args)
{
    Py_buffer b[11];
    Py_ssize_t n[2], m[2], o[2];
    double step, sy, sx;
    float limit;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*(nn)y*y*(nn)d(dd)fw*w*w*(nn)", &b[0], &b[1], &b[2], &b[3],
                          &b[4], &b[5], &n[0], &n[1], &b[6], &b[7], &m[0], &m[1], &step, &sy, &sx,
                          &limit, &b[8], &b[9], &b[10], &o[0], &o[1]))
        return NULL;
    int right = sizes_agree(b, n, m, o) && step > 0.0;
    if (right) {
        Frame f = {b[0].buf, b[1].buf, b[4].buf, b[5].buf, b[2].buf, b[3].buf,
                   n[0],     n[1],     b[4].len / (TAPS * 4) - 1, limit};
        Out out = {b[8].buf, b[9].buf, b[10].buf};
        Py_BEGIN_ALLOW_THREADS
        fill(&f, b[6].buf, b[7].buf, m, step, sy, sx, &out, o);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < 11; i++)
        PyBuffer_Release(&b[i]);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "sizes of the arrays do not agree with the shapes");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"resample", resample, METH_VARARGS, resample_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_resample", "Frames at fractional pixels.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__resample(void) { return PyModuleDef_Init(&MODULE); }

/* A frame at fractional pixels, by a separable kernel of six taps: see reduction/steps/resample.py.

   The same sums as the numpy way there, in the same precision but for the order of additions. */

#include "_resample.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#endif
#endif
#ifndef SHUFFLE
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (Indices){i, j, k, l})
typedef int Indices __attribute__((vector_size(16)));
#endif

#define ABI 2 /* raised with every change of a signature, here and in reduction/steps/kernels.py */
#define TAPS 6
#define BEFORE 2 /* taps before the pixel that the position falls in */

typedef struct {
    const float *image, *weight, *table, *reach;
    const uint8_t *mask, *bad, *near;
    Py_ssize_t ny, nx, phases;
    float limit;
    uint8_t nothing; /* what is wrong with a bad pixel of which nothing is said */
    int mirrored;    /* whether the frame goes on as its mirror beyond the edge's pixels */
} Frame;

/* Frame pixels of the grid's: exact at nodes, bilinear between; and sizes of the grid's pixels,
   shape (my - 1, ox): at a row of nodes, and their rise to the next. */
typedef struct {
    const double *x, *y;
    const float *area, *rise;
    Py_ssize_t my, mx;
    double step;
} Nodes;

typedef struct {
    float *value, *weight;
    uint8_t *bits;
    Py_ssize_t ny, nx;
} Out;

/* Places of a row's pixels, and what becomes of them. */
typedef struct {
    double *x, *y;
    float *value, *weight;
    uint8_t *hole;
} Row;

static inline Py_ssize_t within(Py_ssize_t i, Py_ssize_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* The pixel that a place beyond the frame's edge has the value of. */
static inline Py_ssize_t pixel_of(const Frame *f, Py_ssize_t i, Py_ssize_t n)
{
    if (!f->mirrored || (i >= 0 && i < n) || n == 1)
        return within(i, n);
    Py_ssize_t period = 2 * (n - 1), at = (i % period + period) % period;
    return at < n ? at : period - at;
}

static inline void weights_of(const Frame *f, const float *table, int taps, double part, float *w)
{
    double at = part * (double)f->phases;
    Py_ssize_t k = (Py_ssize_t)at;
    if (k >= f->phases)
        k = f->phases - 1;
    float t = (float)(at - (double)k);
    const float *low = table + k * taps, *high = low + taps;
    for (int i = 0; i < taps; i++)
        w[i] = low[i] + t * (high[i] - low[i]);
}

typedef float Four __attribute__((vector_size(16)));

static inline Four four(const float *from)
{
    Four found;
    memcpy(&found, from, sizeof(found));
    return found;
}

static inline Four four_weights(const Frame *f, double part)
{
    double at = part * (double)f->phases;
    Py_ssize_t k = (Py_ssize_t)at;
    if (k >= f->phases)
        k = f->phases - 1;
    Four low = four(f->table + k * 4), high = four(f->table + k * 4 + 4);
    return low + (float)(at - (double)k) * (high - low);
}

/* The sum of 4 x 4 pixels times their weights, in the order in which six taps are summed. */
static inline float sum_of_four(const float *pixel, Py_ssize_t nx, Four wx, Four wy)
{
    Four a = four(pixel) * wx, b = four(pixel + nx) * wx;
    Four c = four(pixel + 2 * nx) * wx, d = four(pixel + 3 * nx) * wx;
    Four ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
    Four first = SHUFFLE(ab, cd, 0, 1, 4, 5), second = SHUFFLE(ab, cd, 2, 3, 6, 7);
    ab = SHUFFLE(a, b, 2, 6, 3, 7), cd = SHUFFLE(c, d, 2, 6, 3, 7);
    Four third = SHUFFLE(ab, cd, 0, 1, 4, 5), last = SHUFFLE(ab, cd, 2, 3, 6, 7);
    Four sum = (((first + second) + third) + last) * wy;
    return ((sum[0] + sum[1]) + sum[2]) + sum[3];
}

/* Part of the value's absolute weight that is on bad pixels or outside the frame. */
static float share(const Frame *f, Py_ssize_t x0, Py_ssize_t y0, const float *wx, const float *wy)
{
    float bad = 0.0f, all = 0.0f;
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

/* Whether that is too much. Summing 36 numbers in order takes long: only close cases need it. */
static int is_hole(const Frame *f, Py_ssize_t x0, Py_ssize_t y0, double px, double py, int inside)
{
    float wx[TAPS], wy[TAPS], bad = 0.0f, across = 0.0f, along = 0.0f;
    weights_of(f, f->reach, TAPS, px, wx);
    weights_of(f, f->reach, TAPS, py, wy);
    if (!inside)
        return share(f, x0, y0, wx, wy) > f->limit;
    const uint8_t *row = f->bad + y0 * f->nx + x0;
    for (int j = 0; j < TAPS; j++, row += f->nx) {
        float lost = 0.0f;
        for (int i = 0; i < TAPS; i++)
            lost += row[i] ? fabsf(wx[i]) : 0.0f;
        bad += lost * fabsf(wy[j]);
        across += fabsf(wx[j]);
        along += fabsf(wy[j]);
    }
    float least = f->limit * (across * along);
    if (fabsf(bad - least) > 1e-4f * least)
        return bad > least;
    return share(f, x0, y0, wx, wy) > f->limit;
}

/* The sum of any number of taps. */
static inline float sum_of(const Frame *f, const int taps, Py_ssize_t x, Py_ssize_t y, double px,
                           double py)
{
    float wx[TAPS], wy[TAPS], total = 0.0f;
    weights_of(f, f->table, taps, px, wx);
    weights_of(f, f->table, taps, py, wy);
    for (int j = 0; j < taps; j++) {
        const float *pixel = f->image + pixel_of(f, y + j, f->ny) * f->nx;
        float sum = 0.0f;
        for (int i = 0; i < taps; i++)
            sum += pixel[pixel_of(f, x + i, f->nx)] * wx[i];
        total += wy[j] * sum;
    }
    return total;
}

/* The frame at a row's places, added to what the row has; taps are a constant of each copy. */
static inline void sample(const Frame *frame, const int taps, const Row *row, Py_ssize_t n)
{
    const Frame f = *frame;
    const double *at_x = row->x, *at_y = row->y;
    float *value = row->value, *weight = row->weight;
    const int before = taps / 2 - 1;
    for (Py_ssize_t c = 0; c < n; c++) {
        double x = at_x[c], y = at_y[c];
        if (!(x >= -0.5 && y >= -0.5 && x <= (double)f.nx - 0.5 && y <= (double)f.ny - 0.5)) {
            value[c] = NAN;
            row->hole[c] = 1;
            continue;
        }
        /* a truncated number is one too large below zero alone */
        Py_ssize_t ix = (Py_ssize_t)x - (x < 0.0), iy = (Py_ssize_t)y - (y < 0.0);
        double px = x - (double)ix, py = y - (double)iy;
        Py_ssize_t x0 = ix - BEFORE, y0 = iy - BEFORE;
        int inside = x0 >= 0 && y0 >= 0 && x0 + TAPS <= f.nx && y0 + TAPS <= f.ny;
        if (inside && taps == 4)
            value[c] += sum_of_four(f.image + (iy - before) * f.nx + (ix - before), f.nx,
                                    four_weights(&f, px), four_weights(&f, py));
        else
            value[c] += sum_of(&f, taps, ix - before, iy - before, px, py);
        if (!inside || f.near[iy * f.nx + ix])
            row->hole[c] |= (uint8_t)is_hole(frame, x0, y0, px, py, inside);
        weight[c] += f.weight[within((Py_ssize_t)(y + 0.5), f.ny) * f.nx +
                              within((Py_ssize_t)(x + 0.5), f.nx)];
    }
}

static void sample_4(const Frame *f, const Row *row, Py_ssize_t n) { sample(f, 4, row, n); }
static void sample_6(const Frame *f, const Row *row, Py_ssize_t n) { sample(f, 6, row, n); }

/* What is wrong with the frame pixels under the kernel of a place: what is nearest says why, what
   is further away only where that says nothing. */
static uint8_t bits_near(const Frame *f, double x, double y)
{
    Py_ssize_t ix = (Py_ssize_t)floor(x), iy = (Py_ssize_t)floor(y);
    for (int wide = 0; wide < 2; wide++) {
        int from = wide ? -BEFORE : 0, to = wide ? TAPS - BEFORE : 2;
        uint8_t found = 0;
        for (int j = from; j < to; j++)
            for (int i = from; i < to; i++) {
                Py_ssize_t at = within(iy + j, f->ny) * f->nx + within(ix + i, f->nx);
                found |= f->bad[at] && !f->mask[at] ? f->nothing : f->mask[at];
            }
        if (found)
            return found;
    }
    return f->nothing;
}

/* Nodes that a place is between: those before it, and the first ones before the first. */
static inline Py_ssize_t cell(double at, Py_ssize_t nodes)
{
    return within((Py_ssize_t)at - (at < 0.0), nodes - 1);
}

/* Places of a row of grid pixels, or of sub-pixels that are shifted from their middles. */
static void place(const Nodes *g, Py_ssize_t r, double sy, double sx, const Row *row, Py_ssize_t n)
{
    double v = ((double)r + sy) / g->step;
    Py_ssize_t j = cell(v, g->my);
    v -= (double)j;
    const double *x0 = g->x + j * g->mx, *x1 = x0 + g->mx;
    const double *y0 = g->y + j * g->mx, *y1 = y0 + g->mx;
    for (Py_ssize_t c = 0; c < n;) {
        Py_ssize_t i = cell(((double)c + sx) / g->step, g->mx);
        double a = x0[i], b = x0[i + 1], p = x1[i], q = x1[i + 1];
        double d = y0[i], e = y0[i + 1], s = y1[i], t = y1[i + 1];
        /* all that are between the same nodes */
        Py_ssize_t end = n;
        if (i < g->mx - 2 && (double)(i + 1) * g->step - sx < (double)n)
            end = (Py_ssize_t)ceil((double)(i + 1) * g->step - sx);
        end = end > c ? end : c + 1;
        for (; c < end; c++) {
            double u = ((double)c + sx) / g->step - (double)i;
            row->x[c] = (a * (1.0 - u) + b * u) * (1.0 - v) + (p * (1.0 - u) + q * u) * v;
            row->y[c] = (d * (1.0 - u) + e * u) * (1.0 - v) + (s * (1.0 - u) + t * u) * v;
        }
    }
}

/* One row of the grid: means over fold x fold sub-pixels, times (weights: over) the pixels' sizes. */
static void fill_row(const Frame *f, const Nodes *g, Py_ssize_t r, int taps, int fold, const Row *row,
                     const Out *out)
{
    Py_ssize_t n = out->nx;
    memset(row->hole, 0, (size_t)n);
    for (Py_ssize_t c = 0; c < n; c++)
        row->value[c] = row->weight[c] = 0.0f;
    for (int k = 0; k < fold * fold; k++) {
        place(g, r, (k / fold + 0.5) / fold - 0.5, (k % fold + 0.5) / fold - 0.5, row, n);
        (taps == 4 ? sample_4 : sample_6)(f, row, n);
    }
    double v = (double)r / g->step;
    Py_ssize_t j = cell(v, g->my);
    const float *area = g->area + j * n, *rise = g->rise + j * n;
    float part = (float)(v - (double)j), many = (float)(fold * fold);
    float *restrict value = row->value, *restrict weight = row->weight;
    const uint8_t *restrict hole = row->hole;
    for (Py_ssize_t c = 0; c < n; c++) {
        float size = area[c] + part * rise[c], taken = weight[c] / many / size;
        value[c] = value[c] / many * size;
        weight[c] = hole[c] ? 0.0f : taken;
    }
    if (fold > 1)
        place(g, r, 0.0, 0.0, row, n);
    uint8_t *bits = out->bits + r * n;
    for (Py_ssize_t c = 0; c < n; c++) {
        bits[c] = 0;
        if (row->hole[c])
            bits[c] = isfinite(row->value[c]) ? bits_near(f, row->x[c], row->y[c]) : f->nothing;
    }
}

static int fill(const Frame *f, const Nodes *g, int taps, int fold, const Out *out)
{
    size_t n = (size_t)out->nx;
    double *places = malloc(n * (2 * sizeof(double) + 1));
    if (!places)
        return 0;
    for (Py_ssize_t r = 0; r < out->ny; r++) {
        Row row = {places, places + n, out->value + r * out->nx, out->weight + r * out->nx,
                   (uint8_t *)(places + 2 * n)};
        fill_row(f, g, r, taps, fold, &row, out);
    }
    free(places);
    return 1;
}

PyDoc_STRVAR(resample_doc,
             "resample(image, weight, mask, bad, near, table, reach, (ny, nx), nodes_x, nodes_y, area, rise, "
             "(my, mx), step, fold, limit, nothing, mirrored, value, weight, bits, (oy, ox)): fill the "
             "last arrays");

static int sizes_agree(const Py_buffer *b, const Py_ssize_t *n, const Py_ssize_t *m,
                       const Py_ssize_t *o)
{
    if (n[0] < 1 || n[1] < 1 || m[0] < 2 || m[1] < 2 || o[0] < 1 || o[1] < 1)
        return 0;
    Py_ssize_t frame = n[0] * n[1], nodes = m[0] * m[1] * 8, made = o[0] * o[1];
    Py_ssize_t between = (m[0] - 1) * o[1] * 4;
    Py_ssize_t phases = b[6].len / (TAPS * 4);
    return b[0].len == frame * 4 && b[1].len == frame * 4 && b[2].len == frame &&
           b[3].len == frame && b[4].len == frame && phases >= 2 && b[6].len == phases * TAPS * 4 &&
           (b[5].len == phases * 4 * 4 || b[5].len == phases * TAPS * 4) && b[7].len == nodes &&
           b[8].len == nodes && b[9].len == between && b[10].len == between &&
           b[11].len == made * 4 && b[12].len == made * 4 && b[13].len == made;
}

static PyObject *resample(PyObject *module, PyObject *args)
{
    Py_buffer b[14];
    Py_ssize_t n[2], m[2], o[2];
    double step;
    float limit;
    int fold, mirrored, done = 0;
    unsigned char nothing;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*(nn)y*y*y*y*(nn)difbpw*w*w*(nn)", &b[0], &b[1], &b[2],
                          &b[3], &b[4], &b[5], &b[6], &n[0], &n[1], &b[7], &b[8], &b[9], &b[10],
                          &m[0], &m[1], &step, &fold, &limit, &nothing, &mirrored, &b[11], &b[12],
                          &b[13], &o[0], &o[1]))
        return NULL;
    int right = sizes_agree(b, n, m, o) && step > 0.0 && fold > 0;
    if (right) {
        Py_ssize_t phases = b[6].len / (TAPS * 4);
        Frame f = {b[0].buf, b[1].buf, b[5].buf,   b[6].buf, b[2].buf, b[3].buf, b[4].buf,
                   n[0],     n[1],     phases - 1, limit,    nothing,  mirrored};
        Nodes g = {b[7].buf, b[8].buf, b[9].buf, b[10].buf, m[0], m[1], step};
        Out out = {b[11].buf, b[12].buf, b[13].buf, o[0], o[1]};
        Py_BEGIN_ALLOW_THREADS
        done = fill(&f, &g, (int)(b[5].len / phases / 4), fold, &out);
        Py_END_ALLOW_THREADS
    }
    if (!resample_released(b, 14, right))
        return NULL;
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"resample", resample, METH_VARARGS, resample_doc},
    {"spline", resample_spline, METH_VARARGS, resample_spline_doc},
    {"fill", resample_fill, METH_VARARGS, resample_fill_doc},
    {NULL, NULL, 0, NULL},
};

static int add_abi(PyObject *module) { return PyModule_AddIntConstant(module, "abi", ABI); }

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, add_abi}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_resample", "Frames at fractional pixels.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__resample(void) { return PyModuleDef_Init(&MODULE); }

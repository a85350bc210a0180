/* What a frame needs before it is resampled: bad pixels filled, and coefficients of splines. The
   same values as the numpy way in reduction/steps. */

#include "_resample.h"

#include <math.h>
#include <stdlib.h>

int resample_released(Py_buffer *buffers, int many, int right)
{
    for (int i = 0; i < many; i++)
        PyBuffer_Release(&buffers[i]);
    if (!right)
        PyErr_SetString(PyExc_ValueError, "sizes of the arrays do not agree with the shapes");
    return right;
}

#define REACH 3 /* pixels along each axis that a guess is made from */

/* Means of the good pixels near those that are to be filled; NaN where there is none. How many
   have none. */
static Py_ssize_t fill(float *image, const uint8_t *bad, const uint8_t *todo, Py_ssize_t ny,
                       Py_ssize_t nx, const double *share)
{
    Py_ssize_t alone = 0;
    for (Py_ssize_t y = 0; y < ny; y++)
        for (Py_ssize_t x = 0; x < nx; x++) {
            if (!todo[y * nx + x])
                continue;
            double total = 0.0, weight = 0.0;
            for (Py_ssize_t j = -REACH; j <= REACH; j++)
                for (Py_ssize_t i = -REACH; i <= REACH; i++) {
                    Py_ssize_t at = (y + j) * nx + x + i;
                    if (y + j < 0 || y + j >= ny || x + i < 0 || x + i >= nx || bad[at])
                        continue;
                    double own = share[(j + REACH) * (2 * REACH + 1) + i + REACH];
                    total += (double)((float)own * image[at]);
                    weight += own;
                }
            alone += weight == 0.0;
            image[y * nx + x] = weight == 0.0 ? NAN : (float)(total / weight);
        }
    return alone;
}

const char resample_fill_doc[] =
    "fill(image, bad, todo, (ny, nx), share): replace bad pixels; how many have no good one near";

PyObject *resample_fill(PyObject *module, PyObject *args)
{
    Py_buffer b[4];
    Py_ssize_t ny, nx, alone = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*y*y*(nn)y*", &b[0], &b[1], &b[2], &ny, &nx, &b[3]))
        return NULL;
    Py_ssize_t side = 2 * REACH + 1;
    int right = ny > 0 && nx > 0 && b[0].len == ny * nx * 4 && b[1].len == ny * nx &&
                b[2].len == ny * nx && b[3].len == side * side * 8;
    if (right) {
        Py_BEGIN_ALLOW_THREADS
        alone = fill(b[0].buf, b[1].buf, b[2].buf, ny, nx, b[3].buf);
        Py_END_ALLOW_THREADS
    }
    return resample_released(b, 4, right) ? PyLong_FromSsize_t(alone) : NULL;
}

/* Cubic spline coefficients of many lines side by side, in place: n values a line, lines of them,
   the k-th of line i at c[k * lines + i]. Unser, Aldroubi & Eden 1993, IEEE Trans. Signal
   Processing 41, 834, mirrored at the ends. */
static void coefficients(double *c, Py_ssize_t n, Py_ssize_t lines)
{
    const double z = sqrt(3.0) - 2.0, gain = (1.0 - z) * (1.0 - 1.0 / z);
    if (n < 2)
        return;
    double *last = c + (n - 1) * lines, end = pow(z, (double)(n - 1)), power = z;
    for (Py_ssize_t i = 0; i < n * lines; i++)
        c[i] *= gain;
    for (Py_ssize_t i = 0; i < lines; i++)
        c[i] += end * last[i];
    for (Py_ssize_t k = 1; k < n - 1 && fabs(power) > 1e-30; k++, power *= z) {
        double both = power + end * end / power;
        for (Py_ssize_t i = 0; i < lines; i++)
            c[i] += both * c[k * lines + i];
    }
    for (Py_ssize_t i = 0; i < lines; i++)
        c[i] /= 1.0 - end * end;
    for (double *row = c + lines; row <= last; row += lines)
        for (Py_ssize_t i = 0; i < lines; i++)
            row[i] += z * row[i - lines];
    for (Py_ssize_t i = 0; i < lines; i++)
        last[i] = (z * last[i - lines] + last[i]) * z / (z * z - 1.0);
    for (double *row = last - lines; row >= c; row -= lines)
        for (Py_ssize_t i = 0; i < lines; i++)
            row[i] = z * (row[i + lines] - row[i]);
}

#define COLUMNS 32 /* that are filtered together */
#define ROWS 8

static void filter_columns(float *image, Py_ssize_t ny, Py_ssize_t nx, double *room)
{
    for (Py_ssize_t x = 0; x < nx; x += COLUMNS) {
        Py_ssize_t many = nx - x < COLUMNS ? nx - x : COLUMNS;
        for (Py_ssize_t y = 0; y < ny; y++)
            for (Py_ssize_t i = 0; i < many; i++)
                room[y * many + i] = image[y * nx + x + i];
        coefficients(room, ny, many);
        for (Py_ssize_t y = 0; y < ny; y++)
            for (Py_ssize_t i = 0; i < many; i++)
                image[y * nx + x + i] = (float)room[y * many + i];
    }
}

static void filter_rows(float *image, Py_ssize_t ny, Py_ssize_t nx, double *room)
{
    for (Py_ssize_t y = 0; y < ny; y += ROWS) {
        Py_ssize_t many = ny - y < ROWS ? ny - y : ROWS;
        float *row = image + y * nx;
        for (Py_ssize_t x = 0; x < nx; x++)
            for (Py_ssize_t i = 0; i < many; i++)
                room[x * many + i] = row[i * nx + x];
        coefficients(room, nx, many);
        for (Py_ssize_t i = 0; i < many; i++)
            for (Py_ssize_t x = 0; x < nx; x++)
                row[i * nx + x] = (float)room[x * many + i];
    }
}

const char resample_spline_doc[] =
    "spline(image, (ny, nx)): put the coefficients of cubic splines in the pixels' place";

PyObject *resample_spline(PyObject *module, PyObject *args)
{
    Py_buffer b;
    Py_ssize_t ny, nx;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*(nn)", &b, &ny, &nx))
        return NULL;
    int right = ny > 0 && nx > 0 && b.len == ny * nx * 4;
    int done = 0;
    if (right) {
        Py_BEGIN_ALLOW_THREADS
        size_t most = (size_t)(ny * COLUMNS > nx * ROWS ? ny * COLUMNS : nx * ROWS);
        double *room = malloc(most * sizeof(double));
        if (room) {
            filter_columns(b.buf, ny, nx, room);
            filter_rows(b.buf, ny, nx, room);
            done = 1;
        }
        free(room);
        Py_END_ALLOW_THREADS
    }
    if (!resample_released(&b, 1, right))
        return NULL;
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Values of several frames in the same pixels, clipped and averaged: see reduction/steps/stack.py.

   The same operations as the numpy way there, in the same order and precision, so that both give
   the same bits. Pixels go through each step a run at a time, frames within: loops that compilers
   turn into vector instructions. Only the limited API is used, so that one file serves every
   Python from 3.11 on. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ABI 3 /* raised with every change of a signature, here and in reduction/steps/stack.py */
#define RUN 128 /* pixels of a row that go through a step together */
#define BUFFERS 14 /* arrays that are given */
#define ENOUGH 3 /* values of a pixel among which there can be outliers */

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

typedef struct {
    float *value, *weight;
    const uint8_t *bits;
    const float *factor; /* NULL where all are 1 */
    Py_ssize_t n, ny, nx;
} Stack;

typedef struct {
    float sigma, fraction, light_sigma, half_pi;
    Py_ssize_t reach;
} Clip;

/* Of each pixel of the stack, shape (ny, nx): the median, its variance (infinite where there are
   too few values to clip), and the light near by; and room for a run of all frames. */
typedef struct {
    float *middle, *own, *light, *room;
} Centre;

typedef struct {
    float *image, *weight;
    uint8_t *mask;
    int16_t *number;
    float *gain;
    int32_t *origin;
    uint64_t *sum;
    int64_t *lost;
    const uint64_t *sign;
    const double *photons; /* three terms a frame: see reduction/steps/photons.py */
    uint8_t nothing;
} Made;

static inline int is_used(float value, float weight)
{
    return (weight > 0.0f) & (fabsf(value) <= FLT_MAX);
}

/* Sort the n values of each pixel of a run: rows of RUN, by Batcher's network (Knuth 5.2.2 M). */
static inline void sort(float *rows, Py_ssize_t n)
{
    for (Py_ssize_t p = 1; p < n; p += p)
        for (Py_ssize_t k = p; k > 0; k /= 2)
            for (Py_ssize_t j = k % p; j + k < n; j += 2 * k)
                for (Py_ssize_t i = j; i < j + k && i + k < n; i++) {
                    if (i / (2 * p) != (i + k) / (2 * p))
                        continue;
                    float *low = rows + i * RUN, *high = low + k * RUN;
                    for (int q = 0; q < RUN; q++) {
                        float a = low[q], b = high[q];
                        low[q] = a < b ? a : b;
                        high[q] = a < b ? b : a;
                    }
                }
}

/* Median of the first count of n sorted values; infinite where there are none. */
static inline void medians(const float *rows, Py_ssize_t n, const int32_t *count, int m, float *middle)
{
    for (int q = 0; q < m; q++) {
        Py_ssize_t low = (count[q] > 0 ? count[q] - 1 : 0) / 2, high = count[q] / 2;
        if (high > n - 1)
            high = n - 1;
        middle[q] = (rows[low * RUN + q] + rows[high * RUN + q]) * 0.5f;
    }
}

WIDE static void centre(const Stack *s, const Clip *clip, const Centre *c, float *rows)
{
    Py_ssize_t plane = s->ny * s->nx;
    for (Py_ssize_t at = 0; at < plane; at += RUN) {
        int m = plane - at < RUN ? (int)(plane - at) : RUN;
        float sharp[RUN] = {0.0f};
        int32_t count[RUN] = {0};
        for (Py_ssize_t f = 0; f < s->n; f++) {
            const float *value = s->value + f * plane + at, *weight = s->weight + f * plane + at;
            float *row = rows + f * RUN;
            for (int q = 0; q < m; q++) {
                int used = is_used(value[q], weight[q]);
                row[q] = used ? value[q] : INFINITY;
                sharp[q] += sqrtf(used ? weight[q] : 0.0f);
                count[q] += used;
            }
        }
        sort(rows, s->n);
        medians(rows, s->n, count, m, c->middle + at);
        for (int q = 0; q < m; q++) {
            float own = clip->half_pi / (sharp[q] * sharp[q]);
            float light = fabsf(c->middle[at + q]) - clip->light_sigma * sqrtf(own);
            c->light[at + q] = light > 0.0f && light <= FLT_MAX ? light : 0.0f;
            c->own[at + q] = count[q] < ENOUGH ? INFINITY : own;
        }
    }
}

/* Largest of the 2 reach + 1 values around each of n, step apart; before and after them from has
   reach zeros more. What is in from is spoilt. */
WIDE static void largest(float *from, float *to, Py_ssize_t n, Py_ssize_t reach, Py_ssize_t step)
{
    Py_ssize_t window = 2 * reach + 1, size = 1, left = n + 2 * reach;
    for (; 2 * size <= window; size *= 2) {
        left -= size;
        const float *next = from + size * step;
        for (Py_ssize_t i = 0; i < left * step; i++)
            from[i] = from[i] > next[i] ? from[i] : next[i];
    }
    const float *last = from + (window - size) * step;
    for (Py_ssize_t i = 0; i < n * step; i++)
        to[i] = from[i] > last[i] ? from[i] : last[i];
}

/* Put the largest light near by in the place of each pixel's own. */
static void spread(const Stack *s, Py_ssize_t reach, float *light, float *room)
{
    Py_ssize_t wide = s->nx + 2 * reach;
    float *row = room, *rows = room + wide;
    memset(rows, 0, sizeof(float) * (size_t)((s->ny + 2 * reach) * s->nx));
    for (Py_ssize_t y = 0; y < s->ny; y++) {
        memset(row, 0, sizeof(float) * (size_t)wide);
        memcpy(row + reach, light + y * s->nx, sizeof(float) * (size_t)s->nx);
        largest(row, rows + (reach + y) * s->nx, s->nx, reach, 1);
    }
    largest(rows, light, s->ny, reach, s->nx);
}

/* Take the weight of outliers in a run of m pixels; where no value of a pixel would be left, none
   is an outlier. far has room for the run of each frame. */
WIDE static void clip_run(const Stack *s, const Clip *clip, const Centre *c, Py_ssize_t at, int m,
                          uint8_t *far, int64_t *lost)
{
    Py_ssize_t plane = s->ny * s->nx;
    int32_t left[RUN] = {0}, total = 0;
    for (Py_ssize_t f = 0; f < s->n; f++) {
        const float *value = s->value + f * plane + at, *weight = s->weight + f * plane + at;
        uint8_t *row = far + f * RUN;
        for (int q = 0; q < m; q++) {
            float limit = clip->sigma * sqrtf(1.0f / weight[q] + c->own[at + q]) +
                          clip->fraction * c->light[at + q];
            int used = is_used(value[q], weight[q]);
            int out = used & (fabsf(value[q] - c->middle[at + q]) > limit);
            row[q] = (uint8_t)out;
            left[q] += used - out;
            total += out;
        }
    }
    for (Py_ssize_t f = 0; total && f < s->n; f++) {
        float *weight = s->weight + f * plane + at;
        const uint8_t *row = far + f * RUN;
        int32_t many = 0;
        for (int q = 0; q < m; q++) {
            int out = row[q] & (left[q] > 0);
            weight[q] = out ? 0.0f : weight[q];
            many += out;
        }
        lost[f] += many;
    }
}

/* Electrons a unit of the mean of a run of m pixels, written from out on. */
WIDE static void gain_run(const Stack *s, Py_ssize_t at, int m, const Made *made, Py_ssize_t out)
{
    Py_ssize_t plane = s->ny * s->nx;
    double total[RUN] = {0.0}, weight[RUN] = {0.0};
    for (Py_ssize_t f = 0; f < s->n; f++) {
        const float *v = s->value + f * plane + at, *w = s->weight + f * plane + at;
        float linear = (float)made->photons[3 * f], square = (float)made->photons[3 * f + 1];
        float unit = (float)made->photons[3 * f + 2];
        float one[RUN];
        for (int q = 0; q < m; q++)
            one[q] = s->factor ? s->factor[f * plane + at + q] : 1.0f;
        for (int q = 0; q < m; q++) {
            int used = is_used(v[q], w[q]);
            float share = used ? w[q] : 0.0f, before = share * one[q] * one[q];
            float rise = linear * before;
            float flat = rise + sqrtf(rise * rise + square * before);
            float photons = share / flat * unit * share * one[q];
            weight[q] += (double)share;
            total[q] += (double)(used ? photons : 0.0f);
        }
    }
    for (int q = 0; q < m; q++)
        made->gain[out + q] = total[q] > 0.0 ? (float)(weight[q] * weight[q] / total[q]) : 0.0f;
}

/* Mean, weight, mask, number and sum of signs of a run of m pixels, written from out on. */
WIDE static void mean_run(const Stack *s, Py_ssize_t at, int m, const Made *made, Py_ssize_t out)
{
    Py_ssize_t plane = s->ny * s->nx;
    double total[RUN] = {0.0}, weight[RUN] = {0.0};
    float plain[RUN] = {0.0f}, seen[RUN] = {0.0f};
    uint64_t sum[RUN] = {0};
    int32_t number[RUN] = {0};
    uint8_t bits[RUN] = {0};
    for (Py_ssize_t f = 0; f < s->n; f++) {
        const float *v = s->value + f * plane + at, *w = s->weight + f * plane + at;
        const uint8_t *b = s->bits + f * plane + at;
        uint64_t sign = made->sign[f];
        for (int q = 0; q < m; q++) {
            int used = is_used(v[q], w[q]), there = fabsf(v[q]) <= FLT_MAX;
            float share = used ? w[q] : 0.0f;
            total[q] += (double)(used ? v[q] : 0.0f) * (double)share;
            weight[q] += (double)share;
            plain[q] += there ? v[q] : 0.0f;
            seen[q] += there ? 1.0f : 0.0f;
            number[q] += used;
        }
        for (int q = 0; q < m; q++)
            sum[q] += is_used(v[q], w[q]) ? sign : 0;
        for (int q = 0; q < m; q++)
            bits[q] |= fabsf(v[q]) <= FLT_MAX ? b[q] : 0;
    }
    for (int q = 0; q < m; q++) {
        int good = weight[q] > 0.0;
        made->image[out + q] = good ? (float)(total[q] / weight[q]) : plain[q] / seen[q];
        made->weight[out + q] = (float)weight[q];
        made->mask[out + q] = good ? 0 : seen[q] == 0.0f ? made->nothing : bits[q];
        made->number[out + q] = (int16_t)number[q];
        made->sum[out + q] = sum[q];
    }
}

/* Sums that were met, each with its number: open addressing, twice as many places as sums. */
typedef struct {
    uint64_t *key;
    int32_t *number; /* 0 where the place is free, else one more than the sum's number */
    size_t size;
    int shift;
} Known;

static size_t place_of(const Known *known, uint64_t key)
{
    size_t at = (size_t)((key * 0x9E3779B97F4A7C15u) >> known->shift);
    while (known->number[at] && known->key[at] != key)
        at = (at + 1) & (known->size - 1);
    return at;
}

static int grow(Known *known)
{
    Known wider = {NULL, NULL, known->size ? 2 * known->size : 1024,
                   known->size ? known->shift - 1 : 54};
    wider.key = malloc(wider.size * sizeof(uint64_t));
    wider.number = calloc(wider.size, sizeof(int32_t));
    int right = wider.key && wider.number;
    for (size_t i = 0; right && i < known->size; i++)
        if (known->number[i]) {
            size_t at = place_of(&wider, known->key[i]);
            wider.key[at] = known->key[i];
            wider.number[at] = known->number[i];
        }
    if (!right) {
        free(wider.key);
        free(wider.number);
        return 0;
    }
    free(known->key);
    free(known->number);
    *known = wider;
    return 1;
}

/* Number equal sums alike, in the order in which they appear; where each appears first. How many
   there are, or -1 where there is no memory. */
static Py_ssize_t number_sums(const uint64_t *sum, Py_ssize_t n, int32_t *number, int32_t *first)
{
    Known known = {NULL, NULL, 0, 64};
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (i && sum[i] == sum[i - 1]) {
            number[i] = number[i - 1];
            continue;
        }
        if (2 * (size_t)found >= known.size && !grow(&known)) {
            found = -1;
            break;
        }
        size_t at = place_of(&known, sum[i]);
        if (!known.number[at]) {
            known.key[at] = sum[i];
            first[found] = (int32_t)i;
            known.number[at] = (int32_t)++found;
        }
        number[i] = known.number[at] - 1;
    }
    free(known.key);
    free(known.number);
    return found;
}

PyDoc_STRVAR(combine_doc,
             "combine(value, weight, bits, factor, (n, ny, nx), (y0, y1, x0, x1), "
             "(sigma, fraction, reach, light_sigma, half_pi) or None, sign, photons, nothing, image, "
             "weight, mask, number, gain, origin, first, lost): fill the last arrays; how many origins there are");

/* Centres of all pixels; 0 where there is no memory. */
static int find_centres(const Stack *s, const Clip *clip, Centre *c)
{
    size_t plane = (size_t)(s->ny * s->nx);
    size_t more = (size_t)((s->ny + 2 * clip->reach) * s->nx + s->nx + 2 * clip->reach);
    size_t rows = (size_t)s->n * RUN;
    c->middle = malloc(sizeof(float) * (3 * plane + (more > rows ? more : rows)));
    if (!c->middle)
        return 0;
    c->own = c->middle + plane;
    c->light = c->own + plane;
    c->room = c->light + plane;
    memset(c->room, 0, sizeof(float) * rows);
    centre(s, clip, c, c->room);
    spread(s, clip->reach, c->light, c->room);
    return 1;
}

static Py_ssize_t combine_stack(const Stack *s, const Py_ssize_t *box, const Clip *clip,
                                const Made *made, int32_t *first)
{
    Centre c = {NULL, NULL, NULL, NULL};
    if (clip && !find_centres(s, clip, &c))
        return -1;
    Py_ssize_t wide = box[3] - box[2];
    for (Py_ssize_t y = box[0]; y < box[1]; y++)
        for (Py_ssize_t x = 0; x < wide; x += RUN) {
            int m = wide - x < RUN ? (int)(wide - x) : RUN;
            Py_ssize_t at = y * s->nx + box[2] + x;
            if (clip)
                clip_run(s, clip, &c, at, m, (uint8_t *)c.room, made->lost);
            mean_run(s, at, m, made, (y - box[0]) * wide + x);
            gain_run(s, at, m, made, (y - box[0]) * wide + x);
        }
    free(c.middle);
    return number_sums(made->sum, (box[1] - box[0]) * wide, made->origin, first);
}

static int sizes_agree(const Py_buffer *b, const Py_ssize_t *n, const Py_ssize_t *box)
{
    if (n[0] < 1 || n[1] < 1 || n[2] < 1 || box[0] < 0 || box[0] >= box[1] || box[1] > n[1] ||
        box[2] < 0 || box[2] >= box[3] || box[3] > n[2])
        return 0;
    Py_ssize_t stack = n[0] * n[1] * n[2], made = (box[1] - box[0]) * (box[3] - box[2]);
    return made <= INT32_MAX && b[0].len == stack * 4 && b[1].len == stack * 4 &&
           b[2].len == stack && b[3].len == n[0] * 8 && b[4].len == n[0] * 24 &&
           b[5].len == made * 4 && b[6].len == made * 4 && b[7].len == made &&
           b[8].len == made * 2 && b[9].len == made * 4 && b[10].len == made * 4 &&
           b[11].len == made * 4 && b[12].len == n[0] * 8 &&
           (b[13].len == 0 || b[13].len == stack * 4);
}

static PyObject *combine(PyObject *module, PyObject *args)
{
    Py_buffer b[BUFFERS];
    Py_ssize_t n[3], box[4], found = -1;
    PyObject *limits;
    Clip clip = {0};
    unsigned char nothing;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*w*y*y*(nnn)(nnnn)Oy*y*bw*w*w*w*w*w*w*w*", &b[0], &b[1], &b[2], &b[13],
                          &n[0], &n[1], &n[2], &box[0], &box[1], &box[2], &box[3], &limits, &b[3], &b[4],
                          &nothing, &b[5], &b[6], &b[7], &b[8], &b[9], &b[10], &b[11], &b[12]))
        return NULL;
    int clipped = limits != Py_None;
    int right = !clipped || PyArg_ParseTuple(limits, "ffnff", &clip.sigma, &clip.fraction, &clip.reach,
                                             &clip.light_sigma, &clip.half_pi);
    int agree = right && sizes_agree(b, n, box) && clip.reach >= 0;
    if (agree) {
        Stack s = {b[0].buf, b[1].buf, b[2].buf, b[13].len ? b[13].buf : NULL, n[0], n[1], n[2]};
        Made made = {b[5].buf, b[6].buf,  b[7].buf, b[8].buf, b[9].buf, b[10].buf,
                     NULL,     b[12].buf, b[3].buf, b[4].buf, nothing};
        Py_BEGIN_ALLOW_THREADS
        made.sum = malloc(sizeof(uint64_t) * (size_t)((box[1] - box[0]) * (box[3] - box[2])));
        if (made.sum)
            found = combine_stack(&s, box, clipped ? &clip : NULL, &made, b[11].buf);
        free(made.sum);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&b[i]);
    if (!right)
        return NULL;
    if (!agree) {
        PyErr_SetString(PyExc_ValueError, "sizes of the arrays do not agree with the shapes");
        return NULL;
    }
    return found < 0 ? PyErr_NoMemory() : PyLong_FromSsize_t(found);
}

static PyMethodDef METHODS[] = {
    {"combine", combine, METH_VARARGS, combine_doc},
    {NULL, NULL, 0, NULL},
};

static int add_abi(PyObject *module) { return PyModule_AddIntConstant(module, "abi", ABI); }

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, add_abi}, {0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_combine", "Values of frames in the same pixels.", 0, METHODS, SLOTS,
    NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__combine(void) { return PyModuleDef_Init(&MODULE); }

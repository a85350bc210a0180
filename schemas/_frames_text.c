/* Text for _frames.c: base64, and lines of COPY (FORMAT text) as rows of TABLEDATA. */

#include "_frames.h"

static const char LETTERS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const uint8_t *in, Py_ssize_t size, uint8_t *out)
{
    uint8_t pairs[4096][2]; /* twelve bits at a time */
    for (int i = 0; i < 4096; i++) {
        pairs[i][0] = LETTERS[i >> 6];
        pairs[i][1] = LETTERS[i & 63];
    }
    for (; size >= 3; size -= 3, in += 3, out += 4) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        memcpy(out, pairs[bits >> 12], 2);
        memcpy(out + 2, pairs[bits & 4095], 2);
    }
    if (size) {
        uint32_t bits = (uint32_t)in[0] << 16 | (size == 2 ? (uint32_t)in[1] << 8 : 0);
        memcpy(out, pairs[bits >> 12], 2);
        out[2] = size == 2 ? LETTERS[bits >> 6 & 63] : '=';
        out[3] = '=';
        out += 4;
    }
    *out = '\n';
}

PyObject *vo_base64(PyObject *module, PyObject *args)
{
    Py_buffer data;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*", &data))
        return NULL;
    PyObject *text = PyBytes_FromStringAndSize(NULL, (data.len + 2) / 3 * 4 + 1);
    if (text) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(text);
        Py_BEGIN_ALLOW_THREADS
        encode(data.buf, data.len, out);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return text;
}

/* A text that grows. `full` says that there was no memory. */
typedef struct {
    char *text;
    size_t size, room;
    int full;
} Text;

static void add(Text *to, const char *bytes, size_t size)
{
    if (to->room - to->size < size) {
        size_t room = 2 * (to->size + size);
        char *larger = to->full ? NULL : realloc(to->text, room);
        if (!larger) {
            to->full = 1;
            return;
        }
        to->text = larger;
        to->room = room;
    }
    memcpy(to->text + to->size, bytes, size);
    to->size += size;
}

#define ADD(to, literal) add(to, literal, sizeof(literal) - 1)
#define REPLACED "\xef\xbf\xbd"

/* Bytes that do not stand for themselves: controls, markup, and the first of U+F000 to U+FFFF. */
static int is_special(uint8_t byte)
{
    return byte < 0x20 || byte == '&' || byte == '<' || byte == '>' || byte == '\\' ||
           byte == 0xef;
}

/* What stands for a special byte, or for the letter after a backslash. */
static void add_byte(Text *to, char byte)
{
    switch (byte) {
    case '&': ADD(to, "&amp;"); break;
    case '<': ADD(to, "&lt;"); break;
    case '>': ADD(to, "&gt;"); break;
    case '\r': ADD(to, "&#13;"); break;
    case '\n': case '\t': case '\\': add(to, &byte, 1); break;
    default: ADD(to, REPLACED);
    }
}

static char unescaped(char letter)
{
    switch (letter) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'v': return '\v';
    default: return letter;
    }
}

static void add_text(Text *to, const char *at, const char *end, const uint8_t *special)
{
    while (at < end) {
        const char *run = at;
        while (at < end && !special[(uint8_t)*at])
            at++;
        add(to, run, at - run);
        if (at >= end)
            return;
        if ((uint8_t)*at == 0xef) {
            int size = end - at < 3 ? (int)(end - at) : 3;
            int forbidden = size == 3 && (uint8_t)at[1] == 0xbf && (uint8_t)at[2] >= 0xbe;
            if (forbidden)
                ADD(to, REPLACED);
            else
                add(to, at, size);
            at += size;
        } else if (*at == '\\' && end - at > 1) {
            add_byte(to, unescaped(at[1]));
            at += 2;
        } else
            add_byte(to, *at++);
    }
}

/* Numbers as they are, but for infinity, which VOTable writes in its own way. */
static void add_reals(Text *to, const char *at, const char *end)
{
    while (at < end) {
        const char *blank = memchr(at, ' ', end - at);
        const char *stop = blank ? blank + 1 : end;
        if (*at == 'I')
            ADD(to, "+Inf");
        else if (*at == '-' && end - at > 1 && at[1] == 'I')
            ADD(to, "-Inf");
        else
            add(to, at, (blank ? blank : end) - at);
        if (blank)
            add(to, " ", 1);
        at = stop;
    }
}

static int is_null(const char *at, const char *end)
{
    return end - at == 2 && at[0] == '\\' && at[1] == 'N';
}

typedef struct {
    const char *text;
    Py_ssize_t size;
} Null;

static const char *add_row(Text *to, const char *at, const char *end, const Null *nulls,
                           const char *reals, Py_ssize_t n, const uint8_t *special)
{
    ADD(to, "<TR>");
    for (Py_ssize_t i = 0; i < n; i++) {
        const char *stop = at;
        while (stop < end && *stop != '\t' && *stop != '\n')
            stop++;
        if (stop == end || (*stop == '\n') != (i == n - 1))
            return NULL;
        ADD(to, "<TD>");
        if (is_null(at, stop))
            add(to, nulls[i].text, nulls[i].size);
        else if (!reals[i])
            add_text(to, at, stop, special);
        else if (memchr(at, 'I', stop - at))
            add_reals(to, at, stop);
        else
            add(to, at, stop - at);
        ADD(to, "</TD>");
        at = stop + 1;
    }
    ADD(to, "</TR>\n");
    return at;
}

PyObject *vo_tabledata(PyObject *module, PyObject *args)
{
    Py_buffer data, reals;
    PyObject *texts, *rows = NULL;
    uint8_t special[256];
    (void)module;
    if (!PyArg_ParseTuple(args, "y*O!y*", &data, &PyTuple_Type, &texts, &reals))
        return NULL;
    Py_ssize_t n = reals.len;
    Null *nulls = calloc(n ? n : 1, sizeof(Null));
    Text text = {malloc(2 * data.len + 64), 0, 2 * data.len + 64, 0};
    const char *at = data.buf, *end = at + data.len;
    int ready = nulls && text.text && n > 0 && PyTuple_Size(texts) == n;
    for (Py_ssize_t i = 0; ready && i < n; i++)
        ready = PyBytes_AsStringAndSize(PyTuple_GetItem(texts, i), (char **)&nulls[i].text,
                                        &nulls[i].size) == 0;
    if (ready) {
        Py_BEGIN_ALLOW_THREADS
        for (int byte = 0; byte < 256; byte++)
            special[byte] = is_special(byte);
        while (at && at < end && !text.full)
            at = add_row(&text, at, end, nulls, reals.buf, n, special);
        Py_END_ALLOW_THREADS
        if (text.full)
            PyErr_NoMemory();
        else if (!at)
            PyErr_SetString(PyExc_ValueError, "a line has another number of fields");
        else
            rows = PyBytes_FromStringAndSize(text.text, text.size);
    } else if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "one text is wanted for each of the columns, and one of these");
    free(text.text);
    free(nulls);
    PyBuffer_Release(&data);
    PyBuffer_Release(&reals);
    return rows;
}

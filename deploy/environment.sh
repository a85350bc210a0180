# Read by deploy/demo and deploy/test: a virtual environment with the locked packages.
# POSIX sh. Sets VENV; needs ROOT. VO_VENV names another folder, VO_PYTHON another Python.

say() { printf '%s\n' "$*"; }

fail() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

usable_python() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${VO_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if usable_python "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

make_venv() {
    if [ -x "$VENV/bin/python" ] && usable_python "$VENV/bin/python"; then
        return 0
    fi
    python=$(find_python) || fail "Python 3.11 or newer is needed and none was found: install" \
        "it, or name it in VO_PYTHON."
    say "making a virtual environment in $VENV with $("$python" --version)"
    if ! "$python" -m venv --clear "$VENV" >"$ROOT_LOG" 2>&1; then
        cat "$ROOT_LOG" >&2
        explain "$ROOT_LOG"
        fail "The virtual environment could not be made. On Debian and Ubuntu the package" \
            "python3-venv is needed; VO_VENV names another folder for it."
    fi
}

explain() {
    if grep -qiE 'No space left|Errno 28' "$1"; then
        fail "The disk is full: make room (about 1 GB), or name another folder in VO_VENV."
    elif grep -qiE 'gcc|clang|unable to execute|compiler|Failed building wheel' "$1"; then
        fail "A package has no ready-made wheel for $("$VENV/bin/python" --version 2>&1) on" \
            "$(uname -sm) and could not be compiled. Install a C compiler and Python's headers" \
            "(Debian: apt install build-essential python3-dev), or name a Python from 3.11 to" \
            "3.13 in VO_PYTHON."
    elif grep -qiE 'Permission denied|Read-only file' "$1"; then
        fail "$VENV cannot be written: name another folder in VO_VENV."
    elif grep -qiE 'NewConnectionError|Temporary failure|Could not fetch|No matching distr' "$1"; then
        fail "The Python packages could not be fetched: is there a way to the package index" \
            "(a proxy, pip's settings)?"
    elif grep -qi 'THESE PACKAGES DO NOT MATCH THE HASHES' "$1"; then
        fail "A downloaded package differs from what requirements.lock expects: not installed."
    fi
}

# install_part NAME FILE: install a locked list once; its checksum says whether it is done.
install_part() {
    stamp="$VENV/vo-$1.sum"
    sum=$(cksum <"$2")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then
        return 0
    fi
    total=$(grep -c '^[A-Za-z0-9].*==' "$2")
    say "installing the Python packages ($1): $total at most"
    log="$VENV/vo-$1.log"
    {
        "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps \
            --require-hashes --progress-bar off -r "$2" 2>&1
        printf 'pip ended with %s\n' "$?"
    } | tee "$log" | awk -v total="$total" '
        /^(Collecting|Requirement already satisfied:) / {
            name = $1 == "Collecting" ? $2 : $4
            printf "  [%d/%d] %s\n", ++done, total, name; fflush()
        }
        /^Installing collected/ { print "  unpacking"; fflush() }'
    if ! grep -qx 'pip ended with 0' "$log"; then
        tail -n 15 "$log" >&2
        explain "$log"
        fail "Installing the Python packages failed; the whole story is in $log."
    fi
    printf '%s\n' "$sum" >"$stamp"
}

# The parts that are worth compiling; where that cannot be, numpy does their work.
compile_part() {
    stamp="$VENV/vo-compiled.sum"
    sum=$(cd "$ROOT" && cat setup.py schemas/_frames*.[ch] reduction/_*.[ch] | cksum)
    compiled=$(compiled_parts)
    if [ -n "$compiled" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum $compiled" ]; then
        return 0
    fi
    rm -f "$stamp"
    if ! find "$ROOT/schemas" "$ROOT/reduction" -name '_*.so' -exec rm -f {} + 2>/dev/null; then
        say "compiled parts of before cannot be removed from $ROOT: numpy does their work, slower"
        export VO_KERNEL=off
        return 0
    fi
    build_parts >"$ROOT_LOG" 2>&1 || :
    compiled=$(compiled_parts)
    if [ -n "$compiled" ]; then
        say "compiled the parts that pack bulk answers, regrid frames and combine them"
        printf '%s\n' "$sum $compiled" >"$stamp"
    else
        say "no C compiler with Python's headers: numpy does their work, slower"
    fi
}

# In a room of its own, where nothing of an earlier build lies that could be taken for this one's;
# in a subshell, for variables are global here.
build_parts() (
    room=$(mktemp -d) || exit 1
    trap 'rm -rf "$room"' EXIT
    cd "$ROOT" && "$VENV/bin/python" setup.py --quiet build_ext --inplace --force \
        --build-lib "$room/lib" --build-temp "$room/temp"
)

# What there is, with checksums: another environment over the same tree may have built it.
compiled_parts() {
    (cd "$ROOT" && find schemas reduction -name '_*.so' -exec cksum {} + | sort -k 3)
}

# prepare NAME: NAME is runtime, or test for everything.
prepare() {
    VENV=${VO_VENV:-$ROOT/.venv}
    ROOT_LOG=$(mktemp) && part=$(mktemp) || fail "No temporary file can be made: is the disk full?"
    trap 'rm -f "$ROOT_LOG" "$part"' EXIT
    make_venv
    if [ "$1" = runtime ]; then
        sed '/^# === test:/,$d' "$ROOT/requirements.lock" >"$part"
    else
        cp "$ROOT/requirements.lock" "$part"
    fi
    install_part "$1" "$part"
    if ! "$VENV/bin/python" - "$ROOT" 2>/dev/null <<'EOF'
import sys
from importlib.metadata import distribution
url = distribution("vo-service").read_text("direct_url.json") or ""
sys.exit(f'file://{sys.argv[1]}"' not in url)
EOF
    then
        say "installing the project itself"
        "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --quiet \
            --no-deps --no-build-isolation --no-index --editable "$ROOT" >"$ROOT_LOG" 2>&1 || {
            cat "$ROOT_LOG" >&2
            fail "Installing the project from $ROOT failed."
        }
    fi
    compile_part
    rm -f "$ROOT_LOG" "$part"
    trap - EXIT
}

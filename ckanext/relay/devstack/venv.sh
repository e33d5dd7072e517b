# Read by bin/quickstart and bin/test, which set $root. "prepare_venv NAME PIP-ARGUMENTS" installs CKAN and what the
# arguments name into $root/.relay/venv (or $venv), unless that was done under this name from the same files before.
# "use_ckan 2.11" before it takes another version of CKAN than the newest, with an environment of its own.
ckan_version=${ckan_version:-2.12.0}
venv=${venv:-$root/.relay/venv}

use_ckan() {
    case $1 in
        2.12) ;;
        2.11)
            ckan_version=2.11.6
            venv=$root/.relay/venv-2.11
            ;;
        *)
            echo "--ckan is 2.12 or 2.11, not '$1'" >&2
            exit 2
            ;;
    esac
}

find_python() {
    pythons="python3.13 python3.12 python3.11 python3.10 python3"
    case $ckan_version in
        # There are no wheels for Python 3.13 of what it pins.
        2.11.*) pythons="python3.12 python3.11 python3.10 python3.13 python3" ;;
    esac
    for python in $pythons; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            return
        fi
    done
    echo "This needs Python 3.10 or newer with its modules venv and ensurepip, and found none." >&2
    echo "Install it, for instance on Debian and Ubuntu: apt install python3 python3-venv" >&2
    exit 1
}

prepare_venv() {
    stamp_file=$venv/stamp-$1
    shift
    files="setup.cfg requirements.txt dev-requirements.txt ckanext/relay/devstack/venv.sh"
    # An environment may be shared by checkouts (RELAY_BENCH_STATE), and what is installed is one of them.
    stamp=$(cd "$root" && { echo "$ckan_version $root"; cat $files; } | cksum)
    if [ "$(cat "$stamp_file" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        find_python
        echo "making $venv with $("$python" --version)" >&2
        "$python" -m venv --clear "$venv"
    fi
    pip="$venv/bin/python -m pip --disable-pip-version-check install --progress-bar off --quiet"
    echo "installing CKAN $ckan_version and its stack: a minute, or a few when nothing is cached …" >&2
    $pip --upgrade pip
    $pip --no-deps "ckan==$ckan_version"
    # CKAN pins psycopg2, which needs a compiler; psycopg2-binary is the same module as a wheel. CKAN 2.11 also pins what
    # checks its types, older than what checks ours.
    "$venv/bin/python" - > "$venv/ckan-requirements.txt" <<'PYTHON'
from importlib.metadata import requires
for line in requires("ckan") or []:
    requirement, _, marker = line.partition(";")
    if 'extra == "requirements"' in marker and not line.startswith(("mypy", "sqlalchemy2-stubs")):
        print(requirement.strip().replace("psycopg2==", "psycopg2-binary==").replace("[mypy]", ""))
PYTHON
    case $ckan_version in
        2.11.*) echo "kombu<5.7" >> "$venv/ckan-requirements.txt" ;;  # The extra ckan211 of setup.cfg.
    esac
    (cd "$root" && PYTHONWARNINGS=ignore $pip -r "$venv/ckan-requirements.txt" "$@")
    # Python reads this file at each start, so that every command of this environment finds the libmagic of the wheel.
    site_packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "import pylibmagic" > "$site_packages/libmagic.pth"
    echo "$stamp" > "$stamp_file"
}

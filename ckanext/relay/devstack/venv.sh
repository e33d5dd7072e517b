# Read by bin/quickstart and bin/test, which set $root. "prepare_venv NAME PIP-ARGUMENTS" installs CKAN and what the
# arguments name into $root/.relay/venv (or $venv), unless that was done under this name from the same files before.
ckan_version=2.12.0
venv=${venv:-$root/.relay/venv}

find_python() {
    for python in python3.13 python3.12 python3.11 python3.10 python3; do
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
    stamp=$(cd "$root" && cat setup.cfg requirements.txt dev-requirements.txt ckanext/relay/devstack/venv.sh | cksum)
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
    # CKAN pins psycopg2, which needs a compiler; psycopg2-binary is the same module as a wheel.
    "$venv/bin/python" - > "$venv/ckan-requirements.txt" <<'PYTHON'
from importlib.metadata import requires
for line in requires("ckan") or []:
    requirement, _, marker = line.partition(";")
    if 'extra == "requirements"' in marker:
        print(requirement.strip().replace("psycopg2==", "psycopg2-binary=="))
PYTHON
    (cd "$root" && PYTHONWARNINGS=ignore $pip -r "$venv/ckan-requirements.txt" "$@")
    # Python reads this file at each start, so that every command of this environment finds the libmagic of the wheel.
    site_packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "import pylibmagic" > "$site_packages/libmagic.pth"
    echo "$stamp" > "$stamp_file"
}

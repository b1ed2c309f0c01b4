#!/usr/bin/env bash
# Finds the Python and Java that Attune needs. Prints the Python's path, or one line that says what was
# found, what is needed and how to get it. Usage: toolchain.sh python | java
set -u

python_version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() {
    local found="" candidate version
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        version=$(python_version "$candidate") || continue
        case "$version" in
            3.11|3.12|3.13)
                if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
                    command -v "$candidate"
                    return 0
                fi
                found="$found $candidate is $version but lacks the venv module;" ;;
            *) found="$found $candidate is $version;" ;;
        esac
    done
    echo "Python: found${found:- none;} needed 3.11, 3.12 or 3.13 with venv; install it (Debian: apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3.11" >&2
    return 1
}

check_java() {
    local java="java" version major
    [ -n "${JAVA_HOME:-}" ] && java="$JAVA_HOME/bin/java"
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9][0-9._]*\).*/\1/p' | head -n 1)
    major=${version%%.*}
    case "$major" in
        17|21) return 0 ;;
    esac
    echo "Java: found ${version:-none} ($java); needed 17 or 21; install it (Debian: apt-get install openjdk-17-jre-headless) or point JAVA_HOME at one" >&2
    return 1
}

case "${1:-}" in
    python) find_python ;;
    java) check_java ;;
    *) echo "usage: toolchain.sh python | java" >&2; exit 2 ;;
esac

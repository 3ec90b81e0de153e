#!/usr/bin/env bash
# The Python tests: `tools/unit.sh PYTHON [options of pytest]`. Where at most three fail, on a machine whose cores
# others use as well, those are asked once more, alone: what fails again is broken, what passes is told by name.
set -uo pipefail
python=$1
shift
export OMP_NUM_THREADS=1
"$python" -m pytest -q "$@"
status=$?
failed=.pytest_cache/v/cache/lastfailed
if [ "$status" -ne 1 ] || [ "$("$python" -c "import json; print(len(json.load(open('$failed'))))")" -gt 3 ]; then
    exit "$status"
fi
echo "Once more, alone:"
"$python" -m pytest -q --last-failed --last-failed-no-failures none -rfEp tests && echo "Passed alone, but failed beside others: mend what makes these depend on time or order."

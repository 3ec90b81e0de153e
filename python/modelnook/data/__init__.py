"""Data: reading a person's table, finding its columns, splitting it, keeping a snapshot of it, looking for trouble.

::

    rows = read(frame)                                       # whatever it is: read.py
    columns = find(rows, ("text", "label"), {"text": "body"})  # columns.py
    train, held_out = split(rows, columns, Split(), seed=0)  # split.py
    warned = checks(rows, columns, train, held_out)          # checks.py
    ref = snapshot(rows.take(train), columns, home)          # snapshot.py

Nothing here imports pandas, pyarrow or datasets before a table is read, and datasets never for what isn't one.
"""

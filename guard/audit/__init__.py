"""The reviewer's room: what the record holds, as tables. Searching a million records, exporting them, the report.

In: the files of a state directory, while the guard runs, after a crash, or a copy. Out: records, tables, one HTML page.
It only reads, trusts no line (the chain is `journal.examine`'s), and passes over what is no record, counting it.
"""

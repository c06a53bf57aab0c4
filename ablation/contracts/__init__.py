"""What a part must do to be trained, judged and resumed with others: for each kind, small checks with names.

A contract is a module called as its kind, here or in the kind's own folder (`contract.py`), with a `CONTRACT`.
"""

"""The control store: what is administered while the gateway runs, and who changed it from what to what.

`base` says what a store offers; `sqlite` and `postgres` are stores; `opening` chooses between them.
"""

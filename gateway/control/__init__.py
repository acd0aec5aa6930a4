"""The control plane: tenants, projects, keys, meters, principals and snapshots, administered by an HTTP API on a
listener and in a process of its own.

It talks to the control store, reads the configuration's files and archives, and asks the ops listener; it never touches
the path of a request, which goes on as it is when this process is gone. The use cases (`tenants`, `keys`, `meters`, …)
know nothing of HTTP; `app` and `routes` put them on paths, and the command line runs the same app.
"""

"""The benchmark: what Lockgate costs against nginx, its peers and no gateway at all (see README.md here).

Run with `python -m tests.bench`. Nothing here is collected by pytest and nothing here decides whether a test passes.
"""

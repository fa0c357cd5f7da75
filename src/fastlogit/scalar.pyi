# Nothing for Python: the functions are for compiled code, in scalar.pxd.

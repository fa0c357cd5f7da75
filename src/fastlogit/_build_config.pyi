VERSION: str
COMPILER: str
CYTHON: str
NUMPY: str
INSTRUCTION_SETS: tuple[str, ...]
OPENMP: bool

import numpy as np

logit: np.ufunc
expit: np.ufunc
log_expit: np.ufunc
softplus: np.ufunc

def clamped_logit(eps: float) -> np.ufunc: ...

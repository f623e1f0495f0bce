// All kernels, for one fatbin.
#include "slices.cu"
#include "windows.cu"
#include "evidence.cu"

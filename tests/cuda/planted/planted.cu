// Every planted kernel, right and wrong, for nvcc.
#include "planted.cuh"

#define PLANTED_INSTANCE(kernel)                                           \
    template __global__ void planted::kernel<false>(const float*, float*); \
    template __global__ void planted::kernel<true>(const float*, float*);
PLANTED_KERNELS(PLANTED_INSTANCE)

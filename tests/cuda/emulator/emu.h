// Runs CUDA kernels on the CPU, one fiber per thread, to find what is wrong with them.
//
// ops/cuda/gpu.h includes this in the place of CUDA's headers. While a kernel runs, the emulator checks the launch,
// that threads meet at the same barriers and warp operations, and that nothing waits for ever. Shared memory is NaN
// until it is written, and so is the target of an asynchronous copy until its wait; what lies behind shared memory is
// guarded. ASan and UBSan then see every access out of bounds or misaligned, TSan every race: of a block's threads only
// __syncthreads and __syncwarp order memory, of a grid's blocks nothing does.
#pragma once

#include "instructions.h"

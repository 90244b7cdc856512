// The one way in which a kernel of launch.hpp gets into a stream.
#pragma once

#include "ops/cuda/host/error.hpp"

#if defined(QWEN3_CUDA_EMU)
#include "ops/cuda/emulated/stream.hpp"
#endif

namespace qwen3::cuda {

// launch: () -> Status. Emulated kernels run as they are launched, so there it is the launch that waits in the stream.
template <class Launch>
void enqueue(cudaStream_t stream, const char* what, Launch&& launch) {
#if defined(QWEN3_CUDA_EMU)
    check(emulated::submit(stream, what, launch), what);
#else
    (void)stream;
    check(launch(), what);
#endif
}

}  // namespace qwen3::cuda

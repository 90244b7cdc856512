// What emulated streams hold.
#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace qwen3::cuda::emulated {

enum class Progress { done, waiting, failed };

// One entry of a stream. phase: 0 at first, and the work's own from then on; work that is waiting is called again.
struct Entry {
    std::function<Progress(int& phase)> run;
    int phase = 0;
};

}  // namespace qwen3::cuda::emulated

struct CUstream_st {
    int device = 0;
    std::deque<qwen3::cuda::emulated::Entry> entries;
    struct CUgraph_st* capturing = nullptr;
    cudaError_t state = cudaSuccess;  // a failure stays, as on a GPU
};

namespace qwen3::cuda::emulated {

// Appends it to the stream, or to the graph that the stream captures.
cudaError_t submit(cudaStream_t stream, Entry entry);

// What cudaErrorLaunchFailure was about, on this thread.
void describe_failure(const char* what, const char* problem);

// The device that cudaSetDevice chose on this thread.
cudaError_t current_device(int* device);

// The setting's value in the environment, read anew each time; empty without one.
const char* setting(const char* name);
bool setting_names(const char* name, const char* item);  // a list such as "driver,nccl" has the item
bool dry();                                              // QWEN3_CUDAEMU_DRY: kernels and copies are counted, not run
bool fails(int device);                                  // QWEN3_CUDAEMU_FAILING: the kernels of this device fail

// A kernel: launch returns nullptr or what is wrong.
template <class Launch>
cudaError_t submit(cudaStream_t stream, const char* what, Launch launch) {
    return submit(stream, Entry{[stream, what, launch](int&) {
                      const char* problem = fails(stream->device) ? "an illegal memory access was encountered"
                                            : dry()               ? nullptr
                                                                  : launch();
                      if (!problem) return Progress::done;
                      describe_failure(what, problem);
                      return Progress::failed;
                  }});
}

}  // namespace qwen3::cuda::emulated

struct CUgraph_st {
    std::vector<qwen3::cuda::emulated::Entry> entries;
};

struct CUgraphExec_st {
    std::vector<qwen3::cuda::emulated::Entry> entries;
};

// Streams, events and graphs.
#include "ops/cuda/emulated/stream.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

namespace qwen3::cuda::emulated {
namespace {

thread_local std::string failure;

// Runs what it can; NotReady when the front of the queue waits for another device.
cudaError_t advance(cudaStream_t stream) {
    while (!stream->entries.empty() && stream->state == cudaSuccess) {
        Entry& front = stream->entries.front();
        switch (front.run(front.phase)) {
            case Progress::done: stream->entries.pop_front(); break;
            case Progress::waiting: return cudaErrorNotReady;
            case Progress::failed: stream->state = cudaErrorLaunchFailure; break;
        }
    }
    if (stream->state != cudaSuccess) stream->entries.clear();
    return stream->state;
}

}  // namespace

cudaError_t submit(cudaStream_t stream, Entry entry) {
    if (!stream) return cudaErrorInvalidValue;
    if (stream->capturing)
        stream->capturing->entries.push_back(std::move(entry));
    else
        stream->entries.push_back(std::move(entry));
    return stream->state;
}

void describe_failure(const char* what, const char* problem) { failure = std::string(what) + ": " + problem; }

const char* setting(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

bool setting_names(const char* name, const char* item) {
    const std::string list = std::string(",") + setting(name) + ",";
    return list.find(std::string(",") + item + ",") != std::string::npos;
}

bool dry() { return *setting("QWEN3_CUDAEMU_DRY") != '\0'; }

bool fails(int device) { return setting("QWEN3_CUDAEMU_FAILING") == std::to_string(device); }

}  // namespace qwen3::cuda::emulated

using namespace qwen3::cuda::emulated;
using Clock = std::chrono::steady_clock;

struct CUevent_st {
    cudaStream_t stream = nullptr;  // recorded in
    std::shared_ptr<Clock::time_point> time = std::make_shared<Clock::time_point>();
    std::shared_ptr<bool> passed = std::make_shared<bool>(true);
};

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorInvalidValue: return "invalid argument";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
        case cudaErrorNoDevice: return "no CUDA-capable device is detected";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorNotReady: return "device not ready";
        case cudaErrorLaunchFailure: return failure.empty() ? "unspecified launch failure" : failure.c_str();
        case cudaErrorNotSupported: return "operation not supported";
        case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
        case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    }
    return "unrecognized error code";
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    int device = 0;
    if (const cudaError_t error = current_device(&device); error != cudaSuccess) return error;
    *stream = new CUstream_st;
    (*stream)->device = device;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (stream->capturing) return cudaErrorStreamCaptureUnsupported;
    return advance(stream);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    cudaError_t state = cudaSuccess;
    while ((state = cudaStreamQuery(stream)) == cudaErrorNotReady) std::this_thread::yield();
    return state;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->stream = stream;
    event->passed = std::make_shared<bool>(false);
    return submit(stream, Entry{[time = event->time, passed = event->passed](int&) {
                      *time = Clock::now();
                      *passed = true;
                      return Progress::done;
                  }});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    while (!*event->passed)
        if (const cudaError_t error = cudaStreamQuery(event->stream);
            error != cudaSuccess && error != cudaErrorNotReady)
            return error;
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    if (!begin->stream || !end->stream) return cudaErrorInvalidValue;
    if (!*begin->passed || !*end->passed) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *begin->time).count();
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream->capturing) return cudaErrorStreamCaptureUnsupported;
    stream->capturing = new CUgraph_st;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (!stream->capturing) return cudaErrorInvalidValue;
    *graph = std::exchange(stream->capturing, nullptr);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
    if (setting_names("QWEN3_CUDAEMU_WITHOUT", "graphs")) return cudaErrorNotSupported;
    *exec = new CUgraphExec_st{graph->entries};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    for (const Entry& entry : exec->entries)
        if (const cudaError_t error = submit(stream, entry); error != cudaSuccess) return error;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
